"""Shards of a run: each computes some grid points in a folder of its own, beside the run's.

    RUN.partial/
      shards.json           how many there are, and the command that makes them
      2-of-8/               a run's folder, with the grid points of shard 2

No two processes write in one folder, so that nothing depends on locks, which many network drives
do not keep. Needs no torch.
"""

from __future__ import annotations

import errno
import filecmp
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from commensal._part import Part, missing_parts, partial_folder, read_note
from commensal.llm.config import ExperimentConfig, GridPoint
from commensal.llm.records.branch import Branch
from commensal.llm.records.directory import RunDirectory, RunDirectoryError
from commensal.llm.records.lock import alone
from commensal.llm.records.results import config_of, metrics
from commensal.saving import append, staged

_SESSIONS = "environment.json"
_TIMINGS = "timings.jsonl"


def shard_folder(out: Path, part: Part) -> Path:
    """Return the folder of a shard; that of shard 0, which all others begin from, is the run's."""
    return partial_folder(out) / f"{part.index}-of-{part.count}" if part.index else out


def take_shared(directory: RunDirectory, config: dict[str, Any], starts: Sequence[str]) -> None:
    """Copy into a shard's folder the bases and starts that the run's own folder has, if any."""
    out = directory.path.parent
    run = RunDirectory(out.with_name(out.name.removesuffix(".partial")))
    if not (run.path / "run.json").exists() or run.note()["config"] != config:
        return
    for source in _made_before(run):
        _copied(source, directory.path / source.name)
    for start in starts:
        if run.branch(start).finished(0):
            _copied(run.branch(start).folder(0), directory.branch(start).folder(0))


def shard_of(path: Path) -> tuple[Path, Part] | None:
    """Return the run and the part that a shard's folder belongs to; None if it is of no shard."""
    found = re.fullmatch(r"(\d+)-of-(\d+)", path.name)
    beside = path.resolve().parent
    if found is None or beside.suffix != ".partial" or read_note(beside) is None:
        return None
    return beside.with_suffix(""), Part(int(found[1]), int(found[2]))


def join(out: Path, config: ExperimentConfig) -> pd.DataFrame:
    """Put the shards of a run into its folder; a kill leaves what the next call goes on from.

    Returns the metrics of the whole run, which are written too.

    Parameters
    ----------
    out : Path
        The run's folder.
    config : ExperimentConfig
        Its settings, of which only the grid is used.

    Raises
    ------
    MissingPartsError
        If a grid point is not finished in any of them.
    RunDirectoryError
        If they are not shards of one run, begin from unlike weights, or are being computed.
    """
    run, folder = RunDirectory(out), partial_folder(out)
    shards = [RunDirectory(path.parent) for path in sorted(folder.glob("*-of-*/run.json"))]
    for shard in shards:
        if shard.note()["identity"] != shards[0].note()["identity"]:
            raise RunDirectoryError(
                f"{str(shard.path)!r} and {str(shards[0].path)!r} are shards of unlike runs"
            )
    points = dealt(config)
    missing = {p.name for p in points if not _complete([*shards, run], config, p)}
    if missing:
        raise missing_parts(folder, [point.name for point in points], missing)
    with ExitStack() as held:
        for directory in (run, *shards):
            held.enter_context(alone(directory))
        moves = _moves(run, shards)
        for shard in shards[:1]:
            note = shard.note()
            run.create(note["config"], note["corpora"], config_of(shard.path).identifying())
        for target, source in moves.items():
            _moved(source, target)
        for shard in shards:
            for entry in json.loads((shard.path / _SESSIONS).read_text(encoding="utf-8")):
                run.add_environment(entry)
            if (shard.path / _TIMINGS).exists():
                append(run.path / _TIMINGS, (shard.path / _TIMINGS).read_text(encoding="utf-8"))
            shutil.rmtree(shard.path)
        found = metrics(out)
        run.write_metrics(found)
    shutil.rmtree(folder)
    return found


def dealt(config: ExperimentConfig) -> list[GridPoint]:
    """List the grid points in the order in which shards share them.

    Those that share texts and base stand beside each other: a worker holds one set of them.
    """
    return sorted(config.grid(), key=config.resources_of)


def _made_before(directory: RunDirectory) -> Iterator[Path]:
    """Yield the folders of tokenizers and bases."""
    for name in ("tokenizer", "base"):
        yield from sorted(directory.path.glob(f"{name}*/"))


def _complete(places: Sequence[RunDirectory], config: ExperimentConfig, point: GridPoint) -> bool:
    """Return whether all generations of a grid point are somewhere, or those before it diverged."""

    def found(name: str, generation: int) -> Branch | None:
        branches = [place.branch(name) for place in places]
        return next((b for b in branches if b.finished(generation)), None)

    for t in range(config.generations + 1):
        branch = found(point.name if t else point.start, t)
        if branch is None:
            return False
        if branch.diverged(t):
            return True
    return True


def _moves(run: RunDirectory, shards: Sequence[RunDirectory]) -> dict[Path, Path]:
    """Return by its new place each finished folder; check that what several shards have is one."""
    found: dict[Path, Path] = {}
    for shard in shards:
        generations = sorted((shard.path / "generations").glob("*/*/done.json"))
        for source in (*_made_before(shard), *(done.parent for done in generations)):
            target = run.path / source.relative_to(shard.path)
            first = target if target.exists() else found.setdefault(target, source)
            if first != source:
                _check_same(source, first)
    return found


def _moved(source: Path, target: Path) -> None:
    """Move a finished folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copied(source, target)


def _copied(source: Path, target: Path) -> None:
    if not target.exists():
        with staged(target) as temporary:
            shutil.copytree(source, temporary, dirs_exist_ok=True)


def _check_same(source: Path, target: Path) -> None:
    """Raise RunDirectoryError unless two finished folders hold the same."""
    # of a generation the hashes are enough: weights that one shard has let go may be there still
    done = (source / "done.json").exists()
    names = ["done.json"] if done else sorted(path.name for path in target.iterdir())
    _, unlike, lost = filecmp.cmpfiles(source, target, names, shallow=False)
    if unlike or lost:
        raise RunDirectoryError(
            f"{str(source / (unlike + lost)[0])!r} is not what {str(target)!r} has: shards began "
            "from unlike weights, on unlike machines; compute first what they share (--shard 0/N)"
        )
