"""Programs in processes of their own that need not import torch and JAX anew.

Each is a copy of one process in which both are imported and nothing has been computed, and ends
without a trace in the others. That process is made when the first program begins, once for all test
files that share a worker of pytest; it runs what users run, without checks of annotations, though
programs are compiled as in the test (tests/compiling.py).
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib import rcsetup

from tests import compiling

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "commensal.designs",
        "commensal.llm.reports",
        "commensal.llm.trained",
        "commensal.llm.web.run",
        "commensal.pairing",
        "commensal.plots",
        "commensal.sweep",
        "commensal.theory.regression",
        "h5netcdf",
        "matplotlib.backends.backend_agg",
        "matplotlib.pyplot",
        "pandas",
        "scipy.optimize",
        "scipy.stats",
        "tests.forked",
        "transformers.models.llama.modeling_llama",
        "xarray",
    ]
)


class Done(NamedTuple):
    code: int | None
    out: str
    err: str


def _main(
    program: Callable[..., None],
    args: Sequence[object],
    environment: Mapping[str, str],
    folder: str,
    streams: Sequence[str],
) -> None:
    gc.freeze()  # else what was imported is copied, only to be looked through
    os.environ.clear()
    os.environ.update(environment)
    # as when matplotlib is imported in this environment; item assignment would keep what is there
    if backend := environment.get("MPLBACKEND"):
        matplotlib.rcParams["backend"] = backend
    else:
        matplotlib.rcParams._set("backend", rcsetup._auto_backend_sentinel)
    os.chdir(folder)
    compiling.asked()
    for number, (name, how) in enumerate(
        zip(streams, (os.O_RDONLY, os.O_CREAT | os.O_WRONLY, os.O_CREAT | os.O_WRONLY), strict=True)
    ):
        os.dup2(os.open(name, how | os.O_APPEND), number)
    program(*args)


def begin(
    program: Callable[..., None],
    *args: object,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    out: str = os.devnull,
    err: str = os.devnull,
) -> BaseProcess:
    """Begin a function of a module, with its output in files."""
    where = str(folder or Path.cwd())
    streams = (os.devnull, out, err)
    process = _context.Process(
        target=_main, args=(program, args, dict(environment), where, streams)
    )
    process.start()
    return process


def run(
    program: Callable[..., None],
    *args: object,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    seconds: float = 300,
) -> Done:
    """Run a function of a module to its end, and return what it said."""
    with tempfile.TemporaryDirectory() as scratch:
        out, err = Path(scratch, "out"), Path(scratch, "err")
        streams = {"out": str(out), "err": str(err)}
        process = begin(program, *args, environment=environment, folder=folder, **streams)
        process.join(seconds)
        late = process.is_alive()
        process.kill()
        process.join()
        done = Done(process.exitcode, out.read_text("utf-8"), err.read_text("utf-8"))
    assert not late, f"{args} takes more than {seconds} seconds\n{done.out}{done.err}"
    return done


def command(*args: str) -> None:
    """A command, as its console script begins it."""
    from commensal.cli import main

    sys.argv = ["commensal", *args]
    main()


def script(path: str, *args: str) -> None:
    """A script, as ``python -W error`` runs it."""
    warnings.simplefilter("error")
    sys.argv = [path, *args]
    sys.path.insert(0, str(Path(path).parent))
    runpy.run_path(path, run_name="__main__")
