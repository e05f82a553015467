"""What importing commensal does, and which of its parts may know of which."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jaxtyping import TypeCheckError

import commensal
from commensal import designs

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "commensal"


def test_version_is_the_installed_one() -> None:
    assert isinstance(commensal.__version__, str)
    assert commensal.__version__ == importlib.metadata.version("commensal")


def test_annotations_are_checked_in_tests() -> None:
    with pytest.raises(TypeCheckError):
        designs.truth("3")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("module", ["commensal", "commensal.theory.regression"])
def test_import_leaves_the_session_alone(module: str, tmp_path: Path) -> None:
    # Stand-ins, so that an import would be seen whether or not the real ones are installed.
    for name in ("torch", "transformers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    program = f"""
import sys
import {module}
import jax
assert not {{"torch", "transformers"}} & set(sys.modules), "torch or transformers was imported"
assert jax.config.jax_enable_x64 is False, "64-bit arithmetic was switched on"
"""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    search_path = [str(tmp_path), environment.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, search_path))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def imports(module: str, source: str, is_package: bool) -> set[str]:
    """Full names of everything that a module's source imports, wherever in it that happens."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                above = here[: len(here) - node.level + is_package]
                base = ".".join([*above, *filter(None, [node.module])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def import_graph() -> dict[str, set[str]]:
    """Of each module of commensal, what it imports (modules, and names within them)."""
    graph = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        graph[module] = imports(module, path.read_text(encoding="utf-8"), is_package)
    return graph


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def routes(graph: dict[str, set[str]], source: str, target: str) -> list[str]:
    """Chains of imports by which a module of ``source`` reaches one of ``target``."""
    pending = [(module, module) for module in graph if within(module, source)]
    seen = {module for module, _ in pending}
    found = []
    while pending:
        module, route = pending.pop()
        for name in sorted(graph[module]):
            if within(name, target):
                found.append(f"{route} -> {name}")
            # commensal itself is above every module; what it re-exports is nobody's dependency
            elif name in graph and name not in seen and name != "commensal":
                seen.add(name)
                pending.append((name, f"{route} -> {name}"))
    return found


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("theory", "sims"),
        ("sims", "theory"),
        ("llm", "theory"),
        ("llm", "sims"),
    ],
)
def test_parts_stay_independent(source: str, target: str) -> None:
    graph = import_graph()
    assert "commensal.theory.regression" in graph
    assert routes(graph, f"commensal.{source}", f"commensal.{target}") == []


def test_independence_test_sees_what_it_should() -> None:
    assert imports("a.b.c", "from . import d", is_package=False) == {"a.b", "a.b.d"}
    assert imports("a.b", "from .d import e", is_package=True) == {"a.b.d", "a.b.d.e"}
    assert imports("a.b.c", "from ..d import e", is_package=False) == {"a.d", "a.d.e"}
    graph = {
        "commensal.theory.x": imports("", "from commensal import plots", is_package=False),
        "commensal.plots": imports("", "def f():\n import commensal.sims.y", is_package=False),
    }
    assert routes(graph, "commensal.theory", "commensal.sims") == [
        "commensal.theory.x -> commensal.plots -> commensal.sims.y"
    ]
    assert routes(graph, "commensal.sims", "commensal.theory") == []


