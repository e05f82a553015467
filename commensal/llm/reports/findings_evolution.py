"""Published findings about evolving populations, judged by a run. Needs no torch.

Paper `pollination`, sec. 5 and 6, app. F: figures 6, 9, 10 and 12. The paper gives no numbers, so
that signs are what can be compared; a change of accuracy by at most two points counts as none.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from commensal.llm.measures.ngrams import amounts
from commensal.llm.reports._populations import Kind, Populations
from commensal.llm.reports._verdicts import Found, Instance, Measured, judged

CONSTANT = 0.02  # of accuracy
_LEAST = 1e-10  # above rounding


def find(
    metrics: pd.DataFrame, questions: Sequence[str], task: str, generations: int
) -> list[Found]:
    """Return the published findings, each with this run's verdict.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the evolution workflow.
    questions : sequence of str
        Names of the sets of questions.
    task : str
        Whose prompts are completed.
    generations : int
        T. Populations that have not come so far are left out.

    Returns
    -------
    list of Found
    """
    known = Populations(metrics, generations if generations else -1)
    falls, stays = (-math.inf, -CONSTANT - _LEAST), (-CONSTANT, math.inf)
    improves = (CONSTANT + _LEAST, math.inf)
    return [
        _above_lineages(known, "evolution-above-lineage", "full", "fig. 6"),
        _lineages_fall(known, questions, *falls),
        _stays(known, "evolution-stays", "does not fall", *stays),
        _stays(known, "evolution-improves", "improves", *improves),
        _larger(known),
        _small_declines(known),
        _full_above_data(known),
        _above_lineages(known, "texts-above-lineage", "data", "app. F, fig. 12"),
        _widens(known),
        _spread_kept(known, task),
        _varied(known, task, amounts(set(metrics["metric"]) if len(metrics) else ())),
    ]


def _found(
    id: str,
    statement: str,
    source: str,
    instances: tuple[Instance, ...],
    missing: str,
    remark: str = "",
) -> Found:
    return Found(id, statement, source, instances, missing, "points", remark)


def _points(where: str, change: pd.Series, numbers: str = "") -> Measured:
    """Return a change of accuracy in points."""
    return Measured(where, 100 * change.to_numpy(float), numbers)


def _percent(*values: Any) -> list[str]:
    return [f"{100 * one.mean(skipna=False):.1f} %" for one in values]


def _above_lineages(known: Populations, id: str, inheritance: str, source: str) -> Found:
    alone = known.lineage()
    places: dict[str, list[Measured]] = {"accuracy": [], "accuracy_held_out": []}
    for kind in known.selected(inheritance) if alone else []:
        for metric, found in places.items():
            here = known.last(kind, metric, kind.questions)
            there = known.last(alone, metric, kind.questions) if alone else here
            if len(here) and len(there):
                change = known.differences(kind, alone, metric, kind.questions)  # pyright: ignore[reportArgumentType]
                numbers = "{} against {}".format(*_percent(here, there))
                found.append(_points(kind.label, change, numbers))
    remark = ""
    if places["accuracy_held_out"]:
        told = judged(places["accuracy_held_out"], low=0)
        listed = "; ".join(f"{one.where}: {one.numbers}" for one in told)
        remark = f"Of questions that selected no one, in points: {listed}."
    what = (
        "A population under selection" if inheritance == "full" else "One that inherits texts alone"
    )
    return _found(
        id,
        f"{what} ends with a higher accuracy than single lineages.",
        source,
        judged(places["accuracy"], low=0),
        "needs single lineages and such a population, finished",
        remark,
    )


def _over_time(
    known: Populations, kind: Kind, where: str, name: str, since: int = 0
) -> list[Measured]:
    """Return the change of one kind's accuracy, if it was measured."""
    table = known.of(kind, "accuracy", name)
    if not len(table):
        return []
    numbers = " → ".join(_percent(table[since], table[known.generations]))
    return [_points(where, known.change(kind, "accuracy", name, since), numbers)]


def _lineages_fall(
    known: Populations, questions: Sequence[str], low: float | int, high: float | int
) -> Found:
    alone = known.lineage()
    places = [
        place
        for name in (questions if alone else [])
        for place in _over_time(known, alone, f"on {name}", name)  # pyright: ignore[reportArgumentType]
    ]
    return _found(
        "lineages-fall",
        "The accuracy of single lineages falls by more than two points.",
        "sec. 5.1, fig. 6",
        judged(places, 100 * low, 100 * high),
        "no finished single lineage",
    )


