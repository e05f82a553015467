"""Diversity of texts: distinct n-grams, their entropy, and words compared with human ones.

All of these depend on how much text there is: the longer it is, the fewer of its n-grams are new,
the higher is their entropy. What is compared is therefore measured on an equal number of n-grams
(``size``), as the mean over all ways to choose so many of them: rarefaction (Hurlbert 1971).
:func:`compared` says how many.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from commensal._words import counted, shown

_DRAWS = 32  # of the words that a divergence is measured on


def compared(human: Sequence[str], n: int, texts: int, longest: int) -> int:
    """Return the number of n-grams to compare models on: half of those in as many human texts.

    Parameters
    ----------
    human : sequence of str
        Human texts of the kind that the models write.
    n : int
        Words of an n-gram.
    texts : int
        How many texts each model writes.
    longest : int
        Most words that a model can write in one.

    Returns
    -------
    int
        The same for all models and generations of a run, at least 1.

    Examples
    --------
    >>> compared(["a b c", "a b c d e"], 2, texts=10, longest=4)
    12
    """
    each = [max(min(len(text.split()), longest) - n + 1, 0) for text in human]
    return max(int(texts * sum(each) / len(each) / 2), 1) if each else 1


def amounts(metrics: Iterable[str]) -> str:
    """Write a report's note on how much text distinct-n and entropies are measured on.

    Parameters
    ----------
    metrics : iterable of str
        Names of what the run has measured; without any that ends in ``_all`` it is of a version
        that measured on all texts.

    Returns
    -------
    str
        One or two sentences.
    """
    if any(name.endswith("_all") for name in metrics):
        return (
            "Distinct-n and entropies are of equally many n-grams of every model and generation "
            "(half as many as human texts on the same prompts have; the mean over all ways to "
            "choose them); there is no number where a model wrote fewer."
        )
    return (
        "Distinct-n and entropies are of all that a model wrote: not comparable where models write "
        "unequal amounts, for in less text distinct-n is higher and the entropy lower."
    )


def distinct(texts: Iterable[str], n: int, size: int | None = None) -> float:
    """Distinct-n (Li et al. 2016): the number of different n-grams over that of all n-grams.

    Parameters
    ----------
    texts : iterable of str
    n : int
    size : int, optional
        Of so many n-grams of the texts: the mean over all ways to choose them. Without it of all
        of them, which is no measure to compare texts of different amounts by.

    Returns
    -------
    float
        NaN where there are none, or fewer than ``size``.

    Examples
    --------
    >>> distinct(["a b a b", "b a"], 2)
    0.5
    >>> round(distinct(["a b a b", "b a"], 2, size=2), 3)  # 2 of the 6 pairs are alike
    0.833
    """
    counts = counted(texts, n)
    total = counts.total()
    if size is None and total:
        return len(counts) / total
    if not size or size > total:
        return math.nan
    share = shown(np.fromiter(counts.values(), np.int64), total, size)[0]
    return float(len(counts) * share / size)


def divergence(human: Iterable[str], written: Iterable[str], size: int | None = None) -> float:
    """KL divergence from human words to written ones, in nats per word, without order.

    Both are smoothed by half a word (Krichevsky and Trofimov 1981), so that a word that is
    missing makes it large, not infinite.

    Parameters
    ----------
    human, written : iterable of str
    size : int, optional
        Of so many of the written words: the mean over 32 draws without replacement, always the
        same ones. Without it of all of them; the fewer there are, the larger it is.

    Returns
    -------
    float
        NaN where fewer than ``size`` words are written.

    Examples
    --------
    >>> divergence(["a b"], ["b a"])
    0.0
    >>> round(divergence(["a b"], ["a a"]), 4)
    0.2939
    """
    real, own = counted(human, 1), counted(written, 1)
    if size is None:
        return _divergence(real, own)
    if size > own.total():
        return math.nan
    words = sorted(own)
    drawn = np.random.default_rng(0).multivariate_hypergeometric(
        [own[word] for word in words], size, _DRAWS
    )
    parts = (Counter(dict(zip(words, row.tolist(), strict=True))) for row in drawn)
    return sum(_divergence(real, +part) for part in parts) / _DRAWS


def _divergence(real: Counter[tuple[str, ...]], own: Counter[tuple[str, ...]]) -> float:
    words = real.keys() | own.keys()
    n, m = (counts.total() + len(words) / 2 for counts in (real, own))
    return sum(
        (real[w] + 0.5) / n * math.log((real[w] + 0.5) / n * m / (own[w] + 0.5))
        for w in sorted(words)
    )


def ngram_entropy(texts: Iterable[str], n: int, size: int | None = None) -> float:
    """Entropy of the empirical distribution of n-grams, in nats.

    Parameters
    ----------
    texts : iterable of str
    n : int
    size : int, optional
        Of so many n-grams of the texts: the mean over all ways to choose them. Without it of all
        of them: lower than that of the law that they were drawn from, by about half of the number
        of different n-grams over the number of all.

    Returns
    -------
    float
        NaN where there are none, or fewer than ``size``.

    Examples
    --------
    >>> round(ngram_entropy(["a b", "c d"], 1) / math.log(2), 12)
    2.0
    """
    counts = counted(texts, n)
    total = counts.total()
    if size is None and total:
        return -sum(c / total * math.log(c / total) for c in counts.values())
    if not size or size > total:
        return math.nan
    types, chances = _chosen(counts, size)
    share = np.arange(1, chances.shape[1]) / size
    return float(-types @ (chances[:, 1:] @ (share * np.log(share)))) or 0.0


def _chosen(
    counts: Counter[tuple[str, ...]], size: int
) -> tuple[Int[np.ndarray, " c"], Float[np.ndarray, "c k"]]:
    """Probabilities that an n-gram occurs 0, 1, ... times among ``size`` chosen ones.

    Returns
    -------
    tuple of array
        How many n-grams occur equally often; and for each such class the probabilities of
        0, 1, ... times.
    """
    from scipy.stats import hypergeom

    times, types = np.unique(np.fromiter(counts.values(), np.int64), return_counts=True)
    often = np.arange(min(int(times[-1]), size) + 1)
    return types, hypergeom.pmf(often, counts.total(), times[:, None], size)
