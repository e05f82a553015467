"""The laws of disagreement against runs of Algorithm 3, positivity step included.

Root mean square ‖D‖_F of runs over law, n = 3, L = 3, β = 1/2 (first four lines: |A^(0)| = 200,
models and web start at the consensus, T = 30; standard errors 0.02):

    distance   rates         law at t = 1, 5, 30      path at t = 1, 5, 30     separated law, t = 30
    10         1             0.97  1.01  1.01         1.03  1.00  1.01         1.01
    4          0.93          0.95  1.01  0.99         1.02  0.99  0.98         0.99
    2          0.55          0.81  1.00  0.99         0.98  0.98  0.98         0.97
    1          0.20          0.59  0.95  1.03         1.01  0.98  1.00         0.99
    1/2        0.06          0.34  0.68  1.08         1.00  0.96  0.98         1.04

So the law at rest is right to a few per cent once λ t exceeds about one (the separated law too: it
differs from it by 7% at most), and the recursion over t throughout. Started from Dirichlet(1) with
20 points on the web and the paper's c, models with overlapping components are caught by the
positivity step, and no law of small noise holds: 2.2 at distance 2 and 5.0 at distance 1, t = 60.
"""

from __future__ import annotations

import numpy as np
import pytest

from commensal.theory import mixture
from tests.reference.mixture_moments import simulate, squared_norm

# 48 comparisons in all, each at 4.5 standard errors: family-wise error below 4e-4.
ERRORS = 4.5


def compare_root(squares, law, slack):
    """Root mean square within ``slack`` of the law, up to sampling error."""
    ratio = np.sqrt(squares.mean() / law)
    error = squares.std() / squares.mean() / np.sqrt(squares.size) / 2
    assert abs(ratio - 1) < slack + ERRORS * error, (ratio, error)


@pytest.mark.parametrize(
    ("n", "b", "posts", "read_share", "points", "prior", "slack"),
    [
        (3, 3, 3, 0.5, 20, 0.0, 0.0),  # the positivity step never acts: exact
        (2, 4, 1, 1.0, 4, 0.0, 0.0),  # few draws, all of the web
        (5, 2, 2, 0.2, 20, 0.0, 0.0),
        (3, 2, 3, 0.5, 20, None, 0.05),  # the paper's c
        (3, 11, 3, 0.5, 20, None, 0.05),
        (3, 2, 3, 0.5, 2, None, 0.05),  # one draw to begin with
    ],
)
def test_separated_components(n, b, posts, read_share, points, prior, slack):
    runs, generations = 400, 40
    web = np.arange(1, b + 1) / np.arange(1, b + 1).sum()
    weights, _ = simulate(
        np.random.default_rng(11),
        replicates=runs,
        models=n,
        components=b,
        posts=posts,
        read_share=read_share,
        points=points,
        generations=generations,
        web=web,
        prior=prior,
    )
    setup = mixture.Setup(n, b, posts, read_share, points, web=web, web_sampled=True, prior=prior)
    exact = mixture.second_moments(setup, generations)
    squares = squared_norm(weights)
    k = setup.schedule(generations).draws
    for t in (1, 10, generations):
        if t > 1 or slack == 0:
            compare_root(squares[t], exact.disagreement[t], slack)
    uniform = np.full(b, 1 / b)
    law = float(mixture.disagreement(uniform, n, int(k[-1]), read_share)) / (1 - 1 / b)
    compare_root(squares[-1], law * exact.heterogeneity[-1], 0.05)
    # the consensus over runs: a reinforced process
    consensus = weights[-1].mean(axis=1)[:, 0]
    error = consensus.std() / np.sqrt(runs)
    assert abs(consensus.mean() - exact.weights[-1, :, 0].mean()) < slack / b + ERRORS * error
    spread = (consensus - consensus.mean()) ** 2
    off = spread.mean() / exact.consensus_variance[-1, 0] - 1
    assert abs(off) < 2 * slack + ERRORS * spread.std() / spread.mean() / np.sqrt(runs)


def test_one_draw():
    """At k = 1 Algorithm 2 leaves the drawn component's unit vector, whatever c."""
    found, lifted = simulate(
        np.random.default_rng(14),
        replicates=50,
        models=2,
        components=4,
        posts=1,
        read_share=0.5,
        points=2,
        generations=1,
        web=np.full(4, 0.25),
    )
    assert lifted > 0
    np.testing.assert_allclose(np.sort(found[1], axis=-1)[..., -1], 1, atol=1e-9)
    np.testing.assert_allclose(found[1].sum(axis=-1), 1, atol=1e-9)


@pytest.mark.parametrize(
    ("weights", "distance"), [([0.5, 0.5], 2.0), ([0.6, 0.3, 0.1], 2.0), ([0.5, 0.5], 0.5)]
)
def test_overlapping_components(weights, distance):
    weights = np.array(weights)
    means = distance * np.arange(weights.size)
    runs, generations = 400, 20
    found, _ = simulate(
        np.random.default_rng(12),
        replicates=runs,
        models=3,
        components=weights.size,
        posts=3,
        read_share=0.5,
        points=200,
        generations=generations,
        web=weights,
        weights=weights,
        means=means,
    )
    modes = mixture.overlap(means, 1.0, weights)
    setup = mixture.Setup(
        3, weights.size, 3, 0.5, 200, weights=np.tile(weights, (3, 1)), web=weights
    )
    path = mixture.disagreement_path(setup, weights, generations, modes)
    squares = squared_norm(found)
    for t in (1, 5, generations):
        compare_root(squares[t], path[t], 0.05)
    if modes.rates.min() * generations > 3:
        k = int(setup.schedule(generations).draws[-1])
        law = float(mixture.disagreement(weights, 3, k, 0.5, overlap=modes))
        compare_root(squares[-1], law, 0.05)


def test_mean_field_of_overlapping_components():
    """One generation of many draws, far from the consensus: eq. (8) without its approximation."""
    start = np.array([[0.95, 0.05], [0.2, 0.8]])
    means, web = np.array([0.0, 1.5]), np.array([0.4, 0.6])
    found, _ = simulate(
        np.random.default_rng(13),
        replicates=400,
        models=2,
        components=2,
        posts=20,
        read_share=0.5,
        points=400,
        generations=3,
        web=web,
        weights=start,
        means=means,
    )
    setup = mixture.Setup(2, 2, 20, 0.5, 400, weights=start, web=web)
    field = mixture.mean_field(setup, 3, mixture.Geometry(means, 1.0))
    for t in (1, 3):
        mean = found[t, :, :, 0].mean(axis=0)
        error = found[t, :, :, 0].std(axis=0) / 20
        # neglected: O(1/k) of what the generation changes, k = 200
        assert (np.abs(mean - field.weights[t, :, 0]) < 0.005 + ERRORS * error).all()
        # separated components would be elsewhere
        assert np.abs(mean - mixture.mean_field(setup, 3).weights[t, :, 0]).max() > 0.05
