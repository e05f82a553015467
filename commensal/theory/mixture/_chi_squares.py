r"""Weighted sums of independent χ² variables: distribution function and probability of a sign.

*Sums with positive weights.* :math:`Q = \sum_m κ_m χ^2_{h}` has Laplace transform
:math:`\prod_m (1 + 2κ_m s)^{-h/2}`, singular on the negative axis only. For up to 12 degrees
of freedom Talbot's contour, with the constants of Trefethen, Weideman and Schmelzer (2006), inverts
it; its nodes grow with the strength of that singularity. Beyond, the characteristic function decays
fast enough to be summed as Davies (1973) does: at odd multiples of half a step, which leaves only
the probability beyond 2π over the step. Small probabilities come from a line on which nothing
cancels, see :mod:`commensal.theory._far`; for few degrees of freedom, from a parabola around the
singularities but not around the pole at 0.

*Sign of an indefinite form.* By Gil-Pelaez (Imhof 1961)

.. math::
    P(Q \leq 0) = \frac12 - \frac1π \int_0^\infty \frac{\sin θ(u)}{u\,ρ(u)} du, \quad
    θ = \frac h2 \sum_m \arctan(2 μ_m u), \quad ρ = \prod_m (1 + 4μ_m^2 u^2)^{h/4}.

At zero nothing oscillates, and in log u the integrand is analytic in a strip of half-width π/2 and
decays exponentially at both ends: the trapezoidal rule is exact to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq

from commensal.theory._far import FAR, Far

_STEP = 0.2
_FEW = 12  # degrees of freedom up to which Talbot's contour is used
_MOST_NODES = 2**18


def cdf(x: Any, kappa: np.ndarray, freedom: int) -> Any:
    """Return P(Σ_m κ_m χ²_h <= x) for x > 0, to about 1e-12 absolute."""
    invert = _talbot if kappa.size * freedom <= _FEW else _davies
    return np.clip(invert(np.asarray(x, dtype=np.float64)[..., None], kappa, freedom), 0.0, 1.0)


def tail(x: float, kappa: np.ndarray, freedom: int, *, upper: bool) -> float:
    """Return P(Σ_m κ_m χ²_h > x), or of <= x, for x > 0, to about 1e-11 relative."""
    few = kappa.size * freedom <= _FEW
    if upper and few and x > 8 * kappa.max():
        return _upper(x, kappa, freedom)
    value = float(cdf(x, kappa, freedom))
    value = 1 - value if upper else value
    if few or value >= FAR:
        return value
    return float(np.exp(_negative(kappa, freedom).log_probability(-x, upper=not upper)))


def log_quantile(p: float, kappa: np.ndarray, freedom: int) -> float:
    """Return the log x with P(Σ_m κ_m χ²_h <= x) = p."""
    upper = bool(p > 0.5)
    wanted, rising = np.log(1 - p if upper else p), -1 if upper else 1

    def excess(log_x: float) -> float:
        p = tail(np.exp(log_x), kappa, freedom, upper=upper)
        return rising * ((np.log(p) if p > 0 else -np.inf) - wanted)

    least = np.log(kappa.max()) - 500
    if excess(least) > 0:  # P is proportional to a power of x, which may be below all floats
        return float(least - excess(least) / (kappa.size * freedom / 2))
    low = high = np.log(freedom * kappa.sum())
    while excess(low) > 0:
        low -= 2
    while excess(high) < 0:
        high += 0.5
    root: Any = brentq(excess, low, high, xtol=1e-13)
    return float(root)


def _negative(kappa: np.ndarray, freedom: int) -> Far:
    """Distribution of -Σ_m κ_m χ²_h, whose transform is finite up to a negative s."""

    def weighted(s: float) -> np.ndarray:
        return kappa / (1 + 2 * kappa * s)

    def cumulants(s: float) -> tuple[float, float, float]:
        k, level = weighted(s), -freedom / 2 * float(np.log1p(2 * kappa * s).sum())
        return level, -freedom * float(k.sum()), 2 * freedom * float(np.sum(k * k))

    def characteristic(s: float, u: np.ndarray) -> np.ndarray:
        turn = 2j * u[:, None] * weighted(s)
        return np.exp(freedom / 2 * (turn - np.log(1 + turn)).sum(axis=1))

    def top(s: float, negligible: float) -> float:
        k, high = weighted(s), 1.0
        while freedom / 4 * np.log1p((2 * k * high) ** 2).sum() < negligible:
            high *= 1.25
        return high

    rate = 0.5 / float(kappa.max())
    return Far(0.0, rate, cumulants, characteristic, top)


def _davies(x: np.ndarray, kappa: np.ndarray, freedom: int) -> Any:
    # Q > mean + reach with a probability below e^{-40}: Laurent and Massart (2000), lemma 1
    spread = np.sqrt(freedom * np.sum(kappa**2))
    reach = 2 * np.sqrt(40) * spread + 80 * kappa.max()
    step = 2 * np.pi / (freedom * kappa.sum() + reach + x.max())

    def log_rho(u: np.ndarray) -> np.ndarray:
        return freedom / 4 * np.log1p((2 * kappa * u[:, None]) ** 2).sum(axis=1)

    count = 64
    while log_rho(np.array([count * step]))[0] < 33 and count < _MOST_NODES:
        count *= 2
    u = (np.arange(count) + 0.5) * step
    theta = freedom / 2 * np.arctan(2 * kappa * u[:, None]).sum(axis=1)
    total = np.sin(theta - x * u) @ (np.exp(-log_rho(u)) / u)
    return 0.5 - step / np.pi * total


def _upper(x: float, kappa: np.ndarray, freedom: int) -> float:
    """Return P(Q > x), integrated along a parabola between 0 and the largest κ's branch point.

    In v both are at a distance of one or more from the real line, which the step is chosen for.
    """
    nearest = 0.5 / kappa.max()
    mu = min(nearest / 4, 3 / x)
    step = 0.1
    v = np.arange(0.0, np.sqrt(45 / (x * mu)) + 1, step)
    turn = (1 + 1j * v) ** 2
    s = mu * turn - nearest
    # 1 + 2κs without the cancellation at the largest κ
    log_transform = -freedom / 2 * np.log(1 - kappa / kappa.max() + 2 * kappa * mu * turn[:, None])
    values = np.exp(x * mu * turn + log_transform.sum(axis=1)) / s * (1 + 1j * v)
    total = values.real.sum() - values[0].real / 2
    return float(-2 * mu * step / np.pi * total * np.exp(-x * nearest))


def _talbot(x: np.ndarray, kappa: np.ndarray, freedom: int) -> Any:
    nodes = max(26, 20 + 2 * kappa.size * freedom)
    angle = (2 * np.arange(nodes) + 1) * np.pi / nodes - np.pi
    z = nodes * (0.5017 * angle / np.tan(0.6407 * angle) - 0.6122 + 0.2645j * angle)
    slope = nodes * (
        0.5017 / np.tan(0.6407 * angle)
        - 0.5017 * 0.6407 * angle / np.sin(0.6407 * angle) ** 2
        + 0.2645j
    )
    s = z / x
    log_transform = -freedom / 2 * np.log(1 + 2 * kappa * s[..., None]).sum(axis=-1)
    return np.sum(np.exp(z + log_transform) / z * slope, axis=-1).imag / nodes


def probability_of_negative(mu: np.ndarray, freedom: int) -> float:
    """Return P(Σ_m μ_m χ²_h <= 0) for weights μ of both signs."""
    mu = np.asarray(mu, dtype=np.float64)
    size = np.abs(mu).max()
    mu = mu[np.abs(mu) > 1e-15 * size] / size
    if (mu > 0).all() or (mu < 0).all():
        return float((mu < 0).all())
    # u from where sin θ/u is constant to where ρ(u) is 1e-17: at least u^{-1}, from two terms
    top = 40.0 - np.log(np.abs(mu).min())
    v = np.arange(-40.0, top, _STEP)
    terms = 2 * mu * np.exp(v)[:, None]
    theta = freedom / 2 * np.arctan(terms).sum(axis=1)
    log_rho = freedom / 4 * np.log1p(terms**2).sum(axis=1)
    value = float(0.5 - _STEP / np.pi * np.sum(np.sin(theta) * np.exp(-log_rho)))
    if value >= FAR:
        return value
    return _rarely_negative(mu, freedom)


def _rarely_negative(mu: np.ndarray, freedom: int) -> float:
    """Return a small P(Σ_m μ_m χ²_h <= 0) to relative precision, through the saddlepoint."""

    def slope(s: float) -> float:
        return float(np.sum(mu / (1 - 2 * mu * s)))

    rate = -0.5 / mu.min()
    s: Any = brentq(slope, -rate * (1 - 1e-13), 0.0, xtol=1e-6 * rate)
    # u = scale · sinh v: the pole at 0 and all branch points are π/2 away from the real line
    scale = min(-s, rate + s)
    top = np.arcsinh(np.exp(40.0) / (np.abs(mu).min() * scale))
    v = np.arange(0.0, top, _STEP / 2)
    weighted = mu / (1 - 2 * mu * s)
    u = scale * np.sinh(v)
    log_transform = -freedom / 2 * np.log1p(-2j * weighted * u[:, None]).sum(axis=1)
    values = (np.exp(log_transform) / (-s - 1j * u)).real * scale * np.cosh(v)
    level = -freedom / 2 * float(np.log1p(-2 * mu * s).sum())
    return float(np.exp(level) * _STEP / 2 / np.pi * (values.sum() - values[0] / 2))
