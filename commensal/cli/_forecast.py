"""`commensal forecast`: say from a few runs and generations what the others will show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commensal.cli._console import (
    err_console,
    out_console,
    print_json,
    progress_bar,
    say_next,
    wrote,
)
from commensal.cli._places import check_folder
from commensal.cli._settings import parse_grid
from commensal.saving import write

if TYPE_CHECKING:
    import pandas as pd

    from commensal.answers import Answers
    from commensal.planning import Forecast


def forecast(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TABLE.csv|RUN|CONFIG",
            help="Table of curves (columns run, generation, and value, or retained and perhaps "
            "known; all others are settings), folder of a run of the workflow interactive, or, "
            "with --plan, a preset or YAML file.",
            show_default=False,
        ),
    ],
    until: Annotated[
        int | None,
        typer.Option(min=1, help="Last generation to forecast. (default: the last there is)"),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Probability with which intervals should cover.")
    ] = 0.8,
    pilots: Annotated[
        str | None,
        typer.Option(
            metavar="A,B ...",
            help="Settings alpha,beta of a run whose losses are read, as in '0,0.5 0,1'. "
            "(default: all that have come so far)",
        ),
    ] = None,
    seen: Annotated[
        int | None,
        typer.Option(min=1, help="Last generation of pilots that is read. (default: 2)"),
    ] = None,
    alpha: Annotated[
        str | None,
        typer.Option(help="Values of α that are forecast, 0,0.5,1. (default: the run's own)"),
    ] = None,
    beta: Annotated[
        str | None,
        typer.Option(help="Values of β that are forecast, 0,0.5,1. (default: the run's own)"),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Choose the pilots of a planned run; trains its base.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(min=1, max=4, help="Number of pilots of a plan. (default: 2)")
    ] = None,
    replicate: Annotated[
        int | None, typer.Option(min=0, help="Replicate of a run. (default: 0)")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the page, its numbers and the table.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap and of draws.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print answers and forecasts as JSON on stdout.")
    ] = False,
) -> None:
    """Forecast settings and generations from those that were run; plan which to run first.

    commensal forecast curves.csv --until 10
    commensal forecast demo --plan
    commensal forecast run --pilots "0,0.5 0,1"
    """
    if out is not None:
        check_folder(out)
    of_run = {"pilots": pilots, "alpha": alpha, "beta": beta, "replicate": replicate}
    if plan:
        _refuse({**of_run, "until": until}, "a run's folder or a table")
        options = {"count": count or 2, "seen": seen or 2}
        say_next(*_plan(what, out, as_json, options))
        return
    _refuse({"count": count}, "--plan")
    if Path(what).is_dir():
        options = {"seen": seen or 2, "until": until, "replicate": replicate or 0}
        for name, axis in (("alpha", alpha), ("beta", beta)):
            options |= {name: None if axis is None else parse_grid(axis)}
        options |= {"level": level, "seed": seed}
        _run(what, out, as_json, None if pilots is None else _places(pilots), options)
        say_next("pair", what)
        return
    _refuse({**of_run, "seen": seen}, "a run's folder")
    say_next("forecast", what, *_curves(what, out, as_json, until, level, seed))


def _refuse(options: dict[str, Any], goes_with: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"--{name} goes with {goes_with}")


def _curves(
    what: str, out: Path | None, as_json: bool, until: int | None, level: float, seed: int
) -> tuple[str, ...]:
    """Forecast a table of curves; return what the next command has after the table."""
    from commensal.planning import forecast as of_curves

    found = of_curves(what, until=until, level=level, seed=seed)
    _say(found.answers, found.table, as_json)
    if out is not None:
        _write_curves(found, out, what, level, as_json)
        return ("--json",)
    return (*(() if until is None else ("--until", str(until))), "--out", "forecast")


def _run(
    what: str,
    out: Path | None,
    as_json: bool,
    pilots: list[tuple[float, float]] | None,
    options: dict[str, Any],
) -> None:
    from commensal.cli._torch import need_torch
    from commensal.llm.config import InteractiveConfig
    from commensal.llm.records.results import config_of

    config_of(what, InteractiveConfig)  # a line about the folder comes before one about torch
    need_torch()
    from commensal.planning import forecast_run

    with progress_bar("computing") as update:
        found = forecast_run(what, pilots=pilots, progress=update, **options)
    _say(found.answers, found.table, as_json)
    pictures = None
    if out is not None:
        from commensal.plots import forecast_curves

        measured, told = found.own()
        level = float(options["level"])
        figure = forecast_curves(measured, told, quantity="change of own loss", level=level)
        caption = "Loss on own tasks in nats per token, mean over models: measured, and forecast"
        pictures = {caption: figure}
    _write(found.answers, {"forecast.csv": found.table}, out, what, as_json, pictures)


def _plan(what: str, out: Path | None, as_json: bool, options: dict[str, int]) -> tuple[Any, ...]:
    """Choose pilots; return the next command, which runs them, or forecasts from them."""
    from commensal.cli._torch import need_torch
    from commensal.llm.config import InteractiveConfig
    from commensal.llm.presets import read_config
    from commensal.llm.records.results import config_of

    config = config_of(what) if Path(what).is_dir() else read_config(what)
    if not isinstance(config, InteractiveConfig):
        raise ValueError(f"{what!r} is of workflow {config.workflow_name()}, not interactive")
    need_torch()
    from commensal.planning import plan_pilots

    with progress_bar("computing") as update:
        found = plan_pilots(config, progress=update, **options)
    _say(found.answers, found.table, as_json)
    _write(found.answers, {"plan.csv": found.table}, out, what, as_json)
    mix: list[str] = []
    for name, values in zip(("alpha", "beta"), zip(*found.pilots, strict=True), strict=True):
        mix += ["--set", f"{name}=[{', '.join(f'{x:g}' for x in sorted(set(values)))}]"]
    if not Path(what).is_dir():
        return "llm", "run", what, *mix, "--set", f"generations={options['seen']}", "--out", "pilot"
    pairs = " ".join(f"{a:g},{b:g}" for a, b in found.pilots)
    return "forecast", what, "--pilots", pairs, "--seen", options["seen"]


def _places(text: str) -> list[tuple[float, float]]:
    try:
        pairs = [[float(x) for x in part.split(",")] for part in text.split()]
    except ValueError:
        pairs = []
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"--pilots: alpha,beta of each, as in '0,0.5 0,1', got {text!r}")
    return [(pair[0], pair[1]) for pair in pairs]


def _say(answers: Answers, table: pd.DataFrame, as_json: bool) -> None:
    if as_json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        print_json({**answers.record(), "forecast": rows})
    else:
        out_console.print(answers.text(), end="", markup=False, highlight=False, soft_wrap=True)


def _write(
    answers: Answers,
    tables: dict[str, pd.DataFrame],
    out: Path | None,
    what: str,
    as_json: bool,
    pictures: dict[str, Any] | None = None,
) -> None:
    """Write the page with its pictures, the answers and the tables, if a folder is given."""
    if out is None:
        return
    files = answers.write(out, pictures, made_by=f"commensal forecast {what}")
    for name, table in tables.items():
        write(out / name, table.to_csv(index=False).encode())
    for path in (*files, *(out / name for name in tables)):
        wrote(path, err_console if as_json else out_console)


def _write_curves(found: Forecast, out: Path, what: str, level: float, as_json: bool) -> None:
    from commensal.plots import forecast_curves

    quantity = found.curves.quantity
    figure = forecast_curves(found.measured, found.table, quantity=quantity, level=level)
    tables = {"forecast.csv": found.table, "held_out.csv": found.trials}
    caption = "Curves that were measured, and what is to come"
    _write(found.answers, tables, out, what, as_json, {caption: figure})
