"""Populations against a plain loop on the same points, against exact moments, and for sanity.

Statistical comparisons: each test states how many it makes, and its threshold leaves right code a
chance of at most 1e-3 to fail in all of them together (Bonferroni), if seeds were not fixed.
"""

from __future__ import annotations

import jax
import numpy as np
import pydantic
import pytest
from scipy import integrate, special, stats

from commensal.sims import _simulate
from commensal.sims.gaussian import _selection
from commensal.sims.gaussian._population_config import PopulationConfig
from commensal.sims.gaussian._population_process import Draws, Points
from commensal.sims.gaussian._populations import replay_populations, simulate_populations
from tests.reference import gaussian_population as plain

FAMILY = 1e-3
SMALL = {"population": 9, "samples": 6, "generations": 12, "mean": 3.0, "variance": 4.0}
PLAIN = {"mutation": 0.0, "inheritance": 0.0}
REFIT = PLAIN | {"shared_data": False}
ALONE = REFIT | {"population": 1, "crossover": "none", "signal": "none"}

CASES = {
    "as in the text": {"mutation": 0.3},
    "refit on shared data": {"inheritance": 0.0},
    "refit, data for each": {"inheritance": 0.0, "shared_data": False},
    "average of log std, jitter": {"scale": "log_std", "mutate": "offspring", "mutation": 0.5},
    "chance": {"signal": "none", "mutation": 0.3, "inheritance": 0.8},
    "noisy oracle, unmixed": {
        "signal": "noisy_oracle",
        "signal_noise": 0.7,
        "crossover": "none",
        "inheritance": 0.2,
    },
    "validation": {"signal": "validation", "held_out": 5, "estimator": "mle"},
    "fresh validation, unmixed": {
        "signal": "validation",
        "held_out": 4,
        "fresh_held_out": True,
        "crossover": "none",
        "population": 6,
        "parents": 2,
        "shared_data": False,
    },
    "best of five": REFIT | {"population": 5, "parents": 1, "crossover": "none"},
    "all are parents": {"population": 4, "parents": 4, "crossover": "none", "signal": "none"},
}


def sufficient(points: np.ndarray) -> Points:
    """Of standard normal points along the last axis."""
    n = points.shape[-1]
    centred = points - points.mean(axis=-1, keepdims=True)
    return Points(np.sqrt(n) * points.mean(axis=-1), np.log((centred**2).sum(axis=-1)))


def for_replay(config, noise: list[plain.Noise]):
    """Noise of single populations as that of a batch, replicates last."""
    stacked = plain.Noise(*(np.stack(x, axis=-1) for x in zip(*noise, strict=True)))
    # (..., points, R) -> (..., R)
    initial, points, held_out = (
        sufficient(np.moveaxis(x, -2, -1))
        for x in (stacked.initial, stacked.points, stacked.held_out)
    )
    mutates = config.mutation > 0
    fixed = config.signal == "validation" and not config.fresh_held_out
    draws = Draws(
        points=points,
        mutation=(stacked.mutation[:, 0], stacked.mutation[:, 1]) if mutates else None,
        signal=stacked.signal if config.signal in ("noisy_oracle", "none") else None,
        held_out=held_out if config.fresh_held_out else None,
    )
    return initial, draws, Points(*(x[0] for x in held_out)) if fixed else None


def recorded(config, history) -> dict[str, np.ndarray]:
    """What a dataset says, from lists of (mean, std)."""
    mean, std = np.moveaxis(np.array(history), -1, 0)
    sigma = np.sqrt(config.variance)
    w2 = (mean - config.mean) ** 2 + (std - sigma) ** 2
    pooled = np.sqrt((std**2).mean(axis=1) + mean.var(axis=1))
    return {
        "mean_average": mean.mean(axis=1),
        "mean_between": mean.std(axis=1),
        "std_average": std.mean(axis=1),
        "std_between": std.std(axis=1),
        "log_std_average": np.log(std).mean(axis=1),
        "log_std_between": np.log(std).std(axis=1),
        "w2_best": w2.min(axis=1),
        "w2_median": np.median(w2, axis=1),
        "w2_mixture": (mean.mean(axis=1) - config.mean) ** 2 + (pooled - sigma) ** 2,
    }


