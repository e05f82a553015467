"""Execute the notebooks' texts, and keep them with their output as .ipynb beside: make notebooks.

No kernel is needed: cells run one after the other in this process, each notebook in a namespace of
its own. What is kept is what Jupyter would show, without anything of the machine it ran on.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import io
import os
import re
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from matplotlib.figure import Figure
from PIL import Image

HERE = Path(__file__).parent
DPI, COLOURS = 100, 128  # of pictures: sharp on a page of 900 pixels, and small


def run(source: str, where: str, namespace: dict[str, Any]) -> object:
    """Execute a cell as IPython does, and return the value of its last expression.

    Magics are left out: they tell Jupyter how to show pictures, and compute nothing.
    """
    tree = ast.parse(re.sub(r"^%.*$", "", source, flags=re.MULTILINE), where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec", dont_inherit=True), namespace)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), where, "eval", dont_inherit=True), namespace)


def shown(value: object) -> dict[str, str]:
    """Return what a page shows of a value, by kind of content."""
    if isinstance(value, Figure):
        return {"image/png": picture(value)}
    data = {"text/plain": repr(value)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_()
    return data


def picture(figure: Figure) -> str:
    """Return a figure as a PNG with a palette, which takes a third of the room."""
    drawn, out = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    full = Image.open(drawn).convert("RGB")
    full.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "png", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def outputs(source: str, where: str, namespace: dict[str, Any], count: int) -> list[Any]:
    """Execute a cell, and return its outputs as a notebook keeps them."""
    new, said = nbformat.v4.new_output, io.StringIO()
    with contextlib.redirect_stdout(said):
        value = run(source, where, namespace)
    found = [new("stream", name="stdout", text=said.getvalue())] if said.getvalue() else []
    if value is not None:
        found.append(new("execute_result", data=shown(value), execution_count=count))
    return found


def executed(text: Path) -> Any:
    """Return a notebook with its output."""
    notebook = jupytext.read(text)
    kernel = dict(notebook.metadata["kernelspec"])
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": kernel, "language_info": {"name": "python"}}
    )
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for at, cell in enumerate(notebook.cells):
        cell.id = f"cell-{at}"  # drawn at random otherwise, so that every execution would differ
        if cell.cell_type == "code":
            count += 1
            cell.outputs = outputs(cell.source, f"{text.name}, cell {at}", namespace, count)
            cell.execution_count = count
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of notebooks; none: all of them")
    names = parser.parse_args().names or sorted(path.stem for path in HERE.glob("*.md"))
    os.chdir(HERE)  # as in Jupyter, so that ../runs is found
    for name in names:
        start, out = time.process_time(), HERE / f"{name}.ipynb"
        notebook = executed(HERE / f"{name}.md")
        nbformat.validate(notebook)
        nbformat.write(notebook, out)
        size, seconds = out.stat().st_size / 1000, time.process_time() - start
        print(f"{out.name}: {size:.0f} kB, {seconds:.0f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
