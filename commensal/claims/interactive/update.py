"""`interactive`: one update of all estimates (app. E, before eq. 4)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import block_diag

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity, stated, symbolic
from commensal.claims._premises import FIT
from commensal.claims.interactive import _histories as histories
from commensal.claims.interactive import _systems as systems

known = Register()


def _minimiser(own: np.ndarray, shared: np.ndarray, web: np.ndarray) -> np.ndarray:
    """Return the minimiser, from the columns (Gram matrix, Xᵀy) already weighted."""
    seen = own + shared + web
    return systems.pinv(seen[:, :-1]) @ seen[:, -1:]


@known.claim(
    id="interactive.minimiser",
    where="app. E, the display before eq. (3)",
    kind="numerical",
    proof="stated there",
    verdict="holds as corrected",
    premises=FIT,
    breaks=("none",),
    statement="The weighted loss's minimiser of least norm is the pseudoinverse of the weighted "
    "Gram matrices times the weighted Xᵀy.",
    latex=r"\hat\theta_{tk} = \left(\bar\alpha\beta \tilde S_k + \bar\alpha\bar\beta S_* +"
    r" \frac{\alpha}{K} \sum_{j=1}^k S_{tk}\right)^+ \left(\bar\alpha\beta \tilde X_k^\top"
    r" \tilde y_k + \bar\alpha\bar\beta X_*^\top y_* +"
    r" \frac{\alpha}{K} \sum_{j=1}^k X_{tj}^\top y_{tj}\right)",
    # of the web only the order in which its pairs [S_tj, X_tjᵀ y_tj] are summed differs
    printed=lambda k, own, shared, web: _minimiser(
        own,
        shared,
        np.hstack([(k + 1) * web[k][:, :-1], np.sum(web[: k + 1], axis=0)[:, -1:]]) / len(web),
    ),
    correction="Both sums run over all K models, and the first over S_tj: the printed one, up to "
    "k and of S_tk, would leave out what later models publish.",
    correction_latex=r"\hat\theta_{tk} = \left(\bar\alpha\beta \tilde S_k +"
    r" \bar\alpha\bar\beta S_* + \frac{\alpha}{K} \sum_{j=1}^K S_{tj}\right)^+"
    r" \left(\bar\alpha\beta \tilde X_k^\top \tilde y_k + \bar\alpha\bar\beta X_*^\top y_* +"
    r" \frac{\alpha}{K} \sum_{j=1}^K X_{tj}^\top y_{tj}\right)",
    corrected=lambda k, own, shared, web: _minimiser(own, shared, np.mean(web, axis=0)),
    remark="S_* is printed as its transpose, which is no other matrix, and the private responses "
    "with the index t. The upper limit k is printed four times, here and up to the display after "
    "eq. (3), and the index of S_tk is no lost mark.",
    fault="misprint",
    doubt="solid",
    mutations={
        "S_tk, summed over all": lambda k, own, shared, web: _minimiser(
            own, shared, np.hstack([web[k][:, :-1], np.sum(web, axis=0)[:, -1:] / len(web)])
        ),
        "without 1/K": lambda k, own, shared, web: _minimiser(own, shared, np.sum(web, axis=0)),
    },
)
def _minimiser_of_the_loss(form, trial: Trial) -> Evidence:
    """Compare with least squares on the rows themselves, each times the root of its weight."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(2, 20)):
        for history in histories.drawn(rng):
            noise = rng.standard_normal((history.real_points, 1))
            splits = np.cumsum([len(x) for x in history.private])
            *own, public = np.split(noise, splits)
            for alpha, beta, prompts in zip(*history[3:], history.prompts, strict=True):
                answers = [rng.standard_normal((len(x), 1)) for x in prompts]
                parts = [(1 - alpha) * beta, (1 - alpha) * (1 - beta), alpha]
                shared = parts[1] * history.public.T @ np.hstack([history.public, public])
                web = [
                    alpha * x.T @ np.hstack([x, y]) for x, y in zip(prompts, answers, strict=True)
                ]
                roots = np.sqrt([*parts[:2], *[alpha / len(web)] * len(web)])
                for k, (x, y) in enumerate(zip(history.private, own, strict=True)):
                    found.append(form(k, parts[0] * x.T @ np.hstack([x, y]), shared, web))
                    rows = zip(
                        roots, [x, history.public, *prompts], [y, public, *answers], strict=True
                    )
                    stacked = np.vstack([r * np.hstack([f, t]) for r, f, t in rows])
                    a, b = stacked[:, :-1], stacked[:, -1:]
                    expected.append(np.linalg.lstsq(a, b, rcond=1e-10)[0])
    return identity(found, expected, 1e-7)


