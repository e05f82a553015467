"""Moments of the fitted covariance matrix in several dimensions, generation by generation.

(n-1) times the unbiased covariance of n points from N(μ, Σ) is Wishart with n-1 degrees of
freedom. Means are those of one dimension times Σ₀, under every memory; determinants and second
moments are known under ``replace``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._precision import AnyArray, float64
from commensal.theory.gaussian._arguments import ESTIMATORS, check_choice, process
from commensal.theory.gaussian._covariance import check_covariance
from commensal.theory.gaussian._moments import expected_squared_error, expected_variance


class TraceMoments(NamedTuple):
    r"""Second moments of the fitted covariance Σ_t.

    Attributes
    ----------
    trace_of_square : Float[Array, "*t"]
        Mean :math:`E\,\mathrm{tr}(Σ_t^2)`.
    square_of_trace : Float[Array, "*t"]
        Mean :math:`E\,(\mathrm{tr}\,Σ_t)^2`.
    """

    trace_of_square: Any
    square_of_trace: Any


def expected_trace(
    t: Any,
    n: Any,
    covariance: Any,
    memory: str = "replace",
    estimator: str = "unbiased",
    human_share: int | float = 0.0,
) -> Float[AnyArray, "*t"]:
    r"""Mean trace of the fitted covariance after t generations, :math:`E\,\mathrm{tr}\,Σ_t`.

    Parameters
    ----------
    t, n, memory, estimator, human_share
        Generation, points, memory, estimator and share of human data, as for
        :func:`expected_variance`.
    covariance : Float[Array, "d d"]
        True covariance Σ₀, positive semidefinite.

    Returns
    -------
    Float[Array, "*t"]
        Mean trace, in squared units of the data. Float64, differentiable in ``covariance``.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_variance`, or if ``covariance`` is no covariance
        matrix.

    Notes
    -----
    Everything that a generation does to the mean of a covariance it does to every direction
    alike, so E Σ_t = Σ₀ · E σ_t²/σ².

    Examples
    --------
    >>> float(expected_trace(10, 100, np.diag([1.0, 2.0]), estimator="mle").round(4))
    2.7131
    """
    check_covariance(covariance, "covariance")
    ratio = expected_variance(t, n, memory, estimator, human_share)
    return _times_trace(covariance, ratio)


def expected_mean_squared_error(
    t: Any,
    n: Any,
    covariance: Any,
    memory: str = "replace",
    estimator: str = "unbiased",
    human_share: int | float = 0.0,
) -> Float[AnyArray, "*t"]:
    r"""Mean squared distance of the fitted mean to the truth, :math:`E\,\lVert μ_t - μ \rVert^2`.

    Parameters
    ----------
    t, n, covariance, memory, estimator, human_share
        Generation, points, true covariance, memory, estimator and share of human data, as for
        :func:`expected_trace`.

    Returns
    -------
    Float[Array, "*t"]
        Mean squared distance, tr Σ₀ times :func:`expected_squared_error`. Float64, differentiable
        in ``covariance``.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_trace`.

    Examples
    --------
    >>> float(expected_mean_squared_error(10, 100, np.diag([1.0, 2.0])).round(12))
    0.3
    """
    check_covariance(covariance, "covariance")
    ratio = expected_squared_error(t, n, memory, estimator, human_share)
    return _times_trace(covariance, ratio)


def trace_moments(t: Any, n: Any, covariance: Any, estimator: str = "unbiased") -> TraceMoments:
    r"""E tr(Σ_t²) and E (tr Σ_t)² under ``replace``.

    Parameters
    ----------
    t, n, covariance, estimator
        Generation, points per generation, true covariance and estimator, as for
        :func:`expected_trace`; t finite.

    Returns
    -------
    TraceMoments
        Second moments, in fourth powers of the data's units. Float64, differentiable in
        ``covariance``.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_trace`.

    Notes
    -----
    For W Wishart of ν = n-1 degrees of freedom and scale Σ,
    :math:`E\,\mathrm{tr}\,W^2 = ν(ν+1)\,\mathrm{tr}\,Σ^2 + ν\,(\mathrm{tr}\,Σ)^2` and
    :math:`E\,(\mathrm{tr}\,W)^2 = 2ν\,\mathrm{tr}\,Σ^2 + ν^2 (\mathrm{tr}\,Σ)^2`: a linear
    recursion, here as a power of its matrix.

    References
    ----------
    Gupta and Nagar (2000), *Matrix Variate Distributions*, Theorem 3.3.15.

    Examples
    --------
    >>> trace_moments(1, 100, np.eye(2)).square_of_trace  # 4 + Var of the trace, 4/99
    array(4.04040404)
    """
    check_covariance(covariance, "covariance")
    return TraceMoments(*_second(covariance, _recursion(t, n, estimator)))


def variance_trace(
    t: Any, n: Any, covariance: Any, estimator: str = "unbiased"
) -> Float[AnyArray, "*t"]:
    r"""Variance over lineages of tr Σ_t under ``replace``.

    Parameters
    ----------
    t, n, covariance, estimator
        Generation, points per generation, true covariance and estimator, as for
        :func:`trace_moments`.

    Returns
    -------
    Float[Array, "*t"]
        Variance, in fourth powers of the data's units; exponential in t/n, as in one dimension.
        Float64, differentiable in ``covariance``.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_trace`.

    Examples
    --------
    >>> float(variance_trace(1, 101, np.eye(2)).round(12))
    0.04
    """
    check_covariance(covariance, "covariance")
    powers = _recursion(t, n, estimator)
    mean = np.asarray(expected_variance(t, n, "replace", estimator))
    return _variance(covariance, powers, mean)


def _recursion(t: Any, n: Any, estimator: str) -> np.ndarray:
    """Powers of the recursion of (E tr Σ², E (tr Σ)²), of shape (*t, 2, 2)."""
    check_choice("estimator", estimator, ESTIMATORS)
    t, n = process(t, n, "replace", estimator)
    if np.isinf(t).any():
        raise ValueError("t must be finite: second moments have no limit under replace")
    out = np.empty((*t.shape, 2, 2))
    for at in np.ndindex(t.shape):
        nu = float(n[at]) - 1
        m = nu + 1 if estimator == "mle" else nu
        one = np.array([[nu * (nu + 1), nu], [2 * nu, nu * nu]]) / m**2
        out[at] = np.linalg.matrix_power(one, int(t[at]))
    return out


@float64
def _times_trace(covariance: Float[Array, "d d"], ratio: Any) -> Any:
    return jnp.trace(covariance) * jnp.asarray(ratio)


def _start(covariance: Any) -> Any:
    return jnp.stack([jnp.sum(covariance * covariance.T), jnp.trace(covariance) ** 2])


@float64
def _second(covariance: Float[Array, "d d"], powers: Any) -> Any:
    both = jnp.asarray(powers) @ _start(covariance)
    return both[..., 0], both[..., 1]


@float64
def _variance(covariance: Float[Array, "d d"], powers: Any, mean: Any) -> Any:
    both = jnp.asarray(powers) @ _start(covariance)
    return both[..., 1] - (jnp.asarray(mean) * jnp.trace(covariance)) ** 2
