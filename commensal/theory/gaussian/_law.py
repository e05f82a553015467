"""Distribution of log σ_t², from its characteristic function.

log σ_t² is a sum of independent terms with known characteristic functions, so that their product
and one Fourier sum give its distribution for any number of terms. The midpoint sum at frequencies
(k + 1/2) h equals the distribution function of the variable folded with period 2π/h (Gil-Pelaez
1951, Davies 1973): it is exact but for the mass beyond one period, which h is chosen to make
less than rounding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.special import polygamma

from commensal.theory.gaussian import _pool
from commensal.theory.gaussian._gamma import digamma_minus_log, log_gamma_ratio

_NEGLIGIBLE = 39.0  # -log of a characteristic function that no longer counts
_REACH = 10.0  # standard deviations on either side
_BLOCK = 2**22  # numbers held at once


class LogVarianceLaw(NamedTuple):
    """Distribution of log σ_t²/σ², as the characteristic function of its centred value."""

    mean: float
    reach: float  # beyond mean ± reach there is less than rounding
    spacing: float  # h
    frequency: Any  # (k + 1/2) h
    characteristic: Any

    def cdf(self, y: Any) -> Any:
        """Return P(log σ_t²/σ² <= y), to about 1e-13 absolute."""
        deviation = np.asarray(y, dtype=np.float64) - self.mean
        inside = np.clip(deviation, -self.reach, self.reach)
        weights = self.characteristic * (self.spacing / (np.pi * self.frequency))
        value = 0.5 - _fourier(self.frequency, weights, inside).imag
        value = np.where(deviation < -self.reach, 0.0, np.where(deviation > self.reach, 1.0, value))
        return np.clip(value, 0.0, 1.0)


def _fourier(u: Any, weights: Any, x: Any) -> Any:
    """Return the sum over u of weights · exp(-iux), in blocks of x."""
    flat, rows = x.ravel(), max(1, _BLOCK // u.size)
    parts = [
        np.exp(-1j * np.outer(flat[at : at + rows], u)) @ weights
        for at in range(0, flat.size, rows)
    ]
    return np.concatenate(parts).reshape(x.shape) if parts else np.zeros(x.shape, complex)


def centred_log_chi_square(k: Any, u: Any) -> Any:
    """Return log E exp(iu (X - E X)) for X = log χ²_{2k}."""
    return log_gamma_ratio(k, 1j * u) - 1j * u * digamma_minus_log(k)


def largest_frequency(k: Any, t: Any, negligible: float = _NEGLIGIBLE) -> float:
    """Return the frequency u at which |E exp(iu log χ²_{2k})|^t has become negligible."""
    low, high = 0.0, 1.0
    while -t * centred_log_chi_square(k, np.asarray(high)).real < negligible:
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        far = -t * centred_log_chi_square(k, np.asarray(middle)).real >= negligible
        low, high = (low, middle) if far else (middle, high)
    return high


def _grid(k: Any, t: Any, spread: Any) -> tuple[np.ndarray, float]:
    """Return the frequencies, and the reach that their spacing allows."""
    # the left tail of log χ²_{2k} is exponential, of rate k: e^-50 beyond
    reach = _REACH * spread + 50.0 / k
    spacing = np.pi / reach
    count = int(np.ceil(largest_frequency(k, t) / spacing))
    return (np.arange(count) + 0.5) * spacing, reach


@lru_cache(maxsize=512)
def replaced(t: Any, dof: Any, log_scale: Any) -> LogVarianceLaw:
    """Distribution of Σ log(χ²_dof / dof) over t generations, plus ``log_scale``."""
    k = dof / 2
    u, reach = _grid(k, t, float(np.sqrt(t * polygamma(1, k))))
    phi = np.exp(t * centred_log_chi_square(k, u))
    mean = t * float(digamma_minus_log(k)) + log_scale
    return LogVarianceLaw(mean, reach, u[0] * 2, u, phi)


@lru_cache(maxsize=32)
def _accumulation(n: Any, estimator: str) -> tuple[Any, Any, Any, Any]:
    """Frequencies and sums that the laws of all generations under accumulation share."""
    k = (n - 1) / 2
    spread = float(np.sqrt(_pool.variance_log(np.asarray(np.inf), n, estimator)))
    u, reach = _grid(k, 1.0, spread)  # the first generation alone has the largest frequencies
    return u, reach, centred_log_chi_square(k, u), _pool.log_transform(1j * u, n, estimator)


@lru_cache(maxsize=128)
def accumulated(t: Any, n: Any, estimator: str) -> LogVarianceLaw:
    """Distribution of log σ_t²/σ² under accumulation, for t >= 1 or inf."""
    u, reach, first, later = _accumulation(n, estimator)
    mean = float(_pool.mean_log(np.asarray(t), n, estimator))
    return LogVarianceLaw(mean, reach, u[0] * 2, u, np.exp(first + later(t)))


def law(t: Any, n: Any, memory: str, estimator: str) -> LogVarianceLaw:
    """Distribution of log σ_t²/σ², for checked arguments: t >= 1, and finite under ``replace``."""
    if memory == "accumulate":
        return accumulated(t, n, estimator)
    shrink = t * np.log1p(-1 / n) if estimator == "mle" else 0.0
    return replaced(t, n - 1, float(shrink))
