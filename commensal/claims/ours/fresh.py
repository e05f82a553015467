"""Claims beyond the papers: how much fresh human data, and who pays for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity
from commensal.claims._premises import ANSWERS, FIT, UNIFORM

known = Register()
CASES = [(k, kappa) for k in (1, 2, 4, 16) for kappa in (0.2, 1.0, 5.0)]
PREMISES = "Premises: one number is estimated, everybody reads all posts, all weights are alike."


def settled(w: float | int, k: int, kappa: float, shared: bool) -> float:
    """Iterate the covariance of K estimates until it settles; return its mean diagonal."""
    human = np.ones((k, k)) if shared else np.eye(k)
    reads = (1 - w) * np.full((k, k), 1 / k)
    covariance = w**2 * human + kappa * reads @ reads.T
    for _ in range(60):  # squarings: 2^60 generations
        covariance = covariance + reads @ covariance @ reads.T
        reads = reads @ reads
    return float(np.trace(covariance) / k)


def error(w: Any, k: float | int, kappa: float, shared: bool) -> Any:
    """Return the stationary error in closed form."""
    if shared:
        return (w**2 + kappa / k * (1 - w) ** 2) / (w * (2 - w))
    return (w**2 + kappa * (1 - w) ** 2) / (k * w * (2 - w)) + w**2 * (1 - 1 / k)


@known.claim(
    id="commensal.fresh_error",
    where="new here; fresh.stationary_error",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "one number",
        "fresh human data",
        "last generation only",
        "all read alike",
        "models weigh alike",
    ),
    statement="With a weight w of fresh human data in every generation the error of K models that "
    f"read each other settles at a closed form. {PREMISES}",
    latex=r"V_{own} = \frac{w^2 + \kappa(1-w)^2}{K(1-(1-w)^2)} + w^2\Big(1 - \frac1K\Big), \quad "
    r"V_{shared} = \frac{w^2 + (\kappa/K)(1-w)^2}{1-(1-w)^2}",
    printed=error,
    remark="The web's error m obeys m = w²/K + (1-w)²(m + κ/K) if each has its own human data.",
    mutations={
        "human data of one": lambda w, k, kappa, shared: error(w, k, kappa, True),
        "posts not averaged": lambda w, k, kappa, shared: error(w, k, kappa * k, shared),
        "1.01 times": lambda w, k, kappa, shared: 1.01 * error(w, k, kappa, shared),
    },
)
def _fresh_error(form: Any, trial: Trial) -> Evidence:
    cases = [
        (w, k, kappa, shared)
        for k, kappa in CASES
        for w in trial.rng().uniform(0.02, 0.98, trial.pick(2, 20))
        for shared in (False, True)
    ]
    ratios = [form(*case) / settled(*case) for case in cases]
    return identity(ratios, np.ones(len(ratios)), 1e-9, len(ratios))


def lacking(w: float | int, k: float | int, kappa: float, shared: bool) -> float:
    """Return the condition of the best weight, zero where it is met."""
    if shared:
        return w**2 + kappa / k * w - kappa / k
    return (k - 1) * w**3 * (2 - w) ** 2 + w**2 + kappa * w - kappa


@known.claim(
    id="commensal.fresh_best_weight",
    where="new here; fresh.best_weight",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "one number",
        "fresh human data",
        "last generation only",
        "all read alike",
        "models weigh alike",
    ),
    statement="The best weight of fresh human data is the golden ratio's with κ/K if all share "
    f"them, and the root of a quintic if each has its own. {PREMISES}",
    latex=r"w^2 + \tfrac{\kappa}{K} w = \tfrac{\kappa}{K} \;\text{(shared)}; \quad "
    r"(K-1)w^3(2-w)^2 + w^2 + \kappa w = \kappa \;\text{(own)}",
    printed=lacking,
    remark="For K = 1 and κ = 1 it is 0.618 (arXiv 2502.18049, read as an abstract). With data of "
    "their own w* falls as (κ/(4K))^⅓ and the error as 3 (κ/(4K))^⅔.",
    mutations={
        "own as shared": lambda w, k, kappa, shared: lacking(w, k, kappa, True),
        "K for K - 1": lambda w, k, kappa, shared: lacking(w, k + 1, kappa, shared),
    },
)
def _fresh_best_weight(form: Any, trial: Trial) -> Evidence:
    """Look for the least error by halving intervals, and ask the condition there."""
    from scipy.optimize import brentq, minimize_scalar

    found, expected = [], []
    for k, kappa in CASES:
        for shared in (False, True):
            best: Any = minimize_scalar(
                lambda w, k=k, kappa=kappa, shared=shared: settled(w, k, kappa, shared),
                bounds=(1e-3, 1 - 1e-6),
                method="bounded",
                options={"xatol": 1e-10},
            )
            root: Any = brentq(form, 1e-9, 1, args=(k, kappa, shared))
            found.append(root)
            expected.append(best.x)
    # a minimum is flat: its place is known to the root of the rounding
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-6, len(found))


def selfish(w: float | int, k: float | int, kappa: float) -> float:
    """Return the condition of weights that each model chooses for itself."""
    return (k - 1) * w**3 - (2 * k - 1) * w**2 - kappa * w + kappa


@known.claim(
    id="commensal.tragedy_of_the_web",
    where="new here; fresh.human_effort",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        "one number",
        "fresh human data",
        "last generation only",
        "all read alike",
        "models weigh alike",
        "many models",
    ),
    statement="Models that each choose how much human data of their own to use, taking the web as "
    f"it is, use too little, and the loss grows as the sixth root of K. {PREMISES}",
    latex=r"(K-1)w^3 - (2K-1)w^2 - \kappa w + \kappa = 0, \quad V = w",
    printed=selfish,
    remark="Given a web of error U the best is w = U/(1+U). Errors fall as (κ/(2K))^½, as "
    "3 (κ/(4K))^⅔ if planned and as 1/K if human data are pooled.",
    mutations={
        "K for K - 1": lambda w, k, kappa: selfish(w, k + 1, kappa),
        "as planned": lambda w, k, kappa: -lacking(w, k, kappa, False),
    },
)
def _tragedy(form: Any, trial: Trial) -> Evidence:
    """Let models answer the web that they made, again and again."""
    from scipy.optimize import brentq

    found, expected = [], []
    for k, kappa in [case for case in CASES if case[0] > 1]:
        w = 0.5
        for _ in range(trial.pick(400, 4000)):
            own = settled(w, k, kappa, False)
            web = (own - w**2) / (1 - w) ** 2  # of the posts' mean, noise of posting included
            w = 0.5 * w + 0.5 * web / (1 + web)
        root: Any = brentq(form, 1e-9, 1, args=(k, kappa))
        found.append(root)
        expected.append(w)
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-9, len(found))


def of_each(told: Any) -> Any:
    """Return what fresh human responses of each model's own add to the covariance of the web."""
    return np.einsum("kab,kcb->ac", told, told)


