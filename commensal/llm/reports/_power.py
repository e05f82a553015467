"""Power of a comparison over replicates, before a run. Needs no torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import optimize, stats


def power(difference: float, sd: float, replicates: int, level: float = 0.05) -> float:
    """Compute the power of Student's two-sided test of a mean over replicates.

    Parameters
    ----------
    difference : float
        True difference of the mean from the value that is tested.
    sd : float
        Standard deviation of one replicate.
    replicates : int
        Number of replicates; one has no power.
    level : float
        Probability of seeing a difference where there is none.

    Examples
    --------
    >>> round(power(1.0, 1.0, 10), 3)
    0.803
    """
    if replicates < 2 or not (math.isfinite(difference) and math.isfinite(sd)):
        return 0.0
    if sd == 0:
        return float(difference != 0)
    freedom, shift = replicates - 1, abs(difference) / sd * math.sqrt(replicates)
    edge = stats.t.ppf(1 - level / 2, freedom)
    found = stats.nct.sf(edge, freedom, shift) + stats.nct.cdf(-edge, freedom, shift)
    # far out the noncentral law is not computed; there every test tells
    return float(found) if np.isfinite(found) else 1.0


def least_difference(sd: float, replicates: int, wanted: float = 0.8, level: float = 0.05) -> float:
    """Return the least true difference that is seen with this power; infinite for one replicate.

    Examples
    --------
    >>> round(least_difference(1.0, 10), 2)
    1.0
    """
    if replicates < 2 or not math.isfinite(sd):
        return math.inf
    if sd == 0:
        return 0.0
    high = sd
    while power(high, sd, replicates, level) < wanted:
        high *= 2
    found: Any = optimize.brentq(lambda d: power(d, sd, replicates, level) - wanted, 0.0, high)
    return float(found)


def replicates_needed(
    difference: float, sd: float, wanted: float = 0.8, level: float = 0.05, most: int = 10_000
) -> int | None:
    """Return the least number of replicates with this power; None if ``most`` are too few.

    Examples
    --------
    >>> replicates_needed(1.0, 1.0)
    10
    """
    low, high = 1, 2
    while power(difference, sd, high, level) < wanted:
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if power(difference, sd, middle, level) < wanted:
            low = middle
        else:
            high = middle
    return high
