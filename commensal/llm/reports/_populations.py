"""Evolving populations by kind, from a run's tidy table. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

import pandas as pd


class Kind(NamedTuple):
    """Settings that populations share if they differ in their seeds alone."""

    population: int
    selection: str
    questions: str
    """Name of the questions by which models are selected, or ``none``."""
    inheritance: str
    noise: float

    @property
    def label(self) -> str:
        """Display name in reports.

        Examples
        --------
        >>> Kind(4, "accuracy", "mmlu", "data", 0.0).label
        'N = 4, by accuracy on mmlu, texts alone'
        """
        if self.population == 1:
            parts = ["single lineage"]
        else:
            how = {"random": "by lot", "none": "unselected", "loss": "by loss"}
            by = how.get(self.selection, f"by accuracy on {self.questions}")
            parts = [f"N = {self.population}", by]
        if self.inheritance == "data":
            parts.append("texts alone")
        if self.noise:
            parts.append(f"noise {self.noise:g}")
        return ", ".join(parts)


def kind_of(coordinates: Mapping[str, float | int | str]) -> Kind:
    """Return the kind of a grid point."""
    return Kind(
        int(coordinates["population"]),
        str(coordinates["selection"]),
        str(coordinates["questions"]),
        str(coordinates["inheritance"]),
        float(coordinates["noise"]),
    )


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

    def ends(self, kind: Kind, metric: str, dataset: str) -> list[tuple[str, float, float]]:
        """Return the first and last value of each replicate."""
        table = self.of(kind, metric, dataset)
        return [
            (f"replicate {at + 1}", float(row[0]), float(row[-1]))
            for at, row in enumerate(table.to_numpy(float))
        ]

    def lineage(self) -> Kind | None:
        """Return the kind of one model alone, on its own weights and texts."""
        alone = [k for k in self.kinds if k.population == 1 and k.inheritance == "full"]
        return alone[0] if alone else None

    def selected(self, inheritance: str = "full") -> list[Kind]:
        """Return the kinds of the paper: more than one model, chosen by accuracy."""
        return [
            k
            for k in self.kinds
            if k.population > 1
            and (k.selection, k.inheritance, k.noise) == ("accuracy", inheritance, 0)
        ]
