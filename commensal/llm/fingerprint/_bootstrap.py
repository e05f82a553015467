"""Bootstrap intervals: pairs, models or families are resampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal.llm.fingerprint._statistics import Pairs

Unit = Literal["pair", "model", "family"]
LEVELS = (2.5, 97.5)


class Interval(NamedTuple):
    """An estimate with its percentile interval.

    Attributes
    ----------
    value : float
        Estimate from what was observed.
    low, high : float
        2.5th and 97.5th percentile of the replicates.
    middle : float
        Median of the replicates; far from ``value`` where resampling itself shifts the statistic.
    """

    value: float
    low: float
    high: float
    middle: float


def interval(value: float | int, replicates: Float[np.ndarray, "B"]) -> Interval:
    """Compute a percentile interval without replicates in which a group was empty.

    Examples
    --------
    >>> interval(0.5, np.linspace(0, 1, 101)).high
    0.975
    """
    kept = replicates[np.isfinite(replicates)]
    if not kept.size:
        return Interval(float(value), np.nan, np.nan, np.nan)
    low, middle, high = np.percentile(kept, [LEVELS[0], 50, LEVELS[1]])
    return Interval(float(value), float(low), float(high), float(middle))


def bootstrap(
    pairs: Pairs,
    statistics: Mapping[str, Callable[..., float]],
    unit: Unit = "pair",
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Compute percentile intervals of statistics of the pairs.

    Parameters
    ----------
    pairs : Pairs
        Pairs of different models.
    statistics : mapping
        Functions by name, of how often each pair counts (none: once each), such as ``lambda
        counts=None: cliffs_delta(pairs, counts)``. All see the same resamples.
    unit : {"pair", "model", "family"}
        Unit that is drawn with replacement. ``"pair"``: pairs, within and across families apart, as
        if they were independent; a model is in N - 1 of them, so they are not. ``"model"``: models
        of each family, a pair counts as often as the product of its models; copies of one model
        make no pair. ``"family"``: whole families, copies of one make no pair across.
    resamples : int
        Number of resamples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    dict of str to Interval
        Interval of each statistic, by its name.

    Raises
    ------
    ValueError
        If ``resamples`` is below 1.
    """
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    found = {name: np.empty(resamples) for name in statistics}
    for b, counts in enumerate(draws(pairs, unit, resamples, seed)):
        for name, statistic in statistics.items():
            found[name][b] = statistic(counts)
    return {name: interval(statistic(), found[name]) for name, statistic in statistics.items()}


def draws(pairs: Pairs, unit: Unit, resamples: int, seed: int) -> Iterator[Any]:
    """Draw how often each pair counts in each resample."""
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(pairs.within), np.flatnonzero(~pairs.within)]
    families = int(pairs.family.max()) + 1
    for _ in range(resamples):
        if unit == "pair":
            counts = np.empty(len(pairs.within))
            for group in groups:
                drawn = rng.integers(len(group), size=len(group))
                counts[group] = np.bincount(drawn, minlength=len(group))
            yield counts
        elif unit == "model":
            times = resampled_models(pairs.family, rng).astype(float)
            yield times[pairs.first] * times[pairs.second]
        else:
            times = np.bincount(rng.integers(families, size=families), minlength=families)
            times = times[pairs.family]
            one, other = times[pairs.first], times[pairs.second]
            yield np.where(pairs.within, one, one * other)


def resampled_models(family: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw how often each model occurs, with replacement within its family."""
    times = np.zeros(len(family), dtype=np.int64)
    for code in np.unique(family):
        mine = np.flatnonzero(family == code)
        times[mine] = np.bincount(rng.integers(len(mine), size=len(mine)), minlength=len(mine))
    return times
