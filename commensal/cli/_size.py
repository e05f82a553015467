"""Estimate time and memory before work starts, and refuse what the machine cannot hold."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_GIB = 2**30


def size_of(
    what: str,
    *,
    memory: float | int,
    seconds: float | None = None,
    disk: float | int = 0,
    folder: Path | None = None,
    yes: bool = False,
) -> str:
    """Describe in words how long work takes and how much it stores, from bytes and seconds.

    Raises
    ------
    ValueError
        If that is more than the machine has, unless ``yes``.
    """
    parts = [f"about {_bytes(memory)} of memory"]
    if disk:
        parts.append(f"{_bytes(disk)} of disk")
    if seconds is not None:
        parts.append(f"roughly {_time(seconds)}")
    told = f"{what}: {', '.join(parts)}"
    lacking = []
    if (free := available_memory()) is not None and memory > free:
        lacking.append(f"{_bytes(free)} of memory")
    if disk and folder is not None and disk > (left := shutil.disk_usage(folder).free):
        lacking.append(f"{_bytes(left)} of disk")
    if lacking and not yes:
        raise ValueError(
            f"{told}; this machine has {' and '.join(lacking)} free: ask for less, or insist "
            "with --yes"
        )
    return told


def available_memory() -> float | None:
    """Return how many bytes a process may still take of the machine, or of its control group."""
    found = []
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024.0 * int(line.split()[1]))
    except (OSError, ValueError):
        pass
    group = Path("/sys/fs/cgroup")
    try:
        most, used = (float((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        statistics = dict(map(str.split, (group / "memory.stat").read_text().splitlines()))
        found.append(most - used + float(statistics["file"]))  # cached files give way
    except (OSError, ValueError, KeyError):  # no such file, or "max": no limit
        pass
    if not found and hasattr(os, "sysconf"):
        found.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _bytes(count: float | int) -> str:
    if count >= 1024 * _GIB:
        return f"{count / 1024 / _GIB:,.1f} TiB"
    if count >= _GIB:
        return f"{count / _GIB:.1f} GiB"
    return f"{max(count / 2**20, 1):.0f} MiB"


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
