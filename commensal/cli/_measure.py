"""`commensal measure`: how labs' texts overlap, and which mix is best and stable for them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commensal.cli._console import (
    out_console,
    print_json,
    progress_bar,
    say_next,
    stopped,
    typed,
    wrote,
)
from commensal.cli._places import check_folder

if TYPE_CHECKING:
    from commensal.texts import Measurement


class Prompts(StrEnum):
    """Texts that models are asked about."""

    private = "private"
    public = "public"
    all = "all"


class Weigh(StrEnum):
    """What a source counts by."""

    documents = "documents"
    equal = "equal"


def measure(
    labs: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXTS...",
            help="Private texts, one source for each lab: a file (.txt, .jsonl, .json, .csv, .tsv, "
            ".parquet, compressed or not), a folder, or hf:NAME; NAME=FILE gives a lab its name.",
            show_default=False,
        ),
    ],
    public: Annotated[
        str, typer.Option(metavar="TEXTS", help="Texts that all labs have.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", rich_help_panel="Output", help="Gram matrices to write, as .npz."
        ),
    ] = Path("system.npz"),
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel="Output",
            help="Folder for report.html, answers.json and overlap.png.",
        ),
    ] = None,
    json: Annotated[
        bool,
        typer.Option("--json", rich_help_panel="Output", help="Print the answers as JSON."),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", rich_help_panel="Output", help="Replace what the output holds."
        ),
    ] = False,
    human: Annotated[
        str | None,
        typer.Option(
            metavar="TEXTS",
            help="Fresh human texts, of the kind that could be collected at each generation.",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help='Column of the tables that holds the text, or several: "{question} {answer}". May '
            "be given more than once: a table takes the first of which it has all columns. "
            "(default: text, messages, completion, or all that hold texts)",
        ),
    ] = None,
    features: Annotated[
        str,
        typer.Option(
            metavar="hashed|embedder:NAME|model:NAME",
            help="Features: hashed n-grams; a sentence embedder; a language model's hidden states.",
        ),
    ] = "hashed",
    dim: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Directions d. (default: 16, or one for 25 documents of the smallest source)",
        ),
    ] = None,
    prompts: Annotated[
        Prompts, typer.Option(help="What models are asked: their own private texts, public, all.")
    ] = Prompts.private,
    weigh: Annotated[
        Weigh, typer.Option(help="What a source counts by: its documents, or all the same.")
    ] = Weigh.documents,
    shrinkage: Annotated[
        str,
        typer.Option(
            metavar="SHARE|auto",
            help="Weight of the pool in each Gram matrix; auto: Ledoit and Wolf's.",
        ),
    ] = "0",
    documents: Annotated[
        int, typer.Option(min=50, help="Documents of a source that are used; all are counted.")
    ] = 2000,
    resamples: Annotated[
        int, typer.Option(min=20, help="Number of times that documents are drawn again.")
    ] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")] = 0,
) -> None:
    """Measure texts: how the labs' data overlap, and which mix is best and stable for them.

    Texts stay on this machine, and no sentence of them is in any output. The file that is written
    goes into sweep and simulate.

    commensal measure a.jsonl b.txt --public c.txt
    commensal measure acme=a.jsonl b.txt --public c.txt --report measured
    """
    from commensal import texts
    from commensal._checkpoint import check_target

    check_target(out, (".npz",))
    if out.exists() and not overwrite:
        raise ValueError(f"{str(out)!r} is there already: --overwrite replaces it")
    if report is not None:
        check_folder(report, "--report")
    try:
        with progress_bar("measuring", waiting="reading") as update:
            found = texts.measure(
                labs,
                public,
                human=human,
                columns=columns or None,
                features=features,
                dim=dim,
                prompts=prompts.value,
                weigh=weigh.value,
                shrinkage=_share(shrinkage),
                documents=documents,
                resamples=resamples,
                seed=seed,
                progress=update,
            )
    except KeyboardInterrupt:
        stopped(kept=False)
    found.save(out)
    written = [out, *(_write_report(found, report) if report is not None else ())]
    if json:
        print_json(found.answers.record())
        return
    out_console.print(found.answers.text(), soft_wrap=True, highlight=False, markup=False)
    for path in written:
        wrote(path)
    say_next("sweep", "regression", "--grams", out, "--out", out.with_suffix(".nc"), "--plot")


def _share(shrinkage: str) -> float | None:
    if shrinkage == "auto":
        return None
    try:
        return float(shrinkage)
    except ValueError:
        raise ValueError(f"--shrinkage must be a number or auto, got {shrinkage!r}") from None


def _write_report(found: Measurement, folder: Path) -> list[Path]:
    """Write the page, the answers as JSON, and the picture."""
    from commensal import plots
    from commensal.saving import save_figure

    figure = plots.overlap(found.dataset)
    caption = (
        "Overlap of the sources, with intervals that hold for all pairs at once; and the documents "
        "in the two main directions of all sources."
    )
    files = found.answers.write(folder, {caption: figure}, found.tables(), typed())
    save_figure(figure, folder / "overlap.png")
    return [*files, folder / "overlap.png"]
