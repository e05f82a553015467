"""Process of an ecosystem: tokens are written, pooled, dealt out and counted."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32, UInt64

from commensal._blocks import at_once
from commensal._precision import AnyArray
from commensal.sims._keys import check_key, stream
from commensal.sims._stepping import ProcessState, in_64_bit, trajectory
from commensal.sims._threefry import bits, fold_in, words
from commensal.sims.ecosystem._config import EcosystemConfig


class EcosystemRules(NamedTuple):
    """Settings on which the compiled program depends."""

    slots: int
    """Number of token slots, at least the tokens of any run; no result depends on it."""
    sharp: bool
    """Whether any text is sharpened."""


class EcosystemNumbers(NamedTuple):
    """Settings on which no compiled program depends; all but the law may differ between runs."""

    run: Int[AnyArray, " R"]
    """Index of the key from which each run draws."""
    sizes: Int[AnyArray, "R M"]
    hold: Float[AnyArray, " R"]
    sharpening: Float[AnyArray, " R"]
    law: Float[AnyArray, " V"]

    def of(self, runs: Any) -> EcosystemNumbers:
        """Take those of some runs."""
        return EcosystemNumbers(*(x[runs] for x in self[:-1]), law=self.law)


# part of a state, and what compiled programs are made for
jax.tree_util.register_static(EcosystemRules)


class Measures(NamedTuple):
    """Distances from the truth, for each model and for the pooled law Σ n_m q^m / N."""

    nats: Float[AnyArray, "*R M"]
    """Cross-entropy -Σ p ln q."""
    chi_square: Float[AnyArray, "*R M"]
    squares: Float[AnyArray, "*R M"]
    simpson: Float[AnyArray, "*R M"]
    """Hill's number of order two of the law, 1/Σ q²."""
    pool_nats: Float[AnyArray, "*R"]
    pool_chi_square: Float[AnyArray, "*R"]
    pool_squares: Float[AnyArray, "*R"]
    pool_simpson: Float[AnyArray, "*R"]


@in_64_bit
def init(
    config: EcosystemConfig | None = None, key: PRNGKeyArray | None = None, batch: int = 0
) -> ProcessState:
    """Start a batch of ecosystems whose models have the pretrained law, at generation 0.

    Parameters
    ----------
    config : EcosystemConfig or None
        Settings; None for the defaults. A batch has ``config.chunk`` replicates, or fewer where
        fewer are asked for, and at least 2; on an accelerator as many as its memory holds.
    key : PRNGKeyArray or None
        One threefry key, which is only checked: the first state is the same for all keys.
    batch : int
        Number of the batch, among those of :func:`simulate`.

    Returns
    -------
    ProcessState
        State of generation 0, for :func:`step` and :func:`observe`; ``now`` has the laws
        (replicate, model, type), float64.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    `diversity`, sec. 3, with a law over word types in the place of a language model.

    Examples
    --------
    >>> config = EcosystemConfig(types=100, tokens=800, hold=200.0, models=2, replicates=3)
    >>> key = jax.random.key(0)
    >>> state = step(init(config, key), key)
    >>> observe(state).chi_square.shape
    (3, 2)
    """
    config = config or EcosystemConfig()
    check_key(config.seed, key)
    width = batch_width(config, config.replicates)
    ones = np.ones(width)
    law, prior = config.laws
    numbers = EcosystemNumbers(
        batch * width + np.arange(width),
        np.array(config.sizes) * ones.astype(int)[:, None],
        config.hold * ones,
        config.sharpening * ones,
        law,
    )
    rules = EcosystemRules(config.tokens, config.sharpening != 1)
    return first(jax.tree.map(jnp.asarray, numbers), jnp.asarray(prior), rules, batch)


@in_64_bit
def step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Write a text with every model, pool and deal out the tokens, and refit.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or from this function. The first step deals out the truth's text.
    key : PRNGKeyArray
        One threefry key: the same at every step for the numbers of :func:`simulate`. With a new
        one at each step the law is the same.

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
    `diversity`, sec. 3; the refit to counts is new here (see :func:`simulate`).
    """
    return _step(state, check_key(0, key))


@in_64_bit
def observe(state: ProcessState) -> Measures:
    """Measure how far each model, and what they write together, is from the true law.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or :func:`step`.

    Returns
    -------
    Measures
        Distances, as float64 arrays (replicate, model), and (replicate,) for what the models write
        together. Cross-entropies are in nats; everything else has no unit.

    Notes
    -----
    exp(``nats``) are the perplexities that `diversity`, eq. (3), averages over models.
    """
    return _observe(state)


def batch_width(config: EcosystemConfig, runs: int) -> int:
    """Return the number of runs of a batch."""
    laws = (config.models + 1) * config.types
    needed = 8.0 * (16 * config.tokens + 12 * laws + 8 * config.generations * (config.models + 1))
    # XLA drops an axis of length one and then rounds some sums otherwise
    return max(2, at_once(runs, needed, on_cpu=min(config.chunk, runs)))


def first(
    numbers: EcosystemNumbers, prior: Array, rules: EcosystemRules, batch: Any = 0
) -> ProcessState:
    """Make generation 0, at which every model has the pretrained law."""
    laws = jnp.broadcast_to(prior, (*numbers.sizes.shape, len(prior)))
    return ProcessState(jnp.asarray(0), laws, numbers, rules, jnp.asarray(batch))


def run_keys(own: PRNGKeyArray, runs: Any) -> UInt32[Array, "R 2"]:
    """Derive the keys of runs from the simulator's own key."""
    return jax.vmap(lambda i: words(jax.random.fold_in(own, i)))(runs)


