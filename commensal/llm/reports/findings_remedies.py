"""Remedies compared with no remedy, lineage by lineage of the same seed. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.config import RemediesConfig, Remedy
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._verdicts import Found, Measured, judged

Lineages = Float[np.ndarray, " lineages"]


class Delay(NamedTuple):
    """Delay of collapse by a remedy in generations, over lineages."""

    mean: Mean
    """Mean of the lineages' delays. Without an interval where some are known as bounds only."""
    bounds: int
    """Number of lineages that never came so far: their delays are at least what counts here."""
    lineages: int


class RemedyCurves(NamedTuple):
    """Values of one metric for all remedies and lineages.

    Attributes
    ----------
    remedies : list of str
        The one that does nothing first.
    values : Float[numpy.ndarray, "remedies lineages generations"]
        Generation 0 first; NaN where a lineage has not come so far.
    """

    remedies: list[str]
    values: Float[np.ndarray, "remedies lineages generations"]

    def of(self, remedy: str) -> Float[np.ndarray, "lineages generations"]:
        """Return the lineages of one remedy."""
        return self.values[self.remedies.index(remedy)]

    def at(self, remedy: str, generation: int) -> Mean:
        """Return the mean over lineages."""
        return mean_of(self.of(remedy)[:, generation])

    def differences(self, remedy: str, generation: int) -> Lineages:
        """Return each lineage's difference to no remedy, which shares its seed and draws."""
        return self.of(remedy)[:, generation] - self.values[0, :, generation]

    def difference(self, remedy: str, generation: int, comparisons: int = 1) -> Mean:
        """Return the mean of the paired differences to no remedy."""
        return mean_of(self.differences(remedy, generation), comparisons)

    def delay(self, remedy: str, comparisons: int = 1) -> Delay:
        """Return the delay at which the metric reaches half of its rise without remedy.

        Half-way is half of the rise without remedy from generation 0 to the last, in the same
        lineage; by linear interpolation. NaN where the metric of some lineage does not rise without
        remedy, or is not finite.
        """
        found, bounds = [], 0
        for usual, mine in zip(self.values[0], self.of(remedy), strict=True):
            finite = np.isfinite(usual).all() and np.isfinite(mine).all()
            if not finite or not usual[-1] > usual[0]:
                return Delay(mean_of([math.nan]), 0, len(self.values[0]))
            level = (usual[0] + usual[-1]) / 2
            then, _ = _first(usual, level)
            now, reached = _first(mine, level)
            found.append(now - then)
            bounds += not reached
        mean = mean_of(found, comparisons)
        if bounds:
            mean = Mean(mean.value, math.nan, math.nan)
        return Delay(mean, bounds, len(found))


def curves(metrics: pd.DataFrame, metric: str, dataset: str, nothing: str) -> RemedyCurves:
    """Arrange one metric by remedy, lineage and generation.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the remedies.
    metric, dataset : str
        What was measured, and on what.
    nothing : str
        The remedy that does nothing.

    Returns
    -------
    RemedyCurves
    """
    rows = metrics.loc[(metrics["metric"] == metric) & (metrics["dataset"] == dataset)]
    names = [nothing, *(n for n in dict.fromkeys(metrics["remedy"]) if n != nothing)]
    table = rows.set_index(["remedy", "replicate", "generation"])["value"]
    lineages = sorted(rows["replicate"].unique())
    times = range(int(rows["generation"].max()) + 1 if len(rows) else 0)
    values = np.array(
        [[[table.get((n, r, t), math.nan) for t in times] for r in lineages] for n in names]
    )
    return RemedyCurves(names, values.reshape(len(names), len(lineages), len(times)))


def _first(values: Float[np.ndarray, "generations"], level: float) -> tuple[float, bool]:
    """Return when a curve first reaches a level, or its last generation if it never does."""
    above = np.flatnonzero(values >= level)
    if not above.size:
        return float(len(values) - 1), False
    t = int(above[0])
    if t == 0:
        return 0.0, True
    step = (level - values[t - 1]) / (values[t] - values[t - 1])
    return float(t - 1 + step), True


class _Case(NamedTuple):
    """One place where a statement can be seen: numbers over lineages, held against zero."""

    where: str
    values: Lineages
    """Numbers that are above zero, or below, where the statement holds."""
    when: str
    """Words behind the numbers."""
    written: Callable[[Mean], str]
    """Function that writes a mean with its interval."""
    told: Callable[[float], float] = float
    """Function from a mean to the number that is reported."""
    wait: str = ""
    """Reason why it cannot be told yet that the statement does not hold."""


class _Statement(NamedTuple):
    id: str
    statement: str
    sign: int
    cases: Sequence[_Case]
    missing: str
    measure: str = "difference"
    source: str = "the article's text"


