"""Time to collapse: the first generation whose median σ_t is below a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.theory.gaussian._arguments import (
    ESTIMATORS,
    check_choice,
    check_process,
    samples,
    scalar,
    unknown,
)
from commensal.theory.gaussian._log_moments import expected_log_variance
from commensal.theory.gaussian._quantiles import INSTEAD, cdf_at


def time_to_collapse(
    threshold: Any, n: Any, estimator: str = "unbiased", memory: str = "replace"
) -> Any:
    r"""First generation at which the median of σ_t/σ is below a threshold.

    Parameters
    ----------
    threshold : float or array
        Threshold of σ_t/σ, in (0, 1); broadcast against n.
    n, estimator, memory
        Points, estimator and memory, as for :func:`std_cdf`.

    Returns
    -------
    float or array
        Generation, a whole number; inf where the median never falls that far, as under
        ``accumulate`` for thresholds below the median of the limit. Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        If an argument is out of range; :class:`UnknownLawError` under ``accumulate_subsample``.

    Notes
    -----
    New here; exact, by bisection over t: the median falls with every generation. Compare
    :func:`time_to_collapse_lognormal`.

    Examples
    --------
    >>> time_to_collapse(0.5, 100), time_to_collapse(0.5, 100, memory="accumulate")
    (138.0, inf)
    """
    check_process(memory, estimator)
    if memory == "accumulate_subsample":
        raise unknown("the law of σ_t", memory, INSTEAD)
    threshold, n = np.broadcast_arrays(_threshold(threshold), samples(n))
    out = np.empty(n.shape)
    for at in np.ndindex(n.shape):
        out[at] = _first_below(float(threshold[at]), float(n[at]), memory, estimator)
    return scalar(out)


def time_to_collapse_lognormal(threshold: Any, n: Any, estimator: str = "unbiased") -> Any:
    r"""Generations until the median of σ_t/σ reaches a threshold, were log σ_t normal.

    Parameters
    ----------
    threshold, n, estimator
        Threshold, points and estimator, as for :func:`time_to_collapse`; memory is ``replace``.

    Returns
    -------
    float or array
        Number of generations 2 log(threshold) / E log(σ_1²/σ²), not rounded: about 2n
        log(1/threshold) for unbiased variances and half of that for ``mle``. Float64, by NumPy and
        SciPy.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(time_to_collapse_lognormal(0.5, 100), 2)
    136.78
    """
    check_choice("estimator", estimator, ESTIMATORS)
    threshold = _threshold(threshold)
    return scalar(2 * np.log(threshold) / expected_log_variance(1, n, "replace", estimator))


def _threshold(value: Any) -> Any:
    value = np.asarray(value, dtype=np.float64)
    if not np.all((value > 0) & (value < 1)):
        raise ValueError(f"threshold must be a ratio to sigma in (0, 1), got {value}")
    return value


def _first_below(threshold: float, n: Any, memory: str, estimator: str) -> float:
    def collapsed(t: float) -> bool:
        return float(cdf_at(np.asarray(threshold), t, n, memory, estimator)) > 0.5

    if memory == "accumulate" and not collapsed(np.inf):
        return np.inf
    low, high = 0.0, 1.0
    while not collapsed(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if collapsed(middle) else (middle, high)
    return high
