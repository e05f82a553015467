"""`interactive`: means and covariances over the initial data (Theorem 2, eq. 5, app. E.2)."""

from __future__ import annotations

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated, symbolic
from commensal.claims._premises import ANSWERS, FIT
from commensal.claims.interactive import _histories as histories
from commensal.claims.interactive import _systems as systems

known = Register()

NOISE = 1.3


@known.claim(
    id="interactive.eq5",
    where="eq. (5)",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=(*ANSWERS, "linear least squares"),
    statement="Least-squares estimates from each real dataset have the mean SS⁺θ and the "
    "covariance σ²S⁺, and are independent of each other, whatever the ranks.",
    latex=r"\begin{bmatrix} \tilde X^+ \tilde y \\ X_*^+ y_* \end{bmatrix} \sim N\left("
    r"\begin{bmatrix} \tilde S \tilde S^+ & 0 \\ 0 & S_* S_*^+ \end{bmatrix}"
    r" (1_{K+1} \otimes \theta), \; \sigma^2"
    r" \begin{bmatrix} \tilde S^+ & 0 \\ 0 & S_*^+ \end{bmatrix}\right)",
    printed=lambda s, noise: (s @ systems.pinv(s), noise**2 * systems.pinv(s)),
    remark="Theorem 2 writes the model as N(xᵀθ, σ²I_d): responses are numbers, so I_d is 1.",
    mutations={
        "unbiased": lambda s, noise: (np.eye(len(s)), noise**2 * systems.pinv(s)),
        "S for S⁺": lambda s, noise: (s @ systems.pinv(s), noise**2 * s),
    },
)
def _eq5(form, trial: Trial) -> Evidence:
    """Compare with least squares of each parameter's responses, and of each response's noise."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(2, 20)):
        for history in histories.drawn(rng):
            designs = [*history.private, history.public]
            mean, covariance = form(histories.diagonal(x.T @ x for x in designs), NOISE)
            each = np.kron(np.ones((len(designs), 1)), np.eye(history.dim))
            found += [mean @ each, covariance]
            fits = [
                np.linalg.lstsq(x, np.hstack([x, np.eye(len(x))]), rcond=1e-10)[0] for x in designs
            ]
            noise = histories.diagonal(fit[:, history.dim :] for fit in fits)
            expected += [np.vstack([fit[:, : history.dim] for fit in fits])]
            expected += [NOISE**2 * noise @ noise.T]
    return identity(found, expected, 1e-8)


@known.claim(
    id="interactive.thm2_mean",
    where="Theorem 2 and app. E.2",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=(*FIT, "one truth", "full-rank Gram matrices"),
    statement="If every G_t but the first has full rank, the bias of the estimates is the part of "
    "the truth that the initial data do not see, passed on through the generations.",
    latex=r"E\,\hat\theta_t = \left(I - Q_t \cdots Q_1 (I - G_0 G_0^+)\right) (1_K \otimes \theta)",
    printed=lambda qs, unseen: np.linalg.multi_dot([np.eye(len(unseen)), *qs[::-1], unseen]),
    remark="Without full rank the statement fails: directions that nobody sees any more are lost "
    "from the mean at once, not by a product of the Q_t.",
    mutations={
        "other order": lambda qs, unseen: np.linalg.multi_dot([np.eye(len(unseen)), *qs, unseen]),
        "but for Q_t": lambda qs, unseen: np.linalg.multi_dot(
            [np.eye(len(unseen)), *qs[-2::-1], unseen]
        ),
    },
)
def _thm2_mean(form, trial: Trial) -> Evidence:
    """Compare with the workflow without noise, which is its own mean."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(2, 20)):
        for history in histories.drawn(rng, full_rank=True):
            d = history.dim
            same = np.kron(np.ones((history.models, 1)), np.eye(d))
            qs, unseen = [], np.zeros((0, 0))
            silent = np.zeros((history.points, d))
            for t, estimates in enumerate(histories.course(history, np.eye(d), silent)):
                m = histories.lifted(history, t)
                if t:
                    qs.append(m.q)
                else:
                    unseen = np.eye(len(m.g)) - m.g @ systems.pinv(m.g)
                found.append(same - form(qs, unseen) @ same)
                expected.append(estimates)
    return identity(found, expected, 1e-7)


