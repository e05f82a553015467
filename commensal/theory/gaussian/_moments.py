"""Mean variance and mean squared error per generation, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.theory.gaussian._arguments import process, scalar, unknown
from commensal.theory.gaussian._human import expected_moments, human_points
from commensal.theory.gaussian._series import Sums, log_product


def expected_variance(
    t: Any,
    n: Any,
    memory: str = "replace",
    estimator: str = "unbiased",
    human_share: int | float = 0.0,
) -> Any:
    r"""Mean of the fitted variance after t generations, :math:`E\,σ_t^2 / σ^2`.

    Generation 1 is fitted to n real points; t = 0 is the truth. Under ``accumulate`` model t is
    fitted to the n real points and n from each of models 1..t-1, under ``accumulate_subsample``
    to n points drawn from that pool without replacement.

    Parameters
    ----------
    t : int or array
        Number of generations, >= 0; ``inf`` for the limit.
    n : int or array
        Points per generation, >= 2; broadcast against t.
    memory : {"replace", "accumulate", "accumulate_subsample"}
        Data that a generation is fitted to.
    estimator : {"unbiased", "mle"}
        Divisor of the variance: the number of points less one, or the number of points.
    human_share : float
        Share φ of each generation's n points that is fresh and human, rounded to whole points;
        ``replace`` only.

    Returns
    -------
    float or array
        Mean ratio of variances. Float64, by NumPy and SciPy: t and n are integers, so there is
        nothing to differentiate.

    Raises
    ------
    ValueError
        If an argument is out of range; :class:`UnknownLawError`, which is one, for a human share
        under accumulation.

    Notes
    -----
    Each Π is over i = 2..t; at t = 0 the value is 1.

    ===================== ======== ============================================================
    replace               unbiased 1
    replace               mle      (1 - 1/n)^t
    accumulate            mle      (1 - 1/n) Π (1 - 1/(n i²)) → sin(π/√n)/(π/√n)
    accumulate            unbiased Π (1 - 1/(i(ni - 1))) → Γ(2-1/n)/(Γ(2-a)Γ(2-b)),
                                   a, b the roots of x² - x/n - 1/n
    accumulate_subsample  unbiased Π (1 + (i-3)/(i(ni - 1))) ~ t^{1/n} Γ(2-1/n)/(Γ(2-c)Γ(2+c)),
                                   c = √(3/n): it grows without bound
    accumulate_subsample  mle      (1 - 1/n) Π (1 - (3n-1)/(ni(ni - 1))) → a positive limit
    ===================== ======== ============================================================

    The first three are known (Kazdan et al. 2025 for the third); the last three are new here. They
    follow from writing the unbiased variance of a pool as the mean of (x - y)²/2 over its pairs,
    old with old, old with new and new with new. A mean of σ_t² is far from what a lineage looks
    like once t/n is large: see :func:`lineages_needed` and :func:`std_quantile`.

    References
    ----------
    `pollination`, sec. 6 and app. A, for the process; Shumailov et al. (2024), Nature 631;
    Kazdan et al. (2025), "Collapse or thrive".

    Examples
    --------
    >>> round(expected_variance(10, 100, "replace", "mle"), 12), round(0.99**10, 12)
    (0.904382075009, 0.904382075009)
    >>> np.round(expected_variance([1, 10, np.inf], 100, "accumulate", "mle"), 5)
    array([0.99   , 0.98457, 0.98363])
    """
    t, n = process(t, n, memory, estimator)
    if human_share != 0:
        return scalar(_with_human(t, n, memory, estimator, human_share)[0])
    return scalar(np.exp(log_expected_variance(t, n, memory, estimator)))


def expected_squared_error(
    t: Any,
    n: Any,
    memory: str = "replace",
    estimator: str = "unbiased",
    human_share: int | float = 0.0,
) -> Any:
    r"""Mean squared error of the fitted mean after t generations, :math:`E\,(μ_t - μ)^2 / σ^2`.

    Parameters
    ----------
    t, n, memory, estimator, human_share
        Generation, points, memory, estimator and share of human data, as for
        :func:`expected_variance`.

    Returns
    -------
    float or array
        Ratio of the mean squared error to σ². Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        Under the conditions of :func:`expected_variance`.

    Notes
    -----
    With ``mle`` it is 1 - E σ_t²/σ² under every memory, human share or not: what the variance
    loses the mean has, because the second moment about μ of the points in play has a constant
    mean. Unbiased: t/n under ``replace``; under ``accumulate`` the mean moves by variance
    :math:`E\,σ_{i-1}^2 / (n i^2)` at generation i; under ``accumulate_subsample`` the pool's mean
    moves by :math:`E\,S_{i-1}^2\,(2 - 1/(i-1)) / (n i^2)`, S² the pool's unbiased variance, and
    a model's error is that of the pool's mean plus :math:`E\,S_t^2\,(1 - 1/t)/n`.

    Examples
    --------
    >>> expected_squared_error([1, 5], 100)
    array([0.01, 0.05])
    """
    t, n = process(t, n, memory, estimator)
    if human_share != 0:
        return scalar(_with_human(t, n, memory, estimator, human_share)[1])
    if estimator == "mle":
        return scalar(-np.expm1(log_expected_variance(t, n, memory, estimator)))
    if memory == "replace":
        return scalar(t / n)
    return scalar(each_size(t, n, lambda t, n: _error_of_pool(t, n, memory)))


def log_expected_variance(t: Any, n: Any, memory: str, estimator: str) -> Any:
    """Log E σ_t²/σ², for checked arguments; t may be any real number above 1."""
    first = np.log1p(-1 / n) if estimator == "mle" else 0.0 * n
    if memory == "replace":
        return times(t, first)
    if memory == "accumulate":
        shift = 1 / n if estimator == "unbiased" else 0.0 * n
        return np.where(t == 0, 0.0, first + log_product(t, shift, -1 / n, shift))
    if estimator == "unbiased":
        return np.where(t == 0, 0.0, log_product(t, 0.0, -3 / n, 1 / n))
    return np.where(t == 0, 0.0, first + log_product(t, 1 / n, -(3 * n - 1) / n**2, 1 / n))


def _error_of_pool(t: Any, n: Any, memory: str) -> Any:
    """E (μ_t - μ)²/σ² under accumulation, unbiased variances."""
    if memory == "accumulate":
        sums = Sums(lambda i: _mean_variance(i - 1, n, memory) / (n * i**2))
        return np.where(t == 0, 0.0, 1 / n + sums(t))

    def spread(t: Any) -> Any:
        return _mean_variance(t, n, memory)

    def term(i: Any) -> Any:
        # the subsample's own error and that of its model's n points, over the pool's growth
        return spread(i - 1) * (2 - 1 / (i - 1)) / (n * i**2)

    after = np.maximum(t, 1)
    # spread grows as t^(1/n), and so each term falls as i^(-2+1/n)
    error = 1 / n + Sums(term, 2 - 1 / n)(t) + spread(after) * (1 - 1 / after) / n
    return np.where(t == 0, 0.0, error)


def _mean_variance(t: Any, n: Any, memory: str) -> Any:
    return np.exp(log_expected_variance(t, np.asarray(n), memory, "unbiased"))


def _with_human(t: Any, n: Any, memory: str, estimator: str, human_share: int | float) -> Any:
    human_points(human_share, 2)  # its range, whatever else is wrong
    if memory != "replace":
        raise unknown(f"the effect of human_share={human_share}", memory, "it is under 'replace'")
    return expected_moments(t, n, estimator, human_share)


def times(t: Any, rate: Any) -> Any:
    """Return t · rate, with infinity times zero as zero."""
    return np.where(rate == 0, 0.0, t * np.where(rate == 0, 1.0, rate))


def each_size(t: Any, n: Any, law: Any) -> Any:
    """Evaluate law(t, n) for one n at a time."""
    out = np.empty(t.shape)
    for size in np.unique(n):
        out[n == size] = law(t[n == size], float(size))
    return out
