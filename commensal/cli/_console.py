"""Terminal output that all commands share: messages, one-line errors, progress bars."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console

if TYPE_CHECKING:  # every command waits for what is imported here
    from pydantic import ValidationError

out_console = Console()
err_console = Console(stderr=True)


class _Ending:
    """What the command that runs has said about its end."""

    following = ""
    """Command to type next."""
    data = False
    """Whether what it prints is for a program, or for a file."""


def fail(message: str) -> None:
    """Print an error as one line on stderr, if there is one, and exit with code 2."""
    if message:
        err_console.print(
            f"[bold red]commensal:[/] {_escape(' '.join(message.split()))}",
            soft_wrap=True,
            highlight=False,
        )
    sys.exit(2)


def note(message: str) -> None:
    """Print a remark that is not an error."""
    err_console.print(f"commensal: {message}", soft_wrap=True, highlight=False, markup=False)


def wrote(path: Any, console: Console = out_console) -> None:
    """Tell the user which file was written."""
    console.print(f"wrote {path}", soft_wrap=True, highlight=False, markup=False)


def stopped(kept: bool) -> NoReturn:
    """Say that the work was interrupted, and whether the same command resumes it; exit with 130."""
    more = "; finished chunks are kept, the same command goes on from them" if kept else ""
    err_console.print(f"stopped{more}", soft_wrap=True)
    raise typer.Exit(130) from None


def typed() -> str:
    """Return the command that runs as it was typed, to be copied from what it writes."""
    return shlex.join(["commensal", *sys.argv[1:]])


def say_next(*command: Any) -> None:
    """Suggest a command that works on the results of this one, ready to be copied.

    It is printed once the command has ended well, after all else, by :func:`ending_with_the_next`.
    """
    _Ending.following = shlex.join(["commensal", *map(str, command)])


@contextmanager
def ending_with_the_next() -> Iterator[None]:
    """Print what :func:`say_next` was given, on stderr, when the block has ended without an error.

    Nothing is printed if what the command has printed is data (:func:`print_json`).
    """
    _Ending.following, _Ending.data = "", False
    yield
    if _Ending.following and not _Ending.data:
        err_console.print(
            f"next: {_Ending.following}",
            soft_wrap=True,
            highlight=False,
            markup=False,
            style="bright_black",
        )


def print_json(records: Any) -> None:
    """Print JSON on stdout, for a program: no next command is suggested."""
    # where the stream has not every character, escapes keep them
    plain = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
    print_data(json.dumps(records, indent=1, ensure_ascii=plain, allow_nan=False) + "\n")


def print_data(text: str) -> None:
    """Print a text on stdout as it is, for a program or a file: no next command is suggested."""
    _Ending.data = True
    sys.stdout.write(text)
    sys.stdout.flush()  # a reader that has closed the pipe is noticed here


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def in_one_line(error: ValidationError) -> str:
    """Describe the first error of a pydantic validation in one line."""
    errors = error.errors()
    first, where = errors[0], _where(errors[0])
    if first["type"] == "missing":  # all at once: one by one they would be asked for in turn
        absent = [_where(other) for other in errors if other["type"] == "missing"]
        return f"missing: {', '.join(absent)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = message.replace("Extra inputs are not permitted", "there is no such setting")
    if first["type"] in ("tuple_type", "list_type"):
        message = "needs a list, written as [0, 0.5, 1]"
    given, share = first.get("input"), ""
    if (first["type"], first.get("ctx")) == ("less_than_equal", {"le": 1.0}) and 1 < given <= 100:
        share = f"; {given:g} % is written {given / 100:g}"
    told = "got " in message or isinstance(given, (dict, list, tuple))
    # what stands in a wrong place may be a server's key
    told = told or first["type"] == "extra_forbidden"
    told = told or ("endpoint" in first["loc"] and isinstance(given, str))
    shown = "" if told else f", got {given}{share}"
    # what an error in a part makes wrong of the whole is no other
    others = len({_where(other) for other in errors}) - 1
    more = f" (settings that are wrong besides: {others})" if others else ""
    return f"{where}: {message}{shown}{more}" if where else f"{message}{more}"


def _where(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"] if not isinstance(part, int))


@contextmanager
def progress_bar(
    label: str, console: Console = err_console, *, waiting: str = ""
) -> Iterator[Callable[[float, float], None]]:
    """Yield a progress bar that appears with the first report, which tells what is already done.

    ``waiting`` is shown until more is done than at the start: what takes so long.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task(waiting or label, total=None)
    at_start: float | None = None

    def update(done: float | int, total: float | int) -> None:
        nonlocal at_start
        bar.start()  # only once there is work, so that bad input leaves one line and no bar
        at_start = done if at_start is None else at_start
        text = waiting if waiting and done <= at_start < total else label
        bar.update(task, completed=done, total=total, description=text)

    try:
        yield update
    finally:
        if bar.live.is_started:
            bar.stop()
