"""Interface of an experiment to the life cycle of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from commensal.llm.config import ExperimentConfig, part
from commensal.llm.devices import Machines
from commensal.llm.records.directory import RunDirectory

Progress = Callable[[float | int, float | int], None]
"""Callback that receives the finished work and the total work."""


@runtime_checkable
class Experiment(Protocol):
    """Interface of an experiment: it reads data, checks them, and computes grid points.

    It is made of a configuration. :func:`commensal.llm.run` calls the methods in this order;
    :func:`commensal.llm.checks.dry_run` the first two.
    """

    def read(self, *, download: bool = True) -> list[str]:
        """Read all data, and raise an error for data that are known to be missing.

        Parameters
        ----------
        download : bool
            Whether data that are not here may be fetched.

        Returns
        -------
        list of str
            What has not been read as it would have to be downloaded, for people.

        Raises
        ------
        ValueError
            In one line that says how to mend it; so do all the others.
        """
        ...

    def check(self, out: Path) -> None:
        """Raise an error for what would fail only after hours: models, lengths, room on the disk.

        Parameters
        ----------
        out : Path
            The run's folder, which need not exist.
        """
        ...

    def described(self) -> dict[str, dict[str, Any]]:
        """Return hash and sizes of the data by name, to notice when they change."""
        ...

    def compute(
        self,
        directory: RunDirectory,
        device: torch.device,
        machines: Machines,
        progress: Progress,
    ) -> None:
        """Compute every missing generation of every grid point.

        Parameters
        ----------
        directory : RunDirectory
            It is this process' alone, and holds the configuration.
        device : torch.device
        machines : Machines
            Where grid points run, and which of them.
        progress : callable
        """
        ...


def experiment_of(config: ExperimentConfig) -> Experiment:
    """Return the experiment that a configuration describes."""
    return part(config.experiment)(config)
