"""The tables of benchmarks/results on one page."""

from __future__ import annotations

import re
from pathlib import Path

_RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def text() -> str:
    """Write all results, each as a section that ends with the command that measures it."""
    parts = []
    for path in sorted(_RESULTS.glob("*.md")):
        result = re.sub(r"^#", "##", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        parts += [result.strip(), f"Measured by `python -m benchmarks.{path.stem}`."]
    return "\n\n".join(parts)
