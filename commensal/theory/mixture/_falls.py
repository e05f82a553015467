r"""Stationary distribution of ‖D‖_F, and how often it falls by a given factor.

``webdynamics`` fig. 6 shows one sudden fall of ‖D‖_F in 200 generations of one run, n = 3, B = 11.
Sampling noise alone makes such falls. (With overlapping components there is a second cause, the
escape of a trapped model: ``_trap``. The paper gives neither means nor ε for this figure.)
For k large, weights of different models are independent Gaussians around the consensus, of
covariance C (trace: :func:`disagreement` over 2n(n-1)), so that

.. math::
    \lVert D\rVert_F^2 = 2n \sum_i \lVert π_i - \barπ\rVert^2
    \sim 2n \sum_m κ_m\,χ^2_{n-1,m}, \qquad κ = \mathrm{eigenvalues}(C),

with (n-1)(B-1) degrees of freedom at most: two for n = 3, B = 2, an exponential law whose
coefficient of variation is one. From a generation to the next, modes are correlated by
:math:`r_m = e^{-λ_m}`, about 0.37 for separated components. Let x and x' be the vectors of one
model at lag τ; ‖D‖_F has fallen by a factor f or more if
:math:`f^2\lVert x'\rVert^2 - \lVert x\rVert^2 \leq 0`, summed over n-1 independent copies: the
sign of an indefinite quadratic form. For separated components it has the weights

.. math::
    μ_m^\pm = \tfrac12 κ_m \Big[f^2 - 1 \pm \sqrt{(f^2-1)^2 + 4f^2(1-r^2)}\Big], \qquad r = e^{-τ},

and for one mode P(fall) is a value of the F distribution with (n-1, n-1) degrees of freedom. For
separated components neither k nor β enters, so falls are as frequent late as early, and as
frequent as rises by the same factor. For n = 3 and B = 2 half of the norm goes within a generation
37 times in 200 generations; for B = 11 with consensus weights drawn from Dirichlet(1), 1.4 times on
average (0.5 to 2.6 from the 5th to the 95th percentile of 200 draws): rare enough to be noticed
once, and no sign of anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.theory.mixture import _arguments, _chi_squares
from commensal.theory.mixture._noise import disagreement, mode_variance, separated
from commensal.theory.mixture._overlap import Overlap


def disagreement_survival(
    x: Any,
    weights: Any,
    models: int,
    draws: int,
    read_share: float,
    *,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> Any:
    """Return P(‖D‖_F > x) at rest.

    Parameters
    ----------
    x : Float[Array, "..."]
        Threshold for ‖D‖_F itself, not for its square.
    weights : Float[Array, "B"]
        Consensus weights π.
    models, draws, read_share, replacement, overlap
        System at rest, as for :func:`disagreement`, one number each.

    Returns
    -------
    Float[np.ndarray, "..."]
        Probability, to about 1e-11 of itself, also where it is minute, for the Gaussian limit k π_b
        ≫ 1.

    Raises
    ------
    ValueError
        If an argument is out of range, or x is NaN.

    Notes
    -----
    New here; derivation at the head of the module.

    Examples
    --------
    One mode and two degrees of freedom: an exponential law of ‖D‖².

    >>> mean = float(disagreement([0.5, 0.5], 3, 100, 0.5))
    >>> float(disagreement_survival(mean**0.5, [0.5, 0.5], 3, 100, 0.5).round(12))
    0.367879441171
    """
    x = np.asarray(x, dtype=np.float64)
    if np.isnan(x).any():
        raise ValueError("x must be a number, got nan")
    kappa, n = _spread(weights, models, draws, read_share, replacement, overlap)
    # beyond these even a square is out of a float's range, and the answer 1 or 0
    inside = (x > 1e-150) & (x < 1e150)
    square = np.where(inside, x, 1.0) ** 2 / (2 * n)
    tails = [_chi_squares.tail(q, kappa, n - 1, upper=True) for q in square.ravel()]
    return np.where(inside, np.reshape(tails, x.shape), np.where(x > 1, 0.0, 1.0))


def disagreement_quantile(
    probability: float,
    weights: Any,
    models: int,
    draws: int,
    read_share: float,
    *,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> float:
    """Quantile of ‖D‖_F at rest, exceeded with probability 1 - ``probability``.

    Parameters
    ----------
    probability : float
        Probability, in (0, 1).
    weights, models, draws, read_share, replacement, overlap
        System at rest, as for :func:`disagreement_survival`.

    Returns
    -------
    float
        Quantile of ‖D‖_F, not of its square.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; the inverse of :func:`disagreement_survival`.

    Examples
    --------
    >>> [round(disagreement_quantile(p, [0.5, 0.5], 3, 100, 0.5), 4) for p in (0.05, 0.5, 0.95)]
    [0.0288, 0.1058, 0.2199]
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must lie in (0, 1), got {probability}")
    kappa, n = _spread(weights, models, draws, read_share, replacement, overlap)
    log_square = np.log(2 * n) + _chi_squares.log_quantile(probability, kappa, n - 1)
    return float(np.exp(log_square / 2))


