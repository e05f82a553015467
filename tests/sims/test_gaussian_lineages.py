"""Lineages: against a plain loop that draws and refits, and what a config promises."""

from __future__ import annotations

import warnings

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats

from commensal.sims.gaussian import GaussianConfig, moments, simulate

PROCESSES = [
    (memory, estimator)
    for memory in ("replace", "accumulate", "accumulate_subsample")
    for estimator in ("unbiased", "mle")
]

# Two-sample Kolmogorov-Smirnov, below: 6 processes x 2 routes at most x 2, 2 x 2 x 2 with human
# points, 5 x 2 truths and 3 x 2 x 3 in three dimensions, 60 at most. Each at 2e-6: family-wise
# error below 1.2e-4.
LEVEL = 2e-6


def loop(
    config: GaussianConfig, rng: np.random.Generator, lineages: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances at the last generation: every point drawn, every pool kept."""
    n, d, human = config.samples, config.dim, config.human_samples
    ddof = 1 if config.estimator == "unbiased" else 0
    real = {
        "gaussian": lambda shape: rng.standard_normal(shape),
        "laplace": lambda shape: rng.laplace(scale=np.sqrt(0.5), size=shape),
        "student_t": lambda shape: (
            rng.standard_t(config.student_df, shape) * np.sqrt(1 - 2 / config.student_df)
        ),
        "exponential": lambda shape: rng.exponential(size=shape) - 1,
        "uniform": lambda shape: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
    }[config.truth]
    pool = np.empty((lineages, 0, d))
    mean, factor = np.zeros((lineages, d)), np.broadcast_to(np.eye(d), (lineages, d, d))
    for t in range(1, config.generations + 1):
        if t == 1:
            points = real((lineages, n, d))
        else:
            points = mean[:, None] + rng.standard_normal((lineages, n - human, d)) @ factor.mT
            points = np.concatenate([points, real((lineages, human, d))], axis=1)
        pool = points if config.memory == "replace" else np.concatenate([pool, points], axis=1)
        chosen = pool
        if config.memory == "accumulate_subsample":
            places = np.tile(np.arange(pool.shape[1]), (lineages, 1))
            places = rng.permuted(places, axis=1)[:, :n]  # without replacement
            chosen = np.take_along_axis(pool, places[..., None], axis=1)
        mean = chosen.mean(axis=1)
        centred = chosen - mean[:, None]
        covariance = centred.mT @ centred / (chosen.shape[1] - ddof)
        factor = np.linalg.cholesky(covariance)
    return mean, covariance


def same_law(first: np.ndarray, second: np.ndarray) -> bool:
    return scipy.stats.ks_2samp(np.ravel(first), np.ravel(second)).pvalue > LEVEL


@pytest.mark.parametrize(("memory", "estimator"), PROCESSES)
@pytest.mark.parametrize("method", ["statistics", "samples"])
def test_one_coordinate_has_the_law_of_the_plain_loop(method, memory, estimator) -> None:
    if method == "statistics" and memory == "accumulate_subsample":
        pytest.skip("has no sufficient statistics")
    config = GaussianConfig(
        samples=4, generations=5, replicates=50_000, method=method, memory=memory,
        estimator=estimator, record=(5,),
    )  # fmt: skip
    runs = simulate(config)
    mean, covariance = loop(config, np.random.default_rng(1), 10_000)
    assert same_law(runs["mean"].values, mean)
    assert same_law(runs.log_variance.values, np.log(covariance))


@pytest.mark.parametrize("method", ["statistics", "samples"])
@pytest.mark.parametrize("estimator", ["unbiased", "mle"])
def test_fresh_human_points(method, estimator) -> None:
    config = GaussianConfig(
        samples=5, generations=5, replicates=50_000, method=method, estimator=estimator,
        human_share=0.4, record=(5,),
    )  # fmt: skip
    assert config.human_samples == 2
    runs = simulate(config)
    mean, covariance = loop(config, np.random.default_rng(2), 10_000)
    assert same_law(runs["mean"].values, mean)
    assert same_law(runs.log_variance.values, np.log(covariance))


@pytest.mark.parametrize("truth", ["laplace", "student_t", "exponential", "uniform"])
@pytest.mark.parametrize("human_share", [0.0, 0.5])
def test_other_truths(truth, human_share) -> None:
    config = GaussianConfig(
        samples=4, generations=2, replicates=50_000, truth=truth, human_share=human_share,
        record=(2,),
    )  # fmt: skip
    assert config.resolved_method == "samples"
    runs = simulate(config)
    mean, covariance = loop(config, np.random.default_rng(3), 10_000)
    assert same_law(runs["mean"].values, mean)
    assert same_law(runs.log_variance.values, np.log(covariance))


@pytest.mark.parametrize(("memory", "share"), [
    ("replace", 0.0), ("replace", 0.5), ("accumulate", 0.0), ("accumulate_subsample", 0.0),
])  # fmt: skip
def test_three_coordinates(memory, share) -> None:
    config = GaussianConfig(
        samples=6, dim=3, generations=4, replicates=20_000, memory=memory, human_share=share,
        record=(4,), full=True,
    )  # fmt: skip
    mean, covariance = loop(config, np.random.default_rng(4), 10_000)
    routes = ("samples",) if memory == "accumulate_subsample" else ("statistics", "samples")
    for method in routes:
        runs = simulate(config.model_copy(update={"method": method}))
        assert same_law(runs.mean_squared_error.values, np.sum(mean**2, axis=1))
        assert same_law(runs.log_determinant.values, np.linalg.slogdet(covariance)[1])
        assert same_law(runs.log_trace.values, np.log(np.trace(covariance, axis1=1, axis2=2)))
        # what is read of a model agrees with the model itself
        full = runs.isel(generation=0, replicate=slice(50))
        for i in range(50):
            matrix = full.covariance.values[i]
            np.testing.assert_allclose(
                full.log_determinant.values[i], np.linalg.slogdet(matrix)[1], rtol=1e-6, atol=1e-6
            )
            np.testing.assert_allclose(full.log_trace.values[i], np.log(np.trace(matrix)))
            root = np.sqrt(np.maximum(np.linalg.eigvalsh(matrix), 0))
            w2 = np.sum(full["mean"].values[i] ** 2) + np.sum((root - 1) ** 2)
            np.testing.assert_allclose(full.w2.values[i], w2, rtol=1e-6)
            assert full.mean_squared_error.values[i] == pytest.approx(
                np.sum(full["mean"].values[i] ** 2)
            )


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_never_vanish(n: int, dtype: str) -> None:
    """A thousand generations on, where the variance itself is zero in float32."""
    runs = simulate(
        GaussianConfig(
            samples=n, generations=1000, replicates=4000, dtype=dtype, record=(0, 500, 1000)
        )
    )
    log = runs.log_variance.sel(generation=1000).values
    assert np.all(np.isfinite(runs.log_variance))
    assert np.all(np.isfinite(runs["mean"]))
    assert np.all(np.isfinite(runs.w2))
    with np.errstate(under="ignore"):
        assert np.mean(np.exp(log.astype(np.float32)) == 0) > 0.99
    # The exact law of the sum, within 5 standard errors of its mean and of its variance: six
    # cases, two each, family-wise error 7e-6.
    half = (n - 1) / 2
    step = scipy.special.digamma(half) - np.log(half)
    spread = 1000 * scipy.special.polygamma(1, half)
    kurtosis = scipy.special.polygamma(3, half) / scipy.special.polygamma(1, half) ** 2 / 1000
    assert abs(log.mean() - 1000 * step) < 5 * np.sqrt(spread / log.size)
    assert abs(log.var() / spread - 1) < 5 * np.sqrt((2 + kurtosis) / log.size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_three_coordinates_never_vanish(dtype: str) -> None:
    config = GaussianConfig(
        samples=4, dim=3, generations=1000, replicates=500, dtype=dtype, record=(1000,)
    )
    runs = simulate(config)
    assert np.all(np.isfinite(runs.log_trace))
    assert np.all(np.isfinite(runs.log_determinant))
    half = (4 - 1 - np.arange(3)) / 2
    mean = 1000 * np.sum(scipy.special.digamma(half) + np.log(2 / 3))
    error = np.sqrt(1000 * np.sum(scipy.special.polygamma(1, half)) / 500)
    assert abs(runs.log_determinant.mean() - mean) < 5 * error  # two cases
    # tr Σ ≥ d (det Σ)^{1/d}
    assert np.all(runs.log_trace >= np.log(3) + runs.log_determinant / 3)


def test_singular_from_the_start() -> None:
    """At n ≤ d the determinant is zero, and the rest as the plain loop has it."""
    for memory in ("replace", "accumulate"):
        for method in ("statistics", "samples"):
            config = GaussianConfig(
                samples=3, dim=4, generations=3, replicates=2000, memory=memory,
                method=method, full=True, record=(1, 3),
            )  # fmt: skip
            runs = simulate(config)
            assert np.all(runs.log_determinant == -np.inf)
            assert np.all(np.isfinite(runs.log_trace))
            assert np.all(np.isfinite(runs.w2))
            rank = np.linalg.matrix_rank(runs.covariance.values[:100, 1], rtol=1e-10)
            assert np.all(rank == 2)
            # E tr Σ_1 = d; variance 2 d / (n-1)
            trace = np.exp(runs.log_trace.values[:, 0])
            assert abs(trace.mean() - 4) < 5 * np.sqrt(2 * 4 / 2 / 2000)


@pytest.mark.usefixtures("compiled_as_for_users")
def test_no_result_depends_on_the_chunk_or_on_what_follows() -> None:
    cases = [
        {}, {"dtype": "float64"}, {"memory": "accumulate"}, {"method": "samples"},
        {"human_share": 0.5}, {"dim": 3, "samples": 6}, {"memory": "accumulate_subsample"},
    ]  # fmt: skip
    for case in cases:
        base = GaussianConfig(**({"samples": 4, "generations": 6, "replicates": 40_000} | case))
        if base.dim > 1 or base.resolved_method == "samples":
            base = base.model_copy(update={"replicates": 2500})
        whole = simulate(base)
        fewer = simulate(base.model_copy(update={"replicates": 37}))
        chunked = simulate(base.model_copy(update={"chunk": 1}))
        shorter = simulate(base.model_copy(update={"record": (2, 5)}))
        for name in whole.data_vars:
            np.testing.assert_array_equal(chunked[name], whole[name])
            np.testing.assert_array_equal(fewer[name], whole[name][:37])
            if base.memory != "accumulate_subsample":  # whose batches depend on the pool's size
                np.testing.assert_array_equal(shorter[name], whole[name].sel(generation=[2, 5]))


def test_seeds_and_keys() -> None:
    config = GaussianConfig(generations=3, replicates=50)
    first = simulate(config)
    assert first.equals(simulate(config, jax.random.key(0, impl="threefry2x32")))
    other = simulate(config.model_copy(update={"seed": 1}))
    assert not np.any(other.log_variance[:, 1:] == first.log_variance[:, 1:])
    assert len(np.unique(first.log_variance[:, 1:])) == 150
    with pytest.raises(ValueError, match="key must be one threefry key"):
        simulate(config, jax.random.key(0, impl="rbg"))


def test_units_of_the_data() -> None:
    """Everything moves and scales with the truth."""
    for dim in (1, 2):
        config = GaussianConfig(samples=5, dim=dim, generations=3, replicates=100)
        there = config.model_copy(update={"mean": 7.0, "variance": 9.0})
        unit, data = simulate(config), simulate(there)
        np.testing.assert_allclose(data.w2, 9 * unit.w2)
        if dim == 1:
            np.testing.assert_allclose(data["mean"], 7 + 3 * unit["mean"])
            np.testing.assert_allclose(data.log_variance, np.log(9) + unit.log_variance)
        else:
            np.testing.assert_allclose(data.log_determinant, 2 * np.log(9) + unit.log_determinant)
            np.testing.assert_allclose(data.log_trace, np.log(9) + unit.log_trace)
        streamed = moments(there.model_copy(update={"record": (0, 3)}))
        np.testing.assert_allclose(streamed.w2[1], data.w2[:, 3].mean())
        name = "variance" if dim == 1 else "trace"
        log = data.log_variance if dim == 1 else data.log_trace
        np.testing.assert_allclose(streamed[name], np.exp(log[:, [0, 3]]).mean("replicate"))


def test_generation_zero_is_the_truth() -> None:
    runs = simulate(GaussianConfig(generations=0, replicates=3, mean=2.0, variance=4.0))
    np.testing.assert_array_equal(runs["mean"], 2.0)
    np.testing.assert_array_equal(runs.log_variance, np.log(4.0))
    np.testing.assert_array_equal(runs.w2, 0.0)


@pytest.mark.usefixtures("compiled_as_for_users")
def test_moments_are_those_of_the_lineages() -> None:
    config = GaussianConfig(samples=6, generations=8, replicates=40_001, record=(0, 1, 8))
    runs, streamed = simulate(config), moments(config, quantiles=(0.01, 0.5, 0.99))
    log = runs.log_variance
    columns = {
        "mean": runs["mean"],
        "squared_error": runs["mean"] ** 2,
        "log_variance": log,
        "std": np.exp(log / 2),
        "variance": np.exp(log),
        "w2": runs.w2,
    }
    for name, values in columns.items():
        np.testing.assert_allclose(streamed[name], values.mean("replicate"), atol=1e-13)
        error = values.std("replicate", ddof=1) / np.sqrt(config.replicates)
        np.testing.assert_allclose(streamed[f"{name}_standard_error"], error, atol=1e-13)
    np.testing.assert_allclose(
        streamed.log_variance_variance, log.var("replicate", ddof=1), atol=1e-13
    )
    exact = log.quantile([0.01, 0.5, 0.99], "replicate").transpose("quantile", "generation")
    gap = np.abs(streamed.log_variance_quantile - exact)
    assert np.all(gap <= 0.3 * streamed.log_variance_quantile_standard_error + 1e-12)
    bare = moments(config.model_copy(update={"chunk": 1}), quantiles=(0.01, 0.5, 0.99))
    assert bare.drop_attrs().equals(streamed.drop_attrs())


def test_progress_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    config = GaussianConfig(generations=1, replicates=40_000, chunk=1)
    simulate(config, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (40_000, 40_000)
    assert len(seen) > 1
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"samples": 1}, "samples"),
        ({"variance": -1.0}, "variance\n  Input should be greater than 0"),
        ({"variance": 0.0}, "variance\n  Input should be greater than 0"),
        ({"memory": "merge"}, "'replace', 'accumulate' or 'accumulate_subsample'"),
        ({"dim": 101}, "dim"),
        ({"generation": 3}, "generation\n  Extra inputs are not permitted"),
        ({"human_share": 0.5, "memory": "accumulate"}, "human_share needs memory 'replace'"),
        ({"method": "statistics", "truth": "laplace"}, "needs truth 'gaussian', got 'laplace'"),
        (
            {"method": "statistics", "memory": "accumulate_subsample"},
            "does not cover memory 'accumulate_subsample'",
        ),
        ({"record": (3, 2)}, "record must be rising generations from 0 to 100, got [3, 2]"),
        ({"record": (101,)}, "record must be rising generations"),
        ({"record": ()}, "record must be rising generations"),
        ({"full": True}, "full needs dim > 1"),
        ({"student_df": 2.0}, "student_df"),
    ],
)
def test_bad_input(bad, message) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is checked below)
        GaussianConfig(**bad)
    assert message in str(caught.value)
    assert caught.value.error_count() == 1  # pyright: ignore[reportAttributeAccessIssue]


def test_moments_refuses_what_has_no_answer() -> None:
    with pytest.raises(ValueError, match="replicates must be at least 2"):
        moments(GaussianConfig(replicates=1))
    with pytest.raises(ValueError, match=r"quantiles must lie inside \(0, 1\)"):
        moments(GaussianConfig(replicates=10), quantiles=(0.0,))


def test_nothing_is_switched_on_for_good() -> None:
    simulate(GaussianConfig(generations=1, replicates=10))
    assert jax.numpy.zeros(1).dtype == np.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.numpy.zeros(1) + 1
