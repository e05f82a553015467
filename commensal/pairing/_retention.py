"""How much human text shows as many rare words as a model's text of the same size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq

from commensal._words import shown

CLASSES = ((1, 1), (2, 3), (4, 7), (8, 15), (16, 31))
"""Counts of a word in one half of the human texts, from and to, that make a class of words."""
_LEAST = 10  # words of a class that a sample shows, and that it does not: else little is known


class Yardstick:
    """Human texts by which the rare words of other texts are judged.

    Words are put into classes by their counts in one half of the human texts. How many of a class
    a human text of some size shows is read off the other half, so that no word's frequency has to
    be known.

    Parameters
    ----------
    human, judge : Counter
        Words of the two halves.
    classes : sequence of (int, int)
        Least and largest count of each class.
    """

    def __init__(
        self, human: Counter, judge: Counter, classes: Sequence[tuple[int, int]] = CLASSES
    ) -> None:
        self._known = judge.total()
        self._class = {
            word: at
            for word, count in human.items()
            for at, (low, high) in enumerate(classes)
            if low <= count <= high
        }
        self._there: list[list[int]] = [[] for _ in classes]
        for word, at in self._class.items():
            self._there[at].append(judge.get(word, 0))

    def retention(self, written: Counter, sizes: Sequence[int]) -> Float[np.ndarray, "s c"]:
        """Size of the human text that shows as many words as some tokens of a model's text.

        Parameters
        ----------
        written : Counter
            Words of the model's texts.
        sizes : sequence of int
            Numbers of tokens on which texts are compared.

        Returns
        -------
        Float[np.ndarray, "s c"]
            Retention by size and class, in units of the size: 1 means as many words as humans
            show. NaN where the model's texts are shorter than that, where the sample shows fewer
            than ten words of the class or all but fewer than ten, and where the human texts do not
            show as many.

        Examples
        --------
        >>> human = Counter({(w,): 1 for w in range(40)})
        >>> judge = Counter({(w,): 2 for w in range(40)})
        >>> yardstick = Yardstick(human, judge, [(1, 1)])
        >>> half = Counter({(w,): 2 for w in range(20)})
        >>> yardstick.retention(half, [40]).round(2)  # 20 of 40 words, where humans need 23 tokens
        array([[0.58]])
        """
        own, known = written.total(), self._known
        occurring: list[list[int]] = [[] for _ in self._there]
        for word, count in written.items():
            if (at := self._class.get(word)) is not None:
                occurring[at].append(count)
        found = np.full((len(sizes), len(self._there)), np.nan)
        for at, (counts, there) in enumerate(zip(occurring, self._there, strict=True)):
            for row, size in enumerate(sizes):
                if size > own:
                    continue
                words = len(counts) * shown(np.array(counts, int), own, size)[0]
                if not _LEAST <= words <= len(there) - _LEAST:
                    continue
                seen, judge = words / len(there), np.array(there)
                if seen <= shown(judge, known, known)[0]:
                    enough: Any = brentq(_above(judge, known, seen), 0, known, xtol=1e-3)
                    found[row, at] = enough / size
        return found


def _above(there: Int[np.ndarray, " w"], known: int, level: float) -> Callable[[float], float]:
    return lambda size: float(shown(there, known, size)[0]) - level
