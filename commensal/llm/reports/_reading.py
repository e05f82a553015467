"""A run on disk: its settings, its measurements, and how far it has come. Needs no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from commensal.llm.config import ExperimentConfig, GridPoint
from commensal.llm.records import results
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import Stop, diverged
from commensal.llm.reports._learning import Lesson, lessons, warnings
from commensal.llm.reports._populations import kind_of

Kind = TypeVar("Kind", bound=ExperimentConfig, covariant=True)


@dataclass(frozen=True)
class Reading(Generic[Kind]):
    """A run as far as it has come; ``Reading[SegmentedConfig]`` is one of that workflow."""

    directory: RunDirectory
    config: Kind
    points: list[GridPoint]
    metrics: pd.DataFrame
    reached: dict[str, int]
    """Last finished generation of each grid point that has one, before it diverged."""
    stops: dict[str, Stop] = field(default_factory=dict)
    """Points of the grid that diverged, by name."""

    @property
    def lessons(self) -> list[Lesson]:
        """Names of what the models of each grid point have learnt; empty if none is trained."""
        learnt = self.config.learnt
        return lessons(self.metrics, self.points, learnt) if learnt else []

    @property
    def warnings(self) -> list[tuple[str, str]]:
        """Warnings that a reader must know before any finding."""
        return list(warnings(self.lessons, self.stops, {s.name: title(s) for s in self.points}))

    @property
    def measured(self) -> pd.DataFrame:
        """Measurements for figures: those with a finite loss, before a grid point diverged."""
        if self.metrics.empty:
            return self.metrics
        return self.metrics.loc[~self.metrics["diverged"]]

    @property
    def left_out(self) -> list[GridPoint]:
        """Return the grid points that diverged, or whose models have learnt nothing."""
        blank = {one.point.name for one in self.lessons if one.nothing}
        return [s for s in self.points if s.name in blank or s.name in self.stops]

    @property
    def judged(self) -> pd.DataFrame:
        """Measurements for findings: those of all grid points but the ones left out."""
        metrics = self.metrics
        for point in self.left_out:
            of_it = pd.Series(True, index=metrics.index)
            for name, value in point.coordinates.items():
                of_it &= metrics[name] == value
            metrics = metrics.loc[~of_it]
        return metrics

    @property
    def datasets(self) -> list[str]:
        """Names of the models' own tasks, and of the public dataset last."""
        return [corpus.name for corpus in self.config.corpora]

    @property
    def complete(self) -> int:
        """Number of grid points that have come to the last generation."""
        return sum(t == self.config.generations for t in self.reached.values())

    @property
    def chosen(self) -> list[GridPoint]:
        """Grid points to show more of, of those with results."""
        return self.config.featured([s for s in self.points if s.name in self.reached])

    @property
    def betas(self) -> list[float]:
        """Return the β with results, the one nearest to 0.5 first, the others in order."""
        if self.metrics.empty or "beta" not in self.metrics:
            return []
        known = sorted(float(b) for b in self.metrics["beta"].unique())
        first = min(known, key=lambda b: (abs(b - 0.5), -b))
        return [first, *(b for b in known if b != first)]


def read_run(folder: Path) -> Reading:
    """Read a run's grid points, and what is finished of it.

    Raises
    ------
    RunDirectoryError
        If the folder is no run.
    """
    config = results.config_of(folder)
    directory = RunDirectory(folder)
    points = config.grid()
    # before what is finished is counted: of a run that goes on, all that was read counts
    metrics, stops = results.metrics(folder), diverged(folder)
    reached: dict[str, int] = {}
    for point in points:
        branch = directory.branch(point.name)
        stop = stops[point.name].generation if point.name in stops else config.generations + 1
        known = [t for t in range(1, stop) if branch.finished(t)]
        if known:
            reached[point.name] = max(known)
        elif stop and directory.branch(point.start).finished(0):
            reached[point.name] = 0
    return Reading(directory, config, points, metrics, reached, stops)


def title(point: GridPoint, but: str = "") -> str:
    """Display name of a grid point, without one of its coordinates if that is said elsewhere.

    Examples
    --------
    >>> title(GridPoint("", {"alpha": 0.5, "beta": 1.0}, "", 0))
    'α = 0.5, β = 1'
    >>> title(GridPoint("", {"alpha": 0.5, "beta": 1.0, "reads": "ring:0.5"}, "", 0), but="beta")
    'α = 0.5, ring:0.5'
    """
    more = f", replicate {point.replicate + 1}" if point.replicate else ""
    if "population" in point.coordinates:
        return kind_of(point.coordinates).label + more
    signs = {"alpha": "α = ", "beta": "β = ", "read_share": "β = "}
    signs |= dict.fromkeys(("memory", "ecosystem", "reads"), "")
    return (
        ", ".join(
            signs.get(name, f"{name} = ") + (value if isinstance(value, str) else f"{value:g}")
            for name, value in point.coordinates.items()
            if name not in ("replicate", but)
        )
        + more
    )


