"""Forecast of the later generations of runs, from a table of curves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from commensal.answers import Answers
from commensal.planning.forecasts._curves import Curves, read_curves
from commensal.planning.forecasts._forecast_answers import described
from commensal.planning.forecasts._laws import LAWS, CurveLaw
from commensal.planning.forecasts._pooling import PooledCurves, Predicted
from commensal.planning.forecasts._trials import beside, conformal, scores_for, tried

CHOICE = 4
"""Runs that must go on beyond the forecast runs' ends, at least, for a law to be chosen."""

CALIBRATED = 8
"""Runs that must do so, at least, for intervals to be as wide as their errors say."""


LONGEST = 300
"""Generations that a forecast spans, at most."""


class Forecast(NamedTuple):
    """Result of :func:`forecast`.

    Attributes
    ----------
    table : pandas.DataFrame
        ``run``, ``generation``, ``predicted``, ``low``, ``high``: later generations of every run
        that ends before the one asked for, in the units of the input.
    answers : Answers
    law : str
        Law that was chosen; ``all`` where too few runs go on for a choice, and laws are averaged.
    trials : pandas.DataFrame
        Runs that were held out: ``run``, ``cut``, ``generation``, ``measured``, and what each law
        predicted, as well as ``last`` (the last value goes on) and ``line`` (a line goes on).
    curves : Curves
        What was read.
    """

    table: pd.DataFrame
    answers: Answers
    law: str
    trials: pd.DataFrame
    curves: Curves

    @property
    def measured(self) -> pd.DataFrame:
        """What was measured: ``run``, ``generation`` and ``value``, in the units of the input."""
        values = self.curves.values * self.curves.unit[:, None]
        names = pd.Index(self.curves.runs, name="run")
        wide = pd.DataFrame(values, names, self.curves.generations)
        return wide.melt(var_name="generation", ignore_index=False).dropna().reset_index()


