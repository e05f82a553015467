"""The page of data formats lists exactly what files have: names, dimensions, types and units."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from commensal import claims, sweep
from commensal.sims import ecosystem, gaussian, mixture, regression, selection, words
from tests.test_package import ROOT

PAGE = ROOT / "docs" / "reference" / "data-formats.md"


@cache
def tables() -> dict[str, list[dict[str, str]]]:
    """Return the rows of the page's tables, by the heading that they stand under."""
    found: dict[str, list[dict[str, str]]] = {}
    heading, columns = "", None
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").replace("`", "")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line[:1] == "|" else []
        if not cells:
            columns = None
        elif columns is None:
            columns = cells
        elif not line.startswith("|---"):
            found.setdefault(heading, []).append(dict(zip(columns, cells, strict=True)))
    return found


def names_of(heading: str, column: str = "name") -> list[str]:
    return [name for row in tables()[heading] for name in re.findall(r"`(\w+)`", row[column])]


@cache
def made(what: str) -> xr.Dataset:
    lineages = {"samples": 4, "generations": 2, "replicates": 3}
    mixtures = {"generations": 2, "replicates": 2}
    moving: dict[str, Any] = {"update": "full", "kernel": "xla", **mixtures}
    several = {"means": ((-3.0, 0.0), (3.0, 0.0))}
    system = {"models": 2, "dim": 3, "rank": 2, "generations": 2, "replicates": 3}
    match what:
        case "sweep.nc":
            return sweep.regression(alpha=(0.2, 0.5), beta=(0.5,), models=(2,), dim=3, rank=2)
        case "simulate regression":
            return regression.simulate(regression.RegressionConfig(**system))
        case "sims.regression.moments":
            return regression.moments(regression.RegressionConfig(**system))
        case "simulate gaussian":
            return gaussian.simulate(gaussian.GaussianConfig(**lineages))
        case "simulate gaussian --dim 2 or more":
            return gaussian.simulate(gaussian.GaussianConfig(dim=2, full=True, **lineages))
        case "simulate gaussian --population":
            settings = gaussian.PopulationConfig(population=4, **lineages)
            return gaussian.simulate_populations(settings)
        case "simulate mixture":
            return mixture.simulate(mixture.MixtureConfig(kernel="xla", **mixtures))
        case "simulate mixture --update full":
            one = mixture.simulate(mixture.MixtureConfig(**moving))
            two = mixture.simulate(mixture.MixtureConfig(**several, **moving))
            return two.assign(variances=one["variances"])
        case "simulate ecosystem":
            settings = ecosystem.EcosystemConfig(models=2, tokens=40, generations=2, replicates=2)
            return ecosystem.simulate(settings)
        case (
            "simulate selection"
            | "simulate selection --by reward"
            | "simulate selection --by filter"
        ):
            by: Any = {"selection": "verifier"}.get(what.split()[-1], what.split()[-1])
            return selection.simulate(selection.SelectionConfig(by=by, samples=40, replicates=2))
        case "simulate words":
            return words.simulate(words.WordsConfig(words=5, tokens=40, replicates=2))
    raise AssertionError(what)


VARIABLES = [
    heading.removeprefix("Variables of ")
    for heading in tables()
    if heading.startswith("Variables of ")
]
KINDS = {"f": "float64", "i": "int64", "b": "bool", "U": "text", "T": "text", "O": "text"}


def told(name: str, array: xr.DataArray) -> dict[str, str]:
    return {
        "name": f"`{name}`",
        "dimensions": ", ".join(map(str, array.dims)) or "(none)",
        "type": KINDS[array.dtype.kind],
        "unit": array.attrs["units"],
    }


@pytest.mark.parametrize("what", VARIABLES)
def test_variables_are_listed(what: str) -> None:
    variables = {str(name): array for name, array in made(what).data_vars.items()}
    if what == "simulate mixture --update full":  # which is told to have more
        for name in names_of("Variables of simulate mixture"):
            del variables[name]
    rows = {row["name"]: row for row in tables()[f"Variables of {what}"]}
    assert len(rows) == len(tables()[f"Variables of {what}"])
    assert {f"`{name}`" for name in variables} == set(rows)
    for name, array in variables.items():
        row = {key: rows[f"`{name}`"][key] for key in ("name", "dimensions", "type", "unit")}
        row["unit"] = row["unit"].replace("power 2 d", "power 4")  # d = 2
        assert row == told(name, array)


def test_coordinates_of_a_sweep_are_listed() -> None:
    coordinates = made("sweep.nc").coords
    listed = [
        {key: row[key] for key in ("name", "dimensions", "type", "unit")}
        for row in tables()["Coordinates of sweep.nc"]
    ]
    expected = [told(str(name), array) for name, array in coordinates.items()]
    assert sorted(listed, key=str) == sorted(expected, key=str)


def test_numbers_have_eight_bytes() -> None:
    for what in VARIABLES:
        for name, array in made(what).variables.items():
            assert array.dtype.itemsize == 8 or array.dtype.kind in "bOUT", (what, name)


RUNS = sorted(path.parent for path in (ROOT / "runs").glob("*/metrics.parquet"))
OF_TRAINED = "Metrics of every run that trains"


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_metrics_of_runs_are_listed(run: Path) -> None:
    table = pd.read_parquet(run / "metrics.parquet")
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    own = f"Metrics of {settings['workflow']}"
    listed = set(names_of(own, "metric")) if own in tables() else set()
    if settings["workflow"] != "web":
        listed |= set(names_of(OF_TRAINED, "metric"))
    found = set(table["metric"])
    assert found <= listed
    # one lineage has nothing to be alike to, and files have no law that is known
    lineage = settings["workflow"] == "remedies"
    files = {task["kind"] for task in settings.get("tasks", ())} == {"file"}
    unmeasured = ({"similarity"} if lineage else set()) | ({"kl", "tail_mass"} if files else set())
    if settings.get("deal") != "community":
        unmeasured |= {"own_blocks"}
    if settings.get("judge") is None:
        unmeasured |= {"reward", "preferred", "upset", "unjudged"}
    if all(arm["reads"] == ["pooled"] for arm in settings.get("arms", ())):
        unmeasured |= {"parent_texts"}
    assert listed - found <= unmeasured


def test_columns_of_metrics_are_listed() -> None:
    table = pd.read_parquet(ROOT / "runs" / "demo" / "metrics.parquet")
    rows = {row["name"].strip("`"): row["type"] for row in tables()["Columns of metrics.parquet"]}
    assert list(rows) == [name for name in table if name not in ("alpha", "beta")]
    for name, kind in rows.items():
        assert kind in (str(table[name].dtype), "string" if table[name].dtype == "str" else "")


@pytest.mark.parametrize(
    ("table", "run"), [("scores", "demo"), ("beside", "demo"), ("retention", "words")]
)
def test_columns_of_pairings_are_listed(table: str, run: str) -> None:
    found = pd.read_csv(ROOT / "runs" / run / f"pair_{table}.csv")
    assert names_of(f"Columns of {table}.csv") == list(found)


def test_keys_of_claims_are_listed() -> None:
    claim = next(one for one in claims.all_claims() if one.kind == "published")
    record = claims.record(claim, claims.check_one(claim))
    assert set(names_of("Keys of check --json")) == set(record)


def test_a_wrong_table_is_seen() -> None:
    row = told("x", xr.DataArray(np.zeros(2), dims="model", attrs={"units": "1"}))
    assert row == {"name": "`x`", "dimensions": "model", "type": "float64", "unit": "1"}
