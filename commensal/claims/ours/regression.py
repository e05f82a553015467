"""Claims beyond `interactive`: its system in d dimensions, and its limits."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, identity, symbolic
from commensal.claims._premises import ANSWERS, FIT, LEMMA, SYSTEM, UNIFORM
from commensal.claims.interactive import _systems as systems

known = Register()

# K, d, rows of private data, own prompts: also of low rank, and with more models than dimensions
SHAPES = ((2, 5, 2, True), (4, 7, 3, True), (3, 4, 6, False), (5, 3, 2, True), (1, 4, 2, True))
MIXES = ((0.5, 0.5), (0.2, 0.9), (0.05, 1.0), (0.7, 0.01))


def drawn(rng: np.random.Generator) -> list[tuple[systems.StackedFeatures, float, float]]:
    """Draw stable systems of all shapes at all mixes."""
    out = []
    for k, d, rank, own in SHAPES:
        system = systems.gaussian(rng, k, d, rank, own_prompts=own)
        for alpha, beta in MIXES:
            if systems.reduced(system, alpha, beta)[0] < 0.999:
                out.append((system, alpha, beta))
    return out


def coupling(web: np.ndarray, inverse: np.ndarray, alpha: float | int) -> np.ndarray:
    """Return the matrix A of all S_k and G_k⁺."""
    return alpha * (web @ inverse).mean(axis=0)


@known.claim(
    id="commensal.reduction_spectrum",
    where="new here; extends interactive sec. 5; regression.spectral_radius",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, "all read alike"),
    statement="The system is d-dimensional: the Kd × Kd matrix Q and a d × d one have the same "
    "nonzero eigenvalues, so the same spectral radius.",
    latex=r"\det(x I - Q) = x^{(K-1)d} \det(x I - A), \quad "
    r"A = \frac{\alpha}{K} \sum_k S_k G_k^+",
    printed=coupling,
    remark="Q is UV with U the column of all αG_k⁺ and V the row of all S_k/K; A is VU, and UV and "
    "VU share what is not zero. In particular Q has rank d at most.",
    mutations={
        "another's G": lambda web, inverse, alpha: coupling(
            web, np.roll(inverse, 1, axis=0) if len(web) > 1 else 1.02 * inverse, alpha
        ),
        "means multiplied": lambda web, inverse, alpha: (
            1.02 * alpha * web.mean(axis=0) @ inverse.mean(axis=0)
        ),
        "1 % more": lambda web, inverse, alpha: 1.01 * coupling(web, inverse, alpha),
    },
)
def _reduction_spectrum(form, trial: Trial) -> Evidence:
    """Compare both characteristic polynomials at points around the spectrum; nothing is sorted."""
    rng, found, expected = trial.rng(), [], []
    points = 1.3 * np.exp(2j * np.pi * np.arange(1, 12) / 23)
    for system, alpha, beta in drawn(rng):
        k, d = system.models, system.dim
        q = systems.stacked(system, alpha, beta).q
        a = form(system.web, systems.pinv(system.gram(alpha, beta)), alpha)
        for out, matrix, power in ((expected, q, 0), (found, a, (k - 1) * d)):
            eye = np.eye(len(matrix))
            values = np.linalg.det(points[:, None, None] * eye - matrix) * points**power
            out.append(np.concatenate([values.real, values.imag]))
    return identity(found, expected, 1e-9)


def heard(
    system: systems.StackedFeatures, alpha: float | int, beta: float | int, resolvent
) -> np.ndarray:
    """Return how u_∞ depends on each X̃_jᵀỹ_j, then on X_*ᵀy_*, as (K+1, d, d)."""
    inverse = systems.pinv(system.gram(alpha, beta))
    answered = system.web @ inverse
    own = (1 - alpha) * beta / system.models * answered
    public = (1 - alpha) * (1 - beta) * answered.mean(axis=0)
    return resolvent(coupling(system.web, inverse, alpha)) @ np.concatenate([own, public[None]])


@known.claim(
    id="commensal.reduction_mean",
    where="new here; extends interactive Theorem 3; regression.limit",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*UNIFORM, "stable"),
    statement="In the limit all that a model hears of the real data through the web is a d-vector "
    "u, from which its estimate follows: it is Theorem 3's (I - Q)⁻¹P in d dimensions.",
    latex=r"u_\infty = (I - A)^{-1} \left[\sum_j B_j z_j + B_* z_*\right], \quad "
    r"B_j = \frac{\bar\alpha\beta}{K} S_j G_j^+ \tilde S_j, \quad "
    r"B_* = \frac{\bar\alpha\bar\beta}{K} \sum_k S_k G_k^+ S_*",
    printed=lambda a: np.linalg.inv(np.eye(len(a)) - a),
    remark="θ_k is G_k⁺[ᾱβS̃_k z_k + ᾱβ̄S_* z_* + αu], whatever the ranks, as long as ρ(A) < 1.",
    mutations={
        "A transposed": lambda a: np.linalg.inv(np.eye(len(a)) - a.T) if len(a) else a,
        "one generation short": lambda a: np.linalg.inv(np.eye(len(a)) - a) - np.eye(len(a)),
        "1.02 A": lambda a: np.linalg.inv(np.eye(len(a)) - 1.02 * a),
    },
)
def _reduction_mean(form, trial: Trial) -> Evidence:
    found, expected = [], []
    for system, alpha, beta in drawn(trial.rng()):
        k, d = system.models, system.dim
        m = systems.stacked(system, alpha, beta)
        expected.append(np.linalg.solve(np.eye(k * d) - m.q, m.p).ravel())
        grams = np.concatenate([system.real, system.shared[None]])
        maps = alpha * np.broadcast_to(heard(system, alpha, beta, form), (k, k + 1, d, d)).copy()
        maps[np.arange(k), np.arange(k)] += (1 - alpha) * beta * np.eye(d)
        maps[:, k] += (1 - alpha) * (1 - beta) * np.eye(d)
        inverse = systems.pinv(system.gram(alpha, beta))
        maps = inverse[:, None] @ maps @ grams
        found.append(maps.transpose(0, 2, 1, 3).ravel())
    return identity(found, expected, 1e-8)


@known.claim(
    id="commensal.reduction_noise",
    where="new here; extends interactive Theorem 3; regression.limit",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*UNIFORM, "equal noise", "stable"),
    statement="Given the real data, the noise that circulates solves a discrete Lyapunov equation "
    "in d dimensions, and all models' estimates have its image for their joint covariance.",
    latex=r"W = A(W + N)A^\top, \; N = \frac{\sigma^2}{K^2} \sum_j S_j, \quad "
    r"\operatorname{Cov}(\hat\theta_j, \hat\theta_k \mid z) = \alpha^2 G_j^+ (W + N) G_k^+",
    printed=lambda a, n: solve_discrete_lyapunov(a, a @ n @ a.T, method="direct"),
    mutations={
        "A transposed": lambda a, n: solve_discrete_lyapunov(a.T, a.T @ n @ a, method="direct"),
        "noise not passed on": lambda a, n: solve_discrete_lyapunov(a, n, method="direct"),
        "1 % more noise": lambda a, n: solve_discrete_lyapunov(
            a, 1.01 * a @ n @ a.T + 0.01 * n, method="direct"
        ),
    },
)
def _reduction_noise(form, trial: Trial) -> Evidence:
    """Compare with Theorem 1's recursion, doubled until it stands still."""
    found, expected = [], []
    for system, alpha, beta in drawn(trial.rng()):
        k = system.models
        m = systems.stacked(system, alpha, beta)
        total, power = m.q @ np.linalg.pinv(m.s, rcond=1e-11, hermitian=True) @ m.q.T, m.q
        for _ in range(14):
            total, power = total + power @ total @ power.T, power @ power
        expected.append(total)
        inverse = systems.pinv(system.gram(alpha, beta))
        noise = system.web.sum(axis=0) / k**2
        circulating = form(coupling(system.web, inverse, alpha), noise) + noise
        column = inverse.reshape(-1, system.dim)
        found.append(alpha**2 * column @ circulating @ column.T)
    return identity(found, expected, 1e-7)


