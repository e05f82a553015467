"""Pairing of the linear theory with every replicate of a run, and what all of them say together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from commensal.pairing._beside import with_verdicts
from commensal.pairing._pair_run import RunPairing, pair_run
from commensal.pairing._text import verdicts

_SHOWN = {
    "finite": "finite training",
    "minimiser": "minimiser",
    "table_of_means": "table of means",
    "rule": "rule",
    "mean": "mean of the other settings",
}
_MEASURES = {
    "rank_over_points": "rank over settings",
    "sign": "directions",
    "r_squared_of_changes": "R² of changes",
}


class ReplicatesPairing(NamedTuple):
    """Result of :func:`pair_replicates`.

    Attributes
    ----------
    pairings : dict of RunPairing
        Of each replicate, by its number.
    scores : pandas.DataFrame
        Columns ``prediction``, ``measure``, ``value`` (mean over replicates), ``low`` and ``high``
        (Student's 95 % interval over them, corrected for the number of rows), ``replicates``.
    beside : pandas.DataFrame
        How much finite training is ahead of each baseline, as ``RunPairing.beside`` has it, but
        with replicates in the place of cells.
    text : str
        What was found, in words.
    """

    pairings: dict[int, RunPairing]
    scores: pd.DataFrame
    beside: pd.DataFrame
    text: str


def pair_replicates(
    folder: str | Path,
    *,
    progress: Callable[[float, float], None] | None = None,
    **options: Any,
) -> ReplicatesPairing:
    """Lay interactive linear regression over each replicate of a run of language models.

    A replicate has a base, texts and tests of its own (unless the run's ``replicate`` is
    training), so that an interval over replicates holds for runs of this kind, where one over the
    cells of a single run holds for nothing but its own draws.

    Parameters
    ----------
    folder : str or Path
        Folder of the run.
    progress : callable or None
        Called as ``progress(done, total)``.
    **options
        Those of :func:`pair_run`, but ``replicate``.

    Returns
    -------
    ReplicatesPairing

    Raises
    ------
    ValueError
        If the run has one replicate, or a replicate cannot be paired.
    """
    from commensal.llm.config import InteractiveConfig
    from commensal.llm.records.results import config_of

    count = config_of(folder, InteractiveConfig).replicates
    if count < 2:
        raise ValueError(f"{str(folder)!r} has one replicate; pair_run pairs it")

    found = {}
    for replicate in range(count):

        def advance(done: float | int, total: float | int, at: int = replicate) -> None:
            if progress is not None:
                progress(at + done / total, float(count))

        found[replicate] = pair_run(folder, replicate=replicate, progress=advance, **options)
    return joined(found)


def joined(pairings: dict[int, RunPairing]) -> ReplicatesPairing:
    """Say what the pairings of several replicates say together."""
    held_out = any("finite_held_out" in one.rows for one in pairings.values())
    ending = "_held_out" if held_out else ""
    rows = []
    no_rank = {"mean"}  # held out, what is the mean of the others ranks in reverse
    if held_out and all(one.system.networks and _one_mix(one) for one in pairings.values()):
        no_rank |= {"table_of_means", "rule"}
    for replicate, one in pairings.items():
        table = one.table.set_index("prediction")
        for name in _SHOWN:
            for measure in _MEASURES:
                ranks = measure == "rank_over_points"
                if name + ending in table.index and not (ranks and name in no_rank):
                    value = table.loc[name + ending, measure]
                    rows.append((replicate, name, measure, value))
    each = pd.DataFrame(rows, columns=["replicate", "prediction", "measure", "value"])
    scores = _over(each, ["prediction", "measure"], "value")
    scores = scores.rename(columns={"lead": "value", "cells": "replicates"})
    scores = scores.drop(columns=["spread", "verdict"])
    leads = pd.concat([one.beside.assign(replicate=r) for r, one in pairings.items()])
    together = _over(leads, ["scope", "baseline", "measure"], "lead")
    return ReplicatesPairing(pairings, scores, together, _text(scores, together, held_out))


def _one_mix(pairing: RunPairing) -> bool:
    """Return whether all grid points have one α and one β."""
    return len(set(zip(pairing.system.alpha, pairing.system.beta, strict=True))) == 1


def _over(rows: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Return means over replicates with intervals; NaN where one replicate has no number."""
    groups = rows.groupby(by, sort=False)
    means = {
        name: groups[name].agg(lambda values: values.mean(skipna=False))
        for name in ("theory", "other")
        if name in rows
    }
    lead = groups[value].agg(lambda values: values.mean(skipna=False))
    found = pd.DataFrame(
        means | {"lead": lead, "spread": groups[value].std(), "cells": groups[value].size()}
    )
    return with_verdicts([found.reset_index()])


def _text(scores: pd.DataFrame, together: pd.DataFrame, held_out: bool) -> str:
    count = max(scores["replicates"].tolist())
    what = "grid points held out" if held_out else "the grid points fitted to"
    lines = [
        f"{count} replicates, on {what}: mean over replicates, with Student's 95 % interval over "
        "them,",
        f"corrected for {len(scores)} numbers.",
        "",
        "".join(["  " + " " * 28, *(f"{text:26}" for text in _MEASURES.values())]).rstrip(),
    ]
    at = scores.set_index(["prediction", "measure"])
    for name, shown in _SHOWN.items():
        cells = []
        for measure in _MEASURES:
            text = "–"
            if (name, measure) in at.index:
                row = at.loc[(name, measure)]
                text = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
            cells.append(f"{text:26}")
        if any(cell.strip() != "–" for cell in cells):
            lines.append(f"  {shown:28}{''.join(cells)}".rstrip())
    said = verdicts(together, "replicates")
    return "\n".join([*lines, "", "Finite training beside baselines:", *said]) + "\n"
