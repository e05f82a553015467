"""What commands write: asked for before the work, of the kind that its name says, drawn again."""

from __future__ import annotations

import json
import os
import shlex
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from commensal import claims, cli, designs, sweep
from commensal._checkpoint import FORMAT, Chunks
from commensal.cli import _size
from commensal.cli._console import progress_bar
from commensal.sims import regression as sims
from commensal.theory import regression
from tests.commands import SMALL, run

CELL = ("--alpha", "0.5", "--beta", "0.5", "--models", "2", "--dim", "3", "--rank", "2")
PROCESS = ("--models", "2", "--dim", "3", "--rank", "2", "--generations", "2")


def next_of(err: str) -> list[str]:
    (line,) = [line for line in err.splitlines() if line.startswith("next: ")]
    program, *args = shlex.split(line.removeprefix("next: "))
    assert program == "commensal"
    return args


def refused(monkeypatch, capsys, *args) -> str:
    code, out, err = run(monkeypatch, capsys, *args)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1, err
    return err


# -- grids


@pytest.mark.parametrize("text", ["0:1:11", "0:1:51", "0.1:0.9:9", "0:1:4", "-1:1:21", "1e-3:1:10"])
def test_points_of_a_grid_are_the_doubles_that_were_meant(text):
    start, stop, count = text.split(":")
    first, last = Fraction(start), Fraction(stop)
    exact = [first + (last - first) * i / (int(count) - 1) for i in range(int(count))]
    assert cli.parse_grid(text) == tuple(x.numerator / x.denominator for x in exact)


def test_a_typed_value_is_found_on_a_grid():
    tenths = tuple(float(f"0.{i}") for i in range(10))
    assert cli.parse_grid("0:1:11") == (*tenths, 1.0)
    ds = sweep.regression(alpha=cli.parse_grid("0:1:11"), beta=(0.5,), models=(2,), dim=2, rank=1)
    assert float(ds.sel(alpha=0.3, beta=0.5).alpha) == 0.3
    default = sweep.RegressionSweep().alpha
    assert all(x in default for x in (0.06, 0.14, 0.58, 0.7))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0:1", "a grid is start:stop:count"),
        ("0:nan:3", "a grid is start:stop:count"),
        ("0:inf:3", "a grid is start:stop:count"),
        ("", "a grid is start:stop:count"),
        ("0:1:1", "a grid of 1 point cannot have both ends"),
        ("0:1:100000000", "a grid has at most 1,000,000 points"),
    ],
)
def test_grids_that_are_none(text, words):
    with pytest.raises(ValueError, match=words):
        cli.parse_grid(text)


# -- places


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (
            ("sweep", "regression", "--out", "x.csv"),
            "'x.csv' would be NetCDF under the name of .csv",
        ),
        (("simulate", "gaussian", "--out", "x.parquet"), "give a name that ends in .nc"),
        (("simulate", "regression", "--out", "x.png"), "give a name that ends in .nc"),
        (("simulate", "mixture", "--out", "folder"), "'folder' is a folder"),
        (("simulate", "gaussian", "--out", "taken.nc", "--plot"), "'taken.png' is a folder"),
        (
            ("sweep", "regression", "--out", "taken.nc", "--plot"),
            "'taken_stability.png' is a folder",
        ),
        (("check", "--html", "page.pdf"), "--html: 'page.pdf' is HTML"),
        (("check", "--html", "folder.html"), "'folder.html' is a folder"),
        (("pair", "published", "--out", "file"), "'file' is a file, and a folder is needed"),
        (("fingerprint", "texts.csv", "--out", "file"), "'file' is a file"),
        (("simulate", "gaussian", "--config", "folder"), "'folder' is a folder, not a file"),
        (("figure", "folder"), "'folder' is a folder"),
        (("figure", "nowhere.nc"), "'nowhere.nc' does not exist"),
        (
            ("llm", "presets", "--show", "nothing"),
            "there is no preset 'nothing'; presets: communities",
        ),
        (("simulate", "mixture", "--components", "9" * 20), "components: whole numbers go up to"),
    ],
)
def test_what_cannot_end_well_is_refused_first(monkeypatch, capsys, tmp_path, args, words):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "taken.png", "taken_stability.png", "folder.html"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").touch()
    assert words in refused(monkeypatch, capsys, *args)


