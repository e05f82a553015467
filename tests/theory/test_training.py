"""Generations that train for some steps: against steps taken one by one, and drawn data."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import dense
from commensal import networks
from commensal.theory import regression
from commensal.theory.regression import RegressionTraining
from tests.reference import regression_training as steps_of


def gram(rng, d, rank):
    x = rng.standard_normal((rank, d))
    return x.T @ x / d


SHAPES = [(1, 1), (1, 3), (2, 2), (2, 5), (3, 4)]
weights = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0.05, 0.95))


@st.composite
def systems(draw):
    k, d = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def grams():
        return np.array([gram(rng, d, draw(st.integers(0, d + 1))) for _ in range(k)])

    return dense.DenseSystem(
        private=grams(),
        public=gram(rng, d, draw(st.integers(0, d + 1))),
        synthetic=grams(),
        alpha=draw(weights),
        beta=draw(weights),
        noise=draw(st.floats(0.1, 3)),
        human_share=draw(weights),
        human=gram(rng, d, draw(st.integers(0, d))),
    )


def workflow(s: dense.DenseSystem, **more) -> regression.RegressionWorkflow:
    return regression.RegressionWorkflow(
        s.private, s.public, s.synthetic, s.alpha, s.beta, noise=s.noise,
        human_share=s.human_share, human=s.fresh, **more,
    )  # fmt: skip


def close(ours, reference, rtol=1e-9):
    size = np.abs(reference).max(initial=0.0)
    assert np.shape(ours) == reference.shape
    assert np.abs(ours - reference).max(initial=0.0) <= rtol * size + 1e-13


@given(systems(), weights, st.sampled_from([(1, 1), (5, 12), (6, 7)]))
@settings(max_examples=60)
def test_steps_one_by_one(s, initial_beta, steps):
    theta = np.linspace(-1, 2, s.d)
    base = np.linspace(1, 2, s.k * s.d).reshape(s.k, s.d)
    first, rates = s._replace(beta=initial_beta), (0.21, 0.13)
    mean, covariance = steps_of.law(first, [s] * 3, theta, rates, steps, base)
    training = RegressionTraining(rates[1], steps[1], rates[0], steps[0], base)
    w = workflow(s, initial_beta=initial_beta)
    ours = regression.RegressionMoments(
        *jax.tree.map(np.asarray, regression.trajectory(w, theta, 3, training))
    )
    close(ours.mean, mean)
    close(ours.covariance, covariance)


def example(rank=4):
    rng = np.random.default_rng(3)
    private = rng.standard_normal((2, rank, 4))
    synthetic, public = rng.standard_normal((2, rank, 4)), rng.standard_normal((rank, 4))
    grams = [x.swapaxes(-1, -2) @ x for x in (private, public, synthetic)]
    s = dense.DenseSystem(*grams, alpha=0.5, beta=0.4, noise=0.7)
    return s, (private, public, synthetic)


def test_many_steps_reach_the_minimiser():
    s, _ = example()
    theta = np.arange(4.0)
    trained = regression.trajectory(workflow(s), theta, 5, RegressionTraining(0.05, steps=10**6))
    papers = regression.trajectory(workflow(s), theta, 5)
    close(trained.mean, np.asarray(papers.mean))
    close(trained.covariance, np.asarray(papers.covariance))


def test_what_no_data_show_stays_as_it_was():
    s, _ = example(rank=1)  # G has rank 3 at most... of 4 directions: two private, public
    s = s._replace(alpha=0.0)
    base = np.array([1.0, -2.0, 3.0, 4.0])
    training = RegressionTraining(0.05, steps=10**6, base=base)
    mean = regression.trajectory(workflow(s), np.zeros(4), 1, training).mean
    for k in range(2):
        g = dense.matrices(s._replace(alpha=0.0)).G[4 * k : 4 * k + 4, 4 * k : 4 * k + 4]
        unseen = np.eye(4) - dense.pinv(g) @ g
        assert np.trace(unseen) == pytest.approx(2)
        close(mean[1, k], unseen @ base, 1e-8)


def test_responses_that_are_drawn():
    """Sixty-four means and variances within 5 standard errors: 1 sound run in 27,000 fails."""
    s, designs = example()
    theta, base, replicates = np.array([1.0, -1.0, 0.5, 2.0]), np.ones(4), 20_000
    runs = steps_of.simulate(
        s, designs, theta, 3, 0.03, 8, base, replicates, np.random.default_rng(0)
    )
    ours = regression.trajectory(workflow(s), theta, 3, RegressionTraining(0.03, 8, base=base))
    variance = np.diagonal(ours.covariance, axis1=-2, axis2=-1)
    z = (runs.mean(axis=1) - ours.mean) / np.sqrt(variance / replicates)
    assert np.abs(z).max() < 5
    z = (runs.var(axis=1, ddof=1) / variance - 1) / np.sqrt(2 / replicates)
    assert np.abs(z).max() < 5


def test_alpha_0_drifts_where_the_minimiser_stands_still():
    """What finite training is for: a shared start makes later generations go on training."""
    s, _ = example()
    s = s._replace(alpha=0.0)
    theta = np.arange(4.0)
    still = regression.mse(regression.trajectory(workflow(s), theta, 4), theta)
    moves = regression.mse(
        regression.trajectory(workflow(s), theta, 4, RegressionTraining(0.02, 3)), theta
    )
    close(still, np.broadcast_to(np.asarray(still)[0], still.shape))
    assert (np.abs(np.diff(moves, axis=0)) > 1e-3).all()


def test_gradient_with_respect_to_the_rate():
    s, _ = example(rank=1)  # eigenvalues 0 coincide: an eigendecomposition would give nan
    theta = np.arange(4.0)

    def error(rate):
        training = RegressionTraining(rate, steps=20, base=jnp.ones(4))
        return regression.mse(regression.trajectory(workflow(s), theta, 3, training), theta).sum()

    with jax.enable_x64(True):
        slope = float(jax.grad(error)(0.02))
        wide = (float(error(0.02 + 1e-6)) - float(error(0.02 - 1e-6))) / 2e-6
    assert slope == pytest.approx(wide, rel=1e-6)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (lambda: RegressionTraining(0.1, steps=0), "steps must be at least 1, got 0"),
        (lambda: RegressionTraining(-0.1), "rate must not be negative, got -0.1"),
        (lambda: RegressionTraining(5.0), "gradient steps would diverge"),
        (lambda: RegressionTraining(0.1, initial_rate=5.0), "initial_rate must be below 2 over"),
        (
            lambda: RegressionTraining(0.1, base=np.ones(3)),
            r"base must have shape \(4,\) or \(2, 4\)",
        ),
    ],
)
def test_training_that_cannot_be(training, said):
    s, _ = example()
    with pytest.raises(ValueError, match=said):
        regression.trajectory(workflow(s), np.zeros(4), 2, training())


@given(systems(), weights, st.sampled_from([(1, 1), (5, 12)]), st.sampled_from(["shared", "own"]))
@settings(max_examples=12)
def test_dependence_is_what_trajectory_averages(s, initial_beta, steps, human_data):
    """Two routes to the same moments: one truth for all data put in before, or after."""
    w = workflow(s, initial_beta=initial_beta, human_data=human_data)
    training = RegressionTraining(0.05, steps[0], initial_rate=0.03, initial_steps=steps[1])
    found = regression.dependence(w, training, 3)
    grams = np.concatenate([s.private, s.public[None]])
    theta = np.random.default_rng(0).standard_normal(s.public.shape[-1])
    moments = regression.trajectory(w, theta, 3, training)
    mean = np.einsum("tkmab,mbc,c->tka", found.from_real, grams, theta)
    close(mean + np.asarray(found.from_human) @ s.fresh @ theta, np.asarray(moments.mean))
    m = np.asarray(found.from_real)
    through = s.noise**2 * np.einsum("tkmab,mbc,tkmdc->tkad", m, grams, m)
    close(through + found.given_real, np.asarray(moments.covariance))


def test_dependence_with_filters_of_ones_own():
    """The minimiser as filters: H = 0 and G⁻¹, whose moments Theorem 2 has."""
    s, _ = example(rank=7)
    theta = np.arange(4.0)
    later = (1 - s.alpha) * (s.beta * s.private + (1 - s.beta) * s.public)
    later = later + s.alpha * s.synthetic.mean(axis=0)
    gain = np.linalg.inv(np.stack([0.3 * s.private + 0.7 * s.public, later]))
    w = workflow(s, initial_beta=0.3)
    found = regression.dependence(w, regression.Filters(0 * gain, gain), 4)
    grams = np.concatenate([s.private, s.public[None]])
    m = np.asarray(found.from_real)
    theorem = regression.trajectory(w, theta, 4)
    close(np.einsum("tkmab,mbc,c->tka", m, grams, theta), np.asarray(theorem.mean))
    through = s.noise**2 * np.einsum("tkmab,mbc,tkmdc->tkad", m, grams, m)
    close(through + found.given_real, np.asarray(theorem.covariance))


@pytest.mark.parametrize(
    ("training", "generations", "said"),
    [
        (RegressionTraining(0.01), -1, "generations must not be negative, got -1"),
        (RegressionTraining(0.01, base=np.ones(4)), 1, "base must be None"),
        (RegressionTraining(1e3), 1, "gradient steps would diverge"),
        (regression.Filters(np.ones((1, 2, 4, 4)), np.ones((1, 2, 4, 4))), 1, "kept must have"),
    ],
)
def test_dependence_that_cannot_be(training, generations, said):
    s, _ = example()
    with pytest.raises(ValueError, match=said):
        regression.dependence(workflow(s), training, generations)


@pytest.mark.parametrize(
    ("memory", "window"), [("window", 2), ("window", None), ("accumulate", None)]
)
@pytest.mark.parametrize("reads", [None, "ring:0.3"])
@pytest.mark.parametrize("human_data", [None, "shared", "own"])
def test_dependence_of_models_that_remember(memory, window, reads, human_data):
    """A loop over unit moments and unit noises, each by itself; weights that vary in time."""
    k, d, last = 3, 2, 4
    rng = np.random.default_rng(5)
    grams = rng.standard_normal((3 * k + 1, 5, d))
    grams = grams.swapaxes(1, 2) @ grams
    network = None if reads is None else networks.named(reads, k)
    alpha, noise = np.array([0.3, 0.6, 0.9, 0.4]), 0.7
    share, extra = (0.0, 1.0) if human_data is None else (0.3, 2.5)
    of_humans = {"human_share": share, "human": grams[-1], "human_data": human_data or "shared"}
    w = regression.RegressionWorkflow(
        grams[:k], grams[k], grams[k + 1 : 2 * k + 1], alpha, 0.6, noise, reads=network, **of_humans
    )
    kept, gain = rng.standard_normal((2, last + 1, k, d, d)) / 3
    filters = regression.Filters(kept, gain)
    found = regression.dependence(w, filters, last, memory, window, human_noise=extra)
    shares = np.full((k, k), 1 / k) if network is None else network

    def path(moments, errors, human=0.0, human_errors=(0.0,) * last):
        """Estimates (time K d) of given moments X'y (K+1 d) and errors of answers (T K d)."""
        estimates, web, told = np.zeros((k, d)), [], []
        for t in range(last + 1):
            a = alpha[t - 1] if t else 0.0
            heard = (1 - a) * (0.6 * moments[:k] + 0.4 * moments[k])
            if t:
                answers = np.einsum("kab,kb->ka", grams[k + 1 : 2 * k + 1], estimates)
                written = shares @ (answers + errors[t - 1])
                web.append((1 - share) * written + share * (human + human_errors[t - 1]))
                read = web[-window:] if window else web
                heard += a * (np.sum(read, axis=0) if memory == "accumulate" else np.mean(read, 0))
            estimates = np.stack(
                [kept[t, j] @ estimates[j] + gain[t, j] @ heard[j] for j in range(k)]
            )
            told.append(estimates)
        return np.stack(told)

    nothing, silent = np.zeros((k + 1, d)), np.zeros((last, k, d))
    for m, b in np.ndindex(k + 1, d):
        one = nothing.copy()
        one[m, b] = 1
        np.testing.assert_allclose(found.from_real[:, :, m, :, b], path(one, silent), atol=1e-12)
    given = np.zeros((last + 1, k, d, d))
    for t, j in np.ndindex(last, k):
        for column in np.linalg.cholesky(grams[k + 1 + j]).T:
            one = silent.copy()
            one[t, j] = noise * column
            told = path(nothing, one)
            given += told[..., :, None] * told[..., None, :]
    people = {None: (), "shared": [slice(None)], "own": range(k)}[human_data]
    for t, who in itertools.product(range(last), people):
        for column in np.linalg.cholesky(extra * grams[-1]).T:
            one = silent.copy()
            one[t, who] = noise * column
            told = path(nothing, silent, human_errors=one)
            given += told[..., :, None] * told[..., None, :]
    np.testing.assert_allclose(found.given_real, given, atol=1e-12)
    for b in range(d):
        told = path(nothing, silent, human=np.eye(d)[b])
        np.testing.assert_allclose(found.from_human[..., b], told, atol=1e-12)


