"""Seconds and tokens of each stage of a generation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch


class Clock:
    """Clock that times the blocks of code inside its contexts.

    Parameters
    ----------
    device : torch.device
        Waited for at the end of a block.
    generation : int
        Noted with each entry.
    """

    def __init__(self, device: torch.device, generation: int) -> None:
        self.cuda = device.type == "cuda"
        self.generation = generation
        self.entries: list[dict[str, Any]] = []

    @contextmanager
    def __call__(self, stage: str, model: int | None, tokens: int) -> Iterator[None]:
        """Time one block, with the stage, the model and the number of tokens that it treats."""
        began = time.perf_counter()
        yield
        if self.cuda:
            torch.cuda.synchronize()
        self.entries.append(
            {
                "generation": self.generation,
                "stage": stage,
                "model": model,
                "tokens": tokens,
                "seconds": round(time.perf_counter() - began, 4),
            }
        )


def as_lines(entries: Sequence[dict[str, Any]], branch: str) -> str:
    """Write timings as JSON lines."""
    return "".join(json.dumps({"branch": branch, **entry}) + "\n" for entry in entries)
