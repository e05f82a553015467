"""Common parts of the kernels that numba compiles: how they are compiled, and random words.

What is compiled here does not change: numba's cache on disk sees changes of the file whose function
is called, and of no other.
"""

from __future__ import annotations

from typing import Any, no_type_check

import numpy as np
from numba import njit

_u32 = np.uint32


def compiled(function: Any, **options: Any) -> Any:
    """Compile to machine code, kept on disk if there is a place for it, else made per process."""
    # said of each: it would be taken over from the first function that calls this one
    options = {"error_model": "numpy", "nogil": True, "fastmath": False} | options
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        return njit(**options)(function)


@compiled
@no_type_check
def _round(x, y, distance):
    x = _u32(x + y)
    y = _u32(_u32(y << _u32(distance)) | _u32(y >> _u32(32 - distance)))
    return x, _u32(y ^ x)


@compiled
@no_type_check
def _rounds(x, y, a, b, c, d, to_x, to_y):
    x, y = _round(x, y, a)
    x, y = _round(x, y, b)
    x, y = _round(x, y, c)
    x, y = _round(x, y, d)
    return _u32(x + to_x), _u32(y + to_y)


@compiled
@no_type_check
def block(k0, k1, high, low):
    """Compute the two words of a counter: threefry 2x32, as in ``sims._threefry``.

    Each result is cut to 32 bits: numba makes 64 of them.
    """
    k2 = _u32(k0 ^ k1 ^ _u32(0x1BD11BDA))
    x, y = _rounds(_u32(high + k0), _u32(low + k1), 13, 15, 26, 6, k1, _u32(k2 + _u32(1)))
    x, y = _rounds(x, y, 17, 29, 16, 24, k2, _u32(k0 + _u32(2)))
    x, y = _rounds(x, y, 13, 15, 26, 6, k0, _u32(k1 + _u32(3)))
    x, y = _rounds(x, y, 17, 29, 16, 24, k1, _u32(k2 + _u32(4)))
    return _rounds(x, y, 13, 15, 26, 6, k2, _u32(k0 + _u32(5)))
