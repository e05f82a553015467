"""Forecasts from pilots: theory's own runs, and small ones of models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from commensal.pairing import RunSystem, curves
from commensal.planning import forecast_pilots, forecast_run, plan_of
from commensal.planning.forecasts._scalars import error_grid, expected_error, fit_pilots
from tests.commands import run as command
from tests.llm.runs import interactive, single
from tests.pairing.test_run_pairing import system
from tests.test_cli_outputs import next_of, refused

NAMES = ("a", "b", "web")


def made(s: RunSystem) -> tuple[RunSystem, np.ndarray]:
    """Losses that the theory makes itself, off its grid, with a little noise."""
    found = curves(s, 1.6, 2.6)
    losses = 1.3 + 3.0 * (found.expected + 0.04 * found.variance)
    return s, losses + 0.01 * np.random.default_rng(0).standard_normal(losses.shape)


@pytest.fixture(scope="module")
def own() -> tuple[RunSystem, np.ndarray]:
    return made(system(generations=5))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"memory": "accumulate"},
        {"human_share": 0.3, "human_tasks": np.array([0.5, 0.5, 0.0])},
        {"memory": "window", "window": 3, "human_share": 0.3, "human_texts": "seen"}
        | {"human_tasks": np.array([0.7, 0.3, 0.0])},
    ],
    ids=["paper", "memory", "humans", "both"],
)
def test_theory_is_found_again_from_two_settings(own, more: dict) -> None:
    s, losses = made(own[0]._replace(**more))
    found = forecast_pilots(s, losses, [1, 6], NAMES, ratio=0.6)
    assert found.fit.training == pytest.approx(1.6, rel=0.4)
    assert found.answers["r_squared"].value > 0.97
    assert found.answers["direction"].value > 0.85
    assert found.answers["coverage"].value > 0.75  # 0.8 is meant
    assert "no change 0.00" in found.answers["r_squared"].sentence
    assert len(found.table) == losses.size
    assert found.table["pilot"].sum() == losses[:2].size
    json.dumps(found.answers.record(), allow_nan=False)


def test_only_pilots_are_read(own) -> None:
    s, losses = own
    changed = np.full_like(losses, np.nan)
    changed[[1, 6], :3] = losses[[1, 6], :3]
    grid = error_grid(s, 0.6)
    one, other = (fit_pilots(grid, x, [1, 6], 2) for x in (losses, changed))
    np.testing.assert_array_equal(one.predicted, other.predicted)
    np.testing.assert_array_equal(one.spread, other.spread)


def test_a_wrong_theory_has_wide_intervals(own) -> None:
    s, losses = own
    grid = error_grid(s, 0.6)
    odd = losses + 0.5 * np.random.default_rng(1).standard_normal(losses.shape)
    right, wrong = (fit_pilots(grid, x, [1, 6], 2) for x in (losses, odd))
    assert wrong.misfit > 3 * right.misfit
    assert wrong.spread[:, -1].mean() > 2 * right.spread[:, -1].mean()


def test_more_pilots_and_generations_tell_more(own) -> None:
    grid = error_grid(own[0], 0.6)
    two, three = (expected_error(grid, count, 2) for count in (2, 3))
    longer = expected_error(grid, 2, 4)
    assert [e for _, e in two] == sorted(e for _, e in two)
    assert len(two) == 36
    assert three[0][1] < two[0][1]
    at_two, at_longer = dict(two), dict(longer)
    assert all(at_longer[pair] <= at_two[pair] for pair in at_two)


def test_a_plan_names_its_pilots(own) -> None:
    found = plan_of(own[0], ratio=0.6)
    assert len(found.pilots) == 2
    assert found.answers["error"].value == found.table["error"].min()
    for a, b in found.pilots:
        assert f"({a:g}, {b:g})" in found.answers["error"].sentence
    with pytest.raises(ValueError, match="fewer pilots than settings, 9; got 9"):
        plan_of(own[0], count=9)
    with pytest.raises(ValueError, match="seen must lie between 1 and 4, got 5"):
        plan_of(own[0], seen=5)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    from commensal.llm import run

    folder = tmp_path_factory.mktemp("pilots") / "small"
    run(interactive(beta=[0.5, 1.0], initial_beta=1.0), folder, workers=1)
    return folder


def test_a_run_end_to_end(small: Path, monkeypatch, capsys, tmp_path: Path) -> None:
    pilots = ("--pilots", "0,0.5 0.5,1", "--seen", "1")
    out = tmp_path / "found"
    code, said, err = command(
        monkeypatch, capsys, "forecast", str(small), *pilots, "--out", str(out)
    )
    assert code == 0, err
    assert "R² of final changes" in said
    assert next_of(err) == ["pair", str(small)]
    assert (out / "forecast.csv").is_file()
    longer = forecast_run(small, until=4, alpha=[0.0, 0.25, 0.5])
    assert longer.table["generation"].max() == 4
    assert set(longer.table["alpha"]) == {0.0, 0.25, 0.5}
    assert longer.table.query("alpha == 0.25")["measured"].isna().all()
    code, said, _ = command(monkeypatch, capsys, "forecast", str(small), "--plan", "--seen", "1")
    assert code == 0
    assert "Run (α, β) = " in said


def test_bad_input_is_one_line(small: Path, monkeypatch, capsys, tmp_path: Path) -> None:
    from commensal.llm.records.directory import RunDirectory

    def kept(name: str, config) -> str:
        RunDirectory(tmp_path / name).create(config.model_dump(mode="json"), {})
        return str(tmp_path / name)

    run = str(small)
    cases = [
        ((run, "--pilots", "0,0.3", "--seen", "1"), "(0, 0.3) lacks generations until 1"),
        ((run, "--pilots", "half"), "alpha,beta of each"),
        ((run, "--seen", "2"), "seen must lie between 1 and 1, got 2"),
        ((run, "--replicate", "3", "--seen", "1"), "has 1 replicates"),
        ((run, "--count", "2"), "--count goes with --plan"),
        ((run, "--plan", "--until", "9"), "--until goes with"),
        ((kept("networks", interactive(reads=["ring", "star"])),), "has 2 reading networks"),
        ((kept("single", single()),), "not interactive"),
        (("remedies", "--plan"), "not interactive"),
        (("curves.csv", "--pilots", "0,1"), "--pilots goes with a run's folder"),
    ]
    for args, said in cases:
        assert said in refused(monkeypatch, capsys, "forecast", *args)
