r"""The expected update of one generation, and the mean field over all of them.

For separated components the mean is closed: `webdynamics` eq. (10) applied k times,

.. math::
    E\,π' = \barα^k π + (1 - \barα^k) \frac{a - c}{1 - Bc}.

(The paper has 1 - ᾱ^{k+1}, for which the weights would not sum to one; but
:math:`α \sum_{s<k} \barα^s = 1 - \barα^k`. Hence "π/(1-α)" below it is π itself.) Here a is the
composition of the web, N points of which a share nLt/N are written by models (the paper's 1/(nt)
per model and generation is for an empty A^{(0)}).

For overlapping components one point moves the expected weights by :math:`α(\bar o(π) - π)`, with
:math:`\bar o` of eq. (8) by quadrature, without the approximation (9)-(10). As :math:`\bar o` is
not linear in π, k points are iterated at the expected weights, which neglects the spread of the
running weights: an error of O(1/k).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal._precision import float64
from commensal.theory.mixture import _arguments
from commensal.theory.mixture._geometry import Geometry
from commensal.theory.mixture._moments import second_moments
from commensal.theory.mixture._setup import Setup

_STEPWISE = 32  # draws up to which every point is iterated
_SUBSTEPS = 8


class MeanField(NamedTuple):
    """Expected weights at t = 0..T; n models, B components.

    Attributes
    ----------
    weights : Float[np.ndarray, "T+1 n B"]
        Expected weights E π_i of each model.
    web : Float[np.ndarray, "T+1 B"]
        Expected composition E a of A^{(t)}: initial points and all that was posted before t.
    """

    weights: Float[np.ndarray, "T n B"]
    web: Float[np.ndarray, "T B"]


def expected_update(
    weights: Any,
    web: Any,
    draws: int,
    *,
    geometry: Geometry | None = None,
    learning_rate: float | None = None,
    prior: float | None = None,
) -> np.ndarray:
    """Expected weights after one generation, given the composition of the web.

    Parameters
    ----------
    weights : Float[Array, "*n B"]
        Weights π of the models before the generation.
    web : Float[Array, "B"]
        Composition a of the web.
    draws : int
        Number of draws k, at least 1.
    geometry : Geometry or None
        Components of the mixtures. None: well separated.
    learning_rate : float or None
        Learning rate α. None: 1/k.
    prior : float or None
        Prior c. None: 1/(k B²).

    Returns
    -------
    Float[np.ndarray, "*n B"]
        Expected weights, exact for separated components; to O(1/k) for overlapping ones. The
        positivity step is left out, so components that are all but extinct can come out slightly
        negative.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    `webdynamics` eq. (7)-(10), corrected as said at the head of the module.

    Examples
    --------
    >>> expected_update([0.9, 0.1], [0.5, 0.5], 100, prior=0.0).round(4)
    array([0.6464, 0.3536])
    >>> close = Geometry([-0.5, 0.5], 1.0)
    >>> expected_update([0.9, 0.1], [0.5, 0.5], 100, geometry=close, prior=0.0).round(4)
    array([0.8557, 0.1443])
    """
    pi, a = _shares(weights, web)
    k = _arguments.count(draws, "draws", 1)
    alpha, c = _arguments.learning_rate(learning_rate), _arguments.prior(prior, a.size)
    alpha = 1 / k if alpha is None else alpha
    c = 1 / (k * a.size**2) if c is None else c
    return _advance(pi, a, k, alpha, c, geometry)


def _advance(
    pi: np.ndarray, a: np.ndarray, k: int, alpha: float, c: float, geometry: Geometry | None
) -> np.ndarray:
    b = a.size
    if geometry is None:
        kept = (1 - alpha) ** k
        return kept * pi + (1 - kept) * (a - c) / (1 - b * c)
    if geometry.components != b:
        raise ValueError(f"geometry must have {b} components, got {geometry.components}")

    def pull(x: np.ndarray) -> np.ndarray:
        # the positivity step, in its smallest form: ownerships need weights >= 0
        return (geometry.ownership(np.maximum(x, 0), a).value - c) / (1 - b * c) - x

    if k <= _STEPWISE:
        for _ in range(k):
            pi = pi + alpha * pull(pi)
        return pi

    # k steps of size α follow the flow of f(x - αf(x)/2) to O(α²), which needs few steps
    def flow(x: np.ndarray) -> np.ndarray:
        return pull(x - alpha / 2 * pull(x))

    return _runge_kutta(flow, pi, alpha * k)


def _runge_kutta(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, time: float) -> np.ndarray:
    h = time / _SUBSTEPS
    for _ in range(_SUBSTEPS):
        one = f(x)
        two = f(x + h / 2 * one)
        three = f(x + h / 2 * two)
        x = x + h / 6 * (one + 2 * two + 2 * three + f(x + h * three))
    return x


def mean_field(setup: Setup, generations: int, geometry: Geometry | None = None) -> MeanField:
    """Expected weights of every model and expected composition of the web at t = 0..T.

    Parameters
    ----------
    setup : Setup
        System of mixtures.
    generations : int
        Number of generations T, at least 1.
    geometry : Geometry or None
        Components of the mixtures. None: well separated.

    Returns
    -------
    MeanField
        Expected weights and composition, exact for separated components (without the positivity
        step). For overlapping ones the deterministic limit of many draws and posts; it starts from
        the mean initial weights.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    `webdynamics` app. A, the history average included: the web carries it.

    Examples
    --------
    >>> setup = Setup(2, 2, 3, 0.5, 20, weights=[[0.9, 0.1], [0.3, 0.7]], web=[0.5, 0.5])
    >>> field = mean_field(setup, 10)
    >>> field.weights[[0, 1, 10], :, 0].round(4)
    array([[0.9   , 0.3   ],
           [0.6395, 0.4303],
           [0.5265, 0.5264]])
    """
    if geometry is None:
        moments = second_moments(setup, generations)
        return MeanField(np.asarray(moments.weights), np.asarray(moments.web))
    schedule, initial = setup.schedule(generations), setup.initial()
    pi, a = np.asarray(initial.weights, np.float64), np.asarray(initial.web, np.float64)
    weights, web = [pi], [a]
    for points, k, alpha, c in zip(
        schedule.points, schedule.draws, schedule.learning_rate, schedule.prior, strict=True
    ):
        posted = setup.posts * pi.sum(axis=0)
        pi = _advance(pi, a, int(k), float(alpha), float(c), geometry)
        a = (points * a + posted) / (points + setup.models * setup.posts)
        weights.append(pi)
        web.append(a)
    return MeanField(np.stack(weights), np.stack(web))


@float64
def _shares(weights: Any, web: Any) -> Any:
    a = _arguments.simplex(web, "web", "(B,)")
    pi = _arguments.simplex(weights)
    if a.shape != pi.shape[-1:]:
        raise ValueError(f"web must have shape {pi.shape[-1:]}, got {a.shape}")
    return pi, a