@known.claim(
    id="interactive.thm2_covariance",
    where="Theorem 2 and app. E.2",
    kind="numerical",
    proof="proved there",
    verdict="holds as corrected",
    premises=(*FIT, *ANSWERS),
    breaks=("none",),
    statement="The estimates' covariance is that of the real data, carried along, plus that of "
    "what the models have published.",
    latex=r"\operatorname{Cov}(\hat\theta_t) = M_t \begin{bmatrix} \tilde S^+ & 0 \\ 0 & S_*^+"
    r" \end{bmatrix} M_t^\top + C_t",
    printed=lambda m, inverse, given, noise: m @ inverse @ m.T + given,
    correction="The first term lacks the factor σ², which Theorem 3 and the proof's case t = 0 "
    "have.",
    correction_latex=r"\operatorname{Cov}(\hat\theta_t) = \sigma^2 M_t \begin{bmatrix} \tilde S^+ &"
    r" 0 \\ 0 & S_*^+ \end{bmatrix} M_t^\top + C_t",
    corrected=lambda m, inverse, given, noise: noise**2 * m @ inverse @ m.T + given,
    remark="C_t carries a σ² of its own. Full rank is not needed here, only for the mean.",
    fault="misprint",
    doubt="solid",
    mutations={
        "σ² for both": lambda m, inverse, given, noise: noise**2 * (m @ inverse @ m.T + given),
        "σ": lambda m, inverse, given, noise: noise * m @ inverse @ m.T + given,
    },
)
def _thm2_covariance(form, trial: Trial) -> Evidence:
    """Compare with every single error followed through the workflow by itself."""
    rng, found, expected = trial.rng(), [], []
    for history in (h for _ in range(trial.pick(1, 10)) for h in histories.drawn(rng)):
        inverse = histories.diagonal(
            systems.pinv(x.T @ x) for x in (*history.private, history.public)
        )
        errors, m = np.eye(history.points), np.zeros((0, 0))
        truth = np.zeros((history.dim, history.points))
        for t, through in enumerate(histories.course(history, truth, errors)):
            now = histories.lifted(history, t)
            m = now.p + now.q @ m if t else now.p
            web = through[:, history.real_points :]
            found.append(form(m, inverse, NOISE**2 * web @ web.T, NOISE))
            expected.append(NOISE**2 * through @ through.T)
    return identity(found, expected, 1e-7)


@known.claim(
    id="interactive.e2_identity",
    where="app. E.2, after the last display",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=("linear least squares", "all read alike"),
    statement="If all models hold the same estimate, the web's part of the update is the mean "
    "Gram matrix times this estimate.",
    latex=r"\Pi S_t (1_K \otimes I_d) = (I_K \otimes \underline{S}_t)(1_K \otimes I_d), \quad"
    r" \underline{S}_t = \tfrac{1}{K} \textstyle\sum_j S_{tj}",
    printed=lambda sp, k, d, blocks: (
        sp.kronecker_product(sp.eye(k), sum(blocks, sp.zeros(d)) / k),
        sp.kronecker_product(sp.ones(k, 1), sp.eye(d)),
    ),
    remark="On the right the text has S_t, all K Gram matrices, where only their mean, S_t "
    "underlined, has the right shape. The line under the letter is all the difference, and other "
    "places have it.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        "S_t whole, as in the text": lambda sp, k, d, blocks: (
            sp.kronecker_product(sp.eye(k), sp.diag(*blocks)),
            sp.kronecker_product(sp.ones(k, 1), sp.eye(d)),
        ),
        "each with its own": lambda sp, k, d, blocks: (
            sp.diag(*blocks),
            sp.kronecker_product(sp.ones(k, 1), sp.eye(d)),
        ),
        "the sum": lambda sp, k, d, blocks: (
            sp.kronecker_product(sp.eye(k), sum(blocks, sp.zeros(d))),
            sp.kronecker_product(sp.ones(k, 1), sp.eye(d)),
        ),
    },
)
def _e2_identity(form, trial: Trial) -> Evidence:
    """Add up what each model receives without a Kronecker product, for K = 3, d = 2."""
    import sympy as sp

    del trial
    k, d = 3, 2
    a, b, c = blocks = [
        sp.Matrix([[x, y], [y, z]]) for x, y, z in (sp.symbols(f"{c}:3") for c in "abc")
    ]
    left, right = form(sp, k, d, blocks)
    if left.cols != right.rows:
        return stated(False, f"{left.shape} times {right.shape}")
    third = sp.Rational(1, k)
    mean = [
        [third * a[i, j] + third * b[i, j] + third * c[i, j] for j in range(d)] for i in range(d)
    ]
    return symbolic((left * right - sp.Matrix(mean * k)).expand())


