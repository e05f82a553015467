"""Overlapping components: quadrature against scipy and product structure, modes by algebra."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm, special_ortho_group

from commensal.theory import mixture
from tests.reference.mixture_moments import affinity_by_quad

WEIGHTS = np.array([0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("means", "scales"),
    [
        ([0.0, 10.0, 20.0], [1.0, 1.0, 1.0]),
        ([0.0, 8.5, 13.0], [1.0, 1.0, 1.0]),
        ([0.0, 1.0, 2.5], [1.0, 1.0, 1.0]),
        ([0.0, 1.0, 4.0], [1.0, 0.2, 2.0]),
    ],
)
def test_affinity_by_scipy(means, scales):
    covariance = np.square(scales)[:, None, None]
    got = mixture.Geometry(means, covariance).affinity(WEIGHTS)
    expected = affinity_by_quad(means, scales, WEIGHTS)
    np.testing.assert_allclose(got.value, expected, rtol=0, atol=1e-11)
    assert got.error < 1e-10
    root = np.sqrt(WEIGHTS)
    np.testing.assert_allclose(got.value @ root, root, atol=1e-12)


def product(dims):
    """Components on a product grid with product weights: everything is a Kronecker product."""
    means = [np.array([0.0, 1.0 + 0.8 * i]) for i in range(dims)]
    weights = [np.array([0.6, 0.4]) if i % 2 else np.array([0.3, 0.7]) for i in range(dims)]
    points = np.array(list(itertools.product(*means)))
    joint = np.array([np.prod(w) for w in itertools.product(*weights)])
    affinity = np.ones((1, 1))
    for m, w in zip(means, weights, strict=True):
        affinity = np.kron(affinity, mixture.Geometry(m, 1.0).affinity(w).value)
    return points, joint, affinity


@pytest.mark.parametrize("dims", [2, 3])
def test_affinity_in_more_dimensions(dims):
    points, weights, expected = product(dims)
    # turned, stretched and embedded in one dimension more, which changes nothing
    rng = np.random.default_rng(1)
    linear = rng.standard_normal((dims + 1, dims + 1))
    embedded = np.hstack([points, np.full((len(points), 1), 2.0)]) @ linear.T
    geometry = mixture.Geometry(embedded, linear @ linear.T)
    assert geometry.dim == dims
    got = geometry.affinity(weights)
    away = np.abs(got.value - expected).max()
    assert away < (1e-10 if dims == 2 else 2e-3)
    assert away < 2 * got.error + 1e-10  # so the error is honest
    assert got.error < (1e-9 if dims == 2 else 2e-3)


def test_modes_do_not_depend_on_coordinates():
    turn = special_ortho_group.rvs(3, random_state=2)
    means = np.array([[0.0, 0.0, 0.0], [1.5, 0.0, 0.0], [0.5, 2.0, 0.0]])
    flat = mixture.overlap(means[:, :2], 1.0, WEIGHTS)
    turned = mixture.overlap(2 * means @ turn + 1, 4.0, WEIGHTS)
    np.testing.assert_allclose(flat.rates, turned.rates, atol=1e-10)
    np.testing.assert_allclose(flat.modes.sum(axis=0), 0, atol=1e-12)
    total = np.sum(WEIGHTS * (1 - WEIGHTS))
    assert flat.sizes.sum() == pytest.approx(total, rel=1e-12)
    shared = mixture.overlap(means[:, :2], np.stack([np.eye(2)] * 3), WEIGHTS)
    np.testing.assert_allclose(flat.rates, shared.rates, atol=1e-10)


def test_rates_are_the_jacobian_of_the_expected_ownership():
    """Numerical derivative of eq. (8), against modes and rates."""
    means = np.array([0.0, 1.2, 3.0])
    modes = mixture.overlap(means, 1.0, WEIGHTS)
    geometry = mixture.Geometry(means, 1.0)
    h = 1e-5
    for rate, mode in zip(modes.rates, modes.modes.T, strict=True):
        up, down = (geometry.ownership(WEIGHTS + s * h * mode, WEIGHTS).value for s in (1, -1))
        np.testing.assert_allclose((up - down) / (2 * h), (1 - rate) * mode, atol=1e-8)


def test_ownership_by_scipy():
    means, pi, web = np.array([0.0, 2.0]), np.array([0.9, 0.1]), np.array([0.4, 0.6])

    def integrand(u):
        densities = norm.pdf(u, means)
        return pi[1] * densities[1] * (densities @ web) / (densities @ pi)

    expected = quad(integrand, -15, 17, points=[0, 2], epsabs=1e-13)[0]
    geometry = mixture.Geometry(means, 1.0)
    got = geometry.ownership(pi, web).value
    np.testing.assert_allclose(got, [1 - expected, expected], atol=1e-11)
    np.testing.assert_allclose(geometry.ownership(web, web).value, web, atol=1e-12)
    one = mixture.expected_update(pi, web, 1, geometry=geometry, prior=0.0)
    np.testing.assert_allclose(one, got, atol=1e-14)


def test_expected_update_stepwise_and_in_one_flow():
    """Above 32 draws a modified flow replaces the iteration of single points."""
    geometry = mixture.Geometry([0.0, 1.5], 1.0)
    pi, web = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0.4, 0.6])
    for k, tolerance in ((33, 2e-4), (132, 2e-5)):
        c = 1 / (4 * k)
        expected = pi
        for _ in range(k):
            pull = (geometry.ownership(expected, web).value - c) / (1 - 2 * c) - expected
            expected = expected + pull / k
        got = mixture.expected_update(pi, web, k, geometry=geometry)
        np.testing.assert_allclose(got, expected, atol=tolerance)
    far = mixture.Geometry([0.0, 40.0], 1.0)
    np.testing.assert_allclose(
        mixture.expected_update(pi, web, 100, geometry=far),
        mixture.expected_update(pi, web, 100),
        atol=1e-5,
    )


def test_mean_field_with_far_components_is_the_closed_one():
    setup = mixture.Setup(2, 2, 3, 0.5, 40, weights=[[0.8, 0.2], [0.3, 0.7]], web=[0.6, 0.4])
    far = mixture.mean_field(setup, 5, mixture.Geometry([0.0, 40.0], 1.0))
    closed = mixture.mean_field(setup, 5)
    np.testing.assert_allclose(far.weights, closed.weights, atol=1e-4)
    np.testing.assert_allclose(far.web, closed.web, atol=1e-4)


def test_overlap_noise_law():
    far = mixture.overlap([0.0, 30.0, 60.0], 1.0, WEIGHTS)
    for finite, replacement in itertools.product((False, True), repeat=2):
        options = {"finite": finite, "replacement": replacement}
        np.testing.assert_allclose(
            mixture.disagreement(WEIGHTS, 3, 50, 0.5, overlap=far, **options),
            mixture.disagreement(WEIGHTS, 3, 50, 0.5, **options),
            rtol=1e-8,
        )
    close = mixture.overlap([0.0, 1e-3, 2e-3], 1.0, WEIGHTS)
    size = 6 * np.sum(WEIGHTS * (1 - WEIGHTS)) / 50
    got = mixture.disagreement(WEIGHTS, 3, 50, 0.5, overlap=close)
    assert float(got) == pytest.approx(0.5 * size, rel=1e-5)  # 1 - β
    # with replacement no overlap matters
    for separation in (0.5, 1.0, 2.0, 4.0):
        some = mixture.overlap(separation * np.arange(3), 1.0, WEIGHTS)
        got = mixture.disagreement(WEIGHTS, 3, 50, 0.5, overlap=some, replacement=True)
        assert float(got) == pytest.approx(size, rel=1e-10)


@pytest.mark.parametrize("replacement", [False, True])
def test_path_comes_to_rest_at_the_law(replacement):
    modes = mixture.overlap([0.0, 2.0, 5.0], 1.0, WEIGHTS)
    setup = mixture.Setup(3, 3, 1, 0.001, 10**5, web=WEIGHTS, prior=0.0, replacement=replacement)
    path = mixture.disagreement_path(setup, WEIGHTS, 60, modes)
    k = int(setup.schedule(60).draws[-1])
    law = mixture.disagreement(
        WEIGHTS, 3, k, 0.001, finite=True, overlap=modes, replacement=replacement
    )
    assert path[-1] == pytest.approx(float(law), rel=1e-3)
    # and starts at the disagreement of the initial weights, here Dirichlet(1)
    assert path[0] == pytest.approx(12 * (2 / 3) / 4, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture.Geometry([0.0], 1.0), "means must have shape"),
        (lambda: mixture.Geometry([0.0, np.nan], 1.0), "means must be finite"),
        (lambda: mixture.Geometry([0.0, 1.0], -1.0), "covariance must be symmetric positive"),
        (lambda: mixture.Geometry([0.0, 1.0], np.eye(2)), "covariance must be a number or"),
        (
            lambda: mixture.Geometry(np.eye(2), [[1.0, 2.0], [0.0, 1.0]]),
            "covariance must be finite and symmetric",
        ),
        (lambda: mixture.overlap([0.0, 1.0], 1.0, [1.0, 0.0]), "weights must be positive"),
        (lambda: mixture.overlap([0.0, 1.0], 1.0, [0.4, 0.4]), "weights must sum to one"),
        (lambda: mixture.overlap([0.0, 1.0], 1.0, WEIGHTS), "weights must have shape"),
        (
            lambda: mixture.disagreement(
                [0.5, 0.5], 3, 9, 0.5, overlap=mixture.overlap([0.0, 1.0], 1.0, [0.6, 0.4])
            ),
            "overlap must be made for the same weights",
        ),
        (
            lambda: mixture.expected_update(
                WEIGHTS, WEIGHTS, 3, geometry=mixture.Geometry([0.0, 1.0], 1.0)
            ),
            "geometry must have 3 components",
        ),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
