"""The setting that says what is kept of the web, in the same words for theory and runs."""

from __future__ import annotations

MEMORIES = ("replace", "accumulate", "window")


def check_memory(memory: str, window: int | None) -> None:
    """Raise ValueError unless there is such a memory, and it has such a window."""
    if memory not in MEMORIES:
        raise ValueError(f"memory must be one of {', '.join(MEMORIES)}, got {memory!r}")
    if window is not None and memory != "window":
        raise ValueError(f"window needs memory 'window', got {window} with {memory!r}")
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
