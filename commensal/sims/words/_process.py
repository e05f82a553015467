"""Process of models that repeat words: every token copies one that was read, or a human's.

A model that is fitted to a corpus and writes the next one draws each token from the frequencies of
words in what it read. That is to copy a token of it, chosen at random: no frequency need be
computed, and a generation costs two reads of memory for each token, whatever the vocabulary.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from commensal._blocks import at_once
from commensal._precision import AnyArray
from commensal.sims._keys import check_key, stream
from commensal.sims._stepping import ProcessState, in_64_bit, stepped
from commensal.sims._threefry import bits, fold_in, words
from commensal.sims.words._config import WordsConfig

_AT_ONCE = 2**20  # tokens of a batch: more do not fit the caches, and are not faster together


class WordsRules(NamedTuple):
    """Settings that shape the compiled program."""

    models: int
    tokens: int
    words: int
    kept: int
    """Number of corpora that are kept: one, or all of T generations."""
    human: int
    """Largest number of a model's tokens that are humans' after the first generation."""
    network: bool
    """Whether models read unlike shares of what the models write."""
    halvings: int
    """Number of times that a cell of the guide must be halved to find a word."""


class WordsNumbers(NamedTuple):
    """Settings on which no compiled program depends."""

    run: Int[AnyArray, " R"]
    """Index of the key from which each run draws."""
    cumulative: Float[AnyArray, "D V"]
    """Cumulated laws of the humans: one for all models, or one for each."""
    guide: Int[AnyArray, "D cells"]
    """First word of each cell of a uniform number, of equal cells."""
    reads: Float[AnyArray, "K K"]
    """Cumulated reading shares."""
    human_share: Float[AnyArray, ""]
    last: Int[AnyArray, ""]
    """Last generation that can be kept."""


# part of a state, and what compiled programs are made for
jax.tree_util.register_static(WordsRules)


class WordsNow(NamedTuple):
    """Texts, and how often each word is in them."""

    texts: Int[AnyArray, "*R kept K n"]
    """Words of all tokens of the corpora that are kept, by number, the latest one at t mod kept."""
    counts: Int[AnyArray, "*R K V"]
    """Counts of words in what each model wrote last."""
    pool: Int[AnyArray, "*R K V"] | None
    """Counts in all that each model wrote, where it is kept."""


class WordsMeasures(NamedTuple):
    """Numbers of words, and their diversity, in the text of one generation.

    Heterozygosity is the chance that two tokens, drawn with replacement, are different words.
    """

    richness: Int[AnyArray, "*R"]
    """Number of words in what all models wrote."""
    heterozygosity: Float[AnyArray, "*R"]
    model_richness: Int[AnyArray, "*R K"]
    """Number of words in what each model wrote."""
    model_heterozygosity: Float[AnyArray, "*R K"]
    pool_richness: Int[AnyArray, "*R"]
    """Number of words in all that the next models can read."""
    pool_heterozygosity: Float[AnyArray, "*R"]


@in_64_bit
def init(
    config: WordsConfig | None = None, key: PRNGKeyArray | None = None, batch: int = 0
) -> ProcessState:
    """Start a batch of runs at generation 0, before anything is written.

    Parameters
    ----------
    config : WordsConfig or None
        Settings; None for the defaults. A batch has ``config.chunk`` replicates, or fewer where
        fewer are asked for, or a million tokens are reached; on an accelerator as many as its
        memory holds.
    key : PRNGKeyArray or None
        One threefry key, which is only checked: the first state is the same for all keys.
    batch : int
        Number of the batch, among those of :func:`simulate`.

    Returns
    -------
    ProcessState
        State of generation 0, for :func:`step` and :func:`observe`; ``now`` has the texts and the
        counts of words (replicate, model, word), all zero.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    The model of Suresh et al., arXiv 2412.17646, which was read as an abstract.

    Examples
    --------
    >>> key = jax.random.key(0)
    >>> state = step(init(WordsConfig(words=100, tokens=300, replicates=3), key), key)
    >>> observe(state).richness.shape
    (3,)
    """
    config = config or WordsConfig()
    check_key(config.seed, key)
    width = batch_width(config)
    rules, numbers = prepared(config, batch * width + np.arange(width))
    return first(jax.tree.map(jnp.asarray, numbers), rules, batch)


@in_64_bit
def step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Write the next corpus: humans the first one, and every model its part of the others.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or from this function.
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
        If ``key`` is not one threefry key, or the state has no room for one more corpus.

    Notes
    -----
    The model of Suresh et al., arXiv 2412.17646, with shares of human text and of what is read (new
    here).
    """
    key = check_key(0, key)
    if state.rules.kept == 1:
        return _step(state, key)
    return stepped(state, state.given.last, lambda s: _step(s, key))


@in_64_bit
def observe(state: ProcessState) -> WordsMeasures:
    """Count the words of the last corpus, and measure their diversity.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or :func:`step`.

    Returns
    -------
    WordsMeasures
        Numbers of words, int64, and heterozygosities, float64: arrays (replicate,), and
        (replicate, model) for what each model wrote.

    Notes
    -----
    The words that are left are those of Suresh et al., arXiv 2412.17646 (read as an abstract).
    """
    return _observe(state)


