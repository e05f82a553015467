"""The setting that says what is kept of the web, in the same words for theory and runs."""

from __future__ import annotations

MEMORIES = ("replace", "accumulate", "window")


def named_memory(name: str) -> tuple[str, int | None]:
    """Return the memory and the window of a name: "window:3" is a window of three generations.

    Raises
    ------
    ValueError
        If there is no such memory.
    """
    memory, colon, window = name.partition(":")
    if colon and not (memory == "window" and window.isdecimal() and int(window)):
        raise ValueError(
            f"memory must be one of {', '.join(MEMORIES)} or window:M with M ≥ 1, got {name!r}"
        )
    check_memory(memory, int(window) if colon else None)
    return memory, int(window) if colon else None


def check_memory(memory: str, window: int | None) -> None:
    """Raise ValueError unless there is such a memory, and it has such a window."""
    if memory not in MEMORIES:
        raise ValueError(f"memory must be one of {', '.join(MEMORIES)}, got {memory!r}")
    if window is not None and memory != "window":
        raise ValueError(f"window needs memory 'window', got {window} with {memory!r}")
    if window is not None and window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
