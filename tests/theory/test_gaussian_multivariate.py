"""Traces, determinants and the Bures distance: by refitting, by SciPy, by matrix square roots."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import special, stats

from commensal.theory import gaussian
from tests.reference import gaussian as slow

COVARIANCE = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]])


def test_moments_against_points_drawn_and_refitted() -> None:
    """Eight quantities for each estimator at t = 2, n = 8, d = 3."""
    zs, t, n, d = [], 2, 8, 3
    for seed, estimator in enumerate(("unbiased", "mle")):
        args = (t, n, COVARIANCE)
        means, covs = slow.covariance_lineages(seed, 1500, t, n, COVARIANCE, estimator)
        trace = np.trace(covs, axis1=-2, axis2=-1)[:, -1]
        square = (covs[:, -1] ** 2).sum(axis=(-2, -1))
        log = np.linalg.slogdet(covs[:, -1])[1]
        second = gaussian.trace_moments(*args, estimator)
        pairs = [
            (trace, gaussian.expected_trace(*args, estimator=estimator)),
            (trace**2, second.square_of_trace),
            (square, second.trace_of_square),
            ((trace - trace.mean()) ** 2, gaussian.variance_trace(*args, estimator)),
            (np.exp(log), gaussian.expected_determinant(*args, estimator)),
            (log, gaussian.expected_log_determinant(*args, estimator)),
            ((log - log.mean()) ** 2, gaussian.variance_log_determinant(t, n, d)),
            (
                (means[:, -1] ** 2).sum(axis=-1),
                gaussian.expected_mean_squared_error(*args, estimator=estimator),
            ),
        ]
        zs += [(x.mean() - float(m)) / (x.std() / np.sqrt(len(x))) for x, m in pairs]
    # two-sided, Bonferroni over 16: family-wise error 1e-3
    assert np.abs(zs).max() < stats.norm.isf(1e-3 / 2 / len(zs))


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_one_dimension_is_the_scalar_theory(estimator) -> None:
    t, n, one = np.array([0, 1, 7]), 9, np.array([[2.5]])
    mean = gaussian.expected_variance(t, n, "replace", estimator)
    process = {"estimator": estimator}
    for got, known in (
        (gaussian.expected_trace(t, n, one, **process), 2.5 * mean),
        (gaussian.expected_determinant(t, n, one, **process), 2.5 * mean),
        (
            gaussian.expected_log_determinant(t, n, one, **process),
            np.log(2.5) + gaussian.expected_log_variance(t, n, "replace", estimator),
        ),
        (gaussian.variance_log_determinant(t, n, 1), gaussian.variance_log_variance(t, n)),
        # relative variance 1/lineages at unit relative error
        (
            gaussian.variance_trace(t, n, one, **process),
            (2.5 * mean) ** 2 * gaussian.lineages_needed(t, n, 1.0),
        ),
    ):
        np.testing.assert_allclose(got, known, rtol=1e-11, atol=1e-14)


def test_second_moments_of_one_wishart() -> None:
    nu, scale = 7, COVARIANCE / 7
    got = gaussian.trace_moments(1, nu + 1, COVARIANCE)
    # entry by entry: Cov(W_ij, W_kl) = ν (S_ik S_jl + S_il S_jk)
    squares = nu**2 * scale**2 + nu * (scale**2 + np.outer(np.diag(scale), np.diag(scale)))
    diagonal = 2 * nu * scale**2 + nu**2 * np.outer(np.diag(scale), np.diag(scale))
    np.testing.assert_allclose(got.trace_of_square, squares.sum(), rtol=1e-13)
    np.testing.assert_allclose(got.square_of_trace, diagonal.sum(), rtol=1e-13)


def test_determinants_of_many_generations() -> None:
    t, n, d = 400, 12, 3
    det = np.linalg.det(COVARIANCE)
    product = np.prod([(11 - j) / 12 for j in range(d)]) ** t
    got = gaussian.expected_determinant(t, n, COVARIANCE, "mle")
    assert float(got) == pytest.approx(det * product, rel=1e-11)
    drift = sum(special.digamma((11 - j) / 2) + np.log(2 / 12) for j in range(d))
    got = gaussian.expected_log_determinant(t, n, COVARIANCE, "mle")
    assert float(got) == pytest.approx(np.log(det) + t * drift, rel=1e-13)


def test_fewer_points_than_dimensions() -> None:
    for n in (2, 3):
        t = np.array([0, 1, 5])
        det = np.linalg.det(COVARIANCE)
        np.testing.assert_allclose(
            gaussian.expected_determinant(t, n, COVARIANCE), [det, 0, 0], rtol=1e-13
        )
        log = gaussian.expected_log_determinant(t, n, COVARIANCE)
        np.testing.assert_allclose(log, [np.log(det), -np.inf, -np.inf], rtol=1e-13)
        np.testing.assert_array_equal(
            gaussian.variance_log_determinant(t, n, 3), [0, np.nan, np.nan]
        )
    assert np.isfinite(gaussian.expected_log_determinant(1, 4, COVARIANCE))


def random_covariance(rng, d, rank=None):
    root = rng.standard_normal((d, rank or d))
    return root @ root.T


@pytest.mark.parametrize("d", [1, 2, 5])
def test_distance_by_matrix_square_roots(d) -> None:
    rng = np.random.default_rng(d)
    for _ in range(5):
        a, b = random_covariance(rng, d), random_covariance(rng, d)
        mean_a, mean_b = rng.standard_normal((2, d))
        known = slow.bures(mean_a, a, mean_b, b)
        for pair in ((mean_a, a, mean_b, b), (mean_b, b, mean_a, a)):
            assert float(gaussian.w2_gaussian(*pair)) == pytest.approx(known, rel=1e-10)
    one = gaussian.w2_gaussian(
        np.array([0.5]), np.array([[4.0]]), np.array([2.0]), np.array([[9.0]])
    )
    assert float(one) == pytest.approx(1.5**2 + 1, rel=1e-14)


def test_distance_of_near_and_of_singular_covariances() -> None:
    zero = np.zeros(3)
    assert float(gaussian.w2_gaussian(zero, COVARIANCE, zero, COVARIANCE)) < 1e-28
    # (1+ε)² A: (tr A) ε², of which the difference of traces would keep nothing
    near = gaussian.w2_gaussian(zero, COVARIANCE, zero, (1 + 1e-9) ** 2 * COVARIANCE)
    assert float(near) == pytest.approx(3.5e-18, rel=1e-5)
    a, b = np.diag([4.0, 0.0, 1.0]), np.diag([1.0, 0.0, 0.0])
    assert float(gaussian.w2_gaussian(zero, a, zero, b)) == pytest.approx(1 + 1, rel=1e-14)
    assert float(gaussian.w2_gaussian(zero, a, zero, 0 * b)) == pytest.approx(5, rel=1e-14)
    rng = np.random.default_rng(0)
    root_a, root_b = rng.standard_normal((2, 3, 2))
    # W2 of images of the same standard normal, at the best rotation
    known = np.trace(root_a @ root_a.T) + np.trace(root_b @ root_b.T)
    known -= 2 * np.linalg.svd(root_a.T @ root_b)[1].sum()
    got = gaussian.w2_gaussian(zero, root_a @ root_a.T, zero, root_b @ root_b.T)
    assert float(got) == pytest.approx(known, rel=1e-7)


def symmetric_slope(f, a, direction, h=1e-6):
    return float(f(a + h * direction) - f(a - h * direction)) / (2 * h)


def test_gradients_of_the_distance() -> None:
    rng, d = np.random.default_rng(1), 3
    zero, direction = np.zeros(d), random_covariance(rng, d)
    with jax.enable_x64(True):
        for a, b in (
            (np.eye(d) + random_covariance(rng, d), np.eye(d) + random_covariance(rng, d)),
            (np.eye(d), 4 * np.eye(d)),  # all eigenvalues coincide
            (COVARIANCE, COVARIANCE),
        ):
            for f, at in (
                (lambda x, b=b: gaussian.w2_gaussian(zero, x, zero, b), a),
                (lambda x, a=a: gaussian.w2_gaussian(zero, a, zero, x), b),
            ):
                got = float(np.sum(np.asarray(jax.grad(f)(at)) * direction))
                assert got == pytest.approx(symmetric_slope(f, at, direction), rel=1e-6, abs=1e-9)
        # singular: along changes within the range of the covariance
        rank = np.diag([2.0, 1.0, 0.0])
        inside = np.array([[0.3, 0.1, 0], [0.1, -0.2, 0], [0, 0, 0]])
        other = random_covariance(rng, d)

        def from_singular(x):
            return gaussian.w2_gaussian(zero, x, zero, other)

        got = float(np.sum(np.asarray(jax.grad(from_singular)(rank)) * inside))
        assert got == pytest.approx(symmetric_slope(from_singular, rank, inside), rel=1e-6)
        mean = jax.grad(gaussian.w2_gaussian)(np.ones(d), COVARIANCE, zero, COVARIANCE)
        np.testing.assert_allclose(mean, 2 * np.ones(d), rtol=1e-14)
        batch = np.stack([COVARIANCE, np.eye(d)])
        both = jax.vmap(lambda x: gaussian.w2_gaussian(zero, x, zero, other))(batch)
        single = [gaussian.w2_gaussian(zero, x, zero, other) for x in batch]
        np.testing.assert_allclose(both, single, rtol=1e-12)
        slope = jax.grad(lambda x: gaussian.variance_trace(3, 8, x))(COVARIANCE)
        plain = symmetric_slope(lambda x: gaussian.variance_trace(3, 8, x), COVARIANCE, direction)
        assert float(np.sum(np.asarray(slope) * direction)) == pytest.approx(plain, rel=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: gaussian.expected_trace(1, 5, np.ones((2, 3))),
            r"covariance must have shape \(d, d\), got \(2, 3\)",
        ),
        (
            lambda: gaussian.expected_trace(1, 5, -np.eye(2)),
            "positive semidefinite, got smallest eigenvalue -1",
        ),
        (
            lambda: gaussian.expected_trace(1, 5, np.array([[1.0, 1.0], [0.0, 1.0]])),
            "covariance must be symmetric",
        ),
        (lambda: gaussian.variance_log_determinant(1, 5, 0), "dim must be at least 1, got 0"),
        (lambda: gaussian.trace_moments(np.inf, 5, np.eye(2)), "t must be finite"),
        (
            lambda: gaussian.w2_gaussian(np.zeros(2), np.eye(2), np.zeros(3), np.eye(2)),
            r"mean_b must have shape \(2,\)",
        ),
        (
            lambda: gaussian.w2_gaussian(np.zeros(2), np.eye(2), np.zeros(2), np.eye(3)),
            "cov_b must have shape",
        ),
    ],
)
def test_refuses(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
