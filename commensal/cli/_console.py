"""What every command shares with the terminal: messages, one-line errors, progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

out_console = Console()
err_console = Console(stderr=True)


def fail(message: str) -> None:
    if message:
        err_console.print(
            f"[bold red]commensal:[/] {_escape(' '.join(message.split()))}",
            soft_wrap=True,
            highlight=False,
        )
    sys.exit(2)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def in_one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    message = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    told = "got " in message or isinstance(given, (dict, list, tuple))
    shown = "" if told else f", got {given}"
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    return f"{where}: {message}{shown}{more}" if where else f"{message}{more}"


@contextmanager
def progress_bar(
    label: str, console: Console = err_console
) -> Iterator[Callable[[float, float], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task(label, total=None)

    def update(done: float | int, total: float | int) -> None:
        bar.start()  # only once there is work, so that bad input leaves one line and no bar
        bar.update(task, completed=done, total=total)

    try:
        yield update
    finally:
        if bar.live.is_started:
            bar.stop()
