"""Whether the models of a run have learnt anything, and which of them diverged. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from commensal.llm.config import GridPoint
from commensal.llm.records.results import Stop

NEAR = 0.1  # nats; a change of a loss by so little counts as none
_SHOWN = 4


class Lesson(NamedTuple):
    """Knowledge that the models of one grid point have of their own tasks.

    Attributes
    ----------
    point : GridPoint
    nothing : bool
        At t = 0 one of them is no better than guessing: all tokens as likely.
    hardly : bool
        At t = 0 one of them is no better than the law of single tokens.
    lost : bool
        One of them was better than guessing at t = 0, and at the last generation is not.
    worst : tuple of (int, str, float, float)
        The model that is closest to the law of single tokens at t = 0: who, on what, its loss,
        and that law's.
    """

    point: GridPoint
    nothing: bool
    hardly: bool
    lost: bool
    worst: tuple[int, str, float, float]


def lessons(
    metrics: pd.DataFrame, points: Sequence[GridPoint], tasks: Sequence[str]
) -> list[Lesson]:
    """Judge what the models of each grid point have learnt, where it was measured.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives. Runs of older versions have not
        measured the losses of the two laws: nothing is said of them.
    points : sequence of GridPoint
    tasks : sequence of str
        The dataset that each model learns, in the models' order; one where all learn the same.
        Where communities are dealt out each model learns its own, whatever this says.
    """
    if metrics.empty:
        return []
    laws = {
        (metric, name): value
        for metric in ("unigram_loss", "uniform_loss")
        for name, value in metrics.loc[metrics["metric"] == metric, ["dataset", "value"]].to_numpy()
    }
    losses = metrics.loc[metrics["metric"] == "loss"]
    dealt = metrics.loc[metrics["metric"] == "own_blocks"]
    found = []
    for point in points:
        here, owned = losses, dealt
        for name, value in point.coordinates.items():
            here, owned = here.loc[here[name] == value], owned.loc[owned[name] == value]
        first, last = (here.loc[here["generation"] == t] for t in (0, here["generation"].max()))
        known = [_of(part, tasks, owned, laws) for part in (first, last)]
        if not known[0]:
            continue
        began = [(loss, uniform) for _, _, loss, _, uniform in known[0]]
        nothing = any(loss > uniform - NEAR for loss, uniform in began)
        ended = any(loss > uniform - NEAR for _, _, loss, _, uniform in known[1])
        worst = max(known[0], key=lambda row: row[2] - row[3])
        found.append(
            Lesson(
                point,
                nothing,
                worst[2] > worst[3] - NEAR,
                ended and not nothing,
                worst[:4],
            )
        )
    return found


def _of(
    part: pd.DataFrame,
    tasks: Sequence[str],
    dealt: pd.DataFrame,
    laws: dict[tuple[str, str], float],
) -> list[tuple[int, str, float, float, float]]:
    """Return each model's loss on its own task or communities, and those of the two laws."""
    some = dealt["value"].to_numpy(float) > 0
    owned = dealt.loc[some] if some.any() else dealt  # a lot has given each some of all
    whose = {(int(model), name) for model, name in owned[["model", "dataset"]].to_numpy()}
    rows = []
    for model, name, loss in part[["model", "dataset", "value"]].to_numpy():
        if whose:
            own = (int(model), name) in whose
        else:
            own = name == (tasks[int(model)] if len(tasks) > 1 else tasks[0])
        if own and ("uniform_loss", name) in laws:
            unigram, uniform = (laws[law, name] for law in ("unigram_loss", "uniform_loss"))
            rows.append((int(model), str(name), float(loss), float(unigram), float(uniform)))
    return rows


def warnings(
    known: Sequence[Lesson], stops: dict[str, Stop], shown: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield what a reader must know before any finding, as heading and sentence.

    Parameters
    ----------
    known : sequence of Lesson
    stops : dict
        Where grid points diverged, by name.
    shown : dict
        How grid points are called, by name.
    """
    if stops:
        told = [f"{shown[name]} at generation {s.generation}" for name, s in stops.items()]
        first, stop = next(iter(stops.items()))
        yield (
            "Diverged",
            f"{len(stops)} of {len(shown)} grid points, which stop there and are left out of the "
            f"findings: {_some(told)}. Of {shown[first]}, {stop.why}.",
        )
    blank = [one for one in known if one.nothing]
    if blank:
        yield (
            "Not trained",
            f"in {len(blank)} of {len(shown)} grid points a model is no better than guessing after "
            "its first training (all tokens as likely), so that nothing is found out by them: "
            f"{_some([shown[one.point.name] for one in blank])}. Change the learning rate, or "
            "the number of steps.",
        )
    hardly = [one for one in known if one.hardly and not one.nothing]
    if hardly:
        model, name, loss, law = max((one.worst for one in hardly), key=lambda w: w[2] - w[3])
        yield (
            "Hardly trained",
            f"in {len(hardly)} of {len(shown)} grid points a model knows hardly more than how "
            "often "
            f"each token occurs: model {model + 1} on {name} begins with a loss of {loss:.2f}, "
            f"the law of single tokens has {law:.2f}. Findings may tell of too few steps alone.",
        )
    lost = [one for one in known if one.lost]
    if lost:
        yield (
            "Lost",
            f"in {len(lost)} of {len(shown)} grid points a model ends no better than guessing on "
            "its "
            f"own task: {_some([shown[one.point.name] for one in lost])}. The texts may have "
            "collapsed, or the learning rate be too high.",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
