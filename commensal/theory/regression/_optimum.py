"""The mix (α, β) of data, and the share φ of human data, that serve the models best."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import brentq, minimize

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
# Shares φ from 1e-6 to 1 - 1e-6, even in log φ/(1-φ): human data may be any number of times richer
# than the web's.
_SHARES = 1 / (1 + np.exp(-np.linspace(-np.log(1e6), np.log(1e6), 57)))


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


class HumanShare(NamedTuple):
    """A best share of fresh human data and the errors that it gives.

    Attributes
    ----------
    human_share : float
        Best share φ, in [0, 1].
    mse : Float[np.ndarray, "K"]
        Total variance of each model with it, in squared units of θ.
    mse_without : Float[np.ndarray, "K"]
        Total variance without human data, φ = 0; NaN if that is unstable.
    mse_alone : Float[np.ndarray, "K"]
        Total variance if all new data are human, φ = 1.
    """

    human_share: float
    mse: Float[np.ndarray, "K"]
    mse_without: Float[np.ndarray, "K"]
    mse_alone: Float[np.ndarray, "K"]


def optimal_human_share(w: RegressionWorkflow) -> HumanShare:
    """Find the share φ of fresh human data with the smallest mean error in the limit.

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant in time; its own ``human_share`` is not used. ``human`` and
        ``human_data`` say which human data can be had.

    Returns
    -------
    HumanShare
        Best share and its errors, float64, on the host.

    Raises
    ------
    ValueError
        If the workflow varies in time, or no share inside (0, 1) has a limit, as when models write
        about what no real data cover.

    Notes
    -----
    New here. The error may have several minima: its slope is computed at 57 shares from 1e-6 to
    1 - 1e-6, and each sign change from falling to rising is followed to its zero. The best of all
    is compared with φ = 0 and φ = 1 where the estimates keep the same mean there; where they do
    not, as when the human data alone see some direction, the edge is no candidate: its bias depends
    on θ. Inside (0, 1) the bias is the same for all shares, so the variance alone decides. For
    isotropic data :func:`isotropic_human_share` has the answer in closed form.

    Examples
    --------
    >>> from commensal import designs
    >>> grams = designs.gaussian(4, 15, 5, seed=0, human_rank=5).grams()
    >>> w = RegressionWorkflow(**grams, alpha=0.8, beta=0.5)
    >>> shared = optimal_human_share(w)
    >>> own = optimal_human_share(w.replace(human_data="own"))
    >>> print(f"shared: {shared.human_share:.2f}, own: {own.human_share:.2f}")
    shared: 0.69, own: 0.70
    """
    _moments.require_constant(w)
    inner = [(share, *_slope(w, share)) for share in _SHARES.tolist()]
    candidates = [(value, share) for share, value, _ in inner if np.isfinite(value)]
    for (left, _, falling), (right, _, rising) in pairwise(inner):
        # where there is no limit the error is infinite, and falls towards where there is one
        if (np.isfinite(falling) or np.isfinite(rising)) and not (falling >= 0 or rising <= 0):
            share = _turn(w, left, right, bool(np.isfinite(falling)))
            candidates.append((_slope(w, share)[0], share))
    if not candidates:
        raise ValueError(
            "no share of human data in (0, 1) gives this system a limit: does only the web cover "
            "some direction?"
        )
    middle = _limit_at(w, min(candidates)[1])
    edges = {share: _limit_at(w, share) for share in (0.0, 1.0)}
    for share, edge in edges.items():
        if np.allclose(edge.mean_map, middle.mean_map, atol=1e-6):  # not if NaN
            candidates.append((float(np.log(_traces(edge).mean())), share))
    best = min(candidates)[1]
    found = edges[best] if best in edges else _limit_at(w, best)
    return HumanShare(best, _traces(found), _traces(edges[0.0]), _traces(edges[1.0]))


def _turn(w: RegressionWorkflow, left: float, right: float, from_left: bool) -> float:
    """Return where the slope changes its sign from falling to rising."""
    sign = 1.0 if from_left else -1.0  # of the slope where there is no limit

    def slope(share: float) -> float:
        found = _slope(w, share)[1]
        return found if np.isfinite(found) else sign

    found: Any = brentq(slope, left, right, xtol=1e-15, disp=False)
    return float(found)


def _slope(w: RegressionWorkflow, share: float) -> tuple[float, float]:
    """Return the logarithm of the mean variance and its derivative in φ, or NaN for no limit."""
    value, slope = _log_mean_of_share(w, np.float64(share))
    return float(value), float(slope) if np.isfinite(value) else np.nan


def _limit_at(w: RegressionWorkflow, share: float) -> _moments.Limit:
    """Return the limit for a share of human data, NaN where there is none."""
    return _limit_of_share(w, np.float64(share))


def _traces(limit: _moments.Limit) -> np.ndarray:
    return np.trace(np.asarray(limit.covariance), axis1=-2, axis2=-1)


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
def _limit_of_share(w: RegressionWorkflow, share: Array) -> _moments.Limit:
    return _moments.limit(w.replace(human_share=share))


@float64
@compiled
def _log_mean_of_share(w: RegressionWorkflow, share: Array) -> tuple[Array, Array]:
    def log_mean(share: Array) -> Array:
        limit = _moments.limit(w.replace(human_share=share))
        return jnp.log(jnp.trace(limit.covariance, axis1=-2, axis2=-1).mean())

    return jax.value_and_grad(log_mean)(share)


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