def forecast(
    table: pd.DataFrame | str | Path,
    *,
    until: int | None = None,
    level: float = 0.8,
    seed: int = 0,
) -> Forecast:
    """Forecast later generations of runs from their first ones, and from the other runs.

    Parameters
    ----------
    table : pandas.DataFrame, str or Path
        Curves: columns ``run``, ``generation``, and ``value``, or ``retained`` and perhaps
        ``known`` (counts of facts). All other columns are settings, but for ``seed`` and
        ``replicate``.
    until : int or None
        Last generation that is forecast; by default the last one in the table.
    level : float
        Probability with which intervals should cover.
    seed : int
        Of the bootstrap over runs.

    Returns
    -------
    Forecast

    Raises
    ------
    ValueError
        If the table is not as described, or no run ends before ``until``.

    Notes
    -----
    Each law gives a run a level and a rate; what else it has is shared by all runs. The prior of a
    run's rate is the mean posterior of the others, those with near settings above all. The law is
    the one with the smallest mean error at the last generation of runs that are held out one by
    one, cut where the runs to be forecast end. Their errors also give the width of intervals
    (split conformal, on the scale of each run's own interval).

    Examples
    --------
    >>> lost = {"a": 0.02, "b": 0.04, "c": 0.08, "d": 0.03, "e": 0.06, "f": 0.05}
    >>> rows = [{"run": run, "generation": t, "value": 1 - rate * t ** 0.5}
    ...         for run, rate in lost.items() for t in range(7 if run != "f" else 3)]
    >>> found = forecast(pd.DataFrame(rows))
    >>> round(float(found.table["predicted"].iloc[-1]), 2)
    0.88
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level:g}")
    curves = read_curves(table)
    until = int(curves.generations[-1]) if until is None else until
    ending = np.flatnonzero(curves.last < until)
    if not len(ending):
        raise ValueError(
            f"every run has come to generation {until}: nothing to forecast; ask for a later one"
        )
    if until - int(curves.generations[0]) > LONGEST:
        raise ValueError(
            f"a forecast spans at most {LONGEST} generations; count them in larger steps"
        )
    pools = {law.name: PooledCurves(curves, law, until) for law in laws_of(curves)}
    shared = {name: pool.shared() for name, pool in pools.items()}
    cuts = sorted(set(curves.last[ending].tolist()))
    trials = {name: tried(pools[name], shared[name], curves, cuts, level) for name in pools}
    told: Any = beside(curves, trials)
    errors = {name: (told[name] - told["measured"]).abs().mean() for name in pools}
    held = told["run"].nunique()
    chosen = [min(errors, key=errors.__getitem__)] if held >= CHOICE else list(pools)
    law = chosen[0] if held >= CHOICE else "all"
    rows, known = [], trials[chosen[0]]
    for run in ending:
        parts = [pools[name].predict(shared[name], int(run)) for name in chosen]
        scores = scores_for(known, int(curves.last[run]), CALIBRATED)
        quantiles = _interval(parts, scores if held >= CALIBRATED else None, level, held)
        rows.append(_rows(curves, pools[chosen[0]].times, int(run), until, quantiles))
    table_ = pd.concat(rows, ignore_index=True)
    covered = []
    if held > CALIBRATED:
        for trial in known:
            alike = [trial.run, *np.flatnonzero(curves.twins[trial.run]).tolist()]
            score = conformal(scores_for(known, trial.cut, CALIBRATED, alike), level)
            covered.append(trial.score <= score)
    else:
        covered = [trial.score <= 0 for trial in known]
    pool, numbers = pools[chosen[0]], shared[chosen[0]]
    counts = not np.isnan(curves.known).all()
    answers = described(
        curves,
        table_,
        told,
        law=law,
        needed=CHOICE,
        covered=covered,
        noise=pool.factor * numbers.noise * (1 + numbers.walk / 2) if counts else math.nan,
        how=_HOW[held >= CALIBRATED],
        settings={
            "table": "" if isinstance(table, pd.DataFrame) else str(table),
            "until": until,
            "level": level,
            "seed": seed,
            "runs": len(curves.runs),
            "settings": ", ".join(curves.settings) or "none",
        },
        seed=seed,
    )
    return Forecast(table_, answers, law, told, curves)


_HOW = {
    True: "split conformal: as wide as the errors of held-out runs say, on the scale of the law's "
    "own intervals",
    False: "the law's own intervals, widened as Student's to the number of runs: too few runs to "
    "calibrate them",
}


def laws_of(curves: Curves) -> list[CurveLaw]:
    """Return the laws that can be of these values: some are of positive ones or shares alone."""
    positive, share = np.nanmin(curves.values) > 0, np.nanmax(curves.values) <= 1
    return [law for law in LAWS if (positive or not law.positive) and (share or not law.share)]


def _interval(
    parts: list[Predicted], scores: list[float] | None, level: float, held: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return median and interval of the average of some laws, calibrated by scores if there are."""
    told = Predicted(
        np.concatenate([part.weight for part in parts]) / len(parts),
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.spread for part in parts]),
    )
    side = (1 + level) / 2
    middle, low, high = (told.quantile(q) for q in (0.5, 1 - side, side))
    if scores is not None:
        widen = conformal(scores, level) * (high - low)
        low, high = low - widen, high + widen
    else:
        wider = student.ppf(side, max(held, 3)) / norm.ppf(side)
        low, high = middle - wider * (middle - low), middle + wider * (high - middle)
    return middle, np.minimum(low, middle), np.maximum(high, middle)


def _rows(
    curves: Curves,
    times: np.ndarray,
    run: int,
    until: int,
    quantiles: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> pd.DataFrame:
    """Return a run's later generations, in units of the input."""
    share = np.nanmin(curves.values) >= 0 and np.nanmax(curves.values) <= 1
    least, most = (0.0, 1.0) if share else (-math.inf, math.inf)
    later = (times > curves.last[run]) & (times <= until)
    named = zip(("predicted", "low", "high"), quantiles, strict=True)
    told = {name: (np.clip(x, least, most) * curves.unit[run])[later] for name, x in named}
    return pd.DataFrame({"run": curves.runs[run], "generation": times[later], **told})
