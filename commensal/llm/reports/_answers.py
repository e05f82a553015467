"""Report on servers' answers: how many were bad, and which model gave them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from commensal.llm.config import WebConfig
from commensal.llm.reports._contents import grid
from commensal.llm.reports._reading import Reading
from commensal.page import Table

_COLUMNS = {
    "answers": "answers",
    "answers_empty": "empty",
    "answers_refused": "refused",
    "answers_filtered": "filtered",
    "answers_tool_call": "tool call",
    "answers_cut": "cut",
    "left_out": "responses left out",
    "kept_bad": "bad ones used",
}


def answer_tables(run: Reading[WebConfig]) -> list[Table]:
    """Tables of each served model's numbers of answers, over all that is finished."""
    counts = _counts(run)
    if not counts:
        return []
    served = _served(run)
    columns = [name for name in _COLUMNS if any(name in of for of in counts.values())]
    rows = []
    for i, of in counts.items():
        cells = [(f"{of[name]:,.0f}" if name in of else "—", "") for name in columns]
        names = ", ".join(served.get(i, ())) or "not said"
        rows.append((run.config.models[i].shown, [*cells, (names, "")]))
    caption = "Answers of servers, those that were asked for again too"
    return [grid(caption, [*(_COLUMNS[name] for name in columns), "answered by"], rows)]


def answer_leads(run: Reading[WebConfig]) -> Iterator[str]:
    """Yield notes on bad answers, and on answers by another model than was asked for."""
    counts = _counts(run)
    total = sum(of["answers"] for of in counts.values())
    bad = {
        label: sum(of.get(name, 0) for of in counts.values())
        for name, label in _COLUMNS.items()
        if name.startswith("answers_")
    }
    if some := [f"{number:,.0f} {label}" for label, number in bad.items() if number]:
        used = sum(of.get("kept_bad", 0) for of in counts.values())
        out = sum(of.get("left_out", 0) for of in counts.values())
        yield (
            f"{sum(bad.values()):,.0f} of {total:,.0f} answers of servers are bad "
            f"({', '.join(some)}); {out:,.0f} responses are left out, and {used:,.0f} bad ones are "
            "used."
        )
    for i, names in _served(run).items():
        asked = run.config.models[i].asked
        if other := [name for name in names if name != asked]:
            yield f"{asked} was asked for, and {', '.join(other)} has answered."


def _counts(run: Reading[WebConfig]) -> dict[int, dict[str, float]]:
    """Sum counts over grid points and generations, by model."""
    if run.metrics.empty:
        return {}
    here: Any = run.metrics.loc[run.metrics["metric"].isin(_COLUMNS)]
    sums = here.groupby(["model", "metric"])["value"].sum()
    found: dict[int, dict[str, float]] = {}
    for (model, metric), value in sums.items():
        found.setdefault(int(model), {})[metric] = float(value)
    return found


def _served(run: Reading[WebConfig]) -> dict[int, list[str]]:
    """Return the names of the models that servers say have answered, by model, each once."""
    found: dict[int, dict[str, None]] = {}
    for point in run.points:
        branch = run.directory.branch(point.name)
        for t in range(run.reached.get(point.name, -1) + 1):
            for record in branch.samples(t):
                if "answered_by" in record:
                    found.setdefault(record["model"], {})[record["answered_by"]] = None
    return {i: list(names) for i, names in found.items()}
