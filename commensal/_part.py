"""Divide work over processes and machines: each computes a part of the chunks that files keep."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from commensal.saving import write

T = TypeVar("T")
_NOTE = "shards.json"


@dataclass(frozen=True, slots=True)
class Part:
    """Part ``index`` of ``count`` of a list of work: neighbours, as equal in number as can be.

    Examples
    --------
    >>> [Part(i, 3).of("abcde") for i in (1, 2, 3)]
    ['a', 'bc', 'de']
    >>> print(Part.parse("2/8"))
    2/8
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str, first: int = 1) -> Part:
        """Read ``i/n``.

        Raises
        ------
        ValueError
            If it is none, or ``i`` is not from ``first`` to n.
        """
        try:
            index, count = map(int, text.split("/"))
        except ValueError:
            index, count = 0, 0
        if not first <= index <= count or count < 1:
            raise ValueError(
                f"--shard: write i/n, as in 2/8, with i from {first} to n, got {text!r}"
            )
        return cls(index, count)

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """Return the items of this part."""
        first, stop = (len(items) * i // self.count for i in (self.index - 1, self.index))
        return items[max(first, 0) : stop]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


class _Mode(NamedTuple):
    part: Part | None
    """Part that is computed; None: nothing is, all must be there."""
    command: Sequence[str] = ()


class Listed(NamedTuple):
    """Chunks of some work, and those of them that are not finished."""

    names: list[str]
    missing: set[str]


class MissingPartsError(ValueError):
    """Chunks are put together, and some are missing; the message has the command for them."""


_mode: ContextVar[_Mode | None] = ContextVar("part", default=None)
_LIST = _Mode(Part(0, 1))  # the part that has nothing in it


class _Leave(Exception):
    """The part is computed: the block of :func:`only` ends here."""

    def __init__(self, listed: Listed) -> None:
        self.listed = listed


@contextmanager
def only(part: Part, command: Sequence[str] = ()) -> Iterator[None]:
    """Compute only one part of what the block would compute and write to a file.

    The block ends when the part's chunks are on disk; what follows in it does not run.

    Parameters
    ----------
    part : Part
    command : sequence of str
        What computes all parts, but for ``--shard``; kept for :func:`missing_parts`.
    """
    with _as(_Mode(part, command)), suppress(_Leave):
        yield


@contextmanager
def merging() -> Iterator[None]:
    """Compute nothing in the block: what other processes have left on disk is put together.

    Raises
    ------
    MissingPartsError
        If a chunk is missing.
    """
    with _as(_Mode(None)):
        yield


def listed(work: Any) -> Listed:
    """Return the chunks of what ``work()`` would compute, none if its file is finished."""
    try:
        with _as(_LIST):
            work()
    except _Leave as left:
        return left.listed
    return Listed([], set())


@contextmanager
def _as(mode: _Mode) -> Iterator[None]:
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


def mine(folder: Path, names: Sequence[str], finished: set[str]) -> Sequence[str]:
    """Return which of some chunks are this process' own, finished or not; by default all.

    Parameters
    ----------
    folder : Path
        Folder of the finished chunks.
    names : sequence of str
        Names of all chunks.
    finished : set of str

    Raises
    ------
    MissingPartsError
        If nothing is to be computed, and something is missing.
    """
    mode = _mode.get()
    if mode is None:
        return names
    missing = set(names) - finished
    if mode is _LIST:
        raise _Leave(Listed(list(names), missing))
    if mode.part is not None:
        keep_note(folder, mode.part, mode.command)
        return mode.part.of(names)
    if missing:
        raise missing_parts(folder, names, missing)
    return names


def leave_part() -> None:
    """End the block of :func:`only`, if there is one, now that its part is on disk."""
    if (mode := _mode.get()) is not None and mode.part is not None:
        raise _Leave(Listed([], set()))


def refuse_parts(why: str) -> None:
    """Raise ValueError, for work that is not divided, if only a part is asked for."""
    if (mode := _mode.get()) is not None and mode.part is not None:
        raise ValueError(why)


def is_merging() -> bool:
    """Return whether this is inside :func:`merging`."""
    return (mode := _mode.get()) is not None and mode.part is None


def partial_folder(out: Path) -> Path:
    """Return the folder in which finished chunks are kept until all are there."""
    return out.with_name(out.name + ".partial")


def keep_note(folder: Path, part: Part, command: Sequence[str]) -> None:
    """Note beside the chunks into how many parts they are divided, and by which command."""
    note = {"count": part.count, "command": list(command), "folder": str(Path.cwd())}
    if read_note(folder) != note:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / _NOTE, json.dumps(note, indent=1).encode())


def read_note(folder: Path) -> dict[str, Any] | None:
    """Read the note of :func:`keep_note`; None if there is none that can be read."""
    try:
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        known = isinstance(note["count"], int) and isinstance(note["command"], list)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if known else None


def missing_parts(folder: Path, names: Sequence[str], missing: set[str]) -> MissingPartsError:
    """Return the error that says in one line which parts are missing, and what computes them."""
    note = read_note(folder) or {"count": 1, "command": []}
    every = [Part(i, note["count"]) for i in range(1, note["count"] + 1)]
    parts = [str(part) for part in every if missing & set(part.of(names))]
    told = f"{len(missing)} of {len(names)} parts of the work are missing in {str(folder)!r}"
    if not note["command"]:
        return MissingPartsError(told)
    command = shlex.join(["commensal", *note["command"], "--shard", parts[0]])
    more = f", and likewise {', '.join(parts[1:])}" if parts[1:] else ""
    return MissingPartsError(f"{told}; compute them: {command}{more}")
