"""Environment of the command line before other modules are imported: backend, streams, folders."""

from __future__ import annotations

import atexit
import gc
import io
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from commensal._outputs import cache_folder
from commensal.cli._console import note


@contextmanager
def prepared() -> Iterator[None]:
    """Prepare the environment, so that no command fails after its work is done."""
    # pictures go to files only, whatever Jupyter or a display has asked for
    os.environ["MPLBACKEND"] = "Agg"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a character that the terminal lacks becomes a question mark
            stream.reconfigure(errors="replace")
    _writable_caches()
    _keep_compiled_programs()
    with warnings.catch_warnings(), _rarely_collected():
        _warn_in_one_line()
        yield


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Look for cyclic garbage thirty times less often, and not at the end of the process.

    Most of what is looked through are imported modules and traced programs, which stay: a sweep of
    nine seconds takes one and a half less.
    """
    before = gc.get_threshold()
    gc.set_threshold(20_000)
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _writable_caches() -> None:
    """Set temporary cache folders for libraries that cannot write to their own."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    places = {
        "MPLCONFIGDIR": (settings / "matplotlib", cache / "matplotlib"),
        "HF_HOME": (cache / "huggingface",),
        "COMMENSAL_CACHE": (cache_folder(),),
    }
    lacking = [
        name
        for name, folders in places.items()
        if not os.environ.get(name) and not all(map(can_be_written, folders))
    ]
    if not lacking:
        return
    temporary = Path(tempfile.mkdtemp(prefix="commensal-"))
    # not by processes that this one starts, which inherit the settings
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    for name in lacking:
        os.environ[name] = str(temporary / name.lower())
        (temporary / name.lower()).mkdir()


def _keep_compiled_programs() -> None:
    """Let JAX cache compiled programs, so that a repeated command starts in half the time.

    Only the command line does: what a program of somebody else's keeps is for that program to say.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder() / "xla"))
    # by default JAX keeps nothing that compiles within a second, which is nearly all that there is;
    # the many small programs of a sweep take two seconds together
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def can_be_written(path: Path) -> bool:
    """Return whether a folder exists and takes files, or could be made."""
    try:
        while not path.exists() and path != path.parent:
            path = path.parent
        return path.is_dir() and os.access(path, os.W_OK | os.X_OK)
    except OSError:
        return False


def _warn_in_one_line() -> None:
    """Print commensal's own warnings once, in one line each, and others as Python does."""
    show, told = warnings.showwarning, set()

    def shown(message: Any, category: type[Warning], *args: Any, **more: Any) -> None:
        if not category.__module__.startswith("commensal."):
            show(message, category, *args, **more)
        elif str(message) not in told:
            told.add(str(message))
            note(str(message))

    warnings.showwarning = shown
