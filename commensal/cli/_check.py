"""`commensal check`: check every claim of the papers again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from commensal.cli._console import (
    err_console,
    out_console,
    print_json,
    progress_bar,
    say_next,
    wrote,
)
from commensal.cli._options import Overwrite
from commensal.cli._parts import Ray, Shard, in_parts
from commensal.cli._places import check_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commensal.claims import Claim, Finding

_COLOURS = {
    "holds": "green",
    "holds, restricted": "yellow",
    "holds as corrected": "yellow",
    "fails": "red",
    "open": "bright_black",
}
_VERDICT = 20  # columns of the widest verdict and its mark


def check(
    paper: Annotated[
        list[str] | None,
        typer.Option(help="Check only claims of this paper; may be given more than once."),
    ] = None,
    id: Annotated[
        list[str] | None, typer.Option(help="Check only this claim; may be given more than once.")
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full/--quick", help="Take samples in which a 1 % error would be seen; takes minutes."
        ),
    ] = False,
    only_list: Annotated[
        bool, typer.Option("--list", help="List the claims and check nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything that was found, as JSON on stdout.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a report with formulas and figures.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", rich_help_panel="Output", help="JSON file of everything that was found."
        ),
    ] = None,
    overwrite: Overwrite = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of samples and of instances.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Number of processes. (default: one per core)")
    ] = None,
    shard: Shard = None,
    ray: Ray = None,
) -> int:
    """Check the papers' theorems, equations and numbers: what holds, and what does not.

    Exit code 1 if a verdict differs from the recorded one.

    commensal check --paper interactive
    commensal check --id interactive.thm1_covariance --full
    commensal check --list
    """
    from commensal import claims as library

    chosen = _choose(paper or [], id or [])
    if only_list:
        _list(chosen, as_json)
        say_next("check", "--id", chosen[0].id)
        return 0
    if html is not None:
        check_page(html, "--html")
    console = Console(stderr=True, quiet=True) if as_json else out_console
    start = time.perf_counter()
    bar_console = out_console if out_console.is_terminal and not as_json else err_console

    def compute(overwrite: bool) -> dict[str, Finding]:
        found: dict[str, Finding] = {}
        shown = 0
        how: dict[str, Any] = {"full": full, "seed": seed, "jobs": jobs}
        if out is None:
            findings = library.check(chosen, **how)
        else:
            findings = library.check_to_file(chosen, out, overwrite=overwrite, **how)
        with progress_bar("checking", bar_console) as progress:
            if out is None:  # else something may be wrong with it
                progress(0, len(chosen))
            for finding in findings:
                found[finding.id] = finding
                # in the papers' order: a line waits for those before it
                while shown < len(chosen) and chosen[shown].id in found:
                    line = _line(found[chosen[shown].id], console)
                    console.print(line, soft_wrap=not console.is_terminal)
                    if id:
                        _say_premises(chosen[shown], console)
                    shown += 1
                progress(len(found), len(chosen))
        return found

    found = in_parts(compute, out, shard, ray, overwrite)
    if found is None:
        return 0
    seconds = time.perf_counter() - start
    if as_json:
        records = [library.record(claim, found[claim.id]) for claim in chosen]
        print_json(records)
    _summarise(console, chosen, [found[claim.id] for claim in chosen], seconds)
    if out is not None:
        wrote(out, err_console if as_json else out_console)
    if html is not None:
        from commensal.claims import report
        from commensal.saving import write

        write(html, report(chosen, found).encode())
        wrote(html, err_console if as_json else out_console)
    unlike = [finding.id for finding in found.values() if not finding.as_recorded]
    if unlike:
        say_next("check", "--id", unlike[0], "--full")
    elif html is None:
        which = [("--paper", p) for p in paper or []] + [("--id", i) for i in id or []]
        say_next("check", *(part for option in which for part in option), "--html", "claims.html")
    else:
        say_next("sweep", "regression", "--out", "sweep.nc", "--plot")
    return 1 if unlike else 0


def _list(chosen: Sequence[Claim], as_json: bool) -> None:
    """Print one line per claim: id, paper, kind, statement."""
    names = ("id", "paper", "kind", "where", "statement", "verdict", "fault", "doubt")
    names += ("premises", "breaks")
    if as_json:
        print_json([{name: getattr(claim, name) or None for name in names} for claim in chosen])
        return
    widths = [max(len(getattr(c, name)) for c in chosen) for name in names[:3]]
    for claim in chosen:
        told = [f"{getattr(claim, n):<{w}}" for n, w in zip(names[:3], widths, strict=True)]
        text = Text("  ".join([*told, " ".join(claim.statement.split())]))
        if out_console.is_terminal:
            text.truncate(out_console.width, overflow="ellipsis")
        out_console.print(text, soft_wrap=not out_console.is_terminal, highlight=False)


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


def _say_premises(claim: Claim, console: Console) -> None:
    """Print what a claim rests on, and what does not hold where its printed form fails."""
    from commensal.claims import premises_in_words

    for line in premises_in_words(claim):
        console.print(Text(f"    {line}", style="bright_black"), soft_wrap=True)


def _summarise(
    console: Console, chosen: Sequence[Claim], findings: Sequence[Finding], seconds: float
) -> None:
    from commensal.claims import count, count_faults

    text = Text(f"\n{len(findings)} claim{'s' * (len(findings) != 1)} in {seconds:.0f} s: ")
    for place, (verdict, number) in enumerate(count(findings)):
        text.append(", " if place else "")
        text.append(f"{number} {verdict}", style=_COLOURS[verdict])
    if any(claim.fault for claim in chosen):
        faults = count_faults(chosen, findings)
        told = ", ".join(f"{number} {kind}" for kind, number in faults.items())
        text.append(f"\nfound wrong: {told}")
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
