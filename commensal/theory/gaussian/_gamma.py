"""Differences of gamma functions, computed without cancellation.

With n = 10⁶ the terms of log Γ(n/2) - log Γ((n-1)/2) are 10⁶ times their difference, and a
difference per generation is multiplied by t. All series below are used from k = 16 on, where they
are exact to rounding; smaller arguments are moved there by the recurrence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import digamma, loggamma

FROM = 16
# log Γ(k+1/2) - log Γ(k) - log(k)/2, in powers k^-1, k^-3, ...
_HALF = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224, -5461 / 425984)
# ψ(k) - log k + 1/(2k), in powers k^-2, k^-4, ...
_PSI = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132, 691 / 32760, -1 / 12)
# log Γ(k) - Stirling's formula, in powers k^-1, k^-3, ...
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def _series(coefficients: tuple[float, ...], x: Any) -> Any:
    """Return the sum of c_j x^(-1-2j)."""
    inverse = 1 / (x * x)
    total = 0.0 * x
    for c in reversed(coefficients):
        total = total * inverse + c
    return total / x


def log_half_step(k: Any) -> Any:
    """log Γ(k+1/2) - log Γ(k) - log(k)/2 for k > 0, to relative rounding where k is large."""
    k = np.asarray(k, dtype=np.float64)
    small = k < FROM
    start = np.where(small, k, 1.0)
    steps = np.log1p(0.5 / (start[..., None] + np.arange(FROM))).sum(axis=-1)
    moved = np.log1p(FROM / start) / 2 - steps
    return _series(_HALF, np.where(small, k + FROM, k)) + np.where(small, moved, 0.0)


def digamma_minus_log(k: Any) -> Any:
    """ψ(k) - log k for k > 0, to relative rounding where k is large."""
    k = np.asarray(k, dtype=np.float64)
    large = np.maximum(k, FROM)
    small = np.where(k < FROM, k, 1.0)
    series = -0.5 / large + _series(_PSI, large) / large
    return np.where(k < FROM, digamma(small) - np.log(small), series)


def stirling_error(k: Any) -> Any:
    """log Γ(k) - [(k - 1/2) log k - k + log(2π)/2] for k > 0."""
    k = np.asarray(k, dtype=np.float64)
    direct = np.where(k < FROM, k, 1.0)
    formula = (direct - 0.5) * np.log(direct) - direct + np.log(2 * np.pi) / 2
    small = loggamma(direct).real - formula
    return np.where(k < FROM, small, _series(_STIRLING, np.maximum(k, FROM)))


def log_gamma_ratio(k: Any, z: Any) -> Any:
    """log Γ(k+z) - log Γ(k) - z log k for a scalar k > 0 and complex z, Re(k+z) > 0."""
    z = np.asarray(z, dtype=np.complex128)
    if k < FROM:
        return loggamma(k + z) - loggamma(k) - z * np.log(k)
    # Stirling's formula at k+z less that at k; log1p is taken from log, which is what is complex
    rate = z / k
    log1p = 0.5 * np.log1p(2 * rate.real + np.abs(rate) ** 2) + 1j * np.angle(1 + rate)
    series = _series(_STIRLING, k + z) - _series(_STIRLING, k)
    return (k + z - 0.5) * log1p - z + series
