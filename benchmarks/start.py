"""Time that a command takes before it does anything: the help page, and the imports behind it.

    python -m benchmarks.start [--quick] [--out FILE.md]

Each program runs in a process of its own, several times in turn; the least processor time counts,
since all that disturbs a process adds to it. Modules are compiled to byte code beforehand.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import describe

PROGRAMS = {
    "Python alone": ("-c", "pass"),
    "`import commensal`": ("-c", "import commensal"),
    "`commensal --help`": ("-m", "commensal", "--help"),
    "`commensal sweep regression --help`": ("-m", "commensal", "sweep", "regression", "--help"),
    "`commensal llm presets`": ("-m", "commensal", "llm", "presets"),
}
ALLOWED = 0.5  # seconds of processor time for the help page
SWEEP = ("-m", "commensal", "sweep", "regression", "--models", "2,4,8,16,32", "--dim", "15")
SWEEP += ("--rank", "5", "--plot", "--overwrite")
"""The sweep of `make demo`."""
CLOCK = (15, 8)  # seconds on the clock for its first and its second start
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")


class Timed(NamedTuple):
    processor: float
    """Least processor time of the repetitions, in seconds."""
    wall: float
    """Median time on the clock, in seconds."""


def timed(arguments: Sequence[str], times: int, **places: Any) -> Timed:
    """Run Python with these arguments several times."""
    processor, wall = [], []
    for _ in range(times):
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if places else None,
            **places,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall.append(time.perf_counter() - start)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"python {' '.join(arguments)} ended with {process.returncode}")
        processor.append(used.ru_utime + used.ru_stime)
    return Timed(min(processor), statistics.median(wall))


def sweeps(cells: int, times: int) -> tuple[Timed, Timed]:
    """Return the demo's sweep without anything in caches, and again."""
    grid = ("--alpha", f"0:1:{cells}", "--beta", f"0:1:{cells}")
    with tempfile.TemporaryDirectory() as scratch:
        places = {"cwd": scratch, "env": os.environ | {"XDG_CACHE_HOME": scratch}}
        first = timed((*SWEEP, *grid), 1, **places)
        return first, timed((*SWEEP, *grid), times, **places)


def dearest_imports(statement: str, count: int) -> list[tuple[str, float, float]]:
    """Return the packages that take longest to import: name, milliseconds, and those of their own.

    The first time is that of a package with all that it imports for the first time; the second is
    of all its modules, without other packages.
    """
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", statement],
        capture_output=True,
        text=True,
        check=True,
    )
    whole: dict[str, float] = {}
    own: dict[str, float] = {}
    for mine, together, _, name in _LINE.findall(done.stderr):
        package = name.partition(".")[0]
        own[package] = own.get(package, 0.0) + int(mine) / 1e3
        if name == package:
            whole[package] = int(together) / 1e3
    dear = sorted(whole, key=lambda name: -own[name])[:count]
    return [(name, whole[name], own[name]) for name in dear]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="once each, to see that it runs")
    parser.add_argument("--out", type=Path, help="also write the table here, as Markdown")
    args = parser.parse_args()
    times = 1 if args.quick else 10

    load = os.getloadavg()[0]
    found = {name: timed(arguments, times) for name, arguments in PROGRAMS.items()}
    cells = 5 if args.quick else 101
    swept = sweeps(cells, min(times, 5))
    found |= dict(zip(("the sweep of `make demo`", "the same, again"), swept, strict=True))
    page = found["`commensal --help`"]
    imports = dearest_imports("import commensal.cli", 10)
    kept = "kept" if page.processor < ALLOWED else "missed"
    late = any(one.wall > allowed for one, allowed in zip(swept, CLOCK, strict=True))
    lines = [
        "# How soon a command begins",
        "",
        f"{describe()}; load {load:.1f} when it began (of a quiet machine: below 1)",
        "",
        f"Of {times} runs each, the least processor time, and the median time on the clock.",
        "",
        "| program | processor | clock |",
        "|---|---|---|",
        *(f"| {name} | {t.processor:.2f} s | {t.wall:.2f} s |" for name, t in found.items()),
        "",
        f"The help page may take {ALLOWED} s of processor time: {kept}. The sweep "
        f"({5 * cells**2:,} cells, with pictures) may take {CLOCK[0]} s on the clock the first "
        f"time, with empty caches, and {CLOCK[1]} s again: {'missed' if late else 'kept'}.",
        "",
        "The ten dearest imports of `import commensal.cli` (`python -X importtime`, one run), by "
        "the time of a package's own modules:",
        "",
        "| package | own modules | with all that it imports first |",
        "|---|---|---|",
        *(f"| {name} | {own:.0f} ms | {whole:.0f} ms |" for name, whole, own in imports),
    ]
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
