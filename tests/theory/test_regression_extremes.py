"""Errors, radii and derivatives where weights, conditions and scales are extreme, in 60 digits."""

from __future__ import annotations

import jax
import mpmath
import numpy as np
import pytest

from commensal import designs
from commensal.theory import regression
from tests.reference import regression_exact as exact

TINY = 2.0**-40  # 9e-13, and 1 - TINY is exact in float64


def features(rng, d, rank, condition=1.0):
    """Gaussian features; with a condition, of Gram matrices with just that one."""
    if condition == 1.0:
        return rng.standard_normal((rank, d))
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0][:rank]
    return np.logspace(0, -np.log10(condition) / 2, rank)[:, None] * turn


def gram(x):
    return (x.T @ x + (x.T @ x).T) / 2


def pair(seed, ranks, alpha, beta, *, k=3, d=4, condition=1.0, scale=1.0, noise=1.0, fresh=False):
    """A workflow, and its limit in 60 digits (for unit noise) from the same features."""
    rng = np.random.default_rng(seed)
    private = [features(rng, d, ranks[0], condition) for _ in range(k)]
    public = features(rng, d, ranks[1])
    synthetic = [features(rng, d, ranks[2], condition) for _ in range(k)] if fresh else private
    w = regression.RegressionWorkflow(
        np.array([gram(x) for x in private]) * scale * scale,
        gram(public) * scale * scale,
        np.array([gram(x) for x in synthetic]) * scale * scale,
        alpha,
        beta,
        noise=noise,
    )
    numbers = (mpmath.mpf(x) for x in (alpha, beta, scale))
    return w, exact.limit(exact.System(private, public, synthetic, *numbers))


def check(w, truth, rtol, known=True):
    """Limit, prediction error, efficiency and grid, or no limit in either.

    Not ``known``: it may also be said that rounding spoils the numbers, by both.
    """
    cell = regression.grid(w, [float(w.alpha)], [float(w.beta)])
    if truth.variance is None or truth.spectral_radius > 1 - 1e-9:
        with pytest.raises((regression.UnstableError, regression.UntrustedError)):
            regression.limit(w)
        assert np.isnan(cell.variance).all()
        return
    if not known and not cell.trusted.all():
        assert np.isnan(cell.variance).all()
        with pytest.raises(regression.UntrustedError, match="rounding may change"):
            regression.limit(w)
        return
    assert cell.trusted.all()
    limit, zero = regression.limit(w), np.zeros(w.dim)
    noise = float(w.noise)
    variance = noise * (truth.variance * noise)
    for found in (np.trace(limit.covariance, axis1=1, axis2=2), cell.variance[0, 0]):
        np.testing.assert_allclose(found, variance, rtol=rtol)
    if truth.spectral_radius < 1e-4:  # three generations are for ever
        path = regression.trajectory(w, zero, 3).covariance[-1]
        np.testing.assert_allclose(np.trace(path, axis1=1, axis2=2), variance, rtol=rtol)
    # the limit alone: with θ = 0 there is no bias
    mspe = noise * (truth.mspe * noise)
    for found in (regression.mspe(limit, zero, w.private), cell.mspe[0, 0]):
        np.testing.assert_allclose(found, mspe, rtol=rtol, atol=rtol * mspe.max())
    for radius in (limit.spectral_radius, cell.spectral_radius[0, 0]):
        assert radius == pytest.approx(truth.spectral_radius, rel=rtol, abs=1e-9)
    efficiency = cell.relative_efficiency[0, 0]
    if not np.isnan(efficiency).any():
        np.testing.assert_allclose(efficiency, float(truth.best) / truth.variance, rtol=rtol)
        np.testing.assert_allclose(regression.relative_efficiency(w), efficiency, rtol=rtol)


