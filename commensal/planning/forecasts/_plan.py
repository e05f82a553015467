"""Choice of pilots before anything is trained but the base."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from commensal.answers import Answer, Answers
from commensal.pairing import RunSystem
from commensal.planning.forecasts._pilots import PREMISES, checked, training_ratio
from commensal.planning.forecasts._scalars import error_grid, expected_error

if TYPE_CHECKING:
    from commensal.llm.config import InteractiveConfig

_DIM, _TEXTS, _LAYER = 16, 1000, -1


class PilotPlan(NamedTuple):
    """Result of :func:`plan_pilots`.

    Attributes
    ----------
    table : pandas.DataFrame
        ``pilots`` and ``error``, the expected error of final changes as a share of what knowing
        nothing costs, the best first.
    answers : Answers
    pilots : tuple of (float, float)
        (α, β) of the best.
    """

    table: pd.DataFrame
    answers: Answers
    pilots: tuple[tuple[float, float], ...]


def plan_pilots(
    config: InteractiveConfig,
    *,
    count: int = 2,
    seen: int = 2,
    progress: Callable[[float, float], None] | None = None,
) -> PilotPlan:
    """Choose the pilots that tell most of all settings of a planned run, before it is trained.

    Parameters
    ----------
    config : InteractiveConfig
        Planned run. Its base is pretrained here, if it is no published one, and thrown away.
    count : int
        Number of pilots.
    seen : int
        Last generation that they are run to.
    progress : callable or None
        Called as ``progress(done, total)``.

    Returns
    -------
    PilotPlan

    Raises
    ------
    ValueError
        If the run is one that forecasts do not know, or has no more settings than pilots.
    """
    checked(config, "the configuration")
    return plan_of(
        planned_system(config),
        count=count,
        seen=seen,
        ratio=training_ratio(config),
        progress=progress,
    )


def plan_of(
    system: RunSystem,
    *,
    count: int = 2,
    seen: int = 2,
    ratio: float = 1.0,
    progress: Callable[[float, float], None] | None = None,
) -> PilotPlan:
    """Choose pilots for datasets that are given by their Gram matrices.

    Parameters
    ----------
    system : RunSystem
    count, seen, progress
        As in :func:`plan_pilots`.
    ratio : float
        Step size times steps of a generation, over that at t = 0.

    Returns
    -------
    PilotPlan
    """
    if not 1 <= count < len(system.alpha):
        raise ValueError(
            f"there must be fewer pilots than settings, {len(system.alpha)}; got {count}"
        )
    if not 1 <= seen < system.generations:
        raise ValueError(f"seen must lie between 1 and {system.generations - 1}, got {seen}")
    ranked = expected_error(error_grid(system, ratio, progress), count, seen)
    at = list(zip(system.alpha.tolist(), system.beta.tolist(), strict=True))
    rows = [(" and ".join(f"({at[p][0]:g}, {at[p][1]:g})" for p in one), e) for one, e in ranked]
    table = pd.DataFrame(rows, columns=["pilots", "error"])
    (best, least), (worst, most) = rows[0], rows[-1]
    answer = Answer(
        question="Which settings should be run first?",
        sentence=f"Run (α, β) = {best} to generation {seen}: final changes of all settings are "
        f"then expected to be missed by {least:.3f} of what knowing nothing costs, besides what "
        f"theory misses anyway; by {most:.3f} from {worst}, the worst choice.",
        name="error",
        value=least,
        source="I-optimal design: least mean variance of all forecasts, linearised in five scalars",
        premises=PREMISES,
        checked="forecasts from planned pilots, beside those from all others: "
        "docs/how-to/forecast.md",
    )
    settings = {"pilots": count, "seen": seen, "until": system.generations}
    told = Answers(title="Plan of a pilot", answers=(answer,), settings=settings)
    return PilotPlan(table, told, tuple(at[p] for p in ranked[0][0]))


def planned_system(config: InteractiveConfig) -> RunSystem:
    """Return the theory's inputs for a run that has not begun, from its texts and its base."""
    from commensal.llm.models.loading import base_model, tokenizer_for
    from commensal.llm.opening import corpora_of
    from commensal.llm.resources import RunResources
    from commensal.llm.session import device_of, quiet
    from commensal.pairing._grams import system_from

    one = config.of_replicate(0)
    corpora = corpora_of(one)
    public, *tasks = corpora[: 1 + len(one.tasks)]
    with quiet():
        tokenizer = tokenizer_for(one, corpora)
        base = base_model(one, tokenizer, public, device_of(one))
    base.eval()
    resources = RunResources(one, public, tasks, tokenizer, [base], None)
    points = [point for point in config.grid() if point.replicate == 0]
    return system_from(resources, config, points, {}, dim=_DIM, layer=_LAYER, texts=_TEXTS)[0]
