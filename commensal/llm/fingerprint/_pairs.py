"""Similarity and influence of each two models, by products of sparse matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy import sparse

from commensal.llm.fingerprint._profiles import KINDS, Fingerprint

Weights = Literal["score", "log", "rank", "equal"]


def matrix(
    fingerprints: Mapping[str, Fingerprint],
    kinds: Sequence[str] = ("words",),
    top: int | None = None,
    weights: Weights = "equal",
) -> sparse.csr_array:
    """Make a sparse matrix, models by features, of the weights of the features.

    Parameters
    ----------
    fingerprints : mapping
        Fingerprints by the name of their model.
    kinds : sequence of {"words", "bigrams", "trigrams"}
        Kinds of features.
    top : int, optional
        Number of features of each kind to take, the first ones; by default all.
    weights : {"score", "log", "rank", "equal"}
        Weight of a feature: the profile's own; log(1 + that); 1/rank; 1. Scaled to mean 1 within
        each kind of each model, since words carry ratios and n-grams counts.

    Returns
    -------
    scipy.sparse.csr_array
        Weights, float64, (N, V).

    Raises
    ------
    ValueError
        If a fingerprint is empty, and the message names the model; or a kind is unknown.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"kinds must be of {', '.join(KINDS)}, got {kind!r}")
    columns: dict[str, int] = {}
    index: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for name, fingerprint in fingerprints.items():
        mine: list[np.ndarray] = []
        for kind in kinds:
            part = fingerprint.features([kind], top)
            if part:
                here = [columns.setdefault(feature, len(columns)) for feature in part]
                index.append(np.array(here, dtype=np.int64))
                mine.append(_weigh(np.fromiter(part.values(), float, len(part)), weights))
        if not mine:
            raise ValueError(f"the fingerprint of {name!r} is empty: no {' or '.join(kinds)}")
        values.append(np.concatenate(mine))
    lengths = [len(v) for v in values]
    rows = np.repeat(np.arange(len(values)), lengths)
    cells = (np.concatenate(values), (rows, np.concatenate(index)))
    return sparse.csr_array(cells, shape=(len(values), len(columns)))


def _weigh(scores: np.ndarray, weights: Weights) -> np.ndarray:
    if weights == "equal":
        return np.ones(scores.size)
    if weights == "rank":
        scores = 1 / np.arange(1, scores.size + 1)
    elif weights == "log":
        scores = np.log1p(scores)
    return scores / scores.mean()


def shared(features: sparse.csr_array) -> Int[np.ndarray, "N N"]:
    """Count the features that each two models share; the diagonal counts each model's own.

    Parameters
    ----------
    features : scipy.sparse.csr_array
        Weights of the features, as :func:`matrix` gives them; only which entries there are counts.
    """
    has = features.copy()
    has.data = np.ones(has.nnz, dtype=np.float32)  # exact up to 2^24
    return np.rint((has @ has.T).toarray()).astype(np.int64)


def jaccard(counts: Int[np.ndarray, "N N"]) -> Float[np.ndarray, "N N"]:
    """Jaccard similarity: the number of shared features over that of all features of both.

    Parameters
    ----------
    counts : Int[np.ndarray, "N N"]
        Numbers of shared features, as :func:`shared` gives them (or a sum of such over kinds).

    Examples
    --------
    >>> a, b = Fingerprint({"x": 1.0, "y": 1.0}), Fingerprint({"y": 2.0, "z": 1.0})
    >>> jaccard(shared(matrix({"a": a, "b": b}))).round(3)
    array([[1.   , 0.333],
           [0.333, 1.   ]])
    """
    sizes = np.diag(counts)
    return counts / (sizes[:, None] + sizes[None, :] - counts)


def influence(features: sparse.csr_array) -> Float[np.ndarray, "N N"]:
    r"""Directed influence I(A → B): the share of A's weight on features that B has too.

    .. math:: I(A \to B) = \sum_{f \in F(A) \cap F(B)} w_A(f) \Big/ \sum_{f \in F(A)} w_A(f)

    Parameters
    ----------
    features : scipy.sparse.csr_array
        Weights of the features, as :func:`matrix` gives them.

    Returns
    -------
    Float[np.ndarray, "N N"]
        Influence, source by target; 1 on the diagonal. With equal weights and fingerprints of equal
        size it is symmetric, whatever the models took from each other: all direction is in the
        weights.

    References
    ----------
    `pollination`, eq. (1).

    Examples
    --------
    >>> a, b = Fingerprint({"x": 3.0, "y": 1.0}), Fingerprint({"y": 2.0, "z": 2.0})
    >>> influence(matrix({"a": a, "b": b}, weights="score"))
    array([[1.  , 0.25],
           [0.5 , 1.  ]])
    """
    has = features.copy()
    has.data = np.ones(has.nnz)
    return (features @ has.T).toarray() / features.sum(axis=1)[:, None]


def heaviest(fingerprints: Mapping[str, Fingerprint]) -> pd.DataFrame:
    """Measure on how few words a model's weight lies.

    Parameters
    ----------
    fingerprints : mapping
        Fingerprints by the name of their model.

    Returns
    -------
    pandas.DataFrame
        Table with a row per ``model``: its heaviest ``word``, the ``share`` of all words' scores
        that this one has, and ``effective``, how many words of equal score would be as
        concentrated: (Σw)² / Σw².

    Examples
    --------
    >>> heaviest({"a": Fingerprint({"elara": 3.0, "hum": 1.0})})
      model   word  share  effective
    0     a  elara   0.75        1.6
    """
    rows = []
    for name, one in fingerprints.items():
        scores = np.fromiter(one.words.values(), float, len(one.words))
        if scores.size:
            word = list(one.words)[int(scores.argmax())]
            share = scores.max() / scores.sum()
            effective = scores.sum() ** 2 / (scores @ scores)
        else:
            word, share, effective = "", np.nan, np.nan
        rows.append((name, word, float(share), float(effective)))
    return pd.DataFrame(rows, columns=["model", "word", "share", "effective"])


def row_normalised(similarity: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N N"]:
    """Divide each row by its sum without the diagonal, which becomes NaN.

    A model that is like no other keeps its row of zeros.

    Examples
    --------
    >>> row_normalised(np.array([[1.0, 0.1, 0.3], [0.1, 1.0, 0.1], [0.3, 0.1, 1.0]]))[0]
    array([ nan, 0.25, 0.75])
    """
    off = similarity.astype(float)
    np.fill_diagonal(off, np.nan)
    total = np.nansum(off, axis=1, keepdims=True)
    return off / np.where(total > 0, total, 1)
