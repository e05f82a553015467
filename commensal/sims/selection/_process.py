"""Processes of models that learn from chosen data, sample by sample."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, Int, PRNGKeyArray

from commensal._blocks import at_once
from commensal._precision import AnyArray
from commensal.sims._keys import check_key, stream
from commensal.sims._stepping import ProcessState, in_64_bit, trajectory
from commensal.sims.selection._config import SelectionConfig

_WIDTH = 128  # runs of a batch; fixed, so that no sum depends on how many runs are asked for
_AT_ONCE = 2**17  # numbers of a batch: more do not fit the caches


class SelectionRules(NamedTuple):
    """Settings that shape the compiled program."""

    by: str
    samples: int
    dim: int
    errors: str


# part of a state, and what compiled programs are made for
jax.tree_util.register_static(SelectionRules)


class SelectionNumbers(NamedTuple):
    """Settings on which no compiled program depends, and the indices of the runs' keys."""

    run: Int[AnyArray, " R"]
    settings: dict[str, Float[AnyArray, ""]]


class VerifiedNow(NamedTuple):
    """Means that were learnt last; the truth is 0."""

    mean: Float[AnyArray, " R"]


class CuratedNow(NamedTuple):
    """Answers of the last generation."""

    missing: Float[AnyArray, "R n"]
    """Distances of their rewards from the highest one."""


class FilteredNow(NamedTuple):
    """Linear classifiers that were trained last."""

    weights: Float[AnyArray, "R d"]
    accuracy: Float[AnyArray, " R"]
    """Shares of right predictions; at the start, of right labels."""
    passed: Int[AnyArray, " R"]
    """Numbers of labels that passed the filter."""


class VerifiedMeasures(NamedTuple):
    """Errors of means that are learnt from verified samples."""

    estimate: Float[AnyArray, " R"]
    """Mean less the truth, in standard deviations of a sample."""
    squared_error: Float[AnyArray, " R"]


class CuratedMeasures(NamedTuple):
    """Rewards of answers, counted from the highest one."""

    reward: Float[AnyArray, " R"]
    """Mean over answers."""
    best: Float[AnyArray, " R"]
    """Highest reward of an answer."""
    top: Float[AnyArray, " R"]
    """Share of answers whose reward is near the highest one."""


class FilteredMeasures(NamedTuple):
    """Accuracy of classifiers that are trained on filtered labels."""

    accuracy: Float[AnyArray, " R"]
    """Share of right predictions; of right labels at the start. NaN where fewer labels passed than
    there are features, from then on."""
    passed: Int[AnyArray, " R"]
    """Number of labels that passed the filter."""


@in_64_bit
def init(
    config: SelectionConfig | None = None, key: PRNGKeyArray | None = None, batch: int = 0
) -> ProcessState:
    """Start a batch of runs at generation 0, which is human.

    Parameters
    ----------
    config : SelectionConfig or None
        Settings; None for the defaults. A batch has 128 replicates, whatever is asked for, or
        fewer where it would have more than 131,072 numbers; on an accelerator as many as its
        memory holds.
    key : PRNGKeyArray or None
        One threefry key, from which human data are drawn; None for that of ``config.seed``.
    batch : int
        Number of the batch, among those of :func:`simulate`.

    Returns
    -------
    ProcessState
        State of generation 0, for :func:`step` and :func:`observe`; ``now`` has the means
        (replicate,), the answers' distances from the highest reward (replicate, answer), or the
        classifiers (replicate, feature).

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    The three processes whose closed forms are in :mod:`commensal.theory.selection`; new here, after
    the abstracts of arXiv 2510.16657, 2407.09499 and 2406.07515.

    Examples
    --------
    >>> key = jax.random.key(0)
    >>> state = step(init(SelectionConfig(replicates=3), key), key)
    >>> observe(state).squared_error.shape
    (128,)
    """
    config = config or SelectionConfig()
    key = check_key(config.seed, key)
    width = batch_width(config)
    rules, numbers = prepared(config, batch * width + np.arange(width))
    first = _first(jax.tree.map(jnp.asarray, numbers), stream(key, "selection"), rules)
    return first._replace(batch=jnp.asarray(batch))