def covered(system: systems.StackedFeatures, beta: float | int) -> np.ndarray:
    """Return the projection on the directions that any data of positive weight cover."""
    grams = beta * system.real.sum(axis=0) + (1 - beta) * system.shared
    return grams @ systems.pinv(grams)


@known.claim(
    id="commensal.limit_projection",
    where="README, What it found",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*LEMMA, "one truth", "web counts"),
    statement="The means of all models converge to the projection of the truth on what all data "
    "together cover, also where no model can be unbiased.",
    latex=r"\lim_t E\,\hat\theta_{tk} = \Pi\theta, \quad "
    r"\Pi = \left(\sum_j \tilde S_j + S_*\right)^+ \left(\sum_j \tilde S_j + S_*\right)",
    printed=covered,
    remark="Theorem 3 asks for full rank. Here models answer prompts from their own data, "
    "0 < α < 1 and β > 0: the projection is a fixed point, since S̃Π = S̃ and G_k covers what Π "
    "does, and ρ(Q) < 1 leaves no other (at β = 1 the public data do not count). Where prompts "
    "come from elsewhere and touch what no data cover, ρ(Q) = 1.",
    mutations={
        "the private data's": lambda system, beta: covered(system, 1.0 if beta < 1 else 0.0),
        "the truth": lambda system, beta: np.eye(system.dim),
    },
)
def _limit_projection(form, trial: Trial) -> Evidence:
    """Compare with the workflow without noise, run for long."""
    rng, found, expected = trial.rng(), [], []
    for k, d, rank in ((2, 9, 2), (3, 8, 1), (2, 7, 2)):
        system = systems.gaussian(rng, k, d, rank)
        theta = rng.standard_normal(d)
        for alpha, beta in ((0.5, 0.5), (0.7, 1.0), (0.3, 0.3)):
            steps = 400
            *_, last = systems.run(system, [alpha] * steps, [beta] * (steps + 1), theta)
            expected.append(last[:, 0].ravel())
            found.append(np.tile(form(system, beta) @ theta, k))
    return identity(found, expected, 1e-7)


