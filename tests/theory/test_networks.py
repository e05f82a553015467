"""Reading networks in the closed forms, against the dense recursions of all K d numbers."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

from commensal import designs, networks
from commensal.theory import regression
from tests.reference.regression_network import recursion

CASES = [
    ("uniform", 3, 4, 4, 0.0),
    ("ring", 4, 5, 3, 0.0),
    ("ring:0.5", 4, 5, 3, 0.3),
    ("star", 3, 4, 4, 0.3),
    ("blocs:0.2", 4, 5, 3, 0.3),
    ("self:0.3", 3, 3, 2, 0.0),
    ("shares:1,2,3,4", 4, 5, 3, 0.3),
    ("isolated", 3, 4, 4, 0.0),
]
CHANNELS = {"uniform": 1, "ring": 4, "ring:0.5": 4, "star": 3, "blocs:0.2": 2, "self:0.3": 3}


@pytest.fixture(params=CASES, ids=[case[0] for case in CASES], scope="module")
def system(request):
    name, k, d, rank, share = request.param
    grams = designs.gaussian(k, d, rank, seed=1).grams()
    reads = networks.named(name, k)
    w = regression.RegressionWorkflow(
        **grams, alpha=0.45, beta=0.6, human_share=share, reads=reads, noise=1.3
    )
    assert w.channels.count == CHANNELS.get(name, k if name == "isolated" else 1)
    return w, recursion(grams, 0.45, 0.6, share, reads, 6), (grams, share, reads)


def blocks(covariance, k):
    d = covariance.shape[-1] // k
    found = covariance.reshape(*covariance.shape[:-2], k, d, k, d)
    return np.einsum("...kakb->...kab", found)


def test_every_generation_is_the_dense_recursion(system):
    w, dense, _ = system
    m = regression.trajectory(w, np.ones(w.dim), 6)
    np.testing.assert_allclose(m.covariance, 1.69 * blocks(dense.covariance, w.models), atol=1e-8)
    np.testing.assert_allclose(m.mean.reshape(7, -1), dense.mean, atol=1e-8)
    law = regression.conditional(w, 6)
    given = law.covariance[-1].swapaxes(1, 2).reshape(dense.given_real.shape)
    np.testing.assert_allclose(given, 1.69 * dense.given_real, atol=1e-8)
    radius = np.abs(np.linalg.eigvals(dense.rate)).max()
    assert float(regression.spectral_radius(w)) == pytest.approx(radius, abs=1e-9)


def test_the_limit_is_where_the_dense_recursion_goes(system):
    w, _, (grams, share, reads) = system
    far = recursion(grams, 0.45, 0.6, share, reads, 600)
    limit = regression.limit(w)
    expected = 1.69 * blocks(far.covariance[-1], w.models)
    np.testing.assert_allclose(limit.covariance, expected, rtol=1e-7, atol=1e-8)
    together = regression.consensus_distance(w, 600)[-1]
    assert float(regression.consensus_distance(w)) == pytest.approx(together, abs=1e-9)


def test_a_grid_is_the_limit_cell_by_cell(system):
    w, *_ = system
    alpha, beta = [0.0, 0.45, 0.8, 1.0], [0.0, 0.6, 1 - 1e-6]
    grid = regression.grid(w, alpha, beta, np.ones(w.dim))
    for i, a in enumerate(alpha):
        for j, b in enumerate(beta):
            cell = w.replace(alpha=a, beta=b)
            radius = float(regression.spectral_radius(cell))
            assert grid.spectral_radius[i, j] == pytest.approx(radius, abs=1e-9)
            if radius < 1 - 1e-9:
                limit = regression.limit(cell)
                variance = np.trace(limit.covariance, axis1=1, axis2=2)
                np.testing.assert_allclose(grid.variance[i, j], variance, rtol=1e-7)
                errors = regression.mspe(limit, np.ones(w.dim), w.private)
                np.testing.assert_allclose(grid.mspe[i, j], errors, rtol=1e-6, atol=1e-9)
                apart = float(regression.consensus_distance(cell))
                assert grid.consensus_distance[i, j] == pytest.approx(apart, abs=1e-8)


# where private designs lack a rank, steps would take for ever
@pytest.mark.parametrize(
    "system", [c for c in CASES if c[3] == c[2]], ids=lambda case: case[0], indirect=True
)
def test_training_to_the_end_is_the_minimiser(system):
    w, *_ = system
    g = np.linalg.eigvalsh(np.asarray(w.private).sum(axis=0) + np.asarray(w.public))[-1]
    training = regression.RegressionTraining(rate=0.5 / float(g), steps=200_000)
    short = regression.trajectory(w, np.ones(w.dim), 4, training)
    exact = regression.trajectory(w, np.ones(w.dim), 4)
    np.testing.assert_allclose(short.covariance, exact.covariance, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(short.mean, exact.mean, atol=1e-8)


def test_a_network_given_as_a_matrix_a_vector_or_in_time_is_one():
    grams = designs.gaussian(3, 4, 4, seed=2).grams()
    kinds = (None, networks.uniform(3), np.full(3, 1 / 3), np.full((5, 3, 3), 1 / 3))
    found = []
    for reads in kinds:
        w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5, reads=reads)
        assert w.channels.count == 1
        found.append(regression.trajectory(w, np.ones(4), 5).covariance)
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], rtol=1e-12)
    with pytest.raises(ValueError, match=r"reads must have shape \(3, 3\) or \(T, 3, 3\)"):
        regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5, reads=np.eye(2))
    bad = np.diag([1.0, 1.0, 0.5])
    with pytest.raises(ValueError, match=r"row 2 sums to 0\.5"):
        regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5, reads=bad)


def test_networks_that_change_in_time():
    """Generation by generation, each with its own network, against the dense recursion."""
    grams = designs.gaussian(3, 4, 4, seed=3).grams()
    change = np.stack([networks.ring(3), networks.self_share(3, 0.5), networks.ring(3).T])
    w = regression.RegressionWorkflow(**grams, alpha=0.6, beta=0.7, reads=change)
    found = regression.conditional(w, 3).map[-1]
    k, d = 3, 4
    private, public = np.asarray(w.private), np.asarray(w.public)
    state = None
    for t in range(4):
        share = 0.6 if t else 0.0
        real = 0.7 * private + 0.3 * public
        read = np.einsum("kj,jab->kab", change[t - 1], np.asarray(w.synthetic))
        inverse = np.linalg.inv((1 - share) * real + share * read)
        new = np.zeros((k, d, k + 1, d))
        for i in range(k):
            new[i, :, i] = (1 - share) * 0.7 * inverse[i] @ private[i]
            new[i, :, k] = (1 - share) * 0.3 * inverse[i] @ public
        if state is not None:
            q = np.einsum("kab,kj,jbc->kajc", inverse, 0.6 * change[t - 1], w.synthetic)
            new += np.einsum("kajc,jcmb->kamb", q, state)
        state = new
    np.testing.assert_allclose(found, state.swapaxes(1, 2), atol=1e-12)


def test_derivatives_in_the_network():
    """Gradients of the limit's error in W, by differences of two matrices that sum to one."""
    grams = designs.gaussian(3, 4, 4, seed=2).grams()
    w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5)
    towards = np.array([[0.1, -0.1, 0], [0, 0.05, -0.05], [0.02, 0, -0.02]])
    base = networks.ring(3, 0.4) * 0.9 + 0.1 / 3

    def error(x):
        covariance = regression.limit(w.replace(reads=base + x * towards)).covariance
        return covariance.trace(axis1=1, axis2=2).sum()

    with jax.enable_x64(True):
        slope = float(jax.grad(error)(0.0))
    step = 1e-5
    expected = (float(error(step)) - float(error(-step))) / (2 * step)
    assert slope == pytest.approx(expected, rel=1e-6)
    with jax.enable_x64(True):
        stacked = np.stack([base, networks.uniform(3)])
        many = jax.vmap(lambda x: regression.spectral_radius(w.replace(reads=x)))(stacked)
    alone = [float(regression.spectral_radius(w.replace(reads=x))) for x in stacked]
    np.testing.assert_allclose(many, alone, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("uniform", 1.5),
        ("shares:1,2,3,4", 1.5),
        ("isolated", 1.0),
        ("ring:0.25", 1.5),
        ("self:0.5", (1 + np.sqrt(2)) / 2),
        ("ring", np.inf),
    ],
)
def test_stability_bound_of_known_networks(name, bound):
    """(1 + √Λ)/2: Λ = 4 if all read alike, 1/s if each reads itself with share s."""
    reads = networks.named(name, 4)
    assert float(regression.stability_bound(reads)) == pytest.approx(bound)
    share = regression.safe_human_share(reads)
    expected = 1.0 if np.isinf(bound) else (bound - 1) / bound
    assert share == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["uniform", "star", "blocs:0.1", "self:0.3"])
