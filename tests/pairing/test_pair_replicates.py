"""What the pairings of several replicates say together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commensal import cli
from commensal.llm import run
from commensal.llm.config import InteractiveConfig
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.reports._intervals import mean_of
from commensal.pairing import _fit_run, _pair_replicates, pair_losses, pair_replicates, pair_run
from commensal.pairing._grams import system_of
from commensal.pairing._pair_replicates import joined
from commensal.pairing._pair_run import RunPairing
from tests.llm.runs import interactive
from tests.pairing.test_run_pairing import losses_of_theory, system


@pytest.fixture(scope="module")
def pairings() -> dict[int, RunPairing]:
    """Runs of the theory with noise of its own each."""
    s = system(generations=2)
    rng = np.random.default_rng(1)
    whole = losses_of_theory(s, 0.7, 1.6)
    names = ["a", "b", "web"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_fit_run, "_GRID", np.linspace(-0.6, 0.6, 3))
        return {
            r: pair_losses(s, whole + 0.1 * rng.standard_normal(whole.shape), names, resamples=0)
            for r in range(3)
        }


def test_intervals_are_over_replicates(pairings: dict[int, RunPairing]):
    found = joined(pairings)
    at = found.scores.set_index(["prediction", "measure"])
    each = [one.table.set_index("prediction") for one in pairings.values()]
    for name, measure in (("finite", "sign"), ("table_of_means", "r_squared_of_changes")):
        values = [float(table.loc[f"{name}_held_out", measure]) for table in each]
        mean = mean_of(values, len(found.scores))
        row = at.loc[(name, measure)]
        assert row["value"] == pytest.approx(mean.value)
        assert (row["low"], row["high"]) == pytest.approx((mean.low, mean.high), nan_ok=True)
        assert row["replicates"] == 3
    assert ("mean", "rank_over_points") not in at.index  # in reverse by construction
    assert ("mean", "sign") in at.index


def test_leads_are_paired_by_replicate(pairings: dict[int, RunPairing]):
    found = joined(pairings)
    key = ["scope", "baseline", "measure"]
    row = found.beside.set_index(key).loc[("between", "table_of_means", "rmse")]
    leads = [
        float(one.beside.set_index(key).loc[("between", "table_of_means", "rmse"), "lead"])
        for one in pairings.values()
    ]
    mean = mean_of(leads, len(found.beside))
    assert (row["lead"], row["low"], row["high"]) == pytest.approx(
        (mean.value, mean.low, mean.high)
    )
    assert "over 3 replicates" in found.text
    assert "finite training" in found.text


def test_a_replicate_without_a_number_leaves_none(pairings: dict[int, RunPairing]):
    last = pairings[2]
    table = last.table.copy()
    table.loc[table.prediction == "finite_held_out", "sign"] = np.nan
    found = joined({**pairings, 2: last._replace(table=table)})
    row = found.scores.set_index(["prediction", "measure"]).loc[("finite", "sign")]
    assert pd.isna(row["value"])


@pytest.mark.usefixtures("undrawn")
def test_every_replicate_of_a_run_is_paired(
    pairings: dict[int, RunPairing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    folder, given = tmp_path / "run", []
    RunDirectory(folder).create(interactive(replicates=3).model_dump(mode="json"), {})

    def known(_: object, *, replicate: int, dim: int, **__: object) -> RunPairing:
        given.append((replicate, dim))
        return pairings[replicate]

    monkeypatch.setattr(_pair_replicates, "pair_run", known)
    monkeypatch.setattr("sys.argv", ["commensal", "pair", str(folder), "--dim", "5"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert given == [(0, 5), (1, 5), (2, 5)]
    assert "3 replicates, on grid points held out" in capsys.readouterr().out
    assert len(pd.read_csv(folder / "pair" / "scores.csv")) == len(joined(pairings).scores)
    assert (folder / "pair" / "replicate-3" / "report.html").exists()
    assert (folder / "pair" / "findings.txt").read_text() == joined(pairings).text


def test_a_replicate_is_paired_with_its_own_texts_and_base(tmp_path: Path):
    config = interactive(alpha=[0, 1], replicates=2, measurement={"prompts": 0}, generations=1)
    run(config, tmp_path / "run", workers=1)
    config, found = config_of(tmp_path / "run", InteractiveConfig), []
    for replicate in (0, 1):
        points = [s for s in config.grid() if s.replicate == replicate]
        found.append(system_of(tmp_path / "run", config, points, dim=4, layer=-1, texts=20)[0])
    assert not np.allclose(found[0].private, found[1].private)
    assert not np.allclose(found[0].synthetic, found[1].synthetic)
    with pytest.raises(ValueError, match="has 2 replicates, from 0 on; got 2"):
        pair_run(tmp_path / "run", replicate=2)


def test_one_replicate_is_paired_by_itself(tmp_path: Path):
    RunDirectory(tmp_path / "run").create(interactive().model_dump(mode="json"), {})
    with pytest.raises(ValueError, match="has one replicate; pair_run pairs it"):
        pair_replicates(tmp_path / "run")
