"""Claims beyond the papers: ridge and minimum-norm regression on human and model labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from commensal.claims._claim import Register, Trial
from commensal.claims._evidence import Evidence, Panel, at_most, identity, statistical
from commensal.claims._premises import ANSWERS, FIT

known = Register()
PREMISES = (
    "Premises: one model; in each generation humans and the last model label the same features."
)


def settled(x: Any, theta: Any, ridge: float, w: float, kappa: float) -> float:
    """Return the error, with σ = 1, that matrices of all generations add up to."""
    rows, d = x.shape
    whole = np.vstack([x, np.sqrt(ridge) * np.eye(d)]) if ridge else x
    fit = np.linalg.pinv(whole)[:, :rows]
    power = (1 - w) * fit @ x
    mean, covariance = w * fit @ x @ theta, (w**2 + kappa * (1 - w) ** 2) * fit @ fit.T
    for _ in range(40):  # doublings
        mean = mean + power @ mean
        covariance = covariance + power @ covariance @ power.T
        power = power @ power
    return float(((mean - theta) ** 2).sum() + np.trace(covariance))


def error(s: Any, signal: Any, ridge: float, w: float, kappa: float) -> Any:
    """Return the error in closed form, by eigenvalues s of XᵀX and θ² along their vectors."""
    whole = np.where(s + ridge > 0, s + ridge, 1)
    h = s / whole
    x = (1 - w) * h
    variance = h / whole * (w**2 + kappa * (1 - w) ** 2) / (1 - x**2)
    return (signal * ((1 - h) / (1 - x)) ** 2 + variance).sum()


def drawn(rng: np.random.Generator) -> tuple[Any, Any]:
    """Return features and a true parameter."""
    rows, d = rng.integers(1, 7, 2)
    return rng.standard_normal((rows, d)), rng.standard_normal(d)


def modes(x: Any, theta: Any) -> tuple[Any, Any]:
    """Return eigenvalues of XᵀX, and θ² along their vectors."""
    s, vectors = np.linalg.eigh(x.T @ x)
    return np.where(s > 1e-12 * s[-1], s, 0.0), (vectors.T @ theta) ** 2


@known.claim(
    id="commensal.ridge_mixing",
    where="new here; fresh.ridge_error",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *ANSWERS,
        "linear least squares",
        "one model",
        "same features",
        "fixed prompts",
        "fresh human data",
        "last generation only",
    ),
    statement="Ridge regression on a mix of human labels and labels of the last model settles at "
    f"an error that is a sum over the eigenvectors of XᵀX. {PREMISES}",
    latex=r"\sum_i \theta_i^2 \Big(\frac{1-h_i}{1-x_i}\Big)^2 + \sigma^2 \sum_i "
    r"\frac{h_i^2}{s_i}\,\frac{w^2+\kappa(1-w)^2}{1-x_i^2}, \quad "
    r"h_i = \frac{s_i}{s_i+\lambda}, \; x_i = (1-w)h_i",
    printed=error,
    remark="Exact for given features of any rank; arXiv 2509.22341 (read as an abstract) has such "
    "a mix in the limit of many dimensions. λ = 0 is the minimum-norm solution.",
    mutations={
        "bias of human labels alone": lambda s, signal, ridge, w, kappa: (
            error(s, signal, ridge, w, kappa)
            - error(s, signal, ridge, w, 0 * kappa)
            + error(s, signal, ridge, 1.0, 0 * kappa)
        ),
        "no penalty": lambda s, signal, ridge, w, kappa: error(s, signal, 0.0, w, kappa),
        "1.01 κ": lambda s, signal, ridge, w, kappa: error(s, signal, ridge, w, 1.01 * kappa),
    },
)
def _ridge_mixing(form: Any, trial: Trial) -> Evidence:
    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(10, 100)):
        x, theta = drawn(rng)
        ridge, w = rng.choice([0.0, 0.3, 5.0]), rng.uniform(0.1, 0.95)
        kappa = rng.uniform(0.2, 5)
        expected.append(settled(x, theta, ridge, w, kappa))
        found.append(form(*modes(x, theta), ridge, w, kappa))
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-9, len(found))


def least_weight(kappa: float) -> float:
    """Return the weight of human labels below which none is best."""
    return kappa / (1 + kappa)


@known.claim(
    id="commensal.ridge_weight",
    where="new here; fresh.best_ridge_weight",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *ANSWERS,
        "linear least squares",
        "one model",
        "same features",
        "fixed prompts",
        "fresh human data",
        "last generation only",
    ),
    statement="Whatever the features, θ and the penalty are, human labels deserve at least the "
    f"weight κ/(1+κ), one half where a model's labels are as noisy as a human's. {PREMISES}",
    latex=r"w^* \ge \frac{\kappa}{1+\kappa}",
    printed=least_weight,
    remark="With u = 1 - w the bias only grows with u, and of the variance (w² + κu²)/(1 - h²u²) "
    "the numerator is least at w = κ/(1+κ) while the denominator falls with u. The bound is "
    "approached as λ → ∞ and θ → 0. Without a penalty w* is the golden ratio's, whatever the "
    "features. The abstract of arXiv 2509.22341 says both for many dimensions.",
    mutations={
        "the golden ratio's": lambda kappa: (np.sqrt(kappa**2 + 4 * kappa) - kappa) / 2,
        "half more": lambda kappa: 1.5 * kappa / (1 + kappa),
    },
)
def _ridge_weight(form: Any, trial: Trial) -> Evidence:
    """Look for best weights below the bound, half of them where it is approached."""
    from scipy.optimize import minimize_scalar

    rng, worst = trial.rng(), -np.inf
    count = trial.pick(40, 400)
    for i in range(count):
        x, theta = drawn(rng)
        ridge, kappa = 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-1, 1)
        if i % 2:
            ridge, theta = 1e3 * ridge, 1e-6 * theta
        s, signal = modes(x, theta)
        best: Any = minimize_scalar(
            lambda w, s=s, signal=signal, ridge=ridge, kappa=kappa: error(
                s, signal, ridge, w, kappa
            ),
            bounds=(0.0, 1.0),
            method="bounded",
            options={"xatol": 1e-10},
        )
        worst = max(worst, float(form(kappa)) - best.x)
    # a minimum is flat: its place is known to the root of the rounding
    return at_most(worst, 1e-6, "bound less best weight", systems=count)


def tuned(lost: float, signal: float, kappa: float) -> float:
    """Return the condition of the best bias B, zero where it is met."""
    return signal * lost - kappa * (1 - lost) / np.sqrt(kappa**2 + 4 * kappa * (1 - lost) ** 2)


@known.claim(
    id="commensal.tuned_ridge",
    where="new here; fresh.tuned_ridge",
    kind="numerical",
    proof="proved here",
    verdict="holds",
    premises=(
        *ANSWERS,
        "linear least squares",
        "one model",
        "same features",
        "fixed prompts",
        "fresh human data",
        "isotropic data",
        "last generation only",
    ),
    statement="If the penalty and the weight of human labels are tuned together, the part of θ "
    f"that is lost to bias solves one equation. {PREMISES} XᵀX is a multiple of the identity.",
    latex=r"RB = \frac{\kappa(1-B)}{\sqrt{\kappa^2 + 4\kappa(1-B)^2}}, \quad "
    r"\frac{\mathrm{MSE}}{\lVert\theta\rVert^2} = B^2 + "
    r"\frac{\sqrt{\kappa^2 + 4\kappa(1-B)^2} - \kappa}{2R}",
    printed=tuned,
    remark="For given B the best weight is a golden ratio's, that of κ/(1-B)². So w* runs from the "
    "golden ratio's (much signal R) to 1 (little): with too little signal to learn from humans, "
    "models are worth nothing as teachers.",
    mutations={
        "human labels alone": lambda lost, signal, kappa: signal * lost - (1 - lost),
        "no root": lambda lost, signal, kappa: signal * lost - kappa * (1 - lost),
    },
)
def _tuned_ridge(form: Any, trial: Trial) -> Evidence:
    """Search penalty and weight for the least error, and compare it."""
    from scipy.optimize import brentq, minimize

    rng, found, expected = trial.rng(), [], []
    for _ in range(trial.pick(6, 40)):
        signal, kappa = 10 ** rng.uniform(-1.5, 2.5), 10 ** rng.uniform(-0.7, 0.7)
        # θ² = σ² = 1 along one vector of eigenvalue R
        best = minimize(
            lambda x, signal=signal, kappa=kappa: float(
                error(
                    np.array([signal]), 1.0, signal * np.exp(x[0]), 1 / (1 + np.exp(-x[1])), kappa
                )
            ),
            [-np.log(signal), 1.0],
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-15, "maxiter": 2000},
        )
        lost: Any = brentq(form, 0.0, 1.0, args=(signal, kappa), xtol=1e-14)
        size = np.sqrt(kappa**2 + 4 * kappa * (1 - lost) ** 2)
        found.append(lost**2 + (size - kappa) / (2 * signal))
        expected.append(best.fun)
    return identity(np.divide(found, expected), np.ones(len(found)), 1e-8, len(found))


def new_features(w: float, rows: int, dim: int, signal: float, kappa: float) -> float:
    """Return the error of minimum-norm fits to new Gaussian features, σ = 1."""
    seen, told = rows / dim, w**2 + kappa * (1 - w) ** 2
    missed = (1 - seen) * signal
    return (missed + rows / (dim - rows - 1) * told) / (1 - seen * (1 - w) ** 2)


@known.claim(
    id="commensal.minimum_norm",
    where="new here; fresh.minimum_norm",
    kind="statistical",
    proof="proved here",
    verdict="holds",
    premises=(
        *FIT,
        *ANSWERS,
        "one model",
        "same features",
        "Gaussian designs",
        "prompts drawn anew",
        "fresh human data",
        "last generation only",
    ),
    statement="Minimum-norm regression whose Gaussian features are drawn anew in each generation "
    "settles at a closed form, for every number of rows n and of dimensions d > n + 1. Premises: "
    "one model; humans and the last model label the same new features.",
    latex=r"\mathrm{MSE} = \frac{(1-\eta)\lVert\theta\rVert^2 + \sigma^2\frac{n}{d-n-1}(w^2 + "
    r"\kappa(1-w)^2)}{1-\eta(1-w)^2}, \quad \eta = \frac nd",
    printed=new_features,
    remark="The projection on the rows has mean η I, and E tr (XXᵀ)⁻¹ = n/(d-n-1). Unlike with the "
    "same features again and again, the best weight is not the golden ratio's.",
    mutations={
        "d - n for d - n - 1": lambda w, rows, dim, signal, kappa: (
            ((1 - rows / dim) * signal + rows / (dim - rows) * (w**2 + kappa * (1 - w) ** 2))
            / (1 - rows / dim * (1 - w) ** 2)
        ),
        "nothing forgotten": lambda w, rows, dim, signal, kappa: (
            new_features(w, rows, dim, signal, kappa)
            * (1 - rows / dim * (1 - w) ** 2)
            / (1 - (1 - w) ** 2)
        ),
    },
)
def _minimum_norm(form: Any, trial: Trial) -> Evidence:
    """Fit models to labels of new features, for several weights."""
    rng, runs = trial.rng(), trial.pick(30_000, 240_000)
    rows, dim, kappa, weights = 5, 12, 1.0, (0.3, 0.5, 0.7, 0.9)
    theta = 0.2 * rng.standard_normal(dim)
    found, errors = [], []
    for w in weights:
        model = np.zeros((runs, dim))
        for _ in range(12):  # what is left of the start is below 1e-8
            x = rng.standard_normal((runs, rows, dim))
            there = np.einsum("rnd,rd->rn", x, w * theta + (1 - w) * model)
            noise = np.sqrt(w**2 + kappa * (1 - w) ** 2)  # of both labels together
            labels = there + noise * rng.standard_normal((runs, rows))
            model = np.einsum("rnd,rn->rd", x, np.linalg.solve(x @ x.mT, labels[..., None])[..., 0])
        squares = ((model - theta) ** 2).sum(axis=1)
        found.append(squares.mean())
        errors.append(squares.std(ddof=1) / np.sqrt(runs))
    expected = [form(w, rows, dim, theta @ theta, kappa) for w in weights]
    points = [("simulated", found, errors)]
    picture = Panel(weights, [("formula", expected)], points, "weight w of human labels", "MSE")
    return statistical(
        found, expected, errors, runs, resolution=trial.resolution, pictures=(picture,)
    )