def test_the_variances_that_were_reported():
    """Digits by mpmath from exact features; the dense sum gave 2.08, 4.68, 8.25, 7.21."""
    w = regression.RegressionWorkflow(
        **designs.gaussian(4, 15, 5, seed=0).grams(), alpha=1e-8, beta=0.5
    )
    limit = regression.limit(w)
    expected = [4.0847, 4.0989, 4.9368, 4.8058]
    np.testing.assert_allclose(regression.mse(limit, np.zeros(15)), expected, atol=5e-5)
    assert (regression.relative_efficiency(w) < 1).all()
    cells = regression.grid(w, [1e-12, 1e-9, 1e-8, 1e-4], [0.5], tasks=False)
    # tends to a limit as α → 0, linearly
    np.testing.assert_allclose(cells.mse[:3, 0], np.tile(cells.mse[0, 0], (3, 1)), rtol=1e-6)


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [
        (TINY, 0.5),
        (TINY, TINY),
        (TINY, 1 - TINY),
        (0.5, TINY),
        (0.5, 1 - TINY),
        (1e-6, TINY),
        (1 - 2.0**-20, 0.5),
        (1 - TINY, 1 - TINY),
    ],
)
@pytest.mark.parametrize(
    ("ranks", "fresh"),
    [((2, 1, 2), False), ((2, 2, 1), True), ((2, 4, 3), True), ((4, 2, 3), True)],
)
def test_weights_down_to_1e_12(alpha, beta, ranks, fresh):
    w, truth = pair(sum(ranks), ranks, alpha, beta, fresh=fresh)
    check(w, truth, rtol=1e-4)


@pytest.mark.parametrize(
    "ranks", [(0, 4, 2), (4, 0, 4), (1, 0, 1), (2, 0, 3), (3, 2, 1), (4, 4, 4)]
)
def test_every_rank(ranks):
    w, truth = pair(5, ranks, 0.3, 0.6, fresh=True)
    check(w, truth, rtol=1e-9)


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e10, 1e12])
@pytest.mark.parametrize("alpha", [0.5, 1e-8])
def test_features_of_any_condition(condition, alpha):
    """What is given is the Gram matrix, which holds its small eigenvalues to ε · condition."""
    w, truth = pair(7, (4, 0, 4), alpha, 0.7, k=2, condition=condition)
    rtol = 1e-13 + 4 * np.finfo(float).eps * condition
    check(w, truth, rtol, known=condition < 1e12)


@pytest.mark.parametrize("exponent", [-249, 249])  # Gram matrices times 1e±150
@pytest.mark.parametrize("noise", [1.0, 2.0**-249])
def test_any_scale(exponent, noise):
    w, truth = pair(3, (2, 1, 2), 0.3, 0.5, scale=2.0**exponent, noise=noise)
    check(w, truth, rtol=1e-12)


def test_noise_1e_80_with_gram_matrices_1e_155():
    w, truth = pair(3, (2, 1, 2), 0.3, 0.5, scale=2.0**-257, noise=1e-80)
    check(w, truth, rtol=1e-12)


def test_efficiency_does_not_depend_on_the_noise():
    w, _ = pair(3, (2, 1, 2), 0.3, 0.5)
    expected = regression.relative_efficiency(w)
    for noise in (0.0, 1e-200, 1e200):
        other = w.replace(noise=noise)
        np.testing.assert_allclose(regression.relative_efficiency(other), expected, rtol=1e-13)
        cell = regression.grid(other, [0.3], [0.5], tasks=False)
        np.testing.assert_allclose(cell.relative_efficiency[0, 0], expected, rtol=1e-13)


def test_variances_are_never_negative():
    w = regression.RegressionWorkflow(
        **designs.gaussian(4, 15, 5, seed=0).grams(), alpha=0.5, beta=0.5
    )
    axis = np.array([0, 1e-12, 1e-9, 1e-6, 0.5, 1 - 1e-6, 1 - 1e-9, 1 - 1e-12, 1])
    cells = regression.grid(w, axis, axis)
    known = ~np.isnan(cells.variance)
    assert (cells.variance[known] > 0).all()
    assert (cells.relative_efficiency[~np.isnan(cells.relative_efficiency)] <= 1).all()
    fresh = designs.gaussian(4, 15, 5, seed=0, prompts="fresh")
    w = regression.RegressionWorkflow(**fresh.grams(), alpha=0.5, beta=0.5)
    cells = regression.grid(w, [0.0], [1 - 1e-9], np.zeros(15))
    assert (cells.mse > 0).all()  # was -82


def test_limit_and_grid_agree_where_alpha_is_below_rounding():
    w = regression.RegressionWorkflow(
        **designs.gaussian(4, 15, 5, seed=0).grams(), alpha=1e-15, beta=0.5
    )
    for alpha in (1e-15, 1e-16, 1e-18):
        cell = regression.grid(w, [alpha], [0.5], tasks=False)
        limit = regression.limit(w.replace(alpha=alpha))
        np.testing.assert_allclose(
            cell.variance[0, 0], np.trace(limit.covariance, axis1=1, axis2=2), rtol=1e-4
        )
        assert not np.isnan(cell.relative_efficiency).any()


