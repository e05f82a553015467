"""Filters that choose which of a model's own texts it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.feature_extraction.text import CountVectorizer


def without_near_duplicates(texts: Sequence[str], words: int, threshold: float | int) -> list[int]:
    """Choose the texts that do not nearly repeat an earlier chosen one.

    Two texts are alike by the Jaccard similarity of their sets of runs of ``words`` words (as
    in the deduplication of Lee et al. 2022, here exact). A text shorter than that is its own
    only run.

    Parameters
    ----------
    texts : sequence of str
    words : int
    threshold : float
        From this similarity on the later text goes.

    Returns
    -------
    list of int
        Places of those that stay, in order.

    Examples
    --------
    >>> without_near_duplicates(["a b c", "c d", "a b c", "a b c d"], 2, 0.6)
    [0, 1]
    """
    if not texts:
        return []

    def runs(text: str) -> list[tuple[str, ...]]:
        parts = text.split()
        if len(parts) < words:
            return [tuple(parts)]
        return list(zip(*(parts[i:] for i in range(words)), strict=False))

    analyzer: Any = runs
    counted: Any = CountVectorizer(analyzer=analyzer, binary=True).fit_transform(texts)
    sets = counted.tocsr()
    sizes = np.asarray(sets.sum(axis=1)).ravel()
    stay: list[int] = []
    gone = np.zeros(len(texts), bool)
    for i in range(len(texts)):
        if gone[i]:
            continue
        stay.append(i)
        shared = (sets[i + 1 :] @ sets[i].T).toarray().ravel()
        alike = shared / (sizes[i + 1 :] + sizes[i] - shared)
        gone[i + 1 :] |= alike >= threshold
    return stay


def farthest_first(vectors: Float[np.ndarray, "N D"], count: int) -> list[int]:
    """Choose texts that lie far apart, each farthest from all before it (Gonzalez 1985).

    Parameters
    ----------
    vectors : Float[numpy.ndarray, "N D"]
        Their embeddings; angles count, lengths do not.
    count : int
        How many stay.

    Returns
    -------
    list of int
        Their places, in order. The most typical text is always there.

    Examples
    --------
    >>> import numpy as np
    >>> farthest_first(np.array([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1]]), 2)
    [2, 3]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors.astype(np.float64) / np.where(lengths > 0, lengths, 1.0)
    chosen = [int(np.argmax(unit @ unit.mean(axis=0)))]
    nearest = unit @ unit[chosen[0]]
    while len(chosen) < min(count, len(unit)):
        nearest[chosen[-1]] = np.inf  # is there already
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, unit @ unit[chosen[-1]])
        nearest[chosen[:-1]] = np.inf
    return sorted(chosen)
