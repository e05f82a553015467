"""Comparison of a theory with baselines on the same cells, with intervals of what it is ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from commensal.pairing._agreement import cells_of, direction, rank_correlations

UNTOLD = "cannot be told"
"""Verdict where the interval of a difference holds zero, or there is none."""


def beside(
    observed: Float[np.ndarray, "rows"],
    theory: Float[np.ndarray, "*designs rows"],
    baselines: dict[str, Float[np.ndarray, "rows"]],
    cells: Sequence[Any],
    **labels: Any,
) -> pd.DataFrame:
    """Compare a theory's changes of losses with those of each baseline, cell by cell.

    Returns
    -------
    pandas.DataFrame
        A row for every baseline and measure: ``rank`` (Spearman's over the grid points of a cell),
        ``directions`` (share that is right) and ``rmse`` (nats). ``theory`` and ``other`` are means
        over the cells in which both are defined, and over designs; ``lead`` is how much better the
        theory is (so other minus theory for ``rmse``), ``spread`` its standard deviation over the
        ``cells``. :func:`with_verdicts` adds intervals.

    Examples
    --------
    >>> measured, theory = np.array([1.0, -1.0, 2.0, 3.0]), np.array([1.0, -1.0, 2.0, 4.0])
    >>> found = beside(measured, theory, {"still": np.zeros(4)}, ["a", "a", "b", "b"])
    >>> found.measure.tolist(), found.lead.round(3).tolist()
    (['directions', 'rmse'], [1.0, 1.421])
    """
    where = cells_of(cells)
    ours = _scores(observed, np.atleast_2d(theory), where)
    out = []
    for name, change in baselines.items():
        theirs = _scores(observed, change[None], where)
        for measure, a, b in zip(("rank", "directions", "rmse"), ours, theirs, strict=True):
            known = np.isfinite(a) & np.isfinite(b)
            a, b = a[known], b[known]
            if not a.size:
                continue  # such as ranks of what says the same everywhere
            ahead = b - a if measure == "rmse" else a - b
            numbers = {"theory": a.mean(), "other": b.mean(), "lead": ahead.mean()}
            spread = ahead.std(ddof=1) if ahead.size > 1 else np.nan
            numbers |= {"spread": spread, "cells": ahead.size}
            out.append({**labels, "baseline": name, "measure": measure, **numbers})
    return pd.DataFrame(out)


def with_verdicts(comparisons: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Add to comparisons what can be told: Student's 95 % intervals, corrected for their number.

    Returns
    -------
    pandas.DataFrame
        All rows, with ``low`` and ``high`` (cells as replicates, Bonferroni over all rows) and
        ``verdict``: the theory is ``ahead``, ``behind``, or it ``cannot be told``. NaN, and not
        told, where fewer than two cells or no scatter between them leaves nothing to judge by.

    Examples
    --------
    >>> one = pd.DataFrame({"lead": [0.5, 0.5, 0.2], "spread": [0.1, 0.9, 0.0], "cells": [4, 4, 4]})
    >>> found = with_verdicts([one])
    >>> found.verdict.tolist(), found.low.round(2).tolist()
    (['ahead', 'cannot be told', 'cannot be told'], [0.26, -1.69, nan])
    """
    rows = pd.concat(comparisons, ignore_index=True)
    quantile = stats.t.ppf(1 - 0.025 / len(rows), np.maximum(rows["cells"] - 1, 1))
    spread = rows["spread"].where(rows["spread"] > 1e-12)
    half = quantile * spread / np.sqrt(rows["cells"])
    low, high = rows["lead"] - half, rows["lead"] + half
    verdict = np.select([low > 0, high < 0], ["ahead", "behind"], UNTOLD)
    return rows.assign(low=low, high=high, verdict=verdict)


def _scores(
    observed: np.ndarray, predicted: np.ndarray, where: list[np.ndarray]
) -> Float[np.ndarray, "measures cells"]:
    out = np.full((3, len(where)), np.nan)
    for i, rows in enumerate(where):
        change, truth = predicted[:, rows], observed[None, rows]
        if np.isfinite(change).all():
            ranks = rank_correlations(truth, change)
            right = direction(change) == direction(truth)
            out[0, i] = ranks.mean()
            out[1, i] = right.mean()
            out[2, i] = np.sqrt(((change - truth) ** 2).mean(axis=1)).mean()
    return out
