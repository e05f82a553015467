"""Means when a share of every generation's points is human, by a two-by-two recursion."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from commensal.theory.gaussian._arguments import ESTIMATORS, check_choice, samples, scalar


def human_points(human_share: Any, n: Any) -> int:
    """Return how many of n points are human, round(human_share · n); raise if out of range."""
    if not 0 <= human_share <= 1:
        raise ValueError(f"human_share must lie in [0, 1], got {human_share}")
    return round(float(human_share) * n)


def step(n: Any, human: int, estimator: str) -> tuple[np.ndarray, np.ndarray]:
    r"""Return (A, b) of the step (v, e) ← A (v, e) + b, with v = E σ_t²/σ², e = E (μ_t - μ)²/σ².

    The unbiased variance is the mean of (x - y)²/2 over pairs: two synthetic points give v, two
    human ones 1, one of each (1 + v + e)/2. The mean is a weighted mean of two group means.
    """
    synthetic = n - human
    pairs = n * (n - 1)
    g = 1 - 1 / n if estimator == "mle" else 1.0
    mixed = synthetic * human / pairs
    A = np.array(
        [
            [g * (synthetic * (synthetic - 1) / pairs + mixed), g * mixed],
            [synthetic / n**2, (synthetic / n) ** 2],
        ]
    )
    return A, np.array([g * (human * (human - 1) / pairs + mixed), human / n**2])


def expected_moments(t: Any, n: Any, estimator: str, human_share: int | float) -> Any:
    """Return (v, e) along the first axis, for every (t, n)."""
    t, n = np.broadcast_arrays(np.asarray(t), np.asarray(n))
    out = np.empty((2, *t.shape))
    for index in np.ndindex(t.shape):
        size, last = float(n[index]), float(t[index])
        human = human_points(human_share, size)
        A, b = step(size, human, estimator)
        if np.isinf(last):
            at = _fixed_point(A, b) if human else None
            out[(slice(None), *index)] = _without_human(estimator) if at is None else at
            continue
        whole = np.eye(3)
        whole[:2, :2], whole[:2, 2] = A, b
        out[(slice(None), *index)] = (np.linalg.matrix_power(whole, int(last)) @ [1.0, 0.0, 1.0])[
            :2
        ]
    return out


def _without_human(estimator: str) -> Any:
    return np.array([1.0, np.inf]) if estimator == "unbiased" else np.array([0.0, 1.0])


def _fixed_point(A: Any, b: Any) -> Any:
    return np.linalg.solve(np.eye(2) - A, b)


class StationaryMoments(NamedTuple):
    """Limits of the mean variance and the mean squared error, in units of σ².

    Attributes
    ----------
    variance : float or array
        Limit of E σ_t²/σ².
    squared_error : float or array
        Limit of E (μ_t - μ)²/σ².
    """

    variance: Any
    squared_error: Any


def stationary_moments(
    n: Any, human_share: int | float, estimator: str = "unbiased"
) -> StationaryMoments:
    r"""Limits of mean variance and squared error when some points of each generation are human.

    Workflow ``replace``, with :math:`h = \mathrm{round}(φ n)` of each generation's n points fresh
    from :math:`N(μ, σ^2)` and :math:`s = n - h` from the last model.

    Parameters
    ----------
    n : int or array
        Points per generation, >= 2.
    human_share : float
        Share φ of human points, in [0, 1]; at least one of the n points must be human.
    estimator : {"unbiased", "mle"}
        Estimator of the variance.

    Returns
    -------
    StationaryMoments
        Limits, as ratios to σ².

    Raises
    ------
    ValueError
        If n or the share is out of range, or the share comes to no point at all: then there is
        no stationary law.

    Notes
    -----
    New here. The recursion of :func:`expected_variance` with a human share has the fixed point

    .. math::
        \text{unbiased: } v = \frac{h(2n - h - 1)}{2hn - h^2 - n}, \;
        e = \frac{n - 1}{2hn - h^2 - n}; \qquad
        \text{mle: } e = \frac{n}{2hn - h^2 - h + n}, \; v = 1 - e .

    For many points v = 1 + (1-φ) e and e = 1/(nφ(2-φ)), nearly. A single human point in each
    generation is enough for a limit, however large n is: v = 2, e = 1 (unbiased), and about
    2/3, 1/3 (mle).

    Examples
    --------
    >>> moments = stationary_moments(100, 0.1)
    >>> round(moments.variance, 12), round(moments.squared_error, 12)
    (1.05, 0.055)
    """
    check_choice("estimator", estimator, ESTIMATORS)
    n = samples(n)
    h = np.vectorize(lambda x: human_points(human_share, x), otypes=[float])(n)
    if (h == 0).any():
        raise ValueError(
            f"human_share must come to at least one of the n points, got {human_share} of "
            f"{n[h == 0].flat[0]:g}"
        )
    if estimator == "unbiased":
        slack = 2 * h * n - h**2 - n
        return StationaryMoments(scalar(h * (2 * n - h - 1) / slack), scalar((n - 1) / slack))
    error = n / (2 * h * n - h**2 - h + n)
    return StationaryMoments(scalar(1 - error), scalar(error))
