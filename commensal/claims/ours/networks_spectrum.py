"""Claims beyond the papers: where the eigenvalues of a reading network lie, complex ones too."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, at_most, identity
from commensal.claims._premises import SYSTEM, UNIFORM
from commensal.claims.ours.networks import (
    growth,
    longest,
    random_grams,
    random_network,
    random_system,
    rates,
)

known = Register()


def from_foci(mu: Any) -> Any:
    """Return |μ| + |1 - μ|, the sum of the distances of μ from 0 and 1."""
    return np.abs(mu) + np.abs(1 - mu)


@known.claim(
    id="commensal.network_ellipse",
    where="new here; docs/explanation/networks.md",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*SYSTEM, "each rereads itself"),
    statement="Whatever is published and whatever the real data, all eigenvalues of a reading "
    "network lie in the ellipse with foci 0 and 1 whose long axis is √Λ, and each point of its "
    "rim is approached by some data. So nothing turns or flips as fast as errors can grow: "
    "imaginary parts are at most √(Λ - 1)/2, negative eigenvalues at least (1 - √Λ)/2. Premises: "
    "fixed prompts, and each model that is read reads itself.",
    latex=r"|\mu| + |1 - \mu| \leq \sqrt\Lambda, \quad "
    r"\Lambda = \rho\big(\mathrm{diag}(W)^{-1} W\big)",
    printed=lambda mu, w: from_foci(mu) / np.sqrt(growth(w)),
    remark="The proof of commensal.network_bound with one thing more: z_k* G_k z_k is real, so "
    "that μ z_k* G_k z_k/α may be turned by any factor (1 + iτ)/e^{iφ} before its real part "
    "is taken.",
    mutations={
        "the disc about ½": lambda mu, w: np.abs(2 * mu - 1) / np.sqrt(growth(w)),
        "0.97 √Λ": lambda mu, w: from_foci(mu) / (0.97 * np.sqrt(growth(w))),
        "as if all read alike": lambda mu, w: from_foci(mu) / np.sqrt(len(w)),
    },
)
def _network_ellipse(form: Any, trial: Trial) -> Evidence:
    """Try random systems, and the family that comes to a given point of the rim."""
    rng, highest, reached = trial.rng(), 0.0, []
    for _ in range(trial.pick(150, 3000)):
        w, real, prompts = random_system(rng)
        highest = max(highest, form(rates(w, real, prompts), w).max())
    for _ in range(trial.pick(20, 200)):
        k, angle = int(rng.integers(2, 6)), rng.uniform(0.2, np.pi - 0.2)
        w = random_network(rng, k)
        values, vectors = np.linalg.eig(w / np.diag(w)[:, None])
        top = np.real(values).argmax()
        r, long = np.sqrt(np.abs(np.real(vectors[:, top]))), np.sqrt(np.real(values[top]))
        rim = (1 + long * np.cos(angle) + 1j * np.sqrt(long**2 - 1) * np.sin(angle)) / 2
        away = np.abs(1 - rim)
        turn = away / (np.conj(rim) * away - np.abs(rim) * np.conj(1 - rim))
        rows = turn * r[:, None] / r
        np.fill_diagonal(rows, 1)
        # model k writes along one complex axis, and knows all axes but its own
        axis = np.stack([np.hstack([rows.real, rows.imag]), np.hstack([-rows.imag, rows.real])])
        prompts = np.einsum("ika,ikb->kab", axis, axis)
        own = np.arange(2 * k) % k == np.arange(k)[:, None]
        blind = np.eye(2 * k) * ~own[:, :, None]
        size = 1e4 * prompts.max()
        one, two = (rates(w, c * blind, prompts) for c in (size, 2 * size))
        one, two = (x[np.abs(x - rim).argmin()] for x in (one, two))
        reached.append(form(2 * two - one, w))
    tight = identity(reached, np.ones(len(reached)), 1e-5, len(reached))
    return tight & at_most(highest, 1 + 1e-9, "of random systems, of the bound")


@known.claim(
    id="commensal.dimension_bound",
    where="new here; docs/explanation/networks.md",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=UNIFORM,
    statement="More models than directions add nothing to the growth that is possible: if all "
    "read all alike, errors grow by at most (1 + √min(K, d))/2 per generation, with d the "
    "number of directions that are published. No smaller bound will do if d ≥ K, or d divides K. "
    "Premise: fixed prompts.",
    latex=r"\rho(Q) \leq \frac{1 + M}{2}, \quad M^2 \leq \frac1K \sum_k \lVert T_k \rVert "
    r"\leq \min(K, d)",
    printed=lambda k, d: np.sqrt(min(k, d)),
    remark="‖T_k v‖² ≤ ‖T_k‖ vᵀT_k v; by Cauchy and Schwarz M² ≤ (1/K) Σ‖T_k‖, and ‖T_k‖ ≤ tr T_k, "
    "whose mean is d.",
    mutations={
        "0.97 times": lambda k, d: 0.97 * np.sqrt(min(k, d)),
        "√K": lambda k, d: np.sqrt(k),
        "√d": lambda k, d: np.sqrt(d),
    },
)
def _dimension_bound(form: Any, trial: Trial) -> Evidence:
    """Try random prompts, and models that each write along one axis."""
    rng, highest, found, expected = trial.rng(), 0.0, [], []
    for _ in range(trial.pick(10, 200)):
        k, d = int(rng.integers(2, 8)), int(rng.integers(1, 5))
        raw = random_grams(rng, k, d, 1) + 1e-9 * np.eye(d)
        values, vectors = np.linalg.eigh(raw.mean(axis=0))
        whiten = vectors / np.sqrt(values)
        highest = max(highest, longest(whiten.T @ raw @ whiten, rng)[0] / form(k, d))
    for k, d in ((2, 2), (6, 2), (6, 3), (9, 3), (3, 5)):
        axes = np.eye(d)[np.arange(k) % d]
        t = axes[:, :, None] * axes[:, None, :]
        # directions that nobody publishes do not count
        t = t[:, : min(k, d), : min(k, d)] / (1 / min(k, d))
        found.append(longest(t, rng)[0])
        expected.append(form(k, d))
    tight = identity(found, expected, 1e-6)
    return tight & at_most(highest, 1 + 1e-9, "M of random prompts, of the bound")


def growths(p: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return z_k'(Pz)_k/‖z_k‖² of each model."""
    heard = np.einsum("kajb,jb->ka", p, z)
    return (z * heard).sum(axis=1) / (z**2).sum(axis=1)


