"""Errors of a plan by generation, and what they settle at."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.stats import chi2

from commensal import designs
from commensal.planning.advice._best import settled
from commensal.planning.advice._plan import DocumentPlan, DocumentWeights
from commensal.theory import memory, regression

HORIZON = 512
"""Generations up to which a loss is looked for, at least, where matrices are small."""
_SMALL = 30  # dimensions up to which so many covariances are kept
_DRAWS = 20_000  # squared errors that are drawn for their quantiles
_ENDS = (0.025, 0.975)


class PlannedErrors(NamedTuple):
    """Errors by generation, in units of the error on human documents alone.

    Attributes
    ----------
    mean : Float[np.ndarray, "T+1"]
        Expected squared error, mean over models; NaN where it depends on the unknown truth.
    low, high : Float[np.ndarray, "T+1"]
        Quantiles 0.025 and 0.975 of the squared error of one model, all models alike.
    settled : float
        Value in the limit of many generations; NaN where there is none, or it is not known.
    """

    mean: Float[np.ndarray, "T+1"]
    low: Float[np.ndarray, "T+1"]
    high: Float[np.ndarray, "T+1"]
    settled: float


def mean_errors(plan: DocumentPlan, least: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean errors (T'+1,) for T' generations, at least T, and covariances of estimates."""
    s, w = plan.settings, plan.workflow
    horizon = HORIZON if w.dim <= _SMALL and s.memory == "replace" else 64
    length = max(s.generations, horizon if least is None else least)
    # a truth that no data can hit by chance: a bias would show
    theta = np.zeros(1) if plan.grams is None else designs.truth(w.dim, 0)
    found = regression.trajectory(w, theta, length, memory=s.memory, window=s.window)
    bias = np.asarray(found.mean) - theta
    covariance = np.asarray(found.covariance)
    mean = np.trace(covariance, axis1=-2, axis2=-1).mean(axis=-1)
    seen = np.abs(bias).max(axis=(1, 2)) < 1e-6 * (1 + np.sqrt(mean))
    return np.where(seen, mean, np.nan), covariance


def planned_errors(plan: DocumentPlan, scatter: bool = True) -> PlannedErrors:
    """Compute errors by generation, and their scatter, which takes longer."""
    mean, covariance = mean_errors(plan)
    unit = plan.real_error
    ends = np.full((2, len(mean)), np.nan)
    if scatter:
        ends[:, : plan.settings.generations + 1] = _quantiles(plan, covariance)
    return PlannedErrors(mean / unit, *ends / unit, settled=limit_of(plan) / unit)


def _quantiles(plan: DocumentPlan, covariance: np.ndarray) -> np.ndarray:
    """Return quantiles of ‖θ̂ - θ‖² of a model that is picked at random, (2, T+1)."""
    covariance = covariance[: plan.settings.generations + 1]
    if plan.grams is None and np.allclose(covariance, covariance[:, :1], rtol=1e-9):
        d = plan.settings.dim
        return np.outer(chi2.ppf(_ENDS, d) / d, covariance[:, 0, 0, 0])
    if plan.grams is None:
        covariance = covariance * np.eye(plan.settings.dim) / plan.settings.dim
    values = np.clip(np.linalg.eigvalsh(covariance), 0, None)  # (T+1, K, d)
    squares = np.random.default_rng([plan.settings.seed, 1]).chisquare(
        1, (max(_DRAWS // values.shape[1], 1000), values.shape[-1])
    )
    drawn = np.einsum("tkd,nd->tkn", values, squares)
    return np.quantile(drawn.reshape(len(values), -1), _ENDS, axis=1)


def error_with(plan: DocumentPlan) -> float:
    """Return the error that best weights make least: in the limit, or else in generation T."""
    s = plan.settings
    return settled(plan) if s.memory == "replace" else float(mean_errors(plan, 1)[0][s.generations])


def best_in_generation(plan: DocumentPlan) -> DocumentWeights | None:
    """Find the share of models' documents with the smallest error in generation T."""
    if not plan.settings.synthetic:
        return plan.document_weights

    def error(share: float) -> float:
        found = error_with(plan.varied(synthetic_share=share))
        return np.inf if np.isnan(found) else found

    found: Any = minimize_scalar(error, bounds=(0.0, 0.999), method="bounded")
    share = min((0.0, float(found.x)), key=error)
    best = plan.varied(synthetic_share=share)
    return best.document_weights if np.isfinite(error(share)) else None


def limit_of(plan: DocumentPlan) -> float:
    """Return the error after many generations; NaN where there is none, or no closed form."""
    s = plan.settings
    if s.memory == "replace":
        return settled(plan)
    closed = plan.grams is None and not s.fresh and s.synthetic
    if not closed or not _is_normal(plan.network):
        return np.nan
    a, b, _ = plan.mixed
    found = memory.isotropic_errors(
        np.inf, s.models, a, b, memory=s.memory, window=s.window,
        reads=None if plan.alike else plan.network,
        private=plan.private or 1.0, public=plan.public or 1.0, synthetic=s.synthetic,
    )  # fmt: skip
    return float(found.mse)


def _is_normal(w: np.ndarray) -> bool:
    return bool(np.abs(w @ w.T - w.T @ w).max() < 1e-9)


def generations_until(plan: DocumentPlan, errors: PlannedErrors) -> float:
    """Return the first generation whose error is as large as ``until``; NaN if none that is known.

    Infinite where the error settles below, and stays there.
    """
    until = plan.settings.until
    known = ~np.isnan(errors.mean)
    reached = np.flatnonzero(errors.mean >= until)
    if reached.size and known[: reached[0]].all():
        return float(reached[0])
    if not known.all():
        return np.nan
    return np.inf if errors.settled < until else np.nan