def test_a_device_is_not_replaced(monkeypatch, capsys, tmp_path):
    device = tmp_path / "device.nc"
    os.mkfifo(device)
    args = ("sweep", "regression", *CELL, "--out", str(device), "--overwrite")
    assert "is no regular file" in refused(monkeypatch, capsys, *args)
    assert device.is_fifo()


# -- other files


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_files_that_are_cut_off_are_one_line(monkeypatch, capsys, tmp_path, share):
    whole = tmp_path / "whole.nc"
    xr.Dataset(
        {name: (("replicate", "generation"), np.ones((50, 9))) for name in ("log_variance", "w2")},
        attrs={"process": "mixture", "config": "{}"},
    ).to_netcdf(whole, engine="h5netcdf")
    content = whole.read_bytes()
    path = tmp_path / "cut_off.nc"
    path.write_bytes(content[: int(share * len(content))])
    assert "'cut_off.nc'" in refused(monkeypatch, capsys, "figure", str(path)).replace(
        f"{tmp_path}/", ""
    )
    args = ("sweep", "regression", *CELL, "--out", str(path))
    assert "cut_off.nc" in refused(monkeypatch, capsys, *args)
    with pytest.raises(sweep.OutputFileError, match=r"cut_off\.nc"):
        sweep.load(path)


def test_files_whose_settings_are_none(monkeypatch, capsys, tmp_path):
    path = tmp_path / "x.nc"
    numbers = (("replicate", "generation"), np.ones((2, 3)))
    for process, name, config, words in (
        ("gaussian", "log_variance", '{"samples": -1}', "settings that cannot be read: samples"),
        ("gaussian", "log_variance", "{", "has settings that cannot be read"),
        ("gaussian", "nonsense", "{}", "lacks what its picture shows"),
        ("nonsense", "log_variance", "{}", "holds nothing that commensal draws"),
    ):
        attrs = {"process": process, "config": config}
        xr.Dataset({name: numbers}, attrs=attrs).to_netcdf(path, engine="h5netcdf")
        assert words in refused(monkeypatch, capsys, "figure", str(path))


def test_a_picture_does_not_take_the_place_of_its_data(monkeypatch, capsys, tmp_path):
    path = tmp_path / "x.png"
    numbers = {"squared_error": (("replicate", "generation", "model"), np.ones((2, 3, 1)))}
    xr.Dataset(numbers, attrs={"process": "mixture", "config": "{}"}).to_netcdf(
        path, engine="h5netcdf"
    )
    before = path.read_bytes()
    assert "rename it to end in .nc" in refused(monkeypatch, capsys, "figure", str(path))
    assert path.read_bytes() == before


def test_another_sweep_is_told_by_what_differs(monkeypatch, capsys, tmp_path):
    out = str(tmp_path / "s.nc")
    assert run(monkeypatch, capsys, "sweep", "regression", *CELL, "--out", out)[0] == 0
    other = [*CELL[:-1], "1", "--out", out]
    err = refused(monkeypatch, capsys, "sweep", "regression", *other)
    assert "another sweep (rank was 2, is now 1)" in err
    assert "--overwrite" in err
    err = refused(monkeypatch, capsys, "sweep", "regression", *SMALL, "--out", out)
    assert "models was 2, is now 2,3; alpha was 0.5, is now 0 to 1 in 5 points, and 3 mo" in err
    (tmp_path / "s.nc").unlink()
    folder = tmp_path / "s.nc.partial"
    folder.mkdir()
    config = sweep.RegressionSweep(alpha=(0.5,), models=(2,), noise=3.0).model_dump(mode="json")
    version = cli.commensal.__version__
    note = {"fingerprint": "x", "commensal_version": version, "format": FORMAT, "config": config}
    (folder / "chunks.json").write_text(json.dumps(note))
    given = ("--alpha", "0.5", "--models", "2", "--noise", "2", "--out", out)
    err = refused(monkeypatch, capsys, "sweep", "regression", *given)
    assert "noise was 3.0, is now 2.0" in err
    assert (
        run(monkeypatch, capsys, "sweep", "regression", *CELL, "--out", out, "--overwrite")[0] == 0
    )


# -- sizes


