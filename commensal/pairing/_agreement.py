"""Agreement of predicted with measured changes of losses, whatever was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata

CONSTANT = 0.1
"""Largest change, in nats per token, that `interactive` counts as none (its Table 2)."""

_TOGETHER = 2**20  # numbers that are ranked in one go


class AgreementScore(NamedTuple):
    """One measure of agreement.

    Attributes
    ----------
    value : float
        Mean over designs, each judged by itself; NaN where it is not defined.
    interval : (float, float)
        95 % bootstrap interval: cells, and designs, drawn again with replacement.
    designs : (float, float)
        Lowest and highest of the middle 95 % of designs, on the cells as they are.
    """

    value: float
    interval: tuple[float, float]
    designs: tuple[float, float]


class Scores(NamedTuple):
    """All measures of agreement of one prediction.

    Attributes
    ----------
    rank_correlation : AgreementScore
        Spearman's, over the grid points of a cell, mean over the cells in which both vary.
    pooled : AgreementScore
        Spearman's over all rows at once: cells and grid points.
    sign : AgreementScore
        Share of rows whose direction (rise, fall, none) is predicted.
    r_squared : AgreementScore
        1 - Σ(observed - predicted)² / Σ observed²: against predicting no change, not the mean.
    """

    rank_correlation: AgreementScore
    pooled: AgreementScore
    sign: AgreementScore
    r_squared: AgreementScore


class Agreement(NamedTuple):
    """Agreement of a prediction, and of two baselines (without intervals), with the measurements.

    Attributes
    ----------
    prediction : Scores
    no_change : Scores
        Of predicting that nothing happens; has no ranks (NaN), and R² = 0.
    mean_over_points : Scores
        Of predicting each cell's own mean change, whatever the grid point; taken from what was
        measured, so it starts with an advantage. Has no ranks within cells (NaN).
    designs, cells, rows : int
        How many of each were compared.
    """

    prediction: Scores
    no_change: Scores
    mean_over_points: Scores
    designs: int
    cells: int
    rows: int


def agreement(
    observed: Any,
    predicted: Any,
    cells: Sequence[Any],
    *,
    constant: float = CONSTANT,
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Compare predicted changes with measured ones.

    Parameters
    ----------
    observed : array of shape (rows,)
        Measured changes, for example of a loss in nats per token from t = 0 to t = T.
    predicted : array of shape (rows,) or (designs, rows)
        Their prediction; each design is judged by itself.
    cells : sequence of length rows
        Which rows differ in the grid point alone (one model on one task): ranks are compared within
        a cell, and cells are what the bootstrap draws, because grid points share a starting model.
    constant : float
        A change of at most so much, up or down, counts as none.
    resamples : int
        Of the bootstrap; 0 for no intervals (NaN).
    seed : int
        Of the bootstrap.

    Returns
    -------
    Agreement

    Raises
    ------
    ValueError
        If the shapes do not fit, nothing is given, or a change is not finite.

    Examples
    --------
    A prediction twice too large in one of two cells ranks all grid points right:

    >>> found = agreement([1.0, 0.0, -1.0, 0.5], [2.0, 0.0, -1.0, 0.5], ["a", "a", "b", "b"])
    >>> found.prediction.rank_correlation.value, found.prediction.sign.value
    (1.0, 1.0)
    >>> round(found.prediction.r_squared.value, 3), found.no_change.sign.value
    (0.556, 0.25)
    """
    observed, predicted = np.asarray(observed, float), np.asarray(predicted, float)
    where = cells_of(cells)
    _check(observed, predicted, len(cells))
    mean = np.empty_like(observed)
    for rows in where:
        mean[rows] = observed[rows].mean()
    designs = np.atleast_2d(predicted)

    def score(changes: np.ndarray, times: int) -> Scores:
        return _scores(observed, changes, where, constant, times, seed)

    return Agreement(
        prediction=score(designs, resamples),
        no_change=score(np.zeros((1, observed.size)), 0),
        mean_over_points=score(mean[None], 0),
        designs=len(designs),
        cells=len(where),
        rows=observed.size,
    )


def direction(change: Any, constant: float = CONSTANT) -> Float[np.ndarray, "..."]:
    """Return 1 for a rise, -1 for a fall, and 0 for a change of at most ``constant``.

    Examples
    --------
    >>> direction([0.3, 0.1, -0.2])
    array([ 1.,  0., -1.])
    """
    change = np.asarray(change, float)
    # printed losses are decimals: 2.8 - 2.7 is 0.1 and a little
    return np.where(np.abs(change) <= constant + 1e-9, 0.0, np.sign(change))


def rank_correlations(
    a: Float[np.ndarray, "*#designs n"], b: Float[np.ndarray, "*#designs n"]
) -> Float[np.ndarray, "*designs"]:
    """Return Spearman correlations along the last axis; NaN where either side is constant."""
    # equal but for rounding (α = 1 hears no β; 3.8 - 3.7 is not 2.1 - 2.0) is equal: ties
    x, y = (rankdata(np.round(r, 9), axis=-1) for r in (a, b))
    x, y = (r - r.mean(axis=-1, keepdims=True) for r in (x, y))
    norm = np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return (x * y).sum(axis=-1) / np.where(norm > 0, norm, np.nan)


