"""The help of every command, from the command line itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer
from _markdown import code, escaped, table

from commensal.cli import app
from commensal.cli._help import _FIRST, _LAST, _is_example


def text() -> str:
    """Write all commands, each with its usage, its options and its examples."""
    return "\n\n".join(_of(typer.main.get_command(app), "commensal"))


def commands(command: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield all commands below a group as (what one types, command, context)."""
    context = command.context_class(command, info_name=path)
    yield path, command, context
    for name in getattr(command, "list_commands", lambda _: [])(context):
        yield from commands(command.get_command(context, name), f"{path} {name}")


def _of(root: Any, path: str) -> Iterator[str]:
    for typed, command, context in commands(root, path):
        group = hasattr(command, "list_commands")
        if group and typed == path:
            continue  # said on the page
        depth = "##" if len(typed.split()) == 2 else "###"
        yield f"{depth} {code(typed)}"
        paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
        yield from (escaped(" ".join(p.split())) for p in paragraphs if not _is_example(p))
        if group:
            continue
        yield f"```text\n{command.get_usage(context)}\n```"
        panels = command._panels(context)
        between = [name for name in panels if name not in _FIRST + _LAST]
        for name in (*_FIRST, *between, *_LAST):
            if name in panels:
                rows = [[_name(option.plain), escaped(told)] for option, told in panels[name]]
                yield table([name, ""], rows)
        for examples in filter(_is_example, paragraphs):
            lines = "\n".join(f"$ {line}" for line in examples.splitlines())
            yield f"```console\n{lines}\n```"


def _name(option: str) -> str:
    return ", ".join(code(line) for line in option.splitlines())
