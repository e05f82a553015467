"""Means over replicates with their intervals. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from commensal.llm.reports._power import replicates_needed


class Mean(NamedTuple):
    """Mean over replicates, with Student's 95 % interval; NaN with a single one.

    Of several comparisons made at once the intervals are simultaneous: all hold together with
    95 % (Bonferroni).
    """

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

    def text(self, digits: int = 2) -> str:
        """Write the mean with its sign, and the interval if there is one.

        Examples
        --------
        >>> mean_of([1.0, 2.0, 3.0]).text(), mean_of([-0.001]).text()
        ('+2.00 [−0.48, +4.48]', '0.00')
        """
        if not math.isfinite(self.value):
            return "not finite"
        whole = _signed(self.value, digits)
        if math.isfinite(self.half):
            whole += f" [{_signed(self.low, digits)}, {_signed(self.high, digits)}]"
        return whole


def mean_of(values: Sequence[float | int] | Float[np.ndarray, "n"], comparisons: int = 1) -> Mean:
    """Return mean and Student's 95 % interval; NaN unless there are values and all are finite.

    A replicate that diverged is not left out: those that remain are no fair sample.

    Parameters
    ----------
    values : sequence of float
        One for each replicate.
    comparisons : int
        Number of comparisons made at once, of a table for example: the intervals of all of them
        hold together with 95 % (Bonferroni).

    Examples
    --------
    >>> found = mean_of([1.0, 2.0, 3.0])
    >>> found.value, round(found.low, 3)
    (2.0, -0.484)
    >>> round(mean_of([1.0, 2.0, 3.0], comparisons=6).low, 3)
    -4.285
    """
    found = np.asarray(values, dtype=float)
    if not found.size or not np.isfinite(found).all():
        return Mean(math.nan, math.nan, math.nan)
    if found.size < 2:
        return Mean(float(found[0]), math.nan, math.nan)
    level = 1 - 0.025 / comparisons
    half = stats.t.ppf(level, found.size - 1) * found.std(ddof=1) / math.sqrt(found.size)
    value = float(found.mean())
    return Mean(value, float(value - half), float(value + half))


def replicates_to_tell(
    values: Sequence[float | int] | Float[np.ndarray, "n"],
    bound: float | int = 0.0,
    comparisons: int = 1,
) -> int | None:
    """Return how many replicates would tell a mean from a bound in four of five runs.

    Taken for granted is that the true mean and scatter are those of the replicates at hand, so of
    few replicates it is a rough number.

    Parameters
    ----------
    values : sequence of float
        One for each replicate.
    bound : float
        Number that the interval has to leave out.
    comparisons : int
        Number of comparisons made at once, as for :func:`mean_of`.

    Returns
    -------
    int or None
        None where there is nothing to go by: fewer than two values, one that is not finite, a mean
        on the bound; or where more than 10,000 are needed.

    Examples
    --------
    >>> replicates_to_tell([1.0, 2.0, 3.0]), replicates_to_tell([1.0, -1.0])
    (5, None)
    """
    found = np.asarray(values, dtype=float)
    if found.size < 2 or not np.isfinite(found).all():
        return None
    gap = float(found.mean()) - bound
    if not gap:
        return None
    return replicates_needed(gap, float(found.std(ddof=1)), level=0.05 / comparisons)


def number(value: float | int, digits: int = 2) -> str:
    """Write a number with a true minus sign, and no sign if it is above zero.

    Examples
    --------
    >>> number(-0.5), number(0.125, 3)
    ('−0.50', '0.125')
    """
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _signed(value: float | int, digits: int) -> str:
    if abs(value) < 0.5 * 10**-digits:
        return f"{0:.{digits}f}"
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
