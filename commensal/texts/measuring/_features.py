"""Features of documents: hashed n-grams, a sentence embedder, or a language model's states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal._words import unspaced_share
from commensal.texts._models import embedder_of, states_of

Progress = Callable[[float, float], None]

_COLUMNS = 2**16  # of the hashed n-grams
_AXES = 4  # hashed features are kept in so many times the directions asked for
_UNSPACED = 0.2  # share of letters from which on n-grams are of characters
_BATCH = 64


class TextFeatures(NamedTuple):
    """Features of the documents of every source, in coordinates that all share.

    Attributes
    ----------
    rows : list of Float[np.ndarray, "n D"]
        A row for each document, of one array for each source.
    variance : float
        Variance of all features about their mean, every source with the same weight; at least
        that of ``rows``, from which directions may have been left out.
    said : str
        Description of the features.
    """

    rows: list[Float[np.ndarray, "_ D"]]
    variance: float
    said: str


def features_of(
    kind: str, texts: Sequence[Sequence[str]], dim: int, seed: int, progress: Progress
) -> TextFeatures:
    """Compute the features of each source's documents.

    Parameters
    ----------
    kind : str
        ``"hashed"``, ``"embedder:NAME"`` or ``"model:NAME_OR_FOLDER"``.
    texts : sequence of sequence of str
        Documents of each source.
    dim : int
        Directions that will be used.
    seed : int
    progress : callable
        Called with the share of the documents that are done.

    Raises
    ------
    ValueError
        If there is no such kind, or what it needs is missing.
    """
    name, _, what = kind.partition(":")
    if name == "hashed" and not what:
        return _hashed(texts, dim, seed, progress)
    if name not in ("embedder", "model") or not what:
        raise ValueError(f"features must be hashed, embedder:NAME or model:NAME, got {kind!r}")
    embed, said = (embedder_of if name == "embedder" else states_of)(what)
    done, total = 0, sum(map(len, texts))
    rows = []
    for of in texts:
        found = []
        for start in range(0, len(of), _BATCH):
            found.append(np.asarray(embed(of[start : start + _BATCH]), dtype=np.float64))
            done += len(of[start : start + _BATCH])
            progress(done, total)
        rows.append(np.concatenate(found))
    if not all(np.isfinite(one).all() for one in rows):
        raise ValueError(f"{kind}: features that are not finite")
    means = np.stack([one.mean(axis=0) for one in rows])
    squares = np.mean([(one**2).sum(axis=1).mean() for one in rows])
    return TextFeatures(rows, float(squares - (means.mean(axis=0) ** 2).sum()), said)


def _hashed(
    texts: Sequence[Sequence[str]], dim: int, seed: int, progress: Progress
) -> TextFeatures:
    """Weigh n-grams by how few documents have them, and keep the main directions of all."""
    try:
        from scipy import sparse
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.preprocessing import normalize
        from sklearn.utils.extmath import randomized_svd
    except ImportError as error:
        raise ValueError(
            f"measuring texts needs {error.name}: pip install 'commensal[texts]'"
        ) from None
    by_characters = any(unspaced_share(of) > _UNSPACED for of in texts)
    how: dict[str, Any] = {"n_features": _COLUMNS, "alternate_sign": False, "norm": None}
    cut = ("char", (1, 3)) if by_characters else ("word", (1, 2))
    hashing = HashingVectorizer(analyzer=cut[0], ngram_range=cut[1], dtype=np.float64, **how)
    counts: list[Any] = []
    for at, of in enumerate(texts):
        counts.append(hashing.transform(of))
        progress(0.5 * (at + 1), len(texts))
    # every source has the same weight, so that the largest does not choose the directions
    share = np.mean([np.asarray((one > 0).mean(axis=0)).ravel() for one in counts], axis=0)
    total = sum(map(len, texts))
    once = 1 / total
    rarity = sparse.diags(1 - np.log((share + once) / (1 + once)))
    weighed: list[Any] = [normalize(one @ rarity) for one in counts]
    stacked: Any = sparse.vstack([one / np.sqrt(len(counts) * one.shape[0]) for one in weighed])
    axes = min(_AXES * dim, total - 1, _COLUMNS - 1)
    decompose: Any = randomized_svd
    vectors = decompose(stacked.tocsr(), axes, n_iter=4, random_state=seed)[2]
    mean = np.asarray(sum(one.mean(axis=0) for one in weighed)).ravel() / len(weighed)
    squares = np.mean([one.multiply(one).sum() / one.shape[0] for one in weighed])
    progress(1, 1)
    kind = "characters (1 to 3)" if by_characters else "words (1 or 2)"
    return TextFeatures(
        [np.asarray(one @ vectors.T) for one in weighed],
        float(squares - mean @ mean),
        f"hashed n-grams of {kind}, weighed by how few documents have them (TF-IDF)",
    )
