"""Tests and intervals of many indices at once, by exchanging and leaving out units."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from commensal.texts.auditing._measuring import Measure, differences

BLOCKS = 20
"""Blocks of documents, or of groups, each of which the jackknife leaves out once."""


class Compared(NamedTuple):
    """Test of all indices together.

    Attributes
    ----------
    difference : Float[numpy.ndarray, "I"]
        First sample's value minus the second one's.
    expected : Float[numpy.ndarray, "I"]
        Mean of the difference where documents are exchanged: about 0, but for distances.
    p : Float[numpy.ndarray, "I"]
        Probability of such a difference of any index, if documents are exchangeable.
    half : Float[numpy.ndarray, "I"]
        Half the width of simultaneous intervals.
    """

    difference: Float[np.ndarray, " I"]
    expected: Float[np.ndarray, " I"]
    p: Float[np.ndarray, " I"]
    half: Float[np.ndarray, " I"]


def compared(
    measure: Measure,
    units: Int[np.ndarray, " P"],
    one_sided: Bool[np.ndarray, " I"],
    *,
    level: float,
    resamples: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None] | None = None,
) -> Compared:
    """Test all indices together: Westfall and Young's maximum over indices, by permutation.

    Parameters
    ----------
    measure : callable
        Function of two masks over 2 P documents; documents i and P + i are a pair.
    units : Int[numpy.ndarray, "P"]
        What each pair is exchanged and left out with; from 0 on.
    one_sided : Bool[numpy.ndarray, "I"]
        Which indices are distances, of which only large values count.
    level : float
        Probability of any error, of all intervals together.
    resamples : int
        Number of permutations, each of which exchanges the documents of some units.
    rng : numpy.random.Generator
    progress : callable, optional
        Called with the number of permutations that are done, and of all.

    Returns
    -------
    Compared
        Intervals from the jackknife over blocks of units, as wide as the maximum asks for.

    References
    ----------
    Westfall and Young 1993; the jackknife for blocks: Künsch 1989.
    """
    rounds = resamples + BLOCKS
    pairs, count = len(units), int(units[-1]) + 1
    left = np.ones(pairs, bool)
    none = np.zeros(pairs, bool)
    observed = differences(measure(np.append(left, none), np.append(none, left)))
    block = units % BLOCKS
    without = []
    for number in range(BLOCKS):
        stay = block != number
        found = measure(np.append(stay, none), np.append(none, stay))
        without.append(differences(found))
        if progress:
            progress(number + 1, rounds)
    permuted = []
    for number in range(resamples):
        swap = (rng.random(count) < 0.5)[units]
        found = measure(np.append(~swap, swap), np.append(swap, ~swap))
        permuted.append(differences(found))
        if progress:
            progress(BLOCKS + number + 1, rounds)
    null = np.array(permuted)
    expected = null.mean(axis=0)
    spread = null.std(axis=0, ddof=1)
    p, critical = maxima(observed - expected, null - expected, spread, one_sided, level)
    around = np.array(without) - np.mean(without, axis=0)
    error = np.sqrt((BLOCKS - 1) / BLOCKS * (around**2).sum(axis=0))
    return Compared(observed, expected, p, critical * error)


def maxima(
    observed: Float[np.ndarray, " I"],
    null: Float[np.ndarray, "R I"],
    spread: Float[np.ndarray, " I"],
    one_sided: Bool[np.ndarray, " I"],
    level: float,
) -> tuple[Float[np.ndarray, " I"], float]:
    """Return adjusted p-values by the largest statistic, and the critical value of it.

    Indices that do not vary, or are NaN, take no part; their p is 1 unless they differ.
    """

    def statistic(values: np.ndarray) -> np.ndarray:
        scaled = np.where(one_sided, values, np.abs(values))
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where(spread > 0, scaled / spread, np.where(scaled > 0, np.inf, 0.0))
        return np.where(np.isfinite(spread), scaled, 0.0)

    mine, largest = statistic(observed), statistic(null).max(axis=1)
    p = (1 + (largest[:, None] >= mine).sum(axis=0)) / (1 + len(null))
    return p, float(np.quantile(largest, 1 - level, method="higher"))
