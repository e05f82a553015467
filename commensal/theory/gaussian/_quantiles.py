"""Spread of σ_t over lineages: distribution function and quantiles."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.special import gammainc, gammaincinv, ndtri

from commensal.theory.gaussian._arguments import (
    process,
    scalar,
    unknown,
)
from commensal.theory.gaussian._far import below, far, quantile
from commensal.theory.gaussian._law import law
from commensal.theory.gaussian._log_moments import expected_log_variance, variance_log_variance

INSTEAD = "simulate it (commensal.sims.gaussian), or take 'replace' or 'accumulate'"


def std_cdf(x: Any, t: Any, n: Any, memory: str = "replace", estimator: str = "unbiased") -> Any:
    r"""Distribution function of the fitted standard deviation: P(σ_t/σ <= x).

    Parameters
    ----------
    x : float or array
        Ratio of σ_t to σ; broadcast against t and n.
    t, n, memory, estimator
        Generation, points, memory and estimator, as for :func:`expected_variance`. Not known under
        ``accumulate_subsample``; t = inf has a law under ``accumulate``, and is 0 almost surely
        under ``replace``.

    Returns
    -------
    float or array
        Probability in [0, 1], to about 1e-12 of itself, also far down the lower tail; near 1 to
        about 1e-13 absolute. Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        If an argument is out of range; :class:`UnknownLawError` under ``accumulate_subsample``.

    Notes
    -----
    New here. log σ_t² is a sum of independent terms. Under ``replace`` each is the log of a
    chi-square variable, with :math:`E\,(χ^2_ν)^{iu} = 2^{iu}\,Γ(ν/2+iu)/Γ(ν/2)`; under
    ``accumulate`` it is the log of a pool's growth, whose characteristic function takes a Gauss
    rule. Their product is inverted by a Fourier sum; below 1e-3, along a line through the
    saddlepoint, where nothing cancels.

    References
    ----------
    Gil-Pelaez (1951), Biometrika 38; Davies (1973), Biometrika 60; Daniels (1954), Annals of
    Mathematical Statistics 25.

    Examples
    --------
    >>> round(std_cdf(0.5, 150, 100), 6)
    0.529747
    """
    t, n = process(t, n, memory, estimator)
    x = np.asarray(x, dtype=np.float64)
    if np.isnan(x).any():
        raise ValueError("x must be a ratio of standard deviations, got nan")
    x, t, n = np.broadcast_arrays(x, t, n)
    out = np.empty(x.shape)
    for last, size, at in _processes(t, n):
        out[at] = cdf_at(x[at], last, size, memory, estimator)
        if last > 1 and (memory, last) != ("replace", np.inf):
            of, tails = _law_and_tails(last, size, memory, estimator)
            small = at & (out < 1e-3) & (x > 0)
            out[small] = [below(y, of, tails) for y in 2 * np.log(x[small])]
    return scalar(out)


def std_quantile(
    q: Any, t: Any, n: Any, memory: str = "replace", estimator: str = "unbiased"
) -> Any:
    r"""Quantiles of the fitted standard deviation over lineages, :math:`σ_t/σ`.

    Parameters
    ----------
    q : float or array
        Probability in (0, 1), 0.5 for the median; broadcast against t and n.
    t, n, memory, estimator
        Generation, points, memory and estimator, as for :func:`std_cdf`.

    Returns
    -------
    float or array
        Ratio to σ, to about 1e-11 relative for every q, 1e-300 as well; where q is nearly 1,
        for the 1 - q that the number handed in has. 0 where σ_t is below the smallest float: see
        :func:`log_std_quantile`. Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        If an argument is out of range; :class:`UnknownLawError` under ``accumulate_subsample``.

    Notes
    -----
    Under ``replace`` the median falls as exp(t [ψ((n-1)/2) - log((n-1)/2)]/2), about
    exp(-t/(2n)), while the mean of σ_t² stays (unbiased): quote medians beside means.

    Examples
    --------
    >>> np.round(std_quantile([0.05, 0.5, 0.95], 100, 100), 4)
    array([0.1855, 0.6035, 1.9449])
    """
    t, n = process(t, n, memory, estimator)
    return scalar(np.exp(_log_quantiles(q, t, n, memory, estimator)))


def log_std_quantile(
    q: Any, t: Any, n: Any, memory: str = "replace", estimator: str = "unbiased"
) -> Any:
    r"""Quantiles of :math:`\log(σ_t/σ)`, also where σ_t itself is below the smallest float.

    Parameters
    ----------
    q, t, n, memory, estimator
        Probability, generation, points, memory and estimator, as for :func:`std_quantile`.

    Returns
    -------
    float or array
        Logarithm of :func:`std_quantile`; -inf at t = inf under ``replace``. Float64, by NumPy and
        SciPy.

    Raises
    ------
    ValueError
        Under the conditions of :func:`std_quantile`.

    Examples
    --------
    >>> round(log_std_quantile(0.5, 10_000, 2), 2), std_quantile(0.5, 10_000, 2)
    (-6351.53, 0.0)
    """
    t, n = process(t, n, memory, estimator)
    return scalar(_log_quantiles(q, t, n, memory, estimator))


def std_quantile_lognormal(
    q: Any, t: Any, n: Any, memory: str = "replace", estimator: str = "unbiased"
) -> Any:
    r"""Quantiles of :math:`σ_t/σ` were log σ_t normal: the limit of many generations.

    Parameters
    ----------
    q, t, n, memory, estimator
        Probability, generation, points, memory and estimator, as for :func:`std_quantile`.

    Returns
    -------
    float or array
        Quantile, with the exact mean and variance of log σ_t². Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        Under the conditions of :func:`std_quantile`.

    Notes
    -----
    The central limit theorem for a sum of t independent terms under ``replace``. Under
    ``accumulate`` the first terms always dominate, and it is an approximation for large n alone.

    Examples
    --------
    >>> np.round(std_quantile_lognormal([0.05, 0.5, 0.95], 100, 100), 4)
    array([0.1861, 0.6024, 1.9506])
    """
    t, n = process(t, n, memory, estimator)
    q = _probability(q)
    if memory == "accumulate_subsample":
        raise unknown("the law of σ_t", memory, INSTEAD)
    mean = expected_log_variance(t, n, memory, estimator)
    spread = np.sqrt(variance_log_variance(t, n, memory, estimator))
    return scalar(np.exp((mean + spread * ndtri(q)) / 2))


def _probability(q: Any) -> Any:
    q = np.asarray(q, dtype=np.float64)
    if not np.all((q > 0) & (q < 1)):
        raise ValueError(f"q must be a probability in (0, 1), got {q}")
    return q


def _processes(t: Any, n: Any) -> list[Any]:
    """Return every distinct (t, n), and a mask of where it occurs."""
    pairs = np.unique(np.stack([t.ravel(), n.ravel()], axis=1), axis=0)
    return [(float(a), float(b), (t == a) & (n == b)) for a, b in pairs]


def cdf_at(x: Any, t: Any, n: Any, memory: str, estimator: str) -> Any:
    """Return P(σ_t/σ <= x) at one t and one n."""
    if memory == "accumulate_subsample":
        raise unknown("the law of σ_t", memory, INSTEAD)
    if t == 0:
        return (x >= 1).astype(float)
    if memory == "replace" and np.isinf(t):
        return (x >= 0).astype(float)
    positive = np.maximum(x, 0.0)
    if t == 1:
        return gammainc((n - 1) / 2, _divisor(n, estimator) / 2 * positive**2)
    safe = np.where(positive > 0, positive, 1.0)
    y = np.where(positive > 0, 2 * np.log(safe), -np.inf)
    return law(t, n, memory, estimator).cdf(y)


def _log_quantiles(q: Any, t: Any, n: Any, memory: str, estimator: str) -> Any:
    q, t, n = np.broadcast_arrays(_probability(q), t, n)
    out = np.empty(q.shape)
    for last, size, at in _processes(t, n):
        out[at] = [_log_quantile(p, last, size, memory, estimator) for p in q[at]]
    return out


def _log_quantile(q: float, t: Any, n: Any, memory: str, estimator: str) -> float:
    if memory == "accumulate_subsample":
        raise unknown("the law of σ_t", memory, INSTEAD)
    if t == 0 or (memory == "replace" and np.isinf(t)):
        return 0.0 if t == 0 else -np.inf
    if t == 1 and 1e-3 <= q <= 0.999:  # farther out χ² itself may be below the smallest float
        return float(np.log(gammaincinv((n - 1) / 2, q) * 2 / _divisor(n, estimator))) / 2
    return quantile(q, *_law_and_tails(t, n, memory, estimator)) / 2


def _law_and_tails(t: Any, n: Any, memory: str, estimator: str) -> Any:
    if t == 1:  # nothing to accumulate yet
        memory = "replace"
    return law(t, n, memory, estimator), partial(far, t, n, memory, estimator)


def _divisor(n: Any, estimator: str) -> float:
    return n if estimator == "mle" else n - 1
