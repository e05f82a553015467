"""One generation of a population after the other, on noise that is given or drawn.

Models are the first axis and replicates the last. Everything is in units of the truth, N(0, 1),
and σ is carried as its logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from commensal.sims.gaussian._population_config import PopulationConfig
from commensal.sims.gaussian._selection import HeldOut, best, loss


class Models(NamedTuple):
    """Parameters, in units of the truth."""

    mean: Float[Array, "*n"]
    log_std: Float[Array, "*n"]


class Points(NamedTuple):
    """All that a fit needs of datasets of n standard normal points each.

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


class Numbers(NamedTuple):
    """Settings that need no compilation of their own."""

    signal_noise: Float[Array, ""]
    inheritance: Float[Array, ""]
    mutation: Float[Array, ""]


class Rules(NamedTuple):
    """Settings that shape the program."""

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
        """How many are published in a generation."""
        return self.parents if self.shared_data else self.population

    @property
    def mutations(self) -> int:
        """How many models mutate in a generation."""
        return {None: 0, "parents": self.parents, "offspring": self.population}[self.mutates]


def rules(config: PopulationConfig) -> Rules:
    # what parents hand on does not matter where nothing is inherited
    mutates = config.mutation > 0 and (config.mutate == "offspring" or config.inheritance > 0)
    return Rules(
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


def numbers(config: PopulationConfig) -> Numbers:
    return Numbers(
        *(
            jnp.asarray(value, dtype=jnp.float64)
            for value in (
                config.signal_noise,
                config.inheritance,
                config.mutation,
            )
        )
    )


def fit(rules: Rules, models: Models, points: Points) -> Models:
    """Refit to what ``models`` published (`pollination`, app. A.1)."""
    divisor = rules.samples if rules.mle else rules.samples - 1
    return Models(
        models.mean + jnp.exp(models.log_std) * points.location * rules.samples**-0.5,
        models.log_std + 0.5 * (points.log_scatter - math.log(divisor)),
    )


def held_out(rules: Rules, points: Points) -> HeldOut:
    return HeldOut(
        points.location * rules.held_out**-0.5, jnp.exp(points.log_scatter) / rules.held_out
    )


def generation(
    rules: Rules, numbers: Numbers, models: Models, draws: Draws, fixed: HeldOut | None
) -> Models:
    """Selection, mutation, crossover and refit; ``fixed`` are held-out points of all time."""
    seen = fixed if draws.held_out is None else held_out(rules, draws.held_out)
    losses = loss(
        rules.signal, models.mean, models.log_std, draws.signal, numbers.signal_noise, seen
    )
    chosen = best(losses, rules.parents)
    parents = Models(*(jnp.take_along_axis(x, chosen, axis=0) for x in models))

    # offspring are (parameters of i, data of j, R), or (parent, one of its offspring, R)
    k, each = rules.parents, rules.population // rules.parents
    handed_on = parents
    if rules.mutates == "parents":
        handed_on = _mutated(parents, draws.mutation, numbers.mutation)
    inherited = Models(*(x[:, None] for x in handed_on))
    along_data = (None, slice(None)) if rules.pairs else (slice(None), None)
    published = Models(*(x[along_data] for x in parents))
    if rules.shared_data:
        points = Points(*(x[along_data] for x in draws.points))
    else:
        points = Points(*(x.reshape(k, each, -1) for x in draws.points))
    fitted = fit(rules, published, points)
    if rules.inherits:
        fitted = _between(rules, inherited, fitted, numbers.inheritance)
    offspring = Models(
        *(jnp.broadcast_to(x, (k, each, x.shape[-1])).reshape(k * each, -1) for x in fitted)
    )
    if rules.mutates == "offspring":
        offspring = _mutated(offspring, draws.mutation, numbers.mutation)
    return offspring


def _mutated(models: Models, draw: Any, strength: Float[Array, ""]) -> Models:
    of_mean, of_std = draw
    return Models(
        models.mean + strength * jnp.exp(models.log_std) * of_mean,
        models.log_std + jnp.log1p(strength * of_std),
    )


def _between(rules: Rules, inherited: Models, fitted: Models, share: Float[Array, ""]) -> Models:
    mean = share * inherited.mean + (1 - share) * fitted.mean
    if rules.log_scale:
        return Models(mean, share * inherited.log_std + (1 - share) * fitted.log_std)
    # in units of the largest σ of a population, and exponentials before all pairs are formed
    unit = jnp.maximum(inherited.log_std.max(axis=(0, 1)), fitted.log_std.max(axis=(0, 1)))
    own, learned = (jnp.exp(x.log_std - unit) for x in (inherited, fitted))
    return Models(mean, unit + jnp.log(share * own + (1 - share) * learned))


def run(
    rules: Rules,
    numbers: Numbers,
    initial: Points,
    fixed: HeldOut | None,
    draws: Callable[[Any], Draws],
    record: Any,
    read: Callable[[Models], Any],
) -> Any:
    """``read`` of the generations in ``record``, stacked; all are 1 or later.

    ``draws(t)`` is the randomness that leads from generation t to t + 1. ``initial``: (N, R).
    """
    truth = Models(*(jnp.zeros_like(initial.location) for _ in range(2)))
    first = fit(rules, truth, initial)

    def until(carry, t):
        before, models = carry
        models = jax.lax.fori_loop(
            before, t, lambda s, m: generation(rules, numbers, m, draws(s), fixed), models
        )
        return (t, models), read(models)

    return jax.lax.scan(until, (jnp.ones_like(record[0]), first), record)[1]
