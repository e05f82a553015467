"""Draw the randomness of a batch of populations from its key alone."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from commensal.sims.gaussian._draws import chi_square, normal_pairs
from commensal.sims.gaussian._population_process import Draws, Points, PopulationRules


def points(key: PRNGKeyArray, shape: tuple[int, ...], size: int) -> Points:
    """Draw sufficient statistics of data sets of ``size`` standard normal points each."""
    location, other = normal_pairs(key, shape, "float64")
    return Points(location, chi_square(size - 1).log(other))


def draws(rules: PopulationRules, key: PRNGKeyArray, t: Any, replicates: int) -> Draws:
    """Draw the randomness of the step from generation t to t + 1."""
    of_points, of_mutation, of_signal = jax.random.split(jax.random.fold_in(key, t), 3)
    return Draws(
        points(of_points, (rules.datasets, replicates), rules.samples),
        _uniform(of_mutation, (rules.mutations, replicates)) if rules.mutates else None,
        _signal(of_signal, rules, replicates),
        points(of_signal, (replicates,), rules.held_out) if rules.fresh_held_out else None,
    )


def initial(
    rules: PopulationRules, key: PRNGKeyArray, replicates: int
) -> tuple[Points, Points | None]:
    """Draw the real points of generation 1, and the held-out points that never change, if any."""
    of_points, of_held_out = jax.random.split(jax.random.fold_in(key, 0))
    fixed = None
    if rules.signal == "validation" and not rules.fresh_held_out:
        fixed = points(of_held_out, (replicates,), rules.held_out)
    return points(of_points, (rules.population, replicates), rules.samples), fixed


def _signal(
    key: PRNGKeyArray, rules: PopulationRules, replicates: int
) -> Float[Array, "N R"] | None:
    shape = (rules.population, replicates)
    if rules.signal == "none":
        return jax.random.uniform(key, shape, jnp.float64)
    if rules.signal == "noisy_oracle":
        half = (-(-rules.population // 2), replicates)
        return normal_pairs(key, half, "float64").reshape(-1, replicates)[: rules.population]
    return None


def _uniform(
    key: PRNGKeyArray, shape: tuple[int, ...]
) -> tuple[Float[Array, "M R"], Float[Array, "M R"]]:
    # 32 bits for either: as fine as anything that is multiplied by a mutation strength needs
    word = jax.random.bits(key, shape, jnp.uint64)
    low = (word & 0xFFFFFFFF).astype(jnp.float64)
    high = (word >> 32).astype(jnp.float64)
    return (high + 0.5) * 2.0**-32 - 0.5, (low + 0.5) * 2.0**-32 - 0.5
