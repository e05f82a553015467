"""Number of processor cores to share work over."""

from __future__ import annotations

import os

import jax


def available_cores() -> int:
    """Return how many cores this process may use; one if the work runs on an accelerator."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
