"""Human texts that a run keeps for later generations, so that they are fresh when they come."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from commensal.llm.corpora._corpus import Corpus, Example


class HeldBack(NamedTuple):
    """Training texts of a corpus, divided by when they may be trained on."""

    seen: tuple[Example, ...]
    """Texts that generation 0 draws from."""
    fresh: tuple[Example, ...]
    """Texts that generation 0 never sees, in the order in which they are used, each once."""


def held_back(corpus: Corpus, count: int, rng: np.random.Generator, change: str = "") -> HeldBack:
    """Hold back training texts of a corpus, chosen at random, from generation 0.

    Parameters
    ----------
    corpus : Corpus
        Corpus of human texts.
    count : int
        Number of texts that are held back; with 0 nothing is drawn.
    rng : numpy.random.Generator
        Source of randomness; the first fresh texts are the same whatever ``count``.
    change : str
        Settings that mend it where there are too few texts, for the message.

    Returns
    -------
    HeldBack

    Raises
    ------
    ValueError
        If no text would be left to generation 0; the message is one line.

    Examples
    --------
    >>> corpus = Corpus("a", tuple(Example(str(i), "") for i in range(5)), (Example("", "x"),))
    >>> found = held_back(corpus, 2, np.random.default_rng(0))
    >>> len(found.seen), len(found.fresh), sorted(found.seen + found.fresh) == list(corpus.train)
    (3, 2, True)
    """
    if not count:
        return HeldBack(corpus.train, ())
    check_held_back(corpus.name, len(corpus.train), count, change)
    fresh = rng.permutation(len(corpus.train))[:count].tolist()
    gone = set(fresh)
    seen = (text for i, text in enumerate(corpus.train) if i not in gone)
    return HeldBack(tuple(seen), tuple(corpus.train[i] for i in fresh))


def check_held_back(name: str, texts: int, count: int, change: str = "") -> None:
    """Raise ValueError if so many texts cannot be held back and leave one to generation 0."""
    if count >= texts:
        raise ValueError(
            f"corpus {name!r} has {texts:,} training texts; {count:,} of them are to be held back "
            "as fresh ones, each used once, and generation 0 needs others"
            + (f": {change}" if change else "")
        )
