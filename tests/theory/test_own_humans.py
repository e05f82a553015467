"""Fresh human data of each model's own in interactive regression, against dense recursions."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from benchmarks import dense
from commensal import designs, networks, sweep
from commensal.theory import regression
from tests.reference import regression_training
from tests.reference.regression_network import recursion

# network, models, dimension, rank, share, rank of the human data (None: those of the prompts)
CASES = [
    ("uniform", 3, 4, 4, 0.3, None),
    ("uniform", 4, 5, 3, 0.6, 2),
    ("ring:0.5", 4, 5, 3, 0.3, 2),
    ("blocs:0.2", 4, 5, 3, 1.0, 5),
    ("isolated", 2, 3, 3, 0.2, 1),
]


def blocks(covariance, k):
    d = covariance.shape[-1] // k
    return np.einsum("...kakb->...kab", covariance.reshape(*covariance.shape[:-2], k, d, k, d))


@pytest.fixture(params=CASES, ids=[f"{case[0]} {case[-1]}" for case in CASES], scope="module")
def system(request):
    name, k, d, rank, share, human_rank = request.param
    grams = designs.gaussian(k, d, rank, seed=1, human_rank=human_rank).grams()
    reads = networks.named(name, k)
    w = regression.RegressionWorkflow(
        **grams, alpha=0.55, beta=0.6, human_share=share, reads=reads, noise=1.3, human_data="own"
    )

    def slow(generations, human_data="own"):
        return recursion(grams, 0.55, 0.6, share, reads, generations, human_data)

    return w, slow


def test_every_generation_is_the_dense_recursion(system):
    w, slow = system
    expected = slow(6)
    found = regression.trajectory(w, np.ones(w.dim), 6)
    variance = 1.69 * blocks(expected.covariance, w.models)
    np.testing.assert_allclose(found.covariance, variance, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.mean.reshape(7, -1), expected.mean, atol=1e-8)
    given = regression.conditional(w, 6).covariance[-1]
    given = given.swapaxes(1, 2).reshape(expected.given_real.shape)
    np.testing.assert_allclose(given, 1.69 * expected.given_real, rtol=1e-9, atol=1e-9)
    # the reference tells the two kinds apart, and means do not depend on the kind
    other = slow(6, "shared")
    assert np.abs(other.given_real - expected.given_real).max() > 1e-3
    np.testing.assert_array_equal(other.mean, expected.mean)


def test_the_limit_and_a_grid_are_where_the_recursion_goes(system):
    w, slow = system
    expected = 1.69 * blocks(slow(600).covariance[-1], w.models)
    limit = regression.limit(w)
    np.testing.assert_allclose(limit.covariance, expected, rtol=1e-7, atol=1e-8)
    alpha, beta = [0.0, 0.55, 0.8, 1.0], [0.0, 0.6, 1 - 1e-6]
    grid = regression.grid(w, alpha, beta, np.ones(w.dim))
    for i, a in enumerate(alpha):
        for j, b in enumerate(beta):
            cell = w.replace(alpha=a, beta=b)
            assert cell.human_data == "own"
            if not grid.spectral_radius[i, j] < 1 - 1e-9:
                continue
            one = regression.limit(cell)
            variance = np.trace(one.covariance, axis1=1, axis2=2)
            np.testing.assert_allclose(grid.variance[i, j], variance, rtol=1e-7)
            errors = regression.mspe(one, np.ones(w.dim), w.private)
            np.testing.assert_allclose(grid.mspe[i, j], errors, rtol=1e-6, atol=1e-9)
            apart = float(regression.consensus_distance(cell))
            assert grid.consensus_distance[i, j] == pytest.approx(apart, abs=1e-8)
            efficiency = regression.relative_efficiency(cell)
            np.testing.assert_allclose(grid.relative_efficiency[i, j], efficiency, rtol=1e-7)


@pytest.mark.parametrize("steps", [1, 30])
@pytest.mark.parametrize("own", [False, True])
def test_gradient_steps_one_by_one(own, steps):
    rng = np.random.default_rng(steps)
    g = designs.gaussian(3, 3, 2, seed=4, human_rank=2).grams()
    s = dense.DenseSystem(**g, alpha=0.6, beta=0.7, noise=0.8, human_share=0.4)
    kind = "own" if own else "shared"
    w = regression.RegressionWorkflow(**s._asdict(), human_data=kind)
    theta, base = rng.standard_normal(3), rng.standard_normal(3)
    training = regression.RegressionTraining(rate=0.02, steps=steps, base=base)
    found = regression.trajectory(w, theta, 4, training)
    start = np.broadcast_to(base, (3, 3))
    mean, covariance = regression_training.law(
        s, [s] * 4, theta, (0.02, 0.02), (steps, steps), start, own
    )
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9, atol=1e-10)


def test_with_one_model_or_no_human_data_there_is_no_difference():
    for k, share in ((1, 0.4), (3, 0.0)):
        g = designs.gaussian(k, 4, 3, seed=0).grams()
        w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.6, human_share=share)
        own = w.replace(human_data="own")
        for of in (regression.limit, lambda w: regression.trajectory(w, np.ones(4), 3)):
            np.testing.assert_allclose(of(own).covariance, of(w).covariance, rtol=1e-13)
        alike = [regression.grid(x, [0.5, 1.0], [0.6]).variance for x in (w, own)]
        np.testing.assert_allclose(*alike, rtol=1e-13)


def test_everything_may_vary_in_time():
    """In time the human Gram matrix and share change; with equal ones it is the constant system."""
    g = designs.gaussian(3, 4, 2, seed=2, human_rank=2).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.6, human_share=0.3, human_data="own")
    told = np.stack([g["human"]] * 3)
    same = w.replace(human=told, human_share=np.full(3, 0.3))
    found, expected = (regression.trajectory(x, np.ones(4), 3).covariance for x in (same, w))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    late = w.replace(human_share=np.array([0.0, 0.0, 0.3]), human=told)
    shared = late.replace(human_data="shared")
    found, expected = (regression.trajectory(x, np.ones(4), 3).covariance for x in (late, shared))
    # the last generation's human data reach nobody else yet
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_transformations_and_slopes():
    g = designs.gaussian(3, 4, 3, seed=5, human_rank=3).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.6, beta=0.6, human_share=0.3, human_data="own")

    def error(share):
        return regression.mse(regression.limit(w.replace(human_share=share)), np.zeros(4)).mean()

    with jax.enable_x64(True):
        shares = np.array([0.1, 0.3, 0.7])
        values = jax.jit(jax.vmap(error))(shares)
        slope = float(jax.grad(error)(0.3))
    np.testing.assert_allclose(values, [float(error(x)) for x in shares], rtol=1e-10)
    step = (float(error(0.3 + 1e-5)) - float(error(0.3 - 1e-5))) / 2e-5
    assert slope == pytest.approx(step, rel=1e-6)
    copies = jax.tree.map(lambda x: np.stack([x, x]), w)
    assert copies.human_data == "own"
    with jax.enable_x64(True):
        many = jax.vmap(regression.limit)(copies).covariance
    np.testing.assert_allclose(many[1], regression.limit(w).covariance, rtol=1e-10)


def test_shared_human_data_may_be_the_better_ones():
    """Errors that all models share can cancel where models use the same data in opposite ways."""
    g = designs.gaussian(4, 15, 5, seed=0, human_rank=5).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.8, beta=0.5, human_share=0.69)
    shared, own = (
        np.trace(regression.limit(x).covariance, axis1=1, axis2=2).mean()
        for x in (w, w.replace(human_data="own"))
    )
    assert shared < own * 0.999


def test_nonsense_is_refused_and_shown():
    g = designs.gaussian(2, 3, 3).grams()
    with pytest.raises(ValueError, match="human_data must be 'shared' or 'own', got 'mine'"):
        regression.RegressionWorkflow(**g, alpha=0.5, beta=0.5, human_data="mine")
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.5, human_data="own")
    assert "human_data='own'" in repr(w)
    assert "human_data" not in repr(w.replace(human_data="shared"))


def test_a_sweep_has_human_data_of_their_own():
    settings = {"alpha": (0.5, 1.0), "beta": 0.6, "models": (2, 4), "dim": 4, "rank": 3}
    found = sweep.regression(**settings, human_share=0.4, human_data="own")
    for k in (2, 4):
        g = designs.gaussian(k, 4, 3).grams()
        w = regression.RegressionWorkflow(**g, alpha=1.0, beta=0.6, human_share=0.4)
        errors = regression.mse(regression.limit(w.replace(human_data="own")), designs.truth(4))
        at = found.mse.sel(models=k, alpha=1.0, beta=0.6)[:k]
        np.testing.assert_allclose(at, errors, rtol=1e-8)
        shared = regression.mse(regression.limit(w), designs.truth(4))
        assert np.abs(at.values / np.asarray(shared) - 1).min() > 1e-3