@pytest.mark.parametrize("name", CASES)
def test_same_points_same_population(name):
    config = PopulationConfig(**(SMALL | CASES[name]))
    rng = np.random.default_rng(0)
    noise = [plain.draw_noise(rng, config) for _ in range(3)]
    found = replay_populations(config, *for_replay(config, noise))
    assert dict(found.sizes) == {"replicate": 3, "generation": 13}
    for r, one in enumerate(noise):
        for quantity, values in recorded(config, plain.run(config, one)).items():
            ours = found[quantity].isel(replicate=r).values
            np.testing.assert_allclose(ours, values, rtol=1e-9, atol=1e-11, err_msg=quantity)


def test_same_law_as_the_plain_program():
    # 2 settings x 3 quantities, two-sample Kolmogorov-Smirnov
    names = ("as in the text", "refit, data for each")
    rng = np.random.default_rng(1)
    quantities = ("mean_average", "log_std_average", "w2_median")
    for name in names:
        settings = SMALL | CASES[name] | {"generations": 4, "record": (4,), "replicates": 2000}
        config = PopulationConfig(**settings)
        ours = simulate_populations(config).isel(generation=0)
        theirs = [plain.run(config, plain.draw_noise(rng, config))[-1:] for _ in range(200)]
        theirs = [recorded(config, last) for last in theirs]
        for quantity in quantities:
            sample = np.concatenate([one[quantity] for one in theirs])
            test = stats.ks_2samp(ours[quantity].values, sample)
            assert test.pvalue > FAMILY / (len(names) * len(quantities)), (name, quantity)


NEUTRAL = {
    "refit on shared data": PLAIN,
    "refit, data for each": REFIT,
    "inheritance": {"mutation": 0.5},
    "inheritance, data for each, mle": {"shared_data": False, "estimator": "mle"},
    "unmixed": {"crossover": "none", "inheritance": 0.3, "mutation": 0.0},
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_chance_has_its_exact_moments(name):
    # 5 settings x 4 quantities x 3 generations
    config = PopulationConfig(
        population=9,
        samples=20,
        signal="none",
        generations=5,
        record=(1, 2, 5),
        replicates=10_000,
        seed=5,
        **NEUTRAL[name],
    )
    runs = simulate_populations(config)
    exact = plain.neutral_moments(config, 5)
    samples = {
        "mean": runs.mean_between**2 + runs.mean_average**2,
        "mean_average": runs.mean_average**2,
        "std": runs.std_between**2 + runs.std_average**2,
        "std_average": runs.std_average**2,
    }
    threshold = stats.norm.isf(FAMILY / 2 / (len(NEUTRAL) * 12))
    for quantity, values in samples.items():
        error = values.std("replicate", ddof=1) / np.sqrt(config.replicates)
        expected = exact[quantity][np.array(config.record) - 1]
        z = (values.mean("replicate") - expected) / error
        assert np.abs(z).max() < threshold, (quantity, z.values)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("k", "h"), [(2, 0.0), (2, 0.5), (3, 0.8), (4, 0.5)])
def test_effective_sample_size_of_chance(shared, k, h):
    # the formula in the documentation against the exact recursion, where σ hardly moves
    config = PopulationConfig(
        population=k * k,
        samples=10**7,
        signal="none",
        inheritance=h,
        shared_data=shared,
        mutation=0.0,
    )
    rate = np.diff(plain.neutral_moments(config, 120)["mean"])[-1]
    c = 2 * h * (1 - h)
    expected = (1 + c * k) / ((1 - h) ** 2 * (1 + (c if shared else c / k)))
    assert 1 / (rate * config.samples) == pytest.approx(expected, rel=1e-4)


