"""Read the measurements of a run of the workflow ``web``. Needs no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.config import GridPoint, WebConfig
from commensal.llm.records import results
from commensal.llm.records.directory import RunDirectory
from commensal.llm.web.measures import joined, mean_responses


def distances(folder: str | Path) -> pd.DataFrame:
    """Read ‖D^(t)‖_F over the generations.

    Parameters
    ----------
    folder : str or Path
        Folder of the run, which need not be finished.

    Returns
    -------
    pandas.DataFrame
        Table with the settings' columns, ``generation``, ``disagreement`` (‖D‖_F, eq. 2),
        ``sampling`` (the ‖D‖_F that L responses of models of one law would have), ``posts`` |A^(t)|
        and ``retrieved`` k_t.

    Raises
    ------
    RunDirectoryError
        If the folder is no such run.
    """
    return distances_of(results.metrics(folder), results.config_of(folder, WebConfig))


def distances_of(metrics: pd.DataFrame, config: WebConfig) -> pd.DataFrame:
    """Return the table of :func:`distances` from the metrics of a run, as far as it has come."""
    names = ["disagreement", "sampling", "posts", "retrieved"]
    keys = [*config.grid()[0].coordinates, "generation"]
    if metrics.empty:
        return pd.DataFrame(columns=[*keys, *names])
    whole = metrics.loc[metrics["metric"].isin(names) & metrics["model"].isna()]
    table = whole.pivot_table(index=keys, columns="metric", values="value", dropna=False)
    table = table.reindex(columns=names).dropna(how="all").reset_index()
    return table.rename_axis(columns=None)


def mean_paths(
    directory: RunDirectory, point: GridPoint, generations: int
) -> Float[np.ndarray, "T n D"]:
    """Read X_i^(t) of a grid point's finished generations, from 0 on; it may be empty."""
    branch = directory.branch(point.name)
    found = []
    for t in range(generations + 1):
        embedded = branch.embeddings(t) if branch.finished(t) else None
        if embedded is None:
            break
        found.append(mean_responses(joined(embedded)))
    return np.stack(found) if found else np.empty((0, 0, 0))


def share_path(
    metrics: pd.DataFrame, point: GridPoint, metric: str, generations: int
) -> Float[np.ndarray, "T n Q B"] | None:
    """Read the shares of languages of a grid point's models, from generation 0 on.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives.
    point : GridPoint
    metric : str
        ``share`` of the answers, or ``taught``: the law that models were taught, at the posts that
        they have read.
    generations : int
        Last generation.

    Returns
    -------
    (T + 1, n, Q, B) floats, or None
        None where it was not measured.
    """
    here = metrics.loc[(metrics["metric"] == metric) & (metrics["generation"] <= generations)]
    for name, value in point.coordinates.items():
        here = here.loc[here[name] == value]
    if here.empty:
        return None
    names = list(dict.fromkeys(here["dataset"]))  # queries in order, and languages within them
    languages = len({name.rsplit(", ", 1)[-1] for name in names})
    table = here.pivot_table(
        index="generation", columns=["model", "dataset"], values="value", dropna=False
    )
    models = sorted(here["model"].unique())
    values = table[[(model, name) for model in models for name in names]].to_numpy(float)
    return values.reshape(len(table), len(models), -1, languages)
