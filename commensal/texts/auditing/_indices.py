"""Indices of how rich a sample of texts is, each a small function of counts or vectors."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

_HEAD = 10
"""Ranks that the fit of Zipf's law leaves out: there no natural text follows it."""
_LEAST = 3
"""Count of a word from which on the fit of Zipf's law takes it."""


class Index(NamedTuple):
    """What an index is.

    Attributes
    ----------
    name : str
        Name in tables and conditions.
    says : str
        What it measures, for a reader.
    narrow : {-1, 0, 1}
        Sign of its change in a corpus that is narrowing; 0 where it has none.
    source : str
        Where it comes from.
    distance : bool
        Whether it is a distance between both corpora, not a number of each.
    """

    name: str
    says: str
    narrow: Literal[-1, 0, 1]
    source: str
    distance: bool = False


INDICES = {
    index.name: index
    for index in (
        Index("rare_retention", "rare words of humans that are used, per human sample", -1,
              "survival of words: Suresh et al., arXiv 2412.17646 (extended, ours)"),
        Index("bigram_retention", "rare human word pairs that are used", -1, "as rare_retention"),
        Index("trigram_retention", "rare human runs of three that are used", -1,
              "as rare_retention"),
        Index("distinct_1", "different words over all words", -1, "Li et al. 2016"),
        Index("distinct_2", "different pairs over all pairs", -1, "Li et al. 2016"),
        Index("distinct_3", "different runs of three over all", -1, "Li et al. 2016"),
        Index("entropy_1", "entropy of words, nats", -1, "Shannon 1948"),
        Index("entropy_2", "entropy of word pairs, nats", -1, "Shannon 1948"),
        Index("hill_2", "effective number of words, 1/Σp²", -1, "Hill 1973"),
        Index("zipf_exponent", "slope of frequency over rank", 1, "Zipf 1949"),
        Index("compression_ratio", "bytes over bytes of gzip", 1, "Shaib et al. 2024"),
        Index("self_bleu", "BLEU of a text against the others", 1, "Zhu et al. 2018"),
        Index("near_duplicates", "texts that nearly repeat another", 1,
              "MinHash: Broder 1997; Lee et al. 2022"),
        Index("vendi", "effective number of directions of texts", -1,
              "Friedman and Dieng 2023"),
        Index("unknown_words", "words that no human text of the reference has", 0, "counts"),
        Index("drift", "distance of mean embeddings", 0,
              "linear maximum mean discrepancy: Gretton et al. 2012", distance=True),
        Index("perplexity", "log perplexity of a model, nats per word", 0, "cross entropy"),
        Index("in_profile", "phrases of the profile per 1,000 words", 0, "slop-forensics"),
    )
}  # fmt: skip
"""All indices by their names."""


def retained(counts: Float[np.ndarray, " V"], rare: Bool[np.ndarray, " V"]) -> int:
    """Return how many of the rare types occur.

    Examples
    --------
    >>> retained(np.array([2.0, 0.0, 1.0]), np.array([True, True, False]))
    1
    """
    return int(np.count_nonzero(counts[rare]))


def distinct(counts: Float[np.ndarray, " V"]) -> float:
    """Return how many different types there are over how many tokens; NaN where there are none.

    Examples
    --------
    >>> distinct(np.array([3.0, 1.0, 0.0]))
    0.5
    """
    total = counts.sum()
    return float(np.count_nonzero(counts) / total) if total else float("nan")


def entropy(counts: Float[np.ndarray, " V"]) -> float:
    """Return the entropy of the empirical distribution, in nats.

    Examples
    --------
    >>> round(entropy(np.array([1.0, 1.0, 0.0])), 4)
    0.6931
    """
    found = counts[counts > 0]
    total = found.sum()
    return float(np.log(total) - found @ np.log(found) / total) if total else float("nan")


def hill(counts: Float[np.ndarray, " V"]) -> float:
    """Return Hill's number of order 2: how many equally frequent types would be as diverse.

    Unbiased by Simpson's estimate: the chance that two tokens, drawn without replacement, are of
    one type.

    Examples
    --------
    >>> hill(np.array([2.0, 2.0]))
    3.0
    """
    total = counts.sum()
    alike = float(counts @ (counts - 1))
    return float(total * (total - 1) / alike) if alike else float("nan")


