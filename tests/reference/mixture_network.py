"""Mixtures that read a network, run draw by draw in plain NumPy."""

from __future__ import annotations

import numpy as np


def runs(reads, start, ones, points, posts, read_share, generations, rate, prior, count, rng):
    """Return weights of component 1 at t = 0..T in ``count`` runs, (T+1, count, n).

    Each archive starts with ``points`` points, of which a share ``ones`` is of component 1. Rate
    and prior are functions of the number of draws.
    """
    n = len(reads)
    weights = np.broadcast_to(np.asarray(start, float), (count, n)).copy()
    archives = np.full((count, n), ones * points)  # points of component 1
    size, history = points, [weights.copy()]
    for _ in range(generations):
        k = int(read_share * n * size * (1 + 1e-12))
        alpha, c = rate(k), prior(k)
        added = rng.binomial(posts, np.clip(weights, 0, 1))
        for _ in range(k):
            source = np.stack([rng.choice(n, count, p=row) for row in reads], axis=1)
            chance = np.take_along_axis(archives, source, axis=1) / size
            label = rng.random((count, n)) < chance
            weights = (1 - alpha) * weights + alpha * (label - c) / (1 - 2 * c)
        archives, size = archives + added, size + posts
        history.append(weights.copy())
    return np.stack(history)
