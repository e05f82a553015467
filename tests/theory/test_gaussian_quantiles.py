"""The law of σ_t: against chi-square and Bessel functions, dense sums, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from commensal.theory import gaussian
from commensal.theory.gaussian import _law
from tests.reference import gaussian as slow

PROCESSES = [(w, e) for w in ("replace", "accumulate") for e in ("unbiased", "mle")]


@pytest.mark.parametrize("n", [2, 3, 10, 10_000])
@pytest.mark.parametrize("memory", ["replace", "accumulate"])
def test_one_generation_is_chi_square(n, memory) -> None:
    p = np.array([1e-9, 1e-4, 0.1, 0.5, 0.9, 1 - 1e-6])
    chi = stats.chi2.ppf(p, n - 1)
    # by the Fourier sum, though t = 1 has a shorter way
    law = _law.law(1.0, float(n), memory, "unbiased")
    np.testing.assert_allclose(law.cdf(np.log(chi / (n - 1))), p, rtol=0, atol=1e-14)
    for estimator, m in (("unbiased", n - 1), ("mle", n)):
        got = gaussian.std_quantile(p, 1, n, memory, estimator)
        np.testing.assert_allclose(got, np.sqrt(chi / m), rtol=1e-12)
        np.testing.assert_allclose(gaussian.std_cdf(got, 1, n, memory, estimator), p, rtol=1e-9)


def test_two_generations_of_three_points_is_a_bessel_function() -> None:
    # χ²_2/2 is exponential, and a product of two of those has P(X > z) = 2√z K_1(2√z)
    z = np.geomspace(1e-8, 40, 50)
    known = 1 - 2 * np.sqrt(z) * special.k1(2 * np.sqrt(z))
    got = gaussian.std_cdf(np.sqrt(z), 2, 3)
    np.testing.assert_allclose(got, known, rtol=0, atol=1e-14)


def dense_cdf(y, n, memory, estimator):
    """P(σ_2² <= y) by summing over the second generation's chi-square variables."""
    grid, weights = slow.panels(8, 25)
    p, w = (grid + 1) / 2, weights / 2
    p, w = p**2 * (3 - 2 * p), w * 6 * p * (1 - p)  # towards both ends
    x = stats.chi2.ppf(p, n - 1)
    if memory == "replace":
        m = n if estimator == "mle" else n - 1
        return w @ stats.chi2.cdf(y * m * m / x, n - 1)
    r = n / (n - 1) if estimator == "unbiased" else 1.0
    growth = n + r * (x[:, None] + stats.chi2.ppf(p, 1) / 2)
    last = y * (2 * n - (estimator == "unbiased"))  # scatter of the pool of 2n
    return w @ stats.chi2.cdf(last * n / growth, n - 1) @ w


@pytest.mark.parametrize(("memory", "estimator"), PROCESSES)
@pytest.mark.parametrize("n", [4, 30])
def test_two_generations_by_dense_sums(n, memory, estimator) -> None:
    for x in (0.5, 1.1):
        known = dense_cdf(x * x, n, memory, estimator)
        assert gaussian.std_cdf(x, 2, n, memory, estimator) == pytest.approx(known, abs=1e-8)


def test_many_generations_by_simulation() -> None:
    """Sums of logs drawn by NumPy: 3 quantiles of 8 processes."""
    rng, replicates, zs = np.random.default_rng(5), 50_000, []
    for memory, estimator in PROCESSES:
        for n, t in ((2, 12), (20, 30)):
            m = n if estimator == "mle" else n - 1
            log = np.log(rng.chisquare(n - 1, replicates) / (m if memory == "replace" else n))
            for i in range(2, t + 1):
                chi = rng.chisquare(n - 1, replicates)
                if memory == "replace":
                    log += np.log(chi / m)
                    continue
                r = 1.0 if estimator == "mle" else n * (i - 1) / (n * (i - 1) - 1)
                chi += (i - 1) / i * rng.chisquare(1, replicates)
                log += np.log((n * (i - 1) + r * chi) / (n * i))
            if memory == "accumulate" and estimator == "unbiased":
                log += np.log(n * t / (n * t - 1))
            for p in (0.02, 0.5, 0.98):
                q = gaussian.std_quantile(p, t, n, memory, estimator)
                below = np.mean(log <= 2 * np.log(q))
                zs.append((below - p) / np.sqrt(p * (1 - p) / replicates))
    # two-sided, Bonferroni over 24: family-wise error 1e-3
    assert np.abs(zs).max() < stats.norm.isf(1e-3 / 2 / len(zs))