@known.claim(
    id="interactive.normal_equations",
    where="app. E, before eq. (3)",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=("linear least squares",),
    statement="Least squares sees the responses through Xᵀy, which depends on them only through "
    "the ordinary least-squares estimate, whatever the rank of X.",
    latex=r"A^\top = A^\top A A^+",
    printed=lambda a, inverse: a.T * a * inverse,
    remark="Each dataset therefore enters as its Gram matrix and X⁺y.",
    mutations={
        "on the other side": lambda a, inverse: inverse * a.T * a,
        "factor 1.01": lambda a, inverse: a.T * a * inverse * 1.01,
    },
)
def _normal_equations(form, trial: Trial) -> Evidence:
    """Check any 3 × 3 matrix A = BC of rank 2 (up to the order of columns) and of rank 1."""
    import sympy as sp

    del trial
    u, v, w, x, y, z, c, d = sp.symbols("u v w x y z c d", real=True)
    left = []
    for b, right in (
        (sp.Matrix([[u, v], [w, x], [y, z]]), sp.Matrix([[1, 0, c], [0, 1, d]])),
        (sp.Matrix([u, v, w]), sp.Matrix([[1, c, d]])),
    ):
        grams = (right * right.T, b.T * b)
        # A⁺ = Cᵀ(CCᵀ)⁻¹(BᵀB)⁻¹Bᵀ, both sides times the determinants: no denominators
        inverse = right.T * grams[0].adjugate() * grams[1].adjugate() * b.T
        rest = form(b * right, inverse) - grams[0].det() * grams[1].det() * (b * right).T
        left.append(rest.expand())
    return symbolic(*left)


