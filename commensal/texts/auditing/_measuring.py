"""Measure all indices of two samples at once, for any choice of their documents."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from commensal.texts.auditing import _indices as indices
from commensal.texts.auditing._counts import ComparedTexts

RARE = 4
"""A type is rare if a human sample of the same size has it so many times at most."""
_FEW = 200
"""Pairs of documents that self-BLEU is computed on."""
_SHINGLED = 2_000
"""Pairs of documents among which near-duplicates are looked for."""
_ALIKE = 0.8
"""Jaccard similarity from which on two texts are near-duplicates."""
_HASHES = 64
_DIRECTIONS = 64
_BYTES = 32_768
"""Bytes of each sample that are compressed: as far as gzip looks back."""

Chosen = Bool[np.ndarray, " D"]
Two = tuple[float, float]
Measure = Callable[[np.ndarray, np.ndarray], dict[str, Two]]
"""Function of two masks over the documents of a pool: each index of the first and the second."""


def measure_of(
    pool: ComparedTexts,
    vectors: Float[np.ndarray, "D E"],
    losses: Float[np.ndarray, " D"] | None = None,
    phrases: Float[np.ndarray, " D"] | None = None,
) -> Measure:
    """Prepare a function that measures two choices of the pool's documents.

    Parameters
    ----------
    pool : ComparedTexts
        Documents of both samples.
    vectors : Float[numpy.ndarray, "D E"]
        Embedding of each.
    losses : Float[numpy.ndarray, "D"], optional
        Total loss of each under a model.
    phrases : Float[numpy.ndarray, "D"], optional
        Number of a profile's phrases in each.

    Returns
    -------
    callable
        Function of two masks over all 2 P documents, which choose as many tokens each.
    """
    alike = _near(pool)
    few = _first(pool, _FEW)
    parts = [sparse.coo_array(pool.grams[n].counts * few[:, None]) for n in (1, 2, 3, 4)]
    shingled = _first(pool, _SHINGLED)
    rare = {n: is_rare(pool, n) for n in (1, 2, 3)}
    encoded = [text.encode() for text in pool.texts]
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(norms > 0, norms, 1.0)
    names = {1: "rare_retention", 2: "bigram_retention", 3: "trigram_retention"}

    def measure(first: np.ndarray, second: np.ndarray) -> dict[str, Two]:
        sides = (first.astype(bool), second.astype(bool))
        found: dict[str, Two] = {}
        for n, name in names.items():
            counts = [pool.grams[n].of(side.astype(float)) for side in sides]
            here, there = (indices.retained(c, rare[n]) for c in counts)
            found[name] = (here / there if there else float("nan"), 1.0)
            found[f"distinct_{n}"] = _both(indices.distinct, counts)
            if n < 3:
                found[f"entropy_{n}"] = _both(indices.entropy, counts)
            if n == 1:
                found["hill_2"] = _both(indices.hill, counts)
                found["zipf_exponent"] = _both(indices.zipf_exponent, counts)
        found["compression_ratio"] = _both(lambda side: _compression(encoded, side), sides)
        found["self_bleu"] = _both(lambda side: indices.self_bleu(parts, side & few), sides)
        found["near_duplicates"] = _both(lambda side: _repeated(alike, side & shingled), sides)
        found["vendi"] = _both(lambda side: indices.vendi(unit[side]), sides)
        unknown = [pool.unknown[side].sum() / pool.lengths[side].sum() for side in sides]
        found["unknown_words"] = (float(unknown[0]), float(unknown[1]))
        found["drift"] = (indices.drift(vectors[sides[0]], vectors[sides[1]]), 0.0)
        for name, values, per in (("perplexity", losses, 1), ("in_profile", phrases, 1000)):
            if values is not None:
                found[name] = _both(
                    lambda side, v=values, p=per: float(
                        p * v[side].sum() / pool.lengths[side].sum()
                    ),
                    sides,
                )
        return found

    return measure


def is_rare(pool: ComparedTexts, n: int) -> Bool[np.ndarray, " V"]:
    """Return which n-grams the dictionary has, and a human sample of that size hardly has."""
    known = pool.grams[n].known
    return (known > 0) & (known * pool.tokens <= RARE * max(pool.dictionary, pool.tokens))


def embedded(pool: ComparedTexts) -> Float[np.ndarray, "D E"]:
    """Embed documents without a model: tf-idf of their words, in its main directions (LSA).

    Deerwester et al. 1990; of the pooled documents, so that no label is used.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(pool.grams[1].counts)
    dimensions = max(min(_DIRECTIONS, min(weighted.shape) - 1), 1)
    return TruncatedSVD(dimensions, random_state=0).fit_transform(weighted)


def _both(of: Callable[[Any], float], sides: Any) -> Two:
    first, second = sides
    return of(first), of(second)


def _first(pool: ComparedTexts, pairs: int) -> Chosen:
    return np.tile(np.arange(pool.pairs) < pairs, 2)


def _compression(encoded: list[bytes], side: Chosen) -> float:
    """Return bytes of texts one below the other, over bytes of gzip (Shaib et al. 2024)."""
    joined = b"\n".join(encoded[at] for at in np.flatnonzero(side)[:_BYTES])[:_BYTES]
    return len(joined) / len(gzip.compress(joined, 6, mtime=0)) if joined else float("nan")


def _near(pool: ComparedTexts) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
    """Return pairs of documents whose sets of runs of three tokens are alike."""
    from datasketch import MinHash, MinHashLSH

    counts = pool.grams[3].counts
    lsh = MinHashLSH(threshold=_ALIKE, num_perm=_HASHES)
    of_few = np.flatnonzero(_first(pool, _SHINGLED))
    # numbers of n-grams follow the alphabet of the pool, so they are mixed before they are hashed
    mixed = (
        np.arange(counts.shape[1], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    ) >> np.uint64(32)
    sets = {at: counts.indices[counts.indptr[at] : counts.indptr[at + 1]] for at in of_few}
    hashed, edges = MinHash(num_perm=_HASHES, hashfunc=int), []
    for at, runs in sets.items():
        if len(runs) < 1:
            continue
        one = hashed.copy()
        one.update_batch(mixed[runs].tolist())
        near: list[Any] = list(lsh.query(one))
        for other in near:
            shared = len(np.intersect1d(runs, sets[other], assume_unique=True))
            if shared >= _ALIKE * (len(runs) + len(sets[other]) - shared):
                edges.append((at, other))
        lsh.insert(int(at), one)
    first, second = np.array(edges, np.int64).reshape(-1, 2).T
    return first, second


def _repeated(alike: tuple[np.ndarray, np.ndarray], side: Chosen) -> float:
    """Return the share of documents that have a near-duplicate on the same side."""
    first, second = alike
    together = side[first] & side[second]
    return len(np.union1d(first[together], second[together])) / max(int(side.sum()), 1)


def differences(found: Mapping[str, Two]) -> Float[np.ndarray, " I"]:
    """Return the first value minus the second, for each index."""
    return np.array([first - second for first, second in found.values()])
