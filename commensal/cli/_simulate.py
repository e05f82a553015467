"""`commensal simulate`: the steps that its commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from commensal.cli._console import note, out_console, progress_bar, say_next, stopped, wrote
from commensal.cli._help import Group
from commensal.cli._parts import in_parts
from commensal.cli._size import size_of

simulate_app = typer.Typer(
    cls=Group,
    help="Run the stochastic process itself, beside what the theory says.",
    no_args_is_help=True,
)

_SAID = 2**30  # bytes above which a size is said


def simulate(
    name: str,
    paper: str,
    count: int,
    runs_of: str,
    numbers: float,
    *,
    run: Callable[..., Any],
    table: Callable[[Any], Any],
    draw: Callable[[Any, Path], None],
    out: Path | None,
    plot: bool,
    overwrite: bool,
    yes: bool,
    shard: str | None,
    ray: str | None,
    prepare: Callable[[], Any] = lambda: None,
) -> None:
    """Run a process, print its table, save and draw it, and suggest the next command.

    Parameters
    ----------
    name, paper : str
        The command, and the paper whose theory it was laid beside.
    count, runs_of : int, str
        How many independent runs there are, and what they are called.
    numbers : float
        How many numbers they leave, and need on the way.
    run : callable
        Simulates, given ``progress``, ``out`` and ``overwrite``, and writes the file.
    table, draw : callable
        Build the table of the runs, and draw them to a path.
    out, plot, overwrite, yes, shard, ray
        Options of that name.
    prepare
        What may find fault with the settings before the bar appears.
    """
    picture = check_places(out, plot, name)
    label = f"{count:,} {runs_of}"
    check_size(label, numbers, yes)
    prepare()

    def compute(overwrite: bool) -> Any:
        with progress_bar(label, waiting="compiling") as update:
            return run(progress=update, out=out, overwrite=overwrite)

    try:
        runs = in_parts(compute, out, shard, ray, overwrite)
    except KeyboardInterrupt:
        stopped(kept=out is not None)
    if runs is None:
        return
    out_console.print(table(runs))
    if out is not None:
        wrote(out)
    if picture is not None:
        draw(runs, picture)
        wrote(picture)
    go_on(out, plot, name, paper)


def check_places(out: Path | None, plot: bool, name: str) -> Path | None:
    """Return the picture's path, None for no picture; raise ValueError if it cannot be written."""
    from commensal._checkpoint import check_target

    if out is not None:
        check_target(out)
    if not plot:
        return None
    picture = Path(f"{name}.png") if out is None else out.with_suffix(".png")
    check_target(picture, (".png",))
    return picture


def check_size(what: str, numbers: float | int, yes: bool) -> None:
    """Refuse runs whose results, in float64, exceed the machine's memory."""
    memory = 8 * 2.5 * numbers + 2**28  # a copy on the way, and the program itself
    told = size_of(what, memory=memory, yes=yes)
    if memory > _SAID:
        note(told)


def some_generations(generations: Any, most: int) -> Any:
    """Choose at most ``count`` of the recorded generations, the first and the last among them."""
    import numpy as np

    at = np.unique(np.linspace(0, len(generations) - 1, min(most, len(generations))).round())
    return np.asarray(generations)[at.astype(int)]


def go_on(out: Path | None, plotted: bool, name: str, paper: str) -> None:
    """Suggest commands that resume the runs, draw them, or check the theory beside them."""
    if out is None:
        more = [] if plotted else ["--plot"]
        say_next(*sys.argv[1:], "--out", f"{name}.nc", *more)
    elif not plotted:
        say_next("figure", out)
    else:
        say_next("check", "--paper", paper)
