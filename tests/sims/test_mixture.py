"""Interacting mixtures against the printed algorithm, by hand, in law, and against the theory.

Statistical comparisons: each test states how many it makes, and its threshold leaves right code a
chance of at most 1e-3 to fail in all of them together (Bonferroni), if seeds were not fixed.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest
from scipy import stats

from commensal.sims.mixture import MixtureConfig, simulate
from commensal.sims.mixture import _process as process
from commensal.sims.mixture._points import Posts
from commensal.sims.mixture._simulate import replay
from commensal.sims.mixture._update import as_array, as_carried, update
from commensal.theory import mixture as theory
from tests.reference import mixture as plain

FAMILY = 1e-3
SMALL = {"models": 3, "posts": 2, "points": 4, "generations": 12}
LINE = ((True, True, False), (True, True, True), (False, True, True))
CASES = {
    "as in the paper": {},
    "many components": {"components": 7},
    "overlapping": {"means": [-1.0, 0.0, 1.5], "read_share": 0.7},
    "all points": {"read_share": 1.0, "epsilon": 0.01},
    "strong prior, wide threshold": {"prior": 0.3, "epsilon": 0.4},
    "many components, strong prior": {"components": 6, "prior": 0.15, "epsilon": 0.2},
    "constant rate": {"learning_rate": 0.2, "means": [-1.0, 1.0]},
    "rate of one": {"learning_rate": 1.0, "means": [-1.0, 1.0]},
    "with replacement": {"replacement": True, "components": 3},
    "plane": {
        "means": [[0.0, 0.0], [1.0, 2.0], [-2.0, 1.0]],
        "covariance": [[1.0, 0.4], [0.4, 2.0]],
    },
    "a covariance for each": {"means": [-1.0, 1.0], "covariance": [[[0.5]], [[3.0]]]},
    "line": {"graph": LINE},
    "line, with replacement": {"graph": LINE, "replacement": True, "components": 6},
    "nobody but A0": {"graph": np.zeros((3, 3), dtype=bool)},
    "humans": {"human_share": 0.4, "web": [0.9, 0.1]},
    "fixed weights": {"weights": [[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]},
    "no threshold": {"epsilon": 0.0, "weights": [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]},
    "two models, one post": {"models": 2, "posts": 1, "read_share": 0.29, "points": 4},
}


def for_replay(noise: list[plain.Noise]):
    """Noise of single runs as that of a batch."""
    x = plain.Noise(*(np.stack(field, axis=-1) for field in zip(*noise, strict=True)))
    first = (np.moveaxis(v, -1, 0) for v in (x.weights, x.points))
    return *first, Posts(x.component, x.human, x.normal), x.words


def both(config: MixtureConfig, runs: int = 3):
    rng = np.random.default_rng(0)
    noise = [plain.draw_noise(rng, config) for _ in range(runs)]
    ours = replay(config, *for_replay(noise))
    return ours, np.stack([plain.run(config, one) for one in noise])


@pytest.mark.parametrize("name", CASES)
def test_same_noise_same_weights(name):
    config = MixtureConfig(**(SMALL | CASES[name]))
    ours, theirs = both(config)
    np.testing.assert_allclose(ours.weights, theirs, rtol=0, atol=1e-12)
    pairs = theirs[:, :, :, None] - theirs[:, :, None]
    distances = np.linalg.norm(pairs, axis=-1)
    norm = np.linalg.norm(distances, axis=(-2, -1))
    np.testing.assert_allclose(ours.disagreement, norm, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.consensus, theirs.mean(axis=2), rtol=0, atol=1e-12)


def test_float32_is_the_same_but_for_rounding():
    ours, theirs = both(MixtureConfig(**SMALL, components=3, dtype="float32"))
    np.testing.assert_allclose(ours.weights, theirs, rtol=0, atol=2e-6)


def one_step(weights, likelihood, alpha, c, epsilon):
    with jax.enable_x64(True):
        lanes = [jnp.asarray(x, jnp.float64)[:, None] for x in (weights, likelihood)]
        rates = [jnp.full(1, x) for x in (alpha, c)]
        new = update(as_carried(lanes[0]), lanes[1], *rates, jnp.asarray(epsilon))
        return np.asarray(as_array(new))[:, 0]


def test_algorithm_2_by_hand():
    # o = (3/4, 1/4); π = ½ (½, ½) + ½ (o - 1/8) / (3/4) = (2/3, 1/3)
    np.testing.assert_allclose(one_step([0.5, 0.5], [3, 1], 0.5, 0.125, 0.01), [2 / 3, 1 / 3])
    # o = (1, 0) and c = ¼: before the step (0.9, 0.1)/2 + ½ (3/2, -½) = (1.2, -0.2), and then
    # 1.2 / (1 + ε + 0.2) = 0.96 with ε = 0.05
    found = one_step([0.9, 0.1], [1, 0], 0.5, 0.25, 0.05)
    np.testing.assert_allclose(found, [0.96, 0.05])
    # three components, two below zero, in order; c = 0.2, 1 - 3c = 0.4, α = ½, o = (0, 1, 0):
    # (0.1, 0.8, 0.1)/2 + (-0.25, 1, -0.25) = (-0.2, 1.4, -0.2); ε = 0.3
    # first: (0.3, 1.4/1.5, -0.2/1.5); third: v = -2/15, divisor 1.3 + 2/15 = 43/30
    found = one_step([0.1, 0.8, 0.1], [0, 1, 0], 0.5, 0.2, 0.3)
    np.testing.assert_allclose(found, [0.3 * 30 / 43, 1.4 / 1.5 * 30 / 43, 0.3])


@pytest.mark.parametrize("b", [2, 4, 5, 12, 20])
def test_positivity_step_as_printed(b):
    rng = np.random.default_rng(b)
    for _ in range(20):
        pi, o = rng.dirichlet(np.full(b, 0.3), 2)
        alpha, c, epsilon = rng.uniform(0, [1, 1 / b, 0.5])
        likelihood = np.where(pi > 0, o / pi, 0)
        ours = one_step(pi, likelihood, alpha, c, epsilon)
        o = pi * likelihood / (pi * likelihood).sum()
        theirs = plain.one_point(pi, o, alpha, c, epsilon)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_sum_of_weights_is_what_the_positivity_step_leaves():
    # one weight v ≤ 0, all summing to one: the sum becomes 1 + ε (ε - v) / (1 + ε - v)
    found = one_step([0.9, 0.1], [1, 0], 0.5, 0.25, 0.05)
    np.testing.assert_allclose(found.sum(), 1 + 0.05 * 0.25 / 1.25, rtol=1e-15)
    # a point takes the excess back by 1 - α, and up to B weights each add ε (ε + α c / (1 - Bc));
    # few points and many components, so that this happens all the time
    for epsilon in (1e-6, 1e-3):
        config = MixtureConfig(components=6, generations=40, replicates=20, epsilon=epsilon)
        weights = simulate(config).weights.values[:, 1:]
        assert weights.min() > 0
        c, k = 1 / (10 * 36), 0.5 * (20 + 9 * 40)
        allowed = 6 * epsilon * (k * epsilon + c / (1 - 6 * c))
        assert 1e-12 < np.abs(weights.sum(axis=-1) - 1).max() < allowed


def arrangements(sizes, draws, total):
    """First places of every lane after one generation's draws, from scratch and again."""
    config = MixtureConfig(
        models=2, points=sizes, read_share=draws / sizes, posts=1, generations=2, epsilon=0.5
    )
    rules = process.rules(config)
    assert rules.total >= sizes
    from commensal.sims.mixture import _draws, _steps

    with jax.enable_x64(True), jax.threefry_partitionable(True):
        numbers = _steps.numbers(config)
        key = jax.random.key(7, impl="threefry2x32")
        noise = _draws.noise(rules, key, total)
        weights = jnp.full((2, 2, total), 0.5)
        state = process.initial(rules, numbers, weights, jnp.zeros((1, sizes, total)))
        found = []
        # twice at t = 0 with other words: what the first left must not matter to the second
        for again in range(2):
            shifted = process.MixtureNoise(
                noise.posts, lambda t, b, a=again: noise.words(t + 7 * a, b)
            )
            _, arrangement = process._learn(rules, numbers, shifted, 0, state)
            state = state._replace(arrangement=arrangement)
            found.append(np.asarray(arrangement).reshape(-1, 2, total)[:draws])
    return found


