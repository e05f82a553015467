"""The life cycle of a run: read, check, hold the folder, compute, and write the table.

The module is private, as ``commensal.llm.run`` is the function.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from commensal._part import Part, keep_note, partial_folder, read_note
from commensal.llm.checks import check
from commensal.llm.config import ExperimentConfig
from commensal.llm.devices import Machines, devices_of, gpus, seeing
from commensal.llm.experiment import Progress, experiment_of
from commensal.llm.records import results
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.lock import alone
from commensal.llm.records.shards import shard_folder, shard_of
from commensal.llm.session import device_of, environment, memory, quiet, threads, with_threads
from commensal.llm.tracking import tracked, trackers_of


def run(
    config: ExperimentConfig,
    out: str | Path,
    *,
    workers: int | None = None,
    devices: str | None = None,
    shard: str | None = None,
    ray: str | None = None,
    track: str | None = None,
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
        Number of grid points that run side by side, each in a process of its own; by default one
        for each GPU, or as many as the processor has room for. The numbers do not depend on it.
    devices : str, optional
        GPUs whose processes share the grid points, as "0,1"; "cpu,cpu" for two without a GPU. By
        default, as "all", every GPU there is.
    shard : str, optional
        Part of the grid to compute, as "2/8", in ``<out>.partial``; "0/8" is what all shards begin
        from. ``commensal merge`` puts them together.
    ray : str, optional
        Address of a Ray cluster that computes the grid points, a task each; "auto" for the one of
        this machine.
    track : str, optional
        Programs that are told each generation's metrics: "tensorboard" (files in the folder of the
        run), "wandb", "mlflow", or several, "tensorboard,wandb". Each has to be installed. What is
        told later than its generation, as by :func:`resume`, comes in the same place.
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
        If the data or the model cannot be loaded, or a tracker is unknown.
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
    if config.threads is None and shard is not None and config.large:
        raise ValueError(
            "shards need the same threads, and machines have unlike numbers of cores: say how "
            "many, as by --set threads=8"
        )
    config = with_threads(config)
    out, part = shard_of(Path(out)) or (Path(out), None)
    if shard is not None:
        part = Part.parse(shard, first=0)
    directory = RunDirectory(out if part is None else shard_folder(out, part))
    chosen = devices_of(devices, config.device, gpus())
    trackers = trackers_of(track)
    machines = Machines(workers, chosen, ray, part)
    experiment = experiment_of(config)
    with seeing(None if chosen is None else ",".join(dict.fromkeys(chosen))):
        experiment.read()
        check(experiment, config, directory.path)
        with quiet(), threads(config.threads or 1), memory(directory.path):
            device = device_of(config)
            with alone(directory):
                settings = config.model_dump(mode="json")
                directory.create(settings, experiment.described(), config.identifying())
                directory.add_environment(environment(config, device))
                if part is not None and read_note(beside := partial_folder(out)) is None:
                    own = str(directory.path / "config.yaml")
                    keep_note(beside, part, ["llm", "run", own, "--out", str(out)])
                with tracked(
                    trackers, directory, config, progress or (lambda done, total: None)
                ) as telling:
                    experiment.compute(directory, device, machines, telling)
                metrics = results.metrics(directory.path)
                directory.write_metrics(metrics)
    return metrics


def resume(
    path: str | Path,
    *,
    workers: int | None = None,
    devices: str | None = None,
    track: str | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Resume an interrupted run; a finished one is only read.

    Parameters
    ----------
    path : str or Path
        Folder of the run.
    workers, devices, track, progress
        Number of grid points side by side, their devices, who is told the metrics, and what is
        called with the progress, as for :func:`run`.

    Returns
    -------
    pandas.DataFrame
        Metrics, as :func:`run` returns them.

    Raises
    ------
    RunDirectoryError
        If the folder holds no run, or is damaged. The other errors are those of :func:`run`.
    """
    options = {"workers": workers, "devices": devices, "track": track, "progress": progress}
    return run(results.config_of(path), path, **options)
