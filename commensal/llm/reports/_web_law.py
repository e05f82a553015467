"""Judge whether ‖D‖ of a web falls as its known law says, and where a gap comes from.

All is told of the ratio of ‖D‖_F's mean over the last quarter of the generations to its value at
t = 0, in logarithms, one for each replicate. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.config import GridPoint, WebConfig
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._power import power, replicates_needed
from commensal.llm.web.law import (
    answered,
    answers_noise,
    disagreement,
    ends,
    law_known,
    log_ratio,
    simulate_law,
)
from commensal.llm.web.reading import share_path

_LINEAGES, _GROUPS, _DRAWS = 1000, 1000, 40


class Expected(NamedTuple):
    """What the law says of runs of as many replicates, by simulation."""

    ratio: float
    """Mean logarithm of last over first."""
    low: float
    high: float
    """Middle 95 % of its mean over as many replicates."""
    sd: float
    """Standard deviation of one replicate."""
    noiseless: float
    """Logarithm of last over first without the noise of L responses."""
    r2: tuple[float, float, float]
    """R² of the law on the later half of runs that it has made itself: median and middle 95 %."""
    r2_needed: int | None
    """Number of replicates with which the median of that R² is 0.5 or more."""
    norms: Float[np.ndarray, "3 T"]
    """‖D‖_F of as many replicates (root mean square): median and middle 95 %."""
    path: Float[np.ndarray, " T"]
    """Expected ‖D‖_F (root mean square)."""


class WebLaw(NamedTuple):
    """‖D‖ of language shares at one β and number of models, beside its law."""

    name: str
    replicates: int
    responses: int
    measured: Mean
    """Logarithm of last over first of the answers' shares."""
    noiseless: Mean
    """Logarithm of last over first without the noise of L responses, of all replicates together;
    its interval by the jackknife."""
    taught: Mean
    """Logarithm of last over first of perfect models that read what these have read."""
    embedded: Mean
    """Logarithm of last over first of the embedded answers."""
    embedded_noiseless: Mean
    parts: dict[str, Mean]
    """Differences in logarithms, paired by replicate: ``read`` (perfect answers at what was read,
    less the law), ``learnt`` (answers, less perfect ones) and ``embedded`` (embedding, less
    answers)."""
    slope: Mean
    """Slope of answers' shares over taught ones on held-out prompts; 1: as taught."""
    error: float
    """Root mean square distance of the models' laws from the taught ones on held-out prompts."""
    error_in_run: float
    """Root mean square distance of the models' laws from the taught ones on the run's prompts."""
    norms: Float[np.ndarray, " T"]
    """‖D‖_F of the answers' shares, root mean square over replicates."""
    noise: Float[np.ndarray, " T"]
    """What L responses alone would give."""
    r2: float
    """R² of the expected ‖D‖_F, with nothing fitted, on the later half."""
    expected: Expected | None
    """None where the law is not known, as retrieval is not uniform."""

    @property
    def half_fall(self) -> float:
        """Logarithm of the ratio of a web that falls half as far (the square root of the law's)."""
        return math.nan if self.expected is None else self.expected.ratio / 2

    @property
    def needed(self) -> int | None:
        """Number of replicates that tell the law from half its fall, with 80 % power."""
        if self.expected is None:
            return None
        return replicates_needed(self.half_fall, self.expected.sd)

    @property
    def power(self) -> float:
        """Probability with which these replicates tell the law from half its fall."""
        if self.expected is None:
            return math.nan
        return power(self.half_fall, self.expected.sd, self.replicates)

    @property
    def verdict(self) -> str:
        """Whether ‖D‖ falls as the law says, in words."""
        if self.expected is None:
            return "no law to compare with: it is known for uniform retrieval only"
        many = "more than 10,000" if self.needed is None else f"{self.needed}"
        more = f"{many} replicates would do"
        if not math.isfinite(self.measured.low):
            return f"cannot be told: one replicate has no interval; {more}"
        law, half = self.expected.ratio, self.half_fall
        if not self.measured.low <= law <= self.measured.high:
            return f"falls {'less' if self.measured.value > law else 'further'} than the law says"
        if self.measured.low <= half <= self.measured.high:
            return f"cannot be told at this size: half the fall fits as well; {more}"
        return "as the law says, as far as these replicates can tell: half its fall is excluded"