def by_replicate(points: Sequence[GridPoint]) -> dict[tuple[object, ...], list[GridPoint]]:
    """Group grid points that differ in their replicate alone."""
    found: dict[tuple[object, ...], list[GridPoint]] = {}
    for point in points:
        same = tuple((n, v) for n, v in point.coordinates.items() if n != "replicate")
        found.setdefault(same, []).append(point)
    return found


def over_replicates(metrics: pd.DataFrame) -> pd.DataFrame:
    """Average a table of metrics over replicates; NaN where one replicate has no number."""
    if "replicate" not in metrics or len(set(metrics["replicate"])) < 2:
        return metrics
    by = [name for name in metrics if name not in ("replicate", "value")]
    groups = metrics.groupby(by, dropna=False, sort=False, observed=True)["value"]
    return groups.agg(lambda values: values.mean(skipna=False)).reset_index()


def human_shares(run: Reading) -> list[tuple[str, str]]:
    """Say how much of what is learnt from generation 1 on people wrote."""
    if run.metrics.empty:
        return []
    rows = run.metrics.loc[
        (run.metrics["metric"] == "human_share") & (run.metrics["generation"] > 0)
    ]
    found: dict[str, str] = {}
    for points in by_replicate(run.points).values():
        here = rows
        for name, value in points[0].coordinates.items():
            here = here if name == "replicate" else here.loc[here[name] == value]
        if len(here):
            found[title(points[0])] = f"{here['value'].mean():.1%}"
    if not found:
        return []
    same = len(set(found.values())) == 1
    text = next(iter(found.values())) if same else "; ".join(f"{n}: {v}" for n, v in found.items())
    return [("human share of the learnt tokens (t ≥ 1)", text)]


def facts(run: Reading) -> list[tuple[str, str]]:
    """List the facts of a run, each with its name."""
    config = run.config
    sessions = _sessions(run.directory.path)
    found = [("workflow", str(config.workflow_name()))]
    found += config.facts()
    found.append(("generations", str(config.generations)))
    found += config.training_facts(_parameters(run))
    found += human_shares(run)
    found.append(("seed", str(config.seed)))
    devices = dict.fromkeys(str(entry.get("device")) for entry in sessions)
    if sessions:
        last = sessions[-1]
        names = ("commensal", "torch", "transformers", "python")
        found.append(("device", ", ".join(devices)))
        found.append(("versions", ", ".join(f"{n} {last[n]}" for n in names if last.get(n))))
    if sessions and sessions[-1].get("commit"):
        found.append(("commit", sessions[-1]["commit"][:12]))
    return found


def _sessions(folder: Path) -> list[dict[str, Any]]:
    try:
        return json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []


def _parameters(run: Reading) -> int | None:
    start = run.directory.branch(run.points[0].start)
    for path in (start.weights(0, 0), run.directory.base() / "model.safetensors"):
        if path.is_file():
            from safetensors import safe_open  # of the extra llm; claims are checked without it

            with safe_open(path, "numpy") as weights:
                shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
            return sum(math.prod(shape) for shape in shapes)
    return None


def floors(run: Reading) -> dict[str, float]:
    """Entropy of the known laws in nats per token, where tokens are words; mean over replicates.

    The end of a text is a token too, and certain.
    """
    if run.metrics.empty:
        return {}
    known = set(run.metrics.loc[run.metrics["metric"] == "kl", "dataset"])
    found: dict[str, list[float]] = {}
    for config in {
        run.config.resources_of(p): run.config.of_replicate(p.replicate) for p in run.points
    }.values():
        for corpus in config.corpora:
            if corpus.name in known and (law := corpus.law()) is not None:
                words = corpus.completion_words
                entropy = law.entropy(corpus.prompt_words, corpus.prompt_words + words)
                found.setdefault(corpus.name, []).append(entropy * words / (words + 1))
    return {name: sum(each) / len(each) for name, each in found.items()}


def corpora(run: Reading) -> list[dict[str, str]]:
    """Describe the datasets with sizes and known entropies; empty if no model is trained."""
    entropy, known = floors(run), run.directory.note()["corpora"]
    found = []
    for at, corpus in enumerate(run.config.corpora):
        sizes = [f"{known[corpus.name][part]:,}" for part in ("train", "test")]
        found.append(
            {
                "name": corpus.name,
                "whose": run.config.whose(at),
                "what": "; ".join([corpus.described(), *known[corpus.name].get("notes", [])]),
                "train": sizes[0],
                "test": sizes[1],
                "entropy": f"{entropy[corpus.name]:.2f}" if corpus.name in entropy else "—",
            }
        )
    return found