def test_spectral_radius_of_a_strongly_misaligned_system():
    """Its Gram matrices have condition 1e12; was 1.3e-4 off, above the sharp bound."""
    w = regression.RegressionWorkflow(**designs.misaligned(4, 1e12).grams(), alpha=0.5, beta=1.0)
    radius = float(regression.spectral_radius(w))
    assert radius == pytest.approx(1.5, abs=1e-9)
    assert radius <= float(regression.stability_bound(w.synthetic)) + 1e-12
    assert regression.grid(w, [0.5], [1.0]).spectral_radius[0, 0] == pytest.approx(1.5, abs=1e-9)


def test_an_undecided_rank_is_no_number():
    """An eigenvalue of 1e-14 of the largest may be a direction of the data, or rounding."""
    weak = np.diag([1.0, 1.0, 1.0, 8e-15])
    w = regression.RegressionWorkflow(weak[None], np.zeros((4, 4)), weak[None], alpha=0.3, beta=0.5)
    for ask in (
        regression.limit,
        regression.spectral_radius,
        regression.relative_efficiency,
        regression.consensus_distance,
        lambda w: regression.trajectory(w, np.zeros(4), 2),
        lambda w: regression.conditional(w, 2),
    ):
        with pytest.raises(regression.UntrustedError, match="data or rounding"):
            ask(w)
    cell = regression.grid(w, [0.0, 0.3], [0.5])
    assert not cell.trusted.any()
    for field in (cell.spectral_radius, cell.mse, cell.relative_efficiency, cell.mspe):
        assert np.isnan(field).all()
    with jax.enable_x64(True):
        traced = jax.jit(lambda a: regression.spectral_radius(w.replace(alpha=a)))(0.3)
    assert np.isnan(traced)


def test_slope_of_the_spectral_radius_where_nobody_listens():
    """ρ = α for identical full-rank data: slope 1 at 0, where a matrix of zeros has none."""
    eye = np.stack([np.eye(2), np.eye(2)])
    w = regression.RegressionWorkflow(eye, np.eye(2), eye, alpha=0.25, beta=0.5)
    with jax.enable_x64(True):
        slope = jax.grad(lambda a: regression.spectral_radius(w.replace(alpha=a)))
        assert float(slope(0.0)) == pytest.approx(1.0, abs=1e-9)
        assert float(slope(0.25)) == pytest.approx(1.0, abs=1e-9)


def test_slope_of_the_consensus_distance_at_consensus():
    """α = 1: all read the same web. The distance has its least value, so its slope is 0."""
    rng = np.random.default_rng(0)
    grams = np.stack([gram(features(rng, 3, 3)) for _ in range(3)])
    w = regression.RegressionWorkflow(grams, np.eye(3), grams, alpha=1.0, beta=0.5, human_share=0.2)
    with jax.enable_x64(True):
        for generations in (None, 3):
            value, slope = jax.value_and_grad(
                lambda b, n=generations: jax.numpy.sum(
                    regression.consensus_distance(w.replace(beta=b), n)[..., -1:]
                    if n
                    else regression.consensus_distance(w.replace(beta=b))
                )
            )(0.5)
            assert float(value) == 0
            assert float(slope) == 0


def test_derivatives_hold_at_small_weights():
    """Central differences in the same 60 digits; α = 1e-9, where dense formulas have no digit."""
    ranks = (2, 4, 3)
    w, _ = pair(11, ranks, 1e-9, 0.25, fresh=True)  # at 1/2 real data are weighed best: no slope

    def log_variance(beta):
        limit = regression.limit(w.replace(beta=beta))
        return jax.numpy.log(jax.numpy.trace(limit.covariance, axis1=-2, axis2=-1))

    with jax.enable_x64(True):
        slope = np.asarray(jax.jacfwd(log_variance)(0.25))
        back = np.asarray(jax.jacrev(log_variance)(0.25))
    h = 2.0**-20
    low, high = (pair(11, ranks, 1e-9, 0.25 + step, fresh=True)[1].variance for step in (-h, h))
    np.testing.assert_allclose(slope, np.log(high / low) / (2 * h), rtol=1e-6)
    assert abs(slope).min() > 0.01
    np.testing.assert_allclose(back, slope, rtol=1e-9)
