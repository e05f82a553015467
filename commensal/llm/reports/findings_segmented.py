"""Findings on a segmented run: diversity against collapse, and the parts of the gain.

Paper ``diversity``, sec. 3.1 and 4. Needs no torch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from commensal.llm.reports._verdicts import Found, Instance, Measured, judged

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


def by_community(metrics: pd.DataFrame, generations: int) -> pd.DataFrame:
    """Return the perplexity of each model on each community, at the first and last iteration.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the segmented workflow.
    generations : int
        The last t. Ecosystems that have not come so far are left out.

    Returns
    -------
    pandas.DataFrame
        Columns ``ecosystem``, ``M``, ``D``, ``replicate``, ``model``, ``dataset`` (the community),
        ``own`` (whether the model's first segment has the community), ``first`` and ``last``
        (means over blocks, NaN where one is not finite). Empty where no communities were dealt out.
    """
    columns = [*KEYS, "model", "dataset", "own", "first", "last"]
    if metrics.empty or "own_blocks" not in set(metrics["metric"]):
        return pd.DataFrame(columns=columns)
    by = [*KEYS, "model", "dataset"]
    owned = metrics.loc[metrics["metric"] == "own_blocks"].set_index(by)["value"] > 0
    rows = metrics.loc[metrics["metric"] == "block_perplexity"]
    ends = {}
    for name, t in (("first", 0), ("last", generations)):
        values = rows.loc[rows["generation"] == t].set_index(by)["value"].reindex(owned.index)
        ends[name] = values.where(np.isfinite(values))
    reached = rows.groupby(KEYS)["generation"].max() == generations
    table = pd.DataFrame({"own": owned, **ends}).reset_index()
    whole = table.set_index(KEYS).index.isin(reached.index[reached])
    return table.loc[whole, columns].reset_index(drop=True)


def advantages(communities: pd.DataFrame) -> pd.DataFrame:
    """Return by how much models predict their own communities better than the others do.

    ln of the perplexity of the other models on a community, their mean, minus that of the model
    whose community it is; the mean over communities. All compared models see the same texts, so
    that it does not matter which community is hard.

    Parameters
    ----------
    communities : pandas.DataFrame
        Of :func:`by_community`.

    Returns
    -------
    pandas.DataFrame
        Columns ``ecosystem``, ``M``, ``D``, ``replicate``, ``first`` and ``last``: 0.1 is a tenth
        less perplexity. Only ecosystems whose models have communities of their own, and others.
    """
    rows = []
    for key, part in communities.groupby(KEYS, sort=False):
        if len(set(part["own"])) < 2:  # they are nobody's own, or nobody else's
            continue
        found = []
        for end in ("first", "last"):
            logs = part.assign(log=np.log(part[end].to_numpy(float)))
            means = logs.groupby(["dataset", "own"])["log"].agg(lambda v: v.mean(skipna=False))
            each: Any = means.unstack("own")
            found.append(float(np.mean((each[False] - each[True]).to_numpy(float))))
        rows.append([*key, *found])  # pyright: ignore[reportGeneralTypeIssues]
    return pd.DataFrame(rows, columns=[*KEYS, "first", "last"])


def shrinking(found: pd.DataFrame) -> list[tuple[str, float, float, pd.DataFrame, Instance]]:
    """Judge for each ecosystem whether the advantage on one's own community shrinks.

    Parameters
    ----------
    found : pandas.DataFrame
        Of :func:`advantages`.

    Returns
    -------
    list of tuple
        Ecosystem, M, D, its rows of ``found``, and the verdict: whether the change from the first
        iteration to the last is below zero. The intervals hold together with 95 %.
    """
    groups = [
        (str(ecosystem), float(m), float(d), part)
        for (ecosystem, m, d), part in found.groupby(KEYS[:3], sort=False)  # pyright: ignore
    ]
    places = [
        Measured(f"{ecosystem}, M = {m:g}", (part["last"] - part["first"]).to_numpy(float))
        for ecosystem, m, _, part in groups
    ]
    return [
        (*group, verdict) for group, verdict in zip(groups, judged(places, high=0), strict=True)
    ]


PARTS = {
    "gain": "gain",
    "fewer_tokens": "fewer tokens",
    "pooling": "pooling",
    "moving_less": "moving less",
    "segmenting": "segmenting",
}
"""The gain of M pooled models over one, and its parts by either control, with their names."""


def gains(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the gain of M pooled models over one, split in two ways, for each M and replicate.

    Models on N/M tokens each move less than one on N: what they gain is no merit of diversity.
    Either control splits off what has nothing to do with pooling::

        ln μ_T(one on N) - ln μ_T(M pooled)
            = [one - M alone] + [M alone - M pooled]           fewer tokens, pooling
            = [one - one with fewer steps] + [... - M pooled]  moving less, segmenting

    In logarithms, because a lineage that has collapsed to one word has a perplexity in the
    thousands, which would drown all else.

    Parameters
    ----------
    summary : pandas.DataFrame
        Of :func:`summarise`.

    Returns
    -------
    pandas.DataFrame
        ``M``, ``replicate``, and a column for each of ``PARTS``, positive where the perplexity
        falls: 0.1 is a tenth less; NaN where a control is missing; empty where M = 1.
    """
    columns = ["M", "replicate", *PARTS]
    if summary.empty:
        return pd.DataFrame(columns=columns)
    equal = summary.loc[(summary["ecosystem"] != "pooled") | (summary["M"] == summary["D"])]
    overall = equal.set_index(["ecosystem", "M", "replicate"])["overall"].to_dict()
    rows = []
    for (ecosystem, m, replicate), pooled in overall.items():
        one = overall.get(("pooled", 1.0, replicate))
        if ecosystem != "pooled" or m == 1 or one is None:
            continue
        row: list[float] = [m, replicate, _log_ratio(one, pooled)]
        for control in ("alone", "fewer_steps"):
            other = overall.get((control, m, replicate), math.nan)
            row += [_log_ratio(one, other), _log_ratio(other, pooled)]
        rows.append(row)
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
    pooled = Pooled(summary)
    later = _NEEDED if generations else "needs a second iteration"
    few = pooled.models[: max(1, len(pooled.models) // 2)] if pooled else []
    most = pooled.models[-1:] if pooled else []
    slopes = pooled if generations else Pooled(pd.DataFrame())
    return [
        _optimum(pooled),
        Found(
            "first",
            "At t = 0, on real data, a single model with all of them is best.",
            "Fig. 4",
            judged([pooled.against(m, 1.0, "first") for m in pooled.models[1:]], low=0),
            _NEEDED,
            "above M = 1",
        ),
        Found(
            "decay",
            "With few models"
            + (f" (M = {_numbers(few)})" if few else "")
            + " the perplexity still rises at the end.",
            "Fig. 4 (M = 1, 2)",
            judged([slopes.at(m, "slope") for m in few if slopes], low=0),
            later,
            "slope per iteration",
        ),
        Found(
            "recovery",
            "With the most models" + (f" (M = {_numbers(most)})" if most else "") + " it falls.",
            "Fig. 4 (M = 16)",
            judged([slopes.at(m, "slope") for m in most if slopes], high=0),
            later,
            "slope per iteration",
        ),
        _wider(pooled),
        Found(
            "shifted",
            "The more models, the higher the mean of these perplexities.",
            "Fig. 5",
            judged(pooled.steps("mean"), low=0),
            _NEEDED,
            "step of the mean from one M to the next",
        ),
        Found(
            "narrowing",
            "From the first iteration to the last these distributions narrow, whatever M.",
            "Fig. 5 (standard deviation)",
            judged([slopes.over_time(m, "sd") for m in slopes.models], high=0),
            later,
            "change of the width",
        ),
    ]


class Pooled:
    """Pooled ecosystems of equal segments in all replicates; NaN where one is not finished.

    Falsy if there are not two of them, M = 1 among them.

    Parameters
    ----------
    summary : pandas.DataFrame
        Of :func:`summarise`.
    """

    def __init__(self, summary: pd.DataFrame) -> None:
        self.models: list[float] = []
        if summary.empty:
            return
        equal = summary.loc[(summary["ecosystem"] == "pooled") & (summary["M"] == summary["D"])]
        known = sorted(float(m) for m in equal["M"].unique())
        if len(known) < 2 or known[0] != 1:
            return
        self._table: Any = equal.set_index(["replicate", "M"]).drop(columns=["ecosystem", "D"])
        self._table = self._table.unstack("M")
        self.models = known

    def __bool__(self) -> bool:
        """Return whether there is anything to compare."""
        return bool(self.models)

    def values(self, m: float, column: str) -> np.ndarray:
        """Return one column at one M, a value for each replicate."""
        return self._table[column, m].to_numpy(float)

    def at(self, m: float, column: str) -> Measured:
        """Return a column at one M."""
        return Measured(f"M = {m:g}", self.values(m, column))

    def against(self, m: float, other: float, column: str) -> Measured:
        """Return the difference of a column between two M."""
        here, there = self.values(m, column), self.values(other, column)
        numbers = f"{here.mean():.2f} against {there.mean():.2f}"
        return Measured(f"M = {m:g} against {other:g}", here - there, numbers)

    def over_time(self, m: float, column: str) -> Measured:
        """Return the change of a column from the first iteration to the last."""
        first, last = (self.values(m, f"{column}_{when}") for when in ("first", "last"))
        numbers = f"{first.mean():.2f} → {last.mean():.2f}"
        return Measured(f"M = {m:g}", last - first, numbers)

    def steps(self, column: str) -> list[Measured]:
        """List the steps of a column from one M to the next, at first and at last."""
        return [
            place._replace(where=f"{when} iteration, {place.where}")
            for when in ("first", "last")
            for one, other in itertools.pairwise(self.models)
            for place in (self.against(other, one, f"{column}_{when}"),)
        ]


_NEEDED = "needs M = 1 and another M, finished"


def _optimum(pooled: Pooled) -> Found:
    places = []
    if len(pooled.models) > 2:
        inner = pooled.models[1:-1]
        best = min(inner, key=lambda m: pooled.values(m, "overall").mean())
        ends = (pooled.models[0], pooled.models[-1])
        places = [pooled.against(best, end, "overall") for end in ends]
    return Found(
        "optimum",
        "The perplexity over all iterations is least for some models: more than one, and fewer "
        "than the most.",
        "Fig. 3 (M = 4 of 1, 2, 4, 16)",
        judged(places, high=0),
        "needs M = 1 and two more, finished",
        "least in between, against either end",
    )


def _wider(pooled: Pooled) -> Found:
    remark = ""
    if pooled:
        relative = judged(pooled.steps("log_sd"), low=0)
        growing = sum(bool(one.leans) for one in relative)
        told = sum(bool(one.holds) for one in relative)
        remark = (
            "A distribution with a higher mean is wider by that alone. The standard deviation of "
            f"the log perplexities grows in {growing} of {len(relative)} steps of M, and in "
            f"{told} its interval leaves out zero."
        )
    return Found(
        "wider",
        "The more models, the wider the distribution of the perplexities of real blocks under "
        "all models.",
        "Fig. 5 (standard deviation)",
        judged(pooled.steps("sd"), low=0),
        _NEEDED,
        "step of the width from one M to the next",
        remark,
    )


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
