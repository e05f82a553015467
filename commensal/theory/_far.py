r"""Far tails of a distribution that is known by its transform, to relative precision.

On the imaginary axis a probability is a half plus a sum, so that its error is that of rounding a
half. Here the line of integration passes through a real s ≠ 0:

.. math::
    P(X \leq y) = -\frac1{2π} \int \frac{E\,e^{(s+iu)X}\, e^{-(s+iu)y}}{s+iu}\,du \quad (s < 0),
    \qquad P(X > y) = +\dots \quad (s > 0).

At the saddlepoint, where the law weighted by :math:`e^{sX}` has its mean at y, the first factor is
of the size of the answer and nothing cancels (Daniels, Annals of Mathematical Statistics 25, 1954).
The midpoint sum with step h is exact but for :math:`e^{sx} P(X \leq x)` at x = y ± 2πj/h, relative
to its value at y: h is chosen by Chernoff's bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

FAR = 1e-3  # probabilities below this are left to the shifted line
_NEGLIGIBLE = 46.0  # -log of what does not count


class Far(NamedTuple):
    """Distribution of a variable X, given by the transform of X - origin."""

    origin: float
    rate: float  # E e^{sX} is finite for s > -rate
    cumulants: Callable[[float], tuple[float, float, float]]
    """Function s -> log E e^{s(X - origin)} and its first two derivatives, for real s > -rate."""
    characteristic: Callable[[float, np.ndarray], np.ndarray]
    """Function (s, u) -> E e^{iu(X - m)} under the law weighted by e^{sX}, with m its mean."""
    largest_frequency: Callable[[float, float], float]
    """Function (s, negligible) -> frequency where ``characteristic`` falls to e^{-negligible}."""

    def log_probability(self, y: float, *, upper: bool) -> float:
        """Return log P(X <= y) for y below the mean, or log P(X > y) for y above it."""
        deviation, sign = y - self.origin, 1 if upper else -1
        s = self._along(sign, lambda s: sign * (self.cumulants(s)[1] - deviation))
        return self._at(s)(deviation)

    def quantile(self, p: float, *, upper: bool = False) -> float:
        """Return the y with P(X <= y) = p, or with P(X > y) = p, for p in about (0, 0.2)."""
        s = self._tilt(np.log(p), 1 if upper else -1)
        _, start, variance = self.cumulants(s)
        log_tail, step = self._at(s), float(np.sqrt(variance)) / 2

        def excess(deviation: float) -> float:
            return log_tail(deviation) - np.log(p)

        low = high = start
        rising = -1 if upper else 1
        while rising * excess(low) > 0:
            low -= step
        while rising * excess(high) < 0:
            high += step
        if low == high:
            return self.origin + start
        found: Any = brentq(excess, low, high, xtol=1e-14 * max(1.0, abs(self.origin)))
        return self.origin + float(found)

    def _at(self, s: float) -> Callable[[float], float]:
        """Return y -> log tail probability beyond y, accurate near the mean of the tilted law."""
        level, centre, variance = self.cumulants(s)
        width = float(np.sqrt(variance))
        step = 2 * np.pi / (self._period(s, centre) + 8 * width)
        top = self.largest_frequency(s, _NEGLIGIBLE)
        u = (np.arange(int(np.ceil(top / step))) + 0.5) * step
        weights = self.characteristic(s, u) * (step / np.pi) / (s + 1j * u) * np.sign(s)

        def log_tail(deviation: float) -> float:
            turned = np.exp(-1j * u * (deviation - centre)) @ weights
            return level - s * deviation + float(np.log(turned.real))

        return log_tail

    def _period(self, s: float, centre: float) -> float:
        """Distance from y at which the tail e^{sx} P has become negligible beside that at y."""
        level, _, variance = self.cumulants(s)
        needed = _NEGLIGIBLE + np.log1p(abs(s) * np.sqrt(variance))
        shares = np.linspace(0, 0.98, 25)
        beyond = s * (1 + np.geomspace(0.02, 30, 25))
        if s < 0:
            beyond = -self.rate + (self.rate + s) * shares[1:]
        longest = 0.0
        for side in (s * shares, beyond):
            distances = [
                (self.cumulants(r)[0] - level - (r - s) * centre + needed) / abs(r - s)
                for r in side
            ]
            longest = max(longest, min(distances))
        return longest

    def _tilt(self, log_p: float, sign: int) -> float:
        """Approximate the saddlepoint of the quantile by Laplace's method."""

        def excess(s: float) -> float:
            level, slope, variance = self.cumulants(s)
            return log_p - level + s * slope + np.log1p(abs(s) * np.sqrt(2 * np.pi * variance))

        return self._along(sign, excess)

    def _along(self, sign: int, excess: Callable[[float], float]) -> float:
        """Find the s of the given sign at which a function that rises with |s| is zero."""

        def tilt(v: float) -> float:
            return np.exp(v) if sign > 0 else self.rate * np.expm1(-np.exp(v))

        low = high = 0.0
        while excess(tilt(low)) > 0:
            low -= 1
        while excess(tilt(high)) < 0:
            high += 0.5
        if low == high:
            return float(tilt(low))
        found: Any = brentq(lambda v: excess(tilt(v)), low, high, xtol=1e-4)
        return float(tilt(found))
