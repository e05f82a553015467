"""Findings that the paper `webdynamics` reports of its run, judged in a run. Needs no torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from commensal.llm.config import GridPoint, WebConfig
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports._reading import Reading, title
from commensal.llm.reports._verdicts import ONE, Found, Instance
from commensal.llm.web.law import ends

_HALVED, _STEADY = 0.5, 0.2

Courses = list[tuple[GridPoint, Any]]
"""Grid points, each with its table of distances over the generations."""


def without_replicate(courses: Courses) -> list[Courses]:
    """Group grid points that differ in the replicate alone."""
    found: dict[tuple, Courses] = {}
    for point, course in courses:
        key = tuple(v for name, v in point.coordinates.items() if name != "replicate")
        found.setdefault(key, []).append((point, course))
    return list(found.values())


def cell_title(run: Reading[WebConfig], cell: Courses) -> str:
    """Display name of grid points that differ in the replicate alone."""
    more = f", {len(cell)} replicates" if run.config.replicates > 1 else ""
    return title(cell[0][0]) + more


def _fallen(where: str, both: np.ndarray, comparisons: int) -> Instance:
    """Judge whether last over first, of (first, last) of each replicate, is at most one half."""
    first, last = map(float, both.mean(axis=0))
    numbers = f"{first:.3g} → {last:.3g}"
    if len(both) == 1:
        return Instance(where, numbers, last / first, None, ONE, _leans(last / first, _HALVED))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = mean_of(np.log(both[:, 1] / both[:, 0]), comparisons)
    value, low, high = (math.exp(v) for v in (found.value, found.low, found.high))
    holds = True if high <= _HALVED else False if low > _HALVED else None
    why = "" if holds is not None else "the interval over replicates holds one half"
    return Instance(where, f"{numbers}, ratio [{low:.2f}, {high:.2f}]", value, holds, why)


def _leans(value: float, most: float) -> bool | None:
    return value <= most if math.isfinite(value) else None


def _steady(where: str, both: np.ndarray, comparisons: int) -> Instance:
    """Judge whether the last quarter's mean is within a fifth of that of the quarter before."""
    before, last = map(float, both.mean(axis=0))
    numbers = f"{before:.3g}, then {last:.3g}"
    if len(both) == 1:
        change = abs(last - before) / before if before else math.nan
        return Instance(where, numbers, change, None, ONE, _leans(change, _STEADY))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = mean_of(both[:, 1] / both[:, 0] - 1, comparisons)
    inside = max(-found.low, found.high) <= _STEADY
    outside = found.low > _STEADY or found.high < -_STEADY
    holds = True if inside else False if outside else None
    why = "" if holds is not None else "the interval over replicates crosses a fifth"
    return Instance(
        where,
        f"{numbers}, change [{found.low:+.2f}, {found.high:+.2f}]",
        abs(found.value),
        holds,
        why,
    )


def web_findings(run: Reading[WebConfig], courses: Courses) -> list[Found]:
    """Return the paper's findings, judged in finished grid points."""
    last = run.config.generations
    whole = [(s, c) for s, c in courses if run.reached[s.name] == last and last >= 7]
    missing = "needs a finished grid point of two or more models and 7 or more generations"
    cells = without_replicate(whole)
    apart, settled, narrow = [], [], []
    spreads = sum(len(run.config.taking_part(cell[0][0])) for cell in cells)
    for cell in cells:
        where = cell_title(run, cell)
        values = [c["disagreement"].to_numpy(float) for _, c in cell]
        if all(len(v) and v[0] > 0 for v in values):
            paths = np.stack(values)
            apart.append(_fallen(where, ends(paths), len(cells)))
            quarter = max(paths.shape[1] // 4, 1)
            before = paths[:, -2 * quarter : -quarter].mean(axis=1)
            settled.append(
                _steady(where, np.stack([before, ends(paths)[:, 1]], axis=1), len(cells))
            )
        for i, model in enumerate(run.config.taking_part(cell[0][0])):
            both = np.array([ends(values_of(run, point, "spread", i)) for point, _ in cell])
            if (both[:, 0] > 0).all():
                narrow.append(_fallen(f"{model.shown}, {where}", both, spreads))
    return [
        Found(
            "closer",
            "The models come closer to each other: ‖D‖_F falls by half or more.",
            "sec. 4.1 and fig. 2: from over 20 to about 5 in 60 steps",
            tuple(apart),
            missing,
            "last over first",
        ),
        Found(
            "narrow",
            "Each model's own responses become alike: their spread falls by half or more.",
            "sec. 4.1 and fig. 3: point masses at t = 60",
            tuple(narrow),
            "needs a finished grid point of 7 or more generations whose responses differ at first",
            "last over first",
        ),
        Found(
            "settled",
            "‖D‖_F settles: its means over the last two quarters differ by at most a fifth.",
            "sec. 3.1: ‖D‖_F → c, conjectured",
            tuple(settled),
            missing,
            "relative change",
            "Settling near what sampling alone gives means c = 0 as far as L responses can tell.",
        ),
    ]


def values_of(run: Reading[WebConfig], point: GridPoint, metric: str, model: int) -> np.ndarray:
    """Return one metric of one model over the generations."""
    here: Any = run.metrics
    here = here.loc[(here["metric"] == metric) & (here["model"] == model)]
    for name, value in point.coordinates.items():
        here = here.loc[here[name] == value]
    return here.sort_values("generation")["value"].to_numpy(float)
