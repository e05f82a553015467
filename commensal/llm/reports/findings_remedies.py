"""Remedies compared with no remedy, lineage by lineage of the same seed. Needs no torch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.reports._intervals import Mean, mean_of


class RemedyCurves(NamedTuple):
    """Values of one metric for all remedies and lineages.

    Attributes
    ----------
    remedies : list of str
        The one that does nothing first.
    values : Float[numpy.ndarray, "remedies lineages generations"]
        Generation 0 first; NaN where a lineage has not come so far.
    """

    remedies: list[str]
    values: Float[np.ndarray, "remedies lineages generations"]

    def at(self, remedy: str, generation: int) -> Mean:
        """Return the mean over lineages."""
        return mean_of(self.values[self.remedies.index(remedy), :, generation])

    def difference(self, remedy: str, generation: int) -> Mean:
        """Return the paired difference to no remedy, in which lineages share seed and draws."""
        mine = self.values[self.remedies.index(remedy), :, generation]
        return mean_of(mine - self.values[0, :, generation])

    def delay(self, remedy: str) -> tuple[float, bool]:
        """Return the delay at which the metric reaches half of its rise without remedy.

        Half-way is half of the rise of the mean without remedy from generation 0 to the last.

        Returns
        -------
        (float, bool)
            In generations, by linear interpolation of means; and whether the remedy never came
            so far, so that the delay is at least that. NaN where nothing rises, or where a
            number is not finite.
        """
        usual, mine = self.values[0].mean(axis=0), self.values[self.remedies.index(remedy)]
        finite = np.isfinite(usual).all() and np.isfinite(mine).all()
        if not finite or not usual[-1] > usual[0]:
            return math.nan, False
        level = (usual[0] + usual[-1]) / 2
        then, there = _first(usual, level)
        now, reached = _first(mine.mean(axis=0), level)
        assert there
        return now - then, not reached


def curves(metrics: pd.DataFrame, metric: str, dataset: str, nothing: str) -> RemedyCurves:
    """Arrange one metric by remedy, lineage and generation.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the remedies.
    metric, dataset : str
        What was measured, and on what.
    nothing : str
        The remedy that does nothing.

    Returns
    -------
    RemedyCurves
    """
    rows = metrics.loc[(metrics["metric"] == metric) & (metrics["dataset"] == dataset)]
    names = [nothing, *(n for n in dict.fromkeys(metrics["remedy"]) if n != nothing)]
    table = rows.set_index(["remedy", "replicate", "generation"])["value"]
    lineages = sorted(rows["replicate"].unique())
    times = range(int(rows["generation"].max()) + 1 if len(rows) else 0)
    values = np.array(
        [[[table.get((n, r, t), math.nan) for t in times] for r in lineages] for n in names]
    )
    return RemedyCurves(names, values.reshape(len(names), len(lineages), len(times)))


def _first(values: Float[np.ndarray, "generations"], level: float) -> tuple[float, bool]:
    """Return when a curve first reaches a level, or its last generation if it never does."""
    above = np.flatnonzero(values >= level)
    if not above.size:
        return float(len(values) - 1), False
    t = int(above[0])
    if t == 0:
        return 0.0, True
    step = (level - values[t - 1]) / (values[t] - values[t - 1])
    return float(t - 1 + step), True
