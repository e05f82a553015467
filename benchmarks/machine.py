"""One line that says where a number was measured."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path

import jax
import numpy as np


def processor() -> str:
    """Name of the processor, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def describe() -> str:
    """Processor, cores, accelerator and versions, on one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = ", ".join(sorted({d.device_kind for d in jax.devices()}))
    return (
        f"{processor()}, {cores} cores; JAX on {devices}; Python {platform.python_version()}, "
        f"jax {jax.__version__}, numpy {np.__version__}; {date.today()}"
    )
