"""Workflows with changing features and weights, followed row by row and in the paper's matrices.

Nothing here is shared with `commensal.theory` or `commensal.sims`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from commensal.claims.interactive._systems import pinv


def diagonal(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Return the block-diagonal matrix of blocks of any shapes."""
    return np.asarray(block_diag(*blocks))


class History(NamedTuple):
    """Features and weights of all generations; models may differ in their number of points."""

    private: list[np.ndarray]
    """Private features X̃_k, as (ñ_k, d)."""
    public: np.ndarray
    prompts: list[list[np.ndarray]]
    """Features X_tk of the models' prompts; without points at t = 0."""
    alphas: list[float]
    """Weights α_0 = 0, α_1, ... of the synthetic data."""
    betas: list[float]

    @property
    def models(self) -> int:
        """Number of models K."""
        return len(self.private)

    @property
    def dim(self) -> int:
        """Number of features d."""
        return self.public.shape[1]

    @property
    def real_points(self) -> int:
        """Number of real points, private and public."""
        return sum(map(len, self.private)) + len(self.public)

    @property
    def points(self) -> int:
        """Number of points that are ever observed or generated."""
        return self.real_points + sum(len(x) for xs in self.prompts for x in xs)

    def least_squares(self, responses: np.ndarray) -> np.ndarray:
        """Return (z_1, ..., z_K, z_*) of responses (real_points, c) to the real data."""
        maps = [np.linalg.pinv(x, rcond=1e-10) for x in (*self.private, self.public)]
        return diagonal(maps) @ responses


class Lifted(NamedTuple):
    """Matrices of one generation as the paper stacks them, with Kd rows."""

    p: np.ndarray
    q: np.ndarray
    g: np.ndarray
    s: np.ndarray
    x: np.ndarray
    """Block-diagonal matrix X_t."""


def lifted(history: History, t: int) -> Lifted:
    """Build the matrices of generation t as the paper stacks them."""
    k, d = history.models, history.dim
    alpha, beta = history.alphas[t], history.betas[t]
    real = diagonal(x.T @ x for x in history.private)
    shared = history.public.T @ history.public
    webs = [x.T @ x for x in history.prompts[t]]
    eye, s = np.eye(k), diagonal(webs)
    g = (1 - alpha) * (beta * real + (1 - beta) * np.kron(eye, shared))
    g = g + alpha * np.kron(eye, np.mean(webs, axis=0))
    parts = np.hstack([beta * real, (1 - beta) * np.kron(np.ones((k, 1)), shared)])
    inverse = pinv(g)
    mean = np.kron(np.full((k, k), 1 / k), np.eye(d))
    x = diagonal(history.prompts[t])
    return Lifted((1 - alpha) * inverse @ parts, alpha * inverse @ mean @ s, g, s, x)


def course(history: History, truth: np.ndarray, noise: np.ndarray) -> Iterator[np.ndarray]:
    """Run the workflow itself, row by row and model by model; yield estimates as (Kd, c).

    ``truth`` (d, c) and ``noise`` (points, c) are c courses side by side.
    """
    k, taken = history.models, 0

    def responses(x: np.ndarray, parameter: np.ndarray) -> np.ndarray:
        nonlocal taken
        taken += len(x)
        return x @ parameter + noise[taken - len(x) : taken]

    private = [responses(x, truth) for x in history.private]
    public = responses(history.public, truth)
    estimates = [np.zeros_like(truth)] * k
    mixes = zip(history.alphas, history.betas, history.prompts, strict=True)
    for alpha, beta, prompts in mixes:
        web = [responses(x, e) for x, e in zip(prompts, estimates, strict=True)]
        weights = [(1 - alpha) * beta, (1 - alpha) * (1 - beta), *[alpha / k] * k]
        roots = np.sqrt(weights)
        estimates = []
        for x, y in zip(history.private, private, strict=True):
            features = np.vstack(
                [w * f for w, f in zip(roots, [x, history.public, *prompts], strict=True)]
            )
            seen = np.vstack([w * r for w, r in zip(roots, [y, public, *web], strict=True)])
            estimates.append(np.linalg.lstsq(features, seen, rcond=1e-10)[0])
        yield np.vstack(estimates)


class Step(NamedTuple):
    """Inputs of one generation of one course, and the estimates that come out."""

    t: int
    z: np.ndarray
    before: np.ndarray
    """Estimates θ_{t-1}; zeros at t = 0, which nobody sees."""
    noise: np.ndarray
    """Noise w_t of the new responses."""
    after: np.ndarray


def steps(history: History, rng: np.random.Generator) -> Iterator[Step]:
    """Run a course with its own truth and noise, all models stacked as (Kd, 1)."""
    truth = rng.standard_normal((history.dim, 1))
    noise = rng.standard_normal((history.points, 1))
    used = history.real_points
    real = np.vstack([*history.private, history.public]) @ truth
    z = history.least_squares(real + noise[:used])
    before = np.zeros((history.models * history.dim, 1))
    for t, after in enumerate(course(history, truth, noise)):
        n = sum(map(len, history.prompts[t]))
        yield Step(t, z, before, noise[used : used + n], after)
        before, used = after, used + n


def _rank_is_clear(g: np.ndarray, dim: int) -> bool:
    """Return whether no eigenvalue of a model's G is so small that rounding decides its rank."""
    for start in range(0, len(g), dim):
        values = np.linalg.eigvalsh(g[start : start + dim, start : start + dim])
        if ((values > 1e-12 * values[-1]) & (values < 1e-5 * values[-1])).any():
            return False
    return True


def drawn(rng: np.random.Generator, *, full_rank: bool = False) -> Iterator[History]:
    """Draw histories with few and many points, and α and β at their edges."""
    full = [
        ([2, 3, 1], 2, 4, [2, 3, 4], (0.6, 0.3, 0.9), (0.7, 0.2, 0.5, 0.9)),
        ([1, 1], 1, 5, [4, 3], (0.5, 1.0, 0.4), (0.5, 0.5, 0.0, 1.0)),
        ([2], 0, 3, [5], (1.0, 0.2, 0.8), (1.0, 1.0, 0.3, 0.5)),
        ([1, 0, 2, 1], 0, 2, [1, 1, 2, 0], (0.5, 0.01, 0.99), (1.0, 0.0, 0.5, 0.01)),
    ]
    low = [
        ([0, 3, 1], 1, 4, [1, 0, 1], (0.6, 0.0, 1.0), (0.0, 1.0, 0.5, 0.5)),
        ([1, 1], 1, 5, [1, 1], (0.5, 0.9, 0.4), (0.5, 0.6, 0.7, 0.8)),
        ([2, 1, 1], 1, 6, [1, 2, 1], (0.3, 0.7, 0.5), (0.0, 0.5, 1.0, 0.5)),
    ]
    for private, public, d, prompts, alphas, betas in full if full_rank else full + low:
        while True:
            history = History(
                [rng.standard_normal((n, d)) for n in private],
                rng.standard_normal((public, d)),
                [[rng.standard_normal((n if t else 0, d)) for n in prompts] for t in range(4)],
                [0.0, *alphas],
                list(betas),
            )
            if all(_rank_is_clear(lifted(history, t).g, d) for t in range(4)):
                yield history
                break
