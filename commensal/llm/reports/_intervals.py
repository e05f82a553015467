"""Means over replicates with their intervals. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats


class Mean(NamedTuple):
    """Mean over replicates, with Student's 95 % interval; NaN with a single one."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """Sign of the whole interval: 1, -1, or 0 if it holds zero."""
        return int(self.low > 0) - int(self.high < 0)

    @property
    def half(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


def mean_of(values: Sequence[float] | Float[np.ndarray, "n"]) -> Mean:
    """Return mean and Student's 95 % interval; NaN unless there are values and all are finite.

    A replicate that diverged is not left out: those that remain are no fair sample.

    Examples
    --------
    >>> found = mean_of([1.0, 2.0, 3.0])
    >>> found.value, round(found.low, 3)
    (2.0, -0.484)
    """
    found = np.asarray(values, dtype=float)
    if not found.size or not np.isfinite(found).all():
        return Mean(math.nan, math.nan, math.nan)
    if found.size < 2:
        return Mean(float(found[0]), math.nan, math.nan)
    half = stats.t.ppf(0.975, found.size - 1) * found.std(ddof=1) / math.sqrt(found.size)
    value = float(found.mean())
    return Mean(value, float(value - half), float(value + half))
