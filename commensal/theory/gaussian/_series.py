"""Sums and products over generations, in a time that does not depend on their number.

Under accumulation generation i moves by terms of order 1/i², which are smooth in 1/i. The first
ones are added up; the rest is a polynomial in 1/i times a power of i, and sums of powers are
differences of Hurwitz zeta functions. This includes the limit t → ∞.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import digamma, zeta

SPLIT = 32  # generations 2..SPLIT are added up one by one
_NODES = 12
_POWERS = 16


def power_sum(power: Any, t: Any) -> Any:
    """Return the sum of i^-power over SPLIT < i <= t, continued to real t; t may be infinite."""
    finite = np.isfinite(t)
    last = np.where(finite, t, SPLIT) + 1.0
    if power == 1:
        return np.where(finite, digamma(last) - digamma(SPLIT + 1.0), np.inf)
    return zeta(power, SPLIT + 1.0) - np.where(finite, zeta(power, last), 0.0)


class Sums:
    """Sums of term(i) over i = 2..t for any t, at the cost of a few terms.

    ``term`` takes an array of real i >= 2 and gives values along its last axis; i^power · term(i)
    must be smooth in 1/i, with power > 1. Exact to about 1e-15 of the largest sum.
    """

    def __init__(self, term: Callable[[np.ndarray], Any], power: Any = 2.0) -> None:
        first = np.asarray(term(np.arange(2.0, SPLIT + 1)))
        start = np.zeros_like(first[..., :1])
        self._partial = np.concatenate([start, np.cumsum(first, axis=-1)], axis=-1)
        # Chebyshev points of 1/i on (0, 1/SPLIT); monomials, because each has its zeta sum. The
        # system is ill-conditioned, but its residual, which is all that counts, is at rounding.
        x = (1 + np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)) / 2
        values = np.asarray(term(SPLIT / x)) * (SPLIT / x) ** power
        rows = values.reshape(-1, _NODES)
        solved = np.linalg.solve(np.vander(x, increasing=True), rows.T).T
        self._coefficients, self._power = solved.reshape(values.shape), power

    def __call__(self, t: Any) -> Any:
        """Return the sums: the leading axes of the terms, followed by those of t."""
        t = np.asarray(t, dtype=np.float64)
        end = np.maximum(t, SPLIT)
        rest = [float(SPLIT) ** j * power_sum(self._power + j, end) for j in range(_NODES)]
        known = self._partial[..., np.clip(t, 1, SPLIT).astype(int) - 1]
        return known + np.tensordot(self._coefficients, np.array(rest), axes=(-1, 0))


def log_product(t: Any, shift: Any, constant: Any, pole: Any) -> Any:
    r"""Log of :math:`\prod_{i=2}^t \frac{i^2 - s i + c}{i (i - p)}`, for arrays t, s, c, p.

    Every mean variance under accumulation has this form, and therefore a limit in gamma functions
    where s = p. Real t > SPLIT - 1 are taken as well, by the same continuation as that of Γ.
    """
    given = (np.asarray(v, dtype=np.float64) for v in (t, shift, constant, pole))
    t, s, c, p = np.broadcast_arrays(*given)
    i = np.arange(2.0, SPLIT + 1)
    factors = np.log1p(((p - s)[..., None] * i + c[..., None]) / (i * (i - p[..., None])))
    partial = np.concatenate([np.zeros((*t.shape, 1)), np.cumsum(factors, axis=-1)], axis=-1)
    whole = (t <= SPLIT) & (t == np.floor(t))
    index = np.where(whole, np.maximum(t, 1), SPLIT).astype(int) - 1
    end = np.where(whole, SPLIT, t)
    total = np.take_along_axis(partial, index[..., None], axis=-1)[..., 0]
    # beyond: log(1 - a/i) + log(1 - b/i) - log(1 - p/i) as power series, a + b = s, a b = c
    power_of_roots, previous = s, np.full(t.shape, 2.0)
    for k in range(1, _POWERS + 1):
        weight = (p**k - power_of_roots) / k
        known = np.where(weight == 0, 0.0, power_sum(float(k), end))
        total = total + np.where(weight == 0, 0.0, weight) * known
        power_of_roots, previous = s * power_of_roots - c * previous, power_of_roots
    return total
