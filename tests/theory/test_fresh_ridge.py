"""Ridge and minimum-norm regression on labels of humans and of the last model."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize

from commensal.theory import fresh

GOLDEN = (np.sqrt(5) - 1) / 2


def features(rng, rows, dim):
    return rng.standard_normal((rows, dim)) * np.geomspace(0.3, 2, dim)


def fitted(x, ridge):
    """(XᵀX + λ)⁺Xᵀ by an augmented pseudo-inverse, without an eigendecomposition of XᵀX."""
    rows, dim = x.shape
    whole = np.vstack([x, np.sqrt(ridge) * np.eye(dim)]) if ridge else x
    return np.linalg.pinv(whole)[:, :rows]


def settled(weight, x, theta, ridge, noise, kappa, generations=400):
    """Squared bias and variance, generation by generation, as matrices."""
    fit, again = fitted(x, ridge), (1 - weight) * fitted(x, ridge) @ x
    mean, covariance = np.zeros(len(theta)), np.zeros((len(theta),) * 2)
    new = noise**2 * (weight**2 + kappa * (1 - weight) ** 2) * fit @ fit.T
    for _ in range(generations):
        mean = weight * fit @ x @ theta + again @ mean
        covariance = new + again @ covariance @ again.T
    return ((mean - theta) ** 2).sum(), np.trace(covariance)


CASES = [(9, 4, 0.0), (3, 6, 0.0), (9, 4, 2.5), (3, 6, 0.4), (1, 1, 1.0)]


@pytest.mark.parametrize(("rows", "dim", "ridge"), CASES)
@pytest.mark.parametrize(("weight", "kappa"), [(0.5, 1.0), (0.2, 3.0), (1.0, 1.0)])
def test_error_is_where_the_recursion_settles(rows, dim, ridge, weight, kappa):
    rng = np.random.default_rng(rows)
    x, theta = features(rng, rows, dim), rng.standard_normal(dim)
    found = fresh.ridge_error(weight, x.T @ x, theta, ridge, noise=0.7, kappa=kappa)
    expected = settled(weight, x, theta, ridge, 0.7, kappa)
    assert found.squared_bias == pytest.approx(expected[0], rel=1e-9, abs=1e-12)
    assert found.variance == pytest.approx(expected[1], rel=1e-9)
    assert found.mse == found.squared_bias + found.variance


@pytest.mark.parametrize(("rows", "dim", "ridge"), CASES[:4])
def test_error_is_that_of_models_that_are_fitted(rows, dim, ridge):
    """|z| < 4 in each of four cases: a true formula fails once in 4,000 runs of the file."""
    rng, runs, weight = np.random.default_rng(7), 20_000, 0.4
    x, theta = features(rng, rows, dim), rng.standard_normal(dim)
    fit, model = fitted(x, ridge), np.zeros((runs, dim))
    for _ in range(50):
        human = theta @ x.T + rng.standard_normal((runs, rows))
        posts = model @ x.T + np.sqrt(2.0) * rng.standard_normal((runs, rows))
        model = (weight * human + (1 - weight) * posts) @ fit.T
    errors = ((model - theta) ** 2).sum(axis=1)
    expected = fresh.ridge_error(weight, x.T @ x, theta, ridge, kappa=2.0).mse
    assert abs(errors.mean() - expected) < 4 * errors.std(ddof=1) / np.sqrt(runs)


def test_minimum_norm_has_the_golden_ratio_whatever_the_features():
    rng = np.random.default_rng(0)
    for rows, dim in ((3, 8), (8, 8), (20, 8), (1, 5)):
        x, theta = features(rng, rows, dim), 3 * rng.standard_normal(dim)
        best = fresh.best_ridge_weight(x.T @ x, theta, noise=0.3)
        assert best.weight == pytest.approx(GOLDEN, rel=1e-14)
        for other in (best.weight - 1e-3, best.weight + 1e-3):
            assert best.error < fresh.ridge_error(other, x.T @ x, theta, noise=0.3).mse
    assert fresh.ridge_error(0.0, np.eye(2), np.ones(2)).variance == np.inf
    # a little penalty hardly moves it
    best = fresh.best_ridge_weight(x.T @ x, theta, 1e-7)
    assert best.weight == pytest.approx(GOLDEN, abs=1e-5)


def test_best_weight_of_ridge_is_best_and_at_least_a_half():
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        rows, dim = rng.integers(1, 12, 2)
        x, theta = features(rng, rows, dim), rng.standard_normal(dim) * 10 ** rng.uniform(-2, 1)
        ridge, kappa = 10 ** rng.uniform(-3, 2), 10 ** rng.uniform(-1, 1)
        gram = x.T @ x
        best = fresh.best_ridge_weight(gram, theta, ridge, kappa=kappa)
        # everywhere, and as densely as the weight is to be known around what was found
        near = best.weight + np.linspace(-0.01, 0.01, 41)
        weights = np.concatenate([np.linspace(0, 1, 101), near[(near >= 0) & (near <= 1)]])
        errors = [fresh.ridge_error(w, gram, theta, ridge, kappa=kappa).mse for w in weights]
        assert best.error <= min(errors) * (1 + 1e-12)
        assert abs(best.weight - weights[np.argmin(errors)]) < 1e-3
        assert np.diff(errors[:101], 2).min() > -1e-9 * max(errors)  # convex: one minimum
        assert best.weight >= kappa / (1 + kappa)
        found.append(best.weight == 1)
    assert 0 < sum(found) < 60  # both kinds of optimum were among them


def test_the_slope_by_sympy():
    """Per eigenvector: E(u), its derivative, and the convexity of the variance in x = hu."""
    u, h, k, t = sp.symbols("u h kappa t", positive=True)
    variance = ((1 - u) ** 2 + k * u**2) / (1 - h**2 * u**2)
    bias = t**2 * ((1 - h) / (1 - u * h)) ** 2
    slope = 2 * ((1 + k + h**2) * u - 1 - h**2 * u**2) / (1 - h**2 * u**2) ** 2
    assert sp.simplify(sp.diff(variance, u) - slope) == 0
    assert sp.simplify(sp.diff(bias, u) - 2 * t**2 * h * (1 - h) ** 2 / (1 - u * h) ** 3) == 0
    # variance + const = P/(1-x) + M/(1+x) with positive P and M, each convex on (-1, 1)
    x = sp.Symbol("x")
    p = ((1 / h - 1) ** 2 + k / h**2) / 2
    m = ((1 / h + 1) ** 2 + k / h**2) / 2
    in_x = variance.subs(u, x / h) + (1 + k) / h**2
    assert sp.simplify(in_x - p / (1 - x) - m / (1 + x)) == 0


@pytest.mark.parametrize("kappa", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("signal", [1e-3, 0.1, 1.0, 30.0, 1e4])
def test_tuned_ridge_is_the_best_of_both(signal, kappa):
    found = fresh.tuned_ridge(signal, kappa)
    theta, s = np.ones(1), signal  # ‖θ‖² = σ² = d = 1

    def error(x):
        w, ridge = 1 / (1 + np.exp(-x[0])), s * np.exp(x[1])
        return fresh.ridge_error(w, s * np.eye(1), theta, ridge, kappa=kappa).mse

    same = fresh.ridge_error(found.weight, s * np.eye(1), theta, s * found.ridge, kappa=kappa).mse
    assert found.error == pytest.approx(same, rel=1e-9)
    start = [np.log(found.weight / (1 - found.weight)) + 0.3, np.log(found.ridge) - 0.3]
    best = minimize(error, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-16})
    assert found.error <= best.fun * (1 + 1e-12)
    assert best.fun == pytest.approx(found.error, rel=1e-9)
    assert found.error < 1 / (1 + signal)  # human labels alone, with their best penalty
    assert found.weight > fresh.best_weight(1, kappa)


@pytest.mark.parametrize(("rows", "dim"), [(4, 12), (10, 14)])
def test_minimum_norm_with_new_features_is_what_is_simulated(rows, dim):
    """|z| < 4 in each of two cases: a true formula fails once in 8,000 runs of the file."""
    rng, runs, weight = np.random.default_rng(3), 8_000, 0.4
    theta = rng.standard_normal(dim)
    model = np.zeros((runs, dim))
    for _ in range(25):
        x = rng.standard_normal((runs, rows, dim))
        human = x @ theta + 0.8 * rng.standard_normal((runs, rows))
        posts = np.einsum("rnd,rd->rn", x, model) + 1.1 * rng.standard_normal((runs, rows))
        labels = weight * human + (1 - weight) * posts
        # minimum norm: Xᵀ(XXᵀ)⁻¹y
        model = np.einsum("rnd,rn->rd", x, np.linalg.solve(x @ x.mT, labels[..., None])[..., 0])
    errors = ((model - theta) ** 2).sum(axis=1)
    kappa = (1.1 / 0.8) ** 2
    found = fresh.minimum_norm(weight, rows, dim, theta @ theta, noise=0.8, kappa=kappa)
    assert abs(errors.mean() - found.error) < 4 * errors.std(ddof=1) / np.sqrt(runs)


def test_best_weight_of_the_minimum_norm_with_new_features():
    for rows, dim, signal, kappa in ((3, 9, 1.0, 1.0), (50, 60, 0.0, 0.3), (1, 100, 20.0, 2.0)):
        best = fresh.minimum_norm(None, rows, dim, signal, kappa=kappa)
        weights = np.linspace(0, 1, 4001)
        errors = [fresh.minimum_norm(w, rows, dim, signal, kappa=kappa).error for w in weights]
        assert best.error <= min(errors)
        assert abs(best.weight - weights[np.argmin(errors)]) < 5e-4
        assert best.weight >= kappa / (1 + kappa)
    # hardly any direction missed and no signal there: the golden ratio again
    near = fresh.minimum_norm(None, 10**6, 10**6 + 2, 0.0)
    assert near.weight == pytest.approx(GOLDEN, abs=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fresh.ridge_error(1.5, np.eye(2), np.ones(2)), "weight must lie in"),
        (lambda: fresh.ridge_error(0.5, np.eye(2), np.ones(3)), r"shape \(d, d\) and theta"),
        (lambda: fresh.ridge_error(0.5, -np.eye(2), np.ones(2)), "not positive semidefinite"),
        (lambda: fresh.ridge_error(0.5, np.eye(2), np.ones(2), -1), "ridge must be at least 0"),
        (lambda: fresh.best_ridge_weight(np.zeros((2, 2)), np.ones(2)), "noise and features"),
        (lambda: fresh.best_ridge_weight(np.eye(2), np.ones(2), kappa=0), "kappa must be"),
        (lambda: fresh.tuned_ridge(0.0), "signal must be a positive number"),
        (lambda: fresh.minimum_norm(0.5, 9, 10, 1.0), "dim must be above rows"),
        (lambda: fresh.minimum_norm(2.0, 3, 10, 1.0), "weight must lie in"),
        (lambda: fresh.minimum_norm(0.5, 3, 10, -1.0), "signal must be at least 0"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
