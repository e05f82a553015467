"""How many cores there are to share work over."""

from __future__ import annotations

import os

import jax


def available_cores() -> int:
    """Cores that this process may use; one where the work is an accelerator's."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
