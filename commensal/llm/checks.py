"""Checks before a run that takes hours: folder, disk, model, texts, lengths."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import torch

from commensal.llm.config import ExperimentConfig
from commensal.llm.experiment import Experiment, experiment_of
from commensal.llm.measures.embeddings import sentence_embedder
from commensal.llm.records.directory import RunDirectory, RunDirectoryError
from commensal.llm.session import device_of, quiet


def check(
    experiment: Experiment, config: ExperimentConfig, out: Path, *, download: bool = True
) -> None:
    """Raise an error for whatever would fail later in the run; a finished run always passes.

    Parameters
    ----------
    experiment : Experiment
        One that has read its data.
    config : ExperimentConfig
        What it was made of.
    out : Path
        The run's folder.
    download : bool
        Whether an embedder may be fetched; models' settings and tokenizers, which are small,
        always are.

    Raises
    ------
    ValueError
        In one line that says how to mend it: if the folder cannot be written, the disk is too
        small, a model or an embedder cannot be loaded, a tokenizer does not fit its model, or
        texts do not fit into what the model can see.
    """
    _check_folder(out)
    branches = [RunDirectory(out).branch(point.name) for point in config.grid()]
    if all(branch.finished(config.generations) for branch in branches):
        return
    device_of(config)
    with quiet():
        _check_embedder(config.embedder, download)
        experiment.check(out)


def dry_run(config: ExperimentConfig, out: Path) -> list[str]:
    """Check all that a run would, and the data that need no download; write nothing.

    Parameters
    ----------
    config : ExperimentConfig
    out : Path

    Returns
    -------
    list of str
        What has not been looked at, because it would have to be downloaded.

    Raises
    ------
    ValueError
        As :func:`check`, and if data cannot be read.
    """
    experiment = experiment_of(config)
    missed = experiment.read(download=False)
    check(experiment, config, out, download=False)
    if config.embedder != "base" and not Path(config.embedder).expanduser().is_dir():
        missed.append(f"embedder {config.embedder!r}")
    return missed


def _check_folder(out: Path) -> None:
    """Raise an error unless the run's folder can be made, or written to."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if there == out and (not out.is_dir() or any(out.iterdir())) and not _is_run(out):
        raise RunDirectoryError(f"{str(out)!r} exists and is not a run; choose another folder")
    if not there.is_dir():
        raise RunDirectoryError(
            f"{str(out)!r} cannot be made, as {str(there)!r} is a file; choose another folder"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise RunDirectoryError(
            f"{str(out)!r} cannot be made: nothing may be written to {str(there)!r}; choose "
            "another folder with --out"
        )


def _is_run(out: Path) -> bool:
    """Return whether a folder is a run, or the first files of one that was killed."""
    if not out.is_dir():
        return False
    begun = all(path.name.startswith(".") for path in out.iterdir())
    return begun or (out / "run.json").exists()


def _check_embedder(name: str, download: bool) -> None:
    """Raise an error unless the embedder is on this machine or can be downloaded."""
    if name == "base":
        return
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise ValueError(f"embedder {name!r} cannot be loaded: there is no such folder")
    missing = importlib.util.find_spec("sentence_transformers") is None
    if missing or download or Path(name).expanduser().is_dir():
        sentence_embedder(name, torch.device("cpu"))
