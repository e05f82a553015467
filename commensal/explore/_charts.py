"""Charts and sentences of the explorer's panels, as its page takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from commensal.explore._map import finite


class Series(NamedTuple):
    """One line of a chart, perhaps with a band; numbers that are not finite leave a gap."""

    name: str
    x: Any
    y: Any
    low: Any = None
    """Lower edge of the band."""
    high: Any = None
    points: bool = False
    """Whether points are drawn and no line."""
    beside: int | None = None
    """Place of the line that this one is said of: theory has the colour of what was measured."""

    def record(self) -> dict[str, Any]:
        """Return the line for JSON."""
        numbers = {"x": self.x, "y": self.y, "low": self.low, "high": self.high}
        found = {n: [finite(float(v)) for v in a] for n, a in numbers.items() if a is not None}
        known = {"name": self.name, "points": self.points, "beside": self.beside}
        return known | found


class Chart(NamedTuple):
    """Lines over one axis."""

    title: str
    x: str
    """Label of the horizontal axis."""
    y: str
    series: Sequence[Series]
    log: bool = False
    """Whether the vertical axis is logarithmic."""

    def record(self) -> dict[str, Any]:
        """Return the chart for JSON."""
        return self._asdict() | {"series": [one.record() for one in self.series]}


class View(NamedTuple):
    """What one choice of settings shows: sentences, the first of them in bold, and charts."""

    said: Sequence[str]
    charts: Sequence[Chart]
    command: str = ""
    """Command that computes the same."""
    rows: Sequence[Sequence[str]] = ()
    """Rows of a table, headings first."""

    def record(self) -> dict[str, Any]:
        """Return the panel for JSON.

        >>> line = Series("σ", (0, 1), (1, float("inf")))
        >>> View(("Two.",), [Chart("a", "t", "σ", [line])]).record()["charts"][0]["series"]
        [{'name': 'σ', 'points': False, 'beside': None, 'x': [0.0, 1.0], 'y': [1.0, None]}]
        """
        charts = [one.record() for one in self.charts]
        return self._asdict() | {"said": list(self.said), "charts": charts, "rows": list(self.rows)}
