"""`interactive`: the workflow as a linear system (sec. 5, eq. 4, Theorem 1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity
from commensal.claims._premises import FIT
from commensal.claims.interactive import _histories as histories

known = Register()

ALPHA, BETA, NOISE = 0.6, 0.7, 1.3


def _inverse(x: np.ndarray) -> np.ndarray:
    return np.linalg.pinv(x, rcond=1e-10)


@known.claim(
    id="interactive.prompts_seen",
    where="app. E, before eq. (4)",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=FIT,
    statement="Only the answers to their prompts matter of the models: projecting the models onto "
    "the prompts' row space changes nothing.",
    latex=r"Q_t X_t^+ X_t = Q_t",
    printed=lambda q, x: q @ _inverse(x) @ x,
    mutations={
        "on the other side": lambda q, x: _inverse(x) @ x @ q,
        "transposed instead of inverted": lambda q, x: q @ x.T @ x,
    },
)
def _prompts_seen(form, trial: Trial) -> Evidence:
    found, expected = [], []
    for history in histories.drawn(trial.rng()):
        for t in range(1, len(history.alphas)):
            m = histories.lifted(history, t)
            found.append(form(m.q, m.x))
            expected.append(m.q)
    return identity(found, expected, 1e-9)


@known.claim(
    id="interactive.eq4",
    where="eq. (4)",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=FIT,
    statement="The estimates form a linear dynamical system. It is driven by the real data's "
    "least-squares estimates, by the estimates before, and by the noise of the new responses.",
    latex=r"\hat\theta_t = P_t \begin{bmatrix} \tilde X^+ \tilde y \\ X_*^+ y_* \end{bmatrix}"
    r" + Q_t \hat\theta_{t-1} + Q_t X_t^+ w_t",
    printed=lambda p, q, x, z, before, w: p @ z + q @ before + q @ _inverse(x) @ w,
    remark="This takes P_t as app. E defines it. No rank is needed, and α and β may be 0 or 1.",
    mutations={
        "memory 1.01 times": lambda p, q, x, z, before, w: (
            p @ z + 1.01 * q @ before + q @ _inverse(x) @ w
        ),
        "Q_t for the noise": lambda p, q, x, z, before, w: p @ z + q @ before + q @ x.T @ w,
    },
)
def _eq4(form, trial: Trial) -> Evidence:
    """Compare with least squares on the rows themselves, in the workflow."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(2, 20)):
        for history in histories.drawn(rng):
            for t, z, before, noise, after in histories.steps(history, rng):
                m = histories.lifted(history, t)
                found.append(form(m.p, m.q, m.x, z, before, noise))
                expected.append(after)
    return identity(found, expected, 1e-7)


@known.claim(
    id="interactive.thm1_mean",
    where="Theorem 1 and app. E.1",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=FIT,
    statement="Given the initial data, the estimates' mean is linear in the least-squares "
    "estimates from each real dataset, by matrices with a linear recursion.",
    latex=r"M_t = P_t + Q_t M_{t-1}, \quad M_0 = P_0",
    printed=lambda p, q, before: p + q @ before,
    mutations={
        "transposed": lambda p, q, before: p + q.T @ before,
        "memory 1.01 times": lambda p, q, before: p + 1.01 * q @ before,
    },
)
def _thm1_mean(form, trial: Trial) -> Evidence:
    """Compare with the workflow on each real response by itself, published without noise."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(2, 20)):
        for history in histories.drawn(rng):
            n = history.real_points
            noise = np.eye(history.points, n)
            z = history.least_squares(noise[:n])
            m = histories.lifted(history, 0).p
            truth = np.zeros((history.dim, n))
            for t, estimates in enumerate(histories.course(history, truth, noise)):
                if t:
                    now = histories.lifted(history, t)
                    m = form(now.p, now.q, m)
                found.append(m @ z)
                expected.append(estimates)
    return identity(found, expected, 1e-7)


class StackedOverTime(NamedTuple):
    """A system as the paper stacks it, Kd rows; synthetic data differ between generations."""

    p: np.ndarray
    """Matrices P_0, with α = 0, and then P (constant), as (T+1, Kd, (K+1)d)."""
    q: np.ndarray
    """Matrices Q_0 = 0, Q_1, ..., as (T+1, Kd, Kd)."""
    s: np.ndarray
    """Block-diagonal matrices S_t, as (T+1, Kd, Kd)."""


def stacked(
    rng: np.random.Generator, models: int = 3, dim: int = 4, rank: int = 3
) -> StackedOverTime:
    """Draw and stack Gaussian designs of low rank, for which inverses would not do."""

    def gram(*shape: int) -> np.ndarray:
        x = rng.standard_normal((*shape, rank, dim))
        return x.swapaxes(-1, -2) @ x

    private, public, eye = gram(models), gram(), np.eye(dim)
    mean = np.kron(np.full((models, models), 1 / models), eye)
    ps, qs, ss = [], [], []
    for t in range(4):
        alpha, blocks = (ALPHA if t else 0.0), gram(models)
        web = (1 - alpha) * (1 - BETA) * public + alpha * blocks.mean(axis=0)
        g = (1 - alpha) * BETA * block_diag(*private) + np.kron(np.eye(models), web)
        inverse = np.linalg.pinv(g, hermitian=True)
        ones = np.ones((models, 1))
        real = [BETA * block_diag(*private), (1 - BETA) * np.kron(ones, public)]
        ss.append(block_diag(*blocks))
        ps.append((1 - alpha) * inverse @ np.hstack(real))
        qs.append(alpha * inverse @ mean @ ss[-1])
    return StackedOverTime(np.array(ps), np.array(qs), np.array(ss))


@known.claim(
    id="interactive.thm1_covariance",
    where="Theorem 1 and app. E.1",
    kind="numerical",
    proof="proved there",
    verdict="holds as corrected",
    premises=(*FIT, "equal noise"),
    breaks=("none",),
    statement="Given the initial data, the estimates' covariance obeys a linear recursion.",
    latex=r"C_t = Q_t \left(\sigma^2 S_t^+ + C_{t-1}\right) Q_t",
    printed=lambda q, inner: q @ inner @ q,
    correction="The last factor must be transposed: the printed matrix is not even symmetric.",
    correction_latex=r"C_t = Q_t \left(\sigma^2 S_t^+ + C_{t-1}\right) Q_t^\top",
    corrected=lambda q, inner: q @ inner @ q.T,
    fault="misprint",
    doubt="solid",
    mutations={
        "factor 1.01": lambda q, inner: 1.01 * q @ inner @ q.T,
        "first factor transposed": lambda q, inner: q.T @ inner @ q,
    },
)
def _thm1_covariance(form, trial: Trial) -> Evidence:
    """Compare with the noise followed through every generation, without a recursion of moments."""
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
