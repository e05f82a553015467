"""The law of surviving words, laid over a corpus: how large a human corpus would be as rich."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal._words import shown
from commensal.texts.auditing._counts import ComparedTexts
from commensal.texts.auditing._resampling import BLOCKS

_EDGES = (0, 1, 2, 4, 8, 16)
_LAST = 1_000
"""Generations up to which the law is inverted."""


class Survival(NamedTuple):
    """How much of the human vocabulary a sample shows, and what the law makes of it.

    Attributes
    ----------
    classes : pandas.DataFrame
        Row per class of words: ``above`` and ``up_to`` which count in a human sample of that size,
        ``words``, the shares ``generated`` and ``human`` that are used, and ``law``, the share
        that the fitted law expects.
    share : float
        Size of the human sample that shows as many of these words, over that of the sample.
    low, high : float
        Its interval.
    generations : tuple of float
        Generations of the law, human texts being the first, with that share, low and high.
    fits : float
        Probability of such deviations of classes from the law; NaN where it cannot be told.
    """

    classes: pd.DataFrame
    share: float
    low: float
    high: float
    generations: tuple[float, float, float]
    fits: float


def survival(pool: ComparedTexts) -> Survival | None:
    """Fit the survival law, one number, to the words of a sample.

    A word that is expected λ times in a human sample is in the corpus of generation t with
    probability 1 - exp(-λ C_t), that is, as often as in a human sample of C_t times its size.
    Human samples of smaller sizes are drawn from the second sample, exactly: each word stays
    where not all of its tokens are left out.

    Parameters
    ----------
    pool : ComparedTexts
        Audited sample and a human one.

    Returns
    -------
    Survival or None
        None where the human sample shows no rare word.
    """
    from scipy.stats import f

    grams, pairs = pool.grams[1], pool.pairs
    scale = pool.tokens / max(pool.dictionary, pool.tokens)
    expected = grams.known * scale
    levels, numbers = grams.classes
    belongs = [(expected > low) & (expected <= high) for low, high in _bounds()]
    words = [
        int(numbers[(levels * scale > low) & (levels * scale <= high)].sum())
        for low, high in _bounds()
    ]
    used = [at for at, size in enumerate(words) if size]
    belongs, words = [belongs[at] for at in used], np.array([words[at] for at in used])

    def fitted(stay: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        none = np.zeros(pairs)
        ours = grams.of(np.append(stay, none))
        human = grams.of(np.append(none, stay))
        seen = np.array([np.count_nonzero(ours[mine]) for mine in belongs]) / words
        known = [human[mine] for mine in belongs]
        total = int(stay @ pool.lengths[:pairs])
        share = _share(float(seen @ words), np.concatenate(known), total)
        law = np.array([_expected(counts, total, share) for counts in known]) / words
        theirs = np.array([np.count_nonzero(counts) for counts in known]) / words
        return share, seen, theirs, law

    if not used or not any(grams.of(np.append(np.zeros(pairs), np.ones(pairs)))[m].any()
                           for m in belongs):  # fmt: skip
        return None
    share, seen, theirs, law = fitted(np.ones(pairs))
    block = pool.units % BLOCKS
    rounds = [fitted((block != number).astype(float)) for number in range(BLOCKS)]
    shares = np.array([one[0] for one in rounds])
    error = np.sqrt((BLOCKS - 1) / BLOCKS * ((shares - shares.mean()) ** 2).sum())
    low, high = max(share - 2.093 * error, 0.0), min(share + 2.093 * error, 1.0)
    away = np.array([one[1] - one[3] for one in rounds])
    away = np.sqrt((BLOCKS - 1) ** 2 / BLOCKS) * (away - away.mean(axis=0))
    covariance = away.T @ away / (BLOCKS - 1)
    free = len(used) - 1
    fits = float("nan")
    if free > 0 and share < 1:
        # one number is fitted, so the deviations are in one dimension fewer
        found = float((seen - law) @ np.linalg.pinv(covariance, rcond=1e-6) @ (seen - law))
        scaled = found * (BLOCKS - free) / (free * (BLOCKS - 1))
        fits = float(f.sf(scaled, free, BLOCKS - free))
    bounds = [_bounds()[at] for at in used]
    classes = pd.DataFrame(
        {
            "above": [float(low) for low, _ in bounds],
            "up_to": [float(high) for _, high in bounds],
            "words": words,
            "generated": seen,
            "human": theirs,
            "law": law,
        }
    )
    times = _generations(np.array([share, high, low]))
    return Survival(classes, share, low, high, (times[0], times[1], times[2]), fits)


def _bounds() -> list[tuple[int, int]]:
    return list(pairwise(_EDGES))


def _expected(counts: Float[np.ndarray, " V"], total: int, share: float) -> float:
    """Return how many words a random part of a sample has, on average: rarefaction."""
    there = counts[counts > 0].astype(np.int64)
    return len(there) * float(shown(there, total, share * total)[0])


def _share(seen: float, counts: Float[np.ndarray, " V"], total: int) -> float:
    """Return the part of a sample in which so many of its words are expected; at most 1."""
    from scipy.optimize import brentq

    if seen >= np.count_nonzero(counts):
        return 1.0
    if not seen:
        return 0.0
    return float(brentq(lambda x: _expected(counts, total, x) - seen, 0.0, 1.0))  # pyright: ignore[reportArgumentType]


def _generations(shares: Float[np.ndarray, " S"]) -> list[float]:
    """Return the generations, between whole ones linearly, in which the law has these shares."""
    from commensal.theory.words import exchange_rate

    times = np.arange(1, _LAST + 1)
    rates = np.asarray(exchange_rate(0.0, times))
    return np.interp(shares, rates[::-1], times[::-1]).tolist()