@pytest.mark.parametrize(("n", "t"), [(2, 10_000), (5, 1000), (100, 10_000), (10_000, 10_000)])
@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_many_generations_are_lognormal(n, t, estimator) -> None:
    """Edgeworth: the median is the mean less κ₃/(6κ₂), which t does not change."""
    k = (n - 1) / 2
    mean = gaussian.expected_log_variance(t, n, "replace", estimator)
    second, third = special.polygamma(1, k), special.polygamma(2, k)
    median = 2 * gaussian.log_std_quantile(0.5, t, n, "replace", estimator)
    skew = -third / (6 * second)
    assert median - mean == pytest.approx(skew, abs=20 * abs(skew) / t + 1e-9)
    if n > 5:  # otherwise σ_t is below the smallest float
        q = [0.05, 0.95]
        spread = 2 * np.log(gaussian.std_quantile_lognormal(q, t, n, "replace", estimator))
        exact = 2 * gaussian.log_std_quantile(q, t, n, "replace", estimator)
        np.testing.assert_allclose(exact, spread, atol=2 * abs(skew))


def test_quantiles_undo_the_distribution_function() -> None:
    q = np.array([1e-3, 0.3, 0.5, 0.99])
    for memory, estimator in PROCESSES:
        for t, n in ((2, 2), (50, 10)):
            x = gaussian.std_quantile(q, t, n, memory, estimator)
            back = gaussian.std_cdf(x, t, n, memory, estimator)
            np.testing.assert_allclose(back, q, rtol=0, atol=2e-13)
    assert gaussian.std_quantile(0.3, 0, 5) == 1.0
    assert gaussian.std_quantile(0.3, np.inf, 5) == 0.0
    np.testing.assert_array_equal(gaussian.std_cdf([0.5, 1.0, -1.0], 0, 5), [0, 1, 0])
    np.testing.assert_array_equal(gaussian.std_cdf([0.0, -1.0, 1e300], 4, 5), [0, 0, 1])


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_accumulation_has_a_limiting_law(estimator) -> None:
    late, limit = gaussian.std_quantile(0.5, [10**7, np.inf], 5, "accumulate", estimator)
    assert late == pytest.approx(limit, rel=1e-7)
    threshold = [0.999 * limit, 1.001 * limit]
    times = gaussian.time_to_collapse(threshold, 5, estimator, "accumulate")
    assert times[0] == np.inf
    assert np.isfinite(times[1])


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_time_to_collapse_is_the_first(estimator) -> None:
    for threshold, n in ((0.5, 2), (0.5, 20), (0.1, 100), (0.5, 10_000)):
        t = gaussian.time_to_collapse(threshold, n, estimator)
        before, at = gaussian.std_quantile(0.5, [t - 1, t], n, "replace", estimator)
        assert at < threshold <= before
        rough = gaussian.time_to_collapse_lognormal(threshold, n, estimator)
        assert abs(t - rough) < 2.5
    medians = gaussian.std_quantile(0.5, np.arange(40), 3, "replace", estimator)
    assert (np.diff(medians) < 0).all()  # what the bisection takes for granted


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian.std_quantile(1.0, 1, 5), r"q must be a probability in \(0, 1\)"),
        (lambda: gaussian.std_cdf(np.nan, 1, 5), "x must be a ratio.*nan"),
        (
            lambda: gaussian.time_to_collapse(1.5, 5),
            r"threshold must be a ratio.*\(0, 1\), got 1.5",
        ),
        (lambda: gaussian.time_to_collapse(0.5, 1), "n must be a number of samples"),
        (
            lambda: gaussian.time_to_collapse(0.5, 5, memory="accumulate_subsample"),
            "the law of σ_t is not known under memory 'accumulate_subsample'; simulate it",
        ),
        (lambda: gaussian.std_quantile(0.5, 2, 5, "accumulate_subsample"), "is not known"),
    ],
)
def test_refuses(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
