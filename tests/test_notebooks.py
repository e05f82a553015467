"""Every notebook's text runs from top to bottom, and its executed .ipynb is of the same cells."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NAMES = [
    "diversity",
    "interactive",
    "networks",
    "news",
    "pollination",
    "together",
    "webdynamics",
    "whole",
]
LARGEST = 400_000  # bytes of an .ipynb: they are kept in git
execute = runpy.run_path(str(NOTEBOOKS / "execute.py"))


def cells(path: Path) -> list[tuple[str, str]]:
    """Type and source of each cell."""
    return [(cell.cell_type, cell.source.strip()) for cell in jupytext.read(path).cells]


def kept(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def outputs(name: str) -> list[Any]:
    return [output for cell in kept(name).cells for output in cell.get("outputs", [])]


def test_all_notebooks_are_known() -> None:
    for kind in ("md", "ipynb"):
        assert sorted(path.stem for path in NOTEBOOKS.glob(f"*.{kind}")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMENSAL_NOTEBOOK_SIZE", "small")
    monkeypatch.chdir(NOTEBOOKS)
    found = execute["executed"](NOTEBOOKS / f"{name}.md")
    code = [cell for cell in found.cells if cell.cell_type == "code"]
    # what is shown, and as what, does not depend on the size
    for here, there in zip(
        code, (c for c in kept(name).cells if c.cell_type == "code"), strict=True
    ):
        shown, wanted = (
            [sorted(output.get("data", {"text": ""})) for output in cell.outputs]
            for cell in (here, there)
        )
        assert shown == wanted, here.source


@pytest.mark.parametrize("name", NAMES)
def test_what_was_executed_is_the_text(name: str) -> None:
    """Else ``make notebooks`` has been forgotten."""
    assert cells(NOTEBOOKS / f"{name}.ipynb") == cells(NOTEBOOKS / f"{name}.md")
    counts = [cell.execution_count for cell in kept(name).cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert {output.output_type for output in outputs(name)} == {"stream", "execute_result"}
    assert any("image/png" in output.get("data", {}) for output in outputs(name))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_executed_names_no_machine(name: str) -> None:
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < LARGEST
    assert set(kept(name).metadata) == {"kernelspec", "language_info"}
    texts = [o.get("text", "") + "".join(o.get("data", {}).values()) for o in outputs(name)]
    found = re.findall(
        r"(?<![\w./])/(?:home|work|tmp|root|usr|Users)/|0x[0-9a-f]{6}", "\n".join(texts)
    )
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_every_exercise_has_an_answer(name: str) -> None:
    text = (NOTEBOOKS / f"{name}.md").read_text(encoding="utf-8")
    _, exercises = text.split("\n## Exercises\n")
    asked = re.findall(r"^\*\*\d\.\*\*", exercises, re.MULTILINE)
    given = exercises.count("code_prompt_show: Answer") + exercises.count("<details>")
    assert len(asked) == given >= 2


def test_a_cell_runs_as_in_jupyter() -> None:
    run, names = execute["run"], {"__name__": "__main__"}
    assert run("%matplotlib inline\nx = 2\nx + 1", "here", names) == 3
    assert run("y = x", "here", names) is None
    assert names["y"] == 2
    with pytest.raises(ZeroDivisionError):
        run("x / 0", "here", names)
    said, value = execute["outputs"]("print(x)\nx", "here", names, 1)
    assert (said.text, value.data["text/plain"]) == ("2\n", "2")
