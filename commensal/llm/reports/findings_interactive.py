"""Published findings about interacting models, judged by a run. Needs no torch.

Paper `interactive`, sec. 6 and app. C: Tables 2, 7 and 8 for losses, Table 3 for similarities. A
change of a loss by at most 0.1 nats counts as none, as there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import pandas as pd

from commensal.llm.reports._verdicts import TIE, Found, Instance, arrow, higher, signed

CONSTANT = 0.1  # nats
_ROUNDING = 1e-9  # 2.9 - 2.8 is 0.1


class Outcomes:
    """First and last values of each loss and measure, by grid point.

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
        self.losses: dict[tuple[float, float, int, str], tuple[float, float]] = {}
        self.likeness: dict[tuple[float, float, int, int, str], tuple[float, float]] = {}
        if not generations or metrics.empty:
            return
        ends = metrics.loc[
            metrics["generation"].isin((0, generations))
            & metrics["metric"].isin(("loss", "similarity"))
        ]
        for key, part in ends.groupby(["metric", "alpha", "beta", "model", "dataset"]):
            metric, alpha, beta, model, name = key  # pyright: ignore[reportGeneralTypeIssues]
            if metric == "loss":
                values = dict(zip(part["generation"], part["value"], strict=True))
                if len(values) == 2:
                    self.losses[alpha, beta, int(model), name] = values[0], values[generations]
                continue
            for other, pair in part.groupby("other"):
                values = dict(zip(pair["generation"], pair["value"], strict=True))
                if len(values) == 2:
                    at = alpha, beta, int(model), int(other), name  # pyright: ignore[reportArgumentType]
                    self.likeness[at] = values[0], values[generations]

    @property
    def points(self) -> list[tuple[float, float]]:
        """Return the finished pairs of α and β."""
        return list(dict.fromkeys((alpha, beta) for alpha, beta, _, _ in self.losses))

    def cells(self, alpha: float, own: bool) -> Iterator[tuple[str, float, float]]:
        """Yield place, first and last loss, at one α and every β > 0."""
        for (a, beta, k, name), (first, last) in self.losses.items():
            if a == alpha and beta > 0 and name in self.tasks and (self.tasks[k] == name) == own:
                yield f"model {k + 1} on {name}, β = {beta:g}", first, last

    def mean_final(self, alpha: float, beta: float, *, public: bool = False) -> float:
        """Return the mean of the final losses over models and tasks."""
        names = [*self.tasks, self.public] if public else self.tasks
        found = [
            self.losses[alpha, beta, k, name][1]
            for k, name in itertools.product(range(len(self.tasks)), names)
        ]
        return sum(found) / len(found)


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
    falls = ("falls by more than 0.1", lambda change: change < -CONSTANT - _ROUNDING)
    rises = ("rises by more than 0.1", lambda change: change > CONSTANT + _ROUNDING)
    stays = ("stays within 0.1", lambda change: abs(change) <= CONSTANT + _ROUNDING)
    no_fall = ("stays within 0.1 or rises", lambda change: change >= -CONSTANT - _ROUNDING)
    no_rise = ("rises by no more than 0.1", lambda change: change <= CONSTANT + _ROUNDING)
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
    holds: Callable[[float], bool],
) -> Found:
    cells = list(outcomes.cells(alpha, own))
    instances = [
        Instance(where, f"{arrow(first, last)} ({signed(change)})", change, holds(change))
        for where, first, last in cells
        for change in (last - first,)
    ]
    missing = f"no finished grid point with α = {alpha:g} and β > 0"
    if not own and len(outcomes.tasks) == 1:
        missing = "K = 1: there is no other task"
    fallen = [last - first < -CONSTANT - _ROUNDING for _, first, last in cells]
    remark = ""
    if what.startswith("stays within") and own and cells and any(fallen):
        remark = (
            f"{sum(fallen)} of {len(cells)} losses fall by more: generation 0 had not learnt its "
            "task to the end."
        )
    whose = "one's own task" if own else "another's task"
    statement = f"At α = {alpha:g} the loss on {whose} {what}."
    return Found(
        id, statement, "Tables 2, 7, 8 (β > 0)", tuple(instances), missing, "change", remark
    )


