"""The spread of σ_t about its mean: E σ_t, the moments of log σ_t², and E W₂²."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import polygamma

from commensal._precision import float64
from commensal.theory.gaussian import _pool
from commensal.theory.gaussian._arguments import numbers, process, scalar, unknown
from commensal.theory.gaussian._gamma import digamma_minus_log, log_half_step
from commensal.theory.gaussian._moments import (
    each_size,
    expected_squared_error,
    log_expected_variance,
    times,
)

_INSTEAD = "expected_variance and expected_squared_error are, and simulation has the rest"


def expected_std(t: Any, n: Any, memory: str = "replace", estimator: str = "unbiased") -> Any:
    r"""Mean of the fitted standard deviation after t generations, :math:`E\,σ_t/σ`.

    Parameters
    ----------
    t, n, memory, estimator
        Generation, points, memory and estimator, as for :func:`expected_variance`; not known under
        ``accumulate_subsample``.

    Returns
    -------
    float or array
        Mean ratio of standard deviations. Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_variance`; :class:`UnknownLawError` under
        ``accumulate_subsample``.

    Notes
    -----
    ``replace``: c₄(n)^t, times (1-1/n)^{t/2} for ``mle``, with
    :math:`c_4(n) = \sqrt{2/(n-1)}\;Γ(n/2)/Γ((n-1)/2)`. ``accumulate``: a product of one
    expectation per generation, each by Gauss quadrature (new here).

    Examples
    --------
    >>> round(expected_std(1, 2), 6)  # √(2/π)
    0.797885
    """
    t, n = process(t, n, memory, estimator)
    return scalar(np.exp(_log_expected_std(t, n, memory, estimator)))


def expected_log_variance(
    t: Any, n: Any, memory: str = "replace", estimator: str = "unbiased"
) -> Any:
    r"""Mean of the log of the fitted variance, :math:`E \log σ_t^2/σ^2`.

    Parameters
    ----------
    t, n, memory, estimator
        Generation, points, memory and estimator, as for :func:`expected_std`.

    Returns
    -------
    float or array
        Mean of the log of the ratio of variances. Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_std`.

    Notes
    -----
    ``replace``: t [ψ((n-1)/2) - log((n-1)/2)], plus t log(1-1/n) for ``mle``: negative, so
    that σ_t → 0 almost surely whatever happens to its mean. ``accumulate``: a sum that converges,
    so that σ_t has a positive limit (new here, by Gauss quadrature).

    Examples
    --------
    >>> round(expected_log_variance(1000, 100), 3)
    -10.135
    >>> round(expected_log_variance(np.inf, 100, "accumulate", "mle"), 5)
    -0.03304
    """
    t, n = process(t, n, memory, estimator)
    if memory == "accumulate_subsample":
        raise unknown("E log σ_t²", memory, _INSTEAD)
    if memory == "accumulate":
        return scalar(each_size(t, n, lambda t, n: _pool.mean_log(t, n, estimator)))
    drift = digamma_minus_log((n - 1) / 2)
    return scalar(times(t, drift + np.log1p(-1 / n) if estimator == "mle" else drift))


def variance_log_variance(
    t: Any, n: Any, memory: str = "replace", estimator: str = "unbiased"
) -> Any:
    r"""Variance, over lineages, of the log of the fitted variance: Var log σ_t².

    Parameters
    ----------
    t, n, memory, estimator
        Generation, points, memory and estimator, as for :func:`expected_std`.

    Returns
    -------
    float or array
        Variance of the log of the fitted variance. Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_std`.

    Notes
    -----
    ``replace``: t ψ'((n-1)/2) for either estimator; ``accumulate``: by Gauss quadrature.

    Examples
    --------
    >>> round(variance_log_variance(100, 100), 4)
    2.0407
    """
    t, n = process(t, n, memory, estimator)
    if memory == "accumulate_subsample":
        raise unknown("Var log σ_t²", memory, _INSTEAD)
    if memory == "accumulate":
        return scalar(each_size(t, n, lambda t, n: _pool.variance_log(t, n, estimator)))
    return scalar(times(t, polygamma(1, (n - 1) / 2)))


def expected_w2(
    t: Any,
    n: Any,
    sigma: Any = 1.0,
    memory: str = "replace",
    estimator: str = "unbiased",
) -> Any:
    r"""Mean squared Wasserstein-2 distance of generation t to the truth.

    .. math::
        E\,W_2^2 = E\,(μ_t - μ)^2 + σ^2 + E\,σ_t^2 - 2 σ\,E\,σ_t

    Parameters
    ----------
    t, n
        Generation and points, as for :func:`expected_variance`.
    sigma : float or array
        True standard deviation, >= 0; the one argument that JAX can differentiate.
    memory, estimator
        Memory and estimator, as for :func:`expected_std`.

    Returns
    -------
    Float[Array, "..."]
        Mean squared distance, in squared units of the data. Float64.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_std`.

    Notes
    -----
    ``replace``, unbiased: σ² [t/n + 2(1 - c₄(n)^t)].

    Examples
    --------
    >>> round(float(expected_w2(1, 100)), 6)  # 3/(2n), roughly
    0.015044
    """
    t, n = process(t, n, memory, estimator)
    if memory == "accumulate_subsample":
        raise unknown("E W2²", memory, _INSTEAD)
    error = expected_squared_error(t, n, memory, estimator)
    # 1 + E σ_t² - 2 E σ_t without the cancellation that large n would bring
    spread = np.expm1(log_expected_variance(t, n, memory, estimator)) - 2 * np.expm1(
        _log_expected_std(t, n, memory, estimator)
    )
    return _scale(numbers(sigma), error + spread)


@float64
def _scale(sigma: Any, ratio: Any) -> Any:
    return sigma**2 * ratio


def _log_expected_std(t: Any, n: Any, memory: str, estimator: str) -> Any:
    if memory == "accumulate_subsample":
        raise unknown("E σ_t", memory, _INSTEAD)
    if memory == "accumulate":
        return each_size(t, n, lambda t, n: _pool.log_mean_std(t, n, estimator))
    first = np.log1p(-1 / n) / 2 if estimator == "mle" else 0.0
    return times(t, log_half_step((n - 1) / 2) + first)
