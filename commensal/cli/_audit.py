"""`commensal audit`: whether a corpus is narrowing, and how much of it is not human."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commensal.cli._console import (
    err_console,
    out_console,
    print_json,
    progress_bar,
    say_next,
    typed,
    wrote,
)
from commensal.cli._places import check_folder

_OUT = "Output"


def audit(
    generated: Annotated[
        str,
        typer.Argument(
            metavar="GENERATED",
            help="Corpus to audit: a table (.jsonl, .json, .csv, .tsv, .parquet), a .txt of "
            "paragraphs, a folder of these, the folder of a run, or hf:NAME.",
            show_default=False,
        ),
    ],
    reference: Annotated[
        str,
        typer.Option(
            help="Human texts of the same kind; best twice as many or more, for half of them say "
            "which words are rare.",
            show_default=False,
        ),
    ],
    previous: Annotated[
        str | None,
        typer.Option(
            help="Older texts that are known to be generated: to see the change since then, and "
            "which share of the corpus is like them."
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with code 1 if this holds, as in 'rare_retention<0.9'; may be given more "
            "than once."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="Profile (.json, as slop-forensics writes it; FILE:NAME for one of several) whose "
            "phrases are counted."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Causal language model, folder or name, for perplexities."),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            help="Sentence-transformers model, folder or name. (default: words alone, by LSA)"
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column of the text, or several as in '{question} {answer}'. May be given more "
            "than once: a table takes the first of which it has all columns.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|file|heading:PATTERN",
            help="What documents that are parts of one whole share: a column of tables, the file "
            "of a folder, or, in a .txt, the paragraph above them that is like this regular "
            "expression. Wholes are then compared, not documents. (default: each is one)",
        ),
    ] = None,
    tokens: Annotated[
        int, typer.Option(min=1, help="Number of tokens compared, at most.")
    ] = 1_000_000,
    resamples: Annotated[int, typer.Option(min=1, help="Number of permutations.")] = 399,
    level: Annotated[
        float, typer.Option(help="Probability that anything is found where nothing is.")
    ] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of samples and permutations.")] = 0,
    samples: Annotated[
        bool,
        typer.Option(
            "--samples",
            help="Show over-represented phrases with an example of each; without it no text is "
            "copied.",
            rich_help_panel=_OUT,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print everything as JSON on stdout.", rich_help_panel=_OUT),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.html, answers.json, indices.parquet and the picture.",
            rich_help_panel=_OUT,
        ),
    ] = None,
) -> int:
    """Audit a corpus against human texts: whether it narrows, and how much is not human.

    Exit code 1 if a condition of --fail-on holds. Texts do not leave this machine.

    commensal audit texts.jsonl --reference human.jsonl --out audit
    commensal audit new.jsonl --reference human.jsonl --previous old.jsonl
    commensal audit texts.jsonl --reference human.jsonl --fail-on 'rare_retention<0.9'
    commensal audit new.txt --reference human.txt --group 'heading:= [^=]+ ='
    """
    from commensal import texts as library
    from commensal.texts.auditing._audit_page import as_text, write_audit

    if out is not None:
        check_folder(out)
    with progress_bar("audit") as update:
        found = library.audit(
            generated,
            reference,
            previous=previous,
            fail_on=fail_on or [],
            samples=samples,
            against=against,
            model=model,
            embedder=embedder,
            columns=columns or None,
            group=group,
            tokens=tokens,
            resamples=resamples,
            level=level,
            seed=seed,
            progress=update,
        )
    files = write_audit(found, out, typed()) if out is not None else []
    if as_json:
        print_json(_record(found))
    else:
        _print(found.answers.text(grounds=False))
        for other, table in found.table.groupby("compared_with", sort=False):
            _print(f"compared with {other}\n{as_text(table)}\n")
        for row in found.phrases.to_dict("records"):
            shares = f"{row['documents']:.1%}, reference {row['in_reference']:.1%}"
            _print(f"{row['phrase']!r} ({shares}): {row['example']!r}")
        for file in files:
            wrote(file)
    for line in found.alarms:
        err_console.print(f"fails: {line}", soft_wrap=True, highlight=False, markup=False)
    if out is None:
        say_next("audit", generated, "--reference", reference, "--out", "audit")
    else:
        say_next("check", "--id", "commensal.words_survival")
    return 1 if found.alarms else 0


def _print(text: str) -> None:
    out_console.print(text, soft_wrap=True, highlight=False, markup=False)


def _record(found: object) -> dict[str, object]:
    import json

    from commensal.texts import Audit

    assert isinstance(found, Audit)
    tables = ("table", "survival", "phrases")
    return found.answers.record() | {
        **{name: json.loads(getattr(found, name).to_json(orient="records")) for name in tables},
        "alarms": list(found.alarms),
    }
