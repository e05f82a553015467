r"""Mixtures that read a network instead of one web: exact second moments, and the noise law.

Model j's posts are an archive of their own, with :math:`N_t = (|A^{(0)}| + nLt)/n` points and
composition a_j. Model i draws k_t points with replacement, each from archive j with probability
W_ij. In one component, with q, g, c and s² of ``_setup`` and :math:`f = N/(N+L)`,

.. math::
    x_i' &= q x_i + g \big((Wa)_i - c\big) + \text{noise}, &
        \mathrm{Var} &= \tfrac{s^2}{(1-Bc)^2}\, E[(Wa)_i (1 - (Wa)_i)], \\
    a_j' &= f a_j + (1-f) x_j + \text{noise}, &
        \mathrm{Var} &= \tfrac{(1-f)^2}{L}\, E[x_j (1 - x_j)] ,

all noises uncorrelated: closed linear recursions of first and second moments. (W uniform: one web.)

*The law.* Models follow what they read in about one generation, x ≈ Wa; archives follow the models
at the rate 1/t. Along an eigenvector of a normal W with eigenvalue λ ≠ 1 the archives' deviation
therefore obeys, with p = π(1-π),

.. math:: \frac{d}{dt} E|a|^2 = -\frac{2(1 - \mathrm{Re}\,λ)}{t} E|a|^2 + \frac{p}{L t^2}
    \quad\Longrightarrow\quad E|a|^2 = \frac{p}{L t\,(1 - 2\,\mathrm{Re}\,λ)}
    \quad (\mathrm{Re}\,λ < \tfrac12) ,

and the weights deviate by \|λ\|² of that and by the draws' own noise p/(2k). For Re λ ≥ ½ what the
archives differed by at first outlives the noise: it falls as :math:`t^{-2(1-\mathrm{Re} λ)}`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal._precision import float64
from commensal.networks import check_network, check_normal
from commensal.theory.mixture import _arguments
from commensal.theory.mixture._moments import MixtureMoments
from commensal.theory.mixture._setup import Setup


def network_moments(setup: Setup, reads: Any, generations: int) -> MixtureMoments:
    """Exact means, variances and E‖D‖_F² of mixtures that read a network, at t = 0..T.

    Parameters
    ----------
    setup : Setup
        System of mixtures, with ``replacement=True``. Its first points are dealt out evenly: each
        model's archive starts with ``points / models`` of them. Where ``web`` is None each model
        wrote its own; otherwise all archives start with the composition ``web``.
    reads : Float[ArrayLike, "n n"]
        Reading network W: each draw of model i is a post of model j with probability W_ij.
    generations : int
        Number of generations T, at least 1.

    Returns
    -------
    MixtureMoments
        Moments, as float64 arrays, as of :func:`second_moments`; the web is all archives together.

    Raises
    ------
    ValueError
        If ``generations`` is below 1, ``reads`` is no network of n models, draws are without
        replacement, or the first points cannot be dealt out evenly.

    Notes
    -----
    New here, for well-separated components and without the positivity step; derivation at the head
    of ``_network``. On the host, O(T n³ B).

    Examples
    --------
    Two pairs that hardly read each other:

    >>> from commensal import networks
    >>> setup = Setup(4, 2, 3, 0.5, 20, web=[0.5, 0.5], replacement=True)
    >>> for name in ("uniform", "blocs:0.3"):
    ...     moments = network_moments(setup, networks.named(name, 4), 100)
    ...     print(name, (moments.disagreement[[10, 100]] ** 0.5).round(3))
    uniform [0.308 0.098]
    blocs:0.3 [0.363 0.126]
    """
    w, n, posts = check_network(reads), setup.models, setup.posts
    if len(w) != n:
        raise ValueError(f"reads is for {len(w)} models, setup for {n}")
    if not setup.replacement:
        raise ValueError("draws on a network are with replacement: give Setup(replacement=True)")
    if setup.points % n:
        raise ValueError(
            f"points must be a multiple of models, to be dealt out evenly, got {setup.points} "
            f"for {n}"
        )
    schedule = setup.schedule(generations)
    mean, covariance = _start(setup)
    eye, states = np.eye(n), [(mean, covariance)]
    for t in range(len(schedule.points)):
        kept, prior = schedule.contraction[t], schedule.prior[t]
        gain = (1 - kept) / (1 - setup.components * prior)
        old = schedule.points[t] / (schedule.points[t] + n * posts)
        step = np.block([[kept * eye, gain * w], [(1 - old) * eye, old * eye]])
        heard = np.hstack([0 * w, w])
        drawn = schedule.noise[t] * _mixed(heard @ mean, heard @ covariance @ heard.T)
        posted = (1 - old) ** 2 / posts * _mixed(mean[:n], covariance[:, :n, :n])
        mean = step @ mean
        mean[:n] -= gain * prior
        noise = np.concatenate([drawn, posted]).T
        covariance = step @ covariance @ step.T + noise[:, :, None] * np.eye(2 * n)
        states.append((mean, covariance))
    return _read(states, n)


def _start(setup: Setup) -> tuple[np.ndarray, np.ndarray]:
    """Return means (2n, B) and covariances (B, 2n, 2n) of weights and archives at t = 0."""
    n, b, each = setup.models, setup.components, setup.points // setup.models
    first = setup.initial()
    weights = np.asarray(first.weights)
    own = np.moveaxis(np.asarray(first.covariance), -1, 0)
    mean, covariance = np.zeros((2 * n, b)), np.zeros((b, 2 * n, 2 * n))
    mean[:n], covariance[:, :n, :n] = weights, own
    if setup.web is None:
        mean[n:] = weights
        sampled = _mixed(weights, own) / each
        covariance[:, n:, n:] = own + sampled.T[:, :, None] * np.eye(n)
        covariance[:, :n, n:] = covariance[:, n:, :n] = own
    else:
        web = np.asarray(setup.web)
        mean[n:] = web
        if setup.web_sampled:
            covariance[:, n:, n:] = (web * (1 - web) / each)[:, None, None] * np.eye(n)
    return mean, covariance


def _mixed(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return E[p (1 - p)], (n, B)."""
    return mean * (1 - mean) - np.einsum("bii->ib", covariance)


