"""The reduction against the dense formulas of the paper, on every kind of system."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import dense
from commensal import designs
from commensal.theory import regression


def gram(rng, d, rank):
    """A Gram matrix of given rank whose nonzero eigenvalues lie in [0.5, 3]."""
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0][:, :rank]
    s = (basis * rng.uniform(0.5, 3, rank)) @ basis.T
    return (s + s.T) / 2


# Every shape compiles anew: eight that between them have every K of 1-6 and d of 1-8, and d below,
# at and above K.
SHAPES = [(1, 4), (2, 1), (2, 8), (3, 2), (3, 5), (4, 7), (5, 6), (6, 3)]
weights = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0.05, 0.95))


@st.composite
def systems(draw, interior=False):
    k, d = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ranks = st.integers(0, d)

    def grams():
        return np.array([gram(rng, d, draw(ranks)) for _ in range(k)])

    human = draw(st.booleans())
    mix = st.floats(0.05, 0.95) if interior else weights
    return dense.DenseSystem(
        private=grams(),
        public=gram(rng, d, draw(ranks)),
        synthetic=grams(),
        alpha=draw(mix),
        beta=draw(mix),
        noise=draw(st.floats(0.1, 3)),
        human_share=draw(weights) if human else 0.0,
        human=gram(rng, d, draw(ranks)) if human else None,
    )


def workflow(s: dense.DenseSystem, **kwargs) -> regression.RegressionWorkflow:
    return regression.RegressionWorkflow(
        s.private, s.public, s.synthetic, s.alpha, s.beta, noise=s.noise,
        human_share=s.human_share, human=s.fresh, **kwargs,
    )  # fmt: skip


def close(ours, reference, rtol=1e-9, atol=0.0):
    """Equal to ``rtol`` of the largest entry: a relative error of the array as a whole."""
    ours, reference = np.asarray(ours), np.asarray(reference)
    assert ours.shape == reference.shape
    size = np.abs(reference).max(initial=0.0)
    assert np.abs(ours - reference).max(initial=0.0) <= rtol * size + max(atol, 1e-13)


def digits_of_reference(*systems):
    """How well the dense formulas are known: they invert G itself, which may be nearly singular."""
    found = [dense.matrices(s) for s in systems]
    condition = max(np.linalg.norm(m.G, 2) * np.linalg.norm(m.Gp, 2) for m in found)
    return max(1e-9, 8 * np.finfo(float).eps * condition)


@given(systems(), weights)
@settings(max_examples=150)
def test_trajectory_is_the_papers(s, initial_beta):
    generations = 4
    theta = np.linspace(-1, 2, s.d)
    first = s._replace(beta=initial_beta)
    rtol = digits_of_reference(first._replace(alpha=0.0), s)
    mean, covariance = dense.trajectory(first, [s] * generations, theta)
    ours = regression.trajectory(workflow(s, initial_beta=initial_beta), theta, generations)
    close(ours.mean, mean, rtol)
    close(ours.covariance, covariance, rtol)
    second = covariance + np.einsum("tki,tkj->tkij", mean - theta, mean - theta)
    close(regression.mse(ours, theta), np.trace(second, axis1=-2, axis2=-1), rtol)
    mspe = regression.mspe(ours, theta, s.private)
    close(mspe, np.einsum("tkij,mji->tkm", second, s.private), rtol)


@given(systems(), weights)
@settings(max_examples=60)
def test_conditional_law_is_theorem_1(s, initial_beta):
    generations = 3
    w = workflow(s, initial_beta=initial_beta)
    ours = regression.conditional(w, generations)
    distance = regression.consensus_distance(w, generations)
    theirs = dense.conditional(s._replace(beta=initial_beta), [s] * generations)
    k, d = s.k, s.d
    for t, (m, c, h) in enumerate(theirs):
        close(ours.map[t], m.reshape(k, d, k + 1, d).transpose(0, 2, 1, 3))
        close(ours.covariance[t], c.reshape(k, d, k, d).transpose(0, 2, 1, 3))
        close(ours.human_map[t], h.reshape(k, d, d))
        # a square root of a difference: rounding 1e-16 is 1e-8 here
        close(distance[t], dense.consensus_distance(m, k), atol=1e-7)


@given(systems())
@settings(max_examples=200)
def test_spectral_radius_is_that_of_the_large_matrix(s):
    ours = float(regression.spectral_radius(workflow(s)))
    assert ours == pytest.approx(dense.spectral_radius(s), rel=1e-8, abs=1e-8)


@given(systems(interior=True))
@settings(max_examples=150)
def test_limit_is_theorem_3(s):
    w = workflow(s)
    rho = dense.spectral_radius(s)
    if rho >= 1 - 1e-9:
        with pytest.raises(regression.UnstableError, match="spectral radius"):
            regression.limit(w)
        return
    if rho > 0.999:  # neither solver keeps nine digits of what it is asked for
        return
    theta = np.linspace(-1, 2, s.d)
    limit = regression.limit(w)
    close(limit.covariance, dense.limit_covariance(s))
    close(limit.moments(theta).mean, dense.limit_mean(s, theta))
    if rho < 0.9:
        long = dense.conditional(s, [s] * 400)[-1]
        close(regression.consensus_distance(w), dense.consensus_distance(long[0], s.k), atol=1e-7)


def test_limit_by_the_papers_vec_formula():
    g = designs.gaussian(3, 4, 2, seed=1).grams()
    s = dense.DenseSystem(**g, alpha=0.4, beta=0.6, noise=0.7)
    close(regression.limit(workflow(s)).covariance, dense.limit_covariance(s, method="direct"))


def misaligned_at(target: float, k: int, seed: int):
    """A rotated misaligned system whose strength is tuned for ρ(Q) = target."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((k, k)))[0]

    def build(log_strength):
        g = designs.misaligned(k, float(np.exp(log_strength)), public=1.0).grams()
        return dense.DenseSystem(
            **{n: turn @ x @ turn.T for n, x in g.items()}, alpha=0.6, beta=0.9, noise=1.1
        )

    low, high = -8.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        if dense.spectral_radius(build(middle)) < target:
            low = middle
        else:
            high = middle
    return build(low)


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("target", [0.99, 1 - 1e-6, 1 - 1e-9, 1.0, 1 + 1e-6, 1.05])
def test_near_and_above_one(k, target):
    s = misaligned_at(target, k, seed=k)
    assert float(regression.spectral_radius(workflow(s))) == pytest.approx(target, rel=1e-8)
    theta = np.ones(s.d)
    mean, covariance = dense.trajectory(s, [s] * 50, theta)
    ours = regression.trajectory(workflow(s), theta, 50)
    close(ours.mean, mean)
    close(ours.covariance, covariance)
    if target == 0.99:
        close(regression.limit(workflow(s)).covariance, dense.limit_covariance(s))


