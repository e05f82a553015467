"""Docstrings: first lines and entries stand alone, and a process says where a paper has it.

An IDE and ``help()`` show a first line, or a parameter's entry, without its context.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "commensal"

# Openings that continue something said before, so that a first line cannot begin with them.
# "How", "Where", "One" and "Whether" are not among them: some first lines need them.
OPENINGS = (
    "Also ",
    "And ",
    "As ",
    "At ",
    "Because ",
    "But ",
    "By ",
    "For ",
    "From ",
    "Hence ",
    "If ",
    "In ",
    "It ",
    "Its ",
    "Likewise",
    "Nor ",
    "Of ",
    "On ",
    "Or ",
    "Over ",
    "So ",
    "That ",
    "The latter",
    "The others",
    "The rest",
    "The same",
    "Their ",
    "Them",
    "These ",
    "They ",
    "This ",
    "Those ",
    "Thus ",
    "Times ",
    "To ",
    "What is ",
    "What it ",
    "Which ",
    "With ",
)

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[str]:
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def nodes(tree: ast.Module) -> Iterator[tuple[str, Documented, bool]]:
    """Yield the module, its classes and functions as (name, node, whether it is public)."""
    yield "module", tree, True
    todo: list[tuple[str, ast.AST, bool]] = [("", tree, True)]
    while todo:
        prefix, parent, shown = todo.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                public = shown and not node.name.startswith("_")
                yield prefix + node.name, node, public
                # what a function defines inside it is nobody else's
                inside = public and isinstance(node, ast.ClassDef)
                todo.append((f"{prefix}{node.name}.", node, inside))


def attributes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the text below each assignment of a module or class, with what it describes."""
    for parent in (n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef)):
        for before, node in zip(parent.body, parent.body[1:], strict=False):
            if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(node, ast.Expr):
                value = node.value
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    target = before.targets[0] if isinstance(before, ast.Assign) else before.target
                    yield ast.unparse(target), value.value


def first_line(text: str) -> str:
    """Return the first line of a docstring, whole where it is one sentence on several lines."""
    return " ".join(text.strip().partition("\n\n")[0].split())


def faults(tree: ast.Module) -> Iterator[str]:
    for name, node, public in nodes(tree):
        text = ast.get_docstring(node)
        if text is None:
            if public:
                yield f"{name} has no docstring"
        else:
            line = text.partition("\n")[0]
            if not line.endswith("."):
                yield f"{name} does not end its first line with a full stop: {line!r}"
            if line.startswith(OPENINGS):
                yield f"{name} begins in the middle of a sentence: {line!r}"
    for name, text in attributes(tree):
        line = first_line(text)
        if line.startswith(OPENINGS):
            yield f"{name} begins in the middle of a sentence: {line!r}"


@pytest.mark.parametrize("name", modules())
def test_first_lines_stand_alone(name: str) -> None:
    path = PACKAGE / name
    found = list(faults(ast.parse(path.read_text(encoding="utf-8"), name)))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Tools."""\ndef f():\n    """Of a run."""', "f begins in the middle"),
        ('"""Tools."""\ndef f():\n    """Return one"""', "f does not end"),
        ('"""Tools."""\ndef f():\n    pass', "f has no docstring"),
        ('"""Tools."""\nclass A:\n    """Thing."""\n    def f(self):\n        pass', "A.f has no"),
        ('"""Tools."""\nclass A:\n    """Thing."""\n    x: int\n    """Likewise."""', "x begins"),
        ("x = 1", "module has no docstring"),
    ],
)
def test_faults_are_found(source: str, expected: str) -> None:
    (found,) = faults(ast.parse(source))
    assert found.startswith(expected)


def test_what_is_private_needs_no_docstring() -> None:
    source = '"""Tools."""\ndef _f():\n    pass\ndef g():\n    """Return h."""\n    def h(): ...'
    assert list(faults(ast.parse(source))) == []


SECTIONS = ("Parameters", "Returns", "Attributes", "Raises", "Yields")

# Openings of entries that need the sentence before them, or that say a bound of no named thing.
FRAGMENTS = re.compile(
    r"(As |Of |From |With |By |In |See |What |Which |Where |How |Naming |Unless |The same"
    r"|The latter|Their |To be given|\S{1,4} (>=|≥|in|>) |[A-Z]\.|[nkλσ]\.)"
)

# Where the names that a user meets are written.
ENTRIES_OF = (
    "theory",
    "sims",
    "sweep",
    "plots",
    "llm/config",
    "llm/corpora",
    "llm/fingerprint",
    "llm/multiple_choice",
    "llm/_run.py",
    "_features.py",
    "_grams.py",
    "designs.py",
)


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield the entries of a docstring's sections as (what is described, how)."""
    lines, section = text.splitlines(), ""
    for at, line in enumerate(lines):
        if at + 1 < len(lines) and re.fullmatch("-{3,}", lines[at + 1]):
            section = line
        elif section in SECTIONS and line and not line.startswith((" ", "---")):
            following = lines[at + 1] if at + 1 < len(lines) else ""
            yield line, following.strip() if following.startswith("    ") else ""


def fragments(tree: ast.Module) -> Iterator[str]:
    for name, node, public in nodes(tree):
        for entry, said in entries(ast.get_docstring(node) or "") if public else ():
            if FRAGMENTS.match(said):
                yield f"{name} describes {entry!r} by the middle of a sentence: {said!r}"


@pytest.mark.parametrize("name", [n for n in modules() if n.startswith(ENTRIES_OF)])
def test_entries_stand_alone(name: str) -> None:
    path = PACKAGE / name
    found = list(fragments(ast.parse(path.read_text(encoding="utf-8"), name)))
    assert not found, "\n".join(found)


def test_fragments_are_found() -> None:
    of = '"""Tools."""\ndef f(x):\n    """Run.\n\n    Parameters\n    ----------\n    x : int\n'
    for said in ("Of a run.", "T.", "K >= 1.", "As for :func:`g`."):
        (found,) = fragments(ast.parse(f'{of}        {said}\n    """'))
        assert found.startswith("f describes 'x : int'")
    assert list(fragments(ast.parse(f'{of}        Number of generations T.\n    """'))) == []


SOURCE = r".*(`[a-z]+`, (sec|app|eq)\.|arXiv \d{4}\.\d{5})"  # one of the five papers, or another
STEPS = ("init", "step", "observe", "init_populations", "step_populations", "observe_populations")


def test_steps_of_processes_say_where_a_paper_has_them() -> None:
    seen = 0
    for path in (PACKAGE / "sims").rglob("*.py"):
        for name, node, _ in nodes(ast.parse(path.read_text(encoding="utf-8"))):
            if name in STEPS:
                text, seen = ast.get_docstring(node) or "", seen + 1
                _, _, notes = text.partition("Notes\n-----\n")
                assert re.match(SOURCE, " ".join(notes.split())), (
                    path,
                    name,
                )
                refuses = "key : PRNGKeyArray" in text
                assert refuses == ("If ``key`` is not one threefry key" in text), (path, name)
    assert seen == 3 * 7
