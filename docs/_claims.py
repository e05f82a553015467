"""The page of all claims: statement, formula and recorded verdict of each, with filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import get_args

from _markdown import markdown, table

from commensal.claims import (
    PREMISES,
    SYMBOLS,
    Claim,
    Fault,
    Paper,
    Verdict,
    all_claims,
    premises_in_words,
)
from commensal.claims._report import TITLES

# what the words in the filters are called
_FILTERS = ("paper", "verdict", "premises", "fault", "doubt")


def text() -> str:
    """Write counts, filters and all claims."""
    claims = all_claims()
    parts = [_counts(claims), _faults(claims), *_premises(claims), _form(claims)]
    return "\n\n".join([*parts, *_papers(claims), _SCRIPT])


def _counts(claims: tuple[Claim, ...]) -> str:
    rows = []
    for paper in get_args(Paper):
        counted = Counter(claim.verdict for claim in claims if claim.paper == paper)
        numbers = [str(counted[verdict] or "–") for verdict in get_args(Verdict)]
        rows.append([f"[{TITLES[paper]}](#claims-{paper})", *numbers, str(counted.total())])
    heads = [f"{SYMBOLS[verdict]} {verdict}" for verdict in get_args(Verdict)]
    return table(["claims of", *heads, "all"], rows)


def _faults(claims: tuple[Claim, ...]) -> str:
    solid = Counter(claim.fault for claim in claims if claim.fault and claim.doubt == "solid")
    other = sum(bool(claim.fault) for claim in claims) - solid.total()
    told = ", ".join(f"{solid[kind]} {kind}" for kind in get_args(Fault) if kind)
    return (
        f"Errors found in the papers: {told}; {other} more that may be the text's extraction "
        "alone. An error that comes back in another claim counts once."
    )


def _premises(claims: tuple[Claim, ...]) -> Iterator[str]:
    """Write the registry of premises, and how many claims rest on each."""
    rest, broke = (
        Counter(name for claim in claims for name in getattr(claim, field))
        for field in ("premises", "breaks")
    )
    rows = [
        [name, markdown(said), str(rest[name]), str(broke[name] or "–")]
        for name, said in PREMISES.items()
    ]
    yield "<details><summary>All premises</summary>"
    yield table(["premise", "", "claims that rest on it", "fail without it"], rows)
    yield "</details>"


def _values(claim: Claim, name: str) -> tuple[str, ...]:
    value = getattr(claim, name)
    return value if isinstance(value, tuple) else (value,) if value else ()


def _form(claims: tuple[Claim, ...]) -> str:
    boxes = []
    for name in _FILTERS:
        values = dict.fromkeys(value for claim in claims for value in _values(claim, name))
        options = "".join(f"<option>{escape(value)}</option>" for value in values)
        boxes.append(
            f'<label>{name} <select name="{name}"><option value="">any</option>{options}</select>'
            "</label>"
        )
    search = '<label>words <input type="search" name="words" placeholder="in any part"></label>'
    return (
        f'<form class="claims-filter" hidden>{search}{"".join(boxes)}'
        '<output aria-live="polite"></output></form>'
    )


def _papers(claims: tuple[Claim, ...]) -> Iterator[str]:
    for paper in get_args(Paper):
        yield f"(claims-{paper})="
        yield f"## {TITLES[paper]}"
        for claim in claims:
            if claim.paper == paper:
                yield from _claim(claim)


def _claim(claim: Claim) -> Iterator[str]:
    known = "".join(f' data-{n}="{escape("|".join(_values(claim, n)))}"' for n in _FILTERS)
    mark = f'<span title="{escape(claim.verdict)}">{SYMBOLS[claim.verdict]}</span>'
    yield f'<details class="claim" id="{escape(claim.id)}"{known}><summary>{mark}'
    yield markdown(claim.statement)
    yield "</summary>"
    proof = "proof open" if claim.proof == "open" else claim.proof
    where = markdown(claim.where)
    yield f"**{claim.verdict}** · {where} · {claim.kind} check · {proof} · `{claim.id}`"
    changed = claim.correction or claim.restriction
    if claim.reading:
        yield f"**Our reading:** {markdown(claim.reading)}"
    if claim.latex:
        if changed:
            yield "As printed:"
        yield f"```{{math}}\n{claim.latex}\n```"
    if claim.correction:
        yield f"**Corrected:** {markdown(claim.correction)}"
    if claim.restriction:
        yield f"**Restricted:** {markdown(claim.restriction)}"
    if claim.correction_latex:
        yield f"```{{math}}\n{claim.correction_latex}\n```"
    if claim.fault:
        yield f"**Found:** {claim.fault}; {claim.doubt}"
    if claim.repeats:
        link = f'<a href="#{escape(claim.repeats)}">{escape(claim.repeats)}</a>'
        yield f"**Found:** the error of {link}"
    if claim.remark:
        yield markdown(claim.remark)
    yield from map(markdown, premises_in_words(claim))
    yield f"Check it: `commensal check --id {claim.id}`"
    yield "</details>"


_SCRIPT = """\
<script>
(() => {
  const form = document.querySelector("form.claims-filter");
  const claims = [...document.querySelectorAll("details.claim")];
  const texts = claims.map((claim) => (claim.id + " " + claim.textContent).toLowerCase());
  const said = form.querySelector("output");
  const show = () => {
    const asked = Object.fromEntries(new FormData(form));
    const words = asked.words.toLowerCase().split(/\\s+/).filter(Boolean);
    let shown = 0;
    claims.forEach((claim, i) => {
      const fits = Object.entries(asked).every(
        ([name, value]) =>
          name === "words" || !value || claim.dataset[name].split("|").includes(value));
      claim.hidden = !(fits && words.every((word) => texts[i].includes(word)));
      shown += !claim.hidden;
    });
    said.textContent = `${shown} of ${claims.length} claims`;
  };
  const open = () => {
    const asked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (asked && asked.matches("details.claim")) {
      asked.hidden = false;
      asked.open = true;
      asked.scrollIntoView();
    }
  };
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", open);
  show();
  open();
})();
</script>"""