def cells_of(labels: Sequence[Any]) -> list[Int[np.ndarray, "_"]]:
    """Return the rows of each cell, in the order in which cells first appear.

    Examples
    --------
    >>> [rows.tolist() for rows in cells_of(["a", "b", "a"])]
    [[0, 2], [1]]
    """
    rows: dict[Any, list[int]] = {}
    for i, label in enumerate(labels):
        rows.setdefault(label, []).append(i)
    return [np.array(r) for r in rows.values()]


def _check(observed: np.ndarray, predicted: np.ndarray, labels: int) -> None:
    n = observed.size
    if observed.ndim != 1 or not n:
        raise ValueError(f"observed must be one row of at least one change, got {observed.shape}")
    if predicted.ndim not in (1, 2) or predicted.shape[-1] != n or not predicted.size:
        raise ValueError(
            f"predicted must have shape ({n},) or (designs, {n}), got {predicted.shape}"
        )
    if labels != n:
        raise ValueError(f"cells must have {n} labels, one per change, got {labels}")
    for name, values in (("observed", observed), ("predicted", predicted)):
        if bad := int(np.sum(~np.isfinite(values))):
            raise ValueError(f"{name} must be finite, got {bad} changes that are not")


def _scores(
    observed: Float[np.ndarray, "rows"],
    predicted: Float[np.ndarray, "designs rows"],
    where: list[Int[np.ndarray, "_"]],
    constant: float,
    resamples: int,
    seed: int,
) -> Scores:
    # per design and cell: the parts of which any resample is made
    ranks = np.stack([rank_correlations(observed[None, c], predicted[:, c]) for c in where], axis=1)
    right = direction(predicted, constant) == direction(observed, constant)
    parts = _Parts(
        ranks,
        _per_cell(right, where),
        _per_cell((observed - predicted) ** 2, where),
        np.array([float(len(c)) for c in where]),
        _per_cell(observed[None] ** 2, where)[0],
    )
    designs, cells = np.arange(len(predicted)), np.arange(len(where))

    def all_four(design: np.ndarray, cell: np.ndarray) -> np.ndarray:
        rank, sign, r_squared = parts.measures(design, cell)
        return np.stack([rank, _pooled(observed, predicted, where, design, cell), sign, r_squared])

    each = all_four(designs[None], cells[None])[:, 0]  # (measure, design)
    rng = np.random.default_rng(seed)
    draws = [
        (rng.choice(designs, len(designs)), rng.choice(cells, len(cells))) for _ in range(resamples)
    ]
    drawn = all_four(*map(np.stack, zip(*draws, strict=True))).mean(axis=2).T if draws else None
    low, high = _middle(drawn) if drawn is not None else np.full((2, 4), np.nan)
    first, last = _middle(each.T)
    return Scores(
        *(
            AgreementScore(float(m.mean()), (float(a), float(b)), (float(f), float(g)))
            for m, a, b, f, g in zip(each, low, high, first, last, strict=True)
        )
    )


def _pooled(
    observed: Float[np.ndarray, "rows"],
    predicted: Float[np.ndarray, "designs rows"],
    where: list[Int[np.ndarray, "_"]],
    design: Int[np.ndarray, "draws D"],
    cell: Int[np.ndarray, "draws C"],
) -> Float[np.ndarray, "draws D"]:
    """Return the rank correlations over all rows of each draw of designs and of cells."""
    rows = [np.concatenate([where[c] for c in drawn]) for drawn in cell]
    out = np.empty(design.shape)
    # cells may differ in size; draws of one size are ranked together
    for size in set(map(len, rows)):
        alike = [i for i, r in enumerate(rows) if len(r) == size]
        step = max(1, _TOGETHER // (size * design.shape[1]))
        for some in (alike[i : i + step] for i in range(0, len(alike), step)):
            at = np.stack([rows[i] for i in some])[:, None]
            out[some] = rank_correlations(observed[at], predicted[design[some][..., None], at])
    return out


class _Parts(NamedTuple):
    ranks: Float[np.ndarray, "designs cells"]
    hits: Float[np.ndarray, "designs cells"]
    missed: Float[np.ndarray, "designs cells"]
    size: Float[np.ndarray, "cells"]
    total: Float[np.ndarray, "cells"]

    def measures(self, design: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return three measures (..., designs) of draws (..., designs) and (..., cells)."""
        at = design[..., None], cell[..., None, :]
        known = np.isfinite(self.ranks[at])
        count = known.sum(axis=-1)
        rank = np.where(known, self.ranks[at], 0).sum(axis=-1) / np.where(count, count, np.nan)
        sign = self.hits[at].sum(axis=-1) / self.size[cell].sum(axis=-1, keepdims=True)
        total = self.total[cell].sum(axis=-1, keepdims=True)
        missed = self.missed[at].sum(axis=-1)
        return rank, sign, 1 - missed / np.where(total, total, np.nan)


def _per_cell(
    values: Float[np.ndarray, "designs rows"] | Bool[np.ndarray, "designs rows"],
    where: list[Int[np.ndarray, "_"]],
) -> Float[np.ndarray, "designs cells"]:
    return np.stack([values[:, c].sum(axis=1, dtype=float) for c in where], axis=1)


def _middle(values: Float[np.ndarray, "n measures"]) -> Float[np.ndarray, "2 measures"]:
    """Return the 2.5 and 97.5 % quantiles of each column's finite values; NaN if it has none."""
    out = np.full((2, values.shape[1]), np.nan)
    for i, column in enumerate(values.T):
        column = column[np.isfinite(column)]
        if column.size:
            out[:, i] = np.quantile(column, [0.025, 0.975])
    return out
