"""Tables of a report: losses, timings and texts. Needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from commensal.llm.config import GridPoint, TrainedConfig
from commensal.llm.reports._contents import Sample, grid
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports._reading import Reading, by_replicate, title
from commensal.llm.reports._verdicts import arrow
from commensal.llm.reports.findings_interactive import CONSTANT
from commensal.page import Table

_LONGEST = 360  # characters of a sample that are shown


class Change(NamedTuple):
    """Change of one loss from generation 0 to the last finished one, over all replicates."""

    point: GridPoint
    """Grid point of the first replicate."""
    model: int
    dataset: str
    first: float
    """Mean over replicates."""
    last: float
    generation: int
    """Last generation that is finished in every replicate."""
    each: tuple[float, ...] = ()
    """Change in each replicate."""

    def kind(self, comparisons: int = 1) -> str:
        """Return ``rise``, ``fall`` or ``constant``; empty if that cannot be told.

        A single run is described: its change is compared with 0.1 nats. Of replicates the whole
        interval has to be on one side.
        """
        if not self.generation:
            return ""
        mean = mean_of(self.each or [self.last - self.first], comparisons)
        low, high = (mean.value, mean.value) if math.isnan(mean.half) else (mean.low, mean.high)
        if not math.isfinite(low + high):
            return ""
        if low >= -CONSTANT - 1e-9 and high <= CONSTANT + 1e-9:
            return "constant"
        return "rise" if low > CONSTANT else "fall" if high < -CONSTANT else ""


def changes(run: Reading[TrainedConfig]) -> list[Change]:
    """List the change of every loss of every grid point, over its replicates."""
    found = []
    if run.metrics.empty:
        return found
    losses = run.metrics.loc[run.metrics["metric"] == "loss"]
    rows = dict(iter(losses.groupby(["model", "dataset"])))
    for points in by_replicate(run.points).values():
        points = [point for point in points if point.name in run.reached]
        if not points:
            continue
        last = min(run.reached[point.name] for point in points)
        for model in range(len(run.config.tasks)):
            for dataset in run.datasets:
                here = rows.get((model, dataset), losses.iloc[:0])
                ends = [_ends(here, point, last) for point in points]
                if all(pair is not None for pair in ends) and ends:
                    firsts, lasts = zip(*(e for e in ends if e is not None), strict=True)
                    each = tuple(b - a for a, b in zip(firsts, lasts, strict=True))
                    first, final = sum(firsts) / len(firsts), sum(lasts) / len(lasts)
                    found.append(Change(points[0], model, dataset, first, final, last, each))
    return found


def _ends(rows: pd.DataFrame, point: GridPoint, last: int) -> tuple[float, float] | None:
    for name, value in point.coordinates.items():
        rows = rows.loc[rows[name] == value]
    values = dict(zip(rows["generation"], rows["value"], strict=True))
    return (float(values[0]), float(values[last])) if {0, last} <= values.keys() else None


def loss_tables(run: Reading[TrainedConfig], found: Sequence[Change]) -> list[Table]:
    """Tables like the paper's 2 and 7: own tasks first, then others', then the public data."""
    tables = []
    cells = {(c.point.name, c.model, c.dataset): c for c in found}
    shown = list({c.point.name: c.point for c in found}.values())
    for beta in run.betas or [None]:
        points = [s for s in shown if beta is None or s.coordinates["beta"] == beta]
        models = range(len(run.config.tasks))
        pairs = [(k, name) for name in run.datasets for k in models]
        pairs.sort(key=lambda pair: _rank(run, *pair))
        rows = []
        for k, name in pairs:
            row = [_cell(run, cells.get((s.name, k, name)), len(cells)) for s in points]
            rows.append((f"model {k + 1} on {name}", row))
        names = [title(s, but="beta") for s in points]
        tables.append(grid("" if beta is None else f"β = {beta:g}", names, rows))
    return tables


def _rank(run: Reading, model: int, dataset: str) -> int:
    at = run.datasets.index(dataset)
    return 0 if at == model else 2 if at == len(run.datasets) - 1 else 1


def _cell(run: Reading, change: Change | None, comparisons: int) -> tuple[str, str]:
    if change is None:
        return "", ""
    if not change.generation:
        return f"{change.first:.2f}", ""
    early = f" (t = {change.generation})" if change.generation < run.config.generations else ""
    half = mean_of(change.each, comparisons).half
    text = arrow(change.first, change.last) + ("" if math.isnan(half) else f" ± {half:.2f}")
    return text + early, change.kind(comparisons)


def timings(run: Reading) -> list[dict[str, str]]:
    """Sum tokens and seconds of each stage over all grid points."""
    try:
        lines = (run.directory.path / "timings.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    total: dict[str, tuple[float | int, float]] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            stage, tokens, seconds = entry["stage"], entry["tokens"], entry["seconds"]
        except (ValueError, KeyError):
            continue  # cut short when the process was killed
        known = total.get(stage, (0, 0.0))
        # a server need not say how many tokens it has written
        total[stage] = known[0] + (math.nan if tokens is None else tokens), known[1] + seconds
    return [
        {
            "stage": stage,
            "tokens": "unknown" if math.isnan(tokens) else f"{tokens:,}",
            "seconds": f"{seconds:,.1f}",
            "rate": f"{tokens / seconds:,.0f}" if seconds and not math.isnan(tokens) else "—",
        }
        for stage, (tokens, seconds) in total.items()
    ]


def samples(run: Reading[TrainedConfig]) -> list[Sample]:
    """Return the first fixed prompt of each dataset with its completions."""
    if not run.config.measurement.prompts or not run.chosen:
        return []
    times = [("t = 0", run.chosen[0].start, 0)]
    for point in run.chosen:
        if t := run.reached[point.name]:
            times.append((f"t = {t}, {title(point)}", point.name, t))
    texts: dict[tuple[str, int, str], tuple[str, str]] = {}
    for when, name, t in times:
        for record in run.directory.branch(name).samples(t):
            if record["kind"] == "fixed":
                key = record["dataset"], record["model"], when
                texts.setdefault(key, (record["prompt"], record["completion"]))
    found = []
    for dataset in run.datasets:
        prompt = next((p for (name, _, _), (p, _) in texts.items() if name == dataset), None)
        if prompt is None:
            continue
        written = [
            (f"model {k + 1}", when, short(texts[dataset, k, when][1]))
            for k in range(len(run.config.tasks))
            for when, _, _ in times
            if (dataset, k, when) in texts
        ]
        found.append(Sample(dataset, short(prompt), written))
    return found


def short(text: str) -> str:
    """Return the beginning of a text."""
    text = text.strip()
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …"
