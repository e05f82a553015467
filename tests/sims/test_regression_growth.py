"""Growth of errors where prompts are drawn anew: against quadrature and dense products."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy import stats

from commensal import networks
from commensal.designs import Designs
from commensal.sims.regression import RegressionConfig, growth_exponent
from commensal.theory import regression

SIZES = {"replicates": 32, "generations": 400}


def se(found):
    return found.replicates.std(ddof=1) / np.sqrt(len(found.replicates))


def line(models: int) -> Designs:
    """One dimension, the same real data for all: Gram matrix 2."""
    ones = np.ones((models, 1, 1))
    return Designs(ones * 2**0.5, ones[0] * 2**0.5, ones, None)


@pytest.mark.parametrize(("models", "prompts"), [(1, 1), (1, 4), (3, 2)])
def test_in_one_dimension_it_is_an_integral(models, prompts):
    config = RegressionConfig(models=models, dim=1, rank=1, alpha=0.6, beta=0.3)
    found = growth_exponent(config, prompts, designs=line(models), **SIZES)
    # after one generation all err alike, and all answers count as one model's
    law = stats.chi2(models * prompts)

    def shrunk(x):
        web = 0.6 * x / (models * prompts)
        return np.log(web / (0.4 * 2 + web))

    expected = law.expect(shrunk, epsabs=1e-9)
    assert abs(found.exponent - expected) < 5 * se(found)  # 3 tests in two million fail
    assert found.low < found.exponent < found.high


def dense(config, prompts, courses, generations, rng):
    """Follow products of Q, K d by K d, by QR."""
    designs = config.draw(config.models)
    private, public = (x.swapaxes(-1, -2) @ x for x in designs[:2])
    real = (1 - config.alpha) * (config.beta * private + (1 - config.beta) * public)
    k, d, _ = real.shape
    w = config.network(k)
    found = []
    for _ in range(courses):
        frame, logs = np.linalg.qr(rng.standard_normal((k * d, 2)))[0], []
        for _ in range(generations):
            x = rng.standard_normal((k, prompts, d)) * np.sqrt(config.rank / prompts)
            asked = x.swapaxes(1, 2) @ x
            gram = real + config.alpha * np.einsum("kj,jab->kab", w, asked)
            q = np.einsum("kab,kj,jbc->kajc", np.linalg.inv(gram), config.alpha * w, asked)
            frame, r = np.linalg.qr(q.reshape(k * d, k * d) @ frame)
            logs.append(np.log(np.abs(np.diag(r))))
        found.append(np.mean(logs[50:], axis=0))
    return np.array(found)


@pytest.mark.parametrize(("prompts", "reads"), [(2, "ring:0.3"), (7, "self:0.5")])
def test_it_is_the_first_exponent_of_dense_products(prompts, reads):
    # fewer prompts than directions, and more (Bartlett)
    config = RegressionConfig(models=3, dim=4, rank=2, alpha=0.7, reads=reads, seed=2)
    found = growth_exponent(config, prompts, **SIZES)
    reference = dense(config, prompts, 8, 250, np.random.default_rng(0))
    assert np.all(reference[:, 0] > reference[:, 1])
    spread = np.hypot(se(found), reference[:, 0].std(ddof=1) / 8**0.5)
    assert abs(found.exponent - reference[:, 0].mean()) < 5 * spread


def test_with_many_prompts_it_is_that_of_their_mean():
    config = RegressionConfig(models=3, dim=4, rank=2, alpha=0.7, reads="ring:0.3")
    grams = config.gram_matrices(3) | {"synthetic": 2 * np.stack([np.eye(4)] * 3)}
    w = regression.RegressionWorkflow(**grams, alpha=0.7, beta=0.5, reads=networks.ring(3, 0.3))
    found = growth_exponent(config, 20_000, replicates=8, generations=200)
    assert found.exponent == pytest.approx(np.log(regression.spectral_radius(w)), abs=2e-3)
    human = growth_exponent(
        config.model_copy(update={"human_share": 0.4}), 20_000, replicates=8, generations=200
    )
    assert human.exponent == pytest.approx(found.exponent + np.log(0.6), abs=2e-3)


@pytest.mark.parametrize("reads", ["uniform", "ring:0.2", "self:0"])
@pytest.mark.parametrize("models", [3, 6])
@pytest.mark.parametrize("prompts", [1, 2])
def test_one_open_direction_of_each_model_does_not_grow(models, prompts, reads):
    """A search, of which docs/explanation/networks.md has the outcome: no theorem."""
    rng = np.random.default_rng([models, prompts])
    across = rng.standard_normal((models, 2))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    private = 1e3 * across[:, None]  # all directions of the plane but one
    designs = Designs(private, np.zeros((1, 2)), across[:, None], None)
    config = RegressionConfig(models=models, dim=2, rank=1, beta=1.0, reads=reads)
    found = growth_exponent(config, prompts, designs=designs, replicates=16, generations=300)
    assert found.low <= 0


def test_a_key_decides_all():
    config = RegressionConfig(models=2, dim=4, rank=2)
    first, again, other = (
        growth_exponent(config, key=jax.random.key(i), replicates=4, generations=20).exponent
        for i in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"prompts": 0}, "prompts must be at least 1"),
        ({}, {"replicates": 1}, "replicates must be at least 2"),
        ({}, {"burn_in": -1}, "burn_in must be at least 0"),
        ({"alpha": (0.5, 0.5), "generations": 2}, {}, "alpha must not vary in time"),
        ({"rank": 1, "public_rank": 0}, {"prompts": 1}, "give more"),
    ],
)
def test_what_cannot_be_followed_is_refused(changes, options, message):
    config = RegressionConfig(**({"models": 2, "dim": 6, "rank": 3} | changes))
    with pytest.raises(ValueError, match=message):
        growth_exponent(config, **options)
