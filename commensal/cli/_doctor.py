"""`commensal doctor`: say what is installed, what it runs on, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commensal.cli._console import out_console, print_json, say_next

if TYPE_CHECKING:
    from commensal.cli._requirements import Requirements

_GIB = 2**30


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything that was found, as JSON on stdout.")
    ] = False,
) -> int:
    """Say what is installed, what it runs on, and what is missing.

    Exit code 1 if the base installation is not complete. Nothing is downloaded, and whether
    there is a network is not probed.

    commensal doctor
    commensal doctor --json
    """
    found = examination()
    complete = found["base"]["complete"]
    if as_json:
        print_json(found)
    else:
        for name, text in _lines(found):
            out_console.print(f"{name:<10} {text}", soft_wrap=True, highlight=False, markup=False)
        say_next(*(("sweep", "regression", "--plot") if complete else ("doctor",)))
    return 0 if complete else 1


def examination() -> dict[str, Any]:
    """Return all that `commensal doctor` knows, as it stands in its JSON."""
    import commensal
    from commensal.cli._requirements import requirements_of

    needs = requirements_of("commensal")
    return {
        "commensal": commensal.__version__,
        "folder": str(Path(commensal.__file__).parent),
        "python": platform.python_version(),
        "system": platform.platform(),
        "base": _part(needs, ""),
        "extras": {name: _part(needs, name) for name in needs.extras},
        "devices": {"jax": _asked(_jax_devices), "torch": _asked(_torch_devices)},
        "precision": _asked(_precision),
        "cores": _cores(),
        "caches": {name: _cache(path) for name, path in _caches().items()},
        "results": _results(Path.cwd()),
        "network": "not probed",
    }


def _part(needs: Requirements, extra: str) -> dict[str, Any]:
    try:
        missing, versions = needs.missing(extra), needs.versions(extra)
    except ModuleNotFoundError as error:  # what reads requirements is part of the base
        missing, versions = {str(error.name): "not installed"}, {}
    return {
        "complete": not missing,
        "versions": versions,
        "missing": missing,
        "command": needs.command(extra) if missing else "",
    }


def _asked(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the answer; where a package is absent or broken, the reason in its place."""
    try:
        return question()
    except ModuleNotFoundError as error:
        return {"error": f"{error.name} is not installed"}
    except Exception as error:  # a driver or a library that does not fit ends in any of them
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


def _jax_devices() -> dict[str, Any]:
    # by default JAX takes three quarters of an accelerator's memory at its first use
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    return {"devices": [f"{one.platform}: {one.device_kind}" for one in jax.devices()]}


def _torch_devices() -> dict[str, Any]:
    import torch

    found = ["cpu"]
    for at in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        memory = torch.cuda.get_device_properties(at).total_memory / _GIB
        found.append(f"cuda:{at}: {torch.cuda.get_device_name(at)}, {memory:.0f} GiB")
    if torch.backends.mps.is_available():
        found.append("mps")
    return {"devices": found, "threads": torch.get_num_threads()}


def _precision() -> dict[str, Any]:
    """Compute 1 + 1e-12 - 1 as commensal does, and say what the session's own setting is."""
    import jax

    from commensal._precision import float64

    before = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    kept = float(float64(lambda x: (1 + x) - 1)(1e-12))
    after = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    return {
        "computes_in_64_bits": abs(kept - 1e-12) < 1e-15,
        "session_in_64_bits": before,
        "session_unchanged": before == after,
    }


def _cores() -> dict[str, Any]:
    from commensal.cli._size import available_memory

    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC", "XLA_FLAGS")
    return {
        "usable": known,
        "settings": {name: os.environ[name] for name in limits if name in os.environ},
        "memory_bytes": available_memory(),
    }


def _caches() -> dict[str, Path]:
    """Return the folders where JAX, Hugging Face and commensal keep what they made or fetched."""
    from commensal._outputs import cache_folder

    own = cache_folder()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(base, "huggingface")
    hub = os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
    places = {
        "compiled programs": os.environ.get("JAX_COMPILATION_CACHE_DIR") or own / "xla",
        "Hugging Face": hub,
        "commensal": own,
    }
    return {name: Path(place).expanduser() for name, place in places.items()}


def _cache(folder: Path) -> dict[str, Any]:
    from commensal.cli._environment import can_be_written

    files = size = 0
    for root, _, names in os.walk(folder):  # does not follow links, of which a hub is full
        for name in names:
            try:
                size += os.lstat(os.path.join(root, name)).st_size
            except OSError:  # another process has just removed it
                continue
            files += 1
    return {
        "folder": str(folder),
        "files": files,
        "bytes": size,
        "writable": can_be_written(folder),
    }


def _results(folder: Path) -> dict[str, Any]:
    from commensal._outputs import takes_files

    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        free = None
    return {"folder": str(folder), "writable": takes_files(folder), "free_bytes": free}


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Write what was found as lines, each with a name."""
    base, extras = found["base"], found["extras"]
    lines = [
        ("commensal", f"{found['commensal']} in {found['folder']}"),
        ("Python", f"{found['python']} ({sys.executable}) on {found['system']}"),
        ("base", _told(base)),
        *((f"[{name}]", _told(part)) for name, part in extras.items()),
    ]
    for name, answer in found["devices"].items():
        lines.append((name, answer.get("error") or "; ".join(answer["devices"])))
    lines.append(("precision", _told_precision(found["precision"])))
    cores = found["cores"]
    settings = "".join(f", {name}={value}" for name, value in cores["settings"].items())
    memory = cores["memory_bytes"]
    free = "" if memory is None else f", {memory / _GIB:.1f} GiB of memory free"
    threads = found["devices"]["torch"].get("threads")
    of_torch = "" if threads is None else f", torch takes {threads} of them"
    lines.append(("cores", f"{cores['usable']} usable{of_torch}{settings}{free}"))
    for name, cache in found["caches"].items():
        closed = "" if cache["writable"] else "; cannot be written"
        size = f"{cache['files']:,} files, {cache['bytes'] / 2**20:,.0f} MiB"
        lines.append(("cache", f"{name}: {cache['folder']} ({size}{closed})"))
    results = found["results"]
    left = results["free_bytes"]
    disk = "" if left is None else f", {left / _GIB:.1f} GiB of disk free"
    state = "can be written" if results["writable"] else "CANNOT be written: change the folder"
    lines.append(("results", f"{results['folder']} {state}{disk}"))
    lines.append(("network", found["network"]))
    return lines


def _told(part: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {v}" for name, v in part["versions"].items() if v)
    if part["complete"]:
        return f"complete: {versions}"
    lacking = ", ".join(f"{name} ({why})" for name, why in part["missing"].items())
    has = f" (has {versions})" if versions else ""
    return f"lacks {lacking}: {part['command']}{has}"


def _told_precision(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return answer["error"]
    if not answer["computes_in_64_bits"]:
        return "64-bit arithmetic was asked for, and 32 bits came back: theory cannot be trusted"
    session = "64" if answer["session_in_64_bits"] else "32"
    kept = "left as it is" if answer["session_unchanged"] else "CHANGED by it"
    return f"64 bits where they are needed; JAX's own setting is {session} bits and {kept}"
