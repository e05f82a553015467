"""The claims and their findings as one self-contained HTML page."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, get_args

from markupsafe import Markup

import commensal
from commensal import page
from commensal.claims._claim import SYMBOLS, Claim, Paper, Verdict, premises_in_words
from commensal.claims._evidence import Evidence, Z
from commensal.claims._picture import evidence
from commensal.claims._run import Finding, count, count_faults

TITLES: Mapping[str, str] = {
    "interactive": "Vu, Reeves, Wenger: models that train on each other's outputs",
    "pollination": "Xie et al.: populations of models under synthetic data",
    "webdynamics": "Wang et al.: models around a retrieval database",
    "diversity": "Hodel, West: ecosystems of models on segmented data",
    "news": "A news article on model collapse (unreviewed)",
    "commensal": "Beyond the papers",
}
_TONES: Mapping[Verdict, page.Tone] = {
    "holds": "good",
    "holds, restricted": "part",
    "holds as corrected": "part",
    "fails": "bad",
    "open": "open",
}
_FALSE_ALARM = 5.8e-7  # probability of a deviation beyond Z standard errors


def html(claims: Sequence[Claim], findings: Mapping[str, Finding]) -> str:
    """Put claims and findings on a self-contained page, formulas as MathML, figures inside.

    Parameters
    ----------
    claims : sequence of Claim
        In the order of the page.
    findings : mapping
        By id, of all these claims.

    Returns
    -------
    str
    """
    found = [findings[claim.id] for claim in claims]
    effort = "full" if any(one.full for one in found) else "quick"
    parts = list(_head(claims, findings, effort))
    for paper in get_args(Paper):
        own = [claim for claim in claims if claim.paper == paper]
        if own:
            heading = page.joined(" ", [page.code(paper), TITLES[paper]])
            cards = [_card(claim, findings[claim.id], effort) for claim in own]
            parts.append(page.Section(paper, heading, cards, paper))
    comparisons, seconds = sum(f.comparisons for f in found), sum(f.seconds for f in found)
    said = [f"{datetime.now(UTC):%Y-%m-%d}", _versions(), f"{seconds:.0f} s of computing"]
    if comparisons:
        said.append(
            f"{comparisons:,} comparisons of samples with expectations, each allowed {Z} standard "
            "errors: a sound set of claims raises a false alarm with probability below "
            f"{comparisons * _FALSE_ALARM:.0e}"
        )
    return page.render("What holds: the claims, checked", parts, " · ".join(said) + ".")


def number(value: Any) -> str:
    """Write a number for a table: six digits, or groups of three."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _chip(verdict: Verdict) -> Markup:
    return page.chip(_TONES[verdict], f"{SYMBOLS[verdict]} {verdict}")


def _head(
    claims: Sequence[Claim], findings: Mapping[str, Finding], effort: str
) -> Iterator[page.Part]:
    yield page.Prose(
        Markup(
            "Every theorem, equation and quantitative statement below was checked again by {}. A "
            "verdict is what the check gave; nothing is entered by hand. “Holds as corrected” "
            "means that the statement as printed fails the check, and that the corrected one "
            "passes the same check; “holds, restricted”, that it fails at an edge alone."
        ).format(page.code(f"commensal check --{effort}"))
    )
    found = [findings[claim.id] for claim in claims]
    unlike = [
        page.joined("", [page.link(f.id, f.id), f" ({f.verdict}, recorded {f.recorded})"])
        for f in found
        if not f.as_recorded
    ]
    if unlike:
        text = Markup("<strong>Not as recorded:</strong> {}").format(page.joined(", ", unlike))
        yield page.Prose(text, "alarm")
    yield page.Prose(_said_of_faults(count_faults(claims, found)))
    yield page.VerdictFilter(list(_filters(count(found))))
    rows = [
        [
            _chip(findings[claim.id].verdict),
            page.joined(
                " ",
                [page.link(claim.id, claim.statement), page.soft(f"{claim.paper}, {claim.where}")],
            ),
        ]
        for paper in get_args(Paper)
        for claim in claims
        if claim.paper == paper
    ]
    yield page.Details("All claims in a list", [page.Table([], rows)])


