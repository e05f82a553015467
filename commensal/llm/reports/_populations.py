"""Evolving populations by kind, from a run's tidy table. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, cast

import pandas as pd


class Kind(NamedTuple):
    """Settings that populations share if they differ in their seeds alone."""

    population: int
    selection: str
    selected: int
    """Number of models that are selected."""
    questions: str
    """Name of the questions by which models are selected, or ``none``."""
    inheritance: str
    reads: str
    """``one`` writer, or all of them ``pooled``."""
    writers: str
    """``selected``, or ``all``."""
    mutation: float
    noise: float

    @property
    def label(self) -> str:
        """Display name in reports.

        Examples
        --------
        >>> four = Kind(4, "accuracy", 2, "mmlu", "data", "pooled", "all", 0.01, 0.0)
        >>> four.label
        'N = 4, by accuracy on mmlu, all write, pooled, texts alone'
        """
        if self.population == 1:
            parts = ["single lineage"]
        else:
            how = {
                "random": "by lot",
                "none": "unselected",
                "loss": "by loss",
                "oracle": "by an oracle",
                "preference": "by preference",
            }
            by = how.get(self.selection, f"by accuracy on {self.questions}")
            if self.selection != "none" and self.selected != math.isqrt(self.population):
                by += f", {self.selected} selected"
            parts = [f"N = {self.population}", by]
            parts += ["all write"] * (self.writers == "all" and self.selection != "none")
            parts += ["pooled"] * (self.reads == "pooled")
        if self.inheritance == "data":
            parts.append("texts alone")
        if self.population > 1 and not self.mutation:
            parts.append("no mutation")
        if self.noise:
            parts.append(f"noise {self.noise:g}")
        return ", ".join(parts)


def kind_of(coordinates: Mapping[str, float | int | str]) -> Kind:
    """Return the kind of a grid point."""
    of = {name: coordinates[name] for name in Kind._fields}
    whole = {name: int(of[name]) for name in ("population", "selected")}
    return Kind(**{**of, **whole})  # pyright: ignore[reportArgumentType]


class Populations:
    """Means over the models of each population, by kind, replicate and generation.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the evolution workflow.
    generations : int
        T. Populations that have not come so far are left out.
    """

    def __init__(self, metrics: pd.DataFrame, generations: int) -> None:
        self.generations = generations
        self.kinds: list[Kind] = []
        self._values: dict[tuple[Kind, str, str], pd.DataFrame] = {}
        self._models: dict[Kind, pd.DataFrame] = {}
        if metrics.empty:
            return
        names = [*Kind._fields]
        known = metrics.loc[metrics["dataset"].notna()]
        for key, rows in known.groupby(names, sort=True):
            values = dict(zip(names, key, strict=True))  # pyright: ignore[reportArgumentType]
            reached = rows.groupby("replicate")["generation"].transform("max")
            rows = rows.loc[reached == generations]
            if rows.empty:
                continue
            kind = kind_of(values)
            self.kinds.append(kind)
            by = ["metric", "dataset", "replicate", "generation"]
            self._models[kind] = rows
            # NaN where one model has none: a mean over the others would pass for theirs
            means = rows.groupby(by)["value"].agg(lambda values: values.mean(skipna=False))
            for at, part in means.groupby(["metric", "dataset"]):
                metric, dataset = at  # pyright: ignore[reportGeneralTypeIssues]
                table = part.droplevel([0, 1]).unstack("generation")
                self._values[kind, str(metric), str(dataset)] = table

    def of(self, kind: Kind, metric: str, dataset: str) -> pd.DataFrame:
        """Return a row for each replicate, a column for each generation; empty if not measured."""
        return self._values.get((kind, metric, dataset), pd.DataFrame())

    def last(self, kind: Kind, metric: str, dataset: str) -> pd.Series:
        """Return the last value of each replicate."""
        found = self.of(kind, metric, dataset)
        return cast(pd.Series, found[self.generations]) if len(found) else pd.Series(dtype=float)

    def means(self, kind: Kind, metric: str, dataset: str) -> list[float]:
        """Return the mean over the replicates at each generation."""
        return self.of(kind, metric, dataset).to_numpy(float).mean(axis=0).tolist()

    def change(self, kind: Kind, metric: str, dataset: str, since: int = 0) -> pd.Series:
        """Return the change since a generation in each replicate."""
        table = self.of(kind, metric, dataset)
        if not len(table):
            return pd.Series(dtype=float)
        return cast(pd.Series, table[self.generations] - table[since])

    def differences(
        self, one: Kind, other: Kind, metric: str, dataset: str, generation: int | None = None
    ) -> pd.Series:
        """Return differences, at last by default, of populations that start from the same seeds."""
        here, there = self.of(one, metric, dataset), self.of(other, metric, dataset)
        both = here.index.intersection(there.index)
        if not len(both):
            return pd.Series(dtype=float)
        t = self.generations if generation is None else generation
        return cast(pd.Series, here.loc[both, t] - there.loc[both, t])

    def _each(self, kind: Kind, metric: str, dataset: str) -> pd.DataFrame:
        """Return a row for each replicate and generation, a column for each model."""
        rows = self._models[kind]
        rows = rows.loc[(rows["metric"] == metric) & (rows["dataset"] == dataset)]
        return rows.pivot_table("value", ["replicate", "generation"], "model")

    def covariance(
        self, kind: Kind, metrics: tuple[str, str], dataset: str
    ) -> tuple[float, float] | None:
        """Return mean variance and covariance over models of two measures, from generation 1 on.

        Within replicates and generations; None if one was not measured.
        """
        found = []
        for metric in metrics:
            table = self._each(kind, metric, dataset)
            table = table.loc[table.index.get_level_values("generation") > 0]
            found.append(table.sub(table.mean(axis=1), axis=0).to_numpy())
        one, other = found
        if not one.size or one.shape != other.shape or one.shape[1] < 2:
            return None
        free = one.shape[0] * (one.shape[1] - 1)
        variance = ((one**2).sum() + (other**2).sum()) / (2 * free)
        return float(variance), float((one * other).sum() / free)

    def lineage(self) -> Kind | None:
        """Return the kind of one model alone, on its own weights and texts."""
        alone = [k for k in self.kinds if k.population == 1 and k.inheritance == "full"]
        return alone[0] if alone else None

    def selected(self, inheritance: str = "full") -> list[Kind]:
        """Return the kinds of the paper: selected by accuracy, who read one of the selected."""
        paper = ("accuracy", inheritance, "one", "selected", 0)
        return [
            k
            for k in self.kinds
            if k.population > 1
            and (k.selection, k.inheritance, k.reads, k.writers, k.noise) == paper
            and k.selected == math.isqrt(k.population)
        ]
