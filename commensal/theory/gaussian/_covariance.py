"""Check that a matrix is a covariance."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal._precision import is_concrete


def check_covariance(matrix: Any, name: str) -> int:
    """Return the dimension d; raise unless a ``matrix`` of known values is a covariance."""
    shape = np.shape(matrix)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"{name} must have shape (d, d), got {shape}")
    if is_concrete(matrix):
        values = np.asarray(matrix, dtype=np.float64)
        scale = np.abs(values).max()
        if not np.isfinite(scale):
            raise ValueError(f"{name} has entries that are not finite")
        if np.abs(values - values.T).max() > 1e-10 * scale:
            raise ValueError(f"{name} must be symmetric")
        lowest = float(np.linalg.eigvalsh(values)[0])
        if lowest < -1e-10 * shape[0] * scale:
            raise ValueError(
                f"{name} must be positive semidefinite, got smallest eigenvalue {lowest:.3g}"
            )
    return shape[0]
