"""Choose what is held out: rows by a hash of each, running text as one stretch of it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np


def normalised(text: str) -> str:
    r"""Normalise a text for comparison: Unicode's form NFKC, one blank per stretch of white space.

    Examples
    --------
    >>> normalised("ﬁne\u00a0 words\n") == normalised("fine words")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).split())


def key_of(texts: Iterable[str]) -> int:
    r"""Hash texts that belong together to 64 bits; their order does not matter.

    Examples
    --------
    >>> key_of(["why?", "so"]) == key_of([" so", "why?\n"])
    True
    """
    return _hash("\n".join(sorted({normalised(text) for text in texts})))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def held_out(key: int, share: float, division: int = 0) -> bool:
    """Return whether a key is held out; those of a larger share include those of a smaller one.

    The choice of each division is independent of the others'.
    """
    return (_hash(f"{key}/{division}") if division else key) < share * 2**64


def stretch(words: Sequence[int], share: float, division: int = 0) -> tuple[int, int]:
    """Choose the stretch of running text that is held out: about this share of all words.

    Division 0 holds out the end. The stretches of the others are spread over the text by van der
    Corput's sequence: the second begins half-way between the beginning of the text and that of
    the first, the next two at a quarter and at three quarters of that way, and so on.

    Parameters
    ----------
    words : sequence of int
        Number of words of each unit; no unit is divided.
    share : float
        Share of the words that is held out.
    division : int
        Number of the stretch.

    Returns
    -------
    (int, int)
        Its first unit, and the unit behind its last.

    Examples
    --------
    >>> [stretch([5] * 40, 0.1, division) for division in range(4)]
    [(36, 40), (18, 22), (27, 31), (9, 13)]
    """
    digits = f"{division:b}"
    back = int(digits[::-1], 2) / 2 ** len(digits)
    borders = np.cumsum([0, *words])
    start = (1 - share) * (1 - back) * borders[-1]
    first = int(np.abs(borders - start).argmin())
    last = int(np.abs(borders - start - share * borders[-1]).argmin())
    first = min(first, len(words) - 1)
    return first, max(last, first + 1)
