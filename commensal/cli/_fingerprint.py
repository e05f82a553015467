"""`commensal fingerprint`: compare models within and across families, and over release dates."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from commensal.cli._console import out_console, say_next, wrote
from commensal.cli._places import check_folder


class Features(StrEnum):
    """Features of the models' texts on which the similarity is computed."""

    words = "words"
    bigrams = "bigrams"
    trigrams = "trigrams"
    all = "all"


class Baseline(StrEnum):
    """Reference with which the words of the texts are compared."""

    english = "english"
    pooled = "pooled"


def fingerprint(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="PROFILES|TEXTS|RUN",
            help="Profiles (.json, as slop-forensics writes them), texts (.csv, .tsv, .parquet, "
            ".jsonl, .json, compressed or not) with the columns model, text (or messages) and "
            "perhaps family, date, prompt, or the folder of a run.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and the report.")],
    families: Annotated[
        Path | None,
        typer.Option(
            help="Table of models (.csv): model, family, perhaps date (2024-07, or a generation). "
            "(default: columns of the texts; for profiles the 27 models of the paper)",
        ),
    ] = None,
    features: Annotated[
        Features, typer.Option(help="Features of the similarity: words, bigrams, trigrams, or all.")
    ] = Features.words,
    baseline: Annotated[
        Baseline | None,
        typer.Option(
            help="Texts that words are compared with: english at large, or all texts pooled. "
            "(default: english; pooled for a run)",
        ),
    ] = None,
    point: Annotated[
        str | None, typer.Option(help="Grid point of a run. (default: the middle one)")
    ] = None,
    bin_width: Annotated[
        float | None,
        typer.Option(help="Width of a bin of lags. (default: 3 months, or 1 generation)"),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=1, help="Number of resamples of each bootstrap.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstraps.")] = 0,
    equal_amounts: Annotated[
        bool,
        typer.Option(
            "--equal-amounts",
            help="Cut all models' texts to as many words as the model with fewest has.",
        ),
    ] = False,
) -> None:
    """Compare models' fingerprints: overlap of families, and influence over release dates.

    commensal fingerprint profiles.json --out fingerprints
    commensal fingerprint texts.csv --families families.csv --out fingerprints
    """
    from commensal.llm import fingerprint as library
    from commensal.llm.fingerprint._analysis import write_tables

    check_folder(out)
    if file.is_dir() and not (file / "run.json").exists():
        raise ValueError(
            f"{str(file)!r} is no run's folder (it has no run.json); texts are a table with the "
            "columns model and text"
        )
    if point is not None and not file.is_dir():
        raise ValueError("--point goes with a run's folder")
    note = ""
    if not file.is_dir() and library.holds_profiles(file):
        if equal_amounts:
            raise ValueError("--equal-amounts goes with texts, not with profiles")
        prints = library.read_profiles(file)
        models = library.read_models(families)
    else:
        table = library.read_run_texts(file, point) if file.is_dir() else library.read_texts(file)
        if families is not None:
            models = library.read_models(families)
            short = {name.rpartition("/")[2] for name in models.names}
            known = table["model"].astype(str)
            # texts of models that are not compared need no fingerprint
            table = table.loc[known.isin(models.names) | known.str.rpartition("/")[2].isin(short)]
        elif "family" in table:
            models = library.models_of(table)
        else:
            raise ValueError(
                f"{file}: no column 'family', which says what models are compared with as their "
                "own kind; add one, or give a table of models and families as --families"
            )
        if equal_amounts:
            table = library.equal_amounts(table)
        against = library.english
        if baseline == Baseline.pooled or (baseline is None and file.is_dir()):
            against = library.pooled(table["text"])
        prints = library.fingerprints_of(table, baseline=against)
        note = library.amounts_of(table, equal_amounts)
    kinds = library.KINDS if features == Features.all else (features.value,)
    comparison = library.compare(prints, models)
    found = library.analyse(comparison, kinds, resamples=resamples, seed=seed, width=bin_width)
    out.mkdir(parents=True, exist_ok=True)
    write_tables(found, out)
    page = library.write_report(found, out / "report.html", f"Fingerprints of {file.name}", note)
    from commensal.llm.fingerprint._report import leads

    for lead in (*leads(found), *([note] if note else [])):
        out_console.print(lead, highlight=False, markup=False, soft_wrap=True)
    wrote(page)
    say_next("check", "--paper", "pollination")