def test_chance_loses_its_spread_as_documented():
    # to first order in 1/n: a lineage (n_eff = n, h = 0) would lose 1.0
    n, k, h, t = 50, 4, 0.5, 100
    settings = {"population": k * k, "samples": n, "inheritance": h, "signal": "none"}
    config = PopulationConfig(
        **settings, mutation=0.0, generations=t, record=(t,), replicates=4096, seed=7
    )
    found = simulate_populations(config).log_std_average
    effective = n * (1 + k / 2) / (0.25 * 1.5)
    expected = -t * ((1 - h) / (4 * n) + 1 / (4 * effective))
    assert expected == pytest.approx(-0.3125)
    # 5 standard errors are 0.028
    assert float(found.mean()) == pytest.approx(expected, abs=0.03)


def test_refits_on_shared_data_are_one_lineage():
    # 2 comparisons
    settings = {"samples": 10, "generations": 8, "record": (8,), "replicates": 3000}
    many = simulate_populations(PopulationConfig(**settings, **PLAIN, population=9))
    settings |= REFIT | {"population": 3, "parents": 1, "crossover": "none", "seed": 1}
    one = simulate_populations(PopulationConfig(**settings))
    for quantity in ("w2_best", "w2_median"):
        test = stats.ks_2samp(many[quantity].values[:, 0], one[quantity].values[:, 0])
        assert test.pvalue > FAMILY / 2


def test_alone_it_is_the_lineage_of_the_closed_forms():
    # 3 quantities x 3 generations
    n, at = 50, (1, 5, 20)
    config = PopulationConfig(
        **ALONE, samples=n, generations=20, record=at, replicates=10_000, seed=2
    )
    runs = simulate_populations(config)
    t = np.array(at)
    exact = {
        "mean": (runs.mean_average**2, t / n),
        "variance": (runs.std_average**2, np.ones(3)),
        "log std": (
            runs.log_std_average,
            t / 2 * (special.digamma((n - 1) / 2) - np.log((n - 1) / 2)),
        ),
    }
    for quantity, (values, expected) in exact.items():
        z = (values.mean("replicate") - expected) / (values.std("replicate", ddof=1) / 100)
        assert np.abs(z).max() < stats.norm.isf(FAMILY / 18), (quantity, z.values)
    np.testing.assert_allclose(runs.w2_best, runs.w2_median)
    assert np.all(runs.mean_between == 0)


def survival(delta: float, n: int) -> float:
    """P(W >= delta) of one fit to n points, by quadrature over its σ."""
    law = stats.chi(n - 1, scale=(n - 1) ** -0.5)
    low, high = max(0.0, 1 - delta**0.5), 1 + delta**0.5

    def within(s):
        room = np.sqrt(max(n * (delta - (s - 1) ** 2), 0))
        return law.pdf(s) * (2 * special.ndtr(room) - 1)

    return 1 - integrate.quad(within, low, high, epsabs=1e-10)[0]


def test_best_of_the_first_generation():
    # 2 populations x 3 quantiles
    n = 5
    for population in (4, 16):
        config = PopulationConfig(
            population=population, samples=n, generations=1, replicates=8000, seed=1
        )
        best = simulate_populations(config).w2_best.isel(generation=-1).values
        for delta in np.quantile(best, [0.2, 0.5, 0.9]).round(4):
            expected = survival(delta, n) ** population
            found = np.mean(best >= delta)
            z = (found - expected) / np.sqrt(expected * (1 - expected) / best.size)
            assert abs(z) < stats.norm.isf(FAMILY / 12), (population, delta)