@known.claim(
    id="commensal.alpha_one_variance",
    where="new here; interactive sec. 5, before Lemma 1",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*UNIFORM, *ANSWERS, "no human data later"),
    statement="At α = 1 the whole variance, real data included, is affine in t from t = 1 on.",
    latex=r"\operatorname{Cov}(\hat\theta_t) = \sigma^2 Q M_0 \operatorname{Cov}(z) (Q M_0)^\top"
    r" + t\, C_1, \quad t \geq 1",
    printed=lambda start, once, fresh, t: once + t * fresh,
    remark="Q² = Q at α = 1, so that what the real data say is passed on unchanged after one "
    "generation. At t = 0 the variance is another, and may be larger than at t = 1.",
    mutations={
        "from t = 0 on": lambda start, once, fresh, t: start + t * fresh,
        "one generation less": lambda start, once, fresh, t: once + (t - 1) * fresh,
    },
)
def _alpha_one_variance(form, trial: Trial) -> Evidence:
    rng, found, expected = trial.rng(), [], []
    for k, d, rank, own in ((1, 3, 3, True), (3, 4, 2, False), (2, 5, 2, True), (4, 3, 1, False)):
        system = systems.gaussian(rng, k, d, rank, own_prompts=own)
        first, later = systems.stacked(system, 0.0, 0.4), systems.stacked(system, 1.0, 0.4)
        start = first.p @ first.z_cov @ first.p.T
        once = later.q @ start @ later.q.T
        fresh = later.q @ systems.pinv(later.s) @ later.q.T
        covariance = systems.moments(system, 1.0, 0.4, 6)[1]
        for t in range(1, 7):
            expected.append(covariance[t].ravel())
            found.append(systems.diagonal_blocks(form(start, once, fresh, t), k).ravel())
    return identity(found, expected, 1e-8)


