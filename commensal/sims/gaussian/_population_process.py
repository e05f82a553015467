"""Process of a population, one generation after the other, on noise that is given or drawn.

Models are the first axis and replicates the last. Everything is in units of the truth, N(0, 1),
and σ is carried as its logarithm.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from commensal.sims.gaussian._population_config import PopulationConfig
from commensal.sims.gaussian._selection import HeldOut, best, loss


class PopulationModels(NamedTuple):
    """Parameters of the models, in units of the truth."""

    mean: Float[Array, "*n"]
    log_std: Float[Array, "*n"]


class Points(NamedTuple):
    """Sufficient statistics of datasets of n standard normal points each.

    location is √n × their mean, log_scatter the logarithm of the sum of squares about it.
    """

    location: Float[Array, "*n"]
    log_scatter: Float[Array, "*n"]


class Draws(NamedTuple):
    """Randomness of one generation: selection first, then offspring.

    S is k where data are shared and N where they are not, M is k where parents mutate and N where
    offspring do.
    """

    points: Points  # (S, R)
    mutation: tuple[Float[Array, "M R"], Float[Array, "M R"]] | None  # of mean and σ, ±1/2
    signal: Float[Array, "N R"] | None
    held_out: Points | None  # (R,)


class PopulationNumbers(NamedTuple):
    """Settings on which no compiled program depends."""

    signal_noise: Float[Array, ""]
    inheritance: Float[Array, ""]
    mutation: Float[Array, ""]


class PopulationRules(NamedTuple):
    """Settings on which the compiled program depends."""

    population: int
    parents: int
    pairs: bool
    samples: int
    held_out: int
    shared_data: bool
    mle: bool
    inherits: bool
    log_scale: bool
    mutates: str | None
    signal: str
    fresh_held_out: bool

    @property
    def datasets(self) -> int:
        """Number of datasets published in a generation."""
        return self.parents if self.shared_data else self.population

    @property
    def mutations(self) -> int:
        """Number of models that mutate in a generation."""
        return {None: 0, "parents": self.parents, "offspring": self.population}[self.mutates]


# part of a state, and what compiled programs are made for
jax.tree_util.register_static(PopulationRules)


def rules(config: PopulationConfig) -> PopulationRules:
    """Read the settings on which the compiled program depends."""
    # what parents hand on does not matter where nothing is inherited
    mutates = config.mutation > 0 and (config.mutate == "offspring" or config.inheritance > 0)
    return PopulationRules(
        population=config.population,
        parents=config.parents,
        pairs=config.crossover == "pairs",
        samples=config.samples,
        held_out=config.held_out,
        shared_data=config.shared_data,
        mle=config.estimator == "mle",
        inherits=config.inheritance > 0,
        log_scale=config.scale == "log_std",
        mutates=config.mutate if mutates else None,
        signal=config.signal,
        fresh_held_out=config.fresh_held_out,
    )


def numbers(config: PopulationConfig) -> PopulationNumbers:
    """Read the settings on which no compiled program depends."""
    return PopulationNumbers(
        *(
            jnp.asarray(value, dtype=jnp.float64)
            for value in (
                config.signal_noise,
                config.inheritance,
                config.mutation,
            )
        )
    )


def fit(rules: PopulationRules, models: PopulationModels, points: Points) -> PopulationModels:
    """Refit to what ``models`` published (`pollination`, app. A.1)."""
    divisor = rules.samples if rules.mle else rules.samples - 1
    return PopulationModels(
        models.mean + jnp.exp(models.log_std) * points.location * rules.samples**-0.5,
        models.log_std + 0.5 * (points.log_scatter - math.log(divisor)),
    )


def held_out(rules: PopulationRules, points: Points) -> HeldOut:
    """Reduce held-out points to what a likelihood needs."""
    return HeldOut(
        points.location * rules.held_out**-0.5, jnp.exp(points.log_scatter) / rules.held_out
    )


def generation(
    rules: PopulationRules,
    numbers: PopulationNumbers,
    models: PopulationModels,
    draws: Draws,
    fixed: HeldOut | None,
) -> PopulationModels:
    """Select, mutate, cross over and refit; ``fixed`` are held-out points that never change."""
    seen = fixed if draws.held_out is None else held_out(rules, draws.held_out)
    losses = loss(
        rules.signal, models.mean, models.log_std, draws.signal, numbers.signal_noise, seen
    )
    chosen = best(losses, rules.parents)
    parents = PopulationModels(*(jnp.take_along_axis(x, chosen, axis=0) for x in models))

    # offspring are (parameters of i, data of j, R), or (parent, one of its offspring, R)
    k, each = rules.parents, rules.population // rules.parents
    handed_on = parents
    if rules.mutates == "parents":
        handed_on = _mutated(parents, draws.mutation, numbers.mutation)
    inherited = PopulationModels(*(x[:, None] for x in handed_on))
    along_data = (None, slice(None)) if rules.pairs else (slice(None), None)
    published = PopulationModels(*(x[along_data] for x in parents))
    if rules.shared_data:
        points = Points(*(x[along_data] for x in draws.points))
    else:
        points = Points(*(x.reshape(k, each, -1) for x in draws.points))
    fitted = fit(rules, published, points)
    if rules.inherits:
        fitted = _between(rules, inherited, fitted, numbers.inheritance)
    offspring = PopulationModels(
        *(jnp.broadcast_to(x, (k, each, x.shape[-1])).reshape(k * each, -1) for x in fitted)
    )
    if rules.mutates == "offspring":
        offspring = _mutated(offspring, draws.mutation, numbers.mutation)
    return offspring


def _mutated(models: PopulationModels, draw: Any, strength: Float[Array, ""]) -> PopulationModels:
    of_mean, of_std = draw
    return PopulationModels(
        models.mean + strength * jnp.exp(models.log_std) * of_mean,
        models.log_std + jnp.log1p(strength * of_std),
    )


def _between(
    rules: PopulationRules,
    inherited: PopulationModels,
    fitted: PopulationModels,
    share: Float[Array, ""],
) -> PopulationModels:
    mean = share * inherited.mean + (1 - share) * fitted.mean
    if rules.log_scale:
        return PopulationModels(mean, share * inherited.log_std + (1 - share) * fitted.log_std)
    # in units of the largest σ of a population, and exponentials before all pairs are formed
    unit = jnp.maximum(inherited.log_std.max(axis=(0, 1)), fitted.log_std.max(axis=(0, 1)))
    own, learned = (jnp.exp(x.log_std - unit) for x in (inherited, fitted))
    return PopulationModels(mean, unit + jnp.log(share * own + (1 - share) * learned))