def runtime_imports() -> dict[str, set[str]]:
    """Of each module, which other modules it needs when it is imported or runs, but for types."""
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph: dict[str, set[str]] = {}
    for module, path in sources.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        needed: set[str] = set()
        for node in ast.walk(tree):
            if id(node) in for_types or not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            if isinstance(node, ast.Import):
                needed |= {alias.name for alias in node.names}
            else:
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                needed |= {name if name in sources else str(node.module) for name in full}
        graph[module] = {name for name in needed if name in sources and name != module}
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other."""
    reached = {}
    for module in graph:
        seen: set[str] = set()
        pending = list(graph[module])
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += graph.get(name, ())
        reached[module] = seen
    groups = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in graph
        if module in reached[module]
    }
    return [list(group) for group in sorted(groups)]


def test_no_circle_of_imports() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles(runtime_imports()) == []


@pytest.mark.parametrize("part", ["plots", "page"])
def test_pictures_and_pages_know_only_what_they_are_handed(part: str) -> None:
    used = {
        name
        for module, names in runtime_imports().items()
        if within(module, f"commensal.{part}")
        for name in names
        if not within(name, f"commensal.{part}")
    }
    assert used == set()


def test_benchmarks_and_figures_need_no_tests() -> None:
    for folder in ("benchmarks", "figures"):
        for path in sorted((ROOT / folder).glob("*.py")):
            found = imports("", path.read_text(encoding="utf-8"), is_package=False)
            assert not [name for name in found if within(name, "tests")], path.name


# Documents that are not in the repository; what it shows must be cited where a reader can find it.
ELSEWHERE = re.compile(
    r"(?<!\w)(?:THEORY|DESIGN|MOVES|BRIEF)\b|\bshared/|\bseeds/|\b[Ii]ssues?\s+#?\d|(?<![\w&])#\d+\b"
)
CITED = re.compile(r"(?<![\w/.-])(?:[\w-]+/)*[A-Z][\w-]*\.(?:md|rst)\b")


def tracked_texts() -> dict[str, str]:
    """Of each file of the repository that is text, but for this one: its content."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: which files belong to the repository is not known")
    found = {}
    for name in filter(None, listed):
        try:
            found[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    del found[Path(__file__).relative_to(ROOT).as_posix()]
    return found


def without_pictures(name: str, text: str) -> str:
    """Pages hold pictures as data, styles with colours, and models such as &#39;."""
    if name.endswith(".html"):
        text = re.sub(r'src="data:[^"]*"|<style>.*?</style>|<svg.*?</svg>', "", text, flags=re.S)
    return text


def test_no_text_cites_a_document_that_is_not_in_the_repository() -> None:
    texts = tracked_texts()
    assert len(texts) > 400
    names = {Path(name).name for name in texts}
    wrong = []
    for name, text in texts.items():
        for number, line in enumerate(without_pictures(name, text).splitlines(), 1):
            cited = [x for x in CITED.findall(line) if Path(x).name not in names | {"FILE.md"}]
            wrong += [f"{name}:{number}: {x}" for x in [*cited, *ELSEWHERE.findall(line)]]
    assert not wrong, "\n".join(wrong)


def test_what_counts_as_citing_a_document_elsewhere() -> None:
    for line in ("as THEORY 1.3 has it", "DESIGN.md", "in ../shared/data", "see issue 4", "(#17)"):
        assert ELSEWHERE.search(line), line
    assert CITED.search("NOTES.md, sec. 2")
    for line in (
        "_MAX_DESIGNS = 400",
        "_DESIGNS, _DIM",
        "&#39;",
        "#0072b2",
        "shared data",
        "norm.pdf",
    ):
        assert not ELSEWHERE.search(line), line
        assert not CITED.search(line), line


def test_claims_stand_where_the_reader_can_look() -> None:
    """Functions that a claim's place names exist, such as ``gaussian.expected_w2``."""
    from commensal import claims, theory
    from commensal.theory import ecosystem, gaussian, mixture, regression, words

    parts = {"regression": regression, "gaussian": gaussian, "mixture": mixture}
    parts |= {"ecosystem": ecosystem, "words": words, "designs": designs, "theory": theory}
    parts["selection"] = theory.selection
    seen = 0
    for claim in claims.all_claims():
        for part, name in re.findall(r"\b([a-z]+)\.([a-z]\w+|[A-Z]\w+)", claim.where):
            if part in parts:
                assert hasattr(parts[part], name), f"{claim.id}: {claim.where}"
                seen += 1
    assert seen > 15
