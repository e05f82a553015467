"""Small systems of interacting regressions in plain NumPy: drawn, stacked, reduced and run.

Nothing here is shared with `commensal.theory` or `commensal.sims`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_discrete_lyapunov


def pinv(a: np.ndarray) -> np.ndarray:
    """Return the pseudo-inverse of a symmetric matrix, with a fixed relative cutoff."""
    return np.linalg.pinv(a, rcond=1e-11, hermitian=True)


class StackedFeatures(NamedTuple):
    """Features of all parties, the same at every generation."""

    private: np.ndarray
    """Private features X̃_k, as (K, n, d)."""
    public: np.ndarray
    """Public features X_*, as (m, d)."""
    prompts: np.ndarray
    """Features X_k of the prompts that model k answers, as (K, n, d)."""

    @property
    def models(self) -> int:
        """Number of models K."""
        return self.private.shape[0]

    @property
    def dim(self) -> int:
        """Number of features d."""
        return self.private.shape[-1]

    @property
    def real(self) -> np.ndarray:
        """Gram matrices S̃_k of the private data, as (K, d, d)."""
        return self.private.swapaxes(-1, -2) @ self.private

    @property
    def shared(self) -> np.ndarray:
        """Gram matrix S_* of the public data, as (d, d)."""
        return self.public.T @ self.public

    @property
    def web(self) -> np.ndarray:
        """Gram matrices S_k of the prompts, as (K, d, d)."""
        return self.prompts.swapaxes(-1, -2) @ self.prompts

    def gram(self, alpha: float | int, beta: float | int) -> np.ndarray:
        """Return the weighted Gram matrices G_k, as (K, d, d)."""
        own = beta * self.real + (1 - beta) * self.shared
        return (1 - alpha) * own + alpha * self.web.mean(axis=0)

    def pooled_variance(self) -> float:
        """Total variance, per σ², of the best unbiased estimate from all real data."""
        return float(np.trace(pinv(self.real.sum(axis=0) + self.shared)))


def gaussian(
    rng: np.random.Generator,
    models: int,
    dim: int,
    rank: int,
    *,
    public: int | None = None,
    own_prompts: bool = True,
) -> StackedFeatures:
    """Draw unit-variance Gaussian features; models answer on their private ones, or on others."""
    private = rng.standard_normal((models, rank, dim))
    shared = rng.standard_normal((rank if public is None else public, dim))
    prompts = private if own_prompts else rng.standard_normal(private.shape)
    return StackedFeatures(private, shared, prompts)


def mixed_prompts(
    rng: np.random.Generator,
    models: int,
    dim: int,
    rank: int,
    public: int,
    lam: float | int,
    gamma: float | int = 1.0,
) -> StackedFeatures:
    """Draw Gaussian features with the prompts of Lemma 1, γS = λS̃ + (1-λ)S_*."""
    private = rng.standard_normal((models, rank, dim))
    shared = rng.standard_normal((public, dim))
    everywhere = np.broadcast_to(shared, (models, *shared.shape))
    prompts = [np.sqrt(lam / gamma) * private, np.sqrt((1 - lam) / gamma) * everywhere]
    return StackedFeatures(private, shared, np.concatenate(prompts, axis=1))


class Stacked(NamedTuple):
    """Matrices of a system as the paper stacks them, with Kd rows."""

    p: np.ndarray
    q: np.ndarray
    s: np.ndarray
    z_mean: np.ndarray
    """Mean of (z_1, ..., z_K, z_*) per θ, as ((K+1)d, d)."""
    z_cov: np.ndarray
    """Covariance of (z_1, ..., z_K, z_*) per σ²."""


def stacked(system: StackedFeatures, alpha: float | int, beta: float | int) -> Stacked:
    """Build the paper's matrices of a system."""
    k, d = system.models, system.dim
    inverse = _block_diagonal(pinv(system.gram(alpha, beta)))
    real = np.hstack(
        [beta * _block_diagonal(system.real), (1 - beta) * np.kron(np.ones((k, 1)), system.shared)]
    )
    mean = np.kron(np.full((k, k), 1 / k), np.eye(d))
    s = _block_diagonal(system.web)
    grams = np.concatenate([system.real, system.shared[None]])
    return Stacked(
        (1 - alpha) * inverse @ real,
        alpha * inverse @ mean @ s,
        s,
        np.vstack(list(grams @ pinv(grams))),
        _block_diagonal(pinv(grams)),
    )


def spectral_radius(system: StackedFeatures, alpha: float | int, beta: float | int) -> float:
    """Spectral radius of the paper's Q."""
    return float(np.abs(np.linalg.eigvals(stacked(system, alpha, beta).q)).max())


