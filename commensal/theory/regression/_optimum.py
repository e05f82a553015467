"""The mix (α, β) of data that serves the models best."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

from commensal._compiled import compiled
from commensal._precision import float64
from commensal.theory.regression import _moments
from commensal.theory.regression._grid import grid
from commensal.theory.regression._workflow import RegressionWorkflow

# The optimum is sought where α and β are strictly inside (0, 1): on the edges some data have no
# weight at all, ranks jump, and the error is not continuous.
_EDGE = 1e-4
_COARSE = np.linspace(0.05, 0.95, 10)
_UNSTABLE = 1e6  # log error reported to the line search where there is no limit


class Mix(NamedTuple):
    """A best mix and the errors that it gives.

    Attributes
    ----------
    alpha, beta : float
        Best weights α and β, in [1e-4, 1 - 1e-4].
    mse : Float[np.ndarray, "K"]
        Total variance of each model at the best mix, in squared units of θ.
    relative_efficiency : Float[np.ndarray, "K"]
        Relative efficiency of each model, as :func:`relative_efficiency`.
    half_mse, half_relative_efficiency : Float[np.ndarray, "K"]
        Both at (α, β) = (0.5, 0.5), which the paper recommends; NaN if that is unstable.
    """

    alpha: float
    beta: float
    mse: Float[np.ndarray, "K"]
    relative_efficiency: Float[np.ndarray, "K"]
    half_mse: Float[np.ndarray, "K"]
    half_relative_efficiency: Float[np.ndarray, "K"]


def optimal_mix(w: RegressionWorkflow, objective: str = "mean") -> Mix:
    """Find the (α, β) with the smallest mean, or smallest worst-model, error in the limit.

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant in time; its own ``alpha`` and ``beta`` are not used.
    objective : {"mean", "worst"}
        Error to minimise: the mean over models of the limiting MSE, or its maximum.

    Returns
    -------
    Mix
        Best mix and its errors, float64, on the host.

    Raises
    ------
    ValueError
        If ``objective`` is unknown, the workflow varies in time, or no mix on a coarse grid is
        stable.

    Notes
    -----
    Compare `interactive`, fig. 2, which reads (0.5, 0.5) off six curves. By gradient from the best
    cell of a 10 × 10 grid: L-BFGS-B for the mean, SLSQP on the epigraph for the maximum (which is
    not smooth). A local optimum is all that is promised. Inside (0, 1)² the bias is the same for
    every mix, so the variance alone decides.

    Examples
    --------
    >>> from commensal import designs
    >>> w = RegressionWorkflow(**designs.gaussian(4, 15, 5, seed=0).grams(), alpha=0.5, beta=0.5)
    >>> best = optimal_mix(w)
    >>> print(f"alpha = {best.alpha:.2f}, beta = {best.beta:.2f}")
    alpha = 0.37, beta = 0.75
    >>> gain = best.relative_efficiency.mean() - best.half_relative_efficiency.mean()
    >>> print(f"{gain:.3f}")
    0.032
    """
    if objective not in ("mean", "worst"):
        raise ValueError(f"objective must be 'mean' or 'worst', got {objective!r}")
    coarse = grid(w, _COARSE, _COARSE, tasks=False).variance
    total = coarse.mean(axis=-1) if objective == "mean" else coarse.max(axis=-1)
    if np.isnan(total).all():
        raise ValueError(
            "no mix on a 10 × 10 grid of (alpha, beta) is stable: give new data a human_share"
        )
    i, j = np.unravel_index(np.nanargmin(total), total.shape)
    start = np.array([_COARSE[i], _COARSE[j]])
    solve = _minimise_mean if objective == "mean" else _minimise_worst
    alpha, beta = solve(w, start)
    best, half = _errors(w, alpha, beta), _errors(w, 0.5, 0.5)
    return Mix(alpha, beta, *best, *half)


def _minimise_mean(w: RegressionWorkflow, start: np.ndarray) -> tuple[float, float]:
    def fun(x):
        value, slope = (np.asarray(v) for v in _log_mean(w, x))
        if not np.isfinite(value):
            return _UNSTABLE, np.zeros(2)
        return float(value), slope

    found = minimize(
        fun,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(_EDGE, 1 - _EDGE)] * 2,
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    return float(found.x[0]), float(found.x[1])


def _minimise_worst(w: RegressionWorkflow, start: np.ndarray) -> tuple[float, float]:
    def errors(x):
        value = np.asarray(_log_errors(w, x[:2])[0])
        return np.where(np.isfinite(value), value, _UNSTABLE)

    def slopes(x):
        slope = np.asarray(_log_errors(w, x[:2])[1])
        return np.hstack([-np.where(np.isfinite(slope), slope, 0), np.ones((slope.shape[0], 1))])

    found = minimize(
        lambda x: x[2],
        np.append(start, errors(start).max()),
        jac=lambda x: np.array([0.0, 0.0, 1.0]),
        method="SLSQP",
        bounds=[(_EDGE, 1 - _EDGE)] * 2 + [(None, None)],
        constraints={"type": "ineq", "fun": lambda x: x[2] - errors(x), "jac": slopes},
        options={"ftol": 1e-12, "maxiter": 200},
    )
    x = found.x if errors(found.x).max() <= errors(start).max() else start
    return float(x[0]), float(x[1])


def _variances(w: RegressionWorkflow, x: Array) -> Array:
    limit = _moments.limit(w.replace(alpha=x[0], beta=x[1]))
    return jnp.trace(limit.covariance, axis1=-2, axis2=-1)


@float64
@compiled
def _log_mean(w: RegressionWorkflow, x: Array) -> tuple[Array, Array]:
    return jax.value_and_grad(lambda x: jnp.log(_variances(w, x).mean()))(x)


@float64
@compiled
def _log_errors(w: RegressionWorkflow, x: Array) -> tuple[Array, Array]:
    def log_variances(x):
        return jnp.log(_variances(w, x))

    return log_variances(x), jax.jacfwd(log_variances)(x)


def _errors(w: RegressionWorkflow, alpha: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    cell = grid(w, [alpha], [beta], tasks=False)
    return cell.variance[0, 0], cell.relative_efficiency[0, 0]