def test_the_bound_is_attained_on_a_network(name):
    reads = networks.named(name, 4)
    grams = designs.misaligned(4, 1e6, reads=reads).grams()
    w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=1.0, reads=reads)
    radius, bound = float(regression.spectral_radius(w)), float(regression.stability_bound(reads))
    assert bound * (1 - 1e-5) < radius <= bound + 1e-9
    with pytest.raises(ValueError, match="has no bound"):
        designs.misaligned(2, reads=networks.ring(2))


def test_private_prompts_diverge_beyond_the_critical_weight_only():
    """On a ring of three, in the directions that an ascent found (claim aligned_network)."""
    for s in (0.0, 0.5):
        for beta in (0.3, 1.0):
            critical = regression.critical_alpha(beta, s)
            ring = networks.ring(3, s)
            for alpha, sign in ((critical * 0.99, -1), (min(critical * 1.01, 0.999), 1)):
                bound = regression.aligned_bound(ring, (1 - alpha) * beta / alpha)
                assert sign * (bound - 1) > 0
    s, c = 0.3, 0.2
    closed = (s + np.sqrt(s**2 + (s + c) * (1 - s))) / (2 * (s + c))
    assert regression.aligned_bound(networks.ring(5, s), c) == pytest.approx(closed, rel=1e-12)
    # Lemma 1 stays true where all read the same: the bound says nothing of it, as it must not
    assert regression.critical_alpha(0.0, 1.0) == 1.0
    with pytest.raises(ValueError, match=r"beta must lie in \[0, 1\]"):
        regression.critical_alpha(1.5, 0.0)
    with pytest.raises(ValueError, match="anchor must be positive"):
        regression.aligned_bound(networks.ring(3), 0.0)