def test_draws_are_a_uniform_sample_in_uniform_order():
    # 60 ordered samples of 3 of 5, each as likely: 2 models, 2 generations, and each pair of these
    # four whether independent (by their first points, 5 x 5): 4 + 6 chi-square tests
    first, second = arrangements(5, 3, 12_000)
    four = [first[:, 0], first[:, 1], second[:, 0], second[:, 1]]
    orders = {s: j for j, s in enumerate(itertools.permutations(range(5), 3))}
    for sample in four:
        counts = np.bincount([orders[tuple(s)] for s in sample.T.tolist()], minlength=60)
        assert stats.chisquare(counts).pvalue > FAMILY / 10
    for a, b in itertools.combinations(four, 2):
        table = np.histogram2d(a[0], b[0], bins=5)[0]
        assert stats.chi2_contingency(table).pvalue > FAMILY / 10


def test_position_of_a_point_is_uniform_among_many():
    # 40 draws of 81 points, 3 points watched: place 0..39 or not drawn; 2 x 2 x 3 tests
    for sample in arrangements(81, 40, 6000):
        for model, point in itertools.product(range(2), (0, 39, 80)):
            hits = (sample[:, model] == point).sum(axis=1)
            counts = np.append(hits, 6000 - hits.sum())
            expected = 6000 / 81 * np.append(np.ones(40), 41)
            assert stats.chisquare(counts, expected).pvalue > FAMILY / 12