@known.claim(
    id="commensal.single_model",
    where="new here; interactive sec. 2 and 7, π²/6",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*SYSTEM, *ANSWERS, "one model"),
    statement="One model that trains on its initial data and on its own answers to the same "
    "prompts ends with 1/(1 - α²) times its first variance, which has no bound as α tends to 1.",
    latex=r"\operatorname{Cov}(\hat\theta_\infty)"
    r" = \frac{1}{1-\alpha^2} \operatorname{Cov}(\hat\theta_0) \quad (K = 1, \beta = 1)",
    printed=lambda alpha: 1 / (1 - alpha**2),
    remark="This holds for any design of any rank: G is S̃, and Q is α times a projection. π²/6, "
    "which belongs to accumulated data, is passed from α = 0.63 on; at α = ½ the ratio is 4/3.",
    mutations={
        "1/(1-α)": lambda alpha: 1 / (1 - alpha),
        "π²/6": lambda alpha: np.pi**2 / 6,
    },
)
def _single_model(form, trial: Trial) -> Evidence:
    rng, found, expected = trial.rng(), [], []
    for d, rank in ((3, 3), (5, 2), (2, 6)):
        system = systems.gaussian(rng, 1, d, rank)
        for alpha in (0.1, 0.5, 0.9):
            covariance = systems.moments(system, alpha, 1.0, 120)[1]
            expected.append(covariance[-1, 0].ravel())
            found.append(form(alpha) * covariance[0, 0].ravel())
    return identity(found, expected, 1e-9)


@known.claim(
    id="commensal.room_for_all",
    where="new here",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*LEMMA, "one truth", "web counts", "ranks with room"),
    statement="If the ranks of all datasets add up to at most d and models answer prompts of "
    "their own, all means agree completely in the limit, for every α > 0 and β > 0. Disagreement "
    "then falls by one and the same factor in every direction.",
    latex=r"\sum_k \operatorname{rank} \tilde S_k + \operatorname{rank} S_* \leq d \;\Rightarrow\;"
    r" A^2 = \frac{\alpha}{\alpha + K \bar\alpha \beta} A, \;"
    r" (I - Q)^{-1} P = \mathbf 1 \otimes M",
    printed=(lambda k, a, b: a / (a + k * (1 - a) * b), 0),
    remark="All data can be fitted at once, and the limit does: zero loss is a fixed point. On "
    "the rows of X̃_k, A divides α/K by ᾱβ + α/K. With one row too many it is complete no more. At "
    "β = 1 the public data need no room.",
    mutations={
        "β̄ for β": (lambda k, a, b: a / (a + k * (1 - a) * (1 - b)), 0),
        "without K": (lambda k, a, b: a / (a + (1 - a) * b), 0),
        "one row too many": (lambda k, a, b: a / (a + k * (1 - a) * b), 1),
    },
)
def _room_for_all(form, trial: Trial) -> Evidence:
    """Compare limit maps of all models with the first one's, and A² with A."""
    rate, crowd = form
    rng, squares, multiples, rows, firsts = trial.rng(), [], [], [], []
    for k, rank, spare in ((2, 2, 0), (3, 3, 0), (4, 2, 3)):
        d = (k + 1) * rank + (spare or -crowd)
        system = systems.gaussian(rng, k, d, rank)
        for alpha, beta in ((0.5, 0.5), (0.1, 0.7), (0.8, 0.3)):
            a = coupling(system.web, systems.pinv(system.gram(alpha, beta)), alpha)
            squares.append((a @ a).ravel())
            multiples.append(rate(k, alpha, beta) * a.ravel())
            m = systems.stacked(system, alpha, beta)
            through = np.linalg.solve(np.eye(len(m.q)) - m.q, m.p).reshape(k, -1)
            rows.append(through.ravel())
            firsts.append(np.tile(through[0], k))
    agree = identity(rows, firsts, 1e-7).named("row blocks")
    return agree & identity(squares, multiples, 1e-7).named("A²")


