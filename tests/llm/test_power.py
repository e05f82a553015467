"""What a pilot says of a run that is planned."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from commensal import cli
from commensal.llm import run
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports._power import least_difference, power
from commensal.llm.reports._verdicts import Found, Measured, judged
from commensal.llm.reports.power import _rows, power_of
from tests.llm.runs import interactive


def test_the_least_difference_is_seen_in_four_runs_of_five():
    """By simulated runs: 4 standard errors of 4,000 are 2.5 %."""
    rng = np.random.default_rng(0)
    for replicates, comparisons in ((5, 1), (8, 6)):
        seen = least_difference(2.0, replicates, level=0.05 / comparisons)
        assert power(seen, 2.0, replicates, 0.05 / comparisons) == pytest.approx(0.8)
        drawn = rng.normal(seen, 2.0, (4000, replicates))
        told = np.mean([mean_of(one, comparisons).sign == 1 for one in drawn])
        assert told == pytest.approx(0.8, abs=0.025)
    assert least_difference(2.0, 1) == math.inf
    assert least_difference(0.0, 2) == 0.0


def test_rows_are_of_every_place_that_is_judged():
    places = [Measured("here", [1.0, 1.2, 0.8]), Measured("there", [0.1, -0.1, 0.0])]
    once = judged([Measured("once", [1.0])])
    found = [
        Found("a", "", "", judged(places, low=0), "", ""),
        Found("b", "", "", once, "", ""),
    ]
    rows = _rows(found, 5)
    assert rows["where"].tolist() == ["here", "there"]
    assert rows["sd"].tolist() == pytest.approx([0.2, 0.1])
    assert rows["seen"].tolist() == pytest.approx(
        [least_difference(sd, 5, level=0.025) for sd in (0.2, 0.1)]
    )
    assert rows["needed"].isna().tolist() == [False, True]  # the mean of the second is 0


def test_a_pilot_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    config = interactive(alpha=[0, 0.5], replicates=2, generations=1)
    run(config, tmp_path / "run", workers=1)
    table = power_of(tmp_path / "run", 5)
    assert {"half-own", "zero-other", "homogenisation"} <= set(table["finding"])
    assert (table["seen"] > 0).all()
    assert (power_of(tmp_path / "run", 20)["seen"] < table["seen"]).all()
    monkeypatch.setattr("sys.argv", ["commensal", "llm", "power", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert "With 5 replicates a difference of" in capsys.readouterr().out
    with pytest.raises(ValueError, match="replicates must be at least 2, got 1"):
        power_of(tmp_path / "run", 1)


def test_one_replicate_is_no_pilot(tmp_path: Path):
    run(interactive(generations=1), tmp_path / "run", workers=1)
    with pytest.raises(ValueError, match="run a pilot with --set replicates=3"):
        power_of(tmp_path / "run", 5)