def _homogenisation(outcomes: Outcomes) -> Found:
    instances = []
    for (alpha, beta, a, b, name), (_, last) in outcomes.likeness.items():
        without = outcomes.likeness.get((0.0, beta, a, b, name))
        if alpha > 0 and beta > 0 and name in outcomes.tasks and without is not None:
            where = f"models {a + 1}, {b + 1} on {name}, α = {alpha:g}, β = {beta:g}"
            numbers = f"{last:.2f} against {without[1]:.2f} at α = 0".replace("-", "\N{MINUS SIGN}")
            instances.append(higher(where, numbers, last - without[1]))
    return Found(
        "homogenisation",
        "With α > 0 the models' texts on private prompts end more alike than with α = 0.",
        "Table 3 (β > 0)",
        tuple(instances),
        _without_likeness(outcomes, "no finished grid points with α = 0 and α > 0 at one β > 0"),
        "difference",
    )


def _public(outcomes: Outcomes) -> Found:
    instances = [
        higher(
            f"models {a + 1}, {b + 1} at α = {alpha:g}, β = {beta:g}",
            arrow(first, last),
            last - first,
        )
        for (alpha, beta, a, b, name), (first, last) in outcomes.likeness.items()
        if beta > 0 and name == outcomes.public
    ]
    return Found(
        "public-homogenisation",
        "On public prompts the models' texts grow more alike, whatever α.",
        "Table 3 (β > 0)",
        tuple(instances),
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
    points = outcomes.points
    instances: list[Instance] = []
    remark = "Of the paper's own Llama runs, (0.5, 1) ends lower: 2.05 against 2.15 (Table 7)."
    if (0.5, 0.5) in points and len(points) > 1:
        means = {at: outcomes.mean_final(*at) for at in points}
        half = means.pop((0.5, 0.5))
        # one that is not finite comes first: which is the least is not known then
        best = min(means, key=lambda at: means[at] if math.isfinite(means[at]) else -math.inf)
        numbers = f"{half:.2f}; the least of the others {means[best]:.2f} at α = {best[0]:g}, "
        numbers += f"β = {best[1]:g}"
        where = "mean over models and tasks"
        above = half - means[best]
        if abs(above) <= _ROUNDING:
            numbers += ", a tie"
        # of numbers that are printed with two digits, the least may be there twice; but where
        # all are equal, none is the least
        tie = max(map(abs, (half - mean for mean in means.values()))) <= _ROUNDING
        instances.append(Instance(where, numbers, above, None if tie else above <= _ROUNDING, TIE))
        with_public = {at: _mean_or_none(outcomes, at) for at in points}
        known = {at: value for at, value in with_public.items() if value is not None}
        if len(known) == len(points) and all(map(math.isfinite, known.values())):
            first = min(known, key=lambda at: known[at])
            ends = f"α = {first[0]:g}, β = {first[1]:g} ends lowest ({known[first]:.2f}"
            if first != (0.5, 0.5):
                ends += f"; α = β = 0.5: {known[0.5, 0.5]:.2f}"
            remark = f"With the losses on the public data counted too, {ends}). {remark}"
    return Found(
        "best",
        "α = β = 0.5 ends with the least mean loss of the grid.",
        "sec. 6; app. C",
        tuple(instances),
        "needs α = β = 0.5 and another grid point, finished",
        "difference to the best of the others",
        remark,
    )


def _mean_or_none(outcomes: Outcomes, at: tuple[float, float]) -> float | None:
    try:
        return outcomes.mean_final(*at, public=True)
    except KeyError:  # the published tables have no public losses
        return None