def limit(
    system: StackedFeatures, alpha: float | int, beta: float | int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean maps and covariances per σ² in the limit, as (K, d, d); NaN where there is no limit."""
    k, d = system.models, system.dim
    m = stacked(system, alpha, beta)
    if np.abs(np.linalg.eigvals(m.q)).max() >= 1 - 1e-9:
        return np.full((k, d, d), np.nan), np.full((k, d, d), np.nan)
    through = np.linalg.solve(np.eye(k * d) - m.q, m.p)
    given = solve_discrete_lyapunov(m.q, m.q @ pinv(m.s) @ m.q.T, method="bilinear")
    covariance = through @ m.z_cov @ through.T + given
    return (through @ m.z_mean).reshape(k, d, d), diagonal_blocks(covariance, k)


def _block_diagonal(blocks: np.ndarray) -> np.ndarray:
    k, d, _ = blocks.shape
    out = np.zeros((k, d, k, d))
    out[np.arange(k), :, np.arange(k)] = blocks
    return out.reshape(k * d, k * d)


def diagonal_blocks(a: np.ndarray, k: int) -> np.ndarray:
    """Return the k blocks on the diagonal of a square matrix."""
    d = a.shape[0] // k
    return np.array([a[i * d : (i + 1) * d, i * d : (i + 1) * d] for i in range(k)])


def moments(
    system: StackedFeatures, alpha: float | int, beta: float | int, generations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean maps and covariances per σ² at t = 0..T, as (T+1, K, d, d); β is the same at t = 0."""
    k, d = system.models, system.dim
    first, later = stacked(system, 0.0, beta), stacked(system, alpha, beta)
    through, given = first.p, np.zeros_like(later.q)
    means, covariances = [], []
    for t in range(generations + 1):
        if t:
            through = later.p + later.q @ through
            given = later.q @ (pinv(later.s) + given) @ later.q.T
        means.append((through @ first.z_mean).reshape(k, d, d))
        covariances.append(diagonal_blocks(through @ first.z_cov @ through.T + given, k))
    return np.array(means), np.array(covariances)


def reduced(
    system: StackedFeatures, alpha: float | int, beta: float | int
) -> tuple[float, np.ndarray]:
    """Spectral radius and limiting total variances per σ², computed in d dimensions."""
    k, d = system.models, system.dim
    web, real, shared = system.web, system.real, system.shared
    inverse = pinv(system.gram(alpha, beta))
    amplify = alpha / k * (web @ inverse).sum(axis=0)
    radius = float(np.abs(np.linalg.eigvals(amplify)).max())
    if radius >= 1 - 1e-9:
        return radius, np.full(k, np.nan)
    own, all_share = (1 - alpha) * beta, (1 - alpha) * (1 - beta)
    resolvent = np.linalg.inv(np.eye(d) - amplify)
    # how the web's d-vector depends on each dataset's Xᵀy, then how each estimate does
    heard = resolvent @ (own / k * web @ inverse)
    heard_shared = resolvent @ (all_share / k * (web @ inverse).sum(axis=0))
    noise = web.sum(axis=0) / k**2
    w = solve_discrete_lyapunov(amplify, amplify @ noise @ amplify.T, method="bilinear")
    through = np.broadcast_to(alpha * heard, (k, k, d, d)).copy()
    through[np.arange(k), np.arange(k)] += own * np.eye(d)
    inner = (through @ real @ through.swapaxes(-1, -2)).sum(axis=1)
    public = alpha * heard_shared + all_share * np.eye(d)
    inner += public @ shared @ public.T + alpha**2 * (w + noise)
    return radius, np.trace(inverse @ inner @ inverse, axis1=1, axis2=2)


def efficiency(system: StackedFeatures, alpha: float | int, beta: float | int) -> np.ndarray:
    """Relative efficiency of every model in the limit; NaN where there is no limit."""
    return system.pooled_variance() / reduced(system, alpha, beta)[1]


def run(
    system: StackedFeatures,
    alpha: list[float],
    beta: list[float],
    theta: np.ndarray,
    noise: float | int = 0.0,
    rng: np.random.Generator | None = None,
    runs: int = 1,
) -> Iterator[np.ndarray]:
    """Run the workflow itself with drawn responses; yield estimates as (K, runs, d)."""

    def answers(x: np.ndarray, parameter: np.ndarray) -> np.ndarray:
        """Return Xᵀy for fresh responses y on the features x."""
        y = parameter @ x.swapaxes(-1, -2)
        if rng is not None:
            y = y + noise * rng.standard_normal(y.shape)
        return y @ x

    truth = np.broadcast_to(theta, (runs, theta.size))
    own, shared = answers(system.private, truth), answers(system.public, truth)
    estimate = np.zeros_like(own)
    for a, b in zip([0.0, *alpha], beta, strict=True):
        seen = (1 - a) * (b * own + (1 - b) * shared)
        if a:
            seen += a * answers(system.prompts, estimate).mean(axis=0)
        estimate = seen @ pinv(system.gram(a, b))
        yield estimate
