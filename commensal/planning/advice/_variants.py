"""How the numbers of a plan change: with each input, with more human documents, with designs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.stats import beta

from commensal.planning.advice._numbers import Numbers, numbers
from commensal.planning.advice._plan import DocumentPlan
from commensal.theory import regression

OUTCOMES = {
    "error": "error in generation T",
    "settled": "error in the long run",
    "radius": "growth of disturbances ρ",
    "best_share": "best share of models' documents",
    "efficiency": "efficiency",
    "vocabulary": "share of words left",
    "safe_documents": "safe number of new human documents",
}
"""Outcomes whose sensitivity is computed, in words."""

_RELATIVE = 0.1
_RICHNESS = {"few": 1 / 3, "middle": 1, "many": 10}
PROMPTS = ("private", "fresh")


def outcomes_of(found: Numbers, base: Numbers | None = None) -> dict[str, float]:
    """Return the outcomes of a plan by name, errors in units of that of ``base`` on human data."""
    unit = found.plan.real_error / base.plan.real_error if base else 1.0
    return {
        "error": found.error * unit,
        "settled": found.errors.settled * unit,
        "radius": found.radius,
        "best_share": found.best_share,
        "efficiency": found.efficiency,
        "vocabulary": found.vocabulary,
        "safe_documents": found.safe_documents,
    }


def changes(plan: DocumentPlan) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield each input with a lower and a higher value: ± 10 %, ± 0.1 or ± 1; itself at an end."""
    s = plan.settings

    def scaled(name: str) -> Iterator[Any]:
        value = getattr(s, name)
        for factor in (1 - _RELATIVE, 1 + _RELATIVE):
            yield {name: max(1, round(factor * value))}

    def shifted(name: str, by: float | int, low: float | int, high: float | int) -> Iterator[Any]:
        value = getattr(s, name)
        for sign in (-1, 1):
            yield {name: type(value)(min(max(value + sign * by, low), high))}

    pairs = [("real", scaled("real"))]
    if s.synthetic:
        pairs.append(("synthetic", scaled("synthetic")))
    if plan.grams is None and (isinstance(s.reads, str) and not s.reads.startswith("shares")):
        pairs.append(("models", shifted("models", 1, _fewest(s.reads), 1000)))
    pairs.append(("generations", shifted("generations", 1, 1, 10_000)))
    if s.fresh:
        pairs.append(("fresh", scaled("fresh")))
    pairs.append(("private_share", shifted("private_share", 0.1, 0.0, 1.0)))
    if s.synthetic_share is not None and s.synthetic:
        pairs.append(("synthetic_share", shifted("synthetic_share", 0.1, 0.0, 0.99)))
    if s.window is not None:
        pairs.append(("window", shifted("window", 1, 1, 10_000)))
    pairs.append(("tokens", scaled("tokens")))
    if s.counts is None:
        pairs += [("words", scaled("words")), ("exponent", shifted("exponent", 0.1, 0.0, 10.0))]
    for name, (low, high) in ((name, tuple(values)) for name, values in pairs):
        yield name, low, high


def _fewest(reads: str) -> int:
    return 2 if reads.startswith("blocs") else 1


def sensitivity(base: Numbers, progress: Callable[[float, float], None]) -> xr.Dataset:
    """Compute every outcome with each input lower and higher, all others as they are.

    Returns
    -------
    xarray.Dataset
        One variable (input, side) for each outcome, ``value`` with those of the input, and the
        outcomes of the plan itself as ``base`` (outcome).
    """
    plan, names, values, rows = base.plan, [], [], []
    pairs = list(changes(plan))
    for at, (name, *ends) in enumerate(pairs):
        progress(at, len(pairs))
        names.append(name)
        values.append([end[name] for end in ends])
        for end in ends:
            # none of these is an input of the weights that are best
            same = name in ("generations", "tokens", "words", "exponent", "synthetic_share")
            varied = numbers(plan.varied(**end), base=base, search=not same)
            rows.append(outcomes_of(varied, base))
    progress(len(pairs), len(pairs))
    found = outcomes_of(base)
    data: dict[str, Any] = {
        name: (("input", "side"), np.array([row[name] for row in rows]).reshape(-1, 2))
        for name in found
    }
    data["value"] = (("input", "side"), np.array(values, dtype=float))
    data["base"] = ("outcome", list(found.values()))
    coords = {"input": names, "side": ["low", "high"], "outcome": list(found)}
    return xr.Dataset(data, coords, attrs={"kind": "sensitivity"})


