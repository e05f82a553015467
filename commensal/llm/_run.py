"""The life cycle of a run: read, check, hold the folder, compute, and write the table.

The module is private, as ``commensal.llm.run`` is the function.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from commensal.llm.checks import check
from commensal.llm.config import ExperimentConfig
from commensal.llm.experiment import Progress, experiment_of
from commensal.llm.records import results
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.lock import alone
from commensal.llm.session import device_of, environment, memory, quiet, threads


def run(
    config: ExperimentConfig,
    out: str | Path,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Run an experiment, or resume one that was interrupted.

    Parameters
    ----------
    config : ExperimentConfig
        Settings of the run, as :func:`read_config` gives them.
    out : str or Path
        Folder of the run; made where there is none.
    workers : int, optional
        Number of grid points that run side by side, each in a process of its own; by default as
        many as the processor has room for, one on a GPU. The numbers do not depend on it.
    progress : callable, optional
        Called with what is done and how much there is, in generations.

    Returns
    -------
    pandas.DataFrame
        Metrics as a tidy table: the grid point's columns, ``generation``, ``model``, ``dataset``,
        ``other`` (the second model of a pair), ``metric``, ``value``, ``diverged``. A grid point
        whose training diverges, so that a loss is no longer finite, stops there: that generation is
        marked.

    Raises
    ------
    ValueError
        If the data or the model cannot be loaded.
    RunDirectoryError
        If the folder holds something else, or is damaged.
    Unsaved
        If the disk is full.
    OutOfMemory
        If memory does not suffice.
    ChildProcessError
        If a process that a grid point runs in was killed.
    EndpointError
        If a server does not answer; it is a ValueError.
    """
    if config.threads is None:  # it is written down, so that a resumed run has the same
        cores = (os.cpu_count() or 1) if config.large else 1
        config = config.model_copy(update={"threads": cores})
    directory = RunDirectory(Path(out))
    experiment = experiment_of(config)
    experiment.read()
    check(experiment, config, directory.path)
    with quiet(), threads(config.threads or 1), memory(directory.path):
        device = device_of(config)
        with alone(directory):
            settings = config.model_dump(mode="json")
            directory.create(settings, experiment.described(), config.identifying())
            directory.add_environment(environment(config, device))
            experiment.compute(directory, device, workers, progress or (lambda done, total: None))
            metrics = results.metrics(directory.path)
            directory.write_metrics(metrics)
    return metrics


def resume(
    path: str | Path, *, workers: int | None = None, progress: Progress | None = None
) -> pd.DataFrame:
    """Resume an interrupted run; a finished one is only read.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    workers, progress
        Number of grid points side by side, and what is called with the progress, as for
        :func:`run`.

    Returns
    -------
    pandas.DataFrame
        Metrics, as :func:`run` returns them.

    Raises
    ------
    RunDirectoryError
        If the folder holds no run, or is damaged. The other errors are those of :func:`run`.
    """
    return run(results.config_of(path), path, workers=workers, progress=progress)
