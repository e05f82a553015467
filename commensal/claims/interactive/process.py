"""`interactive`: the workflow as a linear system (sec. 5, app. E.1 and E.2, eq. 3 to 5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity

known = Register()

ALPHA, BETA, NOISE = 0.6, 0.7, 1.3


class Stacked(NamedTuple):
    """A system as the paper stacks it, Kd rows; synthetic data differ between generations."""

    p: np.ndarray
    """P_0, whose α is 0, then P (constant), as (T+1, Kd, (K+1)d)."""
    q: np.ndarray
    """Q_0 = 0, Q_1, ..., as (T+1, Kd, Kd)."""
    s: np.ndarray
    """S_t, block diagonal, as (T+1, Kd, Kd)."""


def stacked(rng: np.random.Generator, entities: int = 3, dim: int = 4, rank: int = 3) -> Stacked:
    """Gaussian designs of low rank: inverses would not do."""

    def gram(*shape: int) -> np.ndarray:
        x = rng.standard_normal((*shape, rank, dim))
        return x.swapaxes(-1, -2) @ x

    private, public, eye = gram(entities), gram(), np.eye(dim)
    mean = np.kron(np.full((entities, entities), 1 / entities), eye)
    ps, qs, ss = [], [], []
    for t in range(4):
        alpha, blocks = (ALPHA if t else 0.0), gram(entities)
        web = (1 - alpha) * (1 - BETA) * public + alpha * blocks.mean(axis=0)
        g = (1 - alpha) * BETA * block_diag(*private) + np.kron(np.eye(entities), web)
        inverse = np.linalg.pinv(g, hermitian=True)
        ones = np.ones((entities, 1))
        real = [BETA * block_diag(*private), (1 - BETA) * np.kron(ones, public)]
        ss.append(block_diag(*blocks))
        ps.append((1 - alpha) * inverse @ np.hstack(real))
        qs.append(alpha * inverse @ mean @ ss[-1])
    return Stacked(np.array(ps), np.array(qs), np.array(ss))


@known.claim(
    id="interactive.thm1_covariance",
    where="Theorem 1 and app. E.1",
    kind="numerical",
    proof="proved there",
    verdict="holds as corrected",
    statement="Given the initial data, the estimates' covariance obeys a linear recursion.",
    latex=r"C_t = Q_t \left(\sigma^2 S_t^+ + C_{t-1}\right) Q_t",
    printed=lambda q, inner: q @ inner @ q,
    correction="The last factor must be transposed: the printed matrix is not even symmetric.",
    correction_latex=r"C_t = Q_t \left(\sigma^2 S_t^+ + C_{t-1}\right) Q_t^\top",
    corrected=lambda q, inner: q @ inner @ q.T,
    mutations={
        "factor 1.01": lambda q, inner: 1.01 * q @ inner @ q.T,
        "first factor transposed": lambda q, inner: q.T @ inner @ q,
    },
)
def _thm1_covariance(form, trial: Trial) -> Evidence:
    """Against the noise followed through every generation by itself: no recursion of moments."""
    found, expected = [], []
    rng = trial.rng()
    for _ in range(trial.pick(5, 50)):
        system = stacked(rng)
        covariance = np.zeros_like(system.q[0])
        through: list[np.ndarray] = []  # what each generation's noise has become
        for q, s in zip(system.q[1:], system.s[1:], strict=True):
            noise = NOISE**2 * np.linalg.pinv(s, hermitian=True)
            covariance = form(q, noise + covariance)
            values, vectors = np.linalg.eigh(noise)
            root = vectors * np.sqrt(np.maximum(values, 0))
            through = [q @ x for x in [*through, root]]
        found.append(covariance)
        expected.append(sum(x @ x.T for x in through))
    return identity(found, expected, 1e-9)
