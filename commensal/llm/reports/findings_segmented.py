"""Findings on a segmented run: diversity against collapse, and the parts of the gain.

Paper ``diversity``, sec. 3.1 and 4. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from commensal.llm.reports._verdicts import TIE, Found, Instance, higher, signed

KEYS = ["ecosystem", "M", "D", "replicate"]


def summarise(metrics: pd.DataFrame, generations: int) -> pd.DataFrame:
    """Return one row for each ecosystem that has come to the last generation.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the segmented workflow.
    generations : int
        The last t; there are T = t + 1 iterations.

    Returns
    -------
    pandas.DataFrame
        Columns ``ecosystem``, ``M``, ``D``, ``replicate``; ``first`` and ``last`` (μ_t at both
        ends), ``overall`` (μ_T, eq. (4): the mean over all iterations, the one on real data, t =
        0, among them), ``slope`` (of the least-squares line through the later half of μ_t, per
        iteration); and of the real blocks ``mean_first``, ``mean_last``, ``sd_first``,
        ``sd_last``, ``log_sd_first``, ``log_sd_last``. μ and sd are perplexities.
    """
    found = []
    if not metrics.empty and "ecosystem" in metrics:
        here = metrics.loc[metrics["metric"].isin(("mu", "train_mu", "train_sd", "train_log_sd"))]
        for key, part in here.groupby(KEYS, sort=False):
            wide = part.pivot_table("value", "generation", "metric", dropna=False)
            wide = wide.where(np.isfinite(wide))
            if generations not in wide.index or len(wide) <= generations:
                continue
            mu = wide["mu"].to_numpy(float)
            row = dict(zip(KEYS, key, strict=True))  # pyright: ignore[reportArgumentType]
            row |= {"first": mu[0], "last": mu[-1], "overall": mu.mean(), "slope": late_slope(mu)}
            names = {"train_mu": "mean", "train_sd": "sd", "train_log_sd": "log_sd"}
            for metric, name in names.items():
                row[f"{name}_first"] = wide.loc[0, metric]
                row[f"{name}_last"] = wide.loc[generations, metric]
            found.append(row)
    return pd.DataFrame(found)


def late_slope(values: np.ndarray) -> float:
    """Slope of the least-squares line through the later half; NaN of fewer than two values.

    Examples
    --------
    >>> print(f"{late_slope(np.array([9.0, 5.0, 1.0, 2.0])):.3f}")
    1.000
    """
    late = values[len(values) // 2 :] if len(values) > 2 else values
    if len(late) < 2 or not np.isfinite(late).all():
        return math.nan
    slope = float(np.polyfit(np.arange(len(late)), late, 1)[0])
    return slope if abs(slope) > 1e-12 * np.abs(late).max() else 0.0  # not the sign of rounding


def gains(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the gain of M pooled models over one, split in two, for each M and replicate.

    One model on N/M tokens moves less than one on N: what it gains is no merit of diversity. The
    rest comes with pooling::

        ln μ_T(one on N) - ln μ_T(M pooled)
            = [ln μ_T(one on N) - ln μ_T(one on N/M)] + [ln μ_T(one on N/M) - ln μ_T(M pooled)]

    In logarithms, because a lineage that has collapsed to one word has a perplexity in the
    thousands, which would drown all else.

    Parameters
    ----------
    summary : pandas.DataFrame
        Of :func:`summarise`.

    Returns
    -------
    pandas.DataFrame
        ``M``, ``replicate``, ``gain``, ``moving_less``, ``pooling``, positive where the perplexity
        falls: 0.1 is a tenth less; empty where M = 1 or the controls are missing.
    """
    columns = ["M", "replicate", "gain", "moving_less", "pooling"]
    if summary.empty:
        return pd.DataFrame(columns=columns)
    equal = summary.loc[(summary["ecosystem"] == "alone") | (summary["M"] == summary["D"])]
    overall = equal.set_index(["ecosystem", "M", "replicate"])["overall"].to_dict()
    rows = []
    for (ecosystem, m, replicate), alone in overall.items():
        one, pooled = (overall.get(("pooled", n, replicate)) for n in (1.0, m))
        if ecosystem == "alone" and one is not None and pooled is not None:
            whole, less = _log_ratio(one, pooled), _log_ratio(one, alone)
            rows.append((m, replicate, whole, less, whole - less))
    return pd.DataFrame(rows, columns=columns)


def _log_ratio(one: float, other: float) -> float:
    return math.log(one / other) if 0 < one < math.inf and 0 < other < math.inf else math.nan


def find(summary: pd.DataFrame, generations: int) -> list[Found]:
    """Return the paper's findings, each with this run's verdict.

    Parameters
    ----------
    summary : pandas.DataFrame
        Of :func:`summarise`.
    generations : int
        The last t.

    Returns
    -------
    list of Found
    """
    equal = summary
    if not summary.empty:
        equal = summary.loc[(summary["ecosystem"] == "pooled") & (summary["M"] == summary["D"])]
    groups = [] if equal.empty else [g.set_index("M") for _, g in equal.groupby("replicate")]
    runs = [
        (f"replicate {at + 1}" if len(groups) > 1 else "", group.sort_index())
        for at, group in enumerate(groups)
        if 1.0 in group.index and len(group) > 1
    ]
    return [
        _optimum(runs),
        _best_at_first(runs),
        _slopes(runs, generations),
        _falling(runs, generations),
        _wider(runs),
        _shifted(runs),
        _narrowing(runs, generations),
    ]


