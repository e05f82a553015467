r"""Models that estimate one number, with a fresh human estimate in every generation.

K models estimate one number. In each generation model k holds a fresh human estimate h_k of
variance v_h, and posts an answer of variance v_s; everybody reads all K posts and takes
:math:`θ_k = w\,h_k + (1-w)\,\mathrm{web}`, web the mean of the last posts. Errors are given in
units of v_h, and κ = v_s / v_h. For K = 1 the best weight at κ = 1 is the golden ratio of He, Xu
and Cheng (arXiv 2502.18049, read as an abstract); the rest is new here.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.optimize import brentq

Human = Literal["own", "shared"]


class Effort(NamedTuple):
    """Weight of fresh human data, and the error that it leaves.

    Attributes
    ----------
    weight : float
        Weight w of human data in what a model learns from, in (0, 1].
    error : float
        Stationary mean squared error of each model, in units of v_h.
    """

    weight: float
    error: float


class HumanEffort(NamedTuple):
    """Three ways to run a web of K models with human data of their own.

    Attributes
    ----------
    planned : Effort
        Common weight that is best for all.
    selfish : Effort
        Weight that each model chooses for itself, taking the web as it is.
    pooled : Effort
        Common weight that is best if all human data are pooled.
    """

    planned: Effort
    selfish: Effort
    pooled: Effort

    @property
    def price_of_anarchy(self) -> float:
        """Error with selfish weights over the error with the planned one, at least 1."""
        return self.selfish.error / self.planned.error


def stationary_error(
    weight: Any, models: int, kappa: float | int = 1.0, human_data: Human = "own"
) -> Any:
    r"""Mean squared error of each model after many generations, in units of v_h.

    .. math::
        V_{shared} = \frac{w^2 + (κ/K)(1-w)^2}{1-(1-w)^2}, \qquad
        V_{own} = \frac{w^2 + κ(1-w)^2}{K(1-(1-w)^2)} + w^2\Big(1 - \frac1K\Big)

    Parameters
    ----------
    weight : float or array
        Weight w of fresh human data, in [0, 1].
    models : int
        Number of models K, at least 1.
    kappa : float
        Variance κ > 0 of a post, in units of that of a human estimate.
    human_data : {"own", "shared"}
        Whether each model has human data of its own, or all have the same.

    Returns
    -------
    float or array
        Errors; infinite where w = 0, since without human data the web drifts for ever.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; claim ``commensal.fresh_error``.

    Examples
    --------
    >>> round(stationary_error(0.5, models=1), 4)
    0.6667
    """
    w = np.asarray(weight, dtype=np.float64)
    if not np.all((w >= 0) & (w <= 1)):
        raise ValueError(f"weight must lie in [0, 1], got {weight}")
    k = _checked(models, kappa, human_data)
    kept = w * (2 - w)  # 1 - (1-w)², without cancelling
    safe = np.where(kept > 0, kept, 1)
    if human_data == "shared":
        error = (w**2 + kappa / k * (1 - w) ** 2) / safe
    else:
        error = (w**2 + kappa * (1 - w) ** 2) / (k * safe) + w**2 * (1 - 1 / k)
    error = np.where(kept > 0, error, np.inf)
    return float(error) if error.ndim == 0 else error


def best_weight(models: int, kappa: float | int = 1.0, human_data: Human = "own") -> float:
    r"""Find the common weight of human data with the smallest error.

    .. math::
        w^*_{shared} = \frac{\sqrt{κ'^2 + 4κ'} - κ'}{2}, \quad κ' = κ/K; \qquad
        (K-1)\,w^3(2-w)^2 + w^2 + κw - κ = 0 \quad \text{(own)}

    Parameters
    ----------
    models : int
        Number of models K, at least 1.
    kappa : float
        Variance κ > 0 of a post, in units of that of a human estimate.
    human_data : {"own", "shared"}
        Whether each model has human data of its own, or all have the same.

    Returns
    -------
    float
        Best weight w* in (0, 1). With shared data V(w*) = w*. With data of their own it falls as
        (κ/(4K))^⅓, and V as 3 (κ/(4K))^⅔.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here but for K = 1 (arXiv 2502.18049); claim ``commensal.fresh_best_weight``.

    Examples
    --------
    >>> [round(best_weight(k), 3) for k in (1, 2, 4, 16, 64)]
    [0.618, 0.491, 0.389, 0.247, 0.156]
    >>> round(best_weight(4, human_data="shared"), 3)
    0.39
    """
    k = _checked(models, kappa, human_data)
    if human_data == "shared":
        return golden(kappa / k)
    return _root(lambda w: (k - 1) * w**3 * (2 - w) ** 2 + w**2 - kappa * (1 - w))


def human_effort(models: int, kappa: float | int = 1.0) -> HumanEffort:
    r"""Compare planned, selfish and pooled human data: the tragedy of the web.

    A model that takes the web (of error U) as it is weighs its human data by w = U/(1+U). All
    models together then make a web in which

    .. math:: (K-1)\,w^3 - (2K-1)\,w^2 - κw + κ = 0, \qquad V = w.

    Parameters
    ----------
    models : int
        Number of models K, at least 1, each with human data of its own.
    kappa : float
        Variance κ > 0 of a post, in units of that of a human estimate.

    Returns
    -------
    HumanEffort
        Weights and errors. For many models errors fall as (κ/(2K))^½ if each is selfish, as
        3 (κ/(4K))^⅔ if planned, and as 1/K if human data are pooled.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; claim ``commensal.tragedy_of_the_web``. What a selfish model leaves out is that its
    human data also improve the web that it and all others read next. With shared human data, and
    for K = 1, selfish and planned weights are the same.

    Examples
    --------
    >>> four = human_effort(4)
    >>> round(four.planned.weight, 3), round(four.selfish.weight, 3)
    (0.389, 0.333)
    >>> round(four.price_of_anarchy, 3)
    1.033
    """
    k = _checked(models, kappa)
    best, pooled = best_weight(models, kappa), golden(kappa)
    alone = _root(lambda w: (k - 1) * w**3 - (2 * k - 1) * w**2 + kappa * (1 - w))
    return HumanEffort(
        planned=Effort(best, stationary_error(best, models, kappa)),
        selfish=Effort(alone, alone),
        # one human estimate of variance v_h/K, posts of v_s/K: as one model with 1/K of its error
        pooled=Effort(pooled, pooled / k),
    )


def golden(kappa: float | int) -> float:
    """Return the root of w² + κw - κ = 0 in (0, 1), without cancelling."""
    return float(2 / (1 + np.sqrt(1 + 4 / kappa)))


def _root(polynomial: Any) -> float:
    """Return the only root in (0, 1]."""
    found: Any = brentq(polynomial, 0.0, 1.0, xtol=1e-300, maxiter=5000)
    return float(found)


def _checked(models: int, kappa: float | int, human_data: str = "own") -> float:
    if models < 1:
        raise ValueError(f"models must be at least 1, got {models}")
    if not (kappa > 0 and np.isfinite(kappa)):
        raise ValueError(f"kappa must be a positive number, got {kappa}")
    if human_data not in ("own", "shared"):
        raise ValueError(f"human_data must be 'own' or 'shared', got {human_data!r}")
    return float(models)
