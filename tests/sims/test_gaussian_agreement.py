"""Every closed form of the theory against a quarter of a million lineages.

Held against the mean of a sample are only quantities whose distribution the sample can show:
logarithms and quantiles at any t, means of σ, σ², (μ_t - μ)² and W₂² only while t/n is of order
one, since beyond that a few lineages carry them (`lineages_needed`).
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from commensal.sims.gaussian import GaussianConfig, moments, simulate
from commensal.theory import gaussian

LINEAGES = 2**18
AT = (1, 2, 10)


@pytest.fixture(autouse=True, scope="module")
def _simulations_are_called_once() -> None:
    """So many lineages are worth an optimised program."""


# Per process at most 8 quantities and 3 quantiles at 3 generations; 5 processes of them with all
# quantities, 10 with fewer: below 350 comparisons. With each at 4.8 standard errors (1.6e-6, two-
# sided), one sound run in 1,700 would fail somewhere, if seeds were not fixed. A mean that is off
# by a hundredth of its quantity's standard deviation is seen (4.8 / √LINEAGES = 0.0094).
Z = 4.8


def check(runs, name: str, expected, at=AT, error=None) -> None:
    got = runs[name].sel(generation=list(at)).values
    if error is None:
        error = runs[f"{name}_standard_error"].sel(generation=list(at)).values
    z = (got - np.asarray(expected)) / error
    assert np.all(np.abs(z) < Z), (name, z)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_replace(estimator: str, dtype: str) -> None:
    n, t = 10, np.array(AT)
    process = {"memory": "replace", "estimator": estimator}
    runs = moments(
        GaussianConfig(
            samples=n, generations=10, replicates=LINEAGES, dtype=dtype, record=AT, **process
        ),
        quantiles=(0.05, 0.5, 0.95),
    )
    check(runs, "mean", np.zeros(3))
    check(runs, "variance", gaussian.expected_variance(t, n, **process))
    check(runs, "squared_error", gaussian.expected_squared_error(t, n, **process))
    check(runs, "std", gaussian.expected_std(t, n, **process))
    check(runs, "w2", gaussian.expected_w2(t, n, **process))
    check(runs, "log_variance", gaussian.expected_log_variance(t, n, **process))
    check(runs, "log_variance_variance", gaussian.variance_log_variance(t, n, **process))
    for q in (0.05, 0.5, 0.95):
        # the error of a sample quantile: that of a count, over the density, from the theory
        exact = np.array([gaussian.log_std_quantile(q, int(s), n, **process) for s in t])
        spread = np.sqrt(q * (1 - q) / LINEAGES)
        low, high = (
            np.array([gaussian.log_std_quantile(p, int(s), n, **process) for s in t])
            for p in (q - spread, q + spread)
        )
        at_q = runs.sel(quantile=q)
        check(at_q, "log_variance_quantile", 2 * exact, error=high - low)


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_accumulate(estimator: str) -> None:
    n, at = 4, (1, 2, 50)
    t = np.array(at)
    process = {"memory": "accumulate", "estimator": estimator}
    runs = moments(
        GaussianConfig(samples=n, generations=50, replicates=LINEAGES, record=at, **process)
    )
    check(runs, "mean", np.zeros(3), at)
    check(runs, "variance", gaussian.expected_variance(t, n, **process), at)
    check(runs, "squared_error", gaussian.expected_squared_error(t, n, **process), at)
    check(runs, "std", gaussian.expected_std(t, n, **process), at)
    check(runs, "w2", gaussian.expected_w2(t, n, **process), at)
    check(runs, "log_variance", gaussian.expected_log_variance(t, n, **process), at)
    check(runs, "log_variance_variance", gaussian.variance_log_variance(t, n, **process), at)
    # the pool's variance in the paper's line of descent: its limit sin(π/√n)/(π/√n), at t = 50
    if estimator == "mle":
        limit = np.sin(np.pi / np.sqrt(n)) / (np.pi / np.sqrt(n))
        assert 0 < runs.variance.sel(generation=50) - limit < 0.01


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_subsample(estimator: str) -> None:
    n, at = 3, (1, 2, 5)
    t = np.array(at)
    process = {"memory": "accumulate_subsample", "estimator": estimator}
    runs = moments(
        GaussianConfig(samples=n, generations=5, replicates=LINEAGES, record=at, **process)
    )
    check(runs, "mean", np.zeros(3), at)
    check(runs, "variance", gaussian.expected_variance(t, n, **process), at)
    check(runs, "squared_error", gaussian.expected_squared_error(t, n, **process), at)


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_human_share(estimator: str) -> None:
    n, share, t = 6, 0.34, np.array(AT)
    runs = moments(
        GaussianConfig(
            samples=n,
            generations=10,
            replicates=LINEAGES,
            record=AT,
            human_share=share,
            estimator=estimator,
        )
    )
    process = {"memory": "replace", "estimator": estimator, "human_share": share}
    check(runs, "mean", np.zeros(3))
    check(runs, "variance", gaussian.expected_variance(t, n, **process))
    check(runs, "squared_error", gaussian.expected_squared_error(t, n, **process))


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_three_coordinates(estimator: str) -> None:
    n, d, at = 12, 3, (1, 5)
    t = np.array(at)
    runs = moments(
        GaussianConfig(
            samples=n,
            dim=d,
            generations=5,
            replicates=LINEAGES,
            record=at,
            estimator=estimator,
            w2=False,
        )
    )
    eye = np.eye(d)
    one = [{"t": int(s), "n": n, "covariance": eye, "estimator": estimator} for s in t]
    check(runs, "trace", [gaussian.expected_trace(**each) for each in one], at)
    error = [gaussian.expected_mean_squared_error(**each) for each in one]
    check(runs, "mean_squared_error", error, at)
    log = [gaussian.expected_log_determinant(**each) for each in one]
    check(runs, "log_determinant", log, at)
    spread = [gaussian.variance_log_determinant(int(s), n, d) for s in t]
    check(runs, "log_determinant_variance", spread, at)


def test_long_lineages_by_logarithms_alone() -> None:
    """t/n = 50: by the sample mean of σ² the unbiased estimator looks as if it lost variance."""
    n, t = 4, 200
    runs = moments(GaussianConfig(samples=n, generations=t, replicates=LINEAGES, record=(t,)))
    check(runs, "log_variance", [gaussian.expected_log_variance(t, n)], (t,))
    check(runs, "log_variance_variance", [gaussian.variance_log_variance(t, n)], (t,))
    median = 2 * gaussian.log_std_quantile(0.5, t, n)
    at_half = runs.sel(quantile=0.5)
    check(at_half, "log_variance_quantile", [median], (t,))
    assert gaussian.expected_variance(t, n) == 1
    assert runs.variance.sel(generation=t) < 0.01
    assert scipy.stats.norm.sf(Z) * 2 * 350 < 1 / 1700


def z_of_mean(values: np.ndarray, expected: np.ndarray) -> np.ndarray:
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return (values.mean(axis=0) - expected) / error


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_determinant_and_spread_of_the_trace(estimator: str) -> None:
    # 8 comparisons; n = 30 keeps the tails of a determinant light enough for a mean
    n, d, at = 30, 3, (1, 3)
    process = {"samples": n, "dim": d, "estimator": estimator, "w2": False}
    runs = simulate(
        GaussianConfig(**process, generations=3, replicates=LINEAGES, record=at, seed=1)
    )
    eye = np.eye(d)
    determinant = [gaussian.expected_determinant(t, n, eye, estimator) for t in at]
    assert np.all(np.abs(z_of_mean(np.exp(runs.log_determinant.values), determinant)) < Z)
    trace = np.exp(runs.log_trace.values)
    centre = np.array([gaussian.expected_trace(t, n, eye, estimator=estimator) for t in at])
    variance = np.array([gaussian.variance_trace(t, n, eye, estimator) for t in at])
    assert np.all(np.abs(z_of_mean((trace - centre) ** 2, variance)) < Z)


def test_one_fit_is_as_far_off_as_the_tail_says() -> None:
    """P(W ≥ δ) at n = 2, 5, 100, and of the best of 4: 24 comparisons of counts."""
    for n in (2, 5, 100):
        runs = simulate(
            GaussianConfig(samples=n, generations=1, replicates=LINEAGES, record=(1,), seed=n)
        )
        w = runs.w2.values[:, 0]
        best = w.reshape(-1, 4).min(axis=1)
        for scaled in (0.3, 1.5, 4.0, 8.0):
            delta = scaled / n
            one = float(gaussian.w2_survival(delta, n))
            four = float(gaussian.best_of_survival(delta, n, 4))
            for values, p in ((w, one), (best, four)):
                error = np.sqrt(p * (1 - p) / values.size)
                # counts below 25 are not normal: then the law is asked only for "hardly ever"
                allowed = max(Z * error, 30 / values.size)
                assert abs((values >= delta).mean() - p) < allowed, (n, scaled, p)


@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_quantiles_of_accumulating_lineages_and_time_to_collapse(estimator: str) -> None:
    n, t = 5, 20
    process = {"memory": "accumulate", "estimator": estimator}
    runs = simulate(
        GaussianConfig(
            samples=n, generations=t, replicates=LINEAGES, record=(t,), seed=2, **process
        )
    )
    log_std = 0.5 * runs.log_variance.values[:, 0]
    for q in (0.1, 0.5, 0.9):
        below = (log_std <= np.log(float(gaussian.std_quantile(q, t, n, **process)))).mean()
        assert abs(below - q) < Z * np.sqrt(q * (1 - q) / LINEAGES)
    # the first generation whose median is below one half: the count of lineages below says so
    first = int(gaussian.time_to_collapse(0.5, n, estimator))
    alone = GaussianConfig(
        samples=n, generations=first, replicates=LINEAGES, seed=3, estimator=estimator
    )
    runs = simulate(alone.model_copy(update={"record": (first - 1, first)}))
    below = (0.5 * runs.log_variance.values < np.log(0.5)).mean(axis=0)
    assert below[0] < 0.5 + Z * 0.5 / np.sqrt(LINEAGES)
    assert below[1] > 0.5 - Z * 0.5 / np.sqrt(LINEAGES)


def test_a_hundred_coordinates() -> None:
    n, d = 150, 100
    runs = simulate(
        GaussianConfig(samples=n, dim=d, generations=3, replicates=256, record=(3,), w2=False)
    )
    eye = np.eye(d)
    log_determinant = runs.log_determinant.values[:, 0]
    expected = float(gaussian.expected_log_determinant(3, n, eye))
    spread = np.sqrt(float(gaussian.variance_log_determinant(3, n, d)))
    assert abs(log_determinant.mean() - expected) < Z * spread / np.sqrt(256)
    trace = np.exp(runs.log_trace.values[:, 0])
    error = np.sqrt(float(gaussian.variance_trace(3, n, eye)) / 256)
    assert abs(trace.mean() - float(gaussian.expected_trace(3, n, eye))) < Z * error
