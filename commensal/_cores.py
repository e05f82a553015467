"""Number of processor cores to share work over."""

from __future__ import annotations

import os

from commensal._blocks import on_accelerator

_LIMIT = "COMMENSAL_CORES"


def available_cores() -> int:
    """Return how many cores this process may use; one if the work runs on an accelerator.

    ``COMMENSAL_CORES`` sets a limit, for several processes that share a machine.
    """
    return 1 if on_accelerator() else host_cores()


def host_cores() -> int:
    """Return how many cores this process may use for what runs on them wherever JAX computes."""
    there = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    limit = os.environ.get(_LIMIT, "")
    return max(1, min(there, int(limit))) if limit.isdecimal() else there
