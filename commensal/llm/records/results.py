"""Read a run's configuration and measurements. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd
from pydantic import ValidationError

import commensal
from commensal.llm.config import ExperimentConfig, validated
from commensal.llm.records.directory import RunDirectory, RunDirectoryError

Config = TypeVar("Config", bound=ExperimentConfig)


def config_of(path: str | Path, kind: type[Config] = ExperimentConfig) -> Config:
    """Read the configuration of a run on disk.

    Parameters
    ----------
    path : str or Path
        The run's folder.
    kind : type
        The config class that is needed, such as ``TrainedConfig`` where models have to be
        trained; by default any.

    Returns
    -------
    ExperimentConfig
        Of that kind.

    Raises
    ------
    RunDirectoryError
        If there is none, or it is of another kind.
    """
    settings = RunDirectory(Path(path)).note()["config"]
    try:
        config = validated(settings)
    except ValidationError as error:
        raise RunDirectoryError(
            f"{str(path)!r} holds settings that commensal {commensal.__version__} does not know; "
            "run it again"
        ) from error
    if not isinstance(config, kind):
        wanted = kind.workflow_name()
        what = "which trains nothing" if wanted is None else f"not {wanted}"
        raise RunDirectoryError(
            f"{str(path)!r} is a run of workflow {config.workflow_name()}, {what}"
        )
    return config


def metrics(path: str | Path) -> pd.DataFrame:
    """Read the finished part of a run as one tidy table.

    Generation 0 appears under each grid point that shares it. Where models are trained, the column
    ``diverged`` is true at a generation whose training has diverged: of it there are no losses,
    and no later generation.

    Parameters
    ----------
    path : str or Path
        Folder of the run.

    Returns
    -------
    pandas.DataFrame
        Metrics, with the columns that :func:`commensal.llm.run` describes.

    Raises
    ------
    RunDirectoryError
        If there is no run, or a file in it is damaged.
    """
    directory = RunDirectory(Path(path))
    config = config_of(path)
    tables = []
    for point in config.grid():
        start, branch = directory.branch(point.start), directory.branch(point.name)
        found = [start.metrics(0)] if start.finished(0) else []
        found += [branch.metrics(t) for t in range(1, config.generations + 1) if branch.finished(t)]
        if found:
            table = pd.concat(found, ignore_index=True)
            if config.trains:
                bad = table.loc[table["metric"] == "diverged", "generation"]
                table["diverged"] = table["generation"].isin(bad)
            for at, (name, value) in enumerate(point.coordinates.items()):
                table.insert(at, name, value)
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


class Stop(NamedTuple):
    """Generation at which the training of a grid point has diverged."""

    generation: int
    why: str


def diverged(path: str | Path) -> dict[str, Stop]:
    """Find the grid points whose training has diverged, by name."""
    directory = RunDirectory(Path(path))
    config = config_of(path)
    found = {}
    for point in config.grid():
        start, branch = directory.branch(point.start), directory.branch(point.name)
        for t in range(config.generations + 1):
            if why := (branch if t else start).diverged(t):
                found[point.name] = Stop(t, why)
                break
    return found