def test_labels_mean_nothing():
    config = PopulationConfig(**(SMALL | CASES["noisy oracle, unmixed"]))
    rng = np.random.default_rng(4)
    initial, draws, _ = for_replay(config, [plain.draw_noise(rng, config) for _ in range(2)])
    order = rng.permutation(config.population)
    relabelled = Points(*(x[order] for x in initial))
    signal = draws.signal.copy()
    signal[0] = signal[0, order]  # later generations are labelled by their parents' rank
    one = replay_populations(config, initial, draws)
    other = replay_populations(config, relabelled, draws._replace(signal=signal))
    for quantity in one:
        np.testing.assert_allclose(one[quantity], other[quantity], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["noisy oracle, unmixed", "validation"])
def test_shift_and_scale(name):
    settings = SMALL | CASES[name] | {"replicates": 5}
    moved = simulate_populations(PopulationConfig(**settings))
    standard = simulate_populations(PopulationConfig(**(settings | {"mean": 0.0, "variance": 1.0})))
    np.testing.assert_allclose(moved.mean_average, 3 + 2 * standard.mean_average)
    np.testing.assert_allclose(moved.std_between, 2 * standard.std_between)
    np.testing.assert_allclose(moved.log_std_average, standard.log_std_average + np.log(2))
    np.testing.assert_allclose(moved.log_std_between, standard.log_std_between)
    for w2 in ("w2_best", "w2_median", "w2_mixture"):
        np.testing.assert_allclose(moved[w2], 4 * standard[w2])


@pytest.mark.usefixtures("compiled_as_for_users")
def test_same_numbers_whatever_the_chunk_and_the_number_of_populations(monkeypatch):
    settings = {"population": 4, "generations": 30, "replicates": 1100}
    reports = []
    one = simulate_populations(PopulationConfig(**settings, chunk=1), progress=report_to(reports))
    assert reports == [(done, 1100) for done in (0, 256, 512, 768, 1024, 1100)]
    many = simulate_populations(PopulationConfig(**settings, chunk=10**6))
    xr_equal(one, many)
    fewer = simulate_populations(PopulationConfig(**(settings | {"replicates": 700})))
    xr_equal(one.isel(replicate=slice(700)), fewer)
    monkeypatch.setattr(_simulate, "available_cores", lambda: 1)
    xr_equal(simulate_populations(PopulationConfig(**settings)), one)
    # records look on, and change nothing
    ends = simulate_populations(PopulationConfig(**settings, record=(0, 7, 30)))
    xr_equal(ends, one.sel(generation=[0, 7, 30]))
    # raw keys are keys
    xr_equal(simulate_populations(PopulationConfig(**settings), key=jax.random.PRNGKey(0)), one)
    other = simulate_populations(PopulationConfig(**settings), key=jax.random.key(1))
    assert not np.any(other.w2_best.values[:, 1:] == one.w2_best.values[:, 1:])


def report_to(reports):
    return lambda done, total: reports.append((done, total))


def xr_equal(one, other):
    for quantity in one:
        np.testing.assert_array_equal(one[quantity].values, other[quantity].values)


def test_generation_zero_is_the_truth():
    runs = simulate_populations(PopulationConfig(**SMALL, replicates=3))
    start = runs.isel(generation=0)
    assert np.all(start.mean_average == 3)
    assert np.all(start.std_average == 2)
    np.testing.assert_allclose(start.log_std_average, np.log(2))
    assert all(np.all(start[w] == 0) for w in ("w2_best", "w2_median", "w2_mixture"))
    assert runs.attrs["config"] == PopulationConfig(**SMALL, replicates=3).model_dump_json()


def test_the_published_contrast():
    # fig. 8: populations that know the truth stay; those that do not leave, as lineages do.
    last = {"generations": 1000, "record": (1000,), "replicates": 64}
    oracle, chance = (
        simulate_populations(PopulationConfig(**last, signal=signal)).isel(generation=0)
        for signal in ("oracle", "none")
    )
    assert np.abs(oracle.mean_average).max() < 0.3
    assert np.abs(oracle.log_std_average).max() < 0.3
    assert np.median(oracle.w2_median) < 0.01 < 0.5 < np.median(chance.w2_median)