@known.claim(
    id="commensal.own_humans",
    where="new here; regression.RegressionWorkflow(human_data='own')",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*FIT, *ANSWERS, "fresh human data", "all read alike", "last generation only"),
    statement="If each model collects its own fresh human data, of the same Gram matrix, means and "
    "ρ(Q) stay as with shared ones; what the data add to the web is a sum of squares in place of "
    "the square of a sum. Premises: linear models; everybody reads everything.",
    latex=r"W = A W A^\top + N + \sum_k T_k T_k^\top, \quad "
    r"T_k = \tfrac{\alpha\varphi}{K} S_k G_k^+ F^{1/2} \quad "
    r"\text{(shared: } \textstyle(\sum_k T_k)(\sum_k T_k)^\top \text{)}",
    printed=of_each,
    remark="Neither is always the larger: errors that all models share cancel where models use the "
    "same data in opposite ways.",
    mutations={
        "as shared": lambda told: told.sum(axis=0) @ told.sum(axis=0).T,
        "mean for sum": lambda told: of_each(told) / len(told),
        "1.01 times": lambda told: 1.01 * of_each(told),
    },
)
def _own_humans(form: Any, trial: Trial) -> Evidence:
    """Iterate all K d numbers of random systems, each with human noise of its own."""
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(3, 20)):
        k, d = (int(x) for x in rng.integers(2, 5, 2))
        alpha, beta, phi = rng.uniform(0.3, 0.8, 3)
        rows = rng.standard_normal((3, k, d + 2, d))
        private, synthetic, others = rows.mT @ rows
        public, human, root = others[0], others[1], np.linalg.cholesky(others[1])
        new = (1 - phi) * synthetic.mean(axis=0) + phi * human
        real = beta * private + (1 - beta) * public
        inverse = np.linalg.inv((1 - alpha) * real + alpha * new)
        # all together
        web, fresh = alpha * (1 - phi) / k, alpha * phi
        rate = np.einsum("kab,jbc->kajc", web * inverse, synthetic).reshape(k * d, -1)
        noise = web**2 * np.einsum("kab,bc,lcd->kald", inverse, synthetic.sum(axis=0), inverse)
        for i in range(k):
            noise[i, :, i] += fresh**2 * inverse[i] @ human @ inverse[i]
        whole = noise.reshape(k * d, -1)
        if np.abs(np.linalg.eigvals(rate)).max() > 0.95:
            continue
        for _ in range(12):  # doublings
            whole, rate = whole + rate @ whole @ rate.T, rate @ rate
        # in d dimensions
        step = alpha * (1 - phi) / k * (synthetic @ inverse).sum(axis=0)
        told = fresh / k * synthetic @ inverse @ root
        said = form(told) + synthetic.sum(axis=0) / k**2
        for _ in range(12):
            said, step = said + step @ said @ step.T, step @ step
        inside = (alpha * (1 - phi)) ** 2 * said + fresh**2 * human
        found.append(inverse @ inside @ inverse)
        expected.append(
            np.stack([whole[i * d : (i + 1) * d, i * d : (i + 1) * d] for i in range(k)])
        )
    return identity(found, expected, 1e-9, len(found))


