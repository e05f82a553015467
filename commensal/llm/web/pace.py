"""Limit the rate of requests, and read how long a server asks to wait."""

from __future__ import annotations

import email.utils
import math
import threading
import time
from collections.abc import Mapping


class Pace:
    """Limit of requests per minute, evenly spaced, over all threads.

    Parameters
    ----------
    per_minute : number or None
        None: no limit.
    """

    def __init__(self, per_minute: float | int | None) -> None:
        self.gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, stop: threading.Event) -> None:
        """Wait until it is this caller's turn, or all is stopped."""
        if not self.gap:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self.gap
        stop.wait(turn - now)


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in ``retry-after-ms`` or ``retry-after``, which may be a date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    return None
