"""Interactive regression as the paper writes it: dense Kd × Kd, NumPy, slow and plain.

Its misprints are corrected (P_t, the last factor of C_t, σ² in Theorem 2, M = P + Q M, G⁺), and
fresh human data are added. Otherwise it is letter by letter: no reduction, nothing shared with
the package.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag, solve_discrete_lyapunov

RCOND = 1e-12


def pinv(a):
    return np.linalg.pinv(a, rcond=RCOND, hermitian=True)


class DenseSystem(NamedTuple):
    """Arguments of one generation; synthetic and human may differ between generations."""

    private: np.ndarray
    public: np.ndarray
    synthetic: np.ndarray
    alpha: float
    beta: float
    noise: float = 1.0
    human_share: float = 0.0
    human: np.ndarray | None = None

    @property
    def k(self):
        return len(self.private)

    @property
    def d(self):
        return self.public.shape[0]

    @property
    def fresh(self):
        return self.synthetic.mean(axis=0) if self.human is None else self.human


class Dense(NamedTuple):
    G: np.ndarray  # (Kd, Kd)
    Gp: np.ndarray
    P: np.ndarray  # (Kd, (K+1)d)
    Q: np.ndarray  # (Kd, Kd)
    S: np.ndarray  # (Kd, Kd)
    H: np.ndarray  # (Kd, d): what fresh human data, F f_t with mean Fθ, are multiplied by


def matrices(s: DenseSystem) -> Dense:
    k, d = s.k, s.d
    ones = np.ones((k, 1))
    private = np.asarray(block_diag(*s.private))
    S = np.asarray(block_diag(*s.synthetic))
    Pi = np.kron(np.ones((k, k)), np.eye(d)) / k
    ab, bb = 1 - s.alpha, 1 - s.beta
    web = (1 - s.human_share) * s.synthetic.mean(axis=0) + s.human_share * s.fresh
    G = ab * s.beta * private + np.kron(np.eye(k), ab * bb * s.public + s.alpha * web)
    Gp = pinv(G)
    P = ab * Gp @ np.hstack([s.beta * private, bb * np.kron(ones, s.public)])
    Q = s.alpha * (1 - s.human_share) * Gp @ Pi @ S
    H = s.alpha * s.human_share * Gp @ np.kron(ones, np.eye(d))
    return Dense(G, Gp, P, Q, S, H)


def _initial_law(s: DenseSystem, theta):
    """Mean and covariance of [z_1 .. z_K, z_*] (eq. 5)."""
    real = [*s.private, s.public]
    mean = np.concatenate([a @ pinv(a) @ theta for a in real])
    return mean, s.noise**2 * np.asarray(block_diag(*[pinv(a) for a in real]))


def conditional(first: DenseSystem, later: list[DenseSystem]):
    """M_t, C_t and the human part of the mean, t = 0..len(later) (Theorem 1)."""
    m = matrices(first._replace(alpha=0.0))
    M, C, h = m.P, np.zeros_like(m.Q), np.zeros((first.k * first.d, first.d))
    out, before, unit = [(M, C, h)], None, np.zeros_like(m.S)
    for s in later:
        if s is not before:  # the same system again has the same matrices
            m, before = matrices(s), s
            unit = pinv(m.S)
        human_noise = m.H @ (s.noise**2 * s.fresh) @ m.H.T
        C = m.Q @ (s.noise**2 * unit + C) @ m.Q.T + human_noise
        M = m.P + m.Q @ M
        h = m.Q @ h + m.H @ s.fresh
        out.append((M, C, h))
    return out


def trajectory(first: DenseSystem, later: list[DenseSystem], theta):
    """Means (T+1, K, d) and covariances (T+1, K, d, d) (Theorem 2, σ² restored)."""
    z_mean, z_cov = _initial_law(first, theta)
    means, covs = [], []
    for M, C, h in conditional(first, later):
        means.append((M @ z_mean + h @ theta).reshape(first.k, first.d))
        covs.append(_blocks(M @ z_cov @ M.T + C, first.k, first.d))
    return np.array(means), np.array(covs)


def spectral_radius(s: DenseSystem) -> float:
    return float(np.abs(np.linalg.eigvals(matrices(s).Q)).max())


def limit_covariance(s: DenseSystem, method: str = "bilinear", matrices_of: Dense | None = None):
    """Theorem 3: blocks (K, d, d); SciPy's Lyapunov solver costs (Kd)^3, "direct" (Kd)^6."""
    m = matrices_of or matrices(s)
    M = np.linalg.solve(np.eye(m.Q.shape[0]) - m.Q, m.P)
    noise = m.Q @ (s.noise**2 * pinv(m.S)) @ m.Q.T + m.H @ (s.noise**2 * s.fresh) @ m.H.T
    C = solve_discrete_lyapunov(m.Q, noise, method=method)
    _, z_cov = _initial_law(s, np.zeros(s.d))
    return _blocks(M @ z_cov @ M.T + C, s.k, s.d)


def limit_mean(s: DenseSystem, theta):
    m = matrices(s)
    eye = np.eye(m.Q.shape[0])
    z_mean, _ = _initial_law(s, theta)
    return np.linalg.solve(eye - m.Q, m.P @ z_mean + m.H @ s.fresh @ theta).reshape(s.k, s.d)


def consensus_distance(M, k):
    rows = np.array(np.split(M, k))
    size = np.sqrt((rows**2).sum())
    return np.sqrt(((rows - rows.mean(axis=0)) ** 2).sum()) / size if size else 0.0


def relative_efficiency(s: DenseSystem):
    pooled = s.private.sum(axis=0) + s.public
    best = s.noise**2 * np.trace(np.linalg.inv(pooled))
    return best / np.trace(limit_covariance(s), axis1=1, axis2=2)


def _blocks(a, k, d):
    return np.array([a[i * d : (i + 1) * d, i * d : (i + 1) * d] for i in range(k)])
