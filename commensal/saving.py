"""Write whole files or nothing, and say in one line why something cannot be written."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_THERE_ALREADY = (errno.ENOTEMPTY, errno.EEXIST)


class Unsaved(OSError):
    """Something could not be written; what was finished before is whole."""


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to ``folder`` if the block ends without an error.

    Raises
    ------
    Unsaved
        If the disk is full or cannot be written.
    """
    temporary = _unfinished(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        for path in (*temporary.rglob("*"), temporary):
            _to_disk(path)
        if not folder.exists():
            _become(temporary, folder)
    except Exception as error:
        if (unsaved := as_unsaved(folder, error)) is None:
            raise
        raise unsaved from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _become(temporary: Path, folder: Path) -> None:
    try:
        os.replace(temporary, folder)
    except OSError as error:
        # another process was faster, with the same content
        if error.errno not in _THERE_ALREADY:
            raise
    _to_disk(folder.parent)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary file that is renamed to ``path`` if the block ends without an error.

    Raises
    ------
    Unsaved
        If the disk is full or cannot be written; a file that was there before stays.
    """
    temporary = _unfinished(path)
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
    except Exception as error:
        if (unsaved := as_unsaved(path, error)) is None:
            raise
        raise unsaved from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write(path: Path, content: bytes) -> None:
    """Write a whole file or nothing.

    Raises
    ------
    Unsaved
        If the disk is full or cannot be written.
    """
    with whole(path) as temporary:
        temporary.write_bytes(content)


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure as a complete PNG file; if that fails, keep the old file.

    Raises
    ------
    Unsaved
        If the disk is full or cannot be written.
    """
    with whole(path) as temporary:
        figure.savefig(temporary, format="png")


def append(path: Path, text: str) -> None:
    """Append lines to a file that is never rewritten.

    Raises
    ------
    Unsaved
        If the disk is full or cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise as_unsaved(path, error) from error  # pyright: ignore[reportGeneralTypeIssues]


def as_unsaved(path: Path, error: Exception) -> Unsaved | None:
    """Return an error of the disk as an :class:`Unsaved` of one line, None for any other error.

    Parameters
    ----------
    path : Path
        What was to be written.
    error : Exception

    Examples
    --------
    >>> print(as_unsaved(Path("a"), Exception("No space left on device (os error 28)")))
    cannot write 'a': the disk is full; what was finished before is whole
    """
    if isinstance(error, Unsaved):
        return error
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        # safetensors and tokenizers are written in Rust, NetCDF in C: the number is in the text
        told = re.search(r"\(os error (\d+)\)|errno = (\d+)", str(error))
        number = int(told[1] or told[2]) if told else None
    if number is None and not isinstance(error, OSError):
        return None
    if number == errno.ENOENT and not path.parent.is_dir():
        return Unsaved(f"cannot write {str(path)!r}: there is no folder {str(path.parent)!r}")
    why = str(error) if number is None else os.strerror(number)
    if number == errno.ENOSPC:
        why = "the disk is full"
    return Unsaved(f"cannot write {str(path)!r}: {why}; what was finished before is whole")


def _unfinished(path: Path) -> Path:
    """Name what is not whole yet, unlike that of any other process on any machine."""
    return path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.partial")


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