def findings_of(
    config: RemediesConfig,
    t: int,
    collapse: RemedyCurves,
    spread: RemedyCurves | None,
    rare: RemedyCurves | None,
    variety: RemedyCurves | None,
    written: Callable[[Mean], str],
) -> list[Found]:
    """Judge the article's statements by intervals over lineages, which hold together with 95 %.

    Parameters
    ----------
    config : RemediesConfig
    t : int
        Generation that is judged.
    collapse, spread, rare, variety : RemedyCurves or None
        Metric of collapse, divergence from human text, perplexity of rare tokens, distinct-4.
    written : callable
        Function that writes a mean with its interval.

    Returns
    -------
    list of Found
    """

    def against(names: list[str], of: RemedyCurves, at: int) -> list[_Case]:
        return [
            _Case(name, of.differences(name, at), f" at generation {at}", written) for name in names
        ]

    human = _alone(config, "human_share", lambda r: 0 < r.human_share <= 0.05)
    noise = _alone(config, "token_noise", lambda r: r.token_noise > 0)
    filters = _alone(config, "filter", lambda r: r.filter is not None and r.filter.variety)
    no_human, no_noise = "no remedy with a human share of at most 5 %", "no remedy with token noise"
    first = "the article's first table"
    rises = [
        _Case(n, collapse.of(n)[:, t] - collapse.of(n)[:, 0], " since generation 0", written)
        for n in human
    ]
    found = [
        _Statement(
            "human-delays", "At most 5 % fresh human texts delay the collapse.", -1,
            against(human, collapse, t), no_human,
        ),
        _Statement(
            "human-not-entirely",
            "Such a share does not prevent it entirely: the divergence still rises.", 1, rises,
            no_human, "change",
        ),
        _Statement(
            "noise-delays", "Random tokens in a tenth of the synthetic texts delay the collapse.",
            -1, against(noise, collapse, t), no_noise,
        ),
        _Statement(
            "noise-costs", "Such noise makes the model worse at first.", 1,
            against(noise, collapse, 1), no_noise,
        ),
        _Statement(
            "rare", "The perplexity of rare tokens rises by more than 40 % in five generations.", 1,
            _ratios(rare, min(t, 5), 1.4), "not measured", "relative change", first,
        ),
        _Statement(
            "distinct", "Distinct 4-grams fall by 44 % in five generations (by 30 % or more).", -1,
            _ratios(variety, min(t, 5), 0.7), "not measured", "relative change", first,
        ),
        _Statement(
            "accelerates", "The divergence from human text grows faster than linearly.", 1,
            _accelerations(spread, written), "needs three generations",
            "change of the growth per generation", first,
        ),
    ]  # fmt: skip
    if variety is not None:
        found.append(
            _Statement(
                "filter-keeps", "A filter for diversity keeps texts more varied.", 1,
                against(filters, variety, t), "no remedy with a filter for diversity",
            )
        )  # fmt: skip
    comparisons = max(sum(len(one.cases) for one in found), 1)
    return [_judged(one, comparisons) for one in found]


def _judged(of: _Statement, comparisons: int) -> Found:
    low, high = (0, math.inf) if of.sign > 0 else (-math.inf, 0)
    places = [Measured(case.where, case.values) for case in of.cases]
    instances = []
    for case, one in zip(of.cases, judged(places, low, high, comparisons), strict=True):
        numbers = case.written(mean_of(case.values, comparisons)) + case.when
        shown = one._replace(numbers=numbers, value=case.told(one.value))
        if one.holds is False and case.wait:
            shown = shown._replace(holds=None, why=case.wait)
        instances.append(shown)
    remark = (
        "Told where the interval over lineages leaves out zero; the intervals of all "
        f"{comparisons} comparisons of these findings hold together with 95 %."
    )
    return Found(of.id, of.statement, of.source, tuple(instances), of.missing, of.measure, remark)


def _alone(config: RemediesConfig, field: str, wanted: Callable[[Remedy], bool]) -> list[str]:
    """Name the remedies that have one setting alone, in every generation."""
    return [
        remedy.name
        for remedy in config.remedies
        if wanted(remedy)
        and remedy.model_copy(update={field: Remedy.model_fields[field].default}).nothing
        and (remedy.since, remedy.until, remedy.every) == (1, None, 1)
    ]


def _ratios(of: RemedyCurves | None, t: int, limit: float) -> Sequence[_Case]:
    """Hold the growth without remedy against a factor, on the logarithmic scale."""
    if of is None or not t:
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(of.values[0, :, t] / of.values[0, :, 0]) - math.log(limit)

    def percent(value: float) -> str:
        if not math.isfinite(value):
            return "not finite"
        return f"{math.expm1(value + math.log(limit)):+.0%}".replace("-", "\N{MINUS SIGN}")

    def written(mean: Mean) -> str:
        if math.isnan(mean.low):
            return percent(mean.value)
        return f"{percent(mean.value)} [{percent(mean.low)}, {percent(mean.high)}]"

    where = f"{len(values)} lineages without remedy"
    wait = f"there are {t} generations, not five" if t < 5 else ""
    when = f" in {t} generations"
    return [_Case(where, values, when, written, lambda m: math.expm1(m + math.log(limit)), wait)]


def _accelerations(of: RemedyCurves | None, written: Callable[[Mean], str]) -> Sequence[_Case]:
    """Take the growth per generation at last from that at first, without remedy."""
    if of is None or of.values.shape[-1] <= 2:
        return []
    steps = np.diff(of.values[0], axis=-1)
    half = steps.shape[-1] // 2
    change = steps[:, -half:].mean(axis=-1) - steps[:, :half].mean(axis=-1)
    where = f"{len(change)} lineages without remedy"
    return [_Case(where, change, " per generation, at last against at first", written)]
