"""Arrays as short text, for the inside of a page."""

from __future__ import annotations

import base64
import gzip

import numpy as np
from jaxtyping import Float32, UInt8


def packed(values: np.ndarray) -> str:
    """Write numbers as gzipped base64, single precision or, if they are bytes, as they are.

    The first bytes of all numbers come first, then the second ones: neighbours are alike then, and
    take half the space.

    Examples
    --------
    >>> unpacked(packed(np.array([0.5, np.nan])), (2,))
    array([0.5, nan], dtype=float32)
    """
    kept = values if values.dtype == np.uint8 else values.astype("<f4")
    planes = np.ascontiguousarray(kept).reshape(-1, 1).view(np.uint8).T
    # the time of packing is left out: equal numbers are equal bytes
    return base64.b64encode(gzip.compress(planes.tobytes(), 9, mtime=0)).decode()


def unpacked(text: str, shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """Read numbers that :func:`packed` has written, as single precision."""
    planes: UInt8[np.ndarray, "n"] = np.frombuffer(
        gzip.decompress(base64.b64decode(text)), dtype=np.uint8
    )
    return np.ascontiguousarray(planes.reshape(4, -1).T).view("<f4").reshape(shape)
