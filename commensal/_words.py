"""Words of texts: tokens, counts of their runs, and how many of them a part of a text shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
from jaxtyping import Float, Int
from scipy.special import gammaln

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]|_")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*|[.,;:!?]")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]"  # Japanese, Chinese
)
_CHARACTER = re.compile(r"\S")


def unspaced_share(texts: Iterable[str]) -> float:
    """Return the share of letters that belong to scripts without spaces between words.

    Examples
    --------
    >>> unspaced_share(["学而时习之，不亦说乎"]), unspaced_share(["ab", "漢字"]), unspaced_share([])
    (1.0, 0.5, 0.0)
    """
    letters = found = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        found += len(_UNSPACED.findall(text))
    return min(found / letters, 1.0) if letters else 0.0


def tokens_of(text: str, characters: bool = False) -> list[str]:
    """Split a text into lower-case words and punctuation marks, or into characters.

    Examples
    --------
    >>> tokens_of("Don’t stop, he said.")
    ['don’t', 'stop', ',', 'he', 'said', '.']
    """
    found = (_CHARACTER if characters else _TOKEN).findall(text)
    return [token.lower() for token in found]


def cut(text: str, count: int, characters: bool = False) -> str:
    """Return the beginning of a text that has so many tokens, as it is written.

    Examples
    --------
    >>> cut("Don’t  stop, he said.", 3)
    'Don’t  stop,'
    """
    pattern = _CHARACTER if characters else _TOKEN
    if count < 1:
        return ""
    last = next(islice(pattern.finditer(text), count - 1, None), None)
    return text[: last.end()] if last else text


def words_of(text: str) -> list[str]:
    """Split a text into lower-case words of letters and marks of punctuation; no numbers.

    Examples
    --------
    >>> words_of("It's here, Tom, since 1999.")
    ["it's", 'here', ',', 'tom', ',', 'since', '.']
    """
    return _WORD.findall(text.lower().replace("’", "'"))


def counted(
    texts: Iterable[str], n: int = 1, split: Callable[[str], list[str]] = str.split
) -> Counter[tuple[str, ...]]:
    """Count runs of n words; none spans two texts.

    Examples
    --------
    >>> counted(["a b a b", "b a"], 2)[("a", "b")]
    2
    """
    found: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = split(text)
        found.update(zip(*(words[i:] for i in range(n)), strict=False))
    return found


def shown(
    counts: Int[np.ndarray, " w"], total: int, size: float | int | Float[np.ndarray, " s"]
) -> Float[np.ndarray, " s"]:
    """Share of words that a sample shows: the mean over all samples of so many tokens.

    Parameters
    ----------
    counts : Int[np.ndarray, "w"]
        How often each word occurs among the tokens.
    total : int
        Number of tokens.
    size : float or Float[np.ndarray, "s"]
        Number of tokens that are drawn of them, without replacement; from 0 to ``total``.

    Returns
    -------
    Float[np.ndarray, "s"]

    Examples
    --------
    >>> shown(np.array([1, 3]), 4, 2)  # of the pairs, 1/2 hold the first and all hold the second
    array([0.75])
    """
    sizes = np.atleast_1d(np.asarray(size, np.float64))
    times, words = np.unique(counts, return_counts=True)
    rest = total - times[:, None] - sizes
    fits = rest >= 0
    chance = gammaln(total - times[:, None] + 1) - gammaln(np.where(fits, rest, 0) + 1)
    chance += gammaln(total - sizes + 1) - gammaln(total + 1)
    missed = np.where(fits, np.exp(chance), 0.0)
    return 1 - words @ missed / max(words.sum(), 1)
