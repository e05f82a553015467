"""Text of docstrings and claims as MyST markdown."""

from __future__ import annotations

import re

_SPANS = re.compile(
    r"``(?P<literal>.+?)``"
    r"|:math:`(?P<math>[^`]+)`"
    r"|:\w+(?::\w+)?:`(?P<role>[^`]+)`"
    r"|`(?P<code>[^`]+)`",
    re.DOTALL,
)
_SPECIAL = re.compile(r"([\\*_\[\]{}<>#$|~^])")


def escaped(text: str) -> str:
    """Escape what Markdown would read as markup."""
    return _SPECIAL.sub(r"\\\1", text)


def code(text: str) -> str:
    """Write a text as code, also where it stands in a table."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def markdown(text: str) -> str:
    """Turn paragraphs in reStructuredText into Markdown, each on one line."""
    made, last = "", 0
    for found in _SPANS.finditer(text):
        made += escaped(text[last : found.start()])
        if found["math"]:
            made += f"${found['math']}$"
        elif found["role"]:
            name = found["role"]
            made += code(name[1:].rpartition(".")[2] if name.startswith("~") else name)
        else:
            made += code(found["literal"] or found["code"])
        last = found.end()
    made += escaped(text[last:])
    return "\n\n".join(" ".join(part.split()) for part in made.split("\n\n"))


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Write a table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(' '.join(c.split()) for c in line)} |" for line in lines)
