r"""Ridge and minimum-norm regression on labels that humans and the last model give together.

In each generation humans label the features X anew, with noise of variance σ², and so does the last
model, with noise of variance κσ². The next model is fitted to :math:`w y + (1-w)\tilde y`,

.. math:: \hatθ_t = (X^\top X + λI)^+ X^\top \big[w y_t + (1-w)(X\hatθ_{t-1} + \text{noise})\big].

Along an eigenvector of XᵀX with eigenvalue s this is a scalar recursion: with h = s/(s+λ) and
x = (1-w)h the error settles at a bias of (1-h)/(1-x) of θ and a variance of
:math:`σ^2 \frac{h^2}{s}\,\frac{w^2+κ(1-w)^2}{1-x^2}`.

Garg, Bhattacharya and Sur (arXiv 2509.22341, read as an abstract) treat such mixing in the limit of
many dimensions. What is here is exact for given features, and derived anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from commensal._grams import checked_grams
from commensal.theory.fresh._effort import Effort, golden


class RidgeError(NamedTuple):
    """Error after many generations, in squared units of θ.

    Attributes
    ----------
    squared_bias : float
        Squared distance ‖E θ̂ - θ‖².
    variance : float
        Total variance of the estimate.
    """

    squared_bias: float
    variance: float

    @property
    def mse(self) -> float:
        """Mean squared error E‖θ̂ - θ‖²."""
        return self.squared_bias + self.variance


class TunedRidge(NamedTuple):
    """Penalty and weight of human labels that are best together.

    Attributes
    ----------
    ridge : float
        Penalty λ, in units of the eigenvalue s of XᵀX.
    weight : float
        Weight w of human labels, in (0, 1).
    error : float
        Mean squared error, in units of ‖θ‖².
    """

    ridge: float
    weight: float
    error: float


class _Modes(NamedTuple):
    """Eigenvectors of XᵀX, one number each."""

    signal: Float[np.ndarray, "d"]  # θ² along each
    kept: Float[np.ndarray, "d"]  # h
    noise: Float[np.ndarray, "d"]  # σ² h²/s


def ridge_error(
    weight: float | int,
    gram: Any,
    theta: Any,
    ridge: float | int = 0.0,
    *,
    noise: float | int = 1.0,
    kappa: float | int = 1.0,
) -> RidgeError:
    r"""Error of ridge regression on human and model labels of the same features, in the limit.

    .. math::
        \sum_i θ_i^2 \Big(\frac{1-h_i}{1-x_i}\Big)^2
        + σ^2 \sum_i \frac{h_i^2}{s_i}\,\frac{w^2 + κ(1-w)^2}{1-x_i^2},
        \qquad h_i = \frac{s_i}{s_i+λ},\; x_i = (1-w)h_i

    Parameters
    ----------
    weight : float
        Weight w of human labels, in [0, 1].
    gram : Float[Array, "d d"]
        Gram matrix XᵀX of the features, of any rank.
    theta : Float[Array, "d"]
        True parameter.
    ridge : float
        Penalty λ ≥ 0, in units of XᵀX; 0 for the minimum-norm solution.
    noise : float
        Standard deviation σ of human labels.
    kappa : float
        Variance κ > 0 of a model's label, in units of that of a human one; κ/K if the posts of K
        models are averaged that all learn from the same human labels.

    Returns
    -------
    RidgeError
        Squared bias and variance. The variance is infinite for w = 0 and λ = 0: without human
        labels the estimate drifts for ever.

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes disagree.

    Notes
    -----
    New here; claim ``commensal.ridge_mixing``. Compare arXiv 2509.22341 (read as an abstract).

    Examples
    --------
    >>> found = ridge_error(0.5, 4 * np.eye(2), np.ones(2), ridge=4.0)
    >>> round(found.squared_bias, 4), round(found.variance, 4)
    (0.8889, 0.0667)
    """
    modes, w = _modes(gram, theta, ridge, noise, kappa), float(weight)
    if not 0 <= w <= 1:
        raise ValueError(f"weight must lie in [0, 1], got {weight}")
    back = (1 - w) * modes.kept
    bias = np.where(modes.kept < 1, (1 - modes.kept) / np.where(back < 1, 1 - back, 1), 0)
    lost = modes.kept * w + (1 - modes.kept)  # 1 - x, without cancelling
    variance = (
        modes.noise * (w**2 + kappa * (1 - w) ** 2) / np.where(lost > 0, lost * (1 + back), 1)
    )
    variance = np.where((lost > 0) | (modes.noise == 0), variance, np.inf)
    return RidgeError(float((modes.signal * bias**2).sum()), float(variance.sum()))


def best_ridge_weight(
    gram: Any,
    theta: Any,
    ridge: float | int = 0.0,
    *,
    noise: float | int = 1.0,
    kappa: float | int = 1.0,
) -> Effort:
    r"""Find the weight of human labels with the smallest error in the limit.

    It is at least κ/(1+κ), one half for κ = 1, whatever the features, θ and λ are. For λ = 0, the
    minimum-norm solution, it is the golden ratio's of :func:`best_weight` with K = 1, whatever the
    features and θ are.

    Parameters
    ----------
    gram, theta, ridge, noise, kappa
        Features, truth and noise, as for :func:`ridge_error`. Neither ``noise`` nor ``gram`` may be
        zero.

    Returns
    -------
    Effort
        Best weight w*, and the mean squared error with it, in squared units of θ.

    Raises
    ------
    ValueError
        If an argument is out of range, shapes disagree, or there is no noise or no feature.

    Notes
    -----
    New here; claim ``commensal.ridge_weight``. The error is strictly convex in w, since both terms
    are in x. Both bounds that the abstract of arXiv 2509.22341 has for many dimensions hold for
    every fixed X: with u = 1 - w the bias only grows with u, and of the variance the numerator
    w² + κu² is least at w = κ/(1+κ) while 1/(1-x²) grows with u. w* = 1, no model labels at all, is
    best where :math:`\sum_i θ_i^2 h_i(1-h_i)^2 \ge σ^2 \sum_i h_i^2/s_i`: where λ is too large.

    Examples
    --------
    >>> gram, theta = np.diag([4.0, 1.0, 0.0]), np.ones(3)
    >>> [round(best_ridge_weight(gram, theta, ridge).weight, 3) for ridge in (0.0, 1.0, 4.0)]
    [0.618, 0.799, 1.0]
    """
    modes = _modes(gram, theta, ridge, noise, kappa)
    if not modes.noise.sum() > 0:
        raise ValueError("a best weight needs noise and features: without them every weight is")
    h = modes.kept

    def slope(u: float) -> float:
        bias = modes.signal * h * (1 - h) ** 2 / (1 - u * h) ** 3
        variance = (1 + kappa + h**2) * u - 1 - h**2 * u**2
        return float((bias + modes.noise * variance / (1 - h**2 * u**2) ** 2).sum())

    if slope(0.0) >= 0:
        weight = 1.0
    elif ridge == 0:
        weight = golden(kappa)
    else:
        found: Any = brentq(slope, 0.0, 1.0, xtol=1e-15)
        weight = float(1 - found)
    error = ridge_error(weight, gram, theta, ridge, noise=noise, kappa=kappa)
    return Effort(weight, error.mse)


def tuned_ridge(signal: float | int, kappa: float | int = 1.0) -> TunedRidge:
    r"""Find the penalty and the weight of human labels that are best together, if XᵀX = sI.

    With B the part of θ that is lost to the bias, the best weight for each B is a golden ratio's,
    and what is left is one equation,

    .. math::
        RB = \frac{κ(1-B)}{\sqrt{κ^2 + 4κ(1-B)^2}}, \qquad
        \frac{\mathrm{MSE}}{\lVertθ\rVert^2} = B^2 + \frac{\sqrt{κ^2 + 4κ(1-B)^2} - κ}{2R}.

    Parameters
    ----------
    signal : float
        Signal to noise R = s‖θ‖²/(dσ²), positive.
    kappa : float
        Variance κ > 0 of a model's label, in units of that of a human one.

    Returns
    -------
    TunedRidge
        Penalty over s, weight and error. With R the weight falls from 1 to the golden ratio's: who
        is told little should listen to humans alone.

    Raises
    ------
    ValueError
        If an argument is not positive.

    Notes
    -----
    New here; claim ``commensal.tuned_ridge``. Human labels alone, with their best penalty 1/R, have
    error 1/(1+R).

    Examples
    --------
    >>> [round(tuned_ridge(r).weight, 3) for r in (0.01, 1, 100)]
    [0.99, 0.678, 0.619]
    >>> round(tuned_ridge(1).error, 3)
    0.441
    """
    if not (signal > 0 and np.isfinite(signal)):
        raise ValueError(f"signal must be a positive number, got {signal}")
    _check_kappa(kappa)

    def size(kept: float) -> float:  # of the square root, for 1 - B = kept
        return float(np.sqrt(kappa**2 + 4 * kappa * kept**2))

    # for 1 - B, which is the smaller one where there is little signal
    found: Any = brentq(
        lambda kept: kappa * kept / size(kept) - signal * (1 - kept),
        0.0, 1.0, xtol=1e-300, maxiter=5000,
    )  # fmt: skip
    kept = float(found)
    human = golden(kappa / kept**2)  # 1 - x
    told = human * kept  # wh
    h = told + 1 - human
    error = (1 - kept) ** 2 + kept**2 * human / signal
    return TunedRidge(float(human * (1 - kept) / h), float(told / h), float(error))


def minimum_norm(
    weight: float | int | None,
    rows: int,
    dim: int,
    signal: float | int,
    *,
    noise: float | int = 1.0,
    kappa: float | int = 1.0,
) -> Effort:
    r"""Error of minimum-norm regression whose Gaussian features are drawn anew each generation.

    For n rows in d > n + 1 dimensions, with η = n/d and features of unit variance,

    .. math::
        \mathrm{MSE} = \frac{(1-η)\lVertθ\rVert^2 + σ^2\frac{n}{d-n-1}(w^2 + κ(1-w)^2)}{1-η(1-w)^2}.

    Parameters
    ----------
    weight : float or None
        Weight w of human labels, in [0, 1]; None for the best.
    rows, dim : int
        Numbers n ≥ 1 of rows and d > n + 1 of dimensions.
    signal : float
        Squared length ‖θ‖² ≥ 0 of the true parameter.
    noise : float
        Standard deviation σ of human labels, positive.
    kappa : float
        Variance κ > 0 of a model's label, in units of that of a human one.

    Returns
    -------
    Effort
        Weight, and the mean squared error after many generations, in squared units of θ. The best
        weight 1 - u solves :math:`ηu^2 - (1+κ+η(1+b))u + 1 = 0`, b the first term of the numerator
        over the second without weights.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; claim ``commensal.minimum_norm``. Exact for every n and d. Where the same features are
    labelled again and again the best weight is the golden ratio's (:func:`best_ridge_weight`); here
    it is not, since what this generation's features cannot see is forgotten.

    Examples
    --------
    >>> [round(minimum_norm(None, 20, 100, signal).weight, 3) for signal in (0.0, 1.0, 10.0)]
    [0.525, 0.638, 0.882]
    """
    if not 1 <= rows < dim - 1:
        raise ValueError(f"dim must be above rows + 1, got rows = {rows} and dim = {dim}")
    if not (signal >= 0 and noise > 0 and np.isfinite(signal) and np.isfinite(noise)):
        raise ValueError(f"signal must be at least 0 and noise positive, got {signal} and {noise}")
    _check_kappa(kappa)
    seen = rows / dim
    missed, heard = (1 - seen) * signal, noise**2 * rows / (dim - rows - 1)
    if weight is None:
        q = 1 + kappa + seen * (1 + missed / heard)
        w = float(1 - 2 / (q + np.sqrt(q**2 - 4 * seen)))
    else:
        w = float(weight)
    if not 0 <= w <= 1:
        raise ValueError(f"weight must lie in [0, 1], got {weight}")
    told = w**2 + kappa * (1 - w) ** 2
    return Effort(w, float((missed + heard * told) / (1 - seen * (1 - w) ** 2)))


def _modes(gram: Any, theta: Any, ridge: Any, noise: Any, kappa: Any) -> _Modes:
    theta = np.asarray(theta, dtype=np.float64)
    if theta.ndim != 1 or np.shape(gram) != theta.shape * 2:
        raise ValueError(
            f"gram must have shape (d, d) and theta (d,), got {np.shape(gram)} and {theta.shape}"
        )
    for name, value in (("ridge", ridge), ("noise", noise)):
        if not (value >= 0 and np.isfinite(value)):
            raise ValueError(f"{name} must be at least 0, got {value}")
    _check_kappa(kappa)
    sizes, vectors = np.linalg.eigh(checked_grams({"gram": gram}, stacklevel=4)["gram"])
    # below this share of the largest, an eigenvalue is rounding
    sizes = np.where(sizes > 10 * len(sizes) * np.finfo(float).eps * sizes[-1], sizes, 0)
    whole = sizes + ridge
    kept = sizes / np.where(whole > 0, whole, 1)
    heard = kept / np.where(whole > 0, whole, 1)  # h²/s = h/(s+λ)
    return _Modes((vectors.T @ theta) ** 2, kept, noise**2 * heard)


def _check_kappa(kappa: Any) -> None:
    if not (kappa > 0 and np.isfinite(kappa)):
        raise ValueError(f"kappa must be a positive number, got {kappa}")