def batch_width(config: WordsConfig) -> int:
    """Return the number of runs of a batch."""
    k, kept = config.models, config.generations if config.memory == "accumulate" else 1
    fit = max(1, _AT_ONCE // (k * max(config.tokens, config.words)))
    numbers = k * (kept * config.tokens + 8 * config.tokens + 3 * config.words)
    needed = 8.0 * (numbers + config.generations * (8 + 4 * k))
    return at_once(config.replicates, needed, on_cpu=min(config.chunk, config.replicates, fit))


def prepared(config: WordsConfig, runs: np.ndarray) -> tuple[WordsRules, WordsNumbers]:
    """Return what shapes the program, and the numbers that it is given for some runs."""
    cumulative, guide = _guided(config)
    network = config.network(config.models)
    widest = int(np.diff(guide, axis=1).max(initial=0))
    rules = WordsRules(
        config.models,
        config.tokens,
        config.words,
        config.generations if config.memory == "accumulate" else 1,
        most_human(config),
        network is not None,
        widest.bit_length(),
    )
    reads = np.eye(config.models) if network is None else network
    # the last share ends at infinity: rounding must not lead past it
    shares = np.cumsum(reads, axis=1)
    shares[:, -1] = np.inf
    share, last = np.array(config.human_share), np.array(config.generations)
    return rules, WordsNumbers(runs, cumulative, guide, shares, share, last)


def most_human(config: WordsConfig) -> int:
    """Return a number of human tokens that a model's text exceeds once in 10²⁰ times at most."""
    n, h = config.tokens, config.human_share
    if h == 0:
        return 0
    return min(n, int(n * h + 10 * np.sqrt(n * h * (1 - h))) + 60)


def _guided(config: WordsConfig) -> tuple[np.ndarray, np.ndarray]:
    """Cumulate the laws, and find the first word of each of 2^k >= V cells of [0, 1]."""
    cumulative = np.cumsum(config.laws, axis=1)
    cumulative /= cumulative[:, -1:]
    cells = 2 ** max(config.words - 1, 1).bit_length()
    edges = np.arange(cells + 1) / cells
    guide = [np.searchsorted(row, edges, side="right") for row in cumulative]
    # the last edge is one: the last word that has a probability
    ends = [np.searchsorted(row, 1.0) for row in cumulative]
    guide = np.minimum(guide, np.array(ends)[:, None])
    return cumulative, guide.astype(np.int32)


def first(numbers: WordsNumbers, rules: WordsRules, batch: Any = 0) -> ProcessState:
    """Make generation 0, at which nothing is written."""
    runs = numbers.run.shape[0]
    texts = jnp.zeros((runs, rules.kept, rules.models, rules.tokens), jnp.int32)
    counts = jnp.zeros((runs, rules.models, rules.words), jnp.int32)
    now = WordsNow(texts, counts, counts if rules.kept > 1 else None)
    return ProcessState(jnp.asarray(0), now, numbers, rules, jnp.asarray(batch))


def run_keys(own: PRNGKeyArray, runs: Any) -> UInt32[Array, "R 2"]:
    """Derive the keys of runs from the simulator's own key."""
    return jax.vmap(lambda i: words(jax.random.fold_in(own, i)))(runs)


def advance(state: ProcessState, keys: UInt32[Array, "R 2"]) -> ProcessState:
    """Take all runs one generation further, each with a key of its own."""
    numbers, rules, t = state.given, state.rules, state.generation

    def one(now: WordsNow, key: Array) -> WordsNow:
        key = fold_in(key, t)
        text = jax.lax.cond(
            t == 0,
            lambda: by_humans(key, numbers, rules, rules.tokens),
            lambda: by_models(key, jnp.asarray(now.texts), t, numbers, rules),
        )
        counts = counted(text, rules)
        texts = jax.lax.dynamic_update_index_in_dim(now.texts, text, t % rules.kept, 0)
        return WordsNow(texts, counts, None if now.pool is None else now.pool + counts)

    return state._replace(generation=t + 1, now=jax.vmap(one)(state.now, keys))


def uniform(key: Any, models: int, tokens: int, row: int) -> Float[Array, "K n"]:
    """Draw a number of 53 bits in [0, 1) for every token of a generation."""
    high, low = bits(key, models * tokens, row)
    found = high.astype(jnp.float64) * 2.0**-32 + (low >> 11).astype(jnp.float64) * 2.0**-53
    return found.reshape(models, tokens)


def by_models(
    key: Any, texts: Int[Array, "kept K n"], t: Any, numbers: WordsNumbers, rules: WordsRules
) -> Int[Array, "K n"]:
    """Copy a token of what each model reads, for each token that it writes."""
    size = jnp.minimum(t, rules.kept)  # corpora that are read
    shape = rules.models, rules.tokens
    u = uniform(key, *shape, 0)
    if rules.network:
        # the model that is read, and one of all its tokens
        shares = numbers.reads[:, None, :]
        writer = (uniform(key, *shape, 1)[..., None] >= shares).sum(axis=-1)
        place = _below(u, size * rules.tokens)
        corpus, token = place // rules.tokens, place % rules.tokens
        place = (corpus * rules.models + writer) * rules.tokens + token
    else:
        place = _below(u, size * rules.models * rules.tokens)
    text = texts.ravel().at[place].get(mode="promise_in_bounds")
    if not rules.human:
        return text
    # which of a text's tokens are humans' is all the same: let it be the first ones
    count = (uniform(key, *shape, 2) < numbers.human_share).sum(axis=1, keepdims=True)
    human = by_humans(key, numbers, rules, rules.human)
    first = jnp.where(jnp.arange(rules.human) < count, human, text[:, : rules.human])
    return text.at[:, : rules.human].set(first)


def _below(u: Float[Array, "*s"], count: Any) -> Int[Array, "*s"]:
    # a uniform below 1 may be rounded up to the count
    return jnp.minimum((u * count).astype(jnp.int32), (count - 1).astype(jnp.int32))


def by_humans(key: Any, numbers: WordsNumbers, rules: WordsRules, tokens: int) -> Int[Array, "K n"]:
    """Draw words from the humans' law for each model's text, by inversion of the cumulated law."""
    u = uniform(key, rules.models, tokens, 3)
    laws, cells = len(numbers.cumulative), numbers.guide.shape[1]
    law = jnp.arange(rules.models)[:, None] if laws > 1 else jnp.zeros((1, 1), jnp.int32)
    cell = law * cells + (u * (cells - 1)).astype(jnp.int32)
    guide, cumulative = jnp.ravel(numbers.guide), jnp.ravel(numbers.cumulative)

    def halve(_: Any, ends: Any) -> Any:
        """Halve what lies between two words of which the wanted one is none before the first."""
        low, high = ends
        middle = (low + high) // 2
        at = (law * rules.words + middle).astype(jnp.int32)
        passed = cumulative.at[at].get(mode="promise_in_bounds") <= u
        inside = low < high
        return jnp.where(inside & passed, middle + 1, low), jnp.where(passed, high, middle)

    low, high = (guide.at[cell + i].get(mode="promise_in_bounds") for i in range(2))
    return jax.lax.fori_loop(0, rules.halvings, halve, (low, high))[0]


def counted(text: Int[Array, "K n"], rules: WordsRules) -> Int[Array, "K V"]:
    """Count the words of each model's text."""
    place = jnp.arange(rules.models, dtype=jnp.int32)[:, None] * rules.words + text
    zero = jnp.zeros(rules.models * rules.words, jnp.int32)
    found = zero.at[place.ravel()].add(1, mode="promise_in_bounds")
    return found.reshape(rules.models, rules.words)


def read(state: ProcessState) -> WordsMeasures:
    """Measure all runs of a state."""
    now, models = state.now, state.rules.models
    size = state.rules.tokens
    own = _measured(now.counts, size)
    everything = (
        _measured(now.counts.sum(axis=1), models * size)
        if models > 1
        else tuple(x[:, 0] for x in own)
    )
    pool = everything
    if now.pool is not None:
        # at least one: nothing is written at first
        corpora = jnp.maximum(state.generation, 1)
        largest = models * size * state.rules.kept
        pool = _measured(now.pool.sum(axis=1), models * size * corpora, largest)
    return WordsMeasures(
        richness=everything[0],
        heterozygosity=everything[1],
        model_richness=own[0],
        model_heterozygosity=own[1],
        pool_richness=pool[0],
        pool_heterozygosity=pool[1],
    )


def _measured(
    counts: Int[Array, "*s V"], total: Any, largest: int | None = None
) -> tuple[Array, Array]:
    """Count the words that there are, and the share of pairs of tokens that are two words."""
    richness = (counts > 0).sum(axis=-1)
    # whole numbers either way, so that no order of summing matters; floats are faster
    whole = jnp.float64 if (largest or total) ** 2 < 2**53 else jnp.int64
    wide = counts.astype(whole)
    # none is left over where all tokens are one word: 1 - pairs / total² would be 1e-17 off
    squared = jnp.asarray(total, whole) ** 2
    others = squared - (wide * wide).sum(axis=-1)
    return richness, others.astype(jnp.float64) / squared.astype(jnp.float64)


@jax.jit
def _step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    return advance(state, run_keys(stream(key, "words"), state.given.run))


_observe = jax.jit(read)


@partial(jax.jit, static_argnames=("rules", "generations"))
def run(
    keys: UInt32[Array, "R 2"], numbers: WordsNumbers, *, rules: WordsRules, generations: int
) -> tuple[WordsMeasures, Array]:
    """Run a batch: measures (generation, replicate, ...), and the words that are left at last."""
    start = first(numbers, rules)

    # what no step changes is not carried
    def every(carry: Any, _: Any) -> Any:
        after = advance(start._replace(generation=carry[0], now=carry[1]), keys)
        return (after.generation, after.now), read(after)

    (_, now), seen = jax.lax.scan(every, (start.generation, start.now), length=generations)
    return seen, (now.counts > 0).any(axis=1)
