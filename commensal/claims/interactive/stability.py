"""`interactive`: when the process is stable (sec. 5: Lemma 1 and the text around it)."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, stated
from commensal.claims._premises import LEMMA, SYSTEM, UNIFORM
from commensal.claims._search import attack
from commensal.claims.interactive import _systems as systems

known = Register()

_MODELS, _DIM = 3, 3


def _radius(x: Any, beta: Any, own_prompts: bool = True) -> tuple[Any, ...]:
    """Return ρ(Q) at x, computed in d dimensions, and α, β, λ, γ.

    ``beta`` maps (λ, a number between 0 and 1) to β.
    """
    import jax
    import jax.numpy as jnp

    k, d = _MODELS, _DIM
    # away from the edges, where bounds divide by nothing
    alpha, lam, share = jnp.array([0.9, 1, 1]) * (0.01 + 0.98 * jax.nn.sigmoid(x[:3]))
    beta, gamma = beta(lam, share), 4 ** jnp.tanh(x[3])
    factors = x[4:].reshape(2 * k + 1, d, d)
    grams = factors @ factors.swapaxes(-1, -2)
    real, shared = grams[:k], grams[k]
    web = (lam * real + (1 - lam) * shared if own_prompts else grams[k + 1 :]) / gamma
    gram = (1 - alpha) * (beta * real + (1 - beta) * shared) + alpha * web.mean(axis=0)
    # (S_k G_k⁻¹)ᵀ = G_k⁻¹ S_k, and transposition leaves the eigenvalues where they are
    amplify = alpha * jnp.linalg.solve(gram, web).mean(axis=0)
    return jnp.abs(jnp.linalg.eigvals(amplify)).max(), alpha, beta, lam, gamma


def _anywhere(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(4 + (2 * _MODELS + 1) * _DIM**2)


@known.claim(
    id="interactive.lemma1",
    where="sec. 5, Lemma 1",
    kind="search",
    proof="proved there",
    verdict="holds",
    premises=LEMMA,
    statement="If synthetic features are those of the private and of the public data, mixed by "
    "0 < λ ≤ 1, then ρ(Q) < 1 for all α < 1 and 0 < β ≤ λ.",
    latex=r"\mathbf S \propto \lambda \tilde{\mathbf S} + (1-\lambda)(I_K \otimes S_*)"
    r" \;\Rightarrow\; \rho(\mathbf Q) < 1",
    printed=(lambda lam, share: lam * (0.2 + 0.8 * share), True),
    remark="The search goes over α ≤ 0.9, β ≥ λ/5 and S at most 4 times too large or small, so "
    "that 'strictly less' means a distance: below 0.999. The least distance has a closed form "
    "(commensal.prompts_rate), which also shows that β ≤ λ may be replaced by β < 1. Prompts of "
    "other kinds can break it: ρ(Q) then goes up to (1 + √K)/2.",
    mutations={
        "any prompts": (lambda lam, share: lam * (0.2 + 0.8 * share), False),
        "β = 0": (lambda lam, share: 0.0 * share, True),
    },
)
def _lemma1(form, trial: Trial) -> Evidence:
    beta, own_prompts = form
    return attack(
        lambda x: _radius(x, beta, own_prompts)[0] / 0.999,
        _anywhere,
        trial.rng(),
        restarts=trial.pick(4, 60),
        steps=trial.pick(60, 400),
    )


def _rate(beta, lam, sign=-1):
    private, public = beta / lam, (1 - beta) / (1 - lam)
    # the smaller of the two, of floats and of JAX's numbers
    return (private + public + sign * abs(private - public)) / 2


@known.claim(
    id="commensal.prompts_rate",
    where="beyond Lemma 1 of interactive",
    kind="search",
    proof="proved here",
    verdict="holds",
    premises=LEMMA,
    statement="If γS = λS̃ + (1-λ)S_* then ρ(Q) is at most α over α + (1-α)γm, where m is the "
    "smaller of β/λ and (1-β)/(1-λ): Lemma 1 needs no β ≤ λ, only 0 < β < 1 (or β = λ).",
    latex=r"\rho(\mathbf Q) \leq \frac{\alpha}{\alpha + \bar\alpha\gamma"
    r" \min\left(\frac{\beta}{\lambda}, \frac{\bar\beta}{\bar\lambda}\right)}",
    printed=_rate,
    remark="With prompts as one's own data (S = S̃) the bound is α/(α + ᾱβ). For the proof let p = "
    "ᾱβ, q = ᾱβ̄, a = λ/γ, b = λ̄/γ, H the mean of G_k⁻¹. As pS_k = aG_k - C with C = (aq - bp)S_* "
    "+ aαS̲, an eigenvalue μ of Q has a y with μ = αa/p - (α/p) yᵀCy / yᵀH⁻¹y. Where yᵀCy ≥ 0, H⁻¹ "
    "⪯ mean G gives μ ≤ α yᵀS̲y / yᵀ(mean G)y; elsewhere H⁻¹ ⪰ qS_* + αS̲ gives μ ≤ αb/(q + αb). "
    "So all eigenvalues are real, too. There is equality for one model, or if all are alike.",
    mutations={
        "β/λ alone": lambda beta, lam: beta / lam,
        "the larger of the two": lambda beta, lam: _rate(beta, lam, sign=1),
        "a twentieth faster": lambda beta, lam: 1.05 * _rate(beta, lam),
    },
)
def _prompts_rate(form, trial: Trial) -> Evidence:
    """Attack the bound by ascent inside; try low ranks and edges, where no ascent goes, in turn."""

    def over(radius, alpha, beta, lam, gamma):
        return radius * (alpha + (1 - alpha) * gamma * form(beta, lam)) / alpha

    rng, worst = trial.rng(1), 0.0
    for k, d, rank, public in ((1, 3, 2, 3), (2, 4, 1, 4), (3, 5, 1, 2), (4, 3, 2, 0)):
        for lam in (0.3, 0.99):
            gamma = float(np.exp(rng.normal()))
            system = systems.mixed_prompts(rng, k, d, rank, public, lam, gamma)
            for alpha, beta in ((0.05, 0.0), (0.5, 1.0), (0.9, lam), (0.5, 0.02), (1.0, 0.5)):
                radius = systems.spectral_radius(system, alpha, beta)
                worst = max(worst, over(radius, alpha, beta, lam, gamma))
    edges = at_most(worst, 1 + 1e-7, "largest ratio at the edges")

    return edges & attack(
        lambda x: over(*_radius(x, lambda lam, share: share)),
        _anywhere,
        trial.rng(),
        restarts=trial.pick(4, 60),
        steps=trial.pick(60, 400),
        tolerance=1e-7,
    )


def _misaligned(strength: float | int) -> systems.StackedFeatures:
    """Make two models that publish where their own data are thin: ρ reaches 1.207 at β = 1."""
    x = (1 + 1 / np.sqrt(2)) / 2
    thin = np.array([[np.sqrt(x), np.sqrt(1 - x)], [np.sqrt(1 - x), np.sqrt(x)]])
    private = np.sqrt(strength) * (np.eye(2) - thin[:, :, None] * thin[:, None, :])
    return systems.StackedFeatures(private, np.eye(2), np.sqrt(2) * np.eye(2)[:, None, :])


@known.claim(
    id="interactive.lemma1_remark",
    where="sec. 5, before Lemma 1",
    kind="numerical",
    proof="stated there",
    verdict="holds, restricted",
    premises=LEMMA,
    breaks=("private data count",),
    statement="If S is proportional to S̃ then the system is stable for all 0 ≤ α < 1 and "
    "0 ≤ β ≤ 1.",
    latex=r"\mathbf S \propto \tilde{\mathbf S} \;\Rightarrow\; \rho(\mathbf Q) < 1"
    r" \quad (0 \leq \alpha < 1, \; 0 \leq \beta \leq 1)",
    printed=(((0.0, 0.3, 1.0), 1, False),),
    restriction="β = 0 must be left out, unless S_* spans the range of S̲. The lemma itself has 0 "
    "< β.",
    correction_latex=r"\rho(\mathbf Q) < 1 \quad (0 \leq \alpha < 1, \; 0 < \beta \leq 1)",
    # each S_k may have its own factor to S̃_k; with public data of full rank β may be 0
    corrected=(
        ((0.01, 0.3, 1.0), 1, False),
        ((0.01, 0.3, 1.0), 1, True),
        ((0.0, 0.3, 1.0), 5, False),
    ),
    remark="At β = 0, in a direction v of the prompts but not in the public data, G_k v = αS̲v for "
    "every k, and ρ(Q) = 1 for each α > 0. The least example is K = d = 1, S̃ = S = 1, S_* = 0. "
    "For 0 < β ≤ 1 the statement holds even if each S_k has its own factor to S̃_k.",
    fault="wording",
    doubt="solid",
    mutations={
        "β = 0 alone": (((0.0,), 1, False),),
        "β = 0, S_k = c_k S̃_k": (((0.0, 0.3, 1.0), 1, True),),
        "β = 0, public data of rank 2": (((0.0, 0.3, 1.0), 2, False),),
    },
)
def _lemma1_remark(form, trial: Trial) -> Evidence:
    rng, worst, where = trial.rng(), -1.0, ""
    shapes = ((1, 1, 1), (2, 3, 2), (4, 5, 2), (3, 5, 5))
    for (betas, public, own_factors), (k, d, rank) in (
        (case, shape) for case in form for shape in shapes
    ):
        system = systems.mixed_prompts(rng, k, d, rank, public, 1.0, gamma=0.7)
        if own_factors:
            factors = np.exp(rng.standard_normal((k, 1, 1)))
            system = system._replace(prompts=factors * system.prompts)
        if d == 1 and public == 1:
            system = system._replace(public=np.zeros((1, 1)))
        for alpha in (0.0, 0.05, 0.5, 0.95):
            for beta in betas:
                radius = systems.spectral_radius(system, alpha, beta)
                if radius > worst + 1e-9:
                    worst, where = radius, f"K = {k}, d = {d}, α = {alpha:g}, β = {beta:g}"
                    where += f" with S_* of rank {public} or less"
    text = f"largest ρ(Q) {worst:.6f}, at {where}"
    return stated(worst < 1 - 1e-5, text, **{"largest radius": worst})


@known.claim(
    id="interactive.alpha_one_radius",
    where="sec. 5, before Lemma 1",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=(*UNIFORM, "no human data later"),
    statement="α = 1 is a boundary case: there ρ(Q) = 1, whatever the designs, and the covariance "
    "does not converge.",
    latex=r"\mathbf Q^2 = \mathbf Q \neq 0 \quad (\alpha = 1)",
    printed="α = 1",
    remark="This holds for S ≠ 0. Q is a projection on the consensus of all in the range of S̲, "
    "so that ρ(Q) = 1, C_t = tC_1 (interactive.alpha_one_linear), and the mean stands still from "
    "t = 1 on. It is checked symbolically for K = d = 2 and any S_1, S_2.",
    mutations={name: name for name in ("α = 99/100", "each hears itself alone")},
)
def _alpha_one_radius(form, trial: Trial) -> Evidence:
    """Check by sympy with det(G) kept apart: Q = N / det(G), where N's entries are polynomials."""
    import sympy as sp

    blocks = [sp.Matrix(2, 2, sp.symbols(f"a{k} b{k} b{k} c{k}")) for k in (1, 2)]
    alpha = sp.Rational(99, 100) if form == "α = 99/100" else sp.Integer(1)
    gram = alpha * (blocks[0] + blocks[1]) / 2 + (1 - alpha) * sp.diag(1, 2)
    heard = [alpha * gram.adjugate() * s / 2 for s in blocks]
    rows = [heard, heard]
    if form == "each hears itself alone":
        rows = [[2 * heard[0], sp.zeros(2)], [sp.zeros(2), 2 * heard[1]]]
    n, det = sp.Matrix(sp.BlockMatrix(rows)), gram.det()
    rest = [entry for entry in (n * n - det * n).expand() if entry != 0]
    consensus = sp.expand(n.trace() - 2 * det)
    text = f"Q² - Q has {len(rest)} of 16 entries that are not 0; its trace is d"
    text += f" but for ({consensus}) / det G" if consensus else ""
    return stated(not rest and consensus == 0, text, **{"entries left": len(rest)})