def _bracket(history: histories.History, t: int, z: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return the right-hand factor of eq. (3), from z and (X_t1⁺ y_t1, ..., X_tK⁺ y_tK)."""
    k, d = history.models, history.dim
    alpha, beta = history.alphas[t], history.betas[t]
    real = block_diag(*(x.T @ x for x in history.private))
    shared = np.kron(np.ones((k, 1)), history.public.T @ history.public)
    webs = [x.T @ x for x in history.prompts[t]]
    web = sum(s @ a for s, a in zip(webs, answers.reshape(k, d, -1), strict=True))
    own = beta * real @ z[:-d] + (1 - beta) * shared @ z[-d:]
    return (1 - alpha) * own + alpha / k * np.kron(np.ones((k, 1)), web)


@known.claim(
    id="interactive.eq3",
    where="eq. (3)",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=FIT,
    statement="All estimates together are the pseudoinverse of G_t times the weighted sum of Gram "
    "matrices times ordinary least-squares estimates.",
    latex=r"\hat\theta_t = G_t^+ \left(\bar\alpha\beta \tilde S \tilde X^+ \tilde y +"
    r" \bar\alpha\bar\beta (1_K \otimes S_*) X_*^+ y_* +"
    r" \frac{\alpha}{K} (1_K \otimes \sum_j S_{tj} X_{tj}^+ y_{tj})\right)",
    printed=lambda g, bracket: systems.pinv(g) @ bracket,
    remark="The text has G_t without the superscript ⁺. The display before and the definitions of "
    "P_t and Q_t, two lines later, have the pseudoinverse, and in app. E.1 the extraction took the "
    "superscript of X̃⁺ for a plus.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        "G_t, as in the text": lambda g, bracket: g @ bracket,
        "factor 1.01": lambda g, bracket: 1.01 * systems.pinv(g) @ bracket,
        "ridge 0.01": lambda g, bracket: np.linalg.solve(g + 0.01 * np.eye(len(g)), bracket),
    },
)
def _eq3(form, trial: Trial) -> Evidence:
    """Compare with least squares on the rows themselves, in the workflow."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(2, 20)):
        for history in histories.drawn(rng):
            for t, z, before, noise, after in histories.steps(history, rng):
                m = histories.lifted(history, t)
                answers = np.linalg.pinv(m.x, rcond=1e-10) @ (m.x @ before + noise)
                found.append(form(m.g, _bracket(history, t, z, answers)))
                expected.append(after)
    return identity(found, expected, 1e-7)


@known.claim(
    id="interactive.averaging",
    where="app. E, after eq. (3)",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=("all read alike",),
    statement="The web that every model sees is an orthogonal projection of what all models "
    "publish: the mean over models, in each coordinate.",
    latex=r"\frac{1}{K}\left(1_K \otimes \sum_{j=1}^K S_{tj} X_{tj}^+ y_{tj}\right)"
    r" = \Pi S_t X_t^+ y_t, \quad \Pi = \frac{1}{K} 1_K 1_K^\top \otimes I_d = \Pi^2 = \Pi^\top",
    printed=lambda sp, ones, eye: sp.kronecker_product(ones * ones.T / len(ones), eye),
    remark="The sum's upper limit is printed as k here, too (interactive.minimiser).",
    mutations={
        "factors exchanged": lambda sp, ones, eye: sp.kronecker_product(
            eye, ones * ones.T / len(ones)
        ),
        "without 1/K": lambda sp, ones, eye: sp.kronecker_product(ones * ones.T, eye),
    },
)
def _averaging(form, trial: Trial) -> Evidence:
    """Check K = 3, d = 2 with two points each, and with one point each (S_tj of rank 1)."""
    import sympy as sp

    del trial
    k, d, left = 3, 2, []
    projection = form(sp, sp.ones(k, 1), sp.eye(d))
    for n in (1, 2):
        xs = [sp.Matrix(n, d, sp.symbols(f"{'abc'[j]}:{n * d}", real=True)) for j in range(k)]
        ys = [sp.Matrix(sp.symbols(f"{'uvw'[j]}:{n}", real=True)) for j in range(k)]
        inverses = [x.inv() if n == d else x.T / (x * x.T)[0] for x in xs]
        s, inverse = sp.diag(*(x.T * x for x in xs)), sp.diag(*inverses)
        seen = sum((x.T * y for x, y in zip(xs, ys, strict=True)), sp.zeros(d, 1)) / k
        given = (s * inverse * sp.Matrix.vstack(*ys)).applyfunc(sp.cancel)
        left.append(projection * given - sp.Matrix.vstack(*[seen] * k))
    return symbolic(*left, projection**2 - projection, projection.T - projection)


@known.claim(
    id="interactive.p_last_block",
    where="sec. 5, definition of P_t",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=FIT,
    statement="P_t, which says how all estimates depend on (z_1, ..., z_K, z_*), ends with K "
    "copies of S_* one below the other.",
    latex=r"P_t = \bar\alpha\, G_t^+ \begin{bmatrix} \beta \tilde S &"
    r" \bar\beta (1_K \otimes S_*) \end{bmatrix}",
    printed=lambda sp, k, s: sp.kronecker_product(sp.ones(k, 1), s),
    remark="The text of sec. 5 has I_K ⊗ S_*, with Kd columns for the one z_*, a vector of d. A "
    "bold 1_K may have been read as I_K: app. E has 1_K ⊗ S_*.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        "I_K for 1_K, as in the text": lambda sp, k, s: sp.kronecker_product(sp.eye(k), s),
        "factors exchanged": lambda sp, k, s: sp.kronecker_product(s, sp.ones(k, 1)),
        "1_K / K": lambda sp, k, s: sp.kronecker_product(sp.ones(k, 1), s) / k,
    },
)
def _p_last_block(form, trial: Trial) -> Evidence:
    """Differentiate the loss's minimiser in each z, by the loss's second derivatives, K = d = 2."""
    import sympy as sp

    del trial
    k, d = 2, 2
    alpha, beta = sp.symbols("alpha beta", positive=True)
    grams = [sp.Matrix([[x, y], [y, z]]) for x, y, z in (sp.symbols(f"{c}:3") for c in "abcd")]
    *real, shared, web = grams
    last = form(sp, k, shared)
    if last.shape != (k * d, d):
        return stated(False, f"the last block is {last.shape}, for {k * d} rows and a z of {d}")
    zs = [sp.Matrix(sp.symbols(f"{c}:{d}")) for c in "uvwx"]
    theta = sp.Matrix(sp.symbols(f"t:{d}"))
    weights = ((1 - alpha) * beta, (1 - alpha) * (1 - beta), alpha)
    moves, curvature = [], []
    for own, z in zip(real, zs[:k], strict=True):
        loss = sp.Integer(0)
        for w, gram, at in zip(weights, (own, shared, web), (z, zs[k], zs[k + 1]), strict=True):
            loss += w * ((theta - at).T * gram * (theta - at))[0]
        gradient = sp.Matrix([loss]).jacobian(theta).T / 2
        curvature.append(gradient.jacobian(theta))
        moves.append(-gradient.jacobian(sp.Matrix.vstack(*zs[: k + 1])))
    # ∂θ/∂z = (∂²L/∂θ²)⁻¹ (-∂²L/∂θ∂z): the inverse is that of G
    g = (1 - alpha) * (beta * sp.diag(*real) + (1 - beta) * sp.diag(*[shared] * k))
    g += alpha * sp.diag(*[web] * k)
    parts = (1 - alpha) * sp.Matrix.hstack(beta * sp.diag(*real), (1 - beta) * last)
    left = (sp.diag(*curvature) - g, sp.Matrix.vstack(*moves) - parts)
    return symbolic(*(difference.expand() for difference in left))