def _read(states: list[tuple[np.ndarray, np.ndarray]], n: int) -> MixtureMoments:
    mean = np.stack([m for m, _ in states])
    covariance = np.stack([c for _, c in states])
    x, archives = mean[:, :n], mean[:, n:]
    between = covariance[:, :, :n, :n]
    variance = np.einsum("tbii->tib", between)
    consensus = between.mean(axis=(2, 3))
    centred = x - x.mean(axis=1, keepdims=True)
    apart = (centred**2).sum(axis=(1, 2)) + variance.sum(axis=(1, 2)) - n * consensus.sum(axis=1)
    middle = x.mean(axis=1)
    return MixtureMoments(
        weights=x,
        web=archives.mean(axis=1),
        variance=variance,
        web_variance=covariance[:, :, n:, n:].mean(axis=(2, 3)),
        consensus_variance=consensus,
        # Σ_ij E|π_i - π_j|² = 2n Σ_i E|π_i - mean|²
        disagreement=2 * n * apart,
        heterogeneity=(middle * (1 - middle) - consensus).sum(axis=1),
    )


def network_disagreement(
    reads: Any, weights: Any, posts: int, read_share: float, generation: Any
) -> Any:
    r"""Return E‖D‖_F² of mixtures on a network late in a run: the noise law for any normal W.

    .. math::
        E\lVert D^{(t)} \rVert_F^2 \approx \frac{2n}{t} \sum_{λ_l \ne 1} \Big[
        \frac{|λ_l|^2}{L(1 - 2\,\mathrm{Re}\,λ_l)} + \frac{1}{2βnL} \Big] \sum_b π_b(1 - π_b)

    Parameters
    ----------
    reads : Float[ArrayLike, "n n"]
        Reading network W, a normal matrix, with a single eigenvalue 1.
    weights : Float[ArrayLike, "B"]
        Consensus weights π.
    posts : int
        Number of points L that each model posts per generation.
    read_share : float
        Number of draws over the number of points of all archives, β.
    generation : float or array
        Generation t, large.

    Returns
    -------
    float or array
        Mean squared disagreement; infinity where some Re λ ≥ ½ (but 1): there it falls more slowly
        than 1/t, and first differences count.

    Raises
    ------
    ValueError
        If ``reads`` is no normal network, falls into parts that do not read each other, or a number
        is out of range.

    Notes
    -----
    New here; derivation at the head of ``_network``, claim ``commensal.mixture_network``. For W
    uniform it is the noise law of :func:`disagreement` with replacement.

    Examples
    --------
    >>> from commensal import networks
    >>> for share in (0.25, 0.5, 0.7):
    ...     w = networks.self_share(4, share)
    ...     print(share, round(network_disagreement(w, [0.5, 0.5], 3, 0.5, 100), 4))
    0.25 0.01
    0.5 0.0233
    0.7 inf
    """
    w = check_normal(reads, others="network_moments")
    pi, share = _checked(weights, read_share)
    count = _arguments.count(posts, "posts", 1)
    t = np.asarray(generation, dtype=np.float64)
    if not np.all(t > 0):
        raise ValueError(f"generation must be positive, got {generation}")
    values = np.asarray(np.linalg.eigvals(w), dtype=np.complex128)
    if (np.abs(values - 1) < 1e-9).sum() > 1:
        raise ValueError("reads must not fall into parts that read only themselves")
    others = np.delete(values, np.abs(values - 1).argmin())
    gap = 1 - 2 * others.real
    archived = np.where(gap > 0, np.abs(others) ** 2 / np.where(gap > 0, gap, 1), np.inf)
    drawn = others.size / (2 * share * len(w))
    found = 2 * len(w) / (count * t) * (archived.sum() + drawn) * (pi * (1 - pi)).sum()
    return float(found) if found.ndim == 0 else found


@float64
def _checked(weights: Any, read_share: Any) -> tuple[Any, Any]:
    return _arguments.simplex(weights), _arguments.read_share(read_share)
