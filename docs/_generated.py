"""Pages that are made from the code: a comment ``<!-- generated: NAME -->`` stands for the text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import _benchmarks
import _claims
import _commands
import _settings
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

MAKERS: dict[str, Callable[[], str]] = {
    "benchmarks": _benchmarks.text,
    "claims": _claims.text,
    "commands": _commands.text,
    "settings of sweeps and simulations": _settings.of_processes,
    "settings of workflows": _settings.of_workflows,
    "settings of parts": _settings.of_parts,
}
_PLACE = re.compile(r"^<!-- generated: (.+?) -->$", re.MULTILINE)


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put generated text in its place."""
    source[0] = _PLACE.sub(lambda found: MAKERS[found[1]](), source[0])


def made_again(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """List the pages that are made from the code, which may have changed where they have not."""
    return [page for page in env.found_docs if _PLACE.search(_source(app, page))]


def _source(app: Sphinx, page: str) -> str:
    path = Path(app.env.doc2path(page))
    return path.read_text(encoding="utf-8") if path.suffix == ".md" else ""


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-get-outdated", made_again)
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