@pytest.mark.parametrize("name", ["uniform", "ring", "ring:0.4", "self:0.3", "blocs:0.2"])
def test_isotropic_networks_are_the_limit(name):
    reads = networks.named(name, 4)
    sizes = {"private": 2.0, "public": 0.7, "synthetic": 1.5}
    eye = np.eye(2)
    w = regression.RegressionWorkflow(
        sizes["private"] * np.stack([eye] * 4),
        sizes["public"] * eye,
        sizes["synthetic"] * np.stack([eye] * 4),
        alpha=0.4,
        beta=0.6,
        noise=1.5,
        reads=reads,
    )
    found = regression.isotropic_network(reads, 0.4, 0.6, dim=2, noise=1.5, **sizes)
    traces = np.trace(regression.limit(w).covariance, axis1=1, axis2=2)
    assert found.mse == pytest.approx(traces.mean(), rel=1e-9)
    dense = recursion(
        {"private": w.private, "public": w.public, "synthetic": w.synthetic},
        0.4,
        0.6,
        0,
        reads,
        400,
    )
    centre = np.kron(np.eye(4) - 1 / 4, eye)
    apart = 1.5**2 * np.trace(centre @ dense.covariance[-1] @ centre.T) / 4
    assert found.disagreement == pytest.approx(apart, rel=1e-9)
    with pytest.raises(ValueError, match="normal matrix"):
        regression.isotropic_network(networks.star(4), 0.4, 0.6)


