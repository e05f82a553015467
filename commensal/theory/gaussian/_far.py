r"""Far tails of the law of log σ_t², to relative precision; see :mod:`commensal.theory._far`.

Under ``replace`` the weight e^{sX} turns each χ²_{n-1} into a χ²_{n-1+2s}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.fft import dct
from scipy.optimize import brentq
from scipy.special import gammaln, polygamma

from commensal.theory._far import FAR, Far
from commensal.theory.gaussian import _pool
from commensal.theory.gaussian._gamma import FROM, digamma_minus_log, log_gamma_ratio
from commensal.theory.gaussian._law import (
    LogVarianceLaw,
    centred_log_chi_square,
    largest_frequency,
)

_NODES = 128  # of a smooth factor of a characteristic function


def _log_moment(k: float, s: float) -> tuple[float, float, float]:
    """Cumulant generating function of log χ²_{2k} about its mean, and two derivatives."""
    a = k + s
    if k < FROM or a < FROM:
        ratio = float(gammaln(a) - gammaln(k)) - s * np.log(k)
    else:
        ratio = float(log_gamma_ratio(k, s).real)
    level = ratio - s * float(digamma_minus_log(k))
    slope = float(digamma_minus_log(a) - digamma_minus_log(k)) + np.log1p(s / k)
    return level, slope, float(polygamma(1, a))


@lru_cache(maxsize=128)
def far_replaced(t: float, dof: float, log_scale: float) -> Far:
    """Far tails of Σ log(χ²_dof / dof) over t generations, plus ``log_scale``."""
    k = dof / 2

    def cumulants(s: float) -> tuple[float, float, float]:
        level, slope, variance = _log_moment(k, s)
        return t * level, t * slope, t * variance

    def characteristic(s: float, u: np.ndarray) -> np.ndarray:
        return np.exp(t * centred_log_chi_square(k + s, u))

    def top(s: float, negligible: float) -> float:
        return largest_frequency(k + s, t, negligible)

    return Far(t * float(digamma_minus_log(k)) + log_scale, k, cumulants, characteristic, top)


@lru_cache(maxsize=128)
def far_accumulated(t: float, n: float, estimator: str) -> Far:
    """Far tails of log σ_t²/σ² under accumulation, for t >= 1 or inf."""
    k = (n - 1) / 2

    @lru_cache(maxsize=4096)
    def cumulants(s: float) -> tuple[float, float, float]:
        level, slope, variance = _log_moment(k, s)
        more = [float(x) for x in _pool.cumulants(s, n, estimator)(t)]
        return level + more[0], slope + more[1], variance + more[2]

    def characteristic(s: float, u: np.ndarray) -> np.ndarray:
        # the pool's growth is a smooth factor: at Chebyshev's points, then by its series
        angle = (np.arange(_NODES) + 0.5) * np.pi / _NODES
        at = 0.5 * u[-1] * (1 + np.cos(angle))
        level, slope, _ = (float(x) for x in _pool.cumulants(s, n, estimator)(t))
        log_factor = _pool.log_transform(s + 1j * at, n, estimator)(t) - level - 1j * at * slope
        factor = np.exp(log_factor)
        parts = [np.asarray(dct(x)) for x in (factor.real, factor.imag)]
        series = (parts[0] + 1j * parts[1]) / _NODES
        series[0] /= 2
        growth = np.polynomial.chebyshev.chebval(2 * u / u[-1] - 1, series)
        return growth * np.exp(centred_log_chi_square(k + s, u))

    mean = float(_pool.mean_log(np.asarray(t), n, estimator))

    def top(s: float, negligible: float) -> float:
        return largest_frequency(k + s, 1.0, negligible)

    return Far(mean, k, cumulants, characteristic, top)


def far(t: float, n: float, memory: str, estimator: str) -> Far:
    """Far tails of log σ_t²/σ², for checked arguments: t >= 1, and finite under ``replace``."""
    if memory == "accumulate":
        return far_accumulated(t, n, estimator)
    shrink = t * np.log1p(-1 / n) if estimator == "mle" else 0.0
    return far_replaced(t, n - 1, float(shrink))


def below(y: float, plain: LogVarianceLaw, tails: Callable[[], Far]) -> float:
    """Return P(X <= y) to relative precision."""
    value = float(plain.cdf(y))
    if value >= FAR or y == -np.inf:
        return value
    return float(np.exp(tails().log_probability(y, upper=False)))


def above(y: float, plain: LogVarianceLaw, tails: Callable[[], Far]) -> float:
    """Return P(X > y) to relative precision."""
    value = 1 - float(plain.cdf(y))
    if value >= FAR or y == np.inf:
        return value
    return float(np.exp(tails().log_probability(y, upper=True)))


def quantile(
    p: float, plain: LogVarianceLaw, tails: Callable[[], Far], *, upper: bool = False
) -> float:
    """Return the y with P(X <= y) = p, or with P(X > y) = p if ``upper``."""
    if p > 0.5:
        p, upper = 1 - p, not upper
    if p < FAR:
        return tails().quantile(p, upper=upper)
    q = 1 - p if upper else p
    ends = (plain.mean - plain.reach, plain.mean + plain.reach)
    found: Any = brentq(lambda y: float(plain.cdf(y)) - q, *ends, xtol=1e-13)
    return float(found)