def law_power(config: WebConfig, point: GridPoint, replicates: int) -> float:
    """Compute, before a run, the power with which replicates tell the law from half its fall.

    Half the fall is the square root of the law's expected last over first. The spread of one
    replicate comes from simulated lineages of the law.
    """
    found = _expected(config, point, replicates, config.generations)
    return power(found.ratio / 2, found.sd, replicates)


def web_laws(config: WebConfig, metrics: pd.DataFrame, norms: pd.DataFrame) -> list[WebLaw]:
    """Compare a run of taught models with its law, at each β and number of models.

    Parameters
    ----------
    config : WebConfig
    metrics, norms : pandas.DataFrame
        What :func:`commensal.llm.metrics` and :func:`commensal.llm.web.distances` give.

    Returns
    -------
    list of WebLaw
        Without grid points of one model, or of fewer than 4 generations; empty where models are
        not taught.
    """
    if metrics.empty or not all(model.taught for model in config.models):
        return []
    groups: dict[tuple, list[GridPoint]] = {}
    for point in config.grid():
        key = tuple(v for name, v in point.coordinates.items() if name != "replicate")
        if len(config.taking_part(point)) > 1 and len(_of(norms, point)):
            groups.setdefault(key, []).append(point)
    kept = [g for g in groups.values() if min(len(_of(norms, point)) for point in g) > 3]
    return [_judged(config, metrics, norms, points, len(kept)) for points in kept]


def _of(table: Any, point: GridPoint) -> Any:
    for name, value in point.coordinates.items():
        table = table.loc[table[name] == value]
    return table


def _judged(
    config: WebConfig,
    metrics: pd.DataFrame,
    norms: pd.DataFrame,
    points: list[GridPoint],
    cells: int,
) -> WebLaw:
    courses = [_of(norms, p).sort_values("generation") for p in points]
    last = min(int(course["generation"].max()) for course in courses)
    embedded, sampling = (
        np.stack([c[name].to_numpy(float)[: last + 1] for c in courses])
        for name in ("disagreement", "sampling")
    )
    paths = {n: [share_path(metrics, p, n, last) for p in points] for n in ("share", "taught")}
    shares, law = (np.stack([p for p in paths[n] if p is not None]) for n in ("share", "taught"))
    responses, rng = config.responses, np.random.default_rng(0)
    seen, noise = disagreement(shares), answers_noise(shares, responses)
    perfect = log_ratio(disagreement(answered(law, responses, _DRAWS, rng))).mean(axis=0)
    measured, apart = log_ratio(seen), log_ratio(embedded)
    expected = _expected(config, points[0], len(points), last) if law_known(config) else None
    start = math.nan if expected is None else expected.ratio
    differences = {
        "read": perfect - start,
        "learnt": measured - perfect,
        "embedded": apart - measured,
    }
    off = ((shares - law) ** 2).sum(axis=-1) - (shares * (1 - shares)).sum(axis=-1) / max(
        responses - 1, 1
    )
    slopes, errors = _calibrated(config, metrics, points)
    observed = np.sqrt((seen**2).mean(axis=0))
    one = points[0].coordinates
    name = f"β = {one['read_share']:g}" + (f", n = {one['models']:g}" if "models" in one else "")
    return WebLaw(
        name,
        len(points),
        responses,
        mean_of(measured, cells),
        _pooled(seen**2 - noise, cells),
        mean_of(perfect, cells),
        mean_of(apart, cells),
        _pooled(embedded**2 - sampling**2, cells),
        {part: mean_of(values, 3 * cells) for part, values in differences.items()},
        mean_of(slopes, cells),
        math.sqrt(max(float(np.mean(errors)), 0.0)),
        math.sqrt(max(float(off.mean()), 0.0)),
        observed,
        np.sqrt(noise.mean(axis=0)),
        math.nan if expected is None else float(_later_r2(observed, expected.path)),
        expected,
    )


