r"""How ‖D‖_F is distributed at rest, and how often it falls by a given factor.

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
from scipy.optimize import brentq

from commensal.theory.mixture import _arguments, _chi_squares
from commensal.theory.mixture._noise import disagreement, mode_variance, separated
from commensal.theory.mixture._overlap import Overlap


def disagreement_survival(
    x: Any,
    weights: Any,
    models: int,
    draws: int,
    fraction: float,
    *,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> Any:
    """P(‖D‖_F > x) at rest.

    Parameters
    ----------
    x : Float[Array, "..."]
        ‖D‖_F itself, not its square.
    weights : Float[Array, "B"]
        Consensus weights π.
    models, draws, fraction, replacement, overlap
        As for :func:`disagreement`, one number each.

    Returns
    -------
    Float[np.ndarray, "..."]
        To about 1e-12 absolute, for the Gaussian limit k π_b ≫ 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

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
    kappa, n = _spread(weights, models, draws, fraction, replacement, overlap)
    tail = 1 - _chi_squares.cdf(np.where(x > 0, x, 1.0) ** 2 / (2 * n), kappa, n - 1)
    return np.where(x > 0, tail, 1.0)


def disagreement_quantile(
    probability: float,
    weights: Any,
    models: int,
    draws: int,
    fraction: float,
    *,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> float:
    """The ‖D‖_F that is exceeded at rest with probability 1 - ``probability``.

    Parameters
    ----------
    probability : float
        In (0, 1).
    weights, models, draws, fraction, replacement, overlap
        As for :func:`disagreement_survival`.

    Returns
    -------
    float
        ‖D‖_F, not its square.

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
    kappa, n = _spread(weights, models, draws, fraction, replacement, overlap)
    mean = (n - 1) * kappa.sum()

    def excess(log_x: float) -> float:
        return float(_chi_squares.cdf(np.asarray(np.exp(log_x)), kappa, n - 1)) - probability

    low, high = np.log(mean) - 5, np.log(mean) + 2
    while excess(low) > 0 and low > -600:
        low -= 5
    while excess(high) < 0:
        high += 1
    root: Any = brentq(excess, low, high, xtol=1e-13)
    return float(np.sqrt(2 * n * np.exp(root)))


def probability_of_fall(
    factor: float,
    weights: Any,
    models: int,
    fraction: float,
    *,
    lag: int = 1,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> float:
    """P(‖D^{(t+lag)}‖_F <= ‖D^{(t)}‖_F / factor) at rest.

    Parameters
    ----------
    factor : float
        f >= 1, of the norm itself.
    weights : Float[Array, "B"]
        Consensus weights π.
    models : int
        n >= 2.
    fraction : float
        β in (0, 1]; matters only where components overlap.
    lag : int
        Generations between the two, at least 1.
    replacement : bool
        Whether draws are with replacement; matters only where components overlap.
    overlap : Overlap or None
        From :func:`overlap` at the same weights. None: well-separated components.

    Returns
    -------
    float
        Exact for the Gaussian limit k π_b ≫ 1, without the slow fall as t^{-1/2}.

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
    tau = _arguments.count(lag, "lag", 1)
    modes = separated(weights) if overlap is None else overlap
    _, n = _spread(weights, models, 2, fraction, replacement, overlap)
    share = 0.0 if replacement else fraction
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
    fraction: float,
    generations: int,
    *,
    lag: int = 1,
    replacement: bool = False,
    overlap: Overlap | None = None,
) -> float:
    """Expected number of t in 1..T with ‖D^{(t)}‖_F <= ‖D^{(t-lag)}‖_F / factor, at rest.

    Parameters
    ----------
    factor, weights, models, fraction, lag, replacement, overlap
        As for :func:`probability_of_fall`.
    generations : int
        T >= 1.

    Returns
    -------
    float
        T times the probability; with lag > 1 one fall may be counted several times.

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
        factor, weights, models, fraction, lag=lag, replacement=replacement, overlap=overlap
    )
    return _arguments.count(generations, "generations", 1) * chance


def _spread(
    weights: Any,
    models: int,
    draws: Any,
    fraction: Any,
    replacement: bool,
    overlap: Overlap | None,
) -> tuple[np.ndarray, int]:
    """Eigenvalues of one model's covariance, and n."""
    disagreement(weights, models, draws, fraction, overlap=overlap)  # checks the arguments
    modes = separated(weights) if overlap is None else overlap
    share = 0.0 if replacement else fraction
    scaled = modes.modes * np.sqrt(np.asarray(mode_variance(modes.rates, draws, share, False)))
    kappa = np.linalg.eigvalsh(scaled.T @ scaled)
    return kappa[kappa > 1e-14 * kappa.max()], int(models)
