"""What a run can see with its replicates, from a pilot. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from commensal.llm.reports import contents_of
from commensal.llm.reports._power import least_difference, replicates_needed
from commensal.llm.reports._reading import read_run
from commensal.llm.reports._verdicts import Found


def power_of(folder: str | Path, replicates: int) -> pd.DataFrame:
    """Say what differences a run could see with so many replicates, by the scatter of a pilot.

    Parameters
    ----------
    folder : str or Path
        Folder of the pilot: a run with the same settings and two replicates or more.
    replicates : int
        Number of replicates of the run that is planned, two or more.

    Returns
    -------
    pandas.DataFrame
        A row for each place of each finding that is judged by an interval: ``finding``, ``where``,
        ``mean`` and ``sd`` over the pilot's replicates, ``seen`` (the least true difference that is
        told with a power of 80 %, corrected for the places of the finding), and ``needed`` (the
        number of replicates that would tell the pilot's mean from zero; missing if more than
        10,000).

    Raises
    ------
    ValueError
        If the folder holds no run, the pilot has one replicate, or nothing in it is judged by an
        interval.
    """
    if replicates < 2:
        raise ValueError(f"replicates must be at least 2, got {replicates}")
    found = _rows(contents_of(read_run(Path(folder))).found, replicates)
    if found.empty:
        raise ValueError(
            f"{str(folder)!r} has no finding with two finished replicates or more to learn the "
            "scatter from; run a pilot with --set replicates=3"
        )
    return found


def _rows(found: Sequence[Found], replicates: int) -> pd.DataFrame:
    rows = []
    for one in found:
        level = 0.05 / max(len(one.instances), 1)
        for instance in one.instances:
            values = np.array(instance.each)
            if values.size < 2 or not np.isfinite(values).all():
                continue
            mean, sd = float(values.mean()), float(values.std(ddof=1))
            seen = least_difference(sd, replicates, level=level)
            needed = replicates_needed(mean, sd, level=level) if mean and sd else None
            rows.append((one.id, instance.where, mean, sd, seen, needed))
    columns = ["finding", "where", "mean", "sd", "seen", "needed"]
    return pd.DataFrame(rows, columns=columns).astype({"needed": "Int64"})


def power_text(found: pd.DataFrame, replicates: int) -> str:
    """Write the table of :func:`power_of` with what it says."""
    shown = found.assign(
        mean=found["mean"].map("{:+.3g}".format), sd=found["sd"].map("{:.3g}".format),
        seen=found["seen"].map(lambda v: "never" if math.isinf(v) else f"{v:.3g}"),
        needed=found["needed"].map(lambda n: "> 10,000" if pd.isna(n) else f"{n:,}"),
    )  # fmt: skip
    enough = sum(n <= replicates for n in found["needed"].dropna().tolist())
    return (
        f"With {replicates} replicates a difference of 'seen' is told in four runs of five; by the "
        f"pilot's means {enough} of {len(found)} would be.\n\n{shown.to_string(index=False)}\n"
    )
