"""Determinants of the fitted covariance in several dimensions, by Bartlett's decomposition."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import polygamma

from commensal._precision import AnyArray, float64
from commensal.theory.gaussian._arguments import process, scalar
from commensal.theory.gaussian._covariance import check_covariance
from commensal.theory.gaussian._gamma import digamma_minus_log


def expected_determinant(
    t: Any, n: Any, covariance: Any, estimator: str = "unbiased"
) -> Float[AnyArray, "*t"]:
    r"""Mean determinant of the fitted covariance under ``replace``, :math:`E \det Σ_t`.

    Parameters
    ----------
    t, n, covariance, estimator
        Generation, points per generation, true covariance and estimator, as for
        :func:`expected_trace`.

    Returns
    -------
    Float[Array, "*t"]
        Mean determinant; 0 from t = 1 on where n <= d. Float64, differentiable in ``covariance``.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_trace`.

    Notes
    -----
    Bartlett: det W / det Σ is a product of independent χ²_{n-1-j}, j = 0..d-1, so
    :math:`E \det Σ_t = \det Σ_0\,\prod_j ((n-1-j)/m)^t`, m = n-1 or n. It falls even where the
    mean covariance stays.

    Examples
    --------
    >>> float(expected_determinant(2, 11, np.eye(2)).round(12))
    0.81
    """
    d = check_covariance(covariance, "covariance")
    t, n = process(t, n, "replace", estimator)
    m = n if estimator == "mle" else n - 1
    with np.errstate(divide="ignore"):
        rate = sum(np.log(np.maximum(n - 1 - j, 0) / m) for j in range(d))
    factor = np.where(
        t == 0, 1.0, np.exp(np.where(t == 0, 1.0, t) * np.where(rate == 0, 0.0, rate))
    )
    return _times_determinant(covariance, factor)


def expected_log_determinant(
    t: Any, n: Any, covariance: Any, estimator: str = "unbiased"
) -> Float[AnyArray, "*t"]:
    r"""Mean log-determinant of the fitted covariance under ``replace``.

    Parameters
    ----------
    t, n, covariance, estimator
        Generation, points per generation, true covariance and estimator, as for
        :func:`expected_trace`; t finite.

    Returns
    -------
    Float[Array, "*t"]
        Mean log-determinant; -inf from t = 1 on where n <= d, and where ``covariance`` is singular.
        Float64, differentiable in ``covariance``.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_trace`.

    Notes
    -----
    log det Σ₀ + t Σ_j [ψ((n-1-j)/2) + log(2/m)], m = n-1 or n, j = 0..d-1.

    Examples
    --------
    >>> float(expected_log_determinant(10, 100, np.eye(2)).round(4))
    -0.3053
    """
    d = check_covariance(covariance, "covariance")
    t, n = process(t, n, "replace", estimator)
    if np.isinf(t).any():
        raise ValueError("t must be finite: the log-determinant has no limit under replace")
    m = n if estimator == "mle" else n - 1
    drift = np.zeros(n.shape)
    for j in range(d):
        k = np.maximum(n - 1 - j, 1) / 2
        drift += np.where(n - 1 > j, digamma_minus_log(k) + np.log(2 * k / m), -np.inf)
    moved = np.where(t == 0, 0.0, np.where(t == 0, 1.0, t) * drift)
    return _plus_log_determinant(covariance, moved)


def variance_log_determinant(t: Any, n: Any, dim: int) -> Any:
    r"""Variance over lineages of log det Σ_t under ``replace``: t Σ_j ψ'((n-1-j)/2).

    Parameters
    ----------
    t, n
        Generation and points, as for :func:`expected_variance`; t finite.
    dim : int
        Dimension d, at least 1; the true covariance does not matter, nor does the estimator.

    Returns
    -------
    float or array
        Variance; NaN from t = 1 on where n <= d: the determinant is 0 for certain, and has no log.
        Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(variance_log_determinant(10, 100, 2), 4)
    0.4103
    """
    if dim < 1:
        raise ValueError(f"dim must be at least 1, got {dim}")
    t, n = process(t, n, "replace", "unbiased")
    rate = sum(polygamma(1, np.maximum(n - 1 - j, 1) / 2) for j in range(dim))
    return scalar(np.where(t == 0, 0.0, np.where(n > dim, t * rate, np.nan)))


@float64
def _times_determinant(covariance: Float[Array, "d d"], factor: Any) -> Any:
    return jnp.linalg.det(covariance) * jnp.asarray(factor)


@float64
def _plus_log_determinant(covariance: Float[Array, "d d"], moved: Any) -> Any:
    return jnp.linalg.slogdet(covariance)[1] + jnp.asarray(moved)