def _calibrated(
    config: WebConfig, metrics: Any, points: Sequence[GridPoint]
) -> tuple[list[float], list[float]]:
    """Return slope and squared error of each cast, averaged over models."""
    found = {}
    for point in points:
        here = _of(metrics, point)
        found[config.made_for(int(point.coordinates["replicate"]))] = tuple(
            float(here.loc[here["metric"] == f"calibration_{name}", "value"].mean())
            for name in ("slope", "error")
        )
    slopes, errors = zip(*found.values(), strict=True)
    return list(slopes), list(errors)


def _expected(config: WebConfig, point: GridPoint, replicates: int, last: int) -> Expected:
    """Simulate runs of as many replicates, by drawing lineages of the law together."""
    shares = simulate_law(config, point, _LINEAGES)[:, : last + 1]
    norms = disagreement(shares)
    ratios, rng = log_ratio(norms), np.random.default_rng(1)
    rows = rng.integers(_LINEAGES, size=(_GROUPS, replicates))
    low, high = np.nanquantile(ratios[rows].mean(axis=1), [0.025, 0.975])
    path = np.sqrt((norms**2).mean(axis=0))

    def runs(count: int) -> Float[np.ndarray, "runs T"]:
        groups = rng.integers(_LINEAGES, size=(_GROUPS, count))
        return np.sqrt(np.stack([(norms[group] ** 2).mean(axis=0) for group in groups]))

    some = runs(replicates)
    needed = next(
        (c for c in 2 ** np.arange(9) if np.median(_later_r2(runs(int(c)), path)) >= 0.5), None
    )
    without = norms**2 - answers_noise(shares, config.responses)
    least, middle, most = np.quantile(_later_r2(some, path), [0.025, 0.5, 0.975])
    return Expected(
        float(np.nanmean(ratios)),
        float(low),
        float(high),
        float(np.nanstd(ratios, ddof=1)),
        _log_root(without),
        (float(middle), float(least), float(most)),
        None if needed is None else int(needed),
        np.quantile(some, [0.5, 0.025, 0.975], axis=0),
        path,
    )


def _later_r2(
    observed: Float[np.ndarray, "*runs T"], predicted: Float[np.ndarray, " T"]
) -> Float[np.ndarray, "*runs"]:
    """Compute R² of a prediction over the later half, in which the half's own mean scores 0."""
    late = np.arange(observed.shape[-1]) > observed.shape[-1] // 2
    found = observed[..., late]
    spread = ((found - found.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - ((found - predicted[late]) ** 2).sum(axis=-1) / spread
    return np.where(np.isfinite(r2), r2, np.nan)


def _log_root(squares: Float[np.ndarray, "R T"]) -> float:
    """Return half the logarithm of last over first of squares' mean over replicates."""
    first, last = ends(squares.mean(axis=0))
    return 0.5 * math.log(last / first) if first > 0 and last > 0 else math.nan


def _pooled(squares: Float[np.ndarray, "R T"], cells: int) -> Mean:
    """Return that with its interval, by the jackknife; a replicate alone may lie below zero."""
    count, whole = len(squares), _log_root(squares)
    if count < 2:
        return mean_of([whole], cells)
    without = [_log_root(np.delete(squares, at, axis=0)) for at in range(count)]
    interval = mean_of([count * whole - (count - 1) * one for one in without], cells)
    return Mean(whole, whole - interval.half, whole + interval.half)
