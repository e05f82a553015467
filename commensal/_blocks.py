"""Size of the blocks that work is cut into: a core's cache on a CPU, the memory on an accelerator.

On a CPU a block that stays in a core's cache is fastest, and several cores share the blocks. An
accelerator wants all of the work at once, and what it cannot do is hold more than its memory. So
whoever cuts work knows its block for a CPU, counts the bytes of a part from the shapes, and asks
:func:`at_once`. The size of a block changes no random number, and no result but by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jax

# of the memory that JAX may use: four blocks may be on their way (two systems of a sweep, two
# blocks of each), and half is left for what else is there
_SHARE = 1 / 8
_UNKNOWN = 2**33  # bytes of memory where the device does not say

_forced: int | None = None


def on_accelerator() -> bool:
    """Return whether JAX computes on a device that is not a CPU."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if chosen is None:
        return jax.default_backend() != "cpu"
    return getattr(chosen, "platform", chosen) != "cpu"


def large_blocks() -> bool:
    """Return whether work is cut by memory, not for a CPU's cache."""
    return on_accelerator() if _forced is None else _forced > 0


def at_once(count: int, each: float, on_cpu: int) -> int:
    """Return how many of ``count`` equal parts are computed together.

    Parameters
    ----------
    count : int
        Number of parts, at least one.
    each : float
        Bytes that one part needs on the device, results included.
    on_cpu : int
        The answer on a CPU.

    Returns
    -------
    int
        ``on_cpu`` on a CPU. On an accelerator all of them if they fit into an eighth of the memory
        that JAX may use, else the largest power of two that does (so that little changes of the
        memory do not compile anew), at least one.

    Examples
    --------
    >>> at_once(1000, 2.0**20, on_cpu=13)
    13
    >>> with forced_blocks(memory=2**30):
    ...     at_once(100, 2.0**20, on_cpu=13), at_once(1000, 2.0**20, on_cpu=13)
    (100, 128)
    """
    if not large_blocks():
        return on_cpu
    fit = int(_SHARE * (_forced or _memory()) / each)
    return count if fit >= count else 2 ** (max(fit, 1).bit_length() - 1)


@contextmanager
def forced_blocks(memory: int) -> Iterator[None]:
    """Cut work as an accelerator of so many bytes does; with 0 bytes as a CPU does.

    For tests and benchmarks. It holds in all threads.
    """
    global _forced
    before, _forced = _forced, memory
    try:
        yield
    finally:
        _forced = before


def _memory() -> int:
    """Return the bytes that JAX may use, or what is free of them if that is less than half."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    device = chosen if isinstance(chosen, jax.Device) else jax.local_devices()[0]
    told = device.memory_stats() or {}
    if "bytes_limit" not in told:
        return _UNKNOWN
    # blocks of other threads come and go: only where little is left is it asked how much
    return min(told["bytes_limit"], 2 * (told["bytes_limit"] - told.get("bytes_in_use", 0)))
