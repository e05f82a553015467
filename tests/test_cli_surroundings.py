"""Commands where the terminal, the display or the disk is not as usual: work done is not lost."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys

import numpy as np

from commensal import claims, sweep
from tests.commands import ROOT, run, run_apart

TINY = ("--generations", "2", "--replicates", "4", "--plot")
SIMULATIONS = {
    "regression": ("simulate", "regression", "--models", "2", "--dim", "3", "--rank", "2", *TINY),
    "gaussian": ("simulate", "gaussian", *TINY),
    "mixture": ("simulate", "mixture", *TINY),
    "ecosystem": (
        *("simulate", "ecosystem", "--tokens", "400", "--types", "40", "--generations", "2"),
        *("--replicates", "2", "--plot"),
    ),
    "selection": ("simulate", "selection", "--by", "reward", *TINY),
    "words": ("simulate", "words", "--tokens", "40", "--words", "20", *TINY),
}


def test_characters_that_cannot_be_shown_and_jupyters_backend_are_no_failure(tmp_path):
    cell = ("--alpha", "0.5", "--beta", "0.5", "--models", "2", "--dim", "3", "--rank", "2")
    listed = ("check", "--list", "--json", "--paper", "interactive")
    commands = [
        ("sweep", "regression", *cell, "--plot"),
        ("figure", "sweep.nc"),
        *SIMULATIONS.values(),
        ("check", "--id", "news.kl_unit", "--jobs", "1"),
        ("check", "--list", "--paper", "interactive"),
        ("llm", "presets", "--show", "demo"),
        ("pair", "published", "--designs", "1"),
        ("fingerprint", "--help"),
    ]
    jupyter = "module://matplotlib_inline.backend_inline"
    done = run_apart(commands, tmp_path, PYTHONIOENCODING="cp1252", MPLBACKEND=jupyter)
    assert done.codes == [0] * len(commands), done.err.decode("cp1252")
    assert b"Traceback" not in done.err
    assert len(list(tmp_path.glob("*.png"))) == 3 + len(SIMULATIONS)
    # what a program reads keeps every character, escaped
    done = run_apart([listed], tmp_path, PYTHONIOENCODING="cp1252", MPLBACKEND="nonsense")
    told = {claim["id"]: claim["statement"] for claim in json.loads(done.out.decode("cp1252"))}
    assert told == {c.id: c.statement for c in claims.all_claims() if c.paper == "interactive"}
    assert any(not statement.isascii() for statement in told.values())


def test_how_often_garbage_is_looked_for_is_as_before(monkeypatch, capsys):
    before = gc.get_threshold()
    assert run(monkeypatch, capsys, "doctor", "--json")[0] == 0
    assert gc.get_threshold() == before


def test_read_only_installation_and_no_home(tmp_path):
    package = tmp_path / "installed"
    shutil.copytree(
        ROOT / "commensal", package / "commensal", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in [package / "commensal", *(package / "commensal").rglob("*")]:
        if folder.is_dir():
            (folder / "__pycache__").touch()  # nobody can write where a folder would have to be
    work = tmp_path / "work"
    work.mkdir()
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
    unset = {"NUMBA_CACHE_DIR": "", "MPLCONFIGDIR": "", "HF_HOME": "", "COMMENSAL_CACHE": ""}
    done = run_apart([SIMULATIONS["gaussian"]], work, package, **nowhere, **unset)
    assert done.codes == [0], done.err.decode()
    assert (work / "gaussian.png").exists()
    assert b"Matplotlib" not in done.err  # nor a warning of several lines
    kernel = subprocess.run(
        [sys.executable, "-c", "import commensal.sims.mixture._numba_kernel as k; k._width(3)"],
        cwd=work,
        env=os.environ | {"PYTHONPATH": str(package)} | nowhere | {"NUMBA_CACHE_DIR": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert kernel.returncode == 0, kernel.stderr


def test_pipes_that_close_are_no_error(tmp_path):
    command = f"{sys.executable} -m commensal.cli check --list | head -1"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_rounding_of_float32_is_said_once(tmp_path):
    rows = np.random.default_rng(0).standard_normal((2, 3, 8)).astype(np.float32)
    grams = rows.swapaxes(-1, -2) @ rows
    path = tmp_path / "g.npz"
    np.savez(path, private=grams, public=np.eye(8, dtype=np.float32), synthetic=grams)
    cell = ("--alpha", "0.5", "--beta", "0.5", "--grams", "g.npz")
    commands = [
        ("sweep", "regression", *cell, "--out", "g.nc"),
        ("simulate", "regression", *cell, "--generations", "2", "--replicates", "50"),
    ]
    done = run_apart(commands, tmp_path)
    assert done.codes == [0, 0], done.err.decode()
    assert done.err.decode().count("float32") == 2  # once per command
    with sweep.load(tmp_path / "g.nc") as dataset:
        assert bool(dataset.stable)
