"""Environment of one session of work on a run: device, threads, memory, log messages."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import transformers

import commensal
from commensal.llm.config import ExperimentConfig

Kind = TypeVar("Kind", bound=ExperimentConfig)
_OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory", re.IGNORECASE)


def device_of(config: ExperimentConfig) -> torch.device:
    """Return the device on which the run computes.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise ValueError(f"there is no device {config.device!r} here") from None
    return device


def environment(config: ExperimentConfig, device: torch.device) -> dict[str, Any]:
    """Describe the versions and the machine of this session."""
    return {
        "commensal": commensal.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": config.threads,
        "seed": config.seed,
    }


def _commit() -> str | None:
    """Return the commit of the running source code, None outside a git checkout."""
    folder = Path(commensal.__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


class OutOfMemory(MemoryError):
    """Memory ran out; what was finished before is whole."""


def ran_out(error: BaseException) -> bool:
    """Return whether an error says that memory did not suffice."""
    if isinstance(error, RuntimeError):  # torch has an error of its own on a GPU only
        return _OUT_OF_MEMORY.search(str(error)) is not None
    return isinstance(error, MemoryError)


@contextmanager
def memory(path: Path) -> Iterator[None]:
    """Raise OutOfMemory with advice in one line where memory does not suffice.

    Parameters
    ----------
    path : Path
        The run's folder.

    Raises
    ------
    OutOfMemory
    """
    try:
        yield
    except OutOfMemory:
        raise
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        where = "the GPU's memory" if isinstance(error, torch.cuda.OutOfMemoryError) else "memory"
        raise OutOfMemory(
            f"{where} ran out; what was finished before is whole. Free some, or go on with fewer "
            f"settings side by side: commensal llm resume {path} --workers 1. If one alone is too "
            "large, start a new run with --set training.checkpointing=true, a smaller "
            "training.logits_memory, measurement.logits_memory, sampling.batch_size or "
            "training.batch_size (and more training.accumulation), or adapters (model.lora)"
        ) from error


def with_threads(config: Kind) -> Kind:
    """Return the settings with a number of threads: one per core for large models, else one.

    It is written down with a run, so that a resumed one has the same.
    """
    if config.threads is not None:
        return config
    cores = (os.cpu_count() or 1) if config.large else 1
    return config.model_copy(update={"threads": cores})


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set the number of torch's threads inside a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers' own bars and hints, which would break our progress bar."""
    logging = transformers.utils.logging
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
