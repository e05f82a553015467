"""One thing has one name: retired names do not come back, and no two classes share one."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from tests.test_package import PACKAGE, ROOT, tracked_texts

# name: where it is not meant
RETIRED = {
    r"(?<![a-zA-Z])[Ee]ntit(y|ies)(?![a-zA-Z])": "models, model",
    r"theory\.diversity|theory import diversity": "theory.ecosystem",
    r"--entities|--fits\b|--fraction\b": "--models, --generations, --read-share",
    r"\b(RunBench|open_bench|llm\.bench|llm\.stage|llm\.settings)\b": "RunResources, Generation",
    r"\bclass (Bench|Stage|Setting|System|State|Moments)\b": "its own",
    r"\b(InteractiveRun|SingleRun|SegmentedRun|EvolutionRun|WebRun|RemediesRun)\b": "...Config",
    r"\bregression\.(Workflow|Training|Moments)\b": "RegressionWorkflow, ...",
}
# what the papers print, records of what was measured, and the licence keep their words
KEPT = (
    # what says that a file or a setting is of an earlier version
    "commensal/llm/config/_spelling.py",
    "tests/llm/test_registry.py",
    "tests/sweep/test_regression.py",
    "LICENSE",
    "docs/glossary.md",
    "tests/test_names.py",
    "CHANGELOG.md",
    "commensal/pairing/_published.py",
)
KEPT_FOLDERS = ("benchmarks/results/", "tests/reference/")


@pytest.mark.parametrize("retired", RETIRED)
def test_a_retired_name_does_not_come_back(retired: str) -> None:
    found = [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}"
        for name, text in tracked_texts().items()
        if name not in KEPT and not name.startswith(KEPT_FOLDERS) and not name.endswith(".csv")
        for hit in re.finditer(retired, text)
    ]
    assert not found, f"say {RETIRED[retired]}: {found[:10]}"


def test_no_two_classes_share_a_name() -> None:
    names = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_glossary_knows_every_process_and_workflow() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    processes = {p.name for p in (PACKAGE / "sims").iterdir() if p.is_dir() and p.name[0] != "_"}
    missing = {name for name in processes if f"`{name}`" not in text}
    for name in ("alpha", "beta", "models", "memory", "read_share", "generations", "human_share"):
        missing |= {name} - set(re.findall(r"`(\w+)`", text))
    assert missing == set()
