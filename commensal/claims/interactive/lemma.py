"""`interactive`: the proof of Lemma 1, step by step (app. E.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, identity, stated, symbolic
from commensal.claims._premises import FIT, LEMMA
from commensal.claims.interactive import _systems as systems

known = Register()


class _Case(NamedTuple):
    """A system with γS = λS̃ + (1-λ)S_*, and the matrices of app. E.4 (with Δ as corrected)."""

    alpha: float | int
    beta: float | int
    lam: float | int
    gamma: float | int
    system: systems.StackedFeatures

    @property
    def web(self) -> np.ndarray:
        return self.system.web

    @property
    def mean(self) -> np.ndarray:
        return self.web.mean(axis=0)

    @property
    def share(self) -> float:
        """Factor δ of app. E.4."""
        return (1 - self.alpha) * self.beta * self.gamma / (self.alpha * self.lam)

    @property
    def common(self) -> np.ndarray:
        """Matrix Δ of app. E.4, as corrected."""
        excess = (1 - self.alpha) * (self.lam - self.beta) / (self.alpha * self.lam)
        return excess * self.system.shared + self.mean

    @property
    def relative(self) -> np.ndarray:
        """Blocks of the matrix R of app. E.4."""
        half = _power(self.common, -0.5)
        return half @ self.web @ half

    @property
    def radius(self) -> float:
        return systems.spectral_radius(self.system, self.alpha, self.beta)


def _power(a: np.ndarray, exponent: float | int) -> np.ndarray:
    """Power of a positive semidefinite matrix; negative powers are of its pseudo-inverse."""
    values, vectors = np.linalg.eigh(a)
    kept = values > 1e-10 * values[-1]
    powers = np.where(kept, np.where(kept, values, 1.0) ** exponent, 0.0)
    return (vectors * powers) @ vectors.T


def _cases(rng: np.random.Generator, repeats: int = 1) -> Iterator[_Case]:
    """Draw cases of full and of low rank, with β up to λ, for one model and several."""
    for _ in range(repeats):
        for k, d, rank, public, lam, part, alpha in (
            (1, 3, 3, 3, 1.0, 1.0, 0.5),
            (1, 3, 2, 3, 0.4, 1.0, 0.3),
            (2, 4, 1, 1, 0.7, 0.5, 0.5),
            (3, 4, 2, 1, 1.0, 0.3, 0.95),
            (3, 6, 1, 2, 0.2, 1.0, 0.6),
            (4, 3, 3, 0, 0.5, 0.9, 0.1),
            (5, 2, 1, 1, 0.9, 0.05, 0.8),
        ):
            gamma = float(np.exp(rng.normal()))
            system = systems.mixed_prompts(rng, k, d, rank, public, lam, gamma)
            yield _Case(alpha, part * lam, lam, gamma, system)


def _norm(a: np.ndarray) -> float:
    return float(np.linalg.norm(a, 2))


@known.claim(
    id="interactive.lemma1_delta",
    where="app. E.4, the form of Q",
    kind="symbolic",
    proof="proved there",
    verdict="holds as corrected",
    premises=(
        *FIT,
        "all read alike",
        "prompts from real data",
        "private data count",
        "real data count",
    ),
    breaks=("none",),
    statement="Under Lemma 1's condition Q is (δS + I ⊗ Δ)⁺ΠS with δ = ᾱβγ/(αλ) and "
    "Δ = (λ-β)/(αλ) S_* + S̲.",
    latex=r"\Delta = \frac{\lambda - \beta}{\alpha\lambda} S_* + \underline{S}",
    printed=lambda a, b, lam: (lam - b) / (a * lam),
    correction="Δ lacks a factor ᾱ on S_*, which the line before still has.",
    correction_latex=r"\Delta = \frac{\bar\alpha(\lambda - \beta)}{\alpha\lambda} S_*"
    r" + \underline{S}",
    corrected=lambda a, b, lam: (1 - a) * (lam - b) / (a * lam),
    remark="The lemma does not suffer: all it uses of Δ is Δ ⪰ S̲, which both have for β ≤ λ.",
    fault="misprint",
    doubt="solid",
    mutations={
        "λ + β": lambda a, b, lam: (1 - a) * (lam + b) / (a * lam),
        "without λ": lambda a, b, lam: (1 - a) * (lam - b) / a,
    },
)
def _lemma1_delta(form, trial: Trial) -> Evidence:
    """Compare with the definition of G_k in symbols, and with Q in numbers, low ranks included."""
    import sympy as sp

    a, b, lam, gamma = sp.symbols("alpha beta lambda gamma", positive=True)
    real = [sp.Matrix(2, 2, sp.symbols(f"u{k} v{k} v{k} w{k}")) for k in (1, 2)]
    shared = sp.Matrix(2, 2, sp.symbols("u v v w"))
    web = [(lam * one + (1 - lam) * shared) / gamma for one in real]
    mean = (web[0] + web[1]) / 2
    share = (1 - a) * b * gamma / (a * lam)
    differences = [
        ((1 - a) * (b * one + (1 - b) * shared) + a * mean) / a
        - share * s
        - form(a, b, lam) * shared
        - mean
        for one, s in zip(real, web, strict=True)
    ]
    found, expected = [], []
    for case in _cases(trial.rng()):
        inner = case.share * case.web + form(case.alpha, case.beta, case.lam) * case.system.shared
        heard = case.web / case.system.models
        q = np.einsum("iab,jbc->iajc", systems.pinv(inner + case.mean), heard)
        expected.append(systems.stacked(case.system, case.alpha, case.beta).q)
        found.append(q.reshape(expected[-1].shape))
    together = [d.applyfunc(sp.cancel) for d in differences]
    return symbolic(*together) & identity(found, expected, 1e-8)


@known.claim(
    id="interactive.lemma1_span",
    where="app. E.4, before the factorisation",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("none",),
    statement="Each S_k lies in the span of S̲, and so S in that of I ⊗ Δ.",
    latex=r"\operatorname{range} S_k \subseteq \operatorname{range} \underline{S}"
    r" \subseteq \operatorname{range} \Delta",
    printed=lambda case: (case.mean, case.common),
    remark="For positive semidefinite matrices the kernel of a sum is what all kernels share. "
    "This makes the pseudo-inverses of rank-deficient systems behave like inverses.",
    mutations={
        "of S_*": lambda case: (case.system.shared, case.common),
        "of the others' mean": lambda case: (
            case.web[1:].sum(axis=0) / case.system.models,
            case.common,
        ),
    },
)
def _lemma1_span(form, trial: Trial) -> Evidence:
    worst = 0.0
    for case in _cases(trial.rng(), trial.pick(3, 30)):
        outer = form(case)
        for inside in (*((s, outer[0]) for s in case.web), outer):
            values, vectors = np.linalg.eigh(inside[1])
            outside = vectors[:, values <= 1e-10 * max(values[-1], 1e-300)]
            left = float(np.linalg.norm(inside[0] @ outside))
            worst = max(worst, left / (_norm(inside[0]) or 1.0))
    return at_most(worst, 1e-9, "largest part outside of the span")


@known.claim(
    id="interactive.lemma1_factorisation",
    where="app. E.4, the factorisation",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("prompts from real data", "private data count", "real data count"),
    statement="S(δS + I ⊗ Δ)⁺ is I ⊗ Δ^½ times R(δR + I)⁻¹ times I ⊗ Δ^{+½}, whatever the ranks.",
    latex=r"\mathbf S(\delta\mathbf S + I \otimes \Delta)^+ = (I \otimes \Delta^{1/2})"
    r" \mathbf R(\delta\mathbf R + I)^{-1} (I \otimes \Delta^{+1/2})",
    printed=lambda s, delta, common: _factored(s, delta, common, 1.0),
    remark="A pseudo-inverse of a product is not that of its factors reversed; here it is, since "
    "Δ^½ maps its own range onto itself and R lives there. The plain inverse is of use because R "
    "multiplies it. For β > λ there may be no Δ^½: Δ can be indefinite.",
    mutations={
        "δR + 1.02 I": lambda s, delta, common: _factored(s, delta, common, 1.02),
        "an inverse square root only": lambda s, delta, common: (
            _power(common, -0.5) @ _factored(s, delta, common, 1.0)
        ),
    },
)
def _lemma1_factorisation(form, trial: Trial) -> Evidence:
    found, expected = [], []
    for case in _cases(trial.rng(), trial.pick(3, 30)):
        for s in case.web:
            found.append(form(s, case.share, case.common))
            expected.append(s @ np.linalg.pinv(case.share * s + case.common, rcond=1e-11))
    return identity(found, expected, 1e-7)


def _factored(
    s: np.ndarray, delta: float | int, common: np.ndarray, one: float | int
) -> np.ndarray:
    half, back = _power(common, 0.5), _power(common, -0.5)
    r = back @ s @ back
    return half @ r @ np.linalg.inv(delta * r + one * np.eye(len(r))) @ back


@known.claim(
    id="interactive.lemma1_norm",
    where="app. E.4, ρ(Q) as a norm",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=(
        *FIT,
        "all read alike",
        "prompts from real data",
        "private data count",
        "real data count",
    ),
    statement="ρ(Q) is the operator norm of ΠR(δR + I)⁻¹Π, which is positive semidefinite.",
    latex=r"\rho(\mathbf Q) = \lVert \Pi\mathbf R(\delta\mathbf R + I)^{-1}\Pi \rVert",
    printed=lambda pi, r, delta: pi @ r @ np.linalg.inv(delta * r + np.eye(len(r))) @ pi,
    remark="Δ^{+½} and Δ^½ leave a projection on the range of Δ between them, which R absorbs. Q "
    "itself is not symmetric, its norm may exceed 1. That all of Q's eigenvalues are real goes "
    "beyond the lemma's condition (commensal.prompts_rate).",
    mutations={
        "without Π": lambda pi, r, delta: r @ np.linalg.inv(delta * r + np.eye(len(r))),
        "δR + 1.02 I": lambda pi, r, delta: (
            pi @ r @ np.linalg.inv(delta * r + 1.02 * np.eye(len(r))) @ pi
        ),
    },
)
def _lemma1_norm(form, trial: Trial) -> Evidence:
    found, expected, least = [], [], 0.0
    for case in _cases(trial.rng(), trial.pick(2, 20)):
        k, d = case.system.models, case.system.dim
        pi = np.kron(np.full((k, k), 1 / k), np.eye(d))
        made = form(pi, block_diag(*case.relative), case.share)
        least = min(least, float(np.linalg.eigvalsh((made + made.T) / 2)[0]))
        found.append([_norm(made), 0.0])
        expected.append([case.radius, _norm(made - made.T)])
    whole = stated(least > -1e-9, f"least eigenvalue {least:.1e}", **{"least eigenvalue": least})
    return identity(found, expected, 1e-8) & whole


@known.claim(
    id="interactive.lemma1_shrinks",
    where="app. E.4, the first line of the last display",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=LEMMA,
    statement="With ε the smallest nonzero singular value of R, ρ(Q) is at most ‖ΠRΠ‖/(1 + εδ), "
    "which makes it strictly less than one.",
    latex=r"(1 + \epsilon\delta)\,\rho(\mathbf Q) \leq \lVert \Pi\mathbf R\Pi \rVert \leq 1",
    printed=lambda values: values.min(),
    remark="It is attained where all of R's nonzero singular values are equal, as at β = λ "
    "for one model, or for disjoint tasks (then ε = K). ε may be tiny; x/(1+δx) being operator "
    "concave gives (1+δ)ρ(Q) ≤ 1 without it (commensal.prompts_rate). Neither bound implies the "
    "other.",
    mutations={
        "the largest one": lambda values: values.max(),
        "1.05 ε": lambda values: 1.05 * values.min(),
    },
)
def _lemma1_shrinks(form, trial: Trial) -> Evidence:
    worst = 0.0
    for case in _cases(trial.rng(), trial.pick(5, 50)):
        values = np.linalg.eigvalsh(case.relative)
        bound = _norm(case.relative.mean(axis=0)) / (1 + form(values[values > 1e-9]) * case.share)
        worst = max(worst, case.radius / bound)
    return at_most(worst, 1 + 1e-8, "largest ratio of ρ(Q) to the bound")


@known.claim(
    id="interactive.lemma1_averaging",
    where="app. E.4, (c)",
    kind="symbolic",
    proof="stated there",
    verdict="holds",
    premises=("all read alike",),
    statement="Π is an orthogonal projection, commutes with I ⊗ Δ, and ΠSΠ is S̲ in every block, "
    "over K.",
    latex=r"\Pi\mathbf S\Pi = \tfrac1K \mathbf 1_{K \times K} \otimes \underline{S}",
    printed=lambda k: (1, k),
    remark="This is checked symbolically for K = 3 and d = 2. The text prints Π = 1/K(1 ⊗ I_d), as "
    "it is here.",
    mutations={
        "over K²": lambda k: (1, k**2),
        "without 1/K in Π": lambda k: (k, k),
    },
)
def _lemma1_averaging(form, trial: Trial) -> Evidence:
    import sympy as sp

    k = 3
    scale, divisor = form(k)
    blocks = [sp.Matrix(2, 2, sp.symbols(f"a{j} b{j} b{j} c{j}")) for j in range(k)]
    ones, common = sp.ones(k) * sp.Rational(1, divisor), sp.Matrix(2, 2, sp.symbols("u v v w"))
    pi = sp.kronecker_product(sp.ones(k) * sp.Rational(scale, k), sp.eye(2))
    everywhere = sp.kronecker_product(sp.eye(k), common)
    mean = sum(blocks, sp.zeros(2)) / k
    return symbolic(
        pi * pi - pi,
        sp.Matrix(pi) - sp.Matrix(pi).T,
        (pi * everywhere - everywhere * pi).expand(),
        (pi * sp.diag(*blocks) * pi - sp.kronecker_product(ones, mean)).expand(),
    )


def _chain(back: np.ndarray, case: _Case, share: float | int) -> list[float]:
    """Return the norms that (a) to (f) equate, and the one before; ``back`` is Δ^{+½}."""
    k, d = case.system.models, case.system.dim
    pi, both = np.kron(np.full((k, k), 1 / k), np.eye(d)), np.kron(np.eye(k), back)
    s, equal = np.asarray(block_diag(*case.web)), np.full((k, k), share)
    inner = back @ case.mean @ back
    return [
        _norm(pi @ np.asarray(block_diag(*case.relative)) @ pi),
        _norm(pi @ both @ s @ both @ pi),
        _norm(both @ pi @ s @ pi @ both),
        _norm(both @ np.kron(equal, case.mean) @ both),
        _norm(np.kron(equal, inner)),
        _norm(equal) * _norm(inner),
        _norm(inner),
    ]


@known.claim(
    id="interactive.lemma1_chain",
    where="app. E.4, (a) to (f)",
    kind="numerical",
    proof="proved there",
    verdict="holds",
    premises=("all read alike", "prompts from real data", "real data count"),
    statement="‖ΠRΠ‖ = ‖Δ^{+½} S̲ Δ^{+½}‖, by six equations.",
    latex=r"\lVert \Pi\mathbf R\Pi \rVert = \dots"
    r" = \lVert \Delta^{+1/2} \underline{S} \Delta^{+1/2} \rVert",
    printed=lambda case: _chain(_power(case.common, -0.5), case, 1 / case.system.models),
    remark="In (a) the text has I_K + Δ^{+½} for I_K ⊗ Δ^{+½}: a K × K and a d × d matrix. A ⊗ may "
    "have been read as a +.",
    fault="misprint",
    doubt="may be the text's extraction",
    mutations={
        "without 1/K": lambda case: _chain(_power(case.common, -0.5), case, 1.0),
        "Δ^+ for its root": lambda case: _chain(
            _power(case.common, -1.0), case, 1 / case.system.models
        ),
    },
)
def _lemma1_chain(form, trial: Trial) -> Evidence:
    found, expected = [], []
    for case in _cases(trial.rng(), trial.pick(3, 30)):
        # the same number without roots: the largest eigenvalue of S̲ relative to Δ
        relative = np.linalg.eigvals(case.mean @ systems.pinv(case.common))
        found.append(form(case))
        expected.append([float(np.abs(relative).max())] * 7)
    return identity(found, expected, 1e-8)


@known.claim(
    id="interactive.lemma1_order",
    where="app. E.4, the last step",
    kind="numerical",
    proof="stated there",
    verdict="holds",
    premises=("prompts from real data", "real data count"),
    statement="For β ≤ λ, 0 ⪯ S̲ ⪯ Δ, and so ‖Δ^{+½} S̲ Δ^{+½}‖ ≤ 1.",
    latex=r"0 \preceq \underline{S} \preceq \Delta \;\Rightarrow\;"
    r" \lVert \Delta^{+1/2} \underline{S} \Delta^{+1/2} \rVert \leq 1",
    printed=(0.0, 1.0),
    remark="This is the one place that uses β ≤ λ. For β > λ the proof ends here; its result does "
    "not (commensal.prompts_rate).",
    mutations={"β > λ": (-0.3, 1.0), "a norm of at most 0.97": (0.0, 0.97)},
)
def _lemma1_order(form, trial: Trial) -> Evidence:
    above, bound = form
    least, largest = 0.0, 0.0
    for case in _cases(trial.rng(), trial.pick(3, 30)):
        if above < 0 and case.lam < 0.6:
            case = case._replace(beta=case.lam - above)
        values = np.linalg.eigvalsh(case.common - case.mean)
        least = min(least, float(values[0]) / _norm(case.mean))
        root = _power(case.common, -0.5)
        largest = max(largest, _norm(root @ case.mean @ root))
    text = f"least eigenvalue of Δ - S̲ {least:.1e}, largest norm {largest:.6f}"
    holds = least >= -1e-9 and largest <= bound + 1e-9
    return stated(holds, text, **{"least eigenvalue": least, "largest norm": largest})
