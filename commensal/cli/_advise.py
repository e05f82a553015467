"""`commensal advise`: what a mix of human and synthetic documents will do, before training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from commensal.cli._console import out_console, print_json, progress_bar, say_next, wrote
from commensal.cli._options import configured
from commensal.cli._places import check_folder

_PARTS = {"the plan": (0, 20), "sensitivities": (20, 40), "random systems": (60, 40)}
"""Parts of the work, in percent: where each begins, and how long it is."""


def add_advise(app: typer.Typer) -> None:
    """Add the command, which has an option for each setting, to the command line."""
    configured(app, "advise", "commensal.planning", "AdviseConfig")(advise)


def advise(
    settings: dict[str, Any],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel="Output",
            help="Folder for report.html, answers.json and the pictures.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", rich_help_panel="Output", help="Print the answers as JSON.")
    ] = False,
    short: Annotated[
        bool,
        typer.Option(
            "--short", rich_help_panel="Output", help="Print the answers without their grounds."
        ),
    ] = False,
) -> None:
    """Best weights, stability, growth of error, words left: what a mix of documents will do.

    Every answer names its theorem, its premises, and how it was checked. Human and synthetic
    documents count the same unless --synthetic-share says otherwise.

    commensal advise --real 12000 --synthetic 30000 --models 3 --generations 6
    commensal advise --real 12000 --synthetic 30000 --models 3 --generations 6 --out plan
    commensal advise --real 800 --synthetic 900 --models 2 --generations 6 --system system.npz
    """
    from commensal import planning

    wanted = planning.AdviseConfig(**settings)
    if out is not None:
        check_folder(out)
    with progress_bar("advice", waiting="compiling") as bar:

        def progress(label: str, done: float | int, total: float | int) -> None:
            start, part = _PARTS[label]
            bar(start + part * done / total, 100)

        found = planning.advise(**wanted.model_dump(exclude_unset=True), progress=progress)
    words = ["commensal", "advise", *_flags(wanted)]
    files = [] if out is None else found.write(out, " ".join(words))
    if as_json:
        print_json(found.answers.record())
        return
    out_console.print(
        found.answers.text(grounds=not short), highlight=False, markup=False, soft_wrap=True
    )
    for file in files:
        wrote(file)
    if not isinstance(wanted.reads, str):  # a matrix stands in a file of settings
        say_next("check", "--id", "interactive.thm3")
    elif out is None:
        say_next(*words[1:], "--out", "advice")
    else:
        share = found.answers["best_synthetic_share"].value
        better = [] if share != share else ["--synthetic-share", f"{min(share, 0.999):.3g}"]
        say_next("advise", *_flags(wanted, {"synthetic_share"} if better else set()), *better)


def _flags(wanted: Any, without: set[str] | None = None) -> list[str]:
    """Write settings that were given as options."""
    given = wanted.model_dump(mode="json", exclude_unset=True, exclude=without or set())
    known = [(name, value) for name, value in given.items() if isinstance(value, (str, int, float))]
    return [part for name, value in known for part in (f"--{name.replace('_', '-')}", str(value))]