@in_64_bit
def step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Write, choose, and learn: the next generation of every run.

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
        If ``key`` is not one threefry key.

    Notes
    -----
    Every sample is drawn by itself: of a normal law between the ends that a verifier accepts, of
    the last answers in proportion to e^reward, or with features of its own. New here, after the
    abstracts of arXiv 2510.16657, 2407.09499 and 2406.07515.
    """
    return _step(state, stream(check_key(0, key), "selection"))


@in_64_bit
def observe(state: ProcessState) -> VerifiedMeasures | CuratedMeasures | FilteredMeasures:
    """Measure the errors, rewards or accuracies of the last generation.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or :func:`step`.

    Returns
    -------
    VerifiedMeasures, CuratedMeasures or FilteredMeasures
        Arrays (replicate,), float64 and int64, according to the setting ``by``.

    Notes
    -----
    What :mod:`commensal.theory.selection` says of, after the abstracts of arXiv 2510.16657,
    2407.09499 and 2406.07515: the squared error of `verified`, the mass near the highest reward of
    `curated`, the accuracy of `filtered_accuracy`.
    """
    return _observe(state)


def batch_width(config: SelectionConfig) -> int:
    """Return the number of runs of a batch."""
    each = config.samples * (config.dim if config.by == "filter" else 1)
    on_cpu = min(_WIDTH, max(1, _AT_ONCE // each))
    needed = 8.0 * (12 * (each + config.samples) + 6 * (config.generations + 1))
    return at_once(config.replicates, needed, on_cpu)


def prepared(config: SelectionConfig, runs: np.ndarray) -> tuple[SelectionRules, SelectionNumbers]:
    """Return what shapes the program, and the numbers that it is given for some runs."""
    wide = config.dim if config.by == "filter" else 1
    rules = SelectionRules(config.by, config.samples, wide, config.errors)
    names = ("initial", "reach", "bias", "human_share", "exponent", "span", "near")
    names += ("right", "true_positive", "false_positive")
    return rules, SelectionNumbers(
        runs, {name: np.array(float(getattr(config, name))) for name in names}
    )


def _keys(own: PRNGKeyArray, numbers: SelectionNumbers, t: Any) -> Any:
    """Derive the keys of all runs in a generation from the simulator's own key."""
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.fold_in(own, i), t))(numbers.run)


def _uniform(key: PRNGKeyArray, count: int) -> Float[Array, " n"]:
    return jax.random.uniform(key, (count,), jnp.float64)


def start(numbers: SelectionNumbers, own: PRNGKeyArray, rules: SelectionRules) -> ProcessState:
    """Draw generation 0."""
    s = numbers.settings
    keys = _keys(own, numbers, 0)
    runs = numbers.run.shape[0]
    if rules.by == "verifier":
        drawn = jax.vmap(lambda k: jax.random.normal(k, (), jnp.float64))(keys)
        now: Any = VerifiedNow(drawn / jnp.sqrt(s["initial"]))
    elif rules.by == "reward":
        now = CuratedNow(jax.vmap(lambda k: _by_humans(k, s, rules.samples))(keys))
    else:
        nothing = jnp.zeros((runs, rules.dim))
        labels = jnp.full(runs, s["right"])
        now = FilteredNow(nothing, labels, jnp.zeros(runs, jnp.int64))
    return ProcessState(jnp.asarray(0), now, numbers, rules, jnp.asarray(0))


def advance(state: ProcessState, own: PRNGKeyArray) -> ProcessState:
    """Take all runs one generation further."""
    numbers, rules, t = state.given, state.rules, state.generation + 1
    one = {"verifier": _verify, "reward": _curate, "filter": _filter}[rules.by]
    now = jax.vmap(lambda now, k: one(now, k, t, numbers.settings, rules))(
        state.now, _keys(own, numbers, t)
    )
    return state._replace(generation=t, now=now)


def _verify(now: VerifiedNow, key: Any, t: Any, s: Any, rules: SelectionRules) -> VerifiedNow:
    """Average n samples of N(mean, 1) that lie within reach of the verifier's centre."""
    low, high = s["bias"] - s["reach"] - now.mean, s["bias"] + s["reach"] - now.mean
    # mirrored where most of it is above 0: the distribution function is exact below
    side = jnp.where(low + high > 0, -1.0, 1.0)
    low, high = jnp.where(side < 0, -high, low), jnp.where(side < 0, -low, high)
    first, last = ndtr(low), ndtr(high)
    drawn = ndtri(first + (last - first) * _uniform(key, rules.samples)).clip(low, high)
    mean = now.mean + side * drawn.mean()
    # so far out that no double tells how likely acceptance is
    return VerifiedNow(jnp.where(last > first, mean, jnp.nan))