def advance(state: ProcessState, keys: UInt32[Array, "R 2"]) -> ProcessState:
    """Take all runs one generation further, each with a key of its own."""
    numbers, t = state.given, state.generation

    def one(laws: Array, key: Array, sizes: Array, hold: Array, sharpening: Array) -> Array:
        models, types = laws.shape
        slots = state.rules.slots
        ends = jnp.cumsum(sizes)
        writer = jnp.searchsorted(ends, jnp.arange(slots), side="right", method="compare_all")
        size = sizes[:, None].astype(laws.dtype)
        source = jnp.where(t == 0, numbers.law, laws)
        if state.rules.sharp:
            # relative to the largest: no power underflows for all types
            power = (source / source.max(axis=1, keepdims=True)) ** sharpening
            source = jnp.where(t == 0, numbers.law, power)
        key = fold_in(key, t)
        # of 64 bits each: which type a token is, and its place among all when they are dealt out
        type_, place = (
            high.astype(jnp.uint64) << 32 | low
            for high, low in zip(*(bits(fold_in(key, i), slots) for i in range(2)), strict=True)
        )
        reader = deal(place, writer, ends) if models > 1 else writer
        tokens = write(type_, jnp.cumsum(source, axis=1), jnp.minimum(writer, models - 1))
        # slots beyond the budget belong to nobody: their reader is M
        counts = jnp.zeros((models + 1) * types, laws.dtype).at[reader * types + tokens].add(1.0)
        return (counts.reshape(models + 1, types)[:models] + hold * laws) / (size + hold)

    each = numbers.sizes, numbers.hold, numbers.sharpening
    return state._replace(generation=t + 1, now=jax.vmap(one)(state.now, keys, *each))


def read(state: ProcessState) -> Measures:
    """Measure all runs of a state."""
    sizes, law = state.given.sizes, state.given.law
    return jax.vmap(lambda laws, n: measure(laws, law, n / n.sum()))(state.now, sizes)


@jax.jit
def _step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    return advance(state, run_keys(stream(key, "ecosystem"), state.given.run))


_observe = jax.jit(read)


@partial(jax.jit, static_argnames=("rules", "generations"))
def run(
    keys: UInt32[Array, "R 2"],
    numbers: EcosystemNumbers,
    prior: Float[Array, " V"],
    *,
    rules: EcosystemRules,
    generations: int,
) -> Measures:
    """Run a batch and measure it at every generation: axes generation, then replicate."""
    state = first(numbers, prior, rules)
    return trajectory(state, partial(advance, keys=keys), read, length=generations)


def deal(place: UInt64[Array, " S"], writer: Int[Array, " S"], ends: Array) -> Int[Array, " S"]:
    """Shuffle the pool: the reader of each token follows from the rank of its place among all.

    Two places are alike in a run with probability N²/2^65. Slots that nobody writes are for nobody,
    which is M.
    """
    models = len(ends)
    place = jnp.where(writer < models, place, np.uint64(2**64 - 1))
    first = jnp.sort(place)[ends[:-1]]  # of the readers after the first one
    reader = jnp.searchsorted(first, place, side="right", method="compare_all")
    return jnp.where(writer < models, reader, models)


def write(
    word: UInt64[Array, " S"], cumulative: Float[Array, "M V"], writer: Int[Array, " S"]
) -> Int[Array, " S"]:
    """Draw a token for each slot from its writer's law, by bisection of the cumulated law."""
    types = cumulative.shape[1]
    uniform = (word >> 11).astype(cumulative.dtype) * 2.0**-53
    steps = (types - 1).bit_length()
    flat = jnp.pad(cumulative, ((0, 0), (0, 2**steps - types)), constant_values=jnp.inf).ravel()
    base = (writer * 2**steps).astype(jnp.int32)
    wanted = uniform * cumulative[:, -1][writer]

    def halve(i: Any, place: Array) -> Array:
        """Halve the steps above ``place``, whose cumulated weight is at most the wanted one."""
        further = place + (jnp.int32(2**steps) >> (i + 1).astype(jnp.int32))
        passed = flat.at[further].get(mode="promise_in_bounds") <= wanted
        return jnp.where(passed, further, place)

    # a loop, since XLA:CPU makes one kernel of the steps written out, and that is five times slower
    found = jax.lax.fori_loop(0, steps, halve, base - 1) + 1 - base
    # a uniform below 1 may be rounded up to the total
    return jnp.minimum(found, types - 1)


def measure(laws: Float[Array, "M V"], law: Float[Array, " V"], share: Array) -> Measures:
    """Compute the distances of each model's law and of the pooled law from ``law``."""
    pool = (share[:, None] * laws).sum(axis=0)

    def each(q: Array) -> list[Array]:
        off = (q - law) ** 2
        return [
            -(jnp.log(q) * law).sum(axis=-1),
            (off / law).sum(axis=-1),
            off.sum(axis=-1),
            1 / (q * q).sum(axis=-1),
        ]

    return Measures(*each(laws), *each(pool))
