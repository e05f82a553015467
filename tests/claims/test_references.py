"""Claims that a text names exist, and README counts them as they are."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from commensal.claims import Paper, all_claims


def test_named_claims_exist():
    known = {claim.id for claim in all_claims()}
    names = re.compile(rf"\b(?:{'|'.join(Paper.__args__)})\.[a-z][a-z0-9_]+")
    for claim in all_claims():
        said = f"{claim.statement} {claim.correction} {claim.restriction} {claim.reading} "
        said += f"{claim.remark} {claim.repeats}"
        modules = {name for name in names.findall(said) if name.startswith("commensal.theory")}
        assert set(names.findall(said)) - modules <= known, claim.id


def test_errors_that_are_repeated_have_a_kind():
    known = {claim.id: claim for claim in all_claims()}
    for claim in all_claims():
        if claim.repeats:
            assert known[claim.repeats].fault, claim.id


def test_readme_counts_the_claims():
    chosen = all_claims()
    papers = [claim for claim in chosen if claim.paper != "commensal"]
    verdicts = Counter(claim.verdict for claim in papers)
    faults = Counter(c.fault if c.doubt == "solid" else c.doubt for c in papers if c.fault)
    root = Path(__file__).parents[2]
    readme, page = (
        " ".join((root / name).read_text(encoding="utf-8").split())
        for name in ("README.md", "docs/how-to/check-the-papers.md")
    )
    assert f"Five papers, {len(chosen)} claims" in readme
    assert (
        " ".join(
            f"""Of the papers' {len(papers)} claims {verdicts["holds"]} hold,
        {verdicts["holds, restricted"]} hold but for an edge, {verdicts["holds as corrected"]} hold
        once corrected, {verdicts["fails"]} fail, {verdicts["open"]} are open; the other
        {len(chosen) - len(papers)} are new here.""".split()
        )
        in readme
    )
    assert (
        " ".join(
            f"""{faults["substantive"]} substantive errors, {faults["misprint"]} misprints,
        {faults["may be the text's extraction"]} that may be the text's extraction alone, and
        {faults["wording"]} of wording""".split()
        )
        in page
    )
