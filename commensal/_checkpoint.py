"""Keep finished chunks on disk, so that an interrupted sweep or simulation can be resumed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import commensal
from commensal import _part
from commensal._outputs import takes_files
from commensal._part import partial_folder
from commensal.saving import whole

# Raised when the meaning or layout of what is written changes.
FORMAT = 3

_NOTE = "chunks.json"
_EARLIER = "sweep.json"  # the note of earlier versions
_OF_OLD = "by an earlier version of commensal, whose names are others: run it again"
NETCDF = (".nc", ".nc4", ".cdf", ".h5", ".hdf5")
_WAYS_OUT = "choose another output, or discard it with --overwrite (overwrite=True in Python)"


class OutputFileError(ValueError):
    """A file or folder on disk belongs to other results, or cannot be used for these."""


def fingerprint(config: dict[str, Any]) -> str:
    """Return what must be equal for the chunks of two runs to be interchangeable."""
    identity = {"format": FORMAT, "version": commensal.__version__, "config": config}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def check_target(out: Path, suffixes: tuple[str, ...] = NETCDF) -> None:
    """Raise OutputFileError, before any work is done, unless ``out`` can be written."""
    folder = out.parent
    if out.suffix and out.suffix.lower() not in suffixes:
        kind = "NetCDF" if suffixes == NETCDF else suffixes[0].removeprefix(".").upper()
        raise OutputFileError(
            f"output {str(out)!r} would be {kind} under the name of {out.suffix}: "
            f"give a name that ends in {suffixes[0]}"
        )
    if not folder.is_dir():
        raise OutputFileError(
            f"output folder {str(folder)!r} does not exist: make it, or leave it out of the name"
        )
    if out.is_dir():
        raise OutputFileError(f"output {str(out)!r} is a folder")
    if out.exists() and not out.is_file():  # a device: the file would take its place
        raise OutputFileError(f"output {str(out)!r} is no regular file")
    if not takes_files(folder) or (out.exists() and not os.access(out, os.W_OK)):
        raise OutputFileError(f"output {str(out)!r} cannot be written")


def finished(out: Path, identity: str, config: dict[str, Any], what: str = "sweep") -> bool:
    """Return whether ``out`` holds these results; raise OutputFileError if it holds others."""
    if not out.exists():
        return False
    attrs = _attributes(out)
    if attrs.get("fingerprint") == identity:
        return True
    raise OutputFileError(f"{str(out)!r} holds {_describe(attrs, config, what)}; {_WAYS_OUT}")


def load(path: str | Path) -> xr.Dataset:
    """Open a sweep's NetCDF file, lazily.

    Parameters
    ----------
    path : str or Path
        NetCDF file that :func:`regression` has written.

    Returns
    -------
    xarray.Dataset
        The sweep. Variables are read when they are used; ``.load()`` reads them all.

    Raises
    ------
    OutputFileError
        If the file does not exist, is no sweep, or was written in another format.

    Examples
    --------
    >>> load("nowhere.nc")
    Traceback (most recent call last):
        ...
    commensal._checkpoint.OutputFileError: 'nowhere.nc' does not exist
    """
    path = Path(path)
    if not path.is_file():
        raise OutputFileError(f"{str(path)!r} does not exist")
    attrs = _attributes(path)
    if attrs.get("format") != FORMAT:
        raise OutputFileError(
            f"commensal {commensal.__version__} does not read {str(path)!r}: it holds "
            f"{_describe(attrs, None)}"
        )
    return xr.open_dataset(path, engine="h5netcdf")


def read_netcdf(path: Path, leave_out: Sequence[str] = ()) -> xr.Dataset:
    """Read a NetCDF file into memory, except for the variables in ``leave_out``.

    Raises
    ------
    OutputFileError
        If the file does not exist, is no NetCDF, or is cut off or damaged; the message is one line.
    """
    if not path.is_file():
        told = "is a folder" if path.is_dir() else "does not exist"
        raise OutputFileError(f"{str(path)!r} {told}")
    with _readable(path), xr.open_dataset(path, engine="h5netcdf") as dataset:
        return dataset.drop_vars(leave_out, errors="ignore").load()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn any error of h5py or h5netcdf on a truncated or damaged file into one line."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise OutputFileError(
            f"{str(path)!r} is not a NetCDF file that can be read: it may be cut off"
        ) from error


def _attributes(path: Path) -> dict[str, Any]:
    with _readable(path), xr.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
        return {k: v.item() if hasattr(v, "item") else v for k, v in dataset.attrs.items()}


def _describe(attrs: dict[str, Any], config: dict[str, Any] | None, what: str = "sweep") -> str:
    if "fingerprint" not in attrs:
        return f"something that is not a commensal {what}"
    version = attrs.get("commensal_version", "?")
    if version != commensal.__version__:
        return f"a {what} by another version (commensal {version})"
    if _older(attrs.get("format")):
        return f"a {what} {_OF_OLD}"
    if config is None:
        return f"a {what} in another format"
    return f"another {what} ({_difference(attrs, config)})"


def _older(written: Any) -> bool:
    """Return whether a chunk format is an old one; None stands for the time before formats."""
    return written is None or (isinstance(written, int) and written < FORMAT)


def _difference(held: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Describe the first settings that differ, the old values and the new ones."""
    try:
        settings = held.get("config")
        old = json.loads(settings) if isinstance(settings, str) else dict(settings or {})
    except (TypeError, ValueError):
        return "its settings cannot be read"
    old |= {name: held[name] for name in wanted if name in held}  # as attributes of their own
    every = [*(n for n in ("process", "models", "alpha", "beta") if n in wanted), *wanted]
    names = [name for name in dict.fromkeys(every) if old.get(name) != wanted.get(name)]
    if not names:
        return "written in another format"
    told = [f"{n} was {_shown(old.get(n))}, is now {_shown(wanted.get(n))}" for n in names[:2]]
    more = f", and {len(names) - 2} more" if len(names) > 2 else ""
    return "; ".join(told) + more


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    if isinstance(value, list) and len(value) > 4:
        return f"{value[0]:g} to {value[-1]:g} in {len(value)} points"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)[:24]


