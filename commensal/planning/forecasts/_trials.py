"""Runs held out one by one: how far a forecast misses them, and how wide intervals must be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from commensal.planning.forecasts._curves import Curves
from commensal.planning.forecasts._pooling import PooledCurves, Shared


class HeldOutRun(NamedTuple):
    """Forecast of a run that was held out, whose end is known.

    Attributes
    ----------
    run : int
    cut : int
        Last generation that the forecast was given.
    generation : int
        Last one that was measured, no later than the one that was asked for.
    measured, predicted, low, high : float
        In the model's units; the interval is the law's own, before calibration.
    """

    run: int
    cut: int
    generation: int
    measured: float
    predicted: float
    low: float
    high: float

    @property
    def score(self) -> float:
        """How far outside of the interval the measured value is, in widths; negative inside."""
        return max(self.low - self.measured, self.measured - self.high) / (self.high - self.low)


def tried(
    pool: PooledCurves, shared: Shared, curves: Curves, cuts: Sequence[int], level: float
) -> list[HeldOutRun]:
    """Forecast each run that goes on beyond a cut, from its values before and the other runs."""
    out = []
    for cut in cuts:
        for run in np.flatnonzero(curves.last > cut):
            y = pool.y[run]
            seen = np.flatnonzero(~np.isnan(y) & (pool.times <= pool.until))
            if not len(seen) or pool.times[seen[0]] > cut or pool.times[seen[-1]] <= cut:
                continue
            at = int(seen[-1])
            told = pool.forget(shared, int(run), cut, curves.twins[run])
            middle, low, high = (
                float(told.quantile(q)[at]) for q in (0.5, (1 - level) / 2, (1 + level) / 2)
            )
            out.append(
                HeldOutRun(int(run), cut, int(pool.times[at]), float(y[at]), middle, low, high)
            )
    return out


def conformal(scores: Sequence[float], level: float | int) -> float:
    """Return the score that a new run exceeds with probability 1 - level at most.

    Examples
    --------
    >>> conformal([0.3, -0.2, 0.1, 0.0], 0.8)
    0.3
    """
    place = math.ceil((len(scores) + 1) * level)
    return float(np.sort(scores)[min(place, len(scores)) - 1])


def scores_for(
    trials: Sequence[HeldOutRun], cut: int, least: int, without: Sequence[int] = ()
) -> list[float]:
    """Return the scores that calibrate a forecast: those of its cut, of all cuts if too few."""
    known = [trial for trial in trials if trial.run not in without]
    same = [trial.score for trial in known if trial.cut == cut]
    return same if len(same) >= least else [trial.score for trial in known]


def beside(curves: Curves, trials: dict[str, list[HeldOutRun]]) -> pd.DataFrame:
    """Return what laws and extrapolations predicted of held-out runs, in units of the input."""
    names = ["run", "cut", "generation", "measured", *trials, "last", "line"]
    rows = []
    for together in zip(*trials.values(), strict=True):
        one, unit, y = together[0], curves.unit[together[0].run], curves.values[together[0].run]
        given = ~np.isnan(y) & (curves.generations <= one.cut)
        t, x = curves.generations[given], y[given]
        line = np.polynomial.Polynomial.fit(t, x, 1)(one.generation) if len(t) > 1 else x[-1]
        told = [trial.predicted for trial in together]
        units = [unit * value for value in (one.measured, *told, float(x[-1]), float(line))]
        rows.append([curves.runs[one.run], one.cut, one.generation, *units])
    return pd.DataFrame(rows, columns=names)
