"""Choose the texts that are held out by a hash of each text, whatever else is read."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable


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
    whole = "\n".join(sorted({normalised(text) for text in texts}))
    return int.from_bytes(hashlib.blake2b(whole.encode(), digest_size=8).digest(), "big")


def held_out(key: int, share: float) -> bool:
    """Return whether a key is held out; those of a larger share include those of a smaller one."""
    return key < share * 2**64
