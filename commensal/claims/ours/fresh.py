"""Claims beyond the papers: how much fresh human data, and who pays for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, identity

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