def zipf_exponent(counts: Float[np.ndarray, " V"]) -> float:
    """Return minus the slope of log frequency over log rank, each rank weighted by 1/rank.

    The first ten ranks, and types that occur less than three times, are left out.

    Examples
    --------
    >>> round(zipf_exponent(np.floor(1e6 * np.arange(1, 1000.0) ** -1.2)), 2)
    1.2
    """
    found = np.sort(counts[counts >= _LEAST])[::-1][_HEAD:]
    if len(found) < 2 or found[0] == found[-1]:
        return float("nan")
    rank = np.arange(_HEAD + 1, _HEAD + 1 + len(found))
    weight, x, y = 1 / rank, np.log(rank), np.log(found)
    x = x - np.average(x, weights=weight)
    return float(-(weight * x) @ y / ((weight * x) @ x))


def self_bleu(parts: list[Any], chosen: Bool[np.ndarray, " D"]) -> float:
    """Return the mean BLEU of each chosen text against all other chosen ones, from 0 to 1.

    Parameters
    ----------
    parts : list of scipy.sparse.coo_array
        Counts of n-grams by document, for n = 1, 2, 3, 4, of few documents.
    chosen : Bool[numpy.ndarray, "D"]

    Returns
    -------
    float
        As sacrebleu computes it, with smoothing "exp", but on the audit's tokens.
    """
    number = int(chosen.sum())
    if number < 2:
        return float("nan")
    lengths = np.bincount(parts[0].row, parts[0].data, len(chosen))
    logs, halved = np.zeros(len(chosen)), np.ones(len(chosen))
    orders, any_match = np.zeros(len(chosen)), np.zeros(len(chosen), bool)
    for part in parts:
        here = chosen[part.row]
        row, gram, count = part.row[here], part.col[here], part.data[here]
        most, second = np.zeros(part.shape[1]), np.zeros(part.shape[1])
        np.maximum.at(most, gram, count)
        top = count == most[gram]
        np.maximum.at(second, gram[~top], count[~top])
        alone = np.bincount(gram[top], minlength=part.shape[1]) == 1
        # what any other text has: this one's own count is no reference for it
        others = np.where(top & alone[gram], second[gram], most[gram])
        matches = np.bincount(row, np.minimum(count, others), len(chosen))
        total = np.bincount(row, count, len(chosen))
        halved = np.where((matches == 0) & (total > 0), halved * 2, halved)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(matches > 0, matches, 1 / halved) / total
            logs += np.where(total > 0, np.log(share), 0.0)
        orders += total > 0
        any_match |= matches > 0
    own = lengths[chosen]
    score = np.exp(logs[chosen] / np.maximum(orders[chosen], 1))
    score[~any_match[chosen]] = 0.0
    sizes = np.sort(own)
    nearest = _nearest_other(own, sizes)
    brevity = np.where(own < nearest, np.exp(1 - nearest / np.maximum(own, 1)), 1.0)
    return float((score * brevity).mean())


def _nearest_other(own: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return for each length the nearest one of another text, the shorter of two as near."""
    at = np.searchsorted(ordered, own)
    again = np.searchsorted(ordered, own, "right") - at > 1
    below = np.where(at > 0, ordered[np.maximum(at - 1, 0)], -np.inf)
    above = np.where(at + 1 < len(ordered), ordered[np.minimum(at + 1, len(ordered) - 1)], np.inf)
    return np.where(again, own, np.where(own - below <= above - own, below, above))


def vendi(vectors: Float[np.ndarray, "N E"]) -> float:
    """Return the Vendi score of unit vectors: how many that share nothing would be as diverse.

    Examples
    --------
    >>> round(vendi(np.eye(3)), 6), round(vendi(np.array([[1.0, 0.0]] * 3)), 6)
    (3.0, 1.0)
    """
    from vendi_score import vendi as library

    return float(library.score_dual(vectors, normalize=False))


def drift(first: Float[np.ndarray, "N E"], second: Float[np.ndarray, "M E"]) -> float:
    """Return the distance of the mean vectors.

    Examples
    --------
    >>> drift(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 1.0]]))
    1.0
    """
    return float(np.linalg.norm(first.mean(axis=0) - second.mean(axis=0)))