def test_size_is_said_and_too_much_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(monkeypatch, capsys, "sweep", "regression", *CELL)
    assert code == 0
    assert "1 cell: about 512 MiB of memory, 1 MiB of disk, roughly" in err
    monkeypatch.setattr(_size, "available_memory", lambda: 3e8)
    Path("sweep.nc").unlink()
    err = refused(monkeypatch, capsys, "sweep", "regression", *CELL)
    assert "this machine has 286 MiB of memory free: ask for less, or insist with --yes" in err
    assert not list(tmp_path.iterdir())
    assert run(monkeypatch, capsys, "sweep", "regression", *CELL, "--yes")[0] == 0
    # 2 · 10⁹ lineages of 101 generations, 4 numbers each, in 8 bytes: 6 TiB, and a copy
    err = refused(monkeypatch, capsys, "simulate", "gaussian", "--replicates", "2000000000")
    assert "TiB of memory" in err


# Enough chunks that the first are on disk while the others are on their way.
CHUNKED = {
    "gaussian": ("--replicates", "300", "--generations", "3", "--chunk", "64"),
    "mixture": ("--replicates", "300", "--generations", "3", "--chunk", "64"),
    "ecosystem": ("--replicates", "6", "--generations", "3", "--chunk", "2"),
    "selection": (
        *("--samples", "20000", "--replicates", "150", "--generations", "3", "--chunk", "50"),
    ),
    "words": ("--replicates", "6", "--generations", "3", "--chunk", "2"),
    "regression": ("--replicates", "900", "--generations", "3", "--chunk", "256"),
}


@pytest.mark.parametrize("process", CHUNKED)
def test_a_simulation_that_is_stopped_goes_on_where_it_was(process, monkeypatch, capsys, tmp_path):
    out, name = tmp_path / "runs.nc", ("simulate", process)
    options = *CHUNKED[process], "--out", str(out)
    saved = Chunks.save

    def killed(self, *chunk):
        saved(self, *chunk)
        raise KeyboardInterrupt

    monkeypatch.setattr(Chunks, "save", killed)
    code, _, err = run(monkeypatch, capsys, *name, *options)
    assert code == 130
    assert "the same command goes on from them" in err
    assert not out.exists()
    assert len(list((tmp_path / "runs.nc.partial").glob("*.npz"))) == 1
    monkeypatch.setattr(Chunks, "save", saved)
    code, told, _ = run(monkeypatch, capsys, *name, *options)
    assert code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs.nc"]
    # at once or in two parts, the numbers are the same; a finished file is read
    before = out.stat().st_mtime_ns
    again = run(monkeypatch, capsys, *name, *options)
    assert (again[0], again[1], out.stat().st_mtime_ns) == (0, told, before)
    with xr.open_dataset(out) as resumed:
        kept = resumed.load()
    assert run(monkeypatch, capsys, *name, *options, "--overwrite")[0] == 0
    with xr.open_dataset(out) as whole:
        xr.testing.assert_identical(whole.load(), kept)
    err = refused(monkeypatch, capsys, *name, *options, "--seed", "1")
    assert "another simulation (seed was 0, is now 1; key was" in err


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux only")
def test_available_memory_is_no_more_than_the_machine_has():
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < _size.available_memory() <= whole


def test_a_bar_says_that_it_waits_until_more_is_done_than_at_the_start(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "rich.progress.Progress.update", lambda _, task, **more: shown.append(more["description"])
    )
    with progress_bar("cells", waiting="compiling") as update:
        for done in (4, 4, 5, 10):  # a sweep that goes on from 4
            update(done, 10)
    assert shown == ["compiling", "compiling", "cells", "cells"]


# -- regressions


