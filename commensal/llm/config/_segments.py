"""Shares of a fixed budget of data, and their diversity. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence


def hill_shannon(weights: Sequence[float | int]) -> float:
    """Compute the Hill-Shannon diversity exp(-Σ w ln w), an effective number of equal shares.

    Paper ``diversity``, eq. (1). M equal weights give M, eq. (2).

    Parameters
    ----------
    weights : sequence of float
        Positive weights, in proportion.

    Examples
    --------
    >>> hill_shannon([1, 1, 1, 1])
    4.0
    >>> print(f"{hill_shannon([0.7, 0.1, 0.1, 0.1]):.3f}")
    2.561
    """
    if len(set(weights)) == 1:
        return float(len(weights))
    total = sum(weights)
    return math.exp(-sum(w / total * math.log(w / total) for w in weights))


def segment_counts(weights: Sequence[float | int], blocks: int) -> tuple[int, ...]:
    """Deal out a number of blocks in given proportions, by largest remainders.

    Parameters
    ----------
    weights : sequence of float
        Positive weights, in proportion.
    blocks : int
        Number of blocks N.

    Returns
    -------
    tuple of int
        Numbers of blocks, with the sum N; of equal remainders the first come first.

    Examples
    --------
    >>> segment_counts([1, 1, 1], 8)
    (3, 3, 2)
    >>> segment_counts([0.7, 0.1, 0.1, 0.1], 15)
    (11, 2, 1, 1)
    """
    total = sum(weights)
    exact = [w * blocks / total for w in weights]
    counts = [math.floor(e) for e in exact]
    # rounded: equal weights have equal remainders, whatever floats make of them
    order = sorted(range(len(exact)), key=lambda i: (-round(exact[i] - counts[i], 9), i))
    for i in order[: blocks - sum(counts)]:
        counts[i] += 1
    return tuple(counts)


def community_counts(counts: Sequence[int], communities: int) -> tuple[tuple[int, ...], ...]:
    """Divide each model's blocks evenly among its communities, which are dealt out whole.

    Communities are grouped in their order, as evenly as can be; no community is of two models.

    Parameters
    ----------
    counts : sequence of int
        Number of blocks of each model.
    communities : int
        Number of communities, at least as many as models.

    Returns
    -------
    tuple of tuple of int
        A row for each model, with its number of blocks of each community.

    Examples
    --------
    >>> community_counts([4, 4], 4)
    ((2, 2, 0, 0), (0, 0, 2, 2))
    >>> community_counts([6, 6], 3)
    ((3, 3, 0), (0, 0, 6))
    """
    found, first = [], 0
    for count, size in zip(counts, segment_counts([1] * len(counts), communities), strict=True):
        own = segment_counts([1] * size, count)
        found.append((0,) * first + own + (0,) * (communities - first - size))
        first += size
    return tuple(found)