def test_no_underflow_at_two_points():
    # log χ²_1 has mean -1.27: σ passes the smallest float64 after about 1,100 generations
    config = PopulationConfig(
        **ALONE, samples=2, generations=3000, record=(3000,), replicates=8, seed=3
    )
    found = simulate_populations(config).log_std_average.values
    assert np.all(np.isfinite(found))
    # 3,000 x (ψ(1/2) - log(1/2)) / 2 = -1,905, standard deviation √(3,000 x π²/2 / 4) = 61
    assert np.all(np.abs(found + 1905) < 5 * 61)


@pytest.mark.parametrize("k", [1, 3, 8, 9])
def test_best_is_a_stable_sort(k):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 4, (9, 50)).astype(float)
    values[:, 1] = np.inf
    values[3:, 2] = np.inf
    values[2, 3] = np.nan
    with jax.enable_x64(True):
        found = np.asarray(_selection.best(jax.numpy.asarray(values), k))
    if k == 9:
        assert np.all(found == np.arange(9)[:, None])
        return
    largest = np.nan_to_num(values, nan=np.finfo(float).max, posinf=np.finfo(float).max)
    np.testing.assert_array_equal(found, np.argsort(largest, axis=0, kind="stable")[:k])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"population": 15}, "population must be a square number, got 15"),
        ({"population": 15, "parents": 3}, "population must be a square number, got 15"),
        ({"population": 16, "parents": 17}, "parents must be at most population = 16, got 17"),
        ({"population": 16, "parents": 3}, "parents must be the square root of population = 16"),
        (
            {"population": 16, "parents": 3, "crossover": "none"},
            "parents must divide population = 16, got 3",
        ),
        ({"population": 0}, "population\n"),
        ({"population": "many"}, "population\n"),
        ({"population": 16.5}, "population\n"),
        ({"generations": 0}, "generations\n"),
        ({"generations": "long"}, "generations\n"),
        ({"samples": 1}, "samples\n"),
        ({"variance": -1.0}, "variance\n"),
        ({"variance": 0.0}, "variance\n"),
        ({"signal": "likes"}, "signal\n"),
        ({"crossover": "triples"}, "crossover\n"),
        ({"inheritance": 1.0}, "inheritance\n"),
        ({"mutation": 2.0}, "mutation\n"),
        ({"signal": "validation", "held_out": 1}, "held_out\n"),
        ({"held_out": 10}, "held_out is for signal = 'validation' only, got signal = 'oracle'"),
        ({"signal_noise": 1.0}, "signal_noise is for signal = 'noisy_oracle' only"),
        ({"fresh_held_out": True, "signal": "none"}, "fresh_held_out is for signal = 'validation'"),
        ({"generations": 5, "record": (1, 6)}, "record must name generations from 0 to 5"),
        ({"record": (3, 2)}, "record must be increasing"),
        ({"record": ()}, "record must name generations"),
        ({"size": 3}, "size\n"),
    ],
)
def test_bad_settings(settings, told):
    with pytest.raises(pydantic.ValidationError) as error:
        PopulationConfig(**settings)
    assert told in str(error.value)
    assert error.value.error_count() == 1


def test_bad_key():
    with pytest.raises(ValueError, match=r"key must be one threefry key, .* got .*rbg"):
        simulate_populations(PopulationConfig(), key=jax.random.key(0, impl="rbg"))


def test_default_records():
    assert PopulationConfig(generations=150).record == tuple(range(151))
    record = PopulationConfig(generations=1000).record
    assert record == tuple(range(0, 1001, 5))
    assert PopulationConfig(generations=977).record[-1] == 977
    config = PopulationConfig(generations=9, record=np.array([0, 9]))
    assert config.record == (0, 9)
    assert PopulationConfig(**config.model_dump()) == config
    # as a YAML file or a form may have them
    config = PopulationConfig(population="9", generations="3", parents=None)
    assert (config.parents, config.record) == (3, (0, 1, 2, 3))
