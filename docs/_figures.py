"""Pages of ``figures/`` by sphinx-gallery, with the pictures and sentences that are kept there.

To draw all of them takes minutes, so a build of the documentation runs none of the scripts. Each
has left its picture and, beside it, the sentence that it printed (``figures/NAME.txt``). The
pictures go to where sphinx-gallery looks for what a script has drawn, and it makes thumbnails,
pages and links of them as if it had run the script.
"""

from __future__ import annotations

import ast
import base64
import re
import shutil
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGES = DOCS / "gallery" / "scripts"
# Pictures of points that a run's table does not keep: its report does. Run, alternative text.
OF_REPORTS = {
    "interactive_fig3": ("demo", "What the models write, as points, β = 0.5"),
    "pollination_fig10": ("evolution", "What the models write, as points"),
    "webdynamics_fig3": ("web", "Responses as points, β = 0.5"),
    "diversity_fig5": ("segmented", "Distribution of perplexities"),
}


def scripts() -> list[Path]:
    """List the scripts that draw a figure each."""
    return sorted((ROOT / "figures").glob("[!_]*.py"))


def title(script: Path) -> str:
    """Return what a script draws: the first line of its docstring."""
    described = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    if described is None:
        raise ValueError(f"{script.name} has no docstring to take a title from")
    return described.splitlines()[0]


def sentence(script: Path) -> str:
    """Return what a script printed when it drew the picture that is kept; empty if unknown."""
    told = script.with_suffix(".txt")
    return told.read_text(encoding="utf-8").strip() if told.exists() else ""


def reported(run: str, alternative: str) -> bytes:
    """Return one picture of a run's report, by its alternative text."""
    page = (ROOT / "runs" / run / "report.html").read_text(encoding="utf-8")
    start = re.escape(f'alt="{alternative}" src="data:image/webp;base64,')
    found = re.search(rf'{start}([^"]+)"', page)
    if found is None:
        raise ValueError(f"the report of runs/{run} has no picture {alternative!r}")
    return base64.b64decode(found[1])


def place_pictures(app: Sphinx) -> None:
    """Copy the pictures to where sphinx-gallery, which comes next, keeps those that it draws."""
    shutil.rmtree(PAGES, ignore_errors=True)  # pages of scripts that are gone, old thumbnails
    (PAGES / "images").mkdir(parents=True)
    for script in scripts():
        drawn = PAGES / "images" / f"sphx_glr_{script.stem}_001.png"
        shutil.copy2(script.with_suffix(".png"), drawn)
    for name, (run, alternative) in OF_REPORTS.items():
        (PAGES / "images" / f"{name}.webp").write_bytes(reported(run, alternative))


def complete_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put heading, picture and sentence in the place of the docstring's first line.

    What leads to the end of a page, and offers the script for download there, is left out: a script
    needs the others of its folder.
    """
    script = ROOT / "figures" / f"{Path(docname).name}.py"
    if Path(docname).parent != Path("gallery/scripts") or not script.exists():
        return
    line = title(script)
    heading = line.rstrip(".")
    text = [
        heading,
        "=" * len(heading),
        "",
        f".. image:: images/sphx_glr_{script.stem}_001.png",
        f"   :alt: {heading.replace('`', '')}",
        "",
        re.sub(r"([*`|_\\])", r"\\\1", sentence(script)),
        "",
        f"Draw it again, and print its numbers, with ``python figures/{script.name}``:",
    ]
    mark = ".. rst-class:: sphx-glr-example-title"
    body = source[0].partition(mark)[2].partition(".. _sphx_glr_download_")[0]
    source[0] = mark + body.replace(line, "\n".join(text), 1)


class Drawn(SphinxDirective):
    """A kept picture with what its script said of it: ``{drawn} NAME``, and an ``:alt:``."""

    required_arguments = 1
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        caption = nodes.caption()
        if name in OF_REPORTS:
            image = f"{name}.webp"
            caption += nodes.Text("From the report of the run ")
            caption += nodes.literal("", f"runs/{OF_REPORTS[name][0]}")
            caption += nodes.Text("; its table does not keep these points.")
        else:
            image = f"sphx_glr_{name}_001.png"
            page = f"/gallery/scripts/{name}"
            link = addnodes.pending_xref(
                "", refdomain="std", reftype="doc", reftarget=page, refexplicit=True, refwarn=True
            )
            link += nodes.inline("", f"{name}.py")
            told = sentence(ROOT / "figures" / f"{name}.py")
            caption += [nodes.Text(f"{told} " if told else "Drawn by "), link]
        shown = nodes.image(uri=f"/gallery/scripts/images/{image}", alt=self.options["alt"])
        figure = nodes.figure("", shown, caption)
        self.set_source_info(figure)
        return [figure]


def setup(app: Sphinx) -> dict[str, bool]:
    """Come before sphinx-gallery, which reads the scripts at a priority of 500."""
    app.connect("builder-inited", place_pictures, priority=400)
    app.connect("source-read", complete_page)
    app.add_directive("drawn", Drawn)
    app.add_css_file("gallery.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
