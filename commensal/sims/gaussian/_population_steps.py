"""Steps of populations: their first state, their next state, and what is observed."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from commensal.sims._keys import check_key, stream
from commensal.sims._stepping import ProcessState, in_64_bit
from commensal.sims.gaussian import _population_draws
from commensal.sims.gaussian._population_config import PopulationConfig
from commensal.sims.gaussian._population_process import (
    Draws,
    Points,
    PopulationModels,
    PopulationNumbers,
    PopulationRules,
    fit,
    generation,
    held_out,
    numbers,
    rules,
)
from commensal.sims.gaussian._selection import squared_distance


@in_64_bit
def init_populations(
    config: PopulationConfig | None = None, key: PRNGKeyArray | None = None, batch: int = 0
) -> ProcessState:
    """Start a batch of populations at generation 1, whose models are fitted to real points.

    Parameters
    ----------
    config : PopulationConfig or None
        Settings; None for the defaults.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    batch : int
        Number of the batch, among those of :func:`simulate_populations`.

    Returns
    -------
    ProcessState
        State of generation 1, for :func:`step_populations` and :func:`observe_populations`.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    `pollination`, sec. 3 and 6.1, app. A and C; see :class:`PopulationConfig` for what is left open
    there.

    Examples
    --------
    >>> config, key = PopulationConfig(population=4), jax.random.key(0)
    >>> state = init_populations(config, key)
    >>> state = step_populations(state, key)
    >>> int(state.generation), observe_populations(state)["w2_best"].shape
    (2, (256,))
    """
    config = config or PopulationConfig()
    own = stream_of_populations(check_key(config.seed, key))
    own = jax.random.fold_in(own, batch)
    return _first(rules(config), numbers(config), own, batch, batch_size(config.population))


@in_64_bit
def step_populations(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Select parents and fit the next generation to what they publish.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init_populations` or from this function.
    key : PRNGKeyArray
        One threefry key: the same at every step for the numbers of :func:`simulate_populations`.
        With a new one at each step the law is the same.

    Returns
    -------
    ProcessState
        State of the next generation.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    `pollination`, sec. 3 and app. C (selection, mutation, crossover), and app. A.1 for the fit.
    """
    return _step(state, check_key(0, key))


@in_64_bit
def observe_populations(state: ProcessState) -> dict[str, Any]:
    """Read what :func:`simulate_populations` records, in units of the truth's standard deviation.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init_populations` or :func:`step_populations`.

    Returns
    -------
    dict of str to Float[Array, "replicate"]
        Measurements, float64, by the names of :func:`simulate_populations`. Means and σ are in
        units of the truth's σ, with the truth's mean at 0; squared W₂ distances are in squared
        units of it.

    Notes
    -----
    `pollination`, app. A.1 has the squared W₂ distance.
    """
    return _observe(state)


def stream_of_populations(key: PRNGKeyArray) -> PRNGKeyArray:
    """Derive the key of populations."""
    return stream(key, "gaussian populations")


def batch_size(population: int) -> int:
    """Return the number of populations of a batch."""
    # a batch has one key, so this is part of what a seed means, and the same on every machine; on a
    # CPU anything from 2¹⁰ to 2¹⁴ models takes as long, so that small runs need little
    return min(max(2**11 // population, 16), 256)


def bytes_of_batch(rules: PopulationRules, recorded: int) -> float:
    """Count the bytes that a batch needs on the device, with what is recorded of it."""
    models = rules.population + rules.datasets + rules.mutations
    return 8.0 * batch_size(rules.population) * (30 * models + 2 * 9 * recorded)


def first(
    rules: PopulationRules,
    numbers: PopulationNumbers,
    initial: Points,
    fixed: Points | None,
    batch: Any = 0,
) -> ProcessState:
    """Make generation 1 from real points (N, R) and from the fixed held-out ones (R,)."""
    truth = PopulationModels(*(jnp.zeros_like(initial.location) for _ in range(2)))
    seen = None if fixed is None else held_out(rules, fixed)
    return ProcessState(jnp.asarray(1), fit(rules, truth, initial), (numbers, seen), rules, batch)


def drawn_first(
    rules: PopulationRules, numbers: PopulationNumbers, key: PRNGKeyArray, batch: Any, size: int
) -> ProcessState:
    """Draw generation 1 of a batch, whose own key is ``key``."""
    return first(rules, numbers, *_population_draws.initial(rules, key, size), batch)


def advance(state: ProcessState, draws: Draws) -> ProcessState:
    """Take a batch one generation further on this randomness."""
    numbers, fixed = state.given
    now = generation(state.rules, numbers, state.now, draws, fixed)
    return state._replace(generation=state.generation + 1, now=now)


def drawn_advance(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Take a batch one generation further; ``key`` is the batch's own."""
    size = state.now.mean.shape[-1]
    return advance(state, _population_draws.draws(state.rules, key, state.generation, size))


def read(state: ProcessState) -> dict[str, Float[Array, "R"]]:
    """Measure the models of a state."""
    mean, log_std = state.now
    std = jnp.exp(log_std)
    w2 = squared_distance(mean, log_std)
    pooled = jnp.sqrt(jnp.mean(std**2, axis=0) + jnp.var(mean, axis=0))
    found = {}
    for name, values in (("mean", mean), ("std", std), ("log_std", log_std)):
        found[f"{name}_average"] = jnp.mean(values, axis=0)
        found[f"{name}_between"] = jnp.std(values, axis=0)
    return found | {
        "w2_best": jnp.min(w2, axis=0),
        "w2_median": jnp.median(w2, axis=0),
        "w2_mixture": jnp.mean(mean, axis=0) ** 2 + (pooled - 1) ** 2,
    }


_observe = jax.jit(read)


_first = jax.jit(drawn_first, static_argnums=(0, 4))


@jax.jit
def _step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    return drawn_advance(state, jax.random.fold_in(stream_of_populations(key), state.batch))