def isotropic(r: float, q: float, k: int, real: tuple[float, float, float], shared: bool) -> float:
    """Return MSE/(σ²d) where private, public, synthetic and human Gram matrices are I."""
    a, b, _ = real
    settled = (a**2 / k + b**2) / (1 - r) ** 2 + (1 - 1 / k) * a**2
    if shared:
        return settled + (r**2 / k + q**2) / (1 - r**2)
    return settled + (r**2 + q**2) / (k * (1 - r**2)) + (1 - 1 / k) * q**2


@known.claim(
    id="commensal.isotropic_own_humans",
    where="new here; regression.isotropic_network(human_share=...)",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*UNIFORM, *ANSWERS, "isotropic data", "fresh human data"),
    statement="With isotropic data and a share of fresh human data the error has a closed form, "
    "for human data that all share and for data of each model's own. Premises: all Gram matrices "
    "are the identity; everybody reads everything.",
    latex=r"\frac{\mathrm{MSE}}{\sigma^2 d} = \frac{a^2/K + b^2}{(1-r)^2} + "
    r"\Big(1 - \frac1K\Big) a^2 + \begin{cases} \frac{r^2/K + q^2}{1-r^2} & \text{shared} \\ "
    r"\frac{r^2 + q^2}{K(1-r^2)} + \big(1 - \frac1K\big) q^2 & \text{own} \end{cases}",
    printed=isotropic,
    remark="a, b, r, q are the weights of private, public, model-written and human data in what a "
    "model learns from. Here own human data are never worse than shared ones.",
    mutations={
        "own as shared": lambda r, q, k, real, shared: isotropic(r, q, k, real, True),
        "no private residue": lambda r, q, k, real, shared: (
            isotropic(r, q, k, real, shared) - (1 - 1 / k) * real[0] ** 2
        ),
        "1.01 q": lambda r, q, k, real, shared: isotropic(r, 1.01 * q, k, real, shared),
    },
)
def _isotropic_own_humans(form: Any, trial: Trial) -> Evidence:
    """Solve for the part of real data in K estimates, and double that of new data."""
    rng, found, expected = trial.rng(), [], []
    for k in (1, 2, 5):
        for shared in (True, False):
            for _ in range(trial.pick(5, 50)):
                alpha, beta, phi = rng.uniform(0.05, 0.95, 3)
                a, b = (1 - alpha) * beta, (1 - alpha) * (1 - beta)
                r, q = alpha * (1 - phi), alpha * phi
                reads = r * np.full((k, k), 1 / k)
                private = np.linalg.solve(np.eye(k) - reads, a * np.eye(k))
                public = np.linalg.solve(np.eye(k) - reads, np.full((k, 1), b))
                new = reads @ reads.T + q**2 * (np.ones((k, k)) if shared else np.eye(k))
                for _ in range(12):
                    new, reads = new + reads @ new @ reads.T, reads @ reads
                expected.append(np.trace(private @ private.T + public @ public.T + new) / k)
                found.append(form(r, q, k, (a, b, alpha), shared))
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-9, len(found))