def _stays(known: Populations, id: str, what: str, low: float | int, high: float | int) -> Found:
    places = [
        place
        for kind in known.selected()
        for place in _over_time(known, kind, kind.label, kind.questions)
    ]
    source = "sec. 5.1, fig. 6" + (" (MMLU, MathQA)" if what == "improves" else "")
    return _found(
        id,
        f"The mean accuracy of a population under selection {what} by more than two points.",
        source,
        judged(places, 100 * low, 100 * high),
        "no finished population under selection by accuracy",
    )


def _larger(known: Populations) -> Found:
    places = []
    for small, large in itertools.combinations(known.selected(), 2):
        if small.questions == large.questions and small.population < large.population:
            change = known.differences(large, small, "accuracy", large.questions)
            where = f"N = {large.population} against {small.population} on {small.questions}"
            ends = (known.last(kind, "accuracy", kind.questions) for kind in (large, small))
            places.append(_points(where, change, "{} against {}".format(*_percent(*ends))))
    return _found(
        "larger-higher",
        "The larger of two populations ends with the higher accuracy.",
        "sec. 6.2, fig. 9",
        judged(places, low=0),
        "needs populations of two sizes under selection by accuracy, finished",
    )


def _small_declines(known: Populations) -> Found:
    places = [
        place
        for kind in known.selected()
        if kind.population == 4 and known.generations > 3
        for place in _over_time(known, kind, kind.label, kind.questions, since=3)
    ]
    return _found(
        "small-declines",
        "A population of 4 declines after generation 3.",
        "sec. 6.2, fig. 9",
        judged(places, high=0),
        "needs N = 4 and more than three generations, finished",
    )


def _counterparts(known: Populations) -> list[tuple[Kind, Kind]]:
    """Pair kinds with full and with data-only inheritance, all else equal."""
    full = {(k.population, k.questions): k for k in known.selected()}
    found = known.selected("data")
    return [
        (full[k.population, k.questions], k) for k in found if (k.population, k.questions) in full
    ]


_NO_PAIR = "needs populations with full and with data inheritance, finished"


def _full_above_data(known: Populations) -> Found:
    places = []
    for full, data in _counterparts(known):
        for t in range(1, known.generations + 1):
            ends = (known.of(kind, "accuracy", full.questions)[t] for kind in (full, data))
            change = known.differences(full, data, "accuracy", full.questions, t)
            where = f"N = {full.population}, {full.questions}, t = {t}"
            places.append(_points(where, change, "{} against {}".format(*_percent(*ends))))
    return _found(
        "full-above-texts",
        "In every generation who inherits weights and texts answers better than who inherits "
        "texts alone.",
        "app. F, fig. 12",
        judged(places, low=0),
        _NO_PAIR,
    )


def _widens(known: Populations) -> Found:
    places = []
    for full, data in _counterparts(known):
        if known.generations > 1:
            early, late = (
                known.differences(full, data, "accuracy", full.questions, t)
                for t in (1, known.generations)
            )
            numbers = "gap of " + " → ".join(_percent(early, late))
            places.append(
                _points(f"N = {full.population}, {full.questions}", late - early, numbers)
            )
    return _found(
        "gap-widens",
        "The advantage of inheriting weights widens over the generations.",
        "app. F, fig. 12",
        judged(places, low=0),
        _NO_PAIR,
    )


def _spread_kept(known: Populations, task: str) -> Found:
    places = []
    for kind in known.selected():
        table = known.of(kind, "spread_models", task)
        if len(table):
            first, last = table[0], table[known.generations]
            numbers = f"{first.mean():.2f} → {last.mean():.2f}"
            places.append(
                Measured(kind.label, (last / first.where(first > 0)).to_numpy(float), numbers)
            )
    return Found(
        "spread-kept",
        "What the models of a population write on one prompt stays spread out: at least half as "
        "far as at first.",
        "sec. 6.2, app. D.5, fig. 10 (the half is ours: the paper shows pictures)",
        judged(places, low=0.5),
        "no finished population under selection with fixed prompts",
        "share of the first spread",
    )


def _varied(known: Populations, task: str, remark: str) -> Found:
    alone = known.lineage()
    places = []
    for kind in known.selected() if alone else []:
        change = known.differences(kind, alone, "distinct_2", task)  # pyright: ignore[reportArgumentType]
        if len(change):
            places.append(Measured(kind.label, change.to_numpy(float)))
    return Found(
        "texts-more-varied",
        "The texts of each model of a population end more varied than a single lineage's "
        "(distinct-2).",
        "sec. 5.2, sec. 6.2",
        judged(places, low=0),
        "needs single lineages, a population and fixed prompts",
        "difference",
        remark,
    )
