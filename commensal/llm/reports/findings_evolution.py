"""Published findings about evolving populations, judged by a run. Needs no torch.

Paper `pollination`, sec. 5 and 6, app. F: figures 6, 9, 10 and 12. The paper gives no numbers, so
that signs are what can be compared; a change of accuracy by at most two points counts as none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pandas as pd

from commensal.llm.measures.ngrams import amounts
from commensal.llm.reports._populations import Kind, Populations
from commensal.llm.reports._verdicts import Found, Instance, higher, signed

CONSTANT = 0.02  # of accuracy
_ROUNDING = 1e-9


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
    return [
        _above_lineages(known, "evolution-above-lineage", "full", "fig. 6"),
        _lineages_fall(known, questions),
        _stays(known, "evolution-stays", "does not fall", lambda c: c >= -CONSTANT - _ROUNDING),
        _stays(known, "evolution-improves", "improves", lambda c: c > CONSTANT + _ROUNDING),
        _larger(known),
        _small_declines(known),
        _full_above_data(known),
        _above_lineages(known, "texts-above-lineage", "data", "app. F, fig. 12"),
        _widens(known),
        _spread_kept(known, task),
        _varied(known, task, amounts(set(metrics["metric"]) if len(metrics) else ())),
    ]


def _points(value: float) -> str:
    return f"{100 * value:.1f} %"


def _found(
    id: str, statement: str, source: str, instances: list[Instance], missing: str, remark: str = ""
) -> Found:
    return Found(id, statement, source, tuple(instances), missing, "points", remark)


def _instance(where: str, numbers: str, change: float, holds: bool) -> Instance:
    return Instance(where, f"{numbers} ({signed(100 * change)} points)", 100 * change, holds)


def _higher(where: str, numbers: str, change: float) -> Instance:
    """Judge whether one accuracy is above another."""
    if abs(change) <= _ROUNDING:
        change = 0.0
    return higher(where, f"{numbers} ({signed(100 * change)} points)", 100 * change)


def _mean(values: pd.Series) -> float:
    """Return the mean, or NaN if one value is: the others would be no fair sample."""
    return float(values.mean(skipna=False))


def _above_lineages(known: Populations, id: str, inheritance: str, source: str) -> Found:
    alone = known.lineage()
    instances, held_out = [], []
    for kind in known.selected(inheritance) if alone else []:
        for metric in ("accuracy", "accuracy_held_out"):
            here = known.last(kind, metric, kind.questions)
            there = known.last(alone, metric, kind.questions) if alone else here
            if here.empty or there.empty:
                continue
            change = _mean(here) - _mean(there)
            numbers = f"{_points(_mean(here))} against {_points(_mean(there))}"
            numbers += f" ({_points(there.min())} to {_points(there.max())})"
            if metric == "accuracy":
                instances.append(_higher(kind.label, numbers, change))
            else:
                held_out.append(f"{kind.label}: {signed(100 * change)}")
    remark = ""
    if held_out:
        remark = f"Of questions that selected no one, in points: {'; '.join(held_out)}."
    what = (
        "A population under selection" if inheritance == "full" else "One that inherits texts alone"
    )
    return _found(
        id,
        f"{what} ends with a higher accuracy than single lineages.",
        source,
        instances,
        "needs single lineages and such a population, finished",
        remark,
    )


def _lineages_fall(known: Populations, questions: Sequence[str]) -> Found:
    alone = known.lineage()
    instances = []
    for name in questions if alone else []:
        for which, first, last in known.ends(alone, "accuracy", name):  # pyright: ignore[reportArgumentType]
            numbers = f"{_points(first)} → {_points(last)}"
            change = last - first
            holds = change < -CONSTANT - _ROUNDING
            instances.append(_instance(f"{which} on {name}", numbers, change, holds))
    return _found(
        "lineages-fall",
        "The accuracy of single lineages falls by more than two points.",
        "sec. 5.1, fig. 6",
        instances,
        "no finished single lineage",
    )


def _stays(known: Populations, id: str, what: str, holds: Callable[[float], bool]) -> Found:
    instances = []
    for kind in known.selected():
        for which, first, last in known.ends(kind, "accuracy", kind.questions):
            numbers = f"{_points(first)} → {_points(last)}"
            where, change = f"{kind.label}, {which}", last - first
            instances.append(_instance(where, numbers, change, holds(change)))
    source = "sec. 5.1, fig. 6" + (" (MMLU, MathQA)" if what == "improves" else "")
    return _found(
        id,
        f"The mean accuracy of a population under selection {what} by more than two points.",
        source,
        instances,
        "no finished population under selection by accuracy",
    )


def _larger(known: Populations) -> Found:
    instances = []
    for small, large in itertools.combinations(known.selected(), 2):
        if small.questions == large.questions and small.population < large.population:
            here = _mean(known.last(large, "accuracy", large.questions))
            there = _mean(known.last(small, "accuracy", small.questions))
            where = f"N = {large.population} against {small.population} on {small.questions}"
            numbers = f"{_points(here)} against {_points(there)}"
            instances.append(_higher(where, numbers, here - there))
    return _found(
        "larger-higher",
        "The larger of two populations ends with the higher accuracy.",
        "sec. 6.2, fig. 9",
        instances,
        "needs populations of two sizes under selection by accuracy, finished",
    )


def _small_declines(known: Populations) -> Found:
    instances = []
    for kind in known.selected():
        if kind.population == 4 and known.generations > 3:
            means = known.means(kind, "accuracy", kind.questions)
            change = means[-1] - means[3]
            numbers = f"{_points(means[3])} → {_points(means[-1])}"
            instances.append(_instance(kind.label, numbers, change, change < 0))
    return _found(
        "small-declines",
        "A population of 4 declines after generation 3.",
        "sec. 6.2, fig. 9",
        instances,
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
    instances = []
    for full, data in _counterparts(known):
        first = known.means(full, "accuracy", full.questions)
        second = known.means(data, "accuracy", full.questions)
        for t in range(1, known.generations + 1):
            change = first[t] - second[t]
            numbers = f"{_points(first[t])} against {_points(second[t])}"
            where = f"N = {full.population}, {full.questions}, t = {t}"
            instances.append(_higher(where, numbers, change))
    return _found(
        "full-above-texts",
        "In every generation who inherits weights and texts answers better than who inherits "
        "texts alone.",
        "app. F, fig. 12",
        instances,
        _NO_PAIR,
    )


def _widens(known: Populations) -> Found:
    instances = []
    for full, data in _counterparts(known):
        first = known.means(full, "accuracy", full.questions)
        second = known.means(data, "accuracy", full.questions)
        if known.generations > 1:
            early, late = (first[t] - second[t] for t in (1, -1))
            change = late - early
            numbers = f"gap of {_points(early)} → {_points(late)}"
            where = f"N = {full.population}, {full.questions}"
            instances.append(_instance(where, numbers, change, change > 0))
    return _found(
        "gap-widens",
        "The advantage of inheriting weights widens over the generations.",
        "app. F, fig. 12",
        instances,
        _NO_PAIR,
    )


def _spread_kept(known: Populations, task: str) -> Found:
    instances = []
    for kind in known.selected():
        for which, first, last in known.ends(kind, "spread_models", task):
            share = last / first if first else float("nan")
            numbers = f"{first:.2f} → {last:.2f}, {share:.0%}"
            instances.append(Instance(f"{kind.label}, {which}", numbers, share, share >= 0.5))
    return Found(
        "spread-kept",
        "What the models of a population write on one prompt stays spread out: at least half as "
        "far as at first.",
        "sec. 6.2, app. D.5, fig. 10 (the half is ours: the paper shows pictures)",
        tuple(instances),
        "no finished population under selection with fixed prompts",
        "share of the first spread",
    )


def _varied(known: Populations, task: str, remark: str) -> Found:
    alone = known.lineage()
    instances = []
    for kind in known.selected() if alone else []:
        here = known.last(kind, "distinct_2", task).dropna()
        there = known.last(alone, "distinct_2", task).dropna() if alone else here
        if len(here) and len(there):
            change = _mean(here) - _mean(there)
            numbers = f"{_mean(here):.3f} against {_mean(there):.3f}"
            instances.append(higher(kind.label, numbers, change))
    return Found(
        "texts-more-varied",
        "The texts of each model of a population end more varied than a single lineage's "
        "(distinct-2).",
        "sec. 5.2, sec. 6.2",
        tuple(instances),
        "needs single lineages, a population and fixed prompts",
        "difference",
        remark,
    )
