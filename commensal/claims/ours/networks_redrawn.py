"""Claims beyond the papers: what prompts that change from one generation to the next do."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, identity
from commensal.claims._premises import FIT
from commensal.claims.ours.networks import random_grams, random_network

known = Register()


def move(w: np.ndarray, real: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    """Return Q of one generation, for real data counted in units of α."""
    k, d, _ = prompts.shape
    gram = real + np.einsum("kj,jab->kab", w, prompts)
    return np.einsum("kab,kj,jbc->kajc", np.linalg.inv(gram), w, prompts).reshape(k * d, k * d)


@known.claim(
    id="commensal.prompts_change",
    where="new here; docs/explanation/networks.md",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, "all read alike", "constant weights", "last generation only"),
    statement="If prompts change from one generation to the next no number of models bounds the "
    "growth of errors: two models that read each other alike and are asked in turn, each about "
    "the direction that the other's real data leave open and a share ε of its own, have ρ = 1 "
    "with either set of prompts, and errors that grow 1/ε-fold per generation with both in turn.",
    latex=r"\rho(Q_1) = \rho(Q_2) = 1, \qquad \rho(Q_2 Q_1)^{1/2} = \frac1\varepsilon",
    printed=lambda share: 1 / share,
    remark="What commensal.network_step forbids for fixed prompts. The model that is not asked "
    "learns its blind direction from a web that hardly shows it.",
    mutations={
        "the root": lambda share: share**-0.5,
        "the bound of fixed prompts": lambda share: (1 + 2**0.5) / 2,
        "√(1 + 1/ε²)": lambda share: (1 + share**-2) ** 0.5,
    },
)
def _prompts_change(form: Any, trial: Trial) -> Evidence:
    """Multiply the two generations, for real data that grow, and extrapolate."""
    w, blind = np.full((2, 2), 0.5), np.stack([np.diag([0.0, 1.0]), np.diag([1.0, 0.0])])
    found, expected, alone = [], [], []
    for share in (0.5, 0.2, *trial.rng().uniform(0.02, 0.9, trial.pick(5, 50))):
        line = np.outer([share, 1.0], [share, 1.0])
        turns = np.stack([np.stack([0 * line, line]), np.stack([line[::-1, ::-1], 0 * line])])
        both = []
        for size in (1e6, 2e6):
            first, second = (move(w, size * blind, x) for x in turns)
            both.append(np.abs(np.linalg.eigvals(second @ first)).max() ** 0.5)
            alone += [np.abs(np.linalg.eigvals(q)).max() for q in (first, second)]
        found.append(2 * both[1] - both[0])
        expected.append(form(share))
    each = identity(alone, np.ones(len(alone)), 1e-3).named("either alone")
    return identity(found, expected, 1e-6).named("in turn") & each


@known.claim(
    id="commensal.same_real_data",
    where="new here; docs/explanation/networks.md",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, "all read alike", "same real data", "last generation only"),
    statement="Where all models have the same real data and read the same, no prompts make errors "
    "grow, however they change: after one generation all models err alike, and from then on the "
    "error, measured on the real data, is multiplied by at most λ/(1 + λ), with λ the most that "
    "the web says in any direction relative to the real data. Public data alone (β = 0) are such a "
    "case, and so is a single model.",
    latex=r"\lVert R^{1/2} \delta_{t+1} \rVert \leq \frac{\lambda}{1+\lambda} "
    r"\lVert R^{1/2} \delta_t \rVert, \quad \lambda = \lambda_{\max}(R^{-1/2} \alpha M_t R^{-1/2})",
    printed=lambda size: size / (1 + size),
    remark="δ_{t+1} = (R + αM)⁻¹ αM δ_t: a symmetric matrix between 0 and I where R = I.",
    mutations={
        "λ/(2 + λ)": lambda size: size / (2 + size),
        "root of λ/(1 + λ)": lambda size: (size / (1 + size)) ** 0.5,
        "1": lambda size: 1.0,
    },
)
def _same_real_data(form: Any, trial: Trial) -> Evidence:
    """Compare with the norm of one generation's map, in coordinates in which R is the identity."""
    rng, found, expected, apart = trial.rng(), [], [], 0.0
    for _ in range(trial.pick(40, 400)):
        k, d = int(rng.integers(1, 6)), int(rng.integers(1, 5))
        w = np.broadcast_to(rng.dirichlet(np.ones(k)), (k, k))
        prompts = random_grams(rng, k, d, int(rng.integers(1, d + 1)))
        real = random_grams(rng, 1, d, d + 1)
        values, vectors = np.linalg.eigh(real[0])
        q = move(w, np.repeat(real, k, axis=0), prompts).reshape(k, d, k, d)
        apart = max(apart, np.abs(q - q[:1]).max())
        # one and the same error of all models
        root = vectors * np.sqrt(values)
        shared = root.T @ q[0].sum(axis=1) @ np.linalg.inv(root.T)
        web = np.linalg.inv(root) @ np.einsum("j,jab->ab", w[0], prompts) @ np.linalg.inv(root).T
        found.append(np.linalg.norm(shared, 2))
        expected.append(form(np.linalg.eigvalsh(web)[-1]))
    same = at_most(apart, 1e-9, "difference between models")
    return identity(found, expected, 1e-7, len(found)) & same


