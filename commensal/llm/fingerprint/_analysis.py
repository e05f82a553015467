"""Statistics of one comparison of fingerprints, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.fingerprint._bootstrap import Unit, bootstrap
from commensal.llm.fingerprint._comparison import Comparison
from commensal.llm.fingerprint._influence import Asymmetry, asymmetry, directed_pairs
from commensal.llm.fingerprint._models import read_models
from commensal.llm.fingerprint._pairs import row_normalised
from commensal.llm.fingerprint._published import choices, shuffled
from commensal.llm.fingerprint._statistics import (
    Density,
    Histogram,
    Pairs,
    cliffs_delta,
    pairs_of,
)
from commensal.llm.records.branch import parquet
from commensal.saving import write

FINE = 60
"""Number of bins of the histogram that shows what too many bins for the sample do."""


class Analysis(NamedTuple):
    """Results of :func:`analyse`.

    Attributes
    ----------
    comparison : Comparison
        Models that are compared, and what they share.
    kinds : tuple of str
        Kinds of features that the similarity is over.
    similarity : Float[np.ndarray, "N N"]
        Similarity of each two models.
    pairs : Pairs
        Pairs of different models.
    intervals : pandas.DataFrame
        Intervals of the statistics: ``statistic``, ``unit`` that was resampled, ``value``, ``low``,
        ``high``, ``middle``; empty where no family has two models.
    null : pandas.DataFrame
        Same statistics where models' families are shuffled.
    asymmetry : dict of str to Asymmetry
        Test of the direction of influence, by weights; empty without dates.
    choices : pandas.DataFrame or None
        Overlap under all choices; for the 27 models of `pollination` alone.
    resamples, seed : int
        Number of resamples of each bootstrap, and its seed.
    """

    comparison: Comparison
    kinds: tuple[str, ...]
    similarity: Float[np.ndarray, "N N"]
    pairs: Pairs
    intervals: pd.DataFrame
    null: pd.DataFrame
    asymmetry: dict[str, Asymmetry]
    choices: pd.DataFrame | None
    resamples: int
    seed: int


def analyse(
    comparison: Comparison,
    kinds: Sequence[str] = ("words",),
    *,
    resamples: int = 1000,
    seed: int = 0,
    width: float | int | None = None,
) -> Analysis:
    """Compute overlap within and across families, and influence over dates.

    Parameters
    ----------
    comparison : Comparison
        Models, and what they share.
    kinds : sequence of str
        Kinds of features that the similarity is over, of "words", "bigrams", "trigrams". Influence
        is over all.
    resamples : int
        Number of resamples of each bootstrap.
    seed : int
        Seed of the bootstraps.
    width : float, optional
        Width of a bin of lags; by default 3 months, or 1 generation.

    Returns
    -------
    Analysis
        All tables of the report.

    Raises
    ------
    ValueError
        If all pairs are equally alike, or dates do not differ.

    Examples
    --------
    >>> from commensal.llm.fingerprint import deployed
    >>> found = analyse(deployed(), resamples=20)
    >>> first = found.intervals.iloc[0]
    >>> first["statistic"], first["unit"], f"{first['value']:.3f}"
    ("Cliff's δ", 'pair', '-0.568')
    """
    models, family = comparison.models, comparison.models.codes()
    similarity = comparison.similarity(kinds)
    pairs = pairs_of(similarity, family)
    rows: list[dict[str, Any]] = []
    if pairs.within.any():  # without them there is nothing to set those across families against
        statistics = {
            "Cliff's δ": lambda counts=None: cliffs_delta(pairs, counts),
            "OVL, KDE with Scott's bandwidth": Density(pairs),
            "OVL, histogram of 20 bins": Histogram(pairs, 20),
            f"OVL, histogram of {FINE} bins": Histogram(pairs, FINE),
        }
        for unit in get_args(Unit):
            for name, one in bootstrap(pairs, statistics, unit, resamples, seed).items():
                rows.append({"statistic": name, "unit": unit, **one._asdict()})
    null = pd.DataFrame()
    if pairs.within.any():
        null = shuffled(
            similarity,
            family,
            {
                "Cliff's δ": cliffs_delta,
                "OVL, KDE with Scott's bandwidth": lambda p: Density(p)(),
                "OVL, histogram of 20 bins": lambda p: Histogram(p, 20)(),
                f"OVL, histogram of {FINE} bins": lambda p: Histogram(p, FINE)(),
            },
            min(resamples, 200),
            seed,
        )
    asymmetries = {}
    if models.dates is not None and np.unique(models.dates).size > 1:
        wide = width or (3 if models.unit == "month" else 1)
        for weights, flow in comparison.influence.items():
            asymmetries[weights] = asymmetry(
                flow, family, models.dates, width=wide, resamples=resamples, seed=seed
            )
    table = None
    if is_published(comparison):
        table = choices(comparison.counts, family, min(resamples, 200), seed)
    return Analysis(
        comparison,
        tuple(kinds),
        similarity,
        pairs,
        pd.DataFrame(rows),
        null,
        asymmetries,
        table,
        resamples,
        seed,
    )


def is_published(comparison: Comparison) -> bool:
    """Return whether these are the 27 models of `pollination`, in its five families."""
    known = read_models()
    return _families(known.names, known.families) == _families(
        comparison.models.names, comparison.models.families
    )


def _families(names: Sequence[str], families: Sequence[str]) -> set[tuple[str, str]]:
    return {(n.rpartition("/")[2], f) for n, f in zip(names, families, strict=True)}


def write_tables(found: Analysis, folder: Path) -> list[Path]:
    """Write all results of an analysis as tables.

    Parameters
    ----------
    found : Analysis
    folder : Path

    Returns
    -------
    list of Path
        ``similarity.csv`` (N × N), ``row_normalised.csv``, ``pairs.parquet`` (a row per pair),
        ``heaviest.csv``; where a family has two models ``statistics.csv`` (intervals) and
        ``shuffled.csv``; with dates
        ``influence.parquet`` (a row per directed pair), ``influence_bins.csv``,
        ``asymmetry.csv``; ``choices.csv`` for the models of `pollination`.
    """
    models, pairs = found.comparison.models, found.pairs
    names, families = np.array(models.names), np.array(models.families)
    written: dict[str, pd.DataFrame] = {"heaviest.csv": found.comparison.heaviest}
    if len(found.intervals):
        written |= {"statistics.csv": found.intervals, "shuffled.csv": found.null}
    for name, matrix in (
        ("similarity.csv", found.similarity),
        ("row_normalised.csv", row_normalised(found.similarity)),
    ):
        written[name] = pd.DataFrame(matrix, index=names, columns=names).reset_index(names="model")
    written["pairs.parquet"] = pd.DataFrame(
        {
            "a": names[pairs.first],
            "b": names[pairs.second],
            "family_a": families[pairs.first],
            "family_b": families[pairs.second],
            "within": pairs.within,
            "similarity": pairs.similarity,
        }
    )
    if found.asymmetry and models.dates is not None:
        parts, bins, sides = [], [], []
        for weights, one in found.asymmetry.items():
            flow = found.comparison.influence[weights]
            part = directed_pairs(flow, models.codes(), models.dates)
            part["source"], part["target"] = names[part["source"]], names[part["target"]]
            parts.append(part.assign(weights=weights))
            bins.append(one.bins.assign(weights=weights))
            sides.append(
                {
                    "weights": weights,
                    **one.difference._asdict(),
                    "low_pairs": one.pairs_interval[0],
                    "high_pairs": one.pairs_interval[1],
                    "p_value": one.p_value,
                    "explained": one.explained,
                    "older_first": one.older_first,
                }
            )
        written["influence.parquet"] = pd.concat(parts, ignore_index=True)
        written["influence_bins.csv"] = pd.concat(bins, ignore_index=True)
        written["asymmetry.csv"] = pd.DataFrame(sides)
    if found.choices is not None:
        written["choices.csv"] = found.choices
    paths = []
    for name, table in written.items():
        path = folder / name
        binary = path.suffix == ".parquet"
        write(path, parquet(table) if binary else table.to_csv(index=False).encode())
        paths.append(path)
    return paths