def _said_of_faults(counts: Mapping[str, int]) -> Markup:
    """Say what is found wrong in the papers, and what the kinds of error mean."""
    told = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    return Markup(
        "<strong>Found wrong in the papers: {}.</strong> Substantive: what is concluded is not so. "
        "Misprint: a formula or number is printed otherwise than it must be, and no conclusion "
        "suffers. Possibly extraction: the papers were read as extracted text, and one "
        "mark lost there would explain it, so the paper has the benefit of the doubt and the claim "
        "holds. Wording: a sentence says too much, and what is meant holds. The kind is our "
        "judgement, the verdict is not. An error that comes back in another claim counts once, "
        "and what we read into a paper does not count."
    ).format(told)


def _filters(counts: Sequence[tuple[Verdict, int]]) -> Iterator[tuple[str, Markup, int]]:
    """Make one checkbox for each tone; verdicts that share one are shown and hidden together."""
    for tone in dict.fromkeys(_TONES[verdict] for verdict, _ in counts):
        alike = [pair for pair in counts if _TONES[pair[0]] == tone]
        chips = page.joined(" ", [_chip(verdict) for verdict, _ in alike])
        yield tone, chips, sum(number for _, number in alike)


def _card(claim: Claim, finding: Finding, effort: str) -> page.Card:
    kind = _TONES[finding.verdict]
    return page.Card(claim.id, claim.statement, list(_card_parts(claim, finding, effort)), kind)


def _card_parts(claim: Claim, finding: Finding, effort: str) -> Iterator[page.Part]:
    proof = claim.proof if claim.proof != "open" else "proof open"
    known = [claim.where, f"{claim.kind} check", proof, page.code(claim.id)]
    yield page.Prose(page.joined(" · ", [_chip(finding.verdict), *known]), "soft")
    if claim.reading:
        yield page.Prose(page.joined(" ", [page.chip("open", "our reading"), claim.reading]))
    if claim.fault:
        found = [page.chip("open", f"found: {claim.fault}"), claim.doubt]
        yield page.Prose(page.joined(" ", found), "soft")
    if claim.repeats:
        found = [
            page.chip("open", "found"),
            "the error of",
            page.link(claim.repeats, claim.repeats),
        ]
        yield page.Prose(page.joined(" ", found), "soft")
    if claim.latex:
        if claim.correction or claim.restriction:
            yield page.Prose(page.chip("open", "as printed"))
        yield page.Formula(claim.latex)
    if claim.correction:
        yield page.Prose(page.joined(" ", [page.chip("part", "corrected"), claim.correction]))
    if claim.restriction:
        yield page.Prose(page.joined(" ", [page.chip("part", "restricted"), claim.restriction]))
    if claim.correction_latex:
        yield page.Formula(claim.correction_latex)
    if claim.remark:
        yield page.Prose(claim.remark)
    for line in premises_in_words(claim):
        yield page.Prose(line, "soft")
    if finding.error:
        yield page.Prose(f"The check broke: {finding.error}", "alarm")
    for drawn in finding.evidence.pictures:
        caption = "Theory as lines, samples as points."
        yield page.picture(evidence(drawn), caption, f"{claim.statement} {caption}")
    parts: list[page.Part] = []
    pieces: list[tuple[str, Evidence]] = [("printed", finding.printed)]
    if finding.corrected is not None:
        pieces.append(("restricted" if claim.restriction else "corrected", finding.corrected))
    for name, piece in pieces:
        if len(pieces) > 1:
            text = Markup("<strong>As {}</strong>: {}").format(name, piece.summary)
            parts.append(page.Prose(text, "soft"))
        parts.append(page.Table([], [[key, number(v)] for key, v in piece.numbers.items()]))
    again = page.code(f"commensal check --id {claim.id} --{effort}")
    text = Markup("{:.2f} s, seed {} · again: {}").format(finding.seconds, finding.seed, again)
    parts.append(page.Prose(text, "soft"))
    yield page.Details(finding.evidence.summary, parts, open=finding.verdict == "fails")


def _versions() -> str:
    parts = [f"commensal {commensal.__version__}", f"Python {platform.python_version()}"]
    return ", ".join([*parts, *(f"{name} {version(name)}" for name in ("jax", "numpy", "sympy"))])