def _by_humans(key: Any, s: Any, count: int) -> Float[Array, " n"]:
    return s["span"] * _uniform(key, count) ** (1 / (1 + s["exponent"]))


def _curate(now: CuratedNow, key: Any, t: Any, s: Any, rules: SelectionRules) -> CuratedNow:
    """Copy n of the last answers in proportion to e^reward, and let humans give some anew."""
    copies, fresh, human = jax.random.split(key, 3)
    # the nearest one to the highest reward has weight 1: no sum is 0
    heap = jnp.cumsum(jnp.exp(now.missing.min() - now.missing))
    place = jnp.searchsorted(heap, heap[-1] * _uniform(copies, rules.samples), side="right")
    kept = now.missing[place.clip(max=rules.samples - 1)]
    by_human = _uniform(human, rules.samples) < s["human_share"]
    return CuratedNow(jnp.where(by_human, _by_humans(fresh, s, rules.samples), kept))


def _filter(now: FilteredNow, key: Any, t: Any, s: Any, rules: SelectionRules) -> FilteredNow:
    """Fit least squares to the labels that pass; the true label is the first feature's sign."""
    features, errors, passing = jax.random.split(key, 3)
    n, d = rules.samples, rules.dim
    x = jax.random.normal(features, (n, d), jnp.float64)
    truth = jnp.where(x[:, 0] > 0, 1.0, -1.0)
    good = _uniform(errors, n) < now.accuracy
    if rules.errors == "model":
        own = jnp.where(x @ now.weights > 0, 1.0, -1.0)
        good = jnp.where(t == 1, good, own == truth)
    rate = jnp.where(good, s["true_positive"], s["false_positive"])
    kept = jnp.where(_uniform(passing, n) < rate, 1.0, 0.0)
    y = jnp.where(good, truth, -truth)
    rows = kept[:, None] * x
    weights = _solved(rows.T @ x, rows.T @ y)
    passed = kept.sum()
    known = (passed >= d) & jnp.isfinite(now.accuracy)
    along = (weights[0] / jnp.linalg.norm(weights)).clip(-1, 1)
    accuracy = jnp.where(known, 1 - jnp.arccos(along) / jnp.pi, jnp.nan)
    return FilteredNow(weights, accuracy, passed.astype(jnp.int64))


def _solved(gram: Float[Array, "d d"], moment: Float[Array, " d"]) -> Float[Array, " d"]:
    """Solve a positive definite system by elimination.

    XLA's own solvers call LAPACK, whose calls in several threads may wait for each other for ever.
    """
    both = jnp.concatenate([gram, moment[:, None]], axis=1)

    def eliminated(i: Any, both: Array) -> Array:
        row = both[i] / both[i, i]
        return (both - both[:, i, None] * row).at[i].set(row)

    return jax.lax.fori_loop(0, len(moment), eliminated, both)[:, -1]


def measured(state: ProcessState) -> VerifiedMeasures | CuratedMeasures | FilteredMeasures:
    """Measure all runs of a state."""
    now = state.now
    if state.rules.by == "verifier":
        return VerifiedMeasures(now.mean, now.mean**2)
    if state.rules.by == "reward":
        best = -now.missing.min(axis=1)
        top = (now.missing < state.given.settings["near"]).mean(axis=1, dtype=jnp.float64)
        return CuratedMeasures(-now.missing.mean(axis=1), best, top)
    return FilteredMeasures(now.accuracy, now.passed)


_first = partial(jax.jit, static_argnames="rules")(start)
_step = jax.jit(advance)
_observe = jax.jit(measured)


@partial(jax.jit, static_argnames=("rules", "generations"))
def run(
    own: PRNGKeyArray, numbers: SelectionNumbers, *, rules: SelectionRules, generations: int
) -> Any:
    """Run a batch: measures (generation, replicate) from generation 0 on."""
    state = start(numbers, own, rules)
    later = trajectory(state, lambda s: advance(s, own), measured, length=generations)
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), measured(state), later)
