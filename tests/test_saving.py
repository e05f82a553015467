"""Files are whole or not there, whoever writes them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from safetensors import SafetensorError

from commensal._checkpoint import Chunks
from commensal.saving import Unsaved, _become, append, as_unsaved, save_figure, staged, whole
from commensal.sims._simulate import write_netcdf

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        ),
        Exception("No space left on device (os error 28)"),  # tokenizers
        OSError("Can't write data (errno = 28, error message = 'No space left on device')"),  # HDF5
    ],
)
def test_a_full_disk_is_known_whoever_says_it(tmp_path: Path, error: Exception):
    kept = tmp_path / "kept"
    kept.write_text("old")

    def half(writer, path: Path, inside: str = "") -> None:
        with writer(path) as temporary:
            (temporary / inside).write_text("half")
            raise error

    with pytest.raises(Unsaved, match=r"cannot write .*kept': the disk is full"):
        half(whole, kept)
    with pytest.raises(Unsaved, match=r"cannot write .*new': the disk is full"):
        half(staged, tmp_path / "new", "file")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    assert kept.read_text() == "old"


def test_other_errors_stay_what_they_are(tmp_path: Path):
    assert as_unsaved(tmp_path, ValueError("no")) is None
    with pytest.raises(KeyError), whole(tmp_path / "file"):
        raise KeyError("no")
    with pytest.raises(Unsaved, match="there is no folder"), whole(tmp_path / "a" / "b") as path:
        path.write_text("")
    with pytest.raises(Unsaved, match="Is a directory"):
        append(tmp_path, "line")
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_was_faster(tmp_path: Path):
    """Between the look and the rename; both have the same content."""
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    _become(tmp_path / "mine", tmp_path / "theirs")
    assert (tmp_path / "theirs" / "file").read_text() == "theirs"


class _Runs(xr.Dataset):
    """A dataset that fills the disk half-way."""

    __slots__ = ()

    def to_netcdf(self, path: Path, **_: object) -> None:  # pyright: ignore
        Path(path).write_text("half")
        raise FULL


def test_simulations_figures_and_chunks_of_sweeps(tmp_path: Path, monkeypatch):
    out = tmp_path / "runs.nc"
    out.write_text("old")
    with pytest.raises(Unsaved, match="the disk is full"):
        write_netcdf(_Runs(), out)
    figure = Figure()
    save_figure(figure, tmp_path / "runs.png")
    drawn = (tmp_path / "runs.png").read_bytes()
    chunks = Chunks(tmp_path / "sweep.nc", {}, "name")

    def full(*_):
        raise FULL

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unsaved, match="the disk is full"):
        save_figure(figure, tmp_path / "runs.png")
    with pytest.raises(Unsaved, match="the disk is full"):
        chunks.save("chunk", {"a": np.zeros(3)})
    assert out.read_text() == "old"
    assert (tmp_path / "runs.png").read_bytes() == drawn
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert names == {"runs.nc", "runs.png", "sweep.nc.partial/chunks.json"}