@known.claim(
    id="commensal.isotropic_mse",
    where="isotropic_mse",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*UNIFORM, *ANSWERS, "isotropic data"),
    statement="If all Gram matrices are the identity, every model's error in the limit is a "
    "closed formula in K, α and β.",
    latex=r"\frac{\mathrm{MSE}}{\sigma^2 d} = \frac{\beta^2}{K} + \bar\beta^2"
    r" + \frac{\alpha^2}{(1-\alpha^2)K} + \bar\alpha^2\beta^2\left(1 - \frac1K\right)",
    printed=lambda k, a, b: (
        b**2 / k + (1 - b) ** 2 + a**2 / ((1 - a**2) * k) + (1 - a) ** 2 * b**2 * (1 - 1 / k)
    ),
    mutations={
        "1 - α for 1 - α²": lambda k, a, b: (
            b**2 / k + (1 - b) ** 2 + a**2 / ((1 - a) * k) + (1 - a) ** 2 * b**2 * (1 - 1 / k)
        ),
        "1 for 1 - 1/K": lambda k, a, b: (
            b**2 / k + (1 - b) ** 2 + a**2 / ((1 - a**2) * k) + (1 - a) ** 2 * b**2
        ),
    },
)
def _isotropic_mse(form, trial: Trial) -> Evidence:
    found, expected = [], []
    for k in (1, 2, 5, 20):
        eye = np.eye(2)
        system = systems.StackedFeatures(np.stack([eye] * k), eye, np.stack([eye] * k))
        for alpha in (0.0, 0.3, 0.9, 0.99):
            for beta in (0.0, 0.4, 1.0):
                _, covariance = systems.limit(system, alpha, beta)
                expected += (np.trace(covariance, axis1=1, axis2=2) / 2).tolist()
                found += [form(k, alpha, beta)] * k
    return identity(found, expected, 1e-9, len(found))


@known.claim(
    id="commensal.reuse_cube_root",
    where="README, What it found; isotropic_mix",
    kind="symbolic",
    proof="proved here",
    verdict="holds",
    premises=(*UNIFORM, *ANSWERS, "isotropic data", "many models"),
    statement="The more models there are, the less real data each should use again: in the "
    "isotropic system the best 1 - α falls as the cube root of 1/(4K), and β tends to 1.",
    latex=r"1 - \alpha^* \sim (4K)^{-1/3}, \quad \beta^* \to 1",
    printed=lambda sp, k: (4 * k) ** sp.Rational(-1, 3),
    remark="The best 1 - α is 0.209 at K = 32 (the power says 0.198), and 0.0063 at a million. "
    "Real data that are kept cost consensus, ᾱ²; text that is heard carries noise, 1/(2Kᾱ).",
    mutations={
        "(2K)^(-1/3)": lambda sp, k: (2 * k) ** sp.Rational(-1, 3),
        "(4K)^(-1/2)": lambda sp, k: (4 * k) ** sp.Rational(-1, 2),
    },
)
def _reuse_cube_root(form, trial: Trial) -> Evidence:
    """Expand the closed form for K = e⁻³ and 1 - α = xe, and let e go to 0 at slope 0 in α."""
    import sympy as sp

    k, a, b, e, x = sp.symbols("K abar beta epsilon x", positive=True)
    alpha = 1 - a
    error = b**2 / k + (1 - b) ** 2 + alpha**2 / ((1 - alpha**2) * k) + a**2 * b**2 * (1 - 1 / k)
    best = sp.solve(sp.diff(error, b), b)[0]
    slope = sp.diff(error, a).subs(b, best).subs({k: e**-3, a: x * e})
    leading = sp.limit(sp.together(slope) / e, e, 0)
    (root,) = [r for r in sp.solve(leading, x) if r.is_positive]
    stated_root = sp.limit(sp.powsimp(sp.expand_power_base(form(sp, e**-3), force=True)) / e, e, 0)
    share = sp.limit(best.subs({k: e**-3, a: x * e}), e, 0)
    if stated_root.is_infinite or stated_root == 0:
        return at_most(1.0, 0.0, "another power")
    return symbolic(root**3 - stated_root**3, share - 1)
