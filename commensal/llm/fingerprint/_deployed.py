"""Fingerprints of the 27 deployed models of `pollination`, as a table within the package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Literal

import numpy as np
import pandas as pd

from commensal.llm.fingerprint._comparison import Comparison
from commensal.llm.fingerprint._models import read_models
from commensal.llm.fingerprint._pairs import influence, matrix, shared
from commensal.llm.fingerprint._profiles import KINDS, Fingerprint, choose

WEIGHTS = ("score", "log")
_FILES = files("commensal.llm.fingerprint")


def deployed(dates: Literal["date", "other_date"] = "date") -> Comparison:
    """Load the comparison of the 27 models from the table in the package.

    Parameters
    ----------
    dates : {"date", "other_date"}
        Column of release dates; ``"other_date"`` takes the other candidate where a date is in
        doubt.

    Returns
    -------
    Comparison
        Comparison, with influence by the weights "score", "log" and "equal".

    References
    ----------
    Derived by :func:`pair_table` and :func:`heaviest` from the profiles of slop-forensics (Paech
    2025, MIT licence).

    Examples
    --------
    >>> known = deployed()
    >>> len(known.models.names), int(known.shared["words"][0, 0])
    (27, 1000)
    """
    models = read_models(dates=dates)
    with _FILES.joinpath("deployed_pairs.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, comment="#")
    n = len(models.names)
    place = {name: i for i, name in enumerate(models.names)}
    a, b = (np.array([place[name] for name in table[side]]) for side in ("a", "b"))
    counts, flows = {}, {}
    for kind in KINDS:
        counts[kind] = np.zeros((n, n), dtype=np.int64)
        counts[kind][a, b] = counts[kind][b, a] = table[kind]
    for weights in WEIGHTS:
        flows[weights] = np.ones((n, n))
        flows[weights][a, b] = table[f"{weights}_a_to_b"]
        flows[weights][b, a] = table[f"{weights}_b_to_a"]
    total = np.sum(list(counts.values()), axis=0)
    flows["equal"] = total / np.diag(total)[:, None]
    with _FILES.joinpath("deployed_weights.csv").open(encoding="utf-8") as file:
        weight = pd.read_csv(file, comment="#")
    return Comparison(models, counts, flows, weight)


def pair_table(fingerprints: Mapping[str, Fingerprint]) -> pd.DataFrame:
    """Reduce profiles to the package's table: a row per pair, and one per model (a = b).

    Parameters
    ----------
    fingerprints : mapping
        Fingerprints by model, as :func:`read_profiles` gives them.

    Returns
    -------
    pandas.DataFrame
        Table of the pairs: ``a``, ``b``, shared ``words``, ``bigrams``, ``trigrams``, and the
        influence of a on b and of b on a over all three kinds, by weights.
    """
    names = read_models().names
    chosen = choose(fingerprints, names)
    a, b = np.triu_indices(len(names))
    columns: dict[str, object] = {
        "a": [names[i] for i in a],
        "b": [names[j] for j in b],
        **{kind: shared(matrix(chosen, [kind]))[a, b] for kind in KINDS},
    }
    for weights in WEIGHTS:
        flow = influence(matrix(chosen, KINDS, weights=weights))
        columns[f"{weights}_a_to_b"] = flow[a, b].round(6)
        columns[f"{weights}_b_to_a"] = flow[b, a].round(6)
    return pd.DataFrame(columns)
