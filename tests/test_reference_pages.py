"""Pages of the reference have every public name once, and links to claims lead to claims."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from importlib import import_module

import pytest

from commensal import claims
from tests.test_package import ROOT

# Modules of errors, which are public by what raises them.
ERRORS = {f"commensal.{name}" for name in ("llm.records.directory", "llm.session", "saving")}
ERRORS |= {"commensal.llm.web.patience"}

REFERENCE = ROOT / "docs" / "reference"
OBJECTS = re.compile(r"^```\{objects\} (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def listed(text: str) -> Counter[tuple[str, str]]:
    """Count the names that a page gives entries, as (module, name)."""
    return Counter(
        (module, name) for module, names in OBJECTS.findall(text) for name in names.split()
    )


PAGES = {
    page.name: page.read_text(encoding="utf-8")
    for page in sorted(REFERENCE.glob("*.md"))
    if "{objects}" in page.read_text(encoding="utf-8")
}


@pytest.mark.parametrize("page", PAGES)
def test_every_public_name_has_one_entry(page: str) -> None:
    found = listed(PAGES[page])
    (modules,) = re.findall(r"^```\{overview\} (.+)$", PAGES[page], re.MULTILINE)
    public = Counter(
        (module, name)
        for module in modules.split()
        for name in import_module(module).__all__
        if not inspect.ismodule(getattr(import_module(module), name))
    )
    assert {name: found[name] for name in public} == public
    others = {module for module, _ in found} - set(modules.split())
    assert others <= ERRORS


def test_names_are_read() -> None:
    text = "```{objects} commensal.designs\ngaussian truth\n```\n"
    assert set(listed(text)) == {("commensal.designs", "gaussian"), ("commensal.designs", "truth")}


def test_every_public_module_has_a_page() -> None:
    parts = ["designs", "explore", "pairing", "plots", "claims", "sweep", "llm"]
    for group in ("theory", "sims"):
        parts += [f"{group}.{name}" for name in import_module(f"commensal.{group}").__all__]
    documented = {module for text in PAGES.values() for module, _ in listed(text)}
    assert {f"commensal.{part}" for part in parts} <= documented


LINK = re.compile(r'(?:claims\.(?:html|md)|href=")#([a-z]+\.\w+)')


def test_links_to_claims_lead_to_claims() -> None:
    known = {claim.id for claim in claims.all_claims()}
    texts = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md")]
    found = {name for text in texts for name in LINK.findall(text)}
    assert found
    assert found <= known