def test_limit_is_where_trajectories_go():
    g = designs.gaussian(3, 6, 3, seed=2).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.4, human_share=0.1)
    theta = designs.truth(6)
    end = regression.trajectory(w, theta, 400)
    limit = regression.limit(w)
    close(end.covariance[-1], limit.covariance)
    close(regression.mse(end, theta)[-1], regression.mse(limit, theta))
    close(regression.consensus_distance(w, 400)[-1], regression.consensus_distance(w), rtol=1e-8)


def test_everything_may_vary_in_time():
    rng = np.random.default_rng(3)
    k, d, t = 3, 5, 4
    private = np.array([gram(rng, d, 3) for _ in range(k)])
    public = gram(rng, d, 2)
    synthetic = np.array([[gram(rng, d, 2) for _ in range(k)] for _ in range(t)])
    human = np.array([gram(rng, d, 4) for _ in range(t)])
    alpha, beta, phi = rng.random((3, t))
    theta = rng.standard_normal(d)
    w = regression.RegressionWorkflow(private, public, synthetic, alpha, beta, 0.5, 0.2, phi, human)
    later = [
        dense.DenseSystem(private, public, synthetic[i], alpha[i], beta[i], 0.5, phi[i], human[i])
        for i in range(t)
    ]
    mean, covariance = dense.trajectory(later[0]._replace(beta=0.2), later, theta)
    ours = regression.trajectory(w, theta, t)
    close(ours.mean, mean)
    close(ours.covariance, covariance)
    with pytest.raises(ValueError, match="4 generations, but 3"):
        regression.trajectory(w, theta, 3)
    with pytest.raises(ValueError, match="constant in time"):
        regression.limit(w)


