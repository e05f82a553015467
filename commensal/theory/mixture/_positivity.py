r"""The positivity step: when it acts, and why it hardly matters.

A component that no point of a generation supports decays, for separated components, after j points
to :math:`\barα^j π - c(1-\barα^j)/(1-Bc)`. That is negative from

.. math:: j^* = \Big\lceil \frac{\log(1 + π(1-Bc)/c)}{-\log \barα} \Big\rceil

points on, so within the generation only for weights below
:math:`\frac{c}{1-Bc}(\barα^{-k} - 1) \to (e-1)/(kB^2)`: components of fewer than 1.72/B² expected
points among the k. A point in its support lifts the weight by about 1/k, and as
log(1 + B²(1 - 1/(kB))) > 1 it cannot fall below zero again in the same generation. So the step acts
at least once exactly if the first j* points leave the component out.

What it changes is at most c/(1-Bc) per point to begin with (the weight is lifted from no lower than
-c α/(1-Bc) to ε), so at most about 1/(kB²) per generation, against disagreement of order k^{-1/2}:
its effect on ‖D‖_F² is O(k^{-2}) where the noise law is O(k^{-1}).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln

from commensal.theory.mixture import _arguments


def positivity_threshold(draws: int, components: int, prior: float | None = None) -> float:
    """Weight below which one generation can make a component negative.

    Parameters
    ----------
    draws : int
        Draws k of a model, at least 1; the learning rate is 1/k.
    components : int
        Number of components B, at least 2.
    prior : float or None
        Prior c. None: 1/(k B²).

    Returns
    -------
    float
        Threshold; infinite at k = 1, where every component but the drawn one becomes negative; 0
        for c = 0.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; `webdynamics` Algorithm 2, lines 7-14.

    Examples
    --------
    >>> [round(positivity_threshold(k, 11), 6) for k in (10, 100, 1000)]
    [0.001558, 0.000143, 1.4e-05]
    """
    k, b = _arguments.count(draws, "draws", 1), _arguments.count(components, "components", 2)
    c = _prior(prior, k, b)
    if k == 1:
        return float("inf") if c > 0 else 0.0
    return float(c / (1 - b * c) * np.expm1(-k * np.log1p(-1 / k)))


def positivity_probability(
    weight: float, web_share: float, draws: int, points: int, components: int, *, prior: Any = None
) -> float:
    """Probability that the positivity step acts on a component within one generation.

    Parameters
    ----------
    weight : float
        Weight π_b > 0 of the component in the model, before the generation.
    web_share : float
        Share a_b of the web's points that belong to the component.
    draws : int
        Draws k of a model, at least 1, without replacement; the learning rate is 1/k.
    points : int
        Number of points N on the web, at least k.
    components : int
        Number of components B, at least 2.
    prior : float or None
        Prior c. None: 1/(k B²).

    Returns
    -------
    float
        Probability, exact for separated components, if the step acts on no other component (which
        would rescale this one by a factor 1 - O(c)).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; derivation at the head of the module.

    Examples
    --------
    >>> round(positivity_probability(0.0001, 0.01, 100, 200, 11), 4)
    0.3648
    >>> positivity_probability(0.01, 0.01, 100, 200, 11)
    0.0
    """
    k, b = _arguments.count(draws, "draws", 1), _arguments.count(components, "components", 2)
    n = _arguments.count(points, "points", k)
    if not 0 < weight <= 1:
        raise ValueError(f"weight must lie in (0, 1], got {weight}")
    if not 0 <= web_share <= 1:
        raise ValueError(f"web_share must lie in [0, 1], got {web_share}")
    c = _prior(prior, k, b)
    if c == 0:
        return 0.0
    decay = -np.log1p(-1 / k) if k > 1 else np.inf
    misses = max(1, int(np.ceil(np.log1p(weight * (1 - b * c) / c) / decay - 1e-12)))
    owned = web_share * n
    if misses > k or n - owned < misses:
        return 0.0
    terms = gammaln(n - owned + 1) + gammaln(n - misses + 1)
    log_p = terms - gammaln(n - owned - misses + 1) - gammaln(n + 1)
    return float(np.exp(min(log_p, 0.0)))


def _prior(prior: Any, draws: int, components: int) -> float:
    c = _arguments.prior(prior, components)
    return 1 / (draws * components**2) if c is None else c