def rising(r: float, whole: float, kept: float, k: int, shared: bool) -> float:
    """Return the sign of the slope of the isotropic error in the weight r of the web."""
    if shared:
        fresh = r * (1 + 1 / k + whole**2) - whole * (1 + r**2)
        return kept * (1 + r) ** 2 + (1 - r) * fresh
    fresh = r * (2 + whole**2) - whole * (1 + r**2)
    fresh -= (k - 1) * (whole - r) * (1 - r**2) ** 2
    return k * kept * (1 + r) ** 2 + (1 - r) * fresh


@known.claim(
    id="commensal.isotropic_human_share",
    where="new here; regression.isotropic_human_share",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(*UNIFORM, *ANSWERS, "isotropic data", "fresh human data", "rich human data"),
    statement="With isotropic data the best share of fresh human data follows from the only root "
    "of a polynomial; it is 1, no model-written data at all, where there is no root. Premises: "
    "human data are as rich as the web's; everybody reads everything.",
    latex=r"\varphi^* = 1 - r/r_0, \quad A(1+r)^2 + (1-r)\big[r(1 + \tfrac1K + r_0^2) - "
    r"r_0(1+r^2)\big] = 0 \;\text{(shared)}; \quad KA\tfrac{(1+r)^2}{1-r} + r(2+r_0^2) - "
    r"r_0(1+r^2) - (K-1)(r_0-r)(1-r^2)^2 = 0 \;\text{(own)}",
    printed=rising,
    remark="r0 is the weight of all new data and A = a²/K + b² what real data leave open. There is "
    "no root in (0, r0) where A ≥ r0: where real data tell enough, only human data may be added. "
    "For other Gram matrices the error may have several minima.",
    mutations={
        "own as shared": lambda r, whole, kept, k, shared: rising(r, whole, kept, k, True),
        "K for K - 1": lambda r, whole, kept, k, shared: rising(r, whole, kept, k + 1, shared),
        "no real data": lambda r, whole, kept, k, shared: rising(r, whole, 0.0, k, shared),
    },
)
def _isotropic_human_share(form: Any, trial: Trial) -> Evidence:
    """Look for the least error of the closed form by halving intervals."""
    from scipy.optimize import brentq, minimize_scalar

    rng, found, expected = trial.rng(), [], []
    for k in (2, 3, 8):
        for shared in (True, False):
            for _ in range(trial.pick(3, 15)):
                alpha, beta = rng.uniform(0.2, 0.95, 2)
                real = ((1 - alpha) * beta, (1 - alpha) * (1 - beta), alpha)
                kept = real[0] ** 2 / k + real[1] ** 2
                best: Any = minimize_scalar(
                    lambda r, k=k, real=real, shared=shared, alpha=alpha: isotropic(
                        r, alpha - r, k, real, shared
                    ),
                    bounds=(0.0, alpha),
                    method="bounded",
                    options={"xatol": 1e-12},
                )
                ends = [form(r, alpha, kept, k, shared) for r in (0.0, alpha)]
                root: Any = 0.0
                if ends[0] * ends[1] < 0:
                    root = brentq(form, 0.0, alpha, args=(alpha, kept, k, shared))
                found.append(1 - root / alpha)
                expected.append(1 - best.x / alpha)
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-6, len(found))
