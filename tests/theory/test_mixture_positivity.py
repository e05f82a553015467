"""When the positivity step acts, and how long it holds a model: against Algorithm 2 itself."""

from __future__ import annotations

import numpy as np
import pytest

from commensal.theory import mixture
from tests.reference.mixture_moments import simulate, squared_norm


@pytest.mark.parametrize(
    ("weight", "owned", "draws", "points"),
    [(0.0005, 1, 40, 80), (0.001, 3, 60, 80), (0.0002, 0, 30, 60), (0.2, 1, 4, 8)],
)
def test_positivity_probability(weight, owned, draws, points):
    """Runs of one generation; components 5, one of them rare and on few points of the web."""
    rng = np.random.default_rng(6)
    runs, b = 20_000, 5
    c = 1 / (draws * b**2)
    labels = np.zeros((runs, points), dtype=bool)
    labels[:, :owned] = True
    drawn = rng.permuted(labels, axis=1)[:, :draws]
    running, acted = np.full(runs, weight), np.zeros(runs, dtype=bool)
    for column in drawn.T:
        running = (1 - 1 / draws) * running + (column - c) / (draws * (1 - b * c))
        acted |= running <= 0
        running = np.maximum(running, 1e-10)
    p = mixture.positivity_probability(weight, owned / points, draws, points, b)
    # 4 comparisons at 4.5 standard errors: family-wise error 3e-5
    assert acted.mean() == pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / runs) + 1e-12)
    threshold = mixture.positivity_threshold(draws, b)
    below, above = (
        mixture.positivity_probability(threshold * x, 0.0, draws, points, b) for x in (0.999, 1.001)
    )
    assert (below, above) == (1.0, 0.0)


def test_positivity_at_the_edges():
    assert mixture.positivity_threshold(1, 2) == np.inf
    assert mixture.positivity_threshold(10, 2, prior=0.0) == 0
    assert mixture.positivity_probability(0.1, 0.0, 10, 10, 2, prior=0.0) == 0
    k = 10**6
    assert mixture.positivity_threshold(k, 3) * 9 * k == pytest.approx(np.e - 1, rel=1e-5)


def trapped(separation, epsilon, runs, points, posts, generations, read_share):
    """Runs of Algorithm 3 in which one of three models starts at ε; whether it is free, by t."""
    means = np.array([0.0, separation])
    start = np.array([[1 - epsilon, epsilon], [0.5, 0.5], [0.5, 0.5]])
    weights, _ = simulate(
        np.random.default_rng(7),
        replicates=runs,
        models=3,
        components=2,
        posts=posts,
        read_share=read_share,
        points=points,
        generations=generations,
        web=[0.5, 0.5],
        weights=start,
        means=means,
        epsilon=epsilon,
    )
    setup = mixture.Setup(3, 2, posts, read_share, points, web=[0.5, 0.5], web_sampled=True)
    law = mixture.escape_probability(
        setup, mixture.Geometry(means, 1.0), [0.5, 0.5], 1, generations, epsilon=epsilon
    )
    return weights, weights[:, :, 0, 1] > 0.02, law


def test_escape_against_runs():
    """Rates vary over orders of magnitude; the law takes the web's composition as fixed.

    3 comparisons, at 20% of the law and 4 standard errors: family-wise error 2e-4.
    """
    _, free, law = trapped(3.0, 1e-8, 400, 300, 1, 8, 0.4)
    assert 0.2 < law[8] < 0.6
    for t in (2, 4, 8):
        error = np.sqrt(law[t] * (1 - law[t]) / 400)
        assert free[t].mean() == pytest.approx(law[t], abs=0.2 * law[t] + 4 * error)


def test_trapped_models_stay_apart():
    """Eq. (5) fails for overlapping components: nobody agrees, and the theory says for how long."""
    weights, free, law = trapped(2.0, 1e-10, 20, 100, 3, 40, 0.5)
    assert law[-1] < 1e-9
    assert not free.any()
    assert (squared_norm(weights)[-1] > 0.1).all()
    # the same components reach agreement where c = 0, which sets no trap
    start = np.array([[0.99, 0.01], [0.5, 0.5], [0.5, 0.5]])
    weights, lifted = simulate(
        np.random.default_rng(8),
        replicates=20,
        models=3,
        components=2,
        posts=3,
        read_share=0.5,
        points=100,
        generations=40,
        web=[0.5, 0.5],
        weights=start,
        means=[0.0, 2.0],
        prior=0.0,
    )
    assert lifted == 0
    assert (squared_norm(weights)[-1] < 0.1).all()


def test_escape_rate_orders():
    rates = [
        mixture.escape_rate(mixture.Geometry([0.0, d], 1.0), [0.5, 0.5], 1, 200, epsilon=1e-10)
        for d in (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 10.0)
    ]
    assert (np.diff(rates) > 0).all()
    assert rates[0] < 1e-10
    # separated: every point of the component frees the model
    assert rates[-1] == pytest.approx(200 * 0.5, rel=1e-3)
    pair = mixture.Geometry([0.0, 3.0], 1.0)
    small, large = (mixture.escape_rate(pair, [0.5, 0.5], 1, 200, epsilon=e) for e in (1e-10, 1e-6))
    assert large > 100 * small


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mixture.positivity_threshold(0, 2), "draws must be an integer >= 1"),
        (lambda: mixture.positivity_threshold(5, 1), "components must be an integer >= 2"),
        (lambda: mixture.positivity_probability(0.0, 0.1, 5, 10, 2), "weight must lie in"),
        (lambda: mixture.positivity_probability(0.1, 1.1, 5, 10, 2), "web_share must lie in"),
        (lambda: mixture.positivity_probability(0.1, 0.1, 5, 4, 2), "points must be an integer"),
        (
            lambda: mixture.escape_rate(
                mixture.Geometry([0.0, 1.0], 1.0), [0.5, 0.5], 1, 9, epsilon=0.0
            ),
            "epsilon must lie in",
        ),
        (
            lambda: mixture.escape_rate(
                mixture.Geometry([0.0, 1.0], 1.0), [0.5, 0.5], 2, 9, epsilon=1e-6
            ),
            "component must lie in",
        ),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()
