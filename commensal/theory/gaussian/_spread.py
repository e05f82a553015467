"""Concentration of the mean of σ_t² on few lineages, which makes a sample mean misleading."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from commensal.theory.gaussian._arguments import generations, samples, scalar
from commensal.theory.gaussian._far import above, far_replaced, quantile
from commensal.theory.gaussian._law import replaced


def lineages_needed(t: Any, n: Any, relative_error: int | float) -> Any:
    r"""Number of independent lineages whose mean of σ_t² has a given relative standard error.

    Parameters
    ----------
    t : int or array
        Number of generations under ``replace``, >= 0.
    n : int or array
        Points per generation, >= 2; broadcast against t.
    relative_error : float
        Standard error of the mean divided by the mean, > 0.

    Returns
    -------
    float or array
        Number of lineages, not rounded; may be inf. Float64, by NumPy. The same for either
        estimator.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here: :math:`\mathrm{Var}\,σ_t^2 / (E\,σ_t^2)^2 = (1 + 2/(n-1))^t - 1`, exponential in
    t/n, over the squared error. Log moments need (t ψ'((n-1)/2)) / error² for an absolute error.

    Examples
    --------
    >>> round(lineages_needed(100, 100, 0.01)), f"{lineages_needed(1000, 100, 0.01):.1e}"
    (63895, '4.9e+12')
    """
    t, n = np.broadcast_arrays(generations(t), samples(n))
    if not relative_error > 0:
        raise ValueError(f"relative_error must be > 0, got {relative_error}")
    with np.errstate(over="ignore", divide="ignore"):  # more than 1e308 lineages is an answer
        spread = np.expm1(t * np.log1p(2 / (n - 1)))
        # in two steps: the square may be below the smallest float, or above the largest
        return scalar(spread / float(relative_error) / float(relative_error))


def share_carrying_mean(t: Any, n: Any, part: float = 0.5) -> Any:
    r"""Share of lineages, those of largest variance, that carries a given part of the mean of σ_t².

    Parameters
    ----------
    t : int or array
        Number of generations under ``replace``, >= 1.
    n : int or array
        Points per generation, >= 2; broadcast against t.
    part : float
        Part of E σ_t² that is carried, in (0, 1).

    Returns
    -------
    float or array
        Share of lineages, in (0, 1); accurate in relative terms, so that it may be read where it is
        minute. The same for either estimator. Float64, by NumPy and SciPy.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here. Weighting lineages by σ_t² turns each χ²_{n-1} into a χ²_{n+1}. The share is the
    mass above that law's (1 - part)-quantile.

    Examples
    --------
    >>> round(share_carrying_mean(1, 100), 3), f"{share_carrying_mean(1000, 100):.1e}"
    (0.444, '3.6e-06')
    """
    t, n = np.broadcast_arrays(generations(t), samples(n))
    if not (0 < part < 1):
        raise ValueError(f"part must lie in (0, 1), got {part}")
    if not np.all((t >= 1) & np.isfinite(t)):
        raise ValueError("t must be a finite generation >= 1")
    out = np.empty(t.shape)
    for at in np.ndindex(t.shape):
        out[at] = _share(float(t[at]), float(n[at]), part)
    return scalar(out)


def _share(t: float, n: float, part: float) -> float:
    weighted = t, n + 1, t * float(np.log((n + 1) / (n - 1)))  # in units of χ²_{n-1}/(n-1)
    plain = t, n - 1, 0.0
    least = quantile(part, replaced(*weighted), partial(far_replaced, *weighted), upper=True)
    return above(least, replaced(*plain), partial(far_replaced, *plain))
