"""`commensal check`: every claim of the papers, checked again."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from commensal.cli._console import err_console, out_console, progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commensal.claims import Claim, Finding

_COLOURS = {
    "holds": "green",
    "holds as corrected": "yellow",
    "fails": "red",
    "open": "bright_black",
}
_VERDICT = 20  # columns of the widest verdict and its mark


def check(
    paper: Annotated[
        list[str] | None,
        typer.Option(help="Only claims of this paper; may be given more than once."),
    ] = None,
    id: Annotated[
        list[str] | None, typer.Option(help="Only this claim; may be given more than once.")
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full/--quick", help="Samples in which a 1 % error would be seen: minutes."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything that was found, as JSON on stdout.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a report with formulas and figures.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Other samples and instances.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes. (default: one per core)")
    ] = None,
) -> int:
    """Check the papers' theorems, equations and numbers: what holds, and what does not.

    Exit code 1 if a verdict differs from the recorded one.
    """
    from commensal import claims as library

    chosen = _choose(paper or [], id or [])
    if html is not None and not html.parent.is_dir():
        raise ValueError(f"--html: there is no folder {html.parent}")
    console = Console(stderr=True, quiet=True) if as_json else out_console
    start = time.perf_counter()
    found: dict[str, Finding] = {}
    shown = 0
    bar_console = out_console if out_console.is_terminal and not as_json else err_console
    with progress_bar("checking", bar_console) as progress:
        progress(0, len(chosen))
        for finding in library.check(chosen, full=full, seed=seed, jobs=jobs):
            found[finding.id] = finding
            # in the papers' order: a line waits for those before it
            while shown < len(chosen) and chosen[shown].id in found:
                line = _line(found[chosen[shown].id], console)
                console.print(line, soft_wrap=not console.is_terminal)
                shown += 1
            progress(len(found), len(chosen))
    seconds = time.perf_counter() - start
    if as_json:
        records = [library.record(claim, found[claim.id]) for claim in chosen]
        json.dump(records, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
        print()
    _summarise(console, [found[claim.id] for claim in chosen], seconds)
    if html is not None:
        from commensal.claims import report

        html.write_text(report(chosen, found), encoding="utf-8")
        (err_console if as_json else out_console).print(
            f"wrote {html}", soft_wrap=True, highlight=False
        )
    return 0 if all(finding.as_recorded for finding in found.values()) else 1


def _choose(papers: Sequence[str], names: Sequence[str]) -> list[Claim]:
    from typing import get_args

    from commensal.claims import Paper, all_claims, find

    for paper in papers:
        if paper not in get_args(Paper):
            allowed = ", ".join(get_args(Paper))
            raise ValueError(f"--paper: must be one of {allowed}, got {paper}")
    named = [find(name) for name in names]
    if not papers and not names:
        return list(all_claims())
    return [c for c in all_claims() if c.paper in papers or c in named]


def _line(finding: Finding, console: Console) -> Text:
    from commensal.claims import SYMBOLS

    verdict = f"{SYMBOLS[finding.verdict]} {finding.verdict}"
    text = Text(f"{verdict:<{_VERDICT}} ", style=_COLOURS[finding.verdict])
    text.append(f"{finding.id}  ", style="bold" if finding.as_recorded else "bold red")
    if not finding.as_recorded:
        text.append(f"(recorded: {finding.recorded}) ", style="red")
    text.append(finding.evidence.summary, style="bright_black")
    if console.is_terminal:
        text.truncate(console.width, overflow="ellipsis")
    return text


def _summarise(console: Console, findings: Sequence[Finding], seconds: float) -> None:
    from commensal.claims import count

    text = Text(f"\n{len(findings)} claim{'s' * (len(findings) != 1)} in {seconds:.0f} s: ")
    for place, (verdict, number) in enumerate(count(findings)):
        text.append(", " if place else "")
        text.append(f"{number} {verdict}", style=_COLOURS[verdict])
    comparisons = sum(finding.comparisons for finding in findings)
    if comparisons:
        chance = comparisons * 5.8e-7
        text.append(
            f"\n{comparisons:,} statistical comparisons; the chance of any false alarm is below "
            f"{chance:.0e}"
        )
    unlike = [finding.id for finding in findings if not finding.as_recorded]
    if unlike:
        text.append(f"\nnot as recorded: {', '.join(unlike)}", style="bold red")
    console.print(text)