def discard(out: Path) -> None:
    """Remove ``out`` and its chunks; a folder that is not one of chunks is left alone."""
    out.unlink(missing_ok=True)
    if any((partial_folder(out) / note).exists() for note in (_NOTE, _EARLIER)):
        shutil.rmtree(partial_folder(out))


class Chunks:
    """A folder of finished chunks beside the output, one file each.

    A chunk's file appears whole or not at all, so a kill at any moment loses at most the
    chunks in flight.
    """

    def __init__(
        self, out: Path, config: dict[str, Any], identity: str, what: str = "sweep"
    ) -> None:
        self.folder = partial_folder(out)
        note = self.folder / _NOTE
        described = {
            "fingerprint": identity,
            "commensal_version": commensal.__version__,
            "format": FORMAT,
            "config": config,
        }
        if (self.folder / _EARLIER).exists():
            raise OutputFileError(
                f"{str(self.folder)!r} holds chunks of a {what} {_OF_OLD}; {_WAYS_OUT}"
            )
        if note.exists():
            try:
                found = json.loads(note.read_text())
            except (OSError, json.JSONDecodeError) as error:
                raise OutputFileError(f"{str(note)!r} cannot be read") from error
            if found.get("fingerprint") != identity:
                described_as = _describe(found, config, what)
                raise OutputFileError(
                    f"{str(self.folder)!r} holds chunks of {described_as}; {_WAYS_OUT}"
                )
        else:
            self.folder.mkdir(exist_ok=True)
            _replace(note, lambda path: path.write_text(json.dumps(described, indent=1)))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def mine(self, names: Sequence[str]) -> Sequence[str]:
        """Return which of all chunks this process computes; all, but in a part of the work."""
        return _part.mine(self.folder, names, {name for name in names if name in self})

    def save(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """Store one chunk."""

        # a file object, since np.savez puts its own ending on a name
        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]

        _replace(self._path(name), write)

    def read(self, name: str) -> dict[str, np.ndarray]:
        """Read one stored chunk."""
        with np.load(self._path(name)) as stored:
            return {key: stored[key] for key in stored.files}

    def remove(self) -> None:
        """Delete the folder, once its content has been written elsewhere."""
        shutil.rmtree(self.folder)


def _replace(path: Path, write: Any) -> None:
    with whole(path) as temporary:
        write(temporary)