def _settling(
    system: systems.StackedFeatures, alpha: float | int, beta: float | int
) -> tuple[float, float, float]:
    """Return ρ(Q), and the relative changes of M_t and of C_t from t = 2¹³ to 2¹⁴.

    By doubling: the sums over s < 2t of eq. (1) are those over s < t, and Qᵗ (...) of them.
    """
    m, first = systems.stacked(system, alpha, beta), systems.stacked(system, 0.0, beta)
    power, through, given = m.q, m.p, m.q @ systems.pinv(m.s) @ m.q.T
    before = after = (through, given)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(14):
            through, given = through + power @ through, given + power @ given @ power.T
            power = power @ power
            before, after = after, (through + power @ first.p, given)
        change = [
            float(np.linalg.norm(y - x) / np.linalg.norm(y))
            for x, y in zip(before, after, strict=True)
        ]
    # what has overflowed has not settled
    radius = float(np.abs(np.linalg.eigvals(m.q)).max())
    m_change, c_change = (c if np.isfinite(c) else 1.0 for c in change)
    return radius, m_change, c_change


def _stable_and_not(rng: np.random.Generator) -> list[tuple[systems.StackedFeatures, float, float]]:
    thin = systems.mixed_prompts(rng, 2, 3, 2, 1, 1.0)
    return [
        *(
            (systems.mixed_prompts(rng, k, 4, 2, 2, lam), a, b)
            for k in (1, 3)
            for lam, a, b in (
                (0.6, 0.5, 0.5),
                (1.0, 0.9, 0.9),
                (0.0, 0.2, 0.7),
            )
        ),
        (systems.mixed_prompts(rng, 3, 4, 2, 2, 0.5), 1.0, 0.5),  # ρ = 1
        (thin, 0.5, 0.0),  # ρ = 1
        *((_misaligned(c), 0.5, 1.0) for c in (0.05, 0.1, 0.3, 10.0, 1e3)),
    ]