@known.claim(
    id="commensal.network_design",
    where="new here; regression.design_bound",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*SYSTEM, "real eigenvalue"),
    statement="On a network with given prompts, estimates z can be made to grow as μz by some real "
    "data if and only if μ is at most the least of z_k'(Pz)_k/‖z_k‖² over the models; so the "
    "largest real growth is the maximum of that over z. Premise: fixed prompts.",
    latex=r"\max_{\text{real data}} \mu = "
    r"\max_z \min_k \frac{z_k^\top (Pz)_k}{\lVert z_k\rVert^2}, "
    r"\quad P_{kj} = W_{kj} M_k^{-1/2} S_j M_j^{-1/2}",
    printed=lambda each: each.min(),
    remark="{Dh : 0 ⪯ D ⪯ I} is the ball whose diameter runs from 0 to h. The numerical radius of "
    "P, scaled block by block, bounds it: exactly for two models (Dines), not in general "
    "for three: three models that write along axes 120° apart and read all alike reach 7/6 and are "
    "bounded by (1 + √2)/2.",
    mutations={
        "the largest": lambda each: each.max(),
        "the mean": lambda each: each.mean(),
        "0.97 times": lambda each: 0.97 * each.min(),
    },
)
def _network_design(form: Any, trial: Trial) -> Evidence:
    """Build D_k for random z at that growth, and see that none does for more."""
    rng, wrong, excess, count = trial.rng(), 0.0, [], 0
    while count < trial.pick(60, 600):
        k, d = int(rng.integers(2, 5)), int(rng.integers(2, 4))
        w, prompts = random_network(rng, k), random_grams(rng, k, d, d)
        values, vectors = np.linalg.eigh(np.einsum("kj,jab->kab", w, prompts))
        roots = (vectors / np.sqrt(values)[:, None]) @ vectors.mT
        p = np.einsum("kj,kab,jbc,jcd->kajd", w, roots, prompts, roots)
        z = rng.standard_normal((k, d))
        if growths(p, z).min() <= 0:
            continue
        count += 1
        mu = form(growths(p, z))
        heard = np.einsum("kajb,jb->ka", p, z)
        # the least ‖2D - I‖ that turns h into μz; at most one exactly for D between 0 and I
        needed = np.linalg.norm(2 * mu * z - heard, axis=1) / np.linalg.norm(heard, axis=1)
        excess.append(needed.max())
        # twice D - I is then a multiple of a reflection, which is symmetric
        steps = 2 * mu * z - heard
        size = np.linalg.norm(steps, axis=1) / np.linalg.norm(heard, axis=1)
        normal = heard - steps / size[:, None]
        mirror = np.eye(d) - 2 * np.einsum("ka,kb->kab", normal, normal) / np.einsum(
            "ka,ka->k", normal, normal
        ).reshape(-1, 1, 1)
        deaf = (np.eye(d) + size[:, None, None] * mirror) / 2
        grown = np.einsum("kab,kbjc,jc->ka", deaf, p, z)
        wrong = max(wrong, np.abs(grown - mu * z).max() / np.abs(z).max())
    exact = identity(excess, np.ones(len(excess)), 1e-9, len(excess))
    return exact & at_most(wrong, 1e-9, "difference of the grown estimates from μz")
