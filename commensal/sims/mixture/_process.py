"""Process of Algorithm 3 for one batch of replicates, on noise that is drawn or given.

Lanes are (model, replicate). Each has an arrangement of the points that it may read, which
persists; the first k places of it after k exchanges (Fisher and Yates) are a uniform sample
without replacement in uniform order, whatever the arrangement was before. So a generation costs k
exchanges, not a shuffle of all points.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from commensal.sims.mixture._config import MixtureConfig, draws_of
from commensal.sims.mixture._points import Components, Posts, likelihoods, post
from commensal.sims.mixture._schedule import ReadingSchedule
from commensal.sims.mixture._update import as_array, as_carried, update

BLOCK = 32  # draws whose random words are made together


class MixtureRules(NamedTuple):
    """Settings on which the compiled program depends."""

    models: int
    components: int
    dim: int
    posts: int
    points: int
    total: int  # points in the end
    most: int  # points that a model ever draws at once
    alike: bool  # all models draw equally many points
    replacement: bool
    human: bool
    dtype: str


class MixtureNumbers(NamedTuple):
    """Settings on which no compiled program depends."""

    parts: Components
    schedule: ReadingSchedule
    web: Float[Array, "B"]
    human_share: Float[Array, ""]
    epsilon: Float[Array, ""]
    moving: Any = None  # where components move: _full.Moving


class MixtureNoise(NamedTuple):
    """Sources of randomness of generation t: its posts; words of its draws, BLOCK at a time."""

    posts: Callable[[Any], Posts]  # lanes (n, L, R)
    words: Callable[[Any, Any], UInt32[Array, "block n R"]]


class MixtureState(NamedTuple):
    """Weights, the arrangement of every lane, and all points so far."""

    weights: Float[Array, "B n R"]
    arrangement: Any  # (P · n · R,), flat because a flat gather and scatter are the fastest
    table: Float[Array, "P R B"]


# part of a state, and what compiled programs are made for
jax.tree_util.register_static(MixtureRules)


def rules(config: MixtureConfig) -> MixtureRules:
    """Read the settings on which the compiled program depends."""
    reads = config.reads().sum(axis=1)
    return MixtureRules(
        models=config.models,
        components=config.components,
        dim=config.dim,
        posts=config.posts,
        points=config.points,
        total=config.points + config.models * config.posts * config.generations,
        most=int(
            draws_of(
                config.points + reads.max() * config.posts * (config.generations - 1),
                config.read_share,
            )
        ),
        alike=bool((reads == reads[0]).all()),
        replacement=config.replacement,
        human=config.human_share > 0,
        dtype=config.dtype,
    )


def initial(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    weights: Float[Array, "B n R"],
    points: Float[Array, "d A R"],
) -> MixtureState:
    """Make generation 0 from weights and the points A^(0)."""
    size = weights.shape[-1]
    index = jnp.int16 if rules.total < 2**15 else jnp.int32
    lanes = (rules.total, rules.models, size)
    arrangement = jnp.broadcast_to(numbers.schedule.identity[..., None], lanes).astype(index)
    table = jnp.zeros((rules.total, size, rules.components), rules.dtype)
    first = likelihoods(numbers.parts, points, rules.dtype)
    table = jax.lax.dynamic_update_slice_in_dim(table, first, 0, 0)
    return MixtureState(weights.astype(rules.dtype), arrangement.reshape(-1), table)


def generation(
    rules: MixtureRules, numbers: MixtureNumbers, noise: MixtureNoise, t: Any, state: MixtureState
) -> MixtureState:
    """Step from t to t + 1: all models post, draw from the earlier points, and update."""
    posted = _posted(rules, numbers, noise.posts(t), state.weights)
    weights, arrangement = _learn(rules, numbers, noise, t, state)
    start = rules.points + rules.models * rules.posts * t
    table = jax.lax.dynamic_update_slice_in_dim(state.table, posted, start, 0)
    return MixtureState(weights, arrangement, table)


def _posted(
    rules: MixtureRules, numbers: MixtureNumbers, noise: Posts, weights: Float[Array, "B n R"]
) -> Float[Array, "nL R B"]:
    law = weights[:, :, None].astype(noise.component.dtype)
    if rules.human:
        of_humans = numbers.web[:, None, None, None]
        law = jnp.where(noise.human < numbers.human_share, of_humans, law)
    points = post(numbers.parts, law, noise)
    return likelihoods(numbers.parts, points.reshape(rules.dim, -1, points.shape[-1]), rules.dtype)


def _learn(
    rules: MixtureRules, numbers: MixtureNumbers, noise: MixtureNoise, t: Any, state: MixtureState
) -> tuple[Any, Any]:
    n, size = state.weights.shape[1:]
    rows, draws, alpha, prior = (x[t][:, None] for x in numbers.schedule[:4])
    alpha, prior = (jnp.broadcast_to(x, (n, size)).astype(rules.dtype) for x in (alpha, prior))
    epsilon = numbers.epsilon.astype(rules.dtype)
    lanes = jnp.arange(n * size, dtype=jnp.int32)
    replicate = lanes % size
    most = jnp.max(draws)
    flat = state.table.reshape(-1)
    components = jnp.arange(rules.components, dtype=jnp.int32)[:, None]

    def one(first, words, j, carry):
        carried, arrangement = carry
        p = first + j
        place = p + place_of(words[j], rows - p)
        drawn = p < draws
        if rules.replacement:
            place = place_of(words[j], rows)
        elif not rules.alike:
            place = jnp.where(drawn, place, p)
        source = place.astype(jnp.int32).reshape(-1) * (n * size) + lanes
        if rules.replacement:
            point = arrangement.at[source].get(mode="promise_in_bounds")
        else:
            # one gather and one scatter of both places: apart, XLA copies the whole array
            target = p.astype(jnp.int32) * (n * size) + lanes
            both = arrangement.at[jnp.concatenate([source, target])].get(mode="promise_in_bounds")
            arrangement = arrangement.at[jnp.concatenate([target, source])].set(
                both, mode="promise_in_bounds"
            )
            point = both[: n * size]
        address = (point.astype(jnp.int32) * size + replicate) * rules.components + components
        likelihood = flat.at[address].get(mode="promise_in_bounds").reshape(-1, n, size)
        new = update(carried, likelihood, alpha, prior, epsilon)
        if not rules.alike:
            new = jax.tree.map(lambda a, b: jnp.where(drawn, a, b), new, carried)
        return new, arrangement

    def block(number, carry):
        first = number * BLOCK
        words = noise.words(t, number)
        count = jnp.minimum(BLOCK, most - first)
        return jax.lax.fori_loop(0, count, partial(one, first, words), carry)

    blocks = (most + BLOCK - 1) // BLOCK
    carried, arrangement = jax.lax.fori_loop(
        0, blocks, block, (as_carried(state.weights), state.arrangement)
    )
    return as_array(carried), arrangement


def place_of(word: UInt32[Array, "*n"], count: Any) -> Any:
    """Compute ⌊word / 2³² × count⌋; no place is favoured by more than count / 2³²."""
    wide = word.astype(jnp.uint64) * count.astype(jnp.uint64)
    return (wide >> 32).astype(count.dtype)


def weights_of(state: MixtureState) -> Float[Array, "B n R"]:
    """Return the models' weights."""
    return state.weights
