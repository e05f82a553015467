"""Forecasts of curves, on curves whose law is known and on published ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commensal.planning import forecast, read_curves
from commensal.planning.forecasts._laws import LAWS, survival_share
from commensal.planning.forecasts._pooling import PooledCurves
from commensal.planning.forecasts._trials import conformal
from commensal.theory import words

QWEN = Path(__file__).parents[3] / "shared" / "published" / "knowledge_retention_qwen.csv"


def curves(
    shape, *, runs: int, noise: float, seed: int, whole: int = 9, cut: int = 3
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw curves, some of which end early; return the table, and all values."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(runs):
        rate, level = rng.gamma(2.0, 0.5), rng.normal(5.0, 1.0)
        for t in range(whole):
            value = level - rate * shape(t) + noise * rng.normal()
            rows.append({"run": f"run {i}", "generation": t, "value": value})
    everything = pd.DataFrame(rows)
    early = everything["run"].isin([f"run {i}" for i in range(0, runs, 4)])
    return everything.loc[~early | (everything["generation"] <= cut)], everything


def errors(found, everything: pd.DataFrame) -> pd.DataFrame:
    both = found.table.merge(everything, on=["run", "generation"])
    return both.loc[both["generation"] == both["generation"].max()]


def test_a_law_is_found_and_beats_persistence_and_a_line() -> None:
    # an exponential with a floor, of which the first generations are a bad line
    table, everything = curves(lambda t: 1 - np.exp(-t / 2.0), runs=24, noise=0.02, seed=0)
    found = forecast(table)
    end = errors(found, everything)
    missed = (end["predicted"] - end["value"]).abs().mean()
    assert found.law == "floor"
    assert missed < 0.08
    trials = found.trials
    for rival in ("last", "line", "linear", "persistence"):
        assert (trials[rival] - trials["measured"]).abs().mean() > 2 * missed


def test_intervals_cover_as_they_say() -> None:
    # 48 runs of three tables are forecast at 80 %: outside of 0.58 to 0.97 with probability < 1e-3,
    # if they cover alike and independently
    inside = []
    for seed in range(3):
        table, everything = curves(np.sqrt, runs=64, noise=0.1, seed=seed)
        end = errors(forecast(table), everything)
        inside += end["value"].between(end["low"], end["high"]).tolist()
    assert len(inside) == 48
    assert 0.58 < np.mean(inside) < 0.97


def test_settings_tell_of_runs_with_few_generations() -> None:
    rng = np.random.default_rng(1)
    rows = [
        {
            "run": f"{rank}-{i}",
            "generation": t,
            "value": 10 - rank / 64 * max(t - 1, 0) + 0.3 * rng.normal(),
            "rank": rank,
        }
        for rank in (4, 16, 64)
        for i in range(6)
        for t in range(8 if i else 2)  # nothing happens before generation 2
    ]
    table = pd.DataFrame(rows)
    told = forecast(table).table.query("generation == 7").set_index("run")["predicted"]
    blind = forecast(table.drop(columns="rank")).table.query("generation == 7")
    assert told["4-0"] - told["64-0"] > 4  # 5.6 is true
    spread = blind["predicted"].max() - blind["predicted"].min()
    assert spread < 2


def test_where_no_run_goes_on_no_law_is_chosen_and_intervals_are_wide() -> None:
    table, everything = curves(lambda t: t / 4, runs=8, noise=0.05, seed=2)
    short = table.loc[table["generation"] <= 3]
    known, blind = forecast(table), forecast(short, until=8)
    assert blind.law == "all"
    assert "cannot be told" in blind.answers["law"].sentence
    both = known.table.merge(blind.table, on=["run", "generation"]).query("generation == 8")
    assert (both["high_y"] - both["low_y"] > both["high_x"] - both["low_x"]).all()
    end = errors(blind, everything)
    assert end["value"].between(end["low"], end["high"]).mean() >= 0.75


@pytest.mark.parametrize("runs", [2, 3])
def test_few_runs_are_enough_for_an_answer(runs: int) -> None:
    table, _ = curves(lambda t: t / 4, runs=runs, noise=0.05, seed=3)
    found = forecast(table)
    told = found.table
    assert np.isfinite(told[["predicted", "low", "high"]].to_numpy()).all()
    assert (told["low"] <= told["predicted"]).all()
    assert (told["predicted"] <= told["high"]).all()


@pytest.mark.parametrize("scale", [7.0, 1e5])
def test_units_do_not_matter(scale: float) -> None:
    table, _ = curves(lambda t: t / 4, runs=8, noise=0.05, seed=4)
    one = forecast(table).table["predicted"]
    other = forecast(table.assign(value=table["value"] * scale)).table["predicted"]
    np.testing.assert_allclose(other, one * scale, rtol=1e-4)


def test_flat_curves_stay_flat() -> None:
    rows = [
        {"run": run, "generation": t, "value": 3.0}
        for run in "abcdef"
        for t in range(6 if run != "a" else 2)
    ]
    told = forecast(pd.DataFrame(rows)).table
    np.testing.assert_allclose(told["predicted"], 3.0, atol=1e-3)


def test_shares_and_counts_stay_between_nothing_and_all() -> None:
    rows = [
        {"run": run, "generation": t, "retained": max(20 - lost * t, 0), "known": 20}
        for run, lost in (("a", 6), ("b", 4), ("c", 1))
        for t in range(3)
    ]
    told = forecast(pd.DataFrame(rows), until=12).table
    assert told["low"].min() >= 0
    assert told["high"].max() <= 20


def test_the_noise_of_counts_is_found() -> None:
    # 40 runs of 10 generations, each asked about 200 facts afresh: a binomial law exactly
    rng = np.random.default_rng(5)
    rows = [
        {"run": str(i), "generation": t, "retained": rng.binomial(200, 0.8), "known": 200}
        for i in range(40)
        for t in range(10 if i else 5)
    ]
    found = forecast(pd.DataFrame(rows))
    assert 0.6 < found.answers["noise"].value < 1.6  # 1 is true; the grid has steps of 2


def test_runs_that_are_one_are_held_out_together() -> None:
    table, _ = curves(lambda t: t / 4, runs=8, noise=0.05, seed=6)
    copy = table.loc[table["run"] == "run 1"].assign(run="run 1 again")
    both = pd.concat([table, copy])
    trials = forecast(both).trials.set_index("run")
    alone = forecast(table).trials.set_index("run")
    pool = PooledCurves(read_curves(both), LAWS[1], 8)
    shared = pool.shared()
    with_it = pool.forget(shared, 1, 3, None).quantile(0.5)[-1]
    without = pool.forget(shared, 1, 3, read_curves(both).twins[1]).quantile(0.5)[-1]
    truth = table.query("run == 'run 1' and generation == 8")["value"].iat[0]
    assert abs(with_it - truth) < abs(without - truth)
    assert trials.index.tolist().count("run 1") == alone.index.tolist().count("run 1")


def test_survival_is_the_mean_over_facts() -> None:
    rng = np.random.default_rng(7)
    counts = 10 * np.exp(1.5 * rng.standard_normal(200_000))
    drawn = [np.asarray(words.survival(counts, t + 1)).mean() for t in (0, 1, 5)]
    exact = survival_share(np.array([10.0]), 1.5, np.array([0.0, 1.0, 5.0]))[0]
    np.testing.assert_allclose(exact, drawn, atol=4e-3)  # standard error 8e-4


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_each_law_changes_by_what_its_rate_says(law) -> None:
    times, changes = np.arange(11.0), np.array([-0.3, -0.1, 0.0, 0.1])
    for shape in law.shapes:
        found = law.curve(times, 10, changes, 0.9, shape)
        path = 0.9 * found.basis + found.offset
        np.testing.assert_allclose(path[:, 1], 0.9, atol=1e-9)
        if law.name != "persistence":
            last = path[:, 10] - 0.9
            np.testing.assert_allclose(last, changes[: len(last)], atol=2e-3)


def test_conformal_counts_the_new_run() -> None:
    scores = list(np.arange(9.0))
    assert conformal(scores, 0.8) == 7.0  # 8 of 10 places
    assert conformal(scores[:3], 0.8) == 2.0


def test_nothing_to_forecast_and_odd_levels_are_refused() -> None:
    table, everything = curves(lambda t: t / 4, runs=4, noise=0.1, seed=0)
    with pytest.raises(ValueError, match="every run has come to generation 8"):
        forecast(everything)
    with pytest.raises(ValueError, match="at most 300 generations"):
        forecast(table, until=1000)
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        forecast(table, level=80.0)


def test_answers_are_json_and_say_what_they_rest_on() -> None:
    table, _ = curves(lambda t: t / 4, runs=12, noise=0.1, seed=0)
    found = forecast(table)
    json.dumps(found.answers.record(), allow_nan=False)
    for answer in found.answers:
        assert answer.source
        assert answer.how or answer.flag
    assert found.answers["coverage"].low <= found.answers["coverage"].value


@pytest.mark.skipif(not QWEN.is_file(), reason=f"{QWEN} is not there")
def test_facts_of_a_published_run() -> None:
    rows = pd.read_csv(QWEN)
    run = "g1_rank256_seed137"
    cut = rows.loc[(rows["run"] != run) | (rows["generation"] <= 3)]
    told = forecast(cut).table.query("run == @run and generation == 10").iloc[0]
    assert told["low"] <= 61 <= told["high"]  # after 69 in generation 3
    assert told["predicted"] < 66


def test_long_horizons_and_gaps() -> None:
    rows = [
        {"run": run, "generation": t, "value": 2 + rate * t / 100}
        for run, rate in zip("abcdef", (1, 2, 3, 4, 5, 6), strict=True)
        for t in ((0, 10, 20, 50, 100) if run != "f" else (0, 10, 20))
    ]
    told = forecast(pd.DataFrame(rows)).table
    assert np.isfinite(told[["predicted", "low", "high"]].to_numpy()).all()
    assert told["predicted"].iloc[-1] == pytest.approx(8.0, rel=0.05)
