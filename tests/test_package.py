"""What importing commensal does, and which of its parts may know of which."""

from __future__ import annotations

import ast
import importlib.metadata
import os
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