def test_rank_deficiency_biases_and_interaction_heals():
    """Theorem 2: the bias is Q^t (I - G_0 G_0⁺) θ, and vanishes with Q^t."""
    g = designs.gaussian(4, 15, 5, seed=0).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.5)
    theta = designs.truth(15)
    bias = regression.trajectory(w, theta, 300).mean - theta
    m = dense.matrices(dense.DenseSystem(**g, alpha=0.5, beta=0.5))
    g0 = dense.matrices(dense.DenseSystem(**g, alpha=0.0, beta=0.5))
    start = -(np.eye(60) - g0.G @ g0.Gp) @ np.tile(theta, 4)
    assert np.linalg.norm(bias[0]) > 1
    close(bias[0].ravel(), start)
    close(bias[7].ravel(), np.linalg.matrix_power(m.Q, 7) @ start)
    assert np.abs(bias[-1]).max() < 1e-9


def test_limit_mean_is_a_projection_where_nobody_ever_sees_a_direction():
    """Beyond Theorem 3, which asks for full rank: the limit's bias is the unseen part of θ."""
    g = designs.gaussian(2, 9, 2, seed=5).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.5)
    theta = designs.truth(9)
    seen = np.linalg.svd(g["private"].sum(axis=0) + g["public"])[0][:, :6]
    expected = np.tile(seen @ seen.T @ theta, (2, 1))
    close(regression.limit(w).moments(theta).mean, expected)
    close(regression.trajectory(w, theta, 500).mean[-1], expected)
    assert np.isnan(regression.relative_efficiency(w)).all()


def test_relative_efficiency():
    g = designs.gaussian(4, 15, 5, seed=0).grams()
    s = dense.DenseSystem(**g, alpha=0.38, beta=0.72, noise=2.0)
    close(regression.relative_efficiency(workflow(s)), dense.relative_efficiency(s))


def test_alpha_one_grows_linearly():
    g = designs.gaussian(3, 4, 4, seed=0).grams()
    w = regression.RegressionWorkflow(**g, alpha=1.0, beta=0.5)
    trace = np.trace(regression.trajectory(w, np.ones(4), 20).covariance, axis1=-2, axis2=-1)
    steps = np.diff(trace[1:], axis=0)
    close(steps, np.broadcast_to(steps[:1], steps.shape), rtol=1e-9)
    assert (steps > 0).all()
    with pytest.raises(regression.UnstableError):
        regression.limit(w)


def test_same_sign_as_printed_misprints_matter():
    """eq. (2) as printed, with Q S⁺ Q, is not even a covariance."""
    m = dense.matrices(
        dense.DenseSystem(**designs.misaligned(3, 5.0, 1.0).grams(), alpha=0.5, beta=0.8)
    )
    printed = m.Q @ dense.pinv(m.S) @ m.Q
    assert np.abs(printed - printed.T).max() > 1e-3


# -- JAX citizenship ---------------------------------------------------------------------------


def test_vmap_grad_and_jit_agree_with_plain_calls():
    g = designs.gaussian(3, 5, 2, seed=4).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.4, beta=0.6)
    alphas = np.array([0.1, 0.4, 1.0])

    def efficiency(alpha):
        return regression.relative_efficiency(w.replace(alpha=alpha)).mean()

    with jax.enable_x64(True):
        mapped = jax.vmap(efficiency)(alphas)
        jitted = jax.jit(regression.spectral_radius)(w)
        slope = jax.grad(efficiency)(0.4)
        step = 1e-5
        numeric = (efficiency(0.4 + step) - efficiency(0.4 - step)) / (2 * step)
    assert np.isnan(mapped[2])
    close(mapped[:2], [efficiency(0.1), efficiency(0.4)])
    close(jitted, regression.spectral_radius(w))
    assert float(slope) == pytest.approx(float(numeric), rel=1e-7)


