"""Help pages: options in panels, names in full length, examples at the end."""

from __future__ import annotations

import inspect
import os
from itertools import filterfalse
from textwrap import indent
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

# those of settings stand between these
_FIRST, _LAST = ("Arguments", "Mix", "System"), ("Output", "Numerics", "Options", "Commands")


class _Help:
    def format_help(self: Any, ctx: Any, formatter: Any) -> None:
        """Print the page, as wide as the terminal."""
        console = Console(highlight=False)
        console.print(Padding(Text(self.get_usage(ctx), style="bold"), (1, 1)))
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        for paragraph in filterfalse(_is_example, paragraphs):
            console.print(Padding(Text(" ".join(paragraph.split())), (0, 1, 1, 1)))
        panels = self._panels(ctx)
        middle = [name for name in panels if name not in _FIRST + _LAST]
        for name in (*_FIRST, *middle, *_LAST):
            if name in panels:
                console.print(_panel(name, panels[name]))
        for commands in filter(_is_example, paragraphs):
            console.print(Padding(Text("Examples", style="bold"), (1, 1, 0, 1)))
            console.print(Text(indent(commands, "   ")), soft_wrap=True)  # to copy: never broken

    def _panels(self: Any, ctx: Any) -> dict[str, list[tuple[Text, str]]]:
        panels: dict[str, list[tuple[Text, str]]] = {}
        for param in self.get_params(ctx):
            if not getattr(param, "hidden", False):
                argument = param.param_type_name == "argument"
                panel = getattr(param, "rich_help_panel", None)
                rows = panels.setdefault(panel or ("Arguments" if argument else "Options"), [])
                rows.append((_name(param, argument), _told(param)))
        if isinstance(self, TyperGroup):
            commands = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
            panels["Commands"] = [
                (Text(command.name or "", style="bold cyan"), _first_paragraph(command.help or ""))
                for command in commands
                if command is not None and not command.hidden
            ]
        return panels


class Command(_Help, TyperCommand):
    """A command whose help page is laid out here."""


class Group(_Help, TyperGroup):
    """A group of commands whose help page is laid out here."""


def _is_example(paragraph: str) -> bool:
    """Return whether a paragraph of a command's docstring holds commands to copy, one a line."""
    return paragraph.startswith("commensal ")


def _panel(title: str, rows: list[tuple[Text, str]]) -> Panel:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    widest = max(cell_len(line) for name, _ in rows for line in name.plain.splitlines())
    table.add_column(no_wrap=True, min_width=widest)
    table.add_column(ratio=1, overflow="fold")
    for name, told in rows:
        table.add_row(name, Text(told))
    return Panel(table, title=title, title_align="left", border_style="dim")


def _name(param: Any, argument: bool) -> Text:
    """Write an option's names, one a line where there are two, and the type of its value."""
    if argument:
        return Text(param.metavar or param.name.upper(), style="bold cyan")
    name = Text("\n".join([*param.opts, *param.secondary_opts]), style="bold cyan")
    if not getattr(param, "is_flag", False):
        name.append(f" {param.metavar or _kind(param)}", style="yellow")
    return name


def _kind(param: Any) -> str:
    # a type of click in older versions of typer
    of = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    name = getattr(of, "__name__", None) or getattr(getattr(param, "type", None), "name", "")
    return {"str": "NAME", "list": "NAME"}.get(name, name.upper())


def _told(param: Any) -> str:
    told = " ".join((param.help or "").split())
    default = getattr(param.default, "value", param.default)
    plain = isinstance(default, (int, float, str, os.PathLike)) and not isinstance(default, bool)
    if plain and "(default" not in told:
        told += f" (default: {default})"
    return f"{told} (required)" if param.required and param.param_type_name != "argument" else told


def _first_paragraph(text: str) -> str:
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
