"""Interacting mixtures as printed: one run, Python lists, a density wherever one is needed.

`webdynamics`, Algorithms 2 and 3. Nothing is shared with :mod:`commensal.sims.mixture`: A is a list
of points, densities are SciPy's and computed anew for each draw, the positivity step is two loops.
``Noise`` holds all randomness of one run, so that both programs can be run on the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class Noise(NamedTuple):
    """Of one run."""

    weights: np.ndarray  # (n, B), at t = 0
    points: np.ndarray  # (A, d), at t = 0
    component: np.ndarray  # (T, n, L), uniform
    human: np.ndarray  # (T, n, L), uniform
    normal: np.ndarray  # (T, d, n, L)
    words: np.ndarray  # (T, k, n), 32 random bits


def draw_noise(rng: np.random.Generator, c: Any) -> Noise:
    t, n, posts, d = c.generations, c.models, c.posts, len(c.means[0])
    most = int(c.read_share * (c.points + n * posts * t)) + 1
    weights = rng.dirichlet([c.concentration] * c.components, n)
    if c.weights is not None:
        weights = np.array(c.weights)
    return Noise(
        weights=weights,
        points=5 * rng.standard_normal((c.points, d)),
        component=rng.uniform(size=(t, n, posts)),
        human=rng.uniform(size=(t, n, posts)),
        normal=rng.standard_normal((t, d, n, posts)),
        words=rng.integers(0, 2**32, (t, most, n), dtype=np.uint32),
    )


def run(c: Any, noise: Noise) -> np.ndarray:
    """Weights (T + 1, n, B) of all generations; ``c`` has the fields of a Config."""
    n, b = c.models, c.components
    laws = [stats.multivariate_normal(m, s) for m, s in zip(c.means, c.covariances(), strict=True)]
    graph = np.ones((n, n), bool) if c.graph is None else np.array(c.graph)
    points = list(noise.points)
    # what each model may read, in the order that its last draws left it in
    readable = [list(range(len(points))) for _ in range(n)]
    weights = [list(row) for row in noise.weights]
    history = [np.array(weights)]
    for t in range(c.generations):
        posted = []
        for i in range(n):
            for post in range(c.posts):
                source = c.web if noise.human[t, i, post] < c.human_share else weights[i]
                posted.append((i, new_point(c, source, noise, t, i, post)))
        for i in range(n):
            k = int(np.floor(round(c.read_share * len(readable[i]), 9)))
            drawn = draws(readable[i], k, noise.words[t, :, i], c.replacement)
            alpha = 1 / k if c.learning_rate is None else c.learning_rate
            prior = 1 / (k * b**2) if c.prior is None else c.prior
            u = [points[j] for j in drawn]
            weights[i] = algorithm_2(weights[i], u, laws, alpha, prior, c.epsilon)
        for author, x in posted:
            for i in range(n):
                if graph[i, author]:
                    readable[i].append(len(points))
            points.append(x)
        history.append(np.array(weights))
    return np.array(history)


def new_point(c, source, noise, t, i, post) -> np.ndarray:
    upto = np.cumsum(source)
    b = min(
        np.searchsorted(upto, noise.component[t, i, post] * upto[-1], side="right"), len(upto) - 1
    )
    factor = np.linalg.cholesky(c.covariances()[b])
    return np.array(c.means[b]) + factor @ noise.normal[t, :, i, post]


def draws(items: list, k: int, words, replacement: bool) -> list:
    """k of ``items``, which are left in another order."""
    drawn = []
    for p in range(k):
        if replacement:
            drawn.append(items[int(words[p]) * len(items) >> 32])
            continue
        q = p + (int(words[p]) * (len(items) - p) >> 32)
        items[p], items[q] = items[q], items[p]
        drawn.append(items[p])
    return drawn


def algorithm_2(pi, points, laws, alpha, c, epsilon) -> list:
    pi, b_all = list(pi), range(len(pi))
    for u in points:
        joint = [pi[b] * laws[b].pdf(u) for b in b_all]
        o = [joint[b] / sum(joint) for b in b_all]
        pi = one_point(pi, o, alpha, c, epsilon)
    return pi


def one_point(pi, o, alpha, c, epsilon) -> list:
    """Lines 4 to 14."""
    count = len(pi)
    pi = [(1 - alpha) * pi[b] + alpha * (o[b] - c) / (1 - count * c) for b in range(count)]
    for b in range(count):
        if pi[b] <= 0:
            for other in range(count):
                if other != b:
                    pi[other] = pi[other] / (1 + epsilon - pi[b])
            pi[b] = epsilon
    return pi