def test_stacked_workflows_vmap():
    ws = [
        regression.RegressionWorkflow(
            **designs.gaussian(3, 5, 2, seed=s).grams(), alpha=0.4, beta=0.6
        )
        for s in range(3)
    ]
    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *x: np.stack(x), *ws)
        limits = jax.vmap(regression.limit)(stacked)
    for i, w in enumerate(ws):
        close(limits.covariance[i], regression.limit(w).covariance)


@pytest.mark.parametrize("what", ["alpha", "beta", "private", "noise", "human_share"])
def test_gradients_of_mse_match_finite_differences(what):
    rng = np.random.default_rng(0)
    g = designs.gaussian(3, 4, 2, seed=7).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.4, beta=0.6, human_share=0.2)
    value = np.asarray(getattr(w, what))
    direction = rng.standard_normal(value.shape)
    direction = direction + (direction.swapaxes(-1, -2) if value.ndim else 0.0)

    def loss(t):
        changed = w.replace(**{what: getattr(w, what) + t * direction})
        return regression.mse(regression.limit(changed), np.zeros(4)).sum()

    with jax.enable_x64(True):
        if what == "private":  # a rank-deficient Gram matrix may only move within its range
            direction = np.einsum("kij,kjl,klm->kim", value, direction, value) / 100
        slope = jax.grad(loss)(0.0)
        forward = jax.jvp(loss, (0.0,), (1.0,))[1]
        step = 1e-6
        numeric = (loss(step) - loss(-step)) / (2 * step)
    assert float(slope) == pytest.approx(float(numeric), rel=1e-5)
    assert float(forward) == pytest.approx(float(slope), rel=1e-9)


def test_precision_does_not_depend_on_the_session():
    g = designs.gaussian(3, 5, 2, seed=4).grams()
    w = regression.RegressionWorkflow(**g, alpha=0.4, beta=0.6)
    here = regression.limit(w).covariance
    assert isinstance(here, np.ndarray)
    assert here.dtype == np.float64
    with jax.enable_x64(True):
        there = regression.limit(w).covariance
    np.testing.assert_array_equal(here, there)
    assert not jax.config.jax_enable_x64


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 1.2}, r"alpha must lie in \[0, 1\], got 1.2"),
        ({"beta": -0.1}, "beta must lie"),
        ({"human_share": np.nan}, "human_share must lie"),
        ({"noise": -1.0}, "noise must be a standard deviation"),
        ({"private": np.ones((2, 3))}, r"private must have shape \(K, d, d\)"),
        ({"public": np.eye(4)}, r"public must have shape \(3, 3\)"),
        ({"synthetic": np.stack([np.eye(3)] * 3)}, "synthetic must have shape"),
        ({"human": np.eye(2)}, "human must have shape"),
        ({"public": np.triu(np.ones((3, 3)))}, "public: Gram matrix 0 is not symmetric"),
        ({"private": np.stack([np.eye(3), -np.eye(3)])}, "private: Gram matrix 1 is not positive"),
        ({"public": np.full((3, 3), np.inf)}, "not finite"),
        ({"alpha": [0.1, 0.2], "beta": [0.1, 0.2, 0.3]}, "same generations"),
    ],
)
def test_bad_workflows_are_named(change, message):
    good = {
        "private": np.stack([np.eye(3)] * 2),
        "public": np.eye(3),
        "synthetic": np.stack([np.eye(3)] * 2),
        "alpha": 0.5,
        "beta": 0.5,
    }
    with pytest.raises(ValueError, match=message):
        regression.RegressionWorkflow(**(good | change))


def test_other_bad_arguments():
    w = regression.RegressionWorkflow(
        np.eye(2)[None], np.eye(2), np.eye(2)[None], alpha=0.5, beta=0.5
    )
    with pytest.raises(ValueError, match="theta must have shape"):
        regression.trajectory(w, np.ones(3), 2)
    with pytest.raises(ValueError, match="generations must be >= 0"):
        regression.trajectory(w, np.ones(2), -1)
    with pytest.raises(AttributeError, match="immutable"):
        w.alpha = 0.2
