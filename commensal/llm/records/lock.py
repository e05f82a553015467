"""Lock that lets one process at a time work on a run."""

from __future__ import annotations

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from commensal.llm.records.directory import RunDirectory, RunDirectoryError
from commensal.saving import as_unsaved

_HELD = (BlockingIOError, PermissionError)  # the latter on some network drives


@contextmanager
def alone(directory: RunDirectory) -> Iterator[None]:
    """Hold the lock of a run's folder, which is made if needed; touch nothing in it before.

    The lock goes with the process, however it ends, so that a dead one blocks nobody.

    Raises
    ------
    RunDirectoryError
        If another process holds it, naming that process, or if the folder holds something else.
    Unsaved
        If the folder cannot be made or written.
    """
    directory.make()
    path = directory.path / ".lock"
    try:
        # not emptied: it says who holds it
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
    except OSError as error:
        raise as_unsaved(path, error) from error  # pyright: ignore[reportGeneralTypeIssues]
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except _HELD:
            raise RunDirectoryError(
                f"another process is running {str(directory.path)!r}{_holder(lock)}; wait for it "
                "or stop it"
            ) from None
        except OSError as error:
            raise as_unsaved(path, error) from error  # pyright: ignore[reportGeneralTypeIssues]
        try:
            lock.truncate(0)
            json.dump({"pid": os.getpid(), "host": platform.node()}, lock)
            lock.flush()
        except OSError as error:
            raise as_unsaved(path, error) from error  # pyright: ignore[reportGeneralTypeIssues]
        yield


def _holder(lock: IO[str]) -> str:
    try:
        known = json.load(lock)
        return f" (process {known['pid']} on {known['host']})"
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun
        return ""