@known.claim(
    id="commensal.redrawn_mean",
    where="new here; docs/explanation/networks.md",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        "all read alike",
        "constant weights",
        "full-rank Gram matrices",
        "prompts drawn anew",
        "no preferred direction",
        "last generation only",
    ),
    statement="If everybody reads everybody alike and prompts are drawn anew in each generation, "
    "alike for all models and with no preferred direction, the mean error never grows, whatever "
    "the real data: ρ(E Q) ≤ 1, where fixed prompts allow (1 + √K)/2. (Its typical size may still "
    "grow.) Premise: real data of full rank.",
    latex=r"E Q_{kj} = \frac1K \big(I - E[G_k^{-1}] R_k\big), \quad 0 \preceq E Q_{kj} \preceq "
    r"\frac1K I, \quad \rho(E Q) \leq 1",
    printed=lambda k: 1.0,
    remark="E[G⁻¹] shares the eigenvectors of R, since turning the prompts changes no law, and is "
    "at most R⁻¹, since R ⪯ G.",
    mutations={
        "the bound of fixed prompts": lambda k: (1 + k**0.5) / 2,
        "0.8": lambda k: 0.8,
        "1/K": lambda k: 1 / k,
    },
)
def _redrawn_mean(form: Any, trial: Trial) -> Evidence:
    """Average over a fine ring of single prompts for two models in the plane, by quadrature."""
    rng, radii, asymmetry = trial.rng(), [], 0.0
    angles = 2 * np.pi * np.arange(512) / 512
    x = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    lines = x[:, :, None] * x[:, None, :]
    for size in (0.003, *10 ** rng.uniform(-2, 1, trial.pick(5, 30))):
        real = size * (random_grams(rng, 2, 2, 2) + np.eye(2))
        gram = real[:, None, None] + (lines[:, None] + lines) / 2
        inverse = np.linalg.inv(gram)
        first = np.einsum("kijab,ibc->kac", inverse, lines) / 2 / angles.size**2
        second = np.einsum("kijab,jbc->kac", inverse, lines) / 2 / angles.size**2
        mean = np.concatenate([np.concatenate(list(q)) for q in (first, second)], axis=1)
        radii.append(np.abs(np.linalg.eigvals(mean)).max())
        asymmetry = max(asymmetry, np.abs(first - first.mT).max(), np.abs(first - second).max())
    bound = at_most(max(radii), form(2) * (1 + 1e-9), "ρ(E Q)").named("bound")
    near = at_most(form(2) - max(radii), 0.2, "1 - ρ(E Q), little real data").named("near")
    return bound & near & at_most(asymmetry, 1e-9, "asymmetry of E Q_kj").named("asymmetry")


@known.claim(
    id="commensal.redrawn_bound",
    where="new here; regression.mean_square_radius",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, "prompts drawn anew", "last generation only"),
    statement="If each generation is drawn anew from a law of prompts, the root mean square error "
    "grows by √ρ(E Q⊗Q) per generation, and the error of almost every course by no more. Premise: "
    "draws are independent.",
    latex=r"\big(E \lVert Q_t \cdots Q_1 \rVert^2\big)^{1/2t} \to \sqrt{\rho(E\, Q \otimes Q)} "
    r"\geq e^\gamma",
    printed=lambda steps: (
        np.abs(np.linalg.eigvals(np.mean([np.kron(q, q) for q in steps], axis=0))).max() ** 0.5
    ),
    remark="Jensen's inequality, after E vec(ΔΔᵀ) ← E(Q⊗Q) vec(ΔΔᵀ).",
    mutations={
        "ρ(E Q)": lambda steps: np.abs(np.linalg.eigvals(np.mean(steps, axis=0))).max(),
        "the root mean square of ρ(Q)": lambda steps: (
            np.mean([np.abs(np.linalg.eigvals(q)).max() ** 2 for q in steps]) ** 0.5
        ),
        "1.02 times": lambda steps: (
            1.02
            * np.abs(np.linalg.eigvals(np.mean([np.kron(q, q) for q in steps], axis=0))).max()
            ** 0.5
        ),
    },
)
def _redrawn_bound(form: Any, trial: Trial) -> Evidence:
    """Step second moments by hand, and follow single courses, between two sets of prompts."""
    rng, found, expected, excess = trial.rng(), [], [], -np.inf
    for _ in range(trial.pick(6, 40)):
        k, d = int(rng.integers(2, 4)), 2
        w, real = random_network(rng, k), random_grams(rng, k, d, 1) * 10 ** rng.uniform(0, 3)
        real += 1e-3 * np.eye(d)
        steps = np.stack([move(w, real, random_grams(rng, k, d, 1)) for _ in range(2)])
        spread, growth = np.eye(k * d), 0.0
        for _ in range(5000):
            spread = sum(q @ spread @ q.T for q in steps) / 2
            growth, spread = np.trace(spread), spread / np.trace(spread)
        found.append(growth**0.5)
        expected.append(form(steps))
        errors, logs = rng.standard_normal((50, k * d)), []
        for _ in range(trial.pick(400, 2000)):
            errors = np.einsum("nab,nb->na", steps[rng.integers(2, size=50)], errors)
            sizes = np.linalg.norm(errors, axis=1)
            errors /= sizes[:, None]
            logs.append(np.log(sizes))
        each = np.mean(logs[100:], axis=0)
        # five standard errors over 50 courses
        low = each.mean() - 5 * each.std(ddof=1) / 50**0.5
        excess = max(excess, low - np.log(form(steps)))
    grows = identity(found, expected, 1e-6, len(found))
    return grows & at_most(excess, 1e-9, "γ less 5 standard errors, above the bound")
