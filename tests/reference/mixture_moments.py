"""Interacting mixtures the slow way: every outcome in fractions, plain NumPy runs, quadrature."""

from __future__ import annotations

import itertools
from collections import defaultdict
from fractions import Fraction

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm


def enumerate_runs(
    start, ones, points, posts, read_share, generations, prior, rate=None, replacement=False
):
    """Every outcome of a system of two components, with its probability, in exact arithmetic.

    State: number of points of component 1 on the web, weight of component 1 of each model.
    Without the positivity step weights may leave [0, 1], and then probabilities do: moments are
    still those of the (signed) law that the algebra describes.
    """
    states = {(ones, tuple(start)): Fraction(1)}
    history = [states]
    for t in range(generations):
        n = len(start)
        total = points + t * n * posts
        k = int(read_share * total)
        alpha = Fraction(1, k) if rate is None else rate
        c = Fraction(1, 4 * k) if prior is None else prior
        if alpha == 1:  # the positivity step then undoes c; see test_one_draw
            c = Fraction(0)
        new = defaultdict(Fraction)
        for (ones, weights), chance in states.items():
            updates = [_updates(w, ones, total, k, alpha, c, replacement) for w in weights]
            postings = [_postings(w, posts) for w in weights]
            for posted in itertools.product(*postings):
                added = ones + sum(count for count, _ in posted)
                p = chance * np.prod([q for _, q in posted])
                for after in itertools.product(*updates):
                    new[added, tuple(w for w, _ in after)] += p * np.prod([q for _, q in after])
        states = dict(new)
        history.append(states)
    return history


def _updates(weight, ones, total, k, alpha, c, replacement):
    outcomes = defaultdict(Fraction)
    for labels in itertools.product((0, 1), repeat=k):
        chance, left, of_one, w = Fraction(1), total, ones, weight
        for label in labels:
            chance *= Fraction(of_one if label else left - of_one, left)
            if not replacement:
                left, of_one = left - 1, of_one - label
            w = (1 - alpha) * w + alpha * (label - c) / (1 - 2 * c)
            if chance == 0:
                break
        if chance:
            outcomes[w] += chance
    return list(outcomes.items())


def _postings(weight, posts):
    outcomes = defaultdict(Fraction)
    for labels in itertools.product((0, 1), repeat=posts):
        outcomes[sum(labels)] += weight ** sum(labels) * (1 - weight) ** (posts - sum(labels))
    return list(outcomes.items())


def log_density(points, means, scale):
    """(…, B) log densities of points on the line under components of one standard deviation."""
    return -0.5 * ((points[..., None] - means) / scale) ** 2


def simulate(
    rng,
    *,
    replicates,
    models,
    components,
    posts,
    read_share,
    points,
    generations,
    web,
    weights=None,
    means=None,
    replacement=False,
    positivity=True,
    prior=None,
    epsilon=1e-10,
):
    """Algorithm 3 over replicates; gives weights (T+1, R, n, B) and how often one was lifted.

    ``means`` None: separated components, points are labels. Otherwise unit variance on the line.
    ``web``: composition of A^(0), whose points are independent draws.
    """
    r, n, b = replicates, models, components

    def likelihoods(labels):
        if means is None:
            return np.eye(b)[labels]
        u = np.asarray(means)[labels] + rng.standard_normal(labels.shape)
        scores = log_density(u, np.asarray(means), 1.0)
        return np.exp(scores - scores.max(axis=-1, keepdims=True))

    pi = (
        rng.dirichlet(np.ones(b), (r, n))
        if weights is None
        else np.array(np.broadcast_to(weights, (r, n, b)), dtype=float)
    )
    store = likelihoods(rng.choice(b, size=(r, points), p=web))
    history, lifted = [pi], 0
    rows = np.arange(r)[:, None]
    for t in range(generations):
        share = np.maximum(pi, 0) / np.maximum(pi, 0).sum(axis=-1, keepdims=True)
        edges = np.cumsum(share, axis=-1)[..., None, :-1]
        labels = (rng.random((r, n, posts, 1)) > edges).sum(axis=-1).reshape(r, n * posts)
        total = points + t * n * posts
        k = int(read_share * total)
        if replacement:
            drawn = rng.integers(total, size=(r, n, k))
        else:
            order = np.broadcast_to(np.arange(total, dtype=np.int32), (r, n, total))
            drawn = rng.permuted(order, axis=-1)[..., :k]
        alpha, c = 1 / k, 1 / (k * b**2) if prior is None else prior
        for j in range(k):
            rows_j = store[rows, drawn[..., j]]
            owned = pi * rows_j
            owned = owned / owned.sum(axis=-1, keepdims=True)
            pi = (1 - alpha) * pi + alpha * (owned - c) / (1 - b * c)
            if positivity and (pi <= 0).any():
                pi = pi.copy()
                for m in range(b):
                    low = pi[..., m] <= 0
                    lifted += low.sum()
                    scale = np.where(low, 1 / (1 + epsilon - pi[..., m]), 1)
                    pi *= scale[..., None]
                    pi[..., m] = np.where(low, epsilon, pi[..., m] / scale)
        store = np.concatenate([store, likelihoods(labels)], axis=1)
        history.append(pi)
    return np.stack(history), lifted


def squared_norm(weights):
    """‖D‖_F² by its definition, eq. (4)."""
    gap = weights[..., :, None, :] - weights[..., None, :, :]
    return (gap**2).sum(axis=(-3, -2, -1))


def affinity_by_quad(means, scales, weights):
    """∫ N_b N_l / g sqrt(π_b π_l), entry by entry."""
    means, weights = np.asarray(means), np.asarray(weights)

    def entry(b, m):
        def integrand(u):
            densities = norm.pdf(u, means, scales)
            mixture = densities @ weights
            return densities[b] * densities[m] / mixture * np.sqrt(weights[b] * weights[m])

        low, high = means.min() - 12 * np.max(scales), means.max() + 12 * np.max(scales)
        breaks = np.unique(np.concatenate([means, np.linspace(low, high, 30)[1:-1]]))
        edges = [low, *breaks, high]
        return sum(
            quad(integrand, x, y, epsabs=1e-13, epsrel=1e-12)[0]
            for x, y in itertools.pairwise(edges)
        )

    size = means.size
    return np.array([[entry(b, m) for m in range(size)] for b in range(size)])
