r"""Selection of synthetic data: by a verifier, by a reward, and by a filter.

Three ways to choose which model-written data the next model learns from, each in closed form in its
simplest setting:

- *verifier*: a mean is learnt from samples within reach of the verifier's own centre (compare arXiv
  2510.16657);
- *curation*: answers are kept in proportion to the exponential of a reward, and humans add a share
  of fresh ones (compare arXiv 2407.09499): Kingman's house of cards;
- *filter*: labels pass with a true and a false positive rate (compare arXiv 2406.07515).

The three papers were read as abstracts; the formulas are derived in the documentation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import ndtr

__all__ = [
    "Curation",
    "Verified",
    "critical_human_share",
    "curated",
    "curation_course",
    "filtered_accuracy",
    "verified",
]


class Verified(NamedTuple):
    """Error of a mean that is learnt again and again from verified samples.

    Attributes
    ----------
    error : Float[np.ndarray, "*t"]
        Mean squared error after each number of rounds, in units of a sample's variance.
    best_rounds : float
        Number of rounds with the least error, not rounded; 0 where verifying never pays, infinite
        where it always does.
    helps : bool
        Whether one round lowers the error.
    """

    error: Float[np.ndarray, "*t"]
    best_rounds: float
    helps: bool


def verified(
    rounds: Any, *, reach: float | int, bias: float | int, samples: int, initial: int
) -> Verified:
    r"""Mean squared error of a mean after rounds of verified samples.

    Generation t draws n samples of N(θ_t, 1) that lie within r of the verifier's centre c, and
    takes their mean. With b = c - θ the verifier's own error and n_0 human samples at the start,

    .. math::
        \mathrm{MSE}_t \approx b^2 (1 - v^t)^2 + \frac{v^{2t}}{n_0}
        + \frac{v}{n} \frac{1 - v^{2t}}{1 - v^2}, \qquad
        v = 1 - \frac{2 r φ(r)}{2Φ(r) - 1}.

    Parameters
    ----------
    rounds : int or array of int
        Numbers of rounds t, at least 0.
    reach : float
        Half the width r > 0 of what the verifier accepts, in standard deviations of a sample.
    bias : float
        Error b of the verifier's centre.
    samples : int
        Number n of accepted samples in a round, at least 1.
    initial : int
        Number n_0 of human samples at the start, at least 1.

    Returns
    -------
    Verified
        Errors, the best number of rounds :math:`\ln x^* / \ln v`,
        :math:`x^* = b^2 / (b^2 + 1/n_0 - v/(n(1-v^2)))`, and whether one round helps.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; claim ``commensal.verified_mean``. To first order in the distance from the centre: the
    slope of a truncated normal's mean is its variance v. Good for a reach
    up to about 2 and b between -½ and ½; see the tests.

    Examples
    --------
    A verifier that is wrong by 0.1 is worth a round or two:

    >>> found = verified([0, 1, 2, 50], reach=1.0, bias=0.1, samples=1000, initial=50)
    >>> found.error.round(4)
    array([0.02  , 0.007 , 0.0088, 0.0103])
    >>> round(found.best_rounds, 2), found.helps
    (0.88, True)
    """
    t = np.asarray(rounds, dtype=np.float64)
    if not np.all((t >= 0) & (t == np.floor(t))):
        raise ValueError(f"rounds must be whole numbers >= 0, got {rounds}")
    if not (reach > 0 and np.isfinite(reach)):
        raise ValueError(f"reach must be a positive number, got {reach}")
    if min(samples, initial) < 1:
        raise ValueError(f"samples and initial must be at least 1, got {samples} and {initial}")
    v = _truncated_variance(float(reach))
    settled = v / (samples * (1 - v**2))  # what publishing leaves for ever
    gap = 1 / initial - settled
    error = bias**2 * (1 - v**t) ** 2 + v ** (2 * t) * gap + settled
    if gap <= 0:
        best = 0.0  # each round adds more noise than it takes away
    else:
        x = bias**2 / (bias**2 + gap)
        best = float(np.log(x) / np.log(v)) if x > 0 else float("inf")
    helps = bias**2 * (1 - v) ** 2 < (1 - v**2) / initial - v / samples
    return Verified(error, best, bool(helps))


def _truncated_variance(r: float) -> float:
    """Return the variance of a standard normal between -r and r."""
    if r < 1e-2:  # r²/3 to the digits of a double, where the difference would cancel
        return r**2 / 3 * (1 - 2 * r**2 / 15)
    density = np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi)
    return float(1 - 2 * r * density / (1 - 2 * ndtr(-r)))


class Curation(NamedTuple):
    """Law of answers that are curated by a reward for ever.

    Attributes
    ----------
    law : Float[np.ndarray, "n"]
        Probability of each answer, without what has condensed.
    condensed : float
        Mass of the condensate at the highest reward, in [0, 1].
    critical : float
        Human share h_c below which there is one.
    """

    law: Float[np.ndarray, "n"]
    condensed: float
    critical: float


def critical_human_share(rewards: Any, reference: Any, highest: float | int) -> float:
    r"""Human share below which curated answers condense at the highest reward.

    .. math:: h_c = 1 \Big/ E_{ref}\Big[\frac{1}{1 - σ}\Big], \qquad σ = e^{r - r_{max}}

    Parameters
    ----------
    rewards : Float[Array, "n"]
        Rewards r of answers.
    reference : Float[Array, "n"]
        Probabilities of the answers in human data.
    highest : float
        Highest reward r_max that an answer can have, at least the highest of ``rewards``. Equal to
        it if human answers reach it with positive probability; then h_c = 0.

    Returns
    -------
    float
        Critical share h_c in [0, 1).

    Raises
    ------
    ValueError
        If shapes disagree, probabilities are none, or a reward exceeds ``highest``.

    Notes
    -----
    New here in this form: Kingman's house of cards with selection e^r and mutation h; claim
    ``commensal.curation_condensate``.

    Examples
    --------
    Rewards whose distance from the highest is ln 2 in every answer:

    >>> round(critical_human_share([0.0], [1.0], highest=np.log(2)), 9)
    0.5
    """
    missing, p = _curation(rewards, reference, highest)
    if np.any((missing <= 0) & (p > 0)):
        return 0.0
    return float(1 / (p / np.where(missing > 0, missing, 1)).sum())


def curated(
    rewards: Any, reference: Any, highest: float | int, human_share: float | int
) -> Curation:
    r"""Law of answers in the limit, if each generation keeps them by the exponential of a reward.

    .. math:: p_{t+1} = h\,p_{ref} + (1-h)\, \frac{p_t\, e^{r}}{E_{p_t} e^{r}}

    Parameters
    ----------
    rewards, reference, highest
        Answers' rewards, probabilities and bound, as for :func:`critical_human_share`.
    human_share : float
        Share h in (0, 1] of human answers in every generation.

    Returns
    -------
    Curation
        The law, the mass that condenses, 1 - h/h_c for h < h_c, and h_c.

    Raises
    ------
    ValueError
        Under the conditions of :func:`critical_human_share`, or if ``human_share`` is out of range.

    Notes
    -----
    New here in this form; claim ``commensal.curation_condensate``. The limit is
    :math:`h\,p_{ref}/(1 - (1-h)σ/s)` with s the mean of σ: 1 - h where there is a condensate, else
    what makes the law sum to one.

    Examples
    --------
    >>> found = curated([0.0], [1.0], highest=np.log(2), human_share=0.2)
    >>> round(found.condensed, 9), found.law.round(9)
    (0.6, array([0.4]))
    """
    if not 0 < human_share <= 1:
        raise ValueError(f"human_share must lie in (0, 1], got {human_share}")
    missing, p = _curation(rewards, reference, highest)
    h, critical = float(human_share), critical_human_share(rewards, reference, highest)
    if h < critical:
        rest = h * p / np.where(p > 0, missing, 1)
        return Curation(rest, 1 - h / critical, critical)
    if h == 1:
        return Curation(p, 0.0, critical)
    sigma = 1 - missing
    top = sigma[p > 0].max()

    def law(scale: float) -> np.ndarray:  # scale = s/(1-h), above the highest σ
        return h * p / (1 - sigma / scale)

    # the sum falls from above one, since h is above critical, to below one at σ/(1-h)
    low = 1.0 if critical > 0 else 1 + 1e-15
    if law(low).sum() <= 1:  # at the critical share itself, but for rounding
        return Curation(law(low), 0.0, critical)
    root: Any = brentq(lambda scale: law(scale).sum() - 1, low, top / (1 - h) * (1 + 1e-12))
    return Curation(law(float(root)), 0.0, critical)


def curation_course(
    rewards: Any, reference: Any, human_share: float | int, generations: int
) -> Float[np.ndarray, "time n"]:
    """Law of answers in each generation, from human answers on.

    Parameters
    ----------
    rewards, reference
        Answers' rewards and probabilities, as for :func:`critical_human_share`.
    human_share : float
        Share h in [0, 1] of human answers in every generation.
    generations : int
        Number of generations T, at least 0.

    Returns
    -------
    Float[np.ndarray, "time n"]
        Laws p_0, ..., p_T, of which :func:`curated` has the limit.

    Raises
    ------
    ValueError
        Under the conditions of :func:`critical_human_share`, or if a number is out of range.

    Notes
    -----
    The recursion of :func:`curated`, for infinitely many answers; claim
    ``commensal.curation_condensate``.

    Examples
    --------
    >>> curation_course([0.0, np.log(3)], [0.5, 0.5], human_share=0.5, generations=2).round(3)
    array([[0.5  , 0.5  ],
           [0.375, 0.625],
           [0.333, 0.667]])
    """
    if not 0 <= human_share <= 1:
        raise ValueError(f"human_share must lie in [0, 1], got {human_share}")
    if generations < 0:
        raise ValueError(f"generations must not be negative, got {generations}")
    missing, p = _curation(rewards, reference, np.max(rewards, initial=-np.inf))
    weight = 1 - missing
    out = [p]
    for _ in range(generations):
        kept = out[-1] * weight
        out.append(human_share * p + (1 - human_share) * kept / kept.sum())
    return np.stack(out)


def _curation(rewards: Any, reference: Any, highest: Any) -> tuple[np.ndarray, np.ndarray]:
    r, p = np.asarray(rewards, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if r.ndim != 1 or r.shape != p.shape or r.size == 0:
        raise ValueError(f"rewards and reference must be vectors alike, got {r.shape}, {p.shape}")
    if not (np.all(p >= 0) and abs(p.sum() - 1) < 1e-9):
        raise ValueError("reference must be probabilities that sum to one")
    if not np.all(r <= highest):
        raise ValueError(f"highest must be at least the highest reward {r.max():g}, got {highest}")
    return -np.expm1(r - highest), p / p.sum()  # 1 - σ, without cancelling


def filtered_accuracy(
    samples: int,
    dim: int,
    right: float | int,
    *,
    true_positive: float | int = 1.0,
    false_positive: float | int = 1.0,
) -> float:
    r"""Accuracy of a linear classifier that is trained on filtered synthetic labels.

    .. math::
        1 - \frac1π \arccos \frac{S}{\sqrt{S^2 + (1 - S^2)(d-1)/(m-d-1)}}, \qquad
        S = κ \sqrt{2/π}, \quad κ = \frac{pφ - (1-p)ψ}{pφ + (1-p)ψ}, \quad m = n\,(pφ + (1-p)ψ)

    Parameters
    ----------
    samples : int
        Number n of synthetic samples, x of N(0, I_d).
    dim : int
        Dimension d, at least 2.
    right : float
        Share p of labels that are right, in [0, 1].
    true_positive, false_positive : float
        Rates φ and ψ in [0, 1] at which the filter lets right and wrong labels pass.

    Returns
    -------
    float
        Expected share of right predictions, 1/2 being chance; below it where more wrong labels pass
        than right ones, :math:`pφ < (1-p)ψ`.

    Raises
    ------
    ValueError
        If an argument is out of range, or no more than d + 1 labels pass.

    Notes
    -----
    New here; claim ``commensal.filtered_labels``. It uses the mean of an inverse Wishart matrix,
    so it is good also where hardly more labels pass than there are dimensions; near the breakdown
    accuracy changes over a width of κ of about √(d/m).

    Examples
    --------
    >>> round(filtered_accuracy(10_000, 100, 0.7), 3)
    0.908
    >>> round(filtered_accuracy(10_000, 100, 0.7, false_positive=0.3), 3)
    0.954
    """
    rates = {"right": right, "true_positive": true_positive, "false_positive": false_positive}
    for name, value in rates.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {value}")
    if samples < 1 or dim < 2:
        raise ValueError(f"samples must be at least 1 and dim 2, got {samples} and {dim}")
    good, bad = right * true_positive, (1 - right) * false_positive
    passed = samples * (good + bad)
    if passed <= dim + 1:
        raise ValueError(
            f"{passed:g} labels pass the filter: least squares needs more than dim + 1"
        )
    s = (good - bad) / (good + bad) * np.sqrt(2 / np.pi)
    noise = (1 - s**2) * (dim - 1) / (passed - dim - 1)
    return float(1 - np.arccos(s / np.sqrt(s**2 + noise)) / np.pi)