def test_same_law_as_the_plain_program():
    # 3 settings x 2 quantities, two-sample Kolmogorov-Smirnov
    settings = (
        {"web": [0.3, 0.7]},
        {"means": [-1.0, 1.0], "web": [0.5, 0.5], "replacement": True},
        {"means": [-1.0, 0.0, 1.0], "covariance": 0.5, "web": [0.2, 0.3, 0.5]},
    )
    rng = np.random.default_rng(1)
    for extra in settings:
        config = MixtureConfig(
            **(SMALL | extra | {"generations": 4, "record": (4,), "replicates": 1024})
        )
        ours = simulate(config).isel(generation=0)
        law = stats.multivariate_normal
        theirs = []
        for _ in range(150):
            noise = plain.draw_noise(rng, config)
            chosen = rng.choice(config.components, config.points, p=config.web)
            cov = config.covariances()
            start = [
                np.atleast_1d(law.rvs(config.means[b], cov[b], random_state=rng)) for b in chosen
            ]
            theirs.append(plain.run(config, noise._replace(points=np.array(start)))[-1])
        theirs = np.array(theirs)
        spread = np.sqrt(6 * ((theirs - theirs.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2)))
        for a, b in (
            (ours.disagreement.values, spread),
            (ours.consensus.values[:, 0], theirs.mean(axis=1)[:, 0]),
        ):
            assert stats.ks_2samp(a, b).pvalue > FAMILY / 6, extra


@pytest.mark.usefixtures("compiled_as_for_users")
def test_no_result_depends_on_what_else_is_computed():
    # numba has a test of its own
    base = {"generations": 10, "replicates": 130, "posts": 1, "kernel": "xla"}
    runs = simulate(MixtureConfig(**base))
    seen = []
    chunked = simulate(MixtureConfig(**base, chunk=1), progress=lambda *x: seen.append(x))
    np.testing.assert_array_equal(chunked.weights, runs.weights)
    assert seen == [(0, 130), (128, 130), (130, 130)]
    few = simulate(MixtureConfig(**(base | {"replicates": 3})))
    np.testing.assert_array_equal(few.weights, runs.weights[:3])
    longer = simulate(MixtureConfig(**(base | {"generations": 14, "record": (0, 4, 10, 14)})))
    np.testing.assert_allclose(longer.weights[:, 1:3], runs.weights[:, [4, 10]], rtol=0, atol=1e-14)
    summary = simulate(MixtureConfig(**base, keep="summary"))
    assert set(summary.data_vars) == {"disagreement", "consensus"}
    np.testing.assert_array_equal(summary.disagreement, runs.disagreement)
    other = simulate(MixtureConfig(**base), key=jax.random.key(1))
    assert np.abs(other.weights - runs.weights).max() > 0.01


