"""Statistics of how far the similarities within families and across them overlap."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.fft import next_fast_len

Rule = Literal["scott", "silverman", "iqr"]
Of = Literal["pooled", "within", "cross"]
Counts = Float[np.ndarray, "P"] | Int[np.ndarray, "P"] | None


class Pairs(NamedTuple):
    """Pairs of models, sorted from the least alike to the most.

    Attributes
    ----------
    similarity : Float[np.ndarray, "P"]
        Similarity of each pair, ascending.
    within : Bool[np.ndarray, "P"]
        Whether both models of a pair are of one family.
    first, second : Int[np.ndarray, "P"]
        Numbers of the two models of a pair.
    family : Int[np.ndarray, "N"]
        Number of each model's family.
    """

    similarity: Float[np.ndarray, "P"]
    within: Bool[np.ndarray, "P"]
    first: Int[np.ndarray, "P"]
    second: Int[np.ndarray, "P"]
    family: Int[np.ndarray, "N"]


def pairs_of(
    similarity: Float[np.ndarray, "N N"],
    family: Int[np.ndarray, "N"],
    *,
    ordered: bool = False,
) -> Pairs:
    """Return all pairs of different models.

    Parameters
    ----------
    similarity : Float[np.ndarray, "N N"]
        Similarity of each two models.
    family : Int[np.ndarray, "N"]
        Number of each model's family, as ``Models.codes`` gives it.
    ordered : bool
        Whether (a, b) and (b, a) both count, where the matrix is not symmetric.

    Examples
    --------
    >>> p = pairs_of(np.array([[1, 0.5, 0.2], [0.5, 1, 0.1], [0.2, 0.1, 1]]), np.array([0, 0, 1]))
    >>> p.similarity, p.within
    (array([0.1, 0.2, 0.5]), array([False, False,  True]))
    """
    n = len(family)
    first, second = np.nonzero(~np.eye(n, dtype=bool)) if ordered else np.triu_indices(n, 1)
    values = similarity[first, second].astype(float)
    order = np.argsort(values, kind="stable")
    first, second = first[order], second[order]
    return Pairs(values[order], family[first] == family[second], first, second, family)


class Tally(NamedTuple):
    """Numbers of pairs by distinct similarity, since similarities of sets have many ties.

    Attributes
    ----------
    values : Float[np.ndarray, "V"]
        Distinct similarities, ascending.
    within, cross : Float[np.ndarray, "V"]
        Numbers of pairs within and across families that have them.
    """

    values: Float[np.ndarray, "V"]
    within: Float[np.ndarray, "V"]
    cross: Float[np.ndarray, "V"]


def distinct(pairs: Pairs) -> Int[np.ndarray, "V"]:
    """Return the positions at which a new similarity begins."""
    return np.flatnonzero(np.diff(pairs.similarity, prepend=np.nan) != 0)


def tally(pairs: Pairs, counts: Counts = None, starts: np.ndarray | None = None) -> Tally:
    """Count how often each similarity occurs.

    Parameters
    ----------
    pairs : Pairs
    counts : array, optional
        Number of times that each pair counts, as in a bootstrap; once each by default.
    starts : array, optional
        Positions at which a new similarity begins, if :func:`distinct` has given them already.
    """
    starts = distinct(pairs) if starts is None else starts
    weight = np.ones(len(pairs.similarity)) if counts is None else counts
    within = np.add.reduceat(weight * pairs.within, starts).astype(float)
    return Tally(pairs.similarity[starts], within, np.add.reduceat(weight, starts) - within)


def cliffs_delta(pairs: Pairs, counts: Counts = None) -> float:
    r"""Cliff's δ = Pr(X > Y) - Pr(X < Y), X across families and Y within.

    It is 2U/(n_c n_w) - 1 with the Mann-Whitney U of X; ties count half in U and not at all in δ.

    Parameters
    ----------
    pairs : Pairs
        Pairs of different models.
    counts : array, optional
        Number of times that each pair counts, as in a bootstrap; once each by default.

    Returns
    -------
    float
        Cliff's δ; NaN where a group is empty.

    Examples
    --------
    >>> p = pairs_of(np.array([[1, 0.5, 0.2], [0.5, 1, 0.1], [0.2, 0.1, 1]]), np.array([0, 0, 1]))
    >>> cliffs_delta(p)
    -1.0
    """
    _, y, x = tally(pairs, counts)
    total = x.sum() * y.sum()
    upto = np.cumsum(y)
    # of the Y, those below minus those above
    return float(x @ (2 * upto - y - upto[-1]) / total) if total else float("nan")


def bandwidth(
    pairs: Pairs,
    rule: Rule | float | int = "scott",
    of: Of = "pooled",
    counts: Counts = None,
) -> float:
    """Compute a bandwidth that both densities share.

    Parameters
    ----------
    pairs : Pairs
        Pairs of different models.
    rule : {"scott", "silverman", "iqr"} or float
        Rule of the bandwidth: scipy's two, σ n^(-1/5) and σ (3n/4)^(-1/5); Silverman's rule of
        thumb, 0.9 min(σ, IQR/1.34) n^(-1/5); or the bandwidth itself.
    of : {"pooled", "within", "cross"}
        Group whose spread and number the rule takes.
    counts : array, optional
        Number of times that each pair counts.
    """
    return _bandwidth(tally(pairs, counts), rule, of)


def _bandwidth(known: Tally, rule: Rule | float | int, of: Of) -> float:
    if not isinstance(rule, str):
        return float(rule)
    x = known.values
    w = {"pooled": known.within + known.cross, "within": known.within, "cross": known.cross}[of]
    n = w.sum()
    if n < 2:
        return float("nan")
    spread = np.sqrt(w @ (x - w @ x / n) ** 2 / (n - 1))
    if rule == "scott":
        return float(spread * n**-0.2)
    if rule == "silverman":
        return float(spread * (0.75 * n) ** -0.2)
    low, high = np.interp([0.25 * n, 0.75 * n], np.cumsum(w), x)
    return float(0.9 * min(spread, (high - low) / 1.34) * n**-0.2)


class Density:
    """Overlap of two kernel density estimates on one grid, fast enough for a bootstrap.

    The pairs are spread linearly over a grid of an eighth of the bandwidth and convolved with the
    Gaussian kernel by FFT; against the sum over all pairs the overlap is off by less than 0.001.

    Parameters
    ----------
    pairs : Pairs
        Pairs of different models.
    rule, of
        Rule of the bandwidth and whose spread it takes, as for :func:`bandwidth`.

    Raises
    ------
    ValueError
        If all similarities are equal, so that no rule gives a bandwidth.
    """

    def __init__(self, pairs: Pairs, rule: Rule | float | int = "scott", of: Of = "pooled") -> None:
        self.pairs = pairs
        self.rule: Rule | float | int = rule
        self.of: Of = of
        self._starts = distinct(pairs)
        known = tally(pairs, None, self._starts)
        h = _bandwidth(known, rule, of)
        if not h > 0:
            raise ValueError(f"bandwidth must be positive, got {h}: are all pairs equally alike?")
        low, high = pairs.similarity[0] - 6 * h, pairs.similarity[-1] + 6 * h
        size = next_fast_len(int(np.clip(8 * (high - low) / h, 256, 2**15)), True) or 2**15
        self.grid = np.linspace(low, high, size)
        self.step = self.grid[1] - self.grid[0]
        place = (known.values - low) / self.step
        self._left = np.minimum(place.astype(np.int64), size - 2)
        self._share = place - self._left
        self._omega = 2 * np.pi * np.fft.rfftfreq(2 * size, self.step)

    def __call__(self, counts: Counts = None) -> float:
        """Return the overlap coefficient; NaN where a group is empty.

        Parameters
        ----------
        counts : array, optional
            How often each pair counts; the bandwidth is taken anew.
        """
        both = self.densities(counts)
        return float(np.minimum(*both).sum() * self.step)

    def densities(
        self, counts: Counts = None
    ) -> tuple[Float[np.ndarray, "G"], Float[np.ndarray, "G"]]:
        """Return the densities within families and across them, on ``grid``."""
        known = tally(self.pairs, counts, self._starts)
        h = _bandwidth(known, self.rule, self.of)
        kernel = np.exp(-0.5 * (h * self._omega) ** 2)
        return self._density(known.within, kernel), self._density(known.cross, kernel)

    def _density(self, weight: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        size, total = self.grid.size, weight.sum()
        if not total:
            return np.full(size, np.nan)
        cells = np.bincount(self._left, weight * (1 - self._share), size)
        cells += np.bincount(self._left + 1, weight * self._share, size)
        smooth = np.fft.irfft(np.fft.rfft(cells, 2 * size) * kernel, 2 * size)[:size]
        return np.maximum(smooth, 0) / (total * self.step)


class Histogram:
    """Overlap of two histograms with shared bins.

    Parameters
    ----------
    pairs : Pairs
        Pairs of different models.
    bins : int
        Number of bins.
    whole : bool
        Whether bins go from 0 to 1 instead of from the least to the greatest similarity.
    """

    def __init__(self, pairs: Pairs, bins: int, whole: bool = False) -> None:
        self.pairs, self.bins = pairs, bins
        span = (0.0, 1.0) if whole else (pairs.similarity[0], pairs.similarity[-1])
        edges = np.histogram_bin_edges(pairs.similarity, bins, span)
        self._starts = distinct(pairs)
        cell = np.searchsorted(edges, pairs.similarity[self._starts], "right") - 1
        self._cell = np.clip(cell, 0, bins - 1)

    def __call__(self, counts: Counts = None) -> float:
        """Return the overlap coefficient; NaN where a group is empty."""
        _, within, cross = tally(self.pairs, counts, self._starts)
        if not (within.sum() and cross.sum()):
            return float("nan")
        parts = [np.bincount(self._cell, w / w.sum(), self.bins) for w in (within, cross)]
        return float(np.minimum(*parts).sum())
