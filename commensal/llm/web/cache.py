"""Cache of servers' answers, stored unchanged on arrival so that each is asked for once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commensal.llm.records.directory import Unsaved
from commensal.llm.web.answers import Said, Unreadable, read_answer


class AnswerCache:
    """Answers to numbered requests, in a file that is only appended to.

    A line holds what one request brought, whole and unjudged: what counts as a good answer is
    decided when it is read, so another decision costs no request. It is on disk before anything
    else is done with it. A line that was cut short by a kill is passed over. Several processes
    may share the file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._read = 0
        self._known: dict[tuple[str, int], list[Said]] = {}
        self.refresh()

    def tries(self, request: str, index: int) -> list[Said]:
        """Return all answers to one numbered request, the oldest first."""
        return self._known.get((request, index), [])

    def put(self, request: str, numbers: Sequence[int], body: str) -> None:
        """Store the answers to a request.

        Parameters
        ----------
        request : str
            What :func:`request_id` gives.
        numbers : sequence of int
            Of the responses that were asked for, in the order of the answer's choices.
        body : str
            All that the server sent.

        Raises
        ------
        Unsaved
            If it cannot be written.
        Unreadable
            If it is no answer; it is kept all the same.
        """
        # in ASCII, as only that holds lone surrogates
        line = json.dumps({"request": request, "numbers": list(numbers), "body": body}).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, self.path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # goes with the file
                end = file.seek(0, os.SEEK_END)
                file.seek(max(end - 1, 0))
                broken = file.read(1) not in (b"", b"\n")
                file.write(b"\n" + line + b"\n" if broken else line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            why = error.strerror or str(error)
            raise Unsaved(f"cannot write {str(self.path)!r}: {why}") from error
        self.refresh()
        read_answer(body)

    def refresh(self) -> None:
        """Read what this process or another one has added to the file."""
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    file.seek(self._read)
                    added = file.read()
            except FileNotFoundError:
                return
            except OSError as error:
                why = error.strerror or str(error)
                raise Unsaved(f"cannot read {str(self.path)!r}: {why}") from error
            whole = added[: added.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                try:
                    entry = json.loads(line)
                    request, numbers = entry["request"], entry["numbers"]
                    found = read_answer(entry["body"])
                    for index, said in zip(numbers, found, strict=False):
                        self._known.setdefault((request, int(index)), []).append(said)
                except (ValueError, KeyError, TypeError, AttributeError, Unreadable):
                    continue


def request_id(request: dict[str, Any]) -> str:
    """Hash everything on which the law of an answer depends, and the place of the request."""
    text = json.dumps(request, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