LAW = (
    {"models": 3, "components": 2, "read_share": 0.5, "posts": 1, "replicates": 1024},
    # the theory's own slope is -0.513 here, and 512 replicates leave 0.008 of standard error
    {"models": 3, "components": 4, "read_share": 0.25, "posts": 1, "replicates": 4096},
    {"models": 4, "components": 3, "read_share": 0.1, "posts": 2, "replicates": 512},
)


@pytest.mark.parametrize("settings", LAW)
def test_root_mean_square_disagreement_is_the_theorys(settings):
    # within 5 percent at t = 5..500. ‖D‖² is nearly chi-square with (n-1)(B-1) degrees
    # of freedom, so that replicates leave a standard error of 1.6, 1.3 and 1.3 percent: 5 percent
    # is beyond 3 of them at each of 24 points
    times = (5, 10, 20, 50, 100, 200, 350, 500)
    web = [1 / settings["components"]] * settings["components"]
    # initial weights away from the edges, where the positivity step would act
    rest = {"points": 30, "web": web, "concentration": 5.0}
    config = MixtureConfig(**settings, **rest, generations=500, record=times)
    runs = simulate(config.model_copy(update={"keep": "summary", "dtype": "float32"}))
    measured = np.sqrt((runs.disagreement**2).mean("replicate")).values
    system = {k: v for k, v in settings.items() if k != "replicates"}
    setup = theory.Setup(**system, **rest, web_sampled=True)
    expected = np.sqrt(theory.second_moments(setup, 500).disagreement)[list(times)]
    np.testing.assert_allclose(measured, expected, rtol=0.05)
    later = slice(3, None)  # t = 50..500
    x = np.log(np.array(times[later]) + 30 / (settings["models"] * settings["posts"]))
    slope = np.polyfit(x, np.log(measured[later]), 1)[0]
    assert abs(slope + 0.5) < 0.02


BAD = {
    "models": ({"models": 1}, "greater than or equal to 2"),
    "components": ({"components": 1}, "greater than or equal to 2"),
    "means": ({"means": [0.0, 1.0], "components": 3}, "means must be 3"),
    "dimension": ({"means": [[0.0, 1.0], [2.0]]}, "of one dimension"),
    "rate": ({"learning_rate": 0.0}, "greater than 0"),
    "rate above": ({"learning_rate": 1.5}, "less than or equal to 1"),
    "prior": ({"prior": 0.5}, "prior must be in"),
    "negative prior": ({"prior": -0.1}, "greater than or equal to 0"),
    "no points": ({"points": 0}, "greater than or equal to 1"),
    "too few points": ({"points": 1}, "points must give read_share × points ≥ 1, got 1"),
    "covariance": ({"covariance": -1.0}, "covariance must be symmetric and positive definite"),
    "asymmetric": (
        {"means": [[0.0, 0], [1, 1]], "covariance": [[1.0, 0.5], [0.0, 1.0]]},
        "covariance must be symmetric",
    ),
    "shape": ({"covariance": [[1.0, 0.0], [0.0, 1.0]]}, "covariance must be a number"),
    "weights": ({"weights": [[0.5, 0.5]]}, "weights must have shape"),
    "web": ({"web": [0.5, 0.6]}, "web must be ≥ 0 and sum to 1"),
    "graph": ({"graph": [[True]]}, "graph must be 3 rows of 3"),
    "humans": ({"human_share": 0.5}, "human_share needs web"),
    "record": ({"record": (5, 4)}, "record must be rising"),
    "epsilon": ({"epsilon": 2.0}, "less than or equal to 1"),
    "read_share": ({"read_share": 0.0}, "greater than 0"),
    "name": ({"model": 3}, "Extra inputs"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    settings, message = BAD[name]
    with pytest.raises(pydantic.ValidationError, match=message) as caught:
        MixtureConfig(**settings)
    assert len(caught.value.errors()) == 1


def test_key_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="key must be one threefry key"):
        simulate(MixtureConfig(), key=jax.random.key(0, impl="rbg"))