class DocumentGain(NamedTuple):
    """What more human documents change.

    Attributes
    ----------
    error, settled : float
        Change of the errors in generation T and in the long run, in units of the error on the
        plan's human documents alone.
    words : float
        Change of the expected number of words in what generation T publishes.
    """

    error: float
    settled: float
    words: float


def gain(base: Numbers, name: str) -> DocumentGain:
    """Compare the plan with one that has ``more`` documents of one kind, ``real`` or ``fresh``."""
    s = base.plan.settings
    wanted = {name: getattr(s, name) + s.more}
    other = numbers(base.plan.varied(**wanted), base=base, search=False)
    found = outcomes_of(other, base)
    words = other.words.left - base.words.left if base.words and other.words else np.nan
    return DocumentGain(
        error=found["error"] - base.error,
        settled=found["settled"] - base.errors.settled,
        words=words,
    )


def random_designs(plan: DocumentPlan, progress: Callable[[float, float], None]) -> xr.Dataset:
    """Draw systems in which documents do not cover all directions alike, with the same weights.

    Features of a kind of document are standard normal in ``dim`` directions, of as many different
    documents as a third of them, as many as there are, or ten times as many. Models are asked what
    their own human documents are about ("private"), or something else ("fresh").

    Returns
    -------
    xarray.Dataset
        ``radius`` (prompts, rows, design); ``stable`` (prompts, rows), the share of stable ones,
        with the ends ``low`` and ``high`` of its interval (Clopper and Pearson's, 95 % for all
        kinds together by Bonferroni); and ``growing``, the share of those in which errors grow.
        What is neither stays: no human document covers some direction.
    """
    s = plan.settings
    rows = [max(1, round(share * s.dim)) for share in _RICHNESS.values()]
    shape = (len(PROMPTS), len(rows), s.designs)
    radius = np.full(shape, np.nan)
    for at, (i, j, n) in enumerate(np.ndindex(shape)):
        if at % 20 == 0:
            progress(at, radius.size)
        grams = _drawn(plan, PROMPTS[i], rows[j], [s.seed, 2, j, n])
        w = DocumentPlan(s, grams, plan.weights).workflow
        try:
            radius[i, j, n] = float(regression.spectral_radius(w))
        except regression.UntrustedError:
            continue  # counted as not stable
    progress(radius.size, radius.size)
    stable = (radius < 1 - regression.STABILITY_MARGIN).sum(axis=-1)
    growing = (radius > 1 + regression.STABILITY_MARGIN).sum(axis=-1)
    tail = 0.05 / 2 / stable.size
    low = beta.ppf(tail, stable, s.designs - stable + 1)
    high = beta.ppf(1 - tail, stable + 1, s.designs - stable)
    cells = ("prompts", "rows")
    return xr.Dataset(
        {
            "radius": ((*cells, "design"), radius),
            "stable": (cells, stable / s.designs),
            "growing": (cells, growing / s.designs),
            "low": (cells, np.where(stable == 0, 0.0, low)),
            "high": (cells, np.where(stable == s.designs, 1.0, high)),
        },
        {"prompts": list(PROMPTS), "rows": rows, "design": np.arange(s.designs)},
        attrs={"kind": "random designs"},
    )


def _drawn(plan: DocumentPlan, prompts: str, rows: int, seed: list[int]) -> dict[str, np.ndarray]:
    k, d = plan.settings.models, plan.settings.dim
    rng = np.random.default_rng(seed)

    def grams(count: int) -> np.ndarray:
        x = rng.standard_normal((count, rows, d))
        return x.swapaxes(1, 2) @ x / rows

    private, (public, human), synthetic = grams(k), grams(2), grams(k)
    return {
        "private": private,
        "public": public,
        "human": human,
        "synthetic": private if prompts == "private" else synthetic,
    }
