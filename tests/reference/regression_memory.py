"""Interactive regression that remembers: every estimate as a combination of every response.

No recursion of moments: the features of all data that a model has read are stacked, weighed, and
one pseudo-inverse says how its estimate follows from the responses; those that models gave follow
from earlier responses' noise. Slow: matrices have as many columns as there ever were responses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Dense(NamedTuple):
    """Laws of all estimates together at t = 0..T, for σ = 1."""

    mean: np.ndarray  # (T+1, K, d)
    covariance: np.ndarray  # (T+1, K d, K d)

    @property
    def mse(self):
        """Variance of each model's estimate, summed over coordinates: (T+1, K)."""
        t, k, d = self.mean.shape
        return np.diagonal(self.covariance, axis1=1, axis2=2).reshape(t, k, d).sum(axis=2)

    @property
    def disagreement(self):
        """Mean over models of E‖θ̂_k - θ̄‖², where all means are the same: (T+1,)."""
        t, k, d = self.mean.shape
        c = self.covariance.reshape(t, k, d, k, d)
        own = np.einsum("tkaka->t", c) / k
        return own - np.einsum("tkala->t", c) / k**2


def at(value, t):
    return value[t - 1] if np.ndim(value) else value


def linear(designs, alpha, beta, generations, theta, *, memory, window=None, reads=None, share=0.0):
    """Follow the coefficients of θ and of every response's noise; ``share`` is that of humans."""
    private, public, synthetic, human = designs
    k, n, d = private.shape
    reads = np.full((k, k), 1 / k) if reads is None else reads
    if human is None:
        human = np.zeros((0, d))
    synthetic = np.broadcast_to(synthetic, (generations, *synthetic.shape[-3:]))
    human = np.broadcast_to(human, (generations, *human.shape[-2:]))
    s, h = synthetic.shape[2], human.shape[1]
    size = k * n + len(public) + generations * (k * s + h)
    used = 0

    def answers(mean, noise, rows):
        """Responses with noise of their own: what they are for θ, and per noise."""
        nonlocal used
        noise = noise.copy()
        noise[:, used : used + rows] += np.eye(rows)
        used += rows
        return mean, noise

    y_private = [answers(x @ theta, np.zeros((n, size)), n) for x in private]
    y_public = answers(public @ theta, np.zeros((len(public), size)), len(public))
    published = []  # of each generation: rows, who wrote them, answers
    means, covariances, before = [], [], None
    for t in range(generations + 1):
        if t:
            x = synthetic[t - 1]
            one = [answers(x[j] @ before[j][0], x[j] @ before[j][1], s) for j in range(k)]
            f = human[t - 1]
            phi = at(share, t)
            published.append((x, one, f, answers(f @ theta, np.zeros((h, size)), h), phi))
        weight = 0.0 if t == 0 else at(alpha, t)
        private_share = at(beta, max(t, 1))
        # what is read, and with what weight each generation of it
        if memory == "accumulate":
            read, each = published, weight
        else:
            read = published if window is None else published[-window:]
            each = weight / max(len(read), 1)
        estimates = []
        for i in range(k):
            data = [
                ((1 - weight) * private_share, private[i], y_private[i]),
                ((1 - weight) * (1 - private_share), public, y_public),
            ]
            for x, one, f, told, phi in read:
                data += [(each * (1 - phi) * reads[i, j], x[j], one[j]) for j in range(k)]
                data.append((each * phi, f, told))
            rows = np.concatenate([np.sqrt(w) * x for w, x, _ in data])
            operator = np.linalg.pinv(rows, rcond=1e-12)
            operator = operator * np.concatenate([np.full(len(x), np.sqrt(w)) for w, x, _ in data])
            estimates.append(tuple(operator @ np.concatenate(part) for part in zip(
                *(y for *_, y in data), strict=True)))  # fmt: skip
        before = estimates
        means.append(np.stack([mean for mean, _ in estimates]))
        noise = np.concatenate([noise for _, noise in estimates])
        covariances.append(noise @ noise.T)
    return Dense(np.stack(means), np.stack(covariances))