def test_many_different_prompts_are_safe():
    """The excess over one falls as (1 - 1/K) d/T, here for K = 4, d = 15."""
    for prompts, bound in ((5, 1.50), (30, 1.15), (300, 1.02)):
        x = np.random.default_rng(1).standard_normal((4, prompts, 15))
        grams = x.swapaxes(1, 2) @ x
        found = regression.design_bound(grams)
        assert found.attained <= found.bound * (1 + 1e-12)
        assert found.attained == pytest.approx(bound, abs=0.03)
        assert found.bound <= float(regression.stability_bound(grams)) + 1e-9
        network = regression.design_bound(grams, networks.uniform(4))
        # ten angles in a half circle and no ascent: a little above
        assert found.attained - 1e-9 <= network.bound <= found.bound * 1.001


def test_one_step_is_the_uniform_bound_for_equal_sizes():
    np.testing.assert_allclose(regression.one_step_bound(networks.uniform(9), np.ones(9)), 2)
    with pytest.raises(ValueError, match="model 0 does not read itself"):
        regression.one_step_bound(networks.ring(3), np.ones(3))
    assert regression.effective_sources(networks.blocs(4, 0.0)) == 2


def test_three_models_do_not_reach_the_bound_of_a_network():
    """Axes 120° apart: exactly 7/6, where scaled numerical radii give (1 + √2)/2."""
    angles = np.arange(3) * np.pi / 3
    axes = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    prompts = axes[:, :, None] * axes[:, None, :]
    alike = regression.design_bound(prompts)
    network = regression.design_bound(prompts, networks.uniform(3))
    assert alike.attained == pytest.approx(7 / 6, rel=1e-12)
    assert network.attained == pytest.approx(7 / 6, rel=1e-4)
    assert alike.bound == pytest.approx((1 + np.sqrt(2)) / 2, rel=1e-9)
    # rounded up by 1/cos of half a step of its angles
    assert network.bound == pytest.approx(alike.bound, rel=3e-4)


def gaps(models, dim, rows, count=3):
    """How far the bound is above what is attained, for random networks and prompts."""
    rng, found = np.random.default_rng([models, dim]), []
    for _ in range(count):
        reads = rng.dirichlet(np.full(models, 0.5), models) + 0.02 * np.eye(models)
        reads /= reads.sum(axis=1, keepdims=True)
        x = rng.standard_normal((models, rows, dim))
        bound = regression.design_bound(x.swapaxes(1, 2) @ x, reads)
        found.append(bound.bound / bound.attained - 1)
    return np.array(found)


def test_two_models_reach_the_bound_of_every_network_and_more_need_not():
    """The search of docs/explanation/networks.md, there with 100 networks each."""
    for dim, rows in ((2, 1), (4, 1), (6, 3)):
        assert np.all(gaps(2, dim, rows) < 5e-4)  # 1.6e-4 by which angles are rounded up
    apart = np.concatenate([gaps(models, 4, 1) for models in (3, 4)])
    assert np.all(apart > 0)
    assert np.median(apart) > 0.01


def test_real_data_attain_the_growth_that_is_said_to_be_attained():
    """Attack a network by ascent over the directions that real data leave open."""
    rng, reads = np.random.default_rng(1), networks.ring(3, 0.4)
    x = rng.standard_normal((3, 2, 3))
    prompts = x.swapaxes(1, 2) @ x
    said = regression.design_bound(prompts, reads)

    def radius(flat):
        # private data that are endless across one direction of each model
        v = flat.reshape(3, 3)
        said = reads * np.einsum("ka,jab,jb->kj", v, prompts, v)
        heard = np.einsum("kj,ka,jab,kb->k", reads, v, prompts, v)
        return np.abs(np.linalg.eigvals(said / heard[:, None])).max()

    found = 0.0
    for _ in range(12):
        end = minimize(lambda v: -radius(v), rng.standard_normal(9), method="L-BFGS-B")
        found = max(found, -end.fun)
    assert found == pytest.approx(said.attained, rel=1e-4)
    assert found <= said.bound
