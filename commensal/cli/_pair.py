"""`commensal pair`: compare the linear theory with language models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from commensal.cli._console import out_console, progress_bar, say_next, wrote
from commensal.cli._places import check_folder
from commensal.cli._torch import need_torch
from commensal.saving import write

_DESIGNS, _DIM, _LAYER, _TEXTS = 16, 16, -1, 1000


def pair(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|published",
            help="Folder of a run, or the word published: the losses that the paper prints.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the report. (default: pair in the run's folder; none for published)"
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of random designs and of the bootstrap.")
    ] = 0,
    dim: Annotated[
        int | None, typer.Option(min=1, help=f"Dimension of features, for a run. (default: {_DIM})")
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(help=f"Layer of hidden states, for a run. (default: {_LAYER}, the last)"),
    ] = None,
    texts: Annotated[
        int | None,
        typer.Option(min=1, help=f"Number of texts per dataset, for a run. (default: {_TEXTS:,})"),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="squared|mixture",
            help="How errors become losses, for a run: squared errors, or the cross-entropy of "
            "mixed laws. (default: squared)",
        ),
    ] = None,
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Fit the four scalars again, for published; takes minutes."),
    ] = False,
    designs: Annotated[
        int | None,
        typer.Option(min=1, help=f"Number of random designs, for published. (default: {_DESIGNS})"),
    ] = None,
) -> None:
    """Compare the theory with a run of language models, or with the paper's losses.

    commensal pair runs/demo
    commensal pair published --out published
    """
    if out is not None:
        check_folder(out)
    run_only = {"dim": dim, "layer": layer, "texts": texts, "loss": loss}
    if loss is not None:
        from commensal.pairing._fit_run import check_loss

        check_loss(loss)
    if what == "published":
        _refuse(run_only, "a run's folder")
        _published(out, seed, _DESIGNS if designs is None else designs, refit)
        page = ("pair", "published", "--out", "published")
        say_next(*(page if out is None else ("llm", "run", "demo", "--out", "runs/demo")))
        return
    _refuse({"designs": designs, "refit": refit or None}, "published")
    options: dict[str, Any] = {
        "dim": dim or _DIM,
        "layer": _LAYER if layer is None else layer,
        "texts": texts or _TEXTS,
        "loss": loss or "squared",
        "seed": seed,
    }
    _run(Path(what), out, options)
    say_next("llm", "report", what)


def _refuse(options: dict[str, Any], goes_with: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"--{name} goes with {goes_with}")


def _published(out: Path | None, seed: int, designs: int, refit: bool) -> None:
    from commensal.pairing import pair_published

    with progress_bar("pairing") as update:
        found = pair_published(seed=seed, designs=designs, refit=refit, progress=update)
    _say(found.text)
    if out is not None:
        _write(found, out, "published tables")


def _run(folder: Path, out: Path | None, options: dict[str, Any]) -> None:
    from commensal.llm.config import RemediesConfig, TrainedConfig
    from commensal.llm.records.results import config_of

    if config_of(folder).process == "mixture":
        from commensal.pairing import pair_web

        found = pair_web(folder)
        _say(found.text)
        _write(found, out or folder / "pair", folder.resolve().name)
        return
    if isinstance(config_of(folder), RemediesConfig):
        from commensal.pairing import pair_words

        with progress_bar("reading texts") as update:
            found = pair_words(folder, progress=update)
        _say(found.text)
        _write(found, out or folder / "pair", folder.resolve().name)
        return
    config_of(folder, TrainedConfig)  # a line about the folder comes before one about torch
    need_torch()
    from commensal.pairing import pair_replicates, pair_run

    out, name = out or folder / "pair", folder.resolve().name
    if config_of(folder, TrainedConfig).replicates > 1:
        with progress_bar("pairing") as update:
            found = pair_replicates(folder, progress=update, **options)
        _say(found.text)
        for replicate, one in found.pairings.items():
            _write(one, out / f"replicate-{replicate + 1}", f"{name}, replicate {replicate + 1}")
        for file, table in (("scores.csv", found.scores), ("beside.csv", found.beside)):
            write(out / file, table.to_csv(index=False).encode())
        write(out / "findings.txt", found.text.encode())
        wrote(out / "findings.txt")
        return
    with progress_bar("pairing") as update:
        found = pair_run(folder, progress=update, **options)
    _say(found.text)
    _write(found, out, name)


def _say(text: str) -> None:
    out_console.print(text, end="", markup=False, highlight=False, soft_wrap=True)


def _write(found, out: Path, name: str) -> None:
    from commensal.pairing import write_pairing

    for path in write_pairing(found, out, name)[:1]:
        wrote(path)
