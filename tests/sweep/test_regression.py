"""Sweeps: the right numbers under the right names, whatever happens on the way."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

import commensal
from commensal import designs, plots, sweep
from commensal._config import own_fields_first
from commensal.sweep._regression import _signature
from commensal.theory import regression

SMALL = {
    "alpha": (0.0, 0.2, 0.5, 1.0),
    "beta": tuple(np.linspace(0, 1, 30).tolist()),
    "models": (3, 2),
    "dim": 6,
    "rank": 3,
    "seed": 3,
}


@pytest.fixture(scope="module")
def small() -> xr.Dataset:
    return sweep.regression(**SMALL)


def test_numbers_are_the_theorys_under_their_names(small):
    theta = designs.truth(6, 3)
    for k in (2, 3):
        w = regression.RegressionWorkflow(
            **designs.gaussian(k, 6, 3, 3).grams(), alpha=0.5, beta=0.5
        )
        of_k = small.sel(models=k)
        for alpha, j in ((0.2, 4), (0.5, 17)):
            cell = w.replace(alpha=alpha, beta=SMALL["beta"][j])
            at = of_k.sel(alpha=alpha).isel(beta=j)
            limit = regression.limit(cell)
            np.testing.assert_allclose(at.mse[:k], regression.mse(limit, theta), rtol=1e-9)
            np.testing.assert_allclose(
                at.mspe[:k, :k], regression.mspe(limit, theta, w.private), rtol=1e-8, atol=1e-12
            )
            np.testing.assert_allclose(
                at.relative_efficiency[:k], regression.relative_efficiency(cell), rtol=1e-9
            )
            assert float(at.spectral_radius) == pytest.approx(float(limit.spectral_radius), 1e-8)
            assert bool(at.stable)


def test_layout(small):
    assert small.mspe.dims == ("models", "alpha", "beta", "model", "task")
    assert list(small.models.values) == [3, 2]
    # K = 2 has no third model; α = 1 has no limit, at any K
    assert np.isnan(small.mse.sel(models=2, model=2)).all()
    assert np.isnan(small.mspe.sel(models=2, task=2)).all()
    assert not small.stable.sel(alpha=1.0).any()
    assert np.isnan(small[["mse", "mspe", "consensus_distance"]].sel(alpha=1.0)).all().all()
    assert small.stable.dtype == bool
    assert (small.spectral_radius.sel(alpha=1.0).round(6) == 1).all()
    for variable in small.variables.values():
        assert variable.attrs["units"]
        assert variable.attrs["long_name"]
    assert small.attrs["seed"] == 3
    assert json.loads(small.attrs["config"])["rank"] == 3


def test_optimum_is_the_best_cell(small):
    """Of those without bias: a biased one may have a smaller error, for this θ alone."""
    for k in (2, 3):
        unbiased = small.squared_bias.sel(models=k).sum("model") < 1e-9
        assert (unbiased & small.stable.sel(models=k)).any()
        mse = small.mse.sel(models=k).where(unbiased)
        mean = mse.mean("model")
        at = small.sel(models=k, objective="mean")
        assert float(at.optimal_mse) == float(mean.min())
        efficiency = at.relative_efficiency.sel(alpha=at.optimal_alpha, beta=at.optimal_beta)
        assert float(at.optimal_relative_efficiency) == pytest.approx(float(efficiency.mean()))
        worst = mse.max("model")
        at = small.sel(models=k, objective="worst")
        best = worst.sel(alpha=at.optimal_alpha, beta=at.optimal_beta)
        assert float(best) == float(worst.min())


def test_file_and_memory_are_the_same(small, tmp_path):
    out = tmp_path / "s.nc"
    seen = []
    with sweep.regression(**SMALL, out=out, progress=lambda d, t: seen.append(d / t)) as stored:
        xr.testing.assert_identical(stored.load(), small)
    assert [p.name for p in tmp_path.iterdir()] == ["s.nc"]
    assert seen[0] == 0
    assert seen[-1] == pytest.approx(1)
    assert seen == sorted(seen)
    # any tool of the field opens it
    with xr.open_dataset(out, engine="h5netcdf") as plain:
        assert plain.stable.dtype == bool
        assert plain.sizes["model"] == 3


def test_finished_file_is_not_computed_again(small, tmp_path, monkeypatch):
    out = tmp_path / "s.nc"
    sweep.regression(**SMALL, out=out).close()
    before = out.stat().st_mtime_ns
    monkeypatch.setattr(regression, "grid", None)
    with sweep.regression(**SMALL, out=out) as again:
        xr.testing.assert_identical(again.load(), small)
    assert out.stat().st_mtime_ns == before


def test_interrupted_sweep_goes_on_and_ends_with_the_same_bits(small, tmp_path, monkeypatch):
    out = tmp_path / "s.nc"
    solve, calls = regression.grid, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return solve(*args, **kwargs)

    monkeypatch.setattr(regression, "grid", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep.regression(**SMALL, out=out)
    assert not out.exists()
    kept = len(list((tmp_path / "s.nc.partial").glob("*.npz")))
    assert 1 <= kept <= 3
    calls.clear()
    monkeypatch.setattr(regression, "grid", lambda *a, **k: calls.append(1) or solve(*a, **k))
    with sweep.regression(**SMALL, out=out) as resumed:
        xr.testing.assert_identical(resumed.load(), small)
    assert len(calls) == 2 * 3 - kept  # 2 values of K, 3 blocks of β rows


@pytest.mark.usefixtures("compiled_as_for_users")  # what its processes write has those bits
def test_killed_process_loses_only_chunks_in_flight(tmp_path):
    """SIGKILL, not an exception: nothing gets to clean up."""
    out = tmp_path / "s.nc"
    command = [
        *(sys.executable, "-m", "commensal.cli", "sweep", "regression", "--alpha", "0:1:101"),
        *("--beta", "0:1:101", "--models", "2,3", "--dim", "12", "--rank", "5"),
        *("--out", str(out)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "s.nc.partial"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(partial.glob("*.npz"))) < 2:
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p.name: p.stat().st_mtime_ns for p in partial.glob("reads*.npz")}
    assert len(kept) >= 2
    for path in partial.glob("reads*.npz"):
        np.load(path).close()  # whole
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with sweep.load(out) as dataset:
        axis = tuple(i / 100 for i in range(101))
        whole = sweep.regression(alpha=axis, beta=axis, models=(2, 3), dim=12, rank=5)
        xr.testing.assert_identical(dataset.load(), whole)


def test_no_deadlock_on_all_cores():
    """Batched LAPACK calls inside XLA once hung for ever from K = 16 on."""
    code = (
        "from commensal import sweep\n"
        "axis = tuple(i / 20 for i in range(21))\n"
        "ds = sweep.regression(alpha=axis, beta=axis, models=(4, 16, 64))\n"
        "assert ds.stable.sel(alpha=slice(0.05, 0.95), beta=slice(0.05, 0.95)).all()\n"
        "from commensal import designs\n"
        "from commensal.theory import regression\n"
        "for k in (4, 16, 64):\n"
        "    g = designs.gaussian(k, 15, 5).grams()\n"
        "    w = regression.RegressionWorkflow(**g, alpha=0.5, beta=0.5)\n"
        "    regression.relative_efficiency(w), regression.trajectory(w, designs.truth(15), 5)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=240, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_deadlock_of_networks():
    """Two threads that solve α = 1 on a network once waited for each other for ever."""
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from commensal import sweep\n"
        "axis = tuple(i / 39 for i in range(40))\n"
        "ds = sweep.regression(alpha=(0.5, 1.0), beta=axis, models=6, reads='ring:0.5')\n"
        "assert ds.trusted.all()\n"
        "from commensal.theory import regression\n"
        "w = sweep.RegressionSweep(reads='ring:0.5').workflow(6)\n"
        "systems = [w.replace(alpha=i / 40) for i in range(20, 40)]\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    found = list(pool.map(regression.limit, systems))\n"
        "assert len({float(f.spectral_radius) for f in found}) == 20\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=240, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_misaligned_and_own_grams(tmp_path):
    system = {"design": "misaligned", "strength": 50.0, "public": 0.1}
    by_name = sweep.regression(alpha=(0.3, 0.6), beta=(0.5, 1.0), models=(3,), **system)
    path = tmp_path / "g.npz"
    np.savez(path, **designs.misaligned(3, 50.0, 0.1).grams())
    by_file = sweep.regression(alpha=(0.3, 0.6), beta=(0.5, 1.0), models=(3,), grams=path)
    xr.testing.assert_equal(by_name, by_file)
    assert not by_name.stable.sel(beta=1.0).any()
    assert np.isnan(by_name.mse.sel(beta=1.0)).all()
    assert (by_name.spectral_radius.sel(beta=1.0) > 1.1).all()


def test_without_tasks():
    ds = sweep.regression(alpha=(0.3,), beta=(0.5,), models=(2,), tasks=False)
    assert "mspe" not in ds
    assert "task" not in ds.dims


# -- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": ()}, "at least 1 item"),
        ({"alpha": (0.5, 1.2)}, "less than or equal to 1"),
        ({"beta": (float("nan"),)}, "alpha|beta"),
        ({"models": (0,)}, "greater than or equal to 1"),
        ({"models": (2, 2)}, "same value appears twice"),
        ({"rank": 16}, "rank must be at most dim = 15, got 16"),
        ({"public_rank": 16}, "public_rank must be at most dim"),
        ({"noise": -1}, "noise"),
        ({"nonsense": 1}, "nonsense"),
        ({"memory": "keep"}, "memory must be one of replace, accumulate, window, got 'keep'"),
        ({"memory": "window:0"}, "or window:M with M ≥ 1, got 'window:0'"),
        ({"memory": "accumulate:2"}, "or window:M with M ≥ 1, got 'accumulate:2'"),
        ({"memory": ("window", "window")}, "same value appears twice"),
        ({"generations": 0}, "greater than or equal to 1"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValidationError, match=message):
        sweep.RegressionSweep(**change)


def test_bad_outputs(tmp_path):
    with pytest.raises(sweep.OutputFileError, match="does not exist"):
        sweep.regression(**SMALL, out=tmp_path / "no" / "s.nc")
    with pytest.raises(sweep.OutputFileError, match="is a folder"):
        sweep.regression(**SMALL, out=tmp_path)
    (tmp_path / "text.nc").write_text("not NetCDF")
    with pytest.raises(sweep.OutputFileError, match="not a NetCDF file"):
        sweep.regression(**SMALL, out=tmp_path / "text.nc")
    other = tmp_path / "other.nc"
    xr.Dataset({"x": 1.0}).to_netcdf(other, engine="h5netcdf")
    with pytest.raises(sweep.OutputFileError, match="not a commensal sweep"):
        sweep.regression(**SMALL, out=other)
    with pytest.raises(sweep.OutputFileError, match="does not exist"):
        sweep.load(tmp_path / "s.nc")


def test_files_of_another_sweep_or_version(tmp_path, monkeypatch):
    tiny = {"alpha": (0.5,), "beta": (0.5,), "models": (1,), "dim": 2, "rank": 1}
    out = tmp_path / "s.nc"
    sweep.regression(**tiny, out=out).close()
    with pytest.raises(sweep.OutputFileError, match="another sweep"):
        sweep.regression(**tiny, seed=1, out=out)
    monkeypatch.setattr("commensal.__version__", "9.9")
    with pytest.raises(sweep.OutputFileError, match=r"another version \(commensal 0.1.0\)"):
        sweep.regression(**tiny, out=out)
    sweep.regression(**tiny, out=out, overwrite=True).close()
    monkeypatch.setattr("commensal._checkpoint.FORMAT", 99)
    with pytest.raises(sweep.OutputFileError, match="does not read"):
        sweep.load(out)


def test_files_of_the_time_of_other_names(tmp_path):
    """Written by format 2: dimensions entities and entity, and chunks whose note has no format."""
    out = tmp_path / "s.nc"
    old = {"commensal_version": commensal.__version__, "fingerprint": "x", "format": 2}
    numbers = np.zeros((1, 1, 1, 2))
    xr.Dataset(
        {"mse": (("entities", "alpha", "beta", "entity"), numbers)}, attrs=old | {"config": "{}"}
    ).to_netcdf(out, engine="h5netcdf")
    told = "by an earlier version of commensal, whose names are others: run it again"
    with pytest.raises(sweep.OutputFileError, match=told) as error:
        sweep.load(out)
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(sweep.OutputFileError, match=rf"{told}.*--overwrite"):
        sweep.regression(**SMALL, out=out)
    out.unlink()
    folder = tmp_path / "s.nc.partial"
    folder.mkdir()
    note = {k: v for k, v in old.items() if k != "format"} | {"config": {"entities": [2]}}
    (folder / "sweep.json").write_text(json.dumps(note))
    with pytest.raises(sweep.OutputFileError, match=rf"chunks of a sweep {told}.*--overwrite"):
        sweep.regression(**SMALL, out=out)
    tiny = {"alpha": 0.5, "beta": 0.5, "models": 1, "dim": 2, "rank": 1}
    sweep.regression(**tiny, out=out, overwrite=True).close()
    assert not folder.exists()


def test_signature_is_that_of_the_settings():
    signature = inspect.signature(sweep.regression)
    fields = sweep.RegressionSweep.model_fields
    given = [n for n in signature.parameters if n not in ("config", "out", "overwrite", "progress")]
    assert given == own_fields_first(sweep.RegressionSweep)
    hints = get_type_hints(sweep.RegressionSweep)
    shown = get_type_hints(_signature)
    for name in given:
        assert signature.parameters[name].default == fields[name].default
        if name in ("alpha", "beta", "models"):
            number = int if name == "models" else float
            assert shown[name] == number | Sequence[number] | np.ndarray
        elif name == "grams":
            assert shown[name] == str | hints[name]
        elif name == "reads":
            matrix = Sequence[Sequence[float]] | np.ndarray
            assert shown[name] == str | matrix | Sequence[str | matrix]
        elif name == "memory":
            assert shown[name] == str | Sequence[str]
        else:
            assert shown[name] == hints[name]


def test_numbers_and_arrays_are_grids():
    by_number = sweep.regression(alpha=0.5, beta=0.25, models=4)
    assert by_number.sizes["models"] == by_number.sizes["alpha"] == by_number.sizes["beta"] == 1
    by_array = sweep.regression(alpha=np.array([0.5]), beta=np.float64(0.25), models=np.array([4]))
    xr.testing.assert_identical(by_number, by_array)
    # what is given counts as given, also where it is the default
    base = sweep.RegressionSweep(alpha=0.5, beta=0.5, models=2, rank=3)
    assert json.loads(sweep.regression(base, rank=5).attrs["config"])["rank"] == 5
    with pytest.raises(ValidationError, match="'misaligned' does not take rank"):
        sweep.regression(design="misaligned", rank=5)
    for value in (True, "0.5", None):
        with pytest.raises(ValidationError, match="valid tuple"):
            sweep.RegressionSweep(alpha=value)


def test_chunks_of_another_sweep(tmp_path):
    out = tmp_path / "s.nc"
    folder = tmp_path / "s.nc.partial"
    folder.mkdir()
    note = {"fingerprint": "other", "commensal_version": "0.0.1"}
    (folder / "chunks.json").write_text(json.dumps(note))
    with pytest.raises(sweep.OutputFileError, match=r"chunks of a sweep by another version"):
        sweep.regression(**SMALL, out=out)
    (folder / "chunks.json").write_text("{")
    with pytest.raises(sweep.OutputFileError, match="cannot be read"):
        sweep.regression(**SMALL, out=out)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"private": np.eye(2)[None]}, "lacks public, synthetic"),
        (
            {"private": np.eye(2)[None], "public": np.eye(2), "synthetic": np.eye(2)[None], "x": 1},
            "unknown arrays: x",
        ),
        (
            {"private": np.eye(2)[None], "public": -np.eye(2), "synthetic": np.eye(2)[None]},
            "public: Gram matrix 0 is not positive semidefinite",
        ),
        (
            {"private": np.eye(2)[None], "public": np.eye(3), "synthetic": np.eye(2)[None]},
            "public must have shape",
        ),
    ],
)
def test_bad_grams(arrays, message, tmp_path):
    path = tmp_path / "g.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        sweep.regression(alpha=(0.5,), beta=(0.5,), models=(1,), grams=path)
    path.write_text("no")
    with pytest.raises(ValueError, match=r"is not an \.npz file"):
        sweep.regression(alpha=(0.5,), beta=(0.5,), models=(1,), grams=path)
    with pytest.raises(ValueError, match="does not exist"):
        sweep.regression(alpha=(0.5,), beta=(0.5,), models=(1,), grams=Path("no.npz"))


def test_cells_that_rounding_may_have_spoilt_win_nothing(tmp_path: Path) -> None:
    """Features of condition 1e10 and ρ within 1e-4 of one: known to a tenth, so not known."""
    gram = np.diag([1.0, 1e-10])
    path = tmp_path / "thin.npz"
    np.savez(path, private=np.stack([gram] * 2), public=gram, synthetic=np.stack([gram] * 2))
    ds = sweep.regression(grams=path, alpha=(0.2, 0.5, 0.9999), beta=(0.4, 0.6), models=2)
    trusted = ds.trusted.values[0]
    assert trusted[:2].all()
    assert not trusted[2].any()
    lost = ds.isel(alpha=2)
    for name in ("spectral_radius", "mse", "relative_efficiency", "consensus_distance"):
        assert np.isnan(lost[name]).all(), name
    mean = ds.mse.isel(models=0).mean("model")
    for objective in ("mean", "worst"):
        best = ds.sel(objective=objective).isel(models=0)
        assert float(best.optimal_alpha) in (0.2, 0.5)
        assert float(best.optimal_mse) <= float(mean.max())
    words = [text.get_text() for text in plots.stability_map(ds).legends[0].get_texts()]
    assert "spoilt by rounding: not known" in words


def test_networks_are_a_dimension(tmp_path):
    """Several networks are one sweep each, side by side, in memory and in a file."""
    grid = {"alpha": (0.2, 0.6), "beta": (0.3, 0.7, 1.0), "models": (2, 3), "dim": 4, "rank": 2}
    names = ["isolated", "ring:0.5", "uniform"]
    both = sweep.regression(**grid, reads=names)
    assert both.spectral_radius.dims == ("reads", "models", "alpha", "beta")
    assert both.theta.dims == ("models", "feature")
    assert both.reads.values.tolist() == names
    for name in names:
        alone = sweep.regression(**grid, reads=name)
        assert "reads" not in alone.dims
        xr.testing.assert_equal(both.sel(reads=name, drop=True), alone)
    assert not both.spectral_radius.sel(reads="isolated").equals(
        both.spectral_radius.sel(reads="uniform")
    )
    with sweep.regression(**grid, reads="isolated ring:0.5 uniform", out=tmp_path / "s.nc") as file:
        xr.testing.assert_identical(file.load(), both)


def test_a_sweep_over_networks_goes_on(tmp_path):
    """Chunks of one network are not taken for those of another."""
    out = tmp_path / "s.nc"
    grid = {"alpha": (0.2, 0.6), "beta": 0.3, "models": 3, "dim": 4, "rank": 2}
    reads = ["ring", [[0.5, 0.5, 0], [0.1, 0.9, 0], [0, 0.2, 0.8]]]

    def stop(done: float, total: float) -> None:
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.regression(**grid, reads=reads, out=out, progress=stop)
    assert len(list((tmp_path / "s.nc.partial").glob("reads*.npz"))) == 1
    whole = sweep.regression(**grid, reads=reads)
    assert whole.reads.values.tolist() == ["ring", "matrix 1"]
    with sweep.regression(**grid, reads=reads, out=out) as resumed:
        xr.testing.assert_identical(resumed.load(), whole)
    matrix = np.array(reads[1])
    xr.testing.assert_equal(
        whole.sel(reads="matrix 1", drop=True), sweep.regression(**grid, reads=matrix)
    )


def test_misaligned_data_are_those_of_their_network():
    one = {"alpha": 0.9, "beta": 0.01, "models": 4, "design": "misaligned"}
    both = sweep.regression(**one, reads=["self:0.5", "self:0.2"])
    for name in both.reads.values:
        alone = sweep.regression(**one, reads=name)
        xr.testing.assert_equal(both.sel(reads=name, drop=True), alone)


@pytest.mark.parametrize(
    ("reads", "said"),
    [
        (["ring", "ring"], "the same value appears twice"),
        (["ring", "rings"], "did you mean ring"),
        ([[[0.5, 0.5], [0.5, 0.5]], "uniform"], "a network of 2 models, not 3"),
        (["ring", [[0.5, 0.6], [0.5, 0.5]]], "row 0 sums to 1.1"),
        ([3, 4], "square matrix"),
        ([], "square matrix"),
        ({"a": 1}, "a network's name or a matrix"),
        ([["ring"]], "a network's name or a matrix"),
    ],
)
def test_networks_that_do_not_fit(reads, said):
    with pytest.raises(ValidationError, match=said):
        sweep.RegressionSweep(models=3, reads=reads)