@pytest.mark.parametrize("human_data", ["shared", "own"])
@pytest.mark.parametrize(("memory", "window"), [("window", 2), ("accumulate", None)])
def test_dependence_with_humans_and_memory_is_what_trajectory_averages(memory, window, human_data):
    """The minimiser as filters, against moments that follow what is kept."""
    s, _ = example(rank=7)
    alpha, last, theta = 0.6, 4, np.arange(4.0)
    k = len(s.private)
    fresh = gram(np.random.default_rng(8), 4, 6)
    w = regression.RegressionWorkflow(
        s.private, s.public, s.synthetic, alpha, 0.4, noise=0.7, human_share=0.3, human=fresh,
        human_data=human_data, reads=networks.named("ring:0.3", k),
    )  # fmt: skip
    reads = networks.named("ring:0.3", k)
    web = 0.7 * np.einsum("kj,jab->kab", reads, s.synthetic) + 0.3 * fresh
    real = 0.4 * s.private + 0.6 * s.public
    weights = alpha * np.arange(last + 1) if memory == "accumulate" else [0] + [alpha] * last
    gain = np.linalg.inv([(1 - alpha if t else 1) * real + a * web for t, a in enumerate(weights)])
    found = regression.dependence(w, regression.Filters(0 * gain, gain), last, memory, window)
    grams = np.concatenate([s.private, s.public[None]])
    m = np.asarray(found.from_real)
    theorem = regression.trajectory(w, theta, last, memory=memory, window=window)
    mean = np.einsum("tkmab,mbc,c->tka", m, grams, theta)
    close(mean + np.asarray(found.from_human) @ fresh @ theta, np.asarray(theorem.mean))
    through = 0.7**2 * np.einsum("tkmab,mbc,tkmdc->tkad", m, grams, m)
    close(through + found.given_real, np.asarray(theorem.covariance))


def test_dependence_that_remembers_needs_filters_and_noise():
    eye = np.eye(2)
    w = regression.RegressionWorkflow(eye[None], eye, eye[None], 0.5, 0.5)
    with pytest.raises(ValueError, match="memory 'window' needs filters, not gradient steps"):
        regression.dependence(w, regression.RegressionTraining(0.01), 2, "window")
    filters = regression.Filters(*np.zeros((2, 3, 1, 2, 2)))
    with pytest.raises(ValueError, match="human_noise must not be negative, got -1"):
        regression.dependence(w.replace(human_share=0.1), filters, 2, human_noise=-1.0)
