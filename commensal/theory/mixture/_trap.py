r"""The positivity step as a trap that can keep overlapping mixtures apart for good.

A weight that becomes negative is lifted to ε. With separated components the next point in the
component's support owns it fully, and the weight recovers at once. With overlapping ones a point u
owns the component only by :math:`o = εΛ/(1-ε+εΛ)`, :math:`Λ = N_b(u)/g_{-b}(u)`, g_{-b} the mixture
of the other components; if o < c, the update is negative again and is lifted again. So a model at
ε stays there until one exceptional point arrives, :math:`Λ \gtrsim c/ε`, followed by ordinary
ones that carry the weight further up before others wear it down by αc each. For two components
at distance Δ (in standard deviations), :math:`\log Λ = Δ^2/2 + Δz`, z standard normal, under the
component's own points. With ε = 1e-10, n = 3, L = 3, β = 1/2 and 20 points to start from, escape is
immediate for Δ ≥ 5 (the paper's fig. 4 has Δ = 10: no trap), takes of the order of a hundred
generations at Δ = 3.5, and has a probability of 1e-4 in 200 generations at Δ = 2.5.

Two consequences. Models that are trapped without *different* components stay apart for as long as
c lies above about ε (of ε = 1e-10 and the paper's c = 1/(k B²), for billions of points): what
‖D‖_F → 0 (conjecture, eq. 5) says of the limit nobody would see. (Where one model is trapped, the
others slowly follow it.) And an escape *is* a sudden fall of ‖D‖_F, after any number of quiet
generations: within one or two generations the model is back at the consensus.

*Probability.* For k ≪ N the weight p of the trapped component is a Markov chain,
:math:`p' = (1-α)p + α(o(p,u)-c)/(1-Bc)`, put back at ε if negative. Let q(p) be the probability
that it gets free (half the component's share of the web) before it is put back; then
:math:`q(p) = E_u\,q(p')`, a linear equation. Over fresh points escapes would come at the rate
:math:`k\,E_u\,q(p'(ε, u))` per generation. But the web is one set of points, read again and again:
if it holds no exceptional point, somebody has to post one first. A point u is drawn with
probability β per generation, each time with a chance q_t(u) of setting the model free, so over all
points on the web, posted at s (initial ones: s = -1),

.. math::
    P(\text{trapped until } t) = \prod_s \Big( E_u \prod_{s < τ < t} (1 - β\,q_τ(u)) \Big)^{n_s},
    \qquad n_{-1} = |A^{(0)}|,\; n_s = nL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from commensal.theory.mixture import _arguments
from commensal.theory.mixture._geometry import Geometry, positive_weights
from commensal.theory.mixture._setup import Setup

_GRID = 400
_BINS = 4000
_SOLVES = 12


def escape_rate(
    geometry: Geometry,
    weights: Any,
    component: int,
    draws: int,
    *,
    epsilon: float,
    prior: float | None = None,
) -> float:
    """Expected escapes per generation of a model whose weight of one component was lifted to ε.

    Parameters
    ----------
    geometry : Geometry
        Components of the mixtures.
    weights : Float[Array, "B"]
        Composition of the web, and in proportion the trapped model's other weights; all positive.
    component : int
        Number of the trapped component, 0..B-1.
    draws : int
        Draws k of a model, at least 2; the learning rate is 1/k.
    epsilon : float
        Size ε of the positivity step, in (0, 0.1). (The paper does not say which it used.)
    prior : float or None
        Prior c. None: 1/(k B²).

    Returns
    -------
    float
        Expected number of escapes over webs of fresh points; the rate over the generations that
        follow is smaller (:func:`escape_probability`), for the web is the same again.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; derivation at the head of the module. For two components and independent points exact
    but for discretisation (400 points in log p); beyond two it holds the other weights in
    proportion, which is right while the trapped one is small.

    Examples
    --------
    >>> for distance in (2.0, 3.5, 5.0):
    ...     pair = Geometry([0.0, distance], 1.0)
    ...     print(f"{escape_rate(pair, [0.5, 0.5], 1, 200, epsilon=1e-10):.1g}")
    2e-14
    0.08
    2e+01
    """
    pi, c = _checked(geometry, weights, component, epsilon, prior)
    k = _arguments.count(draws, "draws", 2)
    log_ratio, chance = _log_ratios(geometry, pi, component)
    launch = _launches(log_ratio, chance, pi, component, k, epsilon, c)
    return float(k * chance @ launch)


def escape_probability(
    setup: Setup,
    geometry: Geometry,
    weights: Any,
    component: int,
    generations: int,
    *,
    epsilon: float,
) -> Float[np.ndarray, "S"]:
    """Probability that a model trapped at t = 0 has escaped by t = 0..T.

    Parameters
    ----------
    setup : Setup
        System, which gives points, draws, posts and prior; k_0 >= 2. Its initial weights are not
        used, and draws are without replacement.
    geometry : Geometry
        Components of the mixtures.
    weights : Float[Array, "B"]
        Composition of the web and of the posts, held fixed; all positive.
    component : int
        Number of the trapped component, 0..B-1.
    generations : int
        Number of generations T, at least 1.
    epsilon : float
        Size ε of the positivity step, in (0, 0.1).

    Returns
    -------
    Float[np.ndarray, "T+1"]
        Probability at each generation, nondecreasing from 0.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    New here; derivation at the head of the module. Takes one exceptional point to be enough, what
    follows it to be fresh, and the composition to stay. In runs (two components, equal weights)
    0.77, 0.38 and 0.27 had escaped after 20 generations where this gives 0.74, 0.37 and 0.31; after
    60 generations of posting, which moves the web away from the trapped component, 0.29 for 0.38.

    Examples
    --------
    >>> setup = Setup(3, 2, 3, 0.5, 100, web=[0.5, 0.5])
    >>> pair = Geometry([0.0, 3.5], 1.0)
    >>> chance = escape_probability(setup, pair, [0.5, 0.5], 1, 200, epsilon=1e-10)
    >>> chance[[1, 10, 50, 200]].round(3)
    array([0.005, 0.041, 0.301, 0.978])
    """
    pi, prior = _checked(geometry, weights, component, epsilon, setup.prior)
    schedule = setup.schedule(generations)
    if schedule.draws[0] < 2:
        raise ValueError(f"setup must give at least two draws at t = 0, got {schedule.draws[0]}")
    others = np.where(np.arange(pi.size) == component, 0, pi)
    # what models post while one of them is trapped
    posts = ((setup.models - 1) * pi + others / others.sum()) / setup.models
    log_ratio, chance, posted = _log_ratios(geometry, pi, component, posts)
    # launches vary slowly with k: a few solves, interpolated in log k
    ks = np.unique(np.geomspace(schedule.draws[0], schedule.draws[-1], _SOLVES).round())
    solved = np.stack(
        [_launches(log_ratio, chance, pi, component, int(k), epsilon, prior) for k in ks]
    )
    at = np.interp(np.log(schedule.draws), np.log(ks), np.arange(ks.size))
    left = np.minimum(at.astype(int), max(ks.size - 2, 0))
    part = (at - left)[:, None]
    launch = (1 - part) * solved[left] + part * solved[np.minimum(left + 1, ks.size - 1)]
    log_kept = np.log1p(-setup.read_share * np.minimum(launch, 1 - 1e-12))  # (T, points)
    summed = np.concatenate([np.zeros((1, log_kept.shape[1])), np.cumsum(log_kept, axis=0)])
    counts = setup.models * setup.posts
    escaped = [0.0]
    for t in range(1, generations + 1):
        # exposed to generations s+1..t-1
        initial = np.expm1(summed[t]) @ chance
        later = np.expm1(summed[t] - summed[1 : t + 1]) @ posted
        log_trapped = setup.points * np.log1p(initial) + counts * np.log1p(later).sum()
        escaped.append(-np.expm1(log_trapped))
    return np.array(escaped)


def _checked(
    geometry: Geometry, weights: Any, component: int, epsilon: float, prior: float | None
) -> tuple[np.ndarray, float | None]:
    pi = positive_weights(weights, geometry.components)
    if not 0 <= component < pi.size:
        raise ValueError(f"component must lie in 0..{pi.size - 1}, got {component}")
    if not 0 < epsilon < 0.1:
        raise ValueError(f"epsilon must lie in (0, 0.1), got {epsilon}")
    return pi, _arguments.prior(prior, pi.size)


def _launches(
    log_ratio: np.ndarray,
    chance: np.ndarray,
    pi: np.ndarray,
    component: int,
    k: int,
    epsilon: float,
    prior: float | None,
) -> np.ndarray:
    """Probability q(p'(ε, u)), for every point u, that reading it sets the model free."""
    b = pi.size
    c = 1 / (k * b**2) if prior is None else prior
    free = pi[component] / 2
    log_p = np.linspace(np.log(epsilon), np.log(free), _GRID)
    p = np.exp(log_p)[:, None]
    # o = pΛ/(1 - p + pΛ), without overflow
    owned = 1 / (1 + np.exp(np.clip(np.log((1 - p) / p) - log_ratio, -700, 700)))
    after = (1 - 1 / k) * p + (owned - c) / (k * (1 - b * c))
    place = (np.log(np.maximum(after, epsilon)) - log_p[0]) / (log_p[1] - log_p[0])
    place = np.minimum(place, _GRID - 1)
    left = np.minimum(place.astype(int), _GRID - 2)
    part = place - left
    rows = np.broadcast_to(np.arange(_GRID)[:, None], left.shape)
    step = np.zeros((_GRID, _GRID))
    np.add.at(step, (rows, left), (1 - part) * chance)
    np.add.at(step, (rows, left + 1), part * chance)
    # the first grid point is ε, trapped again, and the last is free
    q = np.zeros(_GRID)
    q[-1] = 1
    inner = slice(1, -1)
    q[inner] = np.linalg.solve(np.eye(_GRID - 2) - step[inner, inner], step[inner, -1])
    return (1 - part[0]) * q[left[0]] + part[0] * q[left[0] + 1]


def _log_ratios(
    geometry: Geometry, pi: np.ndarray, component: int, *webs: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return log Λ of points, and their probabilities under π and each other given composition."""
    others = np.arange(pi.size) != component
    scores = geometry.log_densities[..., others] + np.log(pi[others] / pi[others].sum())
    log_ratio = (geometry.log_densities[..., component] - logsumexp(scores, axis=-1)).ravel()
    rule = geometry.node_weights / geometry.node_weights.shape[0]
    chances = [(rule * web[:, None]).ravel() for web in (pi, *webs)]
    if log_ratio.size > _BINS:
        edges = np.linspace(log_ratio.min(), log_ratio.max(), _BINS + 1)
        chances = [np.histogram(log_ratio, bins=edges, weights=chance)[0] for chance in chances]
        log_ratio = (edges[1:] + edges[:-1]) / 2
    return log_ratio, *chances
