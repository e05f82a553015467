"""Comparison of fingerprints: the shared features, from which all statistics follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from commensal.llm.fingerprint._models import Models
from commensal.llm.fingerprint._pairs import Weights, heaviest, influence, jaccard, matrix, shared
from commensal.llm.fingerprint._profiles import KINDS, Fingerprint, choose


class Comparison(NamedTuple):
    """Models, and the features that each two of them share.

    Attributes
    ----------
    models : Models
        Models that are compared.
    shared : dict of str to Int[np.ndarray, "N N"]
        Numbers of features that two models share, by kind ("words", "bigrams", "trigrams"); on the
        diagonal, how many one has.
    influence : dict of str to Float[np.ndarray, "N N"]
        Directed influence over all kinds, source by target; by weights.
    heaviest : pandas.DataFrame
        Table of how few words each model's weight lies on, as :func:`heaviest` gives it.
    """

    models: Models
    shared: dict[str, Int[np.ndarray, "N N"]]
    influence: dict[str, Float[np.ndarray, "N N"]]
    heaviest: pd.DataFrame

    def counts(self, kinds: Sequence[str]) -> Int[np.ndarray, "N N"]:
        """Count shared features of several kinds together."""
        return np.sum([self.shared[kind] for kind in kinds], axis=0)

    def similarity(self, kinds: Sequence[str]) -> Float[np.ndarray, "N N"]:
        """Return the Jaccard similarity over these kinds of features.

        Raises
        ------
        ValueError
            If a model has no feature of these kinds; the message names it.
        """
        counts = self.counts(kinds)
        for name, size in zip(self.models.names, np.diag(counts), strict=True):
            if not size:
                raise ValueError(f"the fingerprint of {name!r} is empty: no {' or '.join(kinds)}")
        return jaccard(counts)


def compare(fingerprints: Mapping[str, Fingerprint], models: Models) -> Comparison:
    """Compare every model with every other.

    Parameters
    ----------
    fingerprints : mapping
        Fingerprints of these models by name, perhaps of more.
    models : Models
        Models to compare.

    Returns
    -------
    Comparison
        Models, and what they share.

    Raises
    ------
    ValueError
        If a model has no fingerprint, or an empty one; the message names it.

    Examples
    --------
    >>> names = ("a", "b", "c", "d")
    >>> prints = {name: Fingerprint({"hum": 2.0, name * 4: 1.0}) for name in names}
    >>> compare(prints, Models(names, ("x", "x", "y", "y"))).similarity(["words"])[0].round(3)
    array([1.   , 0.333, 0.333, 0.333])
    """
    chosen = choose(fingerprints, models.names)
    matrix(chosen, KINDS)  # an empty one is told here
    counts = {}
    for kind in KINDS:
        own = {name: Fingerprint(one.features([kind])) for name, one in chosen.items()}
        counts[kind] = _shared(own)
    flows = {
        weights: influence(matrix(chosen, KINDS, weights=weights)) for weights in get_args(Weights)
    }
    return Comparison(models, counts, flows, heaviest(chosen))


def _shared(prints: Mapping[str, Fingerprint]) -> np.ndarray:
    """Count shared features as :func:`shared` does, with zeros for a model without features."""
    n = len(prints)
    some = [i for i, one in enumerate(prints.values()) if one.words]
    counts = np.zeros((n, n), dtype=np.int64)
    if some:
        full = {name: one for name, one in prints.items() if one.words}
        counts[np.ix_(some, some)] = shared(matrix(full))
    return counts
