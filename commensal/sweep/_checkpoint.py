"""Finished chunks on disk, so that a killed sweep goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import commensal

# Raised when the meaning or layout of what is written changes.
FORMAT = 1

_NOTE = "sweep.json"


class SweepFileError(ValueError):
    """A file or folder on disk does not belong to this sweep, or cannot be used for it."""


def fingerprint(config: dict[str, Any]) -> str:
    """What must be equal for chunks of two runs to be interchangeable."""
    identity = {"format": FORMAT, "version": commensal.__version__, "config": config}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def check_target(out: Path) -> None:
    """Raise SweepFileError, before any work is done, unless ``out`` can be written."""
    folder = out.parent
    if not folder.is_dir():
        raise SweepFileError(f"output folder {str(folder)!r} does not exist")
    if out.is_dir():
        raise SweepFileError(f"output {str(out)!r} is a folder")
    if not os.access(folder, os.W_OK | os.X_OK) or (out.exists() and not os.access(out, os.W_OK)):
        raise SweepFileError(f"output {str(out)!r} cannot be written")


def finished(out: Path, identity: str) -> bool:
    """Whether ``out`` already holds this sweep; SweepFileError if it holds something else."""
    if not out.exists():
        return False
    attrs = _attributes(out)
    if attrs.get("fingerprint") == identity:
        return True
    raise SweepFileError(
        f"{str(out)!r} holds {_describe(attrs)}; choose another output or overwrite it"
    )


def load(path: str | Path) -> xr.Dataset:
    """Open a sweep's NetCDF file, lazily.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    xarray.Dataset
        Variables are read when they are used; ``.load()`` reads them all.

    Raises
    ------
    SweepFileError
        If the file does not exist, is no sweep, or was written in another format.

    Examples
    --------
    >>> load("nowhere.nc")
    Traceback (most recent call last):
        ...
    commensal.sweep._checkpoint.SweepFileError: 'nowhere.nc' does not exist
    """
    path = Path(path)
    if not path.is_file():
        raise SweepFileError(f"{str(path)!r} does not exist")
    attrs = _attributes(path)
    if attrs.get("format") != FORMAT:
        raise SweepFileError(
            f"{str(path)!r} holds {_describe(attrs)}, which commensal "
            f"{commensal.__version__} does not read"
        )
    return xr.open_dataset(path, engine="h5netcdf")


def _attributes(path: Path) -> dict[str, Any]:
    try:
        with xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
            return {k: v.item() if hasattr(v, "item") else v for k, v in dataset.attrs.items()}
    except (OSError, ValueError) as error:
        raise SweepFileError(f"{str(path)!r} is not a NetCDF file that can be read") from error


def _describe(attrs: dict[str, Any]) -> str:
    if "fingerprint" not in attrs:
        return "something that is not a commensal sweep"
    version = attrs.get("commensal_version", "?")
    if version != commensal.__version__:
        return f"a sweep by another version (commensal {version})"
    return "another sweep (its settings differ)"


def partial_folder(out: Path) -> Path:
    """Where finished chunks wait for the rest."""
    return out.with_name(out.name + ".partial")


def discard(out: Path) -> None:
    """Remove ``out`` and its chunks; a folder that is not one of chunks is left alone."""
    out.unlink(missing_ok=True)
    if (partial_folder(out) / _NOTE).exists():
        shutil.rmtree(partial_folder(out))


class Chunks:
    """A folder of finished chunks beside the output, one file each.

    A chunk's file appears whole or not at all, so a kill at any moment loses at most the
    chunks in flight.
    """

    def __init__(self, out: Path, config: dict[str, Any], identity: str) -> None:
        self.folder = partial_folder(out)
        note = self.folder / _NOTE
        described = {
            "fingerprint": identity,
            "commensal_version": commensal.__version__,
            "config": config,
        }
        if note.exists():
            try:
                found = json.loads(note.read_text())
            except (OSError, json.JSONDecodeError) as error:
                raise SweepFileError(f"{str(note)!r} cannot be read") from error
            if found.get("fingerprint") != identity:
                raise SweepFileError(
                    f"{str(self.folder)!r} holds chunks of {_describe(found)}; "
                    "remove it, or choose another output"
                )
        else:
            self.folder.mkdir(exist_ok=True)
            _replace(note, lambda path: path.write_text(json.dumps(described, indent=1)))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Store one chunk."""

        # a file object, since np.savez puts its own ending on a name
        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]

        _replace(self._path(name), write)

    def read(self, name: str) -> dict[str, np.ndarray]:
        """One stored chunk."""
        with np.load(self._path(name)) as stored:
            return {key: stored[key] for key in stored.files}

    def remove(self) -> None:
        """Delete the folder, once its content is safe elsewhere."""
        shutil.rmtree(self.folder)


def _replace(path: Path, write: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write(temporary)
    temporary.replace(path)
