"""Interactive regression on a reading network: the Kd × Kd recursions, dense and plain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Dense(NamedTuple):
    """Laws at t = 0..T of all estimates together, σ = 1, real data included."""

    rate: np.ndarray  # Q
    covariance: np.ndarray  # (T+1, K d, K d)
    given_real: np.ndarray  # of the last generation
    mean: np.ndarray  # (T+1, K d), for θ = 1


def recursion(grams, alpha, beta, share, reads, generations, human_data="shared") -> Dense:
    """Iterate M and C of Theorem 1 with W_kj in the place of 1/K."""
    private, public, synthetic = (np.asarray(grams[x]) for x in ("private", "public", "synthetic"))
    k, d, _ = private.shape
    human = synthetic.mean(axis=0) if grams.get("human") is None else np.asarray(grams["human"])
    read = np.einsum("kj,jab->kab", reads, synthetic)
    real = beta * private + (1 - beta) * public
    first = np.linalg.pinv(real, hermitian=True)
    gram = (1 - alpha) * real + alpha * ((1 - share) * read + share * human)
    inverse = np.linalg.pinv(gram, hermitian=True)
    web, fresh = alpha * (1 - share), alpha * share
    rate = np.einsum("kab,kj,jbc->kajc", inverse, web * reads, synthetic).reshape(k * d, k * d)

    def own(inverse, p, q):
        found = np.zeros((k, d, k + 1, d))
        for i in range(k):
            found[i, :, i], found[i, :, k] = p * inverse[i], q * inverse[i]
        return found.reshape(k * d, -1)

    told = np.einsum("kab,bc->kac", fresh * inverse, human)
    noise = web**2 * np.einsum(
        "kab,kj,lj,jbc,lcd->kald", inverse, reads, reads, synthetic, inverse, optimize=True
    )
    same = np.eye(k) if human_data == "own" else np.ones((k, k))
    noise += np.einsum("kl,kab,lbc->kalc", same, told, fresh * inverse)
    noise = noise.reshape(k * d, k * d)
    data = np.zeros(((k + 1) * d,) * 2)
    for i, s in enumerate([*private, public]):
        data[i * d : (i + 1) * d, i * d : (i + 1) * d] = s
    theta = np.ones((k + 1) * d)
    state, given, mean = own(first, beta, 1 - beta), np.zeros_like(rate), None
    mean = state @ data @ theta
    covariances, means = [state @ data @ state.T], [mean]
    for _ in range(generations):
        state = own(inverse, (1 - alpha) * beta, (1 - alpha) * (1 - beta)) + rate @ state
        given = rate @ given @ rate.T + noise
        new = own(inverse, (1 - alpha) * beta, (1 - alpha) * (1 - beta)) @ data @ theta
        mean = new + rate @ mean + (told @ np.ones(d)).ravel()
        covariances.append(state @ data @ state.T + given)
        means.append(mean)
    return Dense(rate, np.stack(covariances), given, np.stack(means))
