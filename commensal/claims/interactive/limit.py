"""`interactive`: the limit of many generations (eq. 1 and 2, Theorem 3, app. E.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, identity, stated, statistical, symbolic
from commensal.claims._premises import ANSWERS, SYSTEM
from commensal.claims.interactive import _systems as systems

known = Register()

NOISE = 1.3


@known.claim(
    id="interactive.eq1",
    where="eq. (1)",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=SYSTEM,
    statement="With constant weights and features the recursions of Theorem 1 are sums of powers "
    "of Q.",
    latex=r"M_t = Q^t P_0 + \left(\sum_{s=0}^{t-1} Q^s\right) P, \quad"
    r" C_t = \sigma^2 \sum_{s=1}^t Q^s S^+ (Q^s)^\top",
    printed=(
        lambda t, q, p, first: q**t * first + sum(q**s * p for s in range(t)),
        lambda t, q, r, noise: sum(q**s * noise * r**s for s in range(1, t + 1)),
    ),
    remark="This takes C_t as corrected: eq. (1) has the transposition that Theorem 1 lacks.",
    mutations={
        "M: one power more": (
            lambda t, q, p, first: q**t * first + sum(q**s * p for s in range(t + 1)),
            lambda t, q, r, noise: sum(q**s * noise * r**s for s in range(1, t + 1)),
        ),
        "C: from s = 0": (
            lambda t, q, p, first: q**t * first + sum(q**s * p for s in range(t)),
            lambda t, q, r, noise: sum(q**s * noise * r**s for s in range(t)),
        ),
    },
)
def _eq1(form, trial: Trial) -> Evidence:
    """Compare in symbols that do not commute (R for Qᵀ), generation by generation."""
    import sympy as sp

    mean_at, given_at = form
    q, r, p, first, noise = sp.symbols("Q R P P0 N", commutative=False)
    mean, given, left = first, sp.Integer(0), []
    for t in range(1, trial.pick(6, 12)):
        mean = sp.expand(p + q * mean)
        given = sp.expand(q * (noise + given) * r)
        left.append(sp.expand(mean - mean_at(t, q, p, first)))
        left.append(sp.expand(given - given_at(t, q, r, noise)))
    return symbolic(*left)


class Settled(NamedTuple):
    """A stable system and the limits of its recursions."""

    p: np.ndarray
    q: np.ndarray
    noise: np.ndarray
    """Noise covariance σ²S⁺."""
    mean: np.ndarray
    given: np.ndarray


def _settled(rng: np.random.Generator) -> Iterator[Settled]:
    """Draw systems of low and of full rank with ρ(Q) up to 0.985, and sum them by doubling."""
    for k, d, rank, own, alpha, beta in (
        (3, 4, 2, True, 0.6, 0.7),
        (2, 3, 4, False, 0.4, 0.5),
        (1, 4, 3, True, 0.9, 1.0),
        (4, 3, 1, True, 0.98, 0.3),
        (5, 2, 1, False, 0.3, 0.4),
    ):
        m = systems.stacked(
            systems.gaussian(rng, k, d, rank, public=d, own_prompts=own), alpha, beta
        )
        if np.abs(np.linalg.eigvals(m.q)).max() > 0.985:
            continue
        noise = NOISE**2 * systems.pinv(m.s)
        power, mean, given = m.q, m.p, m.q @ noise @ m.q.T
        for _ in range(14):
            mean, given = mean + power @ mean, given + power @ given @ power.T
            power = power @ power
        yield Settled(m.p, m.q, noise, mean, given)


def _on_settled(compare, trial: Trial) -> Evidence:
    """Check ``compare``, which returns found and expected values, on each of the systems."""
    rng = trial.rng()
    pairs = [compare(m) for _ in range(trial.pick(2, 20)) for m in _settled(rng)]
    found, expected = (list(one) for one in zip(*pairs, strict=True))
    return identity(found, expected, 1e-8)


@known.claim(
    id="interactive.eq2_mean",
    where="eq. (2)",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=(*SYSTEM, "stable"),
    statement="If the spectral radius of Q is below one, M_t converges, and forgets the first fit.",
    latex=r"M_t \to M = (I - Q)^{-1} P \quad (\rho(Q) < 1)",
    printed=lambda q, p: np.linalg.solve(np.eye(len(q)) - q, p),
    mutations={
        "transposed": lambda q, p: np.linalg.solve(np.eye(len(q)) - q.T, p),
        "one term only": lambda q, p: p + q @ p,
    },
)
def _eq2_mean(form, trial: Trial) -> Evidence:
    """Compare with the recursion itself, from any first fit."""
    rng, found, expected = trial.rng(), [], []
    for m in _settled(rng):
        course = rng.standard_normal(m.p.shape)  # for P_0: any
        for _ in range(2_500):
            course = m.p + m.q @ course
        found.append(form(m.q, m.p))
        expected.append(course)
    return identity(found, expected, 1e-8)


@known.claim(
    id="interactive.eq2_covariance",
    where="eq. (2)",
    kind="symbolic",
    proof="stated there",
    verdict="holds as corrected",
    premises=(*SYSTEM, "equal noise", "stable"),
    breaks=("none",),
    statement="The limit of C_t solves a linear system in all its entries.",
    latex=r"\operatorname{vec}(C) = \sigma^2 (I - Q \otimes Q)^{-1}"
    r" \operatorname{vec}(Q S^+ Q)",
    printed=lambda q, inverse: (q, q, q * inverse * q),
    correction="The last factor must be transposed, as in eq. (1).",
    correction_latex=r"\operatorname{vec}(C) = \sigma^2 (I - Q \otimes Q)^{-1}"
    r" \operatorname{vec}(Q S^+ Q^\top)",
    corrected=lambda q, inverse: (q, q, q * inverse * q.T),
    remark="Where Q is symmetric, as for K = d = 1, there is no difference.",
    repeats="interactive.thm1_covariance",
    mutations={
        "Q ⊗ Qᵀ": lambda q, inverse: (q, q.T, q * inverse * q.T),
        "S⁺ by itself": lambda q, inverse: (q, q, inverse),
        "first factor transposed": lambda q, inverse: (q, q, q.T * inverse * q),
    },
)
def _eq2_covariance(form, trial: Trial) -> Evidence:
    """Compare for K = 2, d = 1 and any Grams: Q has rank one there, so the series is geometric."""
    import sympy as sp

    del trial
    r, s, u, v = sp.symbols("r s u v", positive=True)
    gram = sp.diag(r, s)
    q = sp.Matrix([u, v]) * sp.ones(1, 2) * gram  # u, v = α / 2G_1, α / 2G_2
    ratio = q.trace()
    powers = (q * q - ratio * q).expand()  # so Q^s = ratio^(s-1) Q
    limit = q * gram.inv() * q.T / (1 - ratio**2)
    a, b, constant = form(q, gram.inv())
    left = (sp.eye(4) - sp.kronecker_product(a, b)) * limit.vec() - constant.vec()
    return symbolic(powers, left.applyfunc(sp.cancel))


@known.claim(
    id="interactive.e3_mean",
    where="app. E.3",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=(*SYSTEM, "stable"),
    breaks=("none",),
    statement="The limit M of M_t is a fixed point.",
    latex=r"M = P + M Q",
    printed=lambda p, q, m: p + m @ q,
    correction="The factors are exchanged: M has (K+1)d columns, Q has Kd rows.",
    correction_latex=r"M = P + Q M",
    corrected=lambda p, q, m: p + q @ m,
    fault="misprint",
    doubt="solid",
    mutations={
        "transposed": lambda p, q, m: p + q.T @ m,
        "factor 1.01": lambda p, q, m: p + 1.01 * q @ m,
    },
)
def _e3_mean(form, trial: Trial) -> Evidence:
    try:
        return _on_settled(lambda m: (form(m.p, m.q, m.mean), m.mean), trial)
    except ValueError as problem:
        if "matmul" not in str(problem):
            raise
        return stated(False, "M and Q cannot be multiplied in this order: M has d columns more")


@known.claim(
    id="interactive.e3_covariance",
    where="app. E.3",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=(*SYSTEM, "equal noise", "stable"),
    statement="The limit C of C_t solves a discrete Lyapunov equation, and is its only solution.",
    latex=r"C = Q (C + \sigma^2 S^+) Q^\top",
    printed=lambda q, noise, c: q @ (c + noise) @ q.T,
    remark="Uniqueness is checked by starting elsewhere: a second solution would not come to C. "
    "The equation has the transposition that Theorem 1 and eq. (2) lack.",
    mutations={
        "not transposed": lambda q, noise, c: q @ (c + noise) @ q,
        "noise outside": lambda q, noise, c: q @ c @ q.T + noise,
    },
)
def _e3_covariance(form, trial: Trial) -> Evidence:
    rng = trial.rng(1)

    def elsewhere(m: Settled):
        c = m.given + np.abs(m.given).max() * rng.standard_normal(m.q.shape)
        for _ in range(1_200):
            c = form(m.q, m.noise, c)
            if not np.abs(c).max() < 1e12:
                break
        return c, m.given

    fixed = _on_settled(lambda m: (form(m.q, m.noise, m.given), m.given), trial)
    return fixed & _on_settled(elsewhere, trial).named("from elsewhere")


@known.claim(
    id="interactive.thm3",
    where="Theorem 3",
    kind="statistical",
    proof="proved there",
    verdict="holds",
    premises=(*SYSTEM, *ANSWERS, "full-rank Gram matrices", "stable"),
    statement="If G has full rank and ρ(Q) < 1, all estimates become unbiased, and their "
    "covariance, within and between models, settles.",
    latex=r"E\,\hat\theta_t \to 1_K \otimes \theta, \quad \operatorname{Cov}(\hat\theta_t) \to"
    r" \sigma^2 M \begin{bmatrix} \tilde S^+ & 0 \\ 0 & S_*^+ \end{bmatrix} M^\top + C",
    printed=lambda heard, given: NOISE**2 * (heard + given),
    remark="The system has K = 2, d = 2 and three points: each model has one private point and "
    "prompts of its own. Initial estimates are biased, and G has full rank. The figure shows all "
    "ten of the covariances, for σ = 1.3.",
    mutations={
        "C missing": lambda heard, given: NOISE**2 * heard,
        "without σ²": lambda heard, given: heard + NOISE**2 * given,
        "4 % more": lambda heard, given: 1.04 * NOISE**2 * (heard + given),
    },
)
def _thm3(form, trial: Trial) -> Evidence:
    """Compare with the workflow on given features, each response drawn and each model refitted."""
    x = np.array([[[1.0, 0.4]], [[-0.3, 1.2]]])
    prompts = np.array([[[0.8, 0.5], [0.2, -0.6]], [[0.3, 1.0], [0.5, 0.1]]])
    system = systems.StackedFeatures(x, np.array([[0.9, 0.6]]), prompts)
    theta, alpha, beta, generations = np.array([1.0, -2.0]), 0.5, 0.6, 25
    rng, batch, batches = trial.rng(), 100_000, trial.pick(1, 9)
    m = systems.stacked(system, alpha, beta)
    # the limits of eq. (2), as corrected
    through = np.linalg.solve(np.eye(4) - m.q, m.p)
    given = np.linalg.solve(
        np.eye(16) - np.kron(m.q, m.q), (m.q @ systems.pinv(m.s) @ m.q.T).ravel()
    ).reshape(4, 4)
    expected = form(through @ m.z_cov @ through.T, given)
    # at first the private data alone, of which nobody has enough
    betas, drawn = [1.0, *[beta] * generations], []
    for _ in range(batches):  # for the memory's sake
        course = systems.run(system, [alpha] * generations, betas, theta, NOISE, rng, batch)
        drawn.append(deque(course, maxlen=1)[0].swapaxes(0, 1).reshape(batch, 4))
    estimates, runs = np.vstack(drawn), batch * batches
    mean, found = estimates.mean(axis=0), np.cov(estimates.T)
    spread = np.sqrt(found.diagonal())
    sizes = np.outer(spread, spread)
    upper = np.triu_indices(4)
    errors = np.sqrt((sizes**2 + found**2) / runs)[upper]
    picture = Panel(
        np.arange(1, 11),
        [("Theorem 3", expected[upper])],
        [("simulated", found[upper], errors)],
        "entry of the covariance matrix",
        "covariance",
    )
    means = statistical(
        mean,
        np.tile(theta, 2),
        spread / np.sqrt(runs),
        runs,
        resolution=trial.resolution,
        scale=spread,
    )
    return means.named("mean") & statistical(
        found[upper],
        expected[upper],
        errors,
        runs,
        resolution=trial.resolution,
        scale=sizes[upper],
        pictures=(picture,),
    ).named("covariance")