@known.claim(
    id="interactive.e2_bracket",
    where="app. E.2, last display, first line",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=(*FIT, "one truth"),
    statement="If all models share one truth, real data and web give the pseudoinverse of G_t "
    "times the real data's part, plus the web's part.",
    latex=r"P_t (1_{K+1} \otimes \theta) + Q_t (1_K \otimes \theta) = G_t^+ \left("
    r"\bar\alpha\beta \tilde S + \bar\alpha\bar\beta (I_K \otimes S_*) + \alpha \Pi S_t\right)"
    r" (1_K \otimes \theta)",
    printed=lambda inverse, real, web: inverse @ (real + web),
    remark="In the text the bracket closes before the web's part, so that G_t⁺ stands before the "
    "real data's part only, and a matrix is added to a vector. One bracket is all the difference; "
    "the next line of the proof, G_t⁺G_t(1_K ⊗ θ), is right. The statement needs no full rank.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        # 1_K ⊗ θ is taken to belong to both terms: in the text a matrix and a vector are added
        "bracket as in the text": lambda inverse, real, web: inverse @ real + web,
        "web 1.01 times": lambda inverse, real, web: inverse @ (real + 1.01 * web),
        "real data outside": lambda inverse, real, web: real + inverse @ web,
    },
)
def _e2_bracket(form, trial: Trial) -> Evidence:
    """Compare with one generation of the workflow in which all have found the truth already."""
    rng, found, expected = trial.rng(), [], []
    for history in (h for _ in range(trial.pick(1, 10)) for h in histories.drawn(rng)):
        k, d = history.models, history.dim
        same = np.kron(np.ones((k, 1)), np.eye(d))
        mean = np.kron(np.full((k, k), 1 / k), np.eye(d))
        own = histories.diagonal(x.T @ x for x in history.private)
        shared = np.kron(np.eye(k), history.public.T @ history.public)
        for t in range(1, len(history.alphas)):
            alpha, beta = history.alphas[t], history.betas[t]
            real = (1 - alpha) * (beta * own + (1 - beta) * shared)
            m = histories.lifted(history, t)
            found.append(form(systems.pinv(m.g), real @ same, alpha * mean @ m.s @ same))
            # responses without noise, all from the truth: what a model that reads them finds
            rows = [np.sqrt((1 - alpha) * (1 - beta)) * history.public]
            rows += [np.sqrt(alpha / k) * x for x in history.prompts[t]]
            fits = []
            for x in history.private:
                seen = np.vstack([np.sqrt((1 - alpha) * beta) * x, *rows])
                fits.append(np.linalg.lstsq(seen, seen, rcond=1e-10)[0])
            expected.append(np.vstack(fits))
    return identity(found, expected, 1e-8)


@known.claim(
    id="interactive.e2_truth_stays",
    where="app. E.2, last display, last line",
    kind="symbolic",
    proof="proved there",
    verdict="holds",
    premises=(*FIT, "one truth", "full-rank Gram matrices"),
    statement="The truth is a fixed point of the mean: once all models have found it, they keep "
    "it.",
    latex=r"P_t (1_{K+1} \otimes \theta) + Q_t (1_K \otimes \theta) = 1_K \otimes \theta",
    printed=lambda sp, k, theta: sp.kronecker_product(sp.ones(k, 1), theta),
    remark="On the right the text has I_K ⊗ θ, which is Kd × K; a bold 1_K may have been read as "
    "I_K. This needs G_t of full rank. Theorem 2's mean needs nothing else.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        "I_K for 1_K, as in the text": lambda sp, k, theta: sp.kronecker_product(sp.eye(k), theta),
        "a mean of K": lambda sp, k, theta: sp.kronecker_product(sp.ones(k, 1), theta) / k,
        "θ ⊗ 1_K": lambda sp, k, theta: sp.kronecker_product(theta, sp.ones(k, 1)),
    },
)
def _e2_truth_stays(form, trial: Trial) -> Evidence:
    """Compare both sides times G_t, left in the form of its definition, for K = d = 2."""
    import sympy as sp

    del trial
    k, d = 2, 2
    alpha, beta = sp.symbols("alpha beta")
    grams = [sp.Matrix([[x, y], [y, z]]) for x, y, z in (sp.symbols(f"{c}:3") for c in "abcde")]
    *real, first, second, shared = grams
    theta = sp.Matrix(sp.symbols(f"t:{d}"))
    right = form(sp, k, theta)
    if right.shape != (k * d, 1):
        return stated(False, f"a vector of {k * d} on the left, {right.shape} on the right")
    own, public = (1 - alpha) * beta, (1 - alpha) * (1 - beta)
    heard = [
        own * s * theta + public * shared * theta + alpha * (first + second) * theta / k
        for s in real
    ]
    g = sp.diag(*(own * s + public * shared + alpha * (first + second) / k for s in real))
    return symbolic((g * right - sp.Matrix.vstack(*heard)).expand())
