"""Selection of synthetic data: closed forms against the processes themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, truncnorm

from commensal.theory import selection


@pytest.mark.parametrize(("reach", "bias"), [(0.5, 0.1), (1.0, 0.3), (1.0, 0.0), (2.0, 0.4)])
def test_verified_means_are_those_of_truncated_samples(reach, bias):
    """20,000 runs of 6 rounds, each the mean of 200 accepted samples, to 3 % (linearised)."""
    rng = np.random.default_rng([int(100 * reach), int(100 * bias)])
    n, initial, runs = 200, 20, 20_000
    theta = rng.standard_normal(runs) / np.sqrt(initial)  # the truth is 0
    found = selection.verified(np.arange(7), reach=reach, bias=bias, samples=n, initial=initial)
    for t in range(7):
        simulated = (theta**2).mean()
        error = (theta**2).std() / np.sqrt(runs)
        assert abs(simulated - found.error[t]) < 4 * error + 0.03 * found.error[t]
        # moments of a normal between two ends; the mean of 200 draws of it is all but normal
        low, high = bias - reach - theta, bias + reach - theta
        mass = norm.cdf(high) - norm.cdf(low)
        shift = (norm.pdf(low) - norm.pdf(high)) / mass
        variance = 1 + (low * norm.pdf(low) - high * norm.pdf(high)) / mass - shift**2
        theta = theta + shift + np.sqrt(variance / n) * rng.standard_normal(runs)
    assert found.helps == (found.error[1] < found.error[0])


def test_variance_of_a_truncated_normal():
    for r in (1e-8, 9e-3, 1.1e-2, 0.3, 1.0, 5.0, 30.0):
        exact = truncnorm(-r, r).var() if r > 0.1 else r**2 / 3 * (1 - 2 * r**2 / 15)
        assert selection._truncated_variance(r) == pytest.approx(exact, rel=1e-8)


def test_best_number_of_rounds():
    for bias, samples, initial in ((0.1, 1000, 50), (0.3, 1000, 5), (0.02, 5000, 20)):
        many = selection.verified(
            np.arange(60), reach=1.0, bias=bias, samples=samples, initial=initial
        )
        assert abs(many.error.argmin() - many.best_rounds) < 1
    never = selection.verified(0, reach=1.0, bias=0.1, samples=2, initial=100)
    assert (never.best_rounds, never.helps) == (0.0, False)
    assert selection.verified(0, reach=1.0, bias=0.0, samples=1000, initial=5).best_rounds == np.inf


def iterate(rewards, reference, share, generations):
    law = reference.copy()
    for _ in range(generations):
        kept = law * np.exp(rewards)
        law = share * reference + (1 - share) * kept / kept.sum()
    return law


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9, 1.0])
def test_curation_with_an_atom_at_the_top_settles_without_a_condensate(share):
    rng = np.random.default_rng(0)
    rewards, reference = rng.uniform(-3, 0, 40), rng.dirichlet(np.ones(40))
    found = selection.curated(rewards, reference, rewards.max(), share)
    assert (found.condensed, found.critical) == (0.0, 0.0)
    np.testing.assert_allclose(found.law, iterate(rewards, reference, share, 3000), atol=1e-9)
    course = selection.curation_course(rewards, reference, share, 7)
    assert course.shape == (8, 40)
    for t in (0, 1, 7):
        np.testing.assert_allclose(course[t], iterate(rewards, reference, share, t), rtol=1e-12)


def test_curation_condenses_below_the_critical_share():
    """Rewards with density falling to the top as (r_max - r)²: a condensate for h < h_c."""
    distance = (np.arange(20_000) + 0.5) / 20_000 * 3
    reference = distance**2 / (distance**2).sum()
    rewards = -distance
    critical = selection.critical_human_share(rewards, reference, 0.0)
    assert 0 < critical < 1
    share = 0.5 * critical
    found = selection.curated(rewards, reference, 0.0, share)
    assert found.condensed == pytest.approx(0.5)
    assert found.law.sum() == pytest.approx(0.5)
    # what is far from the top is as computed; what condenses comes near it, slowly
    law = iterate(rewards, reference, share, 4000)
    far = distance > 0.6
    np.testing.assert_allclose(law[far], found.law[far], rtol=1e-3)
    at = selection.curated(rewards, reference, 0.0, critical)
    assert (at.condensed, at.law.sum()) == (0.0, pytest.approx(1, rel=1e-12))
    share = (1 + critical) / 2
    above = selection.curated(rewards, reference, 0.0, share)
    assert above.condensed == 0
    assert above.law.sum() == pytest.approx(1, rel=1e-9)
    law = iterate(rewards, reference, share, 4000)
    np.testing.assert_allclose(above.law, law, rtol=1e-6)


@pytest.mark.parametrize(
    ("right", "true", "false"),
    [(0.7, 1.0, 1.0), (0.7, 0.9, 0.3), (0.45, 0.9, 0.5), (0.4, 0.5, 0.5)],
)
def test_filtered_labels(right, true, false):
    """Least squares on 200 data sets of 600 samples in 50 dimensions, within 4 standard errors."""
    rng = np.random.default_rng(1)
    d, n, found = 50, 600, []
    for _ in range(200):
        x = rng.standard_normal((n, d))
        good = rng.random(n) < right
        kept = rng.random(n) < np.where(good, true, false)
        y = np.where(good, 1, -1) * np.sign(x[:, 0])
        w = np.linalg.lstsq(x[kept], y[kept])[0]
        found.append(1 - np.arccos(w[0] / np.linalg.norm(w)) / np.pi)
    told = selection.filtered_accuracy(n, d, right, true_positive=true, false_positive=false)
    assert abs(np.mean(found) - told) < 4 * np.std(found) / np.sqrt(200) + 0.001


def test_breakdown_of_a_filter():
    at = selection.filtered_accuracy(10_000, 10, 0.4, true_positive=0.6, false_positive=0.4)
    assert at == pytest.approx(0.5)
    wide = selection.filtered_accuracy(10**9, 10, 0.41, true_positive=0.6, false_positive=0.4)
    assert wide > 0.99


def test_nonsense_is_refused():
    for call, message in (
        (lambda: selection.verified(1.5, reach=1, bias=0, samples=5, initial=5), "whole numbers"),
        (lambda: selection.verified(1, reach=0, bias=0, samples=5, initial=5), "reach must be"),
        (lambda: selection.verified(1, reach=1, bias=0, samples=0, initial=5), "at least 1, got 0"),
        (lambda: selection.curated([0.0], [1.0], 0.0, 0.0), "human_share must lie in"),
        (lambda: selection.curated([0.0], [0.5], 0.0, 0.5), "sum to one"),
        (lambda: selection.curated([1.0], [1.0], 0.0, 0.5), "at least the highest reward 1"),
        (lambda: selection.curation_course([0.0], [1.0], 1.5, 2), "human_share must lie in"),
        (lambda: selection.curation_course([0.0], [1.0], 0.5, -1), "generations must not be"),
        (lambda: selection.filtered_accuracy(5, 5, 1.2), "right must lie in"),
        (
            lambda: selection.filtered_accuracy(5, 5, 1.0, true_positive=0),
            "0 labels pass the filter",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()
