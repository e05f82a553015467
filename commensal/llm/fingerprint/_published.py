"""Numbers that sec. 4 of `pollination` prints, and the choice of estimator that gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from commensal.llm.fingerprint._bootstrap import bootstrap
from commensal.llm.fingerprint._pairs import jaccard, row_normalised
from commensal.llm.fingerprint._statistics import (
    Density,
    Histogram,
    Pairs,
    bandwidth,
    cliffs_delta,
    pairs_of,
)


class Printed(NamedTuple):
    """A number of the paper with its 95 % interval."""

    value: float
    low: float
    high: float


DELTA = Printed(-0.572, -0.697, -0.446)
"""Cliff's δ between pairs across and within families, as `pollination` prints it."""
OVERLAP = Printed(0.313, 0.182, 0.332)
"""Overlap of the densities of both kinds of pairs, as `pollination` prints it."""

FEATURES: dict[str, tuple[str, ...]] = {
    "words": ("words",),
    "bigrams": ("bigrams",),
    "trigrams": ("trigrams",),
    "words and n-grams": ("words", "bigrams", "trigrams"),
}
BINS = (10, 15, 20, 30, 40, 50, 55, 60, 65, 70, 75, 80, 90, 100, 125, 150, 200)
SHARES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.04, 0.03, 0.02)
"""Bandwidths as shares of Scott's bandwidth."""


def choices(
    counts: Callable[[tuple[str, ...]], Int[np.ndarray, "N N"]],
    family: Int[np.ndarray, "N"],
    resamples: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute the overlap under every combination of choices that the paper leaves open.

    Parameters
    ----------
    counts : callable
        Function from kinds to the features that two models share, as :func:`shared` gives them.
    family : Int[np.ndarray, "N"]
        Number of each model's family, as ``Models.codes`` gives it.
    resamples, seed : int
        Number of resamples of the bootstrap over pairs, and its seed.

    Returns
    -------
    pandas.DataFrame
        Table of the choices, the nearest to the printed numbers first: ``features``, ``similarity``
        (as it is, or row-normalised), ``delta``, ``estimator``, ``standard`` (one of the usual
        rules), ``value``, ``low``, ``high``, and ``away``: by how much the worst of the three
        misses the printed one.
    """
    rows = []
    for features, kinds in FEATURES.items():
        raw = jaccard(counts(kinds))
        for similarity, pairs in (
            ("Jaccard", pairs_of(raw, family)),
            ("row-normalised", pairs_of(np.nan_to_num(row_normalised(raw)), family, ordered=True)),
        ):
            known = {name: (usual, make) for name, usual, make in _estimators(pairs)}
            statistics = {name: make for name, (_, make) in known.items()}
            found = bootstrap(pairs, statistics, "pair", resamples, seed)
            for name, one in found.items():
                miss = np.abs(np.array([one.value, one.low, one.high]) - np.array(OVERLAP)).max()
                rows.append(
                    {
                        "features": features,
                        "similarity": similarity,
                        "delta": cliffs_delta(pairs),
                        "estimator": name,
                        "standard": known[name][0],
                        "value": one.value,
                        "low": one.low,
                        "high": one.high,
                        "away": float(miss),
                    }
                )
    return pd.DataFrame(rows).sort_values("away", ignore_index=True)


def _estimators(pairs: Pairs) -> Iterator[tuple[str, bool, Callable[..., float]]]:
    for rule in ("scott", "silverman", "iqr"):
        for of in ("pooled", "within", "cross"):
            yield f"KDE, {rule}, {of} pairs", True, Density(pairs, rule, of)
    scott = bandwidth(pairs)
    for share in SHARES[1:]:
        yield f"KDE, {share:g} × Scott's bandwidth", False, Density(pairs, share * scott)
    for bins in BINS:
        yield f"histogram, {bins} bins", bins <= 30, Histogram(pairs, bins)


def shuffled(
    similarity: Float[np.ndarray, "N N"],
    family: Int[np.ndarray, "N"],
    estimators: Mapping[str, Callable[[Pairs], float]],
    resamples: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Apply estimators to models whose families are shuffled, so that families mean nothing.

    Parameters
    ----------
    similarity : Float[np.ndarray, "N N"]
        Similarity of each two models.
    family : Int[np.ndarray, "N"]
        Number of each model's family, as ``Models.codes`` gives it.
    estimators : mapping
        Functions of the pairs, by name.
    resamples, seed : int
        Number of resamples, and their seed.

    Returns
    -------
    pandas.DataFrame
        Table of the estimators: ``estimator``, ``value`` as observed, and of the shuffled ones
        ``mean``, ``low``, ``high``.
    """
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(family) for _ in range(resamples)]
    rows: list[dict[str, Any]] = []
    for name, estimate in estimators.items():
        null = np.array([estimate(pairs_of(similarity, order)) for order in orders])
        low, high = np.percentile(null, [2.5, 97.5])
        rows.append(
            {
                "estimator": name,
                "value": estimate(pairs_of(similarity, family)),
                "mean": float(null.mean()),
                "low": float(low),
                "high": float(high),
            }
        )
    return pd.DataFrame(rows)