def probability_of_fall(
    factor: float,
    weights: Any,
    models: int,
    read_share: float,
    *,
    lag: int = 1,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> float:
    """Return P(‖D^{(t+lag)}‖_F <= ‖D^{(t)}‖_F / factor) at rest.

    Parameters
    ----------
    factor : float
        Factor f of the fall of the norm itself, in [1, 1000].
    weights : Float[Array, "B"]
        Consensus weights π.
    models : int
        Number of models n, at least 2.
    read_share : float
        Share β of the web that is read, in (0, 1]; matters only where components overlap.
    lag : int
        Number of generations between the two, at least 1.
    replacement : bool
        Whether draws are with replacement; matters only where components overlap.
    overlap : Overlap or None
        Overlap from :func:`overlap` at the same weights. None: well-separated components.

    Returns
    -------
    float
        Probability, exact for the Gaussian limit k π_b ≫ 1, without the slow fall as t^{-1/2}.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; derivation at the head of the module. `webdynamics` fig. 6 and sec. 4.2.

    Examples
    --------
    To half or less within one generation, for 2 and for 11 equally frequent components:

    >>> [round(probability_of_fall(2.0, [1 / b] * b, 3, 0.5), 4) for b in (2, 11)]
    [0.1861, 0.0009]
    """
    if not factor >= 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    if factor > 1000:  # its square times rounding is what eigenvalues near 0 are off by
        raise ValueError(f"factor must be at most 1000, got {factor}")
    tau = _arguments.count(lag, "lag", 1)
    modes = separated(weights) if overlap is None else overlap
    _, n = _spread(weights, models, 2, read_share, replacement, overlap)
    share = 0.0 if replacement else read_share
    variance = np.asarray(mode_variance(modes.rates, 1.0, share, False))
    # x = W√V ξ, x' = W√V (rξ + √(1-r²) η), and the form f²|x'|² - |x|² in (ξ, η)
    scaled = modes.modes * np.sqrt(variance)
    gram = scaled.T @ scaled
    r = np.exp(-tau * modes.rates)
    s = np.sqrt(-np.expm1(-2 * tau * modes.rates))
    f2 = factor**2
    form = np.block(
        [
            [f2 * np.outer(r, r) * gram - gram, f2 * np.outer(r, s) * gram],
            [f2 * np.outer(s, r) * gram, f2 * np.outer(s, s) * gram],
        ]
    )
    return _chi_squares.probability_of_negative(np.linalg.eigvalsh(form), n - 1)


def expected_falls(
    factor: float,
    weights: Any,
    models: int,
    read_share: float,
    generations: int,
    *,
    lag: int = 1,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> float:
    """Expected number of t in 1..T with ‖D^{(t)}‖_F <= ‖D^{(t-lag)}‖_F / factor, at rest.

    Parameters
    ----------
    factor, weights, models, read_share, lag, replacement, overlap
        Factor and system, as for :func:`probability_of_fall`.
    generations : int
        Number of generations T, at least 1.

    Returns
    -------
    float
        Expected number, T times the probability; with lag > 1 one fall may be counted several
        times.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here.

    Examples
    --------
    >>> round(expected_falls(2.0, [0.5, 0.5], 3, 0.5, 200), 1)
    37.2
    """
    chance = probability_of_fall(
        factor, weights, models, read_share, lag=lag, replacement=replacement, overlap=overlap
    )
    return _arguments.count(generations, "generations", 1) * chance


def _spread(
    weights: Any,
    models: int,
    draws: Any,
    read_share: Any,
    replacement: bool,
    overlap: Overlap | None,
) -> tuple[np.ndarray, int]:
    """Return the eigenvalues of one model's covariance, and n."""
    disagreement(weights, models, draws, read_share, overlap=overlap)  # checks the arguments
    modes = separated(weights) if overlap is None else overlap
    share = 0.0 if replacement else read_share
    scaled = modes.modes * np.sqrt(np.asarray(mode_variance(modes.rates, draws, share, False)))
    kappa = np.linalg.eigvalsh(scaled.T @ scaled)
    return kappa[kappa > 1e-14 * kappa.max()], int(models)