Runs = Sequence[tuple[str, Any]]
"""Runs, each as the name of a replicate and the table of its pooled ecosystems by M."""

_NEEDED = "needs M = 1 and another M, finished"


def _optimum(runs: Runs) -> Found:
    instances = []
    for where, table in runs:
        if len(table) > 2:
            overall = table["overall"]
            best = overall.index[int(overall.to_numpy().argmin())]
            inside = overall.index[0] < best < overall.index[-1]
            tie = (overall == overall.min()).sum() > 1
            instances.append(
                Instance(
                    f"{where}, least at M = {best:g}".removeprefix(", "),
                    _listed(overall),
                    # one that is not finite leaves open which is the least
                    float(overall.loc[best] - overall.iloc[0])
                    if np.isfinite(overall).all()
                    else math.nan,
                    None if tie else inside,
                    TIE,
                )
            )
    return Found(
        "optimum",
        "The perplexity over all iterations is least for some models: more than one, and fewer "
        "than the most.",
        "Fig. 3 (M = 4 of 1, 2, 4, 16)",
        tuple(instances),
        "needs M = 1 and two more, finished",
        "least against M = 1",
    )


def _best_at_first(runs: Runs) -> Found:
    instances = [
        higher(
            where,
            _listed(table["first"]),
            float(table["first"].iloc[1:].min(skipna=False) - table["first"].iloc[0]),
        )
        for where, table in runs
    ]
    return Found(
        "first",
        "At t = 0, on real data, a single model with all of them is best.",
        "Fig. 4",
        tuple(instances),
        _NEEDED,
        "best of the others against M = 1",
    )


def _slopes(runs: Runs, generations: int) -> Found:
    few = [m for _, table in runs[:1] for m in table.index[: max(1, len(table) // 2)]]
    return Found(
        "decay",
        f"With few models (M = {_numbers(few)}) the perplexity still rises at the end."
        if few
        else "With few models the perplexity still rises at the end.",
        "Fig. 4 (M = 1, 2)",
        _each(runs, lambda m: m in few, "slope", lambda slope: slope > 0, generations),
        _NEEDED if generations else "needs a second iteration",
        "slope per iteration",
    )


def _falling(runs: Runs, generations: int) -> Found:
    most = max((float(table.index[-1]) for _, table in runs), default=math.nan)
    return Found(
        "recovery",
        f"With the most models (M = {most:g}) it falls."
        if runs
        else "With the most models it falls.",
        "Fig. 4 (M = 16)",
        _each(runs, lambda m: m == most, "slope", lambda slope: slope < 0, generations),
        _NEEDED if generations else "needs a second iteration",
        "slope per iteration",
    )


def _each(
    runs: Runs,
    chosen: Callable[[float], bool],
    column: str,
    holds: Callable[[float], bool],
    generations: int,
) -> tuple[Instance, ...]:
    """Make one instance for each replicate and chosen M."""
    if not generations:
        return ()
    return tuple(
        Instance(
            f"{where}, M = {m:g}".removeprefix(", "),
            signed(float(row[column])),
            float(row[column]),
            holds(float(row[column])),
        )
        for where, table in runs
        for m, row in table.iterrows()
        if chosen(float(m))
    )


def _wider(runs: Runs) -> Found:
    instances, relative = [], []
    for where, table in runs:
        for name, when in (("sd_first", "first"), ("sd_last", "last")):
            widths, relatives = table[name], table[f"log_{name}"]
            place = f"{where}, {when} iteration".removeprefix(", ")
            step = float(widths.diff().iloc[1:].min(skipna=False))
            instances.append(Instance(place, _listed(widths), step, step > 0))
            relative.append(bool((relatives.diff().iloc[1:] > 0).all()))
    remark = ""
    if instances:
        remark = (
            "A distribution with a higher mean is wider by that alone. The standard deviation of "
            f"the log perplexities grows with every step of M in {sum(relative)} of "
            f"{len(relative)} places."
        )
    return Found(
        "wider",
        "The more models, the wider the distribution of the perplexities of real blocks under "
        "all models.",
        "Fig. 5 (standard deviation)",
        tuple(instances),
        _NEEDED,
        "least step of the width from one M to the next",
        remark,
    )


def _shifted(runs: Runs) -> Found:
    instances = []
    for where, table in runs:
        for name, when in (("mean_first", "first"), ("mean_last", "last")):
            place = f"{where}, {when} iteration".removeprefix(", ")
            step = float(table[name].diff().iloc[1:].min(skipna=False))
            instances.append(Instance(place, _listed(table[name]), step, step > 0))
    return Found(
        "shifted",
        "The more models, the higher the mean of these perplexities.",
        "Fig. 5",
        tuple(instances),
        _NEEDED,
        "least step of the mean from one M to the next",
    )


def _narrowing(runs: Runs, generations: int) -> Found:
    instances = [
        Instance(
            f"{where}, M = {m:g}".removeprefix(", "),
            f"{row['sd_first']:.2f} → {row['sd_last']:.2f}",
            float(row["sd_last"] - row["sd_first"]),
            bool(row["sd_last"] < row["sd_first"]),
        )
        for where, table in runs
        if generations
        for m, row in table.iterrows()
    ]
    return Found(
        "narrowing",
        "From the first iteration to the last these distributions narrow, whatever M.",
        "Fig. 5 (standard deviation)",
        tuple(instances),
        _NEEDED if generations else "needs a second iteration",
        "change of the width",
    )


def _listed(values: pd.Series) -> str:
    return ", ".join(f"{value:.2f} (M = {m:g})" for m, value in values.items())


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
