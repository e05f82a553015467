"""Options of commands, made from settings: their names, types, help and defaults."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import typer

from commensal.cli._help import Command
from commensal.cli._settings import parse_counts, parse_grid, parse_weights, settings_of

if TYPE_CHECKING:  # pydantic takes a third of the time of a help page that shows no settings
    from pydantic import BaseModel

Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", rich_help_panel="Output", help="NetCDF file to write."),
]
Plot = Annotated[
    bool, typer.Option("--plot", rich_help_panel="Output", help="Also draw the figure.")
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", rich_help_panel="Output", help="Discard what the output holds."),
]
Yes = Annotated[
    bool, typer.Option("--yes", help="Go on although the run may need more memory than there is.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Settings by name in YAML; options given here override them."
    ),
]


# what the command that runs was given
_GIVEN: ContextVar[dict[str, Any]] = ContextVar("settings")


class Form(NamedTuple):
    """Command-line form of one type: its type for typer, the name of its values, its parser."""

    kind: Any
    shown: str | None = None
    read: Callable[[str], Any] | None = None


def form_of(annotation: Any, option: str) -> Form | None:
    """Return the form of a field's values, None where they cannot be written as text."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return form_of(parts[0], option)
    if origin in (Union, UnionType):
        forms = [form_of(part, option) for part in parts if part is not NoneType]
        if len(forms) == 2 and forms[1] is not None:  # one number, or one for each generation
            return Form(str, "A|A,B,…", parse_weights)
        return forms[0]
    if origin is Literal:
        return Form(str, "NAME")
    if origin is tuple:
        of = form_of(parts[0], option)
        if of is not None and of.shown == "NAME":
            return Form(str, "NAME …", lambda text: tuple(text.split()))
        if of is None or of.kind not in (int, float):
            return None
        if of.kind is int:
            return Form(str, "N,N,…", partial(parse_counts, option=option))
        return Form(str, "GRID", parse_grid)
    plain = {int: "INT", float: "FLOAT", Path: "FILE", str: "NAME", bool: None}
    return Form(annotation, plain[annotation]) if annotation in plain else None


def default_of(config: type[BaseModel], name: str) -> str:
    """Write a field's default as one would type it; empty where no default is shown."""
    if config.model_fields[name].is_required():
        return ""
    value = config.model_fields[name].default
    if value is True:
        return "on"
    if value is None or value is False:
        return ""
    if isinstance(value, tuple):
        text = ",".join(map(str, value))
        if len(value) <= 3:
            return text
        grid = f"{value[0]:g}:{value[-1]:g}:{len(value)}"
        return grid if parse_grid(grid) == value else text
    return f"{value:g}" if isinstance(value, float) else str(value)


def configured(
    app: typer.Typer, name: str, module: str, *classes: str, switch: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a command that has an option for each setting.

    Parameters
    ----------
    app, name
        The group of the command, and its name.
    module : str
        Where the settings' classes are. It is imported once the options are asked for, so that no
        page but the command's own waits for JAX.
    *classes : str
        Those classes. What only a later one has stands in a panel of its own.
    switch : str
        The setting that asks for the later one, and has no default without it.

    Returns
    -------
    decorator
        Of a function whose first argument is a dict of the settings that were given.
    """

    class Configured(Command):
        _all: list[Any] | None = None

        @property
        def params(self) -> list[Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
            if self._all is None:
                self._all = self._own + _options(configs(), switch)
            return self._all

        @params.setter
        def params(self, own: list[Any]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
            self._own = own

        def invoke(self, ctx: Any) -> Any:
            file = ctx.params.pop("config")
            known = _readers(configs())
            given = {name: ctx.params.pop(name) for name in known if name in ctx.params}
            _GIVEN.set(settings_of(known, file, given))
            return super().invoke(ctx)

    def configs() -> list[type[BaseModel]]:
        return [getattr(import_module(module), name) for name in classes]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(**options: Any) -> Any:
            return function(_GIVEN.get(), **options)

        known = inspect.signature(function, eval_str=True)
        others = list(known.parameters.values())[1:]
        command.__signature__ = known.replace(parameters=others)  # pyright: ignore
        app.command(name, cls=Configured)(command)
        return function

    return decorate


def _readers(configs: list[type[BaseModel]]) -> dict[str, Callable[[str], Any] | None]:
    """Map every setting's name to the function that parses its text."""
    found: dict[str, Callable[[str], Any] | None] = {}
    for config in configs:
        for name, field in config.model_fields.items():
            form = form_of(field.annotation, _option(name))
            found.setdefault(name, form.read if form else None)
    return found


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _options(configs: list[type[BaseModel]], switch: str) -> list[Any]:
    """Make typer's options: one per field, and one for the file of settings."""
    from commensal._config import own_fields_first

    found: dict[str, Any] = {}
    for config in configs:
        for name in own_fields_first(config):
            if name not in found and (made := _made(configs, config, name, switch)) is not None:
                found[name] = made
    found["config"] = ConfigFile

    def options() -> None: ...

    options.__annotations__ = found
    options.__signature__ = inspect.Signature(  # pyright: ignore[reportFunctionMemberAccess]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=made)
            for name, made in found.items()
        ]
    )
    app = typer.Typer(add_completion=False)
    app.command()(options)
    return list(typer.main.get_command(app).params)


def _made(configs: list[type[BaseModel]], config: type[BaseModel], name: str, switch: str) -> Any:
    field, option = config.model_fields[name], _option(name)
    form = form_of(field.annotation, option)
    if form is None:
        return None
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    group = extra.get("group", "system") if config is configs[0] else _shown(config)
    words = get_args(field.annotation) if get_origin(field.annotation) is Literal else None
    return Annotated[
        form.kind | None,
        typer.Option(
            f"{option}/--no-{option[2:]}" if form.kind is bool else option,
            metavar=form.shown,
            help=_help(configs, config, name, default=name != switch),
            rich_help_panel=str(group).capitalize(),
            show_default=False,
            autocompletion=None if words is None else lambda: list(words),
        ),
    ]


def _shown(config: type[BaseModel]) -> str:
    return config.__name__.removesuffix("Config")


def _help(configs: list[type[BaseModel]], config: type[BaseModel], name: str, default: bool) -> str:
    """Write an option's help from its field's description, with options' names and the default."""
    text = (config.model_fields[name].description or "").split("\n\n")[0]
    fields = {name for config in configs for name in config.model_fields}
    told = re.sub(
        r"``(\w+)``", lambda m: _option(m[1]) if m[1] in fields else m[1], " ".join(text.split())
    )
    defaults = {_shown(c).lower(): default_of(c, name) for c in configs if name in c.model_fields}
    first, *others = defaults.items()
    unlike = [f"{label} {default}" for label, default in others if default != first[1]]
    values = "; ".join([first[1], *unlike])
    if configs[0].model_fields.get(name) and configs[0].model_fields[name].is_required():
        return f"{told} (required)"
    return f"{told} (default: {values})" if default and values else told
