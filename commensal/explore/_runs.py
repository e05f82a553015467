"""Measurements of a run by generation, as the explorer draws them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from commensal.explore._charts import Chart, Series, View
from commensal.explore._controls import Control
from commensal.explore._theory import THEORY_OF, PairedTheory

_SHOWN = {
    "loss": "loss, in nats per token",
    "perplexity": "perplexity",
    "kl": "divergence from the law of the language, in nats",
    "similarity": "similarity of the models' texts",
    "distinct_2": "share of distinct pairs of words",
    "words": "number of different words",
    "tail_mass": "share of rare words",
    "human_share": "share of human data",
    "distance": "distance between the models' answers",
    "disagreement": "disagreement between the models",
    "synthetic_share": "share of synthetic data",
}
_COLUMNS = {"replicate", "generation", "model", "dataset", "other", "metric", "value", "diverged"}
_MOST_LINES = 6
_DEPTH, _MOST_RUNS = 3, 200


def runs_under(folder: Path) -> list[str]:
    """Return the folders of runs up to three levels under a folder, without hidden ones."""
    found = []
    for at, folders, files in os.walk(folder):
        depth = len(Path(at).relative_to(folder).parts)
        if {"run.json", "metrics.parquet"} & set(files):
            found.append(str(Path(at).relative_to(folder)))
            folders.clear()
        hidden = {one for one in folders if one.startswith((".", "_")) or one == "node_modules"}
        folders[:] = [] if depth == _DEPTH else sorted(set(folders) - hidden)
        if len(found) == _MOST_RUNS:
            break
    return sorted(found)


def read_run(folder: Path) -> pd.DataFrame:
    """Read what a run has measured, from its folder or from the table kept of it.

    Raises
    ------
    ValueError
        If the folder holds no run, or something in it is damaged.
    """
    from commensal.llm import metrics

    table = folder / "metrics.parquet"
    if (folder / "run.json").exists() or not table.is_file():
        return metrics(folder)
    try:
        found = pd.read_parquet(table)
    except Exception as error:
        raise ValueError(f"{str(table)!r} is not a table that can be read") from error
    if missing := {"generation", "model", "metric", "value"} - set(found.columns):
        raise ValueError(f"{str(table)!r} lacks the columns {', '.join(sorted(missing))}")
    return found


def run_part(
    measured: pd.DataFrame, name: str, theory: PairedTheory | None = None, pairing: str = ""
) -> dict[str, Any]:
    """Describe a run for the page: a control of grid points and one of measures, and their charts.

    Where `commensal pair` has laid the theory over the run, it is drawn beside the measurements;
    else ``pairing`` is shown, the command that would do so.

    Raises
    ------
    ValueError
        If nothing has been measured yet.
    """
    if measured.empty:
        raise ValueError(f"the run {name} has no finished generation yet")
    points = _points(measured)
    known = set(measured["metric"])
    measures = [one for one in _SHOWN if one in known]
    shown = [_SHOWN[one] for one in measures]
    findings = [] if theory is None or not theory.findings else [theory.view()]
    controls = (
        Control("point", "grid point", list(points)),
        Control("measure", "measure", [*shown, *["what the theory says of it"] * len(findings)]),
    )
    panels = [
        one.record()
        for table in points.values()
        for one in (*(_panel(table, metric, theory, pairing) for metric in measures), *findings)
    ]
    return {
        "kind": "panel",
        "name": "run",
        "title": name,
        "controls": [one.record() for one in controls],
        "panels": panels,
    }


def pairing_of(folder: Path) -> str:
    """Return the command that lays the theory over a run; empty where none can be."""
    from commensal.llm.records.results import config_of

    if not (folder / "run.json").is_file() or not config_of(folder).can_be_paired:
        return ""
    return shlex.join(("commensal", "pair", str(folder)))


def _points(measured: Any) -> dict[str, Any]:
    """Split a run into its grid points, by what tells one from another."""
    settings = [one for one in measured.columns if one not in _COLUMNS]
    varied = [one for one in settings if measured[one].nunique(dropna=False) > 1]
    if not varied:
        return {"all": measured}
    groups = measured.groupby(varied, dropna=False, sort=False)
    return {
        ", ".join(f"{n} {_shown(v)}" for n, v in zip(varied, values, strict=True)): table
        for values, table in groups
    }


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _panel(table: Any, metric: str, theory: PairedTheory | None, pairing: str) -> View:
    """Draw one measure of one grid point: its mean over replicates, and how far these scatter."""
    label = _SHOWN[metric]
    rows = table[table["metric"] == metric]
    if rows.empty:
        return View((f"At this grid point there is no {label}.",), ())
    groups = _lines(rows)
    series = [_line(name, one) for name, one in groups]
    beside = [] if theory is None else theory.lines(table, metric, groups)
    replicates = rows["replicate"].nunique() if "replicate" in rows else 1
    bands = f" The bands are ±2 s.d. of {replicates} replicates." if replicates > 1 else ""
    told = [
        f"{one.name}: {one.y[0]:.4g} at generation {one.x[0]:.0f}"
        + (f", then {one.y[-1]:.4g} at {one.x[-1]:.0f}." if len(one.x) > 1 else ".")
        for one in series
    ]
    told += [f"{one.name}: then {one.y[-1]:.4g}." for one in beside]
    chart = Chart(label, "generation", label, [*series, *beside])
    if pairing and metric in THEORY_OF:
        told.append("The theory stands here once this command has laid it over the run:")
    command = pairing if metric in THEORY_OF else ""
    said = (f"{label[0].upper()}{label[1:]}, by generation.{bands}", *told)
    return View(said, (chart,), command)


def _line(name: str, rows: Any) -> Series:
    by = ["generation"] if "replicate" not in rows else ["generation", "replicate"]
    means = rows.groupby(by)["value"].mean().groupby("generation").agg(["mean", "std", "count"])
    mean, spread = means["mean"].to_numpy(), 2 * means["std"].to_numpy()
    x = means.index.to_numpy(dtype=float)
    if (means["count"] < 2).all():
        return Series(name, x, mean)
    return Series(name, x, mean, mean - spread, mean + spread)


def _lines(rows: Any) -> list[tuple[str, Any]]:
    """Split measurements into lines with labels: as many as can be told apart."""
    for columns in (["model", "dataset"], ["dataset"], ["model"]):
        known = [one for one in columns if rows[one].notna().any()]
        if "other" in rows and rows["other"].notna().any():
            known = [one for one in known if one == "dataset"]  # a pair has two models
        if known and len(rows.groupby(known)) <= _MOST_LINES:
            groups = rows.groupby(known)
            return [(_label(known, values), one) for values, one in groups]
    return [("mean", rows)]


def _label(columns: Sequence[str], values: Any) -> str:
    named = dict(zip(columns, values, strict=True))
    model = f"model {int(named['model']) + 1}" if "model" in named else "mean"
    return f"{model} on {named['dataset']}" if "dataset" in named else model