def test_simulated_regressions_are_drawn_and_drawn_again(monkeypatch, capsys, tmp_path):
    out, png = tmp_path / "r.nc", tmp_path / "r.png"
    args = ("simulate", "regression", *PROCESS, "--replicates", "300", "--out", str(out), "--plot")
    assert run(monkeypatch, capsys, *args)[0] == 0
    first = png.read_bytes()
    png.unlink()
    assert run(monkeypatch, capsys, "figure", str(out))[1].strip() == f"wrote {png}"
    assert png.read_bytes() == first
    with xr.open_dataset(out, engine="h5netcdf") as runs:
        config = sims.RegressionConfig.model_validate_json(runs.attrs["config"])
        w = regression.RegressionWorkflow(**sims.draw_designs(config).grams(), alpha=0.5, beta=0.5)
        theta = designs.truth(3)
        expected = regression.mse(regression.trajectory(w, theta, 2), theta)
        np.testing.assert_allclose(runs.mse_theory, expected, rtol=1e-12)
        pooled = np.trace(np.linalg.inv(np.asarray(w.private).sum(axis=0) + np.asarray(w.public)))
        assert float(runs.pooled_mse) == pytest.approx(pooled, rel=1e-9)


def test_gram_matrices_of_ones_own_are_simulated(monkeypatch, capsys, tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, **designs.gaussian(3, 4, 2, seed=1).grams())
    process = ("simulate", "regression", "--grams", str(path), "--generations", "2")
    code, text, _ = run(monkeypatch, capsys, *process, "--replicates", "2000")
    assert code == 0
    rows = [line.split("│") for line in text.splitlines() if line.startswith("│")]
    # 9 comparisons at |z| < 4.5: by chance once in 16,000 seeds, and the seed is fixed
    assert len(rows) == 3
    assert all(float(row[-2]) < 4.5 for row in rows)


# -- what there is, and what comes next


def test_claims_are_listed_without_a_check(monkeypatch, capsys):
    monkeypatch.setattr(claims, "check", None)
    code, text, err = run(monkeypatch, capsys, "check", "--list", "--paper", "news")
    news = [claim for claim in claims.all_claims() if claim.paper == "news"]
    assert code == 0
    assert [line.split()[:3] for line in text.splitlines()] == [
        [claim.id, "news", claim.kind] for claim in news
    ]
    assert next_of(err) == ["check", "--id", news[0].id]
    code, text, _ = run(monkeypatch, capsys, "check", "--list", "--json", "--id", news[2].id)
    (record,) = json.loads(text)
    assert record["id"] == news[2].id
    assert record["statement"] == news[2].statement


def test_a_preset_is_shown_as_it_is_read(monkeypatch, capsys, tmp_path):
    from commensal.llm.presets import preset_names, read_config

    for name in preset_names():
        code, text, _ = run(monkeypatch, capsys, "llm", "presets", "--show", name)
        assert code == 0
        path = tmp_path / "copy.yaml"
        path.write_text(text, encoding="utf-8")
        assert read_config(path) == read_config(name)


def test_the_next_command_can_be_given(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "a name" / "s.nc"
    out.parent.mkdir()
    _, _, err = run(monkeypatch, capsys, "sweep", "regression", *CELL, "--out", str(out))
    assert next_of(err) == ["figure", str(out)]
    _, _, err = run(monkeypatch, capsys, *next_of(err))
    assert next_of(err) == ["check", "--paper", "interactive"]
    grid = ("--alpha", "0.2,0.4", *CELL[2:], "--noise", "2", "--out", str(out))
    _, _, err = run(monkeypatch, capsys, "sweep", "regression", *grid, "--plot", "--overwrite")
    simulate = next_of(err)
    with sweep.load(out) as dataset:
        best = float(dataset.optimal_alpha.sel(models=2, objective="mean"))
    assert simulate[:6] == ["simulate", "regression", "--models", "2", "--alpha", str(best)]
    assert run(monkeypatch, capsys, *simulate, "--replicates", "20")[0] == 0
    _, _, err = run(monkeypatch, capsys, *simulate, "--replicates", "20")
    again = next_of(err)
    assert again == [*simulate, "--replicates", "20", "--out", "regression.nc", "--plot"]
    _, _, err = run(monkeypatch, capsys, *again)
    assert next_of(err) == ["check", "--paper", "interactive"]
    assert (tmp_path / "regression.png").exists()
    page = ("check", "--id", "news.kl_unit", "--jobs", "1")
    _, _, err = run(monkeypatch, capsys, *page)
    assert next_of(err) == ["check", "--id", "news.kl_unit", "--html", "claims.html"]
    code, _, err = run(monkeypatch, capsys, *next_of(err), "--jobs", "1")
    assert code == 0
    assert next_of(err) == ["sweep", "regression", "--out", "sweep.nc", "--plot"]
