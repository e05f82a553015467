"""Gradient steps one by one: on the law of the estimates, and on data that are drawn.

Nothing shared with the package: no powers, no filters, no sufficient statistics.
"""

from __future__ import annotations

import numpy as np

from benchmarks.dense import DenseSystem


def law(first: DenseSystem, later: list[DenseSystem], theta, rates, steps, base, own=False):
    """Means (T+1, K, d) and covariances (T+1, K, d, d), every source of noise followed through.

    A row of ``spread`` is what one standard normal of some dataset's responses adds to all
    estimates. ``rates`` and ``steps`` are those of t = 0 and of later. Fresh human data are one
    draw for all, or each model's ``own``.
    """
    k, d = first.k, first.d
    mean = np.array(base, float)
    spread = np.zeros((0, k, d))  # (sources, K, d)
    real = [root(s) for s in [*first.private, first.public]]
    start = np.zeros(((k + 1) * d, k, d))
    spread = np.concatenate([spread, start])
    means, covariances = [], []
    for t, s in enumerate([first, *later]):
        web = s.alpha if t else 0.0
        ab, q = (1 - web) * s.beta, (1 - web) * (1 - s.beta)
        share, fresh = web * (1 - s.human_share), web * s.human_share
        target = np.zeros((k, d))
        humans = k if own else 1
        noise = np.zeros((len(spread) + (k + humans) * d, k, d))  # of the right-hand sides
        g = np.zeros((k, d, d))
        for i in range(k):
            g[i] = ab * s.private[i] + q * s.public + share * s.synthetic.mean(0) + fresh * s.fresh
            target[i] = (ab * s.private[i] + q * s.public + fresh * s.fresh) @ theta
            for m, weight in ((i, ab), (k, q)):
                # column c of S^½ is what the c-th source adds to X'y
                noise[m * d : (m + 1) * d, i] += weight * s.noise * real[m].T
            for j in range(k):
                target[i] += share / k * s.synthetic[j] @ mean[j]
                noise[: len(spread), i] += share / k * spread[:, j] @ s.synthetic[j]
                at = len(spread) + j * d
                noise[at : at + d, i] += share / k * s.noise * root(s.synthetic[j]).T
            at = len(spread) + (k + (i if own else 0)) * d
            noise[at : at + d, i] += fresh * s.noise * root(s.fresh).T
        spread = np.concatenate([spread, np.zeros(((k + humans) * d, k, d))])
        for _ in range(steps[min(t, 1)]):
            for i in range(k):
                mean[i] -= rates[min(t, 1)] * (g[i] @ mean[i] - target[i])
                spread[:, i] -= rates[min(t, 1)] * (spread[:, i] @ g[i] - noise[:, i])
        means.append(mean.copy())
        covariances.append(np.einsum("nka,nkb->kab", spread, spread))
    return np.array(means), np.array(covariances)


def root(s):
    values, vectors = np.linalg.eigh(s)
    return vectors * np.sqrt(np.maximum(values, 0))


def simulate(s: DenseSystem, designs, theta, generations, rate, steps, base, replicates, rng):
    """Estimates (T+1, R, K, d): responses are drawn and gradients taken on the rows of the data.

    ``designs`` (private (K, r, d), public (r, d), synthetic (K, r, d)) have the Gram matrices of
    ``s``; no human share.
    """
    private, public, synthetic = designs
    k = s.k

    def respond(x, parameters):
        return parameters @ x.T + s.noise * rng.standard_normal((replicates, len(x)))

    truth = np.broadcast_to(theta, (replicates, s.d))
    y = [respond(private[i], truth) for i in range(k)]
    y_public = respond(public, truth)
    model = np.broadcast_to(np.array(base, float), (replicates, k, s.d)).copy()
    out = []
    for t in range(generations + 1):
        alpha = s.alpha if t else 0.0
        answers = [respond(synthetic[j], model[:, j]) for j in range(k)]
        after = model.copy()
        for i in range(k):
            for _ in range(steps):
                gradient = (1 - alpha) * s.beta * (after[:, i] @ private[i].T - y[i]) @ private[i]
                there = (after[:, i] @ public.T - y_public) @ public
                gradient += (1 - alpha) * (1 - s.beta) * there
                for j in range(k):
                    there = (after[:, i] @ synthetic[j].T - answers[j]) @ synthetic[j]
                    gradient += alpha / k * there
                after[:, i] -= rate * gradient
        model = after
        out.append(model.copy())
    return np.array(out)
