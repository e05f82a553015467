"""`commensal llm`: run experiments with language models."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from commensal.cli._console import (
    err_console,
    out_console,
    print_data,
    progress_bar,
    say_next,
    wrote,
)
from commensal.cli._help import Command, Group
from commensal.cli._parts import Ray, Shard, command
from commensal.cli._places import check_page
from commensal.cli._torch import need_torch

llm_app = typer.Typer(
    cls=Group, help="Run language models that train on each other's output.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)]
_SEVERAL = 5  # replicates with which the presets' findings have intervals

Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of grid points run side by side. (default: one for each GPU, or as the "
        "processor has room)",
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        metavar="0,1,…", help="GPUs to use, or cpu,cpu for two processes without. (default: all)"
    ),
]
Track = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,…",
        help="Also show the metrics of each generation in tensorboard, wandb or mlflow.",
    ),
]


@llm_app.command("run", cls=Command)
def llm_run(
    config: Annotated[
        str, typer.Argument(help="Preset's name, or YAML file of settings.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run. (default: runs/<name of the config>)")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything that is drawn.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting: path.to.setting=value. Repeatable."),
    ] = None,
    workers: Workers = None,
    devices: Devices = None,
    shard: Shard = None,
    ray: Ray = None,
    track: Track = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print all settings, and only check that a run with them can begin."
        ),
    ] = False,
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="Only try a few steps, and say what time, memory and disk it takes."
        ),
    ] = False,
) -> None:
    """Run an experiment; go on where it was if it was interrupted.

    commensal llm run demo --out runs/demo
    commensal llm run demo --set training.steps=200 --dry-run
    commensal llm run demo --set model.size=medium --estimate
    commensal llm run demo --out runs/demo --shard 1/4
    """
    from commensal.llm.presets import read_config

    changes = [*(change or []), *([] if seed is None else [f"seed={seed}"])]
    settings = read_config(config, changes)
    folder = out or Path("runs") / Path(config).stem
    if dry_run or estimate:
        (_try if dry_run else _estimate)(settings, folder)
        given = [part for one in changes for part in ("--set", one)]
        say_next("llm", "run", config, "--out", folder, *given)
        return
    if shard is not None and ray is not None:
        raise ValueError("--shard and --ray exclude each other: Ray divides the work by itself")
    if shard is not None:
        from commensal._part import Part, keep_note, partial_folder

        part = Part.parse(shard, first=0)
        need_torch()
        keep_note(partial_folder(folder), part, command())
    _go(settings, folder, workers, devices, shard, ray, track)


@llm_app.command("resume", cls=Command)
def llm_resume(
    folder: Folder, workers: Workers = None, devices: Devices = None, track: Track = None
) -> None:
    """Resume a run that was interrupted.

    commensal llm resume runs/demo
    """
    from commensal.llm.records.results import config_of

    _go(config_of(folder), folder, workers, devices, track=track)


@llm_app.command("presets", cls=Command)
def llm_presets(
    show: Annotated[
        str | None, typer.Option(help="Print one preset's YAML, to start a file of your own from.")
    ] = None,
) -> None:
    """List the presets with their descriptions.

    commensal llm presets
    commensal llm presets --show demo
    """
    from commensal.llm.presets import description, preset_names, preset_text

    if show is not None:
        print_data(preset_text(show))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in preset_names():
        table.add_row(name, description(name))
    out_console.print(table)
    say_next("llm", "run", "demo", "--out", "runs/demo")


@llm_app.command("report", cls=Command)
def llm_report(
    folder: Folder,
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file to write. (default: report.html in the run's folder)"),
    ] = None,
) -> None:
    """Write a run's report: one HTML file with all figures in it.

    commensal llm report runs/demo
    """
    from commensal.llm.reports import write_report

    if out is not None:
        check_page(out, "--out")
    wrote(write_report(folder, out))
    say_next(*_after_report(folder))


@llm_app.command("export", cls=Command)
def llm_export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="New folder for the models.", show_default=False)],
    hub: Annotated[
        str | None,
        typer.Option(
            metavar="USER/NAME", help="Also upload them to this repository of the Hugging Face Hub."
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make the repository a public one.")
    ] = False,
) -> None:
    """Write the models that a run has trained, as transformers opens them.

    commensal llm export runs/demo --out models
    commensal llm export runs/demo --out models --hub user/demo
    """
    need_torch()
    from commensal.llm import export

    if public and hub is None:
        raise ValueError("--public needs --hub")
    with progress_bar("models") as update:
        models = export(folder, out, hub=hub, public=public, progress=update)
    _say(out_console, f"wrote {len(models)} models into {out}, such as {out / models[-1]}")
    if hub is not None:
        _say(out_console, f"uploaded to https://huggingface.co/{hub}")
    else:
        _say(out_console, f"upload them with: hf upload USER/NAME {out}")
    say_next("llm", "report", folder)


@llm_app.command("power", cls=Command)
def llm_power(
    folder: Folder,
    replicates: Annotated[
        int, typer.Option(min=2, help="Number of replicates of the run that is planned.")
    ] = 5,
) -> None:
    """Say what a run would see with so many replicates, by the scatter of a pilot.

    commensal llm run segmented --set replicates=3 --out runs/pilot
    commensal llm power runs/pilot --replicates 12
    """
    from commensal.llm.reports.power import power_of, power_text

    text = power_text(power_of(folder, replicates), replicates)
    out_console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
    say_next(*_with_replicates(folder, replicates))


def _after_report(folder: Path) -> tuple[Any, ...]:
    """Return the command that says more about a run than its report does."""
    from commensal.llm.reports._reading import read_run

    run = read_run(folder)
    if run.complete + len(run.stops) < len(run.points):
        return "llm", "resume", folder
    if run.config.can_be_paired:
        return "pair", folder
    if run.config.replicates == 1:
        return _with_replicates(folder, _SEVERAL)
    return "llm", "power", folder


def _with_replicates(folder: Path, replicates: int) -> tuple[Any, ...]:
    """Return the command that runs the experiment of a folder again, with so many replicates."""
    other = folder.with_name(f"{folder.resolve().name}-{replicates}")
    change = f"replicates={replicates}"
    return "llm", "run", folder / "config.yaml", "--set", change, "--out", other


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print each warning once, on a line of its own, without the place in the code."""
    from commensal.llm.corpora import CorpusWarning

    said: set[str] = set()

    def say(message: Warning | str, *_: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            err_console.print(
                f"commensal: {message}", soft_wrap=True, highlight=False, markup=False
            )

    with warnings.catch_warnings():
        warnings.simplefilter("always", CorpusWarning)
        warnings.showwarning = say
        yield


def _try(settings, folder: Path) -> None:
    import yaml

    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    out_console.print(text, markup=False, highlight=False, soft_wrap=True)
    need_torch()
    from commensal.llm.checks import dry_run

    with _warnings_as_lines():
        missed = dry_run(settings, folder)
    found = "# a run can begin"
    if missed:
        found += f"; not looked at, as it would be downloaded: {', '.join(missed)}"
    out_console.print(found, markup=False, highlight=False, soft_wrap=True)


def _estimate(settings, folder: Path) -> None:
    need_torch()
    if not settings.trains:
        raise ValueError("nothing is trained in this run: there is nothing to estimate")
    from commensal.cli._size import size_of
    from commensal.llm.estimate import estimate

    with _warnings_as_lines():
        found = estimate(settings)
    for row in found.stages.to_dict("records"):
        what = f"{row['stage']}: {row['tokens']:,.0f} tokens at {row['rate']:,.0f} a second"
        _say(out_console, f"{what}, {row['seconds']:,.0f} s of one process")
    learnt = f"{found.parameters:,} parameters"
    if found.trained != found.parameters:
        learnt += f", of which {found.trained:,} are trained"
    _say(out_console, f"model: {learnt}; {found.workers} grid points side by side")
    told = size_of(
        str(folder),
        memory=found.workers * found.memory,
        seconds=found.seconds,
        disk=found.disk,
        yes=True,
    )
    _say(out_console, told)


def _go(
    settings,
    folder: Path,
    workers: int | None,
    devices: str | None = None,
    shard: str | None = None,
    ray: str | None = None,
    track: str | None = None,
) -> None:
    need_torch()
    from commensal._part import is_merging
    from commensal.llm import run
    from commensal.llm.records import shards
    from commensal.llm.records.results import diverged

    try:
        with _stoppable(), progress_bar("generations") as update, _warnings_as_lines():
            if is_merging():
                metrics = shards.join(folder, settings)
            else:
                where = {"workers": workers, "devices": devices, "shard": shard, "ray": ray}
                metrics = run(settings, folder, **where, track=track, progress=update)
    except KeyboardInterrupt as stop:
        # by Ctrl-C, or by SIGTERM, whose number it brings
        number = stop.args[0] if stop.args else signal.SIGINT
        whole = shard is None and not is_merging()
        again = f"commensal llm resume {folder}" if whole else "the same command"
        _say(err_console, f"interrupted; go on with: {again}")
        raise typer.Exit(128 + number) from None
    if shard is not None:
        _say(out_console, f"part {shard} of {folder} is done")
        say_next("merge", folder)
        return
    _say(out_console, f"wrote {folder} ({len(metrics):,} numbers)")
    if track is not None and "tensorboard" in track:
        _say(out_console, f"look at it with: tensorboard --logdir {folder / 'tensorboard'}")
    say_next("llm", "report", folder)
    stopped = diverged(folder)
    for name, stop in stopped.items():
        _say(err_console, f"diverged: {name} stops at generation {stop.generation}: {stop.why}")
    if stopped:
        raise typer.Exit(1)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM, which batch systems send before they kill, end a run as Ctrl-C does."""

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
