"""Write an audit to a folder: the page, the answers, the tables and the picture."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from commensal import page, plots
from commensal.llm.records.branch import parquet
from commensal.saving import write
from commensal.texts.auditing._audit import Audit

_CAPTION = (
    "Left: which share of human words, by their frequency, the audited corpus and another human "
    "sample use, and the survival law. Right: differences of all indices from the reference; what "
    "lies in the grey band cannot be told from none."
)


def write_audit(found: Audit, folder: str | Path, made_by: str = "") -> list[Path]:
    """Write an audit to a folder, which is made if need be.

    Parameters
    ----------
    found : Audit
        What :func:`~commensal.texts.audit` found.
    folder : str or Path
        Folder for ``report.html``, ``answers.json``, ``indices.parquet``, ``survival.parquet`` and
        ``audit.png``.
    made_by : str
        Command that made it.

    Returns
    -------
    list of Path
        Files, each of which is whole.

    Raises
    ------
    Unsaved
        If they cannot be written.
    """
    folder = Path(folder)
    drawn = figure_of(found)
    image = io.BytesIO()
    drawn.savefig(image, format="png")
    content = {
        "indices.parquet": parquet(found.table),
        "survival.parquet": parquet(found.survival),
        "audit.png": image.getvalue(),
    }
    files = found.answers.write(folder, {_CAPTION: drawn}, _parts(found), made_by)
    for name, data in content.items():
        write(folder / name, data)
    return [*files, *(folder / name for name in content)]


def figure_of(found: Audit) -> Figure:
    """Draw an audit against its reference."""
    mine: Any = found.table[found.table["role"] == "reference"]
    return plots.corpus_audit(mine.reset_index(drop=True), found.survival)


def _parts(found: Audit) -> list[page.Part]:
    tables = [
        page.Table(
            ["index", "what it measures", "audited", str(other), "difference", "interval", "p", ""],
            [_row(row) for row in table.to_dict("records")],
            numbers=(2, 3, 4, 6),
        )
        for other, table in found.table.groupby("compared_with", sort=False)
    ]
    told = page.Prose(
        "Intervals hold for all indices together, and p is adjusted for all tests of the audit. "
        "Retention is a ratio to human text: 1 where nothing is lost.",
        "soft",
    )
    parts: list[page.Part] = [page.Section("indices", "Indices", [told, *tables])]
    if found.alarms:
        alarms = [page.Prose(f"Fails: {line}", "alarm") for line in found.alarms]
        parts.insert(0, page.Section("alarms", "Conditions that are met", alarms))
    if len(found.phrases):
        rows = [
            [row["phrase"], f"{row['documents']:.1%}", f"{row['in_reference']:.1%}", row["example"]]
            for row in found.phrases.to_dict("records")
        ]
        headings = ["phrase", "of audited documents", "of the reference's", "example"]
        table = page.Table(headings, rows, numbers=(1, 2))
        parts.append(page.Section("phrases", "Over-represented phrases", [table]))
    return parts


def _row(row: dict[str, object]) -> list[str | page.Cell]:
    colours = {"narrower": "bad", "wider": "open", "different": "open"}
    verdict = str(row["verdict"])
    kind = colours.get(verdict, "soft")
    return [
        str(row["index"]),
        page.Cell(str(row["says"]), "soft"),
        number(row["generated"]),
        number(row["reference"]),
        number(row["difference"]),
        f"{number(row['low'])} to {number(row['high'])}",
        number(row["p"], 2),
        page.Cell(verdict, kind),  # pyright: ignore[reportArgumentType]
    ]


def number(value: object, digits: int = 3) -> str:
    """Write a number in few digits, and a dash where there is none.

    Examples
    --------
    >>> number(0.12345), number(float("nan")), number(12345.6)
    ('0.123', '–', '12,346')
    """
    x = float(str(value))
    if math.isnan(x):
        return "–"
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.{digits}g}".replace("-", "−")


def as_text(table: pd.DataFrame) -> str:
    """Write a table of indices for a terminal of 80 columns.

    Returns
    -------
    str
        A line per index, under a heading.
    """
    lines = [f"{'':18}{'audited':>9}{'reference':>11}{'difference, interval':>26}  "]
    for row in table.to_dict("records"):
        interval = f"{number(row['low'], 2)} to {number(row['high'], 2)}"
        lines.append(
            f"{row['index']:18}{number(row['generated']):>9}{number(row['reference']):>11}"
            f"{interval:>26}  {row['verdict'] if row['verdict'] != 'cannot be told' else '–'}"
        )
    return "\n".join(line.rstrip() for line in lines)
