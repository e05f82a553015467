"""What the models of a run wrote, generation by generation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commensal.explore._charts import View
from commensal.explore._controls import Control

_TEXTS = 12  # of one generation of one grid point
_LONGEST = 400  # characters of one


def texts_controls(folder: Path) -> tuple[Control, ...]:
    """Return the grid points and generations of which a run has kept texts; empty if of none.

    Raises
    ------
    ValueError
        If the folder holds no run.
    """
    if not (folder / "run.json").exists():  # a table alone has no texts
        return ()
    from commensal.llm.records.directory import RunDirectory
    from commensal.llm.records.results import config_of

    config, run = config_of(folder), RunDirectory(folder)
    points = tuple(one.name for one in config.grid() if run.branch(one.start).finished(0))
    if not points or not _written(folder, points[0], 0):
        return ()
    return (
        Control("point", "grid point", points),
        Control("generation", "generation", tuple(range(config.generations + 1))),
    )


def texts_view(folder: Path, point: str, generation: int) -> View:
    """Show some of the texts of one generation, as many of each model.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    found = _written(folder, point, generation)
    if not found:
        return View((f"At generation {generation} this grid point has no texts.",), ())
    shown = _spread(found)
    rows = [
        (
            str(one["model"] + 1),
            str(one["dataset"]),
            *(_cut(str(one[name])) for name in ("prompt", "completion")),
        )
        for one in shown
    ]
    said = (
        f"{len(shown)} of the {len(found):,} texts that the models wrote in generation "
        f"{generation}, cut after {_LONGEST} characters.",
    )
    return View(said, (), rows=(("model", "dataset", "prompt", "text"), *rows))


def _written(folder: Path, point: str, generation: int) -> list[dict[str, Any]]:
    from commensal.llm.records.directory import RunDirectory
    from commensal.llm.records.results import config_of

    at = next((one for one in config_of(folder).grid() if one.name == point), None)
    if at is None:
        raise ValueError(f"the run {folder.name} has no grid point {point!r}")
    branch = RunDirectory(folder).branch(point if generation else at.start)
    return branch.samples(generation) if branch.finished(generation) else []


def _spread(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first texts of each model and dataset in turn."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for one in found:
        groups.setdefault((one["model"], str(one["dataset"])), []).append(one)
    each = max(1, _TEXTS // len(groups))
    return [one for key in sorted(groups) for one in groups[key][:each]][:_TEXTS]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
