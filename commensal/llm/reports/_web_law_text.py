"""Say in words and in a table whether ‖D‖ of a web falls as its known law says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from commensal.llm.reports._contents import grid
from commensal.llm.reports._intervals import Mean, number
from commensal.llm.reports._web_law import WebLaw
from commensal.page import Table

_PARTS = {
    "read": "what was on the web to be read",
    "learnt": "learning (answers against perfect ones at the same reading)",
    "embedded": "the embedding (embedded answers against their languages)",
}


def law_sentences(laws: Sequence[WebLaw]) -> Iterator[str]:
    """Yield what a run says about its law, at each β and number of models."""
    for law in laws:
        where = f"{law.name}: " if len(laws) > 1 else ""
        many = f"{law.replicates} replicate{'s' * (law.replicates > 1)}"
        told = (
            f"{where}‖D‖_F of the language shares goes to {ratio(law.measured)} of its first value "
            f"({many}, L = {law.responses})"
        )
        found = law.expected
        if found is None:
            yield f"{told}; {law.verdict}."
        else:
            yield (
                f"{told}. Models that follow their law perfectly go to {math.exp(found.ratio):.2f} "
                f"on average, and in 95 % of runs of this size to between "
                f"{math.exp(found.low):.2f} and {math.exp(found.high):.2f}. "
                f"{law.verdict[0].upper()}{law.verdict[1:]}. Power to tell the law from half its "
                f"fall ({math.exp(law.half_fall):.2f}): {law.power:.0%}."
            )
            middle, low, high = found.r2
            enough = (
                f"; {found.r2_needed} replicates would bring its median to 0.5"
                if found.r2_needed and middle < 0.5
                else ""
            )
            yield (
                f"{where}R² over the later half, nothing fitted: {number(law.r2)}. The ceiling, "
                f"that of the law on runs that it has made itself: median {number(middle)}, "
                f"{number(low)} to {number(high)} in 95 % of runs of this size{enough}."
            )
        yield f"{where}{_causes(law)}"
        yield (
            f"{where}Answers' shares follow those taught with slope {law.slope.value:.2f}"
            f"{_interval(law.slope.low, law.slope.high)} on held-out prompts (1: as taught) and "
            f"miss them by {law.error:.3f} (root mean square), on the prompts of the run by "
            f"{law.error_in_run:.3f}."
        )


def _causes(law: WebLaw) -> str:
    parts = {name: part for name, part in law.parts.items() if math.isfinite(part.value)}
    listed = "; ".join(f"{_PARTS[name]} × {ratio(part)}" for name, part in parts.items())
    told = [_PARTS[name].split(" (")[0] for name, part in parts.items() if part.sign]
    if any(not math.isfinite(part.low) for part in parts.values()):
        verdict = "one replicate cannot tell which of them is more than chance"
    else:
        verdict = f"beyond chance: {' and '.join(told) if told else 'none of them'}"
    return (
        "Where last / first of the embedded answers departs from the law, as factors: "
        f"{listed}; {verdict}."
    )


def law_tables(laws: Sequence[WebLaw]) -> list[Table]:
    """Make a table of last over first, from the law to the embedding, with and without noise."""
    rows = []
    for law in laws:
        where = f", {law.name}" if len(laws) > 1 else ""
        found = law.expected
        if found is not None:
            seen = f"{math.exp(found.ratio):.2f}"
            span = f"{math.exp(found.low):.2f} to {math.exp(found.high):.2f}"
            cells = [f"{seen} ({span})", f"{math.exp(found.noiseless):.2f}"]
            rows.append((f"law, simulated{where}", [(cell, "") for cell in cells]))
        for name, with_noise, without in (
            ("perfect answers to what was read", law.taught, None),
            ("answers, as language shares", law.measured, law.noiseless),
            ("answers, embedded", law.embedded, law.embedded_noiseless),
        ):
            cells = [ratio(with_noise), "—" if without is None else ratio(without)]
            rows.append((f"{name}{where}", [(cell, "") for cell in cells]))
    caption = (
        "‖D‖_F, last over first. In square brackets 95 % intervals over replicates; of the law, "
        "the middle 95 % of runs of this size. Without noise: the variance of L responses taken "
        "off, all replicates together."
    )
    columns = ["seen through L responses", "without their noise"]
    return [grid(caption, columns, rows)] if rows else []


def ratio(log: Mean) -> str:
    """Write a mean logarithm as a ratio with its interval.

    Examples
    --------
    >>> ratio(Mean(0.0, -0.1, 0.1)), ratio(Mean(0.0, math.nan, math.nan))
    ('1.00 [0.90, 1.11]', '1.00')
    """
    if not math.isfinite(log.value):
        return "not known"
    return f"{math.exp(log.value):.2f}{_interval(*(math.exp(v) for v in (log.low, log.high)))}"


def _interval(low: float, high: float) -> str:
    return f" [{low:.2f}, {high:.2f}]" if math.isfinite(low) else ""


def law_table(laws: Sequence[WebLaw]) -> pd.DataFrame:
    """Make a table for :func:`~commensal.llm.reports.plots_web.llm_web_law`.

    Columns ``point``, ``generation``, ``measured``, ``noise``, and ``law``, ``low``, ``high``,
    which are NaN where the law is not known.
    """
    parts = []
    for law in laws:
        middle = np.full((3, len(law.norms)), np.nan)
        if law.expected is not None:
            middle = law.expected.norms
        names = ("law", "low", "high")
        columns: dict[str, Any] = {
            "point": law.name,
            "generation": np.arange(len(law.norms)),
            "measured": law.norms,
            "noise": law.noise,
            **dict(zip(names, middle, strict=True)),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
