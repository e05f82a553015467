"""One generation of accumulation as an exact random factor, by Gauss quadrature.

Model t-1 was fitted to a pool of n(t-1) points with maximum-likelihood variance V_{t-1}. Its own n
new points move the pool to

    V_t / V_{t-1} = [n(t-1) + r (χ²_{n-1} + (t-1)/t χ²_1)] / (n t),   r = σ²_{t-1} / V_{t-1},

where r is 1 for maximum likelihood and n(t-1)/(n(t-1)-1) for the unbiased variance: the factors
are independent of each other and of V_1. With χ²_{n-1} + χ²_1 = R, a χ²_n, and χ²_1 / R = B, an
independent Beta(1/2, (n-1)/2), the bracket's last term is r R (1 - B/t): smooth in R and B, so
that a product of two Gauss rules takes expectations of log, square root and characteristic
function to rounding.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.special import polygamma

from commensal.theory.gaussian._gamma import digamma_minus_log, log_half_step
from commensal.theory.gaussian._series import Sums

_BETA_NODES = 12  # log(1 - B/t), t >= 2, converges as 5.8^(-2 nodes) at the least
# The pole of log at R = -n(t-1)/r moves away as t grows: nodes for R up to a generation.
_CHI_NODES = ((2, 192), (4, 112), (8, 72), (16, 48), (np.inf, 32))


def _gauss(diagonal: Any, off: Any) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (of sum 1) of the Gauss rule with these recurrence coefficients."""
    nodes, vectors = eigh_tridiagonal(diagonal, off)  # Golub and Welsch (1969)
    return nodes, vectors[0] ** 2


@lru_cache(maxsize=64)
def _chi_square_rule(n: Any, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    k, a = np.arange(nodes, dtype=float), n / 2 - 1
    x, w = _gauss(2 * k + a + 1, np.sqrt(k[1:] * (k[1:] + a)))
    return 2 * x, w


@lru_cache(maxsize=64)
def _beta_rule(n: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = (n - 3) / 2, -0.5  # Jacobi's weight (1-x)^a (1+x)^b, B = (1+x)/2
    k = np.arange(1, _BETA_NODES, dtype=float)
    s = 2 * k + a + b
    diagonal = np.concatenate([[(b - a) / (a + b + 2)], (b * b - a * a) / (s * (s + 2))])
    off = np.empty_like(k)
    off[0] = 4 * (1 + a) * (1 + b) / ((2 + a + b) ** 2 * (3 + a + b))
    k, s = k[1:], s[1:]
    off[1:] = 4 * k * (k + a) * (k + b) * (k + a + b) / (s * s * (s + 1) * (s - 1))
    x, w = _gauss(diagonal, np.sqrt(off))
    return (1 + x) / 2, w


@lru_cache(maxsize=256)
def log_ratio(i: Any, n: Any, estimator: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of log(σ_i²/σ_{i-1}²) and their probabilities, for a real i >= 2."""
    nodes = next(count for last, count in _CHI_NODES if i <= last)
    (chi, chi_weight), (beta, beta_weight) = _chi_square_rule(n, nodes), _beta_rule(n)
    before, after = n * (i - 1), n * i
    r = before / (before - 1) if estimator == "unbiased" else 1.0
    values = np.log1p((r * chi[:, None] * (1 - beta / i) - n) / after)
    if estimator == "unbiased":
        values = values - np.log1p(-1 / after) + np.log1p(-1 / before)
    return values.ravel(), (chi_weight[:, None] * beta_weight).ravel()


def _first(n: Any, estimator: str) -> Any:
    """Return the log of the mean of σ_1², a plain chi-square variable."""
    return np.log1p(-1 / n) if estimator == "mle" else 0.0


def mean_log(t: Any, n: Any, estimator: str) -> Any:
    """E log σ_t²/σ² under accumulation."""

    def term(i: Any) -> Any:
        return np.array([float(np.dot(*log_ratio(x, n, estimator))) for x in i])

    start = digamma_minus_log((n - 1) / 2) + _first(n, estimator)
    return np.where(t == 0, 0.0, start + Sums(term)(t))


def variance_log(t: Any, n: Any, estimator: str) -> Any:
    """Var log σ_t² under accumulation."""

    def one(i: Any) -> Any:
        values, weights = log_ratio(i, n, estimator)
        return float(weights @ (values - values @ weights) ** 2)

    start = polygamma(1, (n - 1) / 2)
    return np.where(t == 0, 0.0, start + Sums(lambda i: np.array([one(x) for x in i]))(t))


def log_mean_std(t: Any, n: Any, estimator: str) -> Any:
    """Log of E σ_t/σ under accumulation."""

    def one(i: Any) -> Any:
        values, weights = log_ratio(i, n, estimator)
        return float(np.log1p(np.expm1(values / 2) @ weights))

    start = log_half_step((n - 1) / 2) + _first(n, estimator) / 2
    return np.where(t == 0, 0.0, start + Sums(lambda i: np.array([one(x) for x in i]))(t))


def log_transform(z: Any, n: Any, estimator: str) -> Sums:
    """Function t -> log E exp(z (X - E X)) for X = log σ_t²/σ_1², up to multiples of 2πi."""

    def one(i: Any) -> Any:
        values, weights = log_ratio(i, n, estimator)
        centred = values - values @ weights
        return _log_mean_exp(z, centred, weights)

    return Sums(lambda i: np.stack([one(x) for x in i], axis=-1))


def cumulants(s: float, n: Any, estimator: str) -> Sums:
    """Function t -> log E exp(s (X - E X)) and two derivatives at real s, X = log σ_t²/σ_1²."""

    def one(i: Any) -> Any:
        values, weights = log_ratio(i, n, estimator)
        centred = values - values @ weights
        tilted = np.exp(s * centred - (s * centred).max()) * weights
        tilted /= tilted.sum()
        mean = tilted @ centred
        level = _log_mean_exp(np.array([s + 0j]), centred, weights)[0].real
        return level, mean, tilted @ (centred - mean) ** 2

    return Sums(lambda i: np.stack([one(x) for x in i], axis=-1))


def _log_mean_exp(z: Any, values: Any, weights: Any) -> Any:
    """Return log E exp(zX) for all z of one real part, to relative precision where zX is small."""
    largest = float((z[0].real * values).max())
    if largest > 300:
        return largest + np.log(np.exp(z[:, None] * values - largest) @ weights)
    excess = np.expm1(z[:, None] * values) @ weights
    size = 2 * excess.real + np.abs(excess) ** 2
    # log1p is taken from log, which is what is complex
    near = size > -0.5
    log = np.where(near, np.log1p(np.where(near, size, 0.0)) / 2, np.log(np.abs(1 + excess)))
    return log + 1j * np.angle(1 + excess)
