"""Published findings about interacting models, judged by a run. Needs no torch.

Paper `interactive`, sec. 6 and app. C: Tables 2, 7 and 8 for losses, Table 3 for similarities. A
change of a loss by at most 0.1 nats counts as none, as there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from commensal.llm.reports._verdicts import Found, Measured, arrow, judged

CONSTANT = 0.1  # nats
_LEAST = 1e-8  # above rounding: 2.9 - 2.8 is no more than 0.1


class Outcomes:
    """First and last values of each loss and measure, by grid point and replicate.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the interactive workflow.
    datasets : sequence of str
        The models' own tasks in the models' order, the public dataset last.
    generations : int
        T. Grid points that have not come so far are left out.
    """

    def __init__(self, metrics: pd.DataFrame, datasets: Sequence[str], generations: int) -> None:
        self.tasks, self.public = list(datasets[:-1]), datasets[-1]
        self.losses: dict[tuple[float, float, int, str], dict[int, Ends]] = {}
        self.likeness: dict[tuple[float, float, int, int, str], dict[int, Ends]] = {}
        if not generations or metrics.empty:
            return
        ends = metrics.loc[
            metrics["generation"].isin((0, generations))
            & metrics["metric"].isin(("loss", "similarity"))
        ]
        by = ["metric", "alpha", "beta", "model", "dataset", "replicate"]
        for key, part in ends.groupby(by):
            metric, alpha, beta, model, name, replicate = key  # pyright: ignore[reportGeneralTypeIssues]
            others = [(0, part)] if metric == "loss" else list(part.groupby("other"))
            for other, pair in others:
                values = dict(zip(pair["generation"], pair["value"], strict=True))
                if len(values) < 2:
                    continue
                two = Ends(values[0], values[generations])
                if metric == "loss":
                    found = self.losses.setdefault((alpha, beta, int(model), name), {})
                else:
                    at = alpha, beta, int(model), int(other), name  # pyright: ignore[reportArgumentType]
                    found = self.likeness.setdefault(at, {})
                found[int(replicate)] = two

    @property
    def points(self) -> list[tuple[float, float]]:
        """Return the finished pairs of α and β."""
        return list(dict.fromkeys((alpha, beta) for alpha, beta, _, _ in self.losses))

    def changes(self, alpha: float, own: bool) -> list[Measured]:
        """List the changes of losses, at one α and every β > 0."""
        return [
            Measured(f"model {k + 1} on {name}, β = {beta:g}", _changes(ends), _arrow(ends))
            for (a, beta, k, name), ends in self.losses.items()
            if a == alpha and beta > 0 and name in self.tasks and (self.tasks[k] == name) == own
        ]

    def means_final(
        self, alpha: float, beta: float, *, public: bool = False
    ) -> dict[int, float] | None:
        """Return each replicate's mean of the final losses over models and tasks.

        None if a loss is missing: the published tables have none of the public data.
        """
        names = [*self.tasks, self.public] if public else self.tasks
        cells = itertools.product(range(len(self.tasks)), names)
        found = [self.losses.get((alpha, beta, k, name)) for k, name in cells]
        if None in found:
            return None
        known = [ends for ends in found if ends is not None]
        return {r: sum(ends[r].last for ends in known) / len(known) for r in _common(*known)}


class Ends(NamedTuple):
    """First and last value of one replicate."""

    first: float
    last: float


def _common(*found: Mapping[int, object]) -> list[int]:
    """List the replicates that all have."""
    return sorted(set.intersection(*(set(one) for one in found)))


def _changes(ends: Mapping[int, Ends]) -> list[float]:
    return [one.last - one.first for one in ends.values()]


def _arrow(ends: Mapping[int, Ends]) -> str:
    return arrow(*(sum(values) / len(ends) for values in zip(*ends.values(), strict=True)))


def find(metrics: pd.DataFrame, datasets: Sequence[str], generations: int) -> list[Found]:
    """Return the published findings, each with this run's verdict.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the interactive workflow.
    datasets : sequence of str
        The models' own tasks in the models' order, the public dataset last.
    generations : int
        T. Grid points that have not come so far are left out.

    Returns
    -------
    list of Found
    """
    outcomes = Outcomes(metrics, datasets, generations)
    falls = ("falls by more than 0.1", -math.inf, -CONSTANT - _LEAST)
    rises = ("rises by more than 0.1", CONSTANT + _LEAST, math.inf)
    stays = ("stays within 0.1", -CONSTANT, CONSTANT)
    no_fall = ("stays within 0.1 or rises", -CONSTANT, math.inf)
    no_rise = ("rises by no more than 0.1", -math.inf, CONSTANT)
    return [
        _losses(outcomes, "half-other", 0.5, False, *falls),
        _losses(outcomes, "half-own", 0.5, True, *stays),
        _losses(outcomes, "one-own", 1.0, True, *rises),
        _losses(outcomes, "zero-other", 0.0, False, *no_fall),
        _losses(outcomes, "zero-own", 0.0, True, *no_rise),
        _homogenisation(outcomes),
        _public(outcomes),
        _best(outcomes),
    ]


def _losses(
    outcomes: Outcomes,
    id: str,
    alpha: float,
    own: bool,
    what: str,
    low: float | int,
    high: float | int,
) -> Found:
    places = outcomes.changes(alpha, own)
    instances = judged(places, low, high)
    missing = f"no finished grid point with α = {alpha:g} and β > 0"
    if not own and len(outcomes.tasks) == 1:
        missing = "K = 1: there is no other task"
    fallen = [one.value < -CONSTANT - _LEAST for one in instances]
    remark = ""
    if what.startswith("stays within") and own and any(fallen):
        remark = (
            f"{sum(fallen)} of {len(fallen)} losses fall by more: generation 0 had not learnt its "
            "task to the end."
        )
    whose = "one's own task" if own else "another's task"
    statement = f"At α = {alpha:g} the loss on {whose} {what}."
    return Found(id, statement, "Tables 2, 7, 8 (β > 0)", instances, missing, "change", remark)


def _homogenisation(outcomes: Outcomes) -> Found:
    places = []
    for (alpha, beta, a, b, name), ends in outcomes.likeness.items():
        without = outcomes.likeness.get((0.0, beta, a, b, name))
        if alpha > 0 and beta > 0 and name in outcomes.tasks and without is not None:
            where = f"models {a + 1}, {b + 1} on {name}, α = {alpha:g}, β = {beta:g}"
            values = [ends[r].last - without[r].last for r in _common(ends, without)]
            places.append(Measured(where, values, "against α = 0"))
    return Found(
        "homogenisation",
        "With α > 0 the models' texts on private prompts end more alike than with α = 0.",
        "Table 3 (β > 0)",
        judged(places, low=0),
        _without_likeness(outcomes, "no finished grid points with α = 0 and α > 0 at one β > 0"),
        "difference",
    )


def _public(outcomes: Outcomes) -> Found:
    places = [
        Measured(
            f"models {a + 1}, {b + 1} at α = {alpha:g}, β = {beta:g}", _changes(ends), _arrow(ends)
        )
        for (alpha, beta, a, b, name), ends in outcomes.likeness.items()
        if beta > 0 and name == outcomes.public
    ]
    return Found(
        "public-homogenisation",
        "On public prompts the models' texts grow more alike, whatever α.",
        "Table 3 (β > 0)",
        judged(places, low=0),
        _without_likeness(outcomes, "no finished grid point with β > 0"),
        "change",
    )


def _without_likeness(outcomes: Outcomes, otherwise: str) -> str:
    if len(outcomes.tasks) == 1:
        return "K = 1: there is no other model"
    if outcomes.losses and not outcomes.likeness:
        return "the run has no fixed prompts (measurement.prompts: 0)"
    return otherwise


def _best(outcomes: Outcomes) -> Found:
    remark = "Of the paper's own Llama runs, (0.5, 1) ends lower: 2.05 against 2.15 (Table 7)."
    means = {at: outcomes.means_final(*at) for at in outcomes.points}
    half = means.pop((0.5, 0.5), None)
    places = [
        Measured(
            f"against α = {at[0]:g}, β = {at[1]:g}",
            [half[r] - mean[r] for r in _common(half, mean)],
        )
        for at, mean in means.items()
        if half is not None and mean is not None
    ]
    public = {at: outcomes.means_final(*at, public=True) for at in outcomes.points}
    known = {at: sum(v.values()) / len(v) for at, v in public.items() if v}
    if places and len(known) == len(public) and all(map(math.isfinite, known.values())):
        first = min(known, key=lambda at: known[at])
        ends = f"α = {first[0]:g}, β = {first[1]:g} ends lowest ({known[first]:.2f}"
        if first != (0.5, 0.5):
            ends += f"; α = β = 0.5: {known[0.5, 0.5]:.2f}"
        remark = f"With the losses on the public data counted too, {ends}). {remark}"
    return Found(
        "best",
        "α = β = 0.5 ends with the least mean loss of the grid.",
        "sec. 6; app. C",
        judged(places, high=0),
        "needs α = β = 0.5 and another grid point, finished",
        "difference to another",
        remark,
    )