@known.claim(
    id="interactive.radius_convergence",
    where="sec. 5, before eq. (2), and app. E.3",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=SYSTEM,
    statement="If ρ(Q) < 1 then M_t and C_t of eq. (1) converge.",
    latex=r"\rho(\mathbf Q) < 1 \;\Rightarrow\; \mathbf M_t \to \mathbf M, \;"
    r" \mathbf C_t \to \mathbf C",
    printed=1.0,
    remark="This is checked over 16,384 generations of systems with ρ from 0.4 to 1.2. The "
    "converse holds for C_t (commensal.radius_needed) but not for M_t, which stands still at α = "
    "1.",
    mutations={"ρ ≤ 1": 1.0 + 1e-9, "ρ < 1.1": 1.1},
)
def _radius_convergence(form, trial: Trial) -> Evidence:
    rows = [_settling(*one) for one in _stable_and_not(trial.rng())]
    radii = [radius for radius, _, _ in rows if radius < form - 1e-10]
    change = max(max(row[1:]) for row in rows if row[0] < form - 1e-10)
    text = f"{len(radii)} systems with ρ up to {max(radii):.6f} change by at most {change:.1e}"
    return stated(change < 1e-6, text, **{"largest change": change, "systems": len(radii)})


@known.claim(
    id="commensal.radius_needed",
    where="beyond sec. 5 of interactive",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*SYSTEM, "equal noise"),
    statement="ρ(Q) < 1 is necessary, too: wherever ρ(Q) ≥ 1, and σ > 0, C_t diverges.",
    latex=r"\rho(\mathbf Q) \geq 1 \;\Rightarrow\; \lVert \mathbf C_t \rVert \to \infty",
    printed=2,
    remark="The proof takes a left eigenvector w of Q for an eigenvalue μ ≠ 0. It lies in the "
    "range of Qᵀ, hence of S, so that w*S⁺w > 0; and w*C_tw = σ² w*S⁺w Σ|μ|^2s over s = 1, ..., t. "
    "So every way of losing stability is seen in the errors. This is not so for M_t.",
    mutations={"M_t diverges": 1},
)
def _radius_needed(form, trial: Trial) -> Evidence:
    rows = [_settling(*one) for one in _stable_and_not(trial.rng())]
    rows = [row for row in rows if row[0] >= 1 - 1e-10]
    # where growth is linear, half of all that is there has come since half of the time
    change = min(row[form] for row in rows)
    text = f"{len(rows)} systems with ρ ≥ 1 still change by at least {change:.2g} as t doubles"
    return stated(change > 0.4, text, **{"smallest change": change, "systems": len(rows)})
