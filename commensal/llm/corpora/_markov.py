"""Markov chains over words, whose entropies and divergences are known exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

# Power iteration stops here. A transition law whose smallest entry is p forgets its start at
# least as fast as (1 - V p)^(n / order), and in practice within some dozens of steps.
_MOST_STEPS = 100_000


class Markov:
    r"""A stationary Markov chain of order m over V words.

    Parameters
    ----------
    words : sequence of str
        V different words without white space.
    transition : Float[np.ndarray, "*context V"]
        :math:`P(w_i \mid w_{i-m}, \dots, w_{i-1})`, axes in the order of the words: m + 1 axes of
        length V. Positive, so that the stationary law is unique and every divergence finite.
    used : Bool[np.ndarray, "V"] or None
        Words that belong to the language; the others come up by smoothing only. None: all.

    Raises
    ------
    ValueError
        If sizes do not fit, words repeat, or a row is not a positive law.

    Notes
    -----
    All quantities are float64 and exact up to rounding; entropies are in nats per word.

    Examples
    --------
    >>> coin = Markov(("heads", "tails"), np.array([[0.9, 0.1], [0.2, 0.8]]))
    >>> print(np.round(coin.frequencies, 4), f"{coin.entropy_rate:.4f} {coin.entropy(0, 1):.4f}")
    [0.6667 0.3333] 0.3835 0.6365
    >>> coin.decode(coin.encode("tails heads heads"))
    'tails heads heads'
    """

    def __init__(
        self,
        words: Sequence[str],
        transition: Float[np.ndarray, "*context V"],
        used: Bool[np.ndarray, "V"] | None = None,
    ) -> None:
        v = len(words)
        if v < 2 or transition.ndim < 2 or set(transition.shape) != {v}:
            raise ValueError(
                f"{v} words need 2 or more axes of length {v}, got shape {transition.shape}"
            )
        if any(word.split() != [word] for word in words):
            raise ValueError("a word is empty or contains white space")
        self._index = {word: i for i, word in enumerate(words)}
        if len(self._index) < v:
            raise ValueError("some word occurs twice")
        rows = np.array(transition, dtype=np.float64).reshape(-1, v)
        if not (rows > 0).all() or np.abs(rows.sum(1) - 1).max() > 1e-9:
            raise ValueError("every row of the transition law must be positive and sum to 1")
        rows /= rows.sum(1, keepdims=True)
        self.words: tuple[str, ...] = tuple(words)
        self.order: int = transition.ndim - 1
        self.used: Bool[np.ndarray, "V"] = np.ones(v, bool) if used is None else used.copy()
        # _blocks[i]: law of i words in a row, V^i numbers, the last word running fastest.
        # _laws[i]: law of the next word after i words from the start; i = m serves all later.
        self._blocks = [_stationary(rows, self.order)]
        for _ in range(self.order):
            self._blocks.insert(0, self._blocks[0].reshape(-1, v).sum(1))
        self._laws = [
            self._blocks[i + 1].reshape(-1, v) / self._blocks[i][:, None] for i in range(self.order)
        ]
        self._laws.append(rows)
        self._entropies = [
            float(-(block @ (law * np.log(law)).sum(1)))
            for block, law in zip(self._blocks, self._laws, strict=True)
        ]
        for array in (*self._blocks, *self._laws, self.used):
            array.flags.writeable = False

    def __repr__(self) -> str:
        return (
            f"Markov({len(self.words)} words, order {self.order}, "
            f"{self.entropy_rate:.3f} nats per word)"
        )

    @property
    def transition(self) -> Float[np.ndarray, "*context V"]:
        """Law of the next word given the last m words, as it was passed in."""
        return self._laws[-1].reshape((len(self.words),) * (self.order + 1))

    @property
    def frequencies(self) -> Float[np.ndarray, "V"]:
        """Stationary law of a single word."""
        return self._blocks[1]

    @property
    def entropy_rate(self) -> float:
        """Entropy of the next word given all before, in nats: the lowest loss of any model."""
        return self._entropies[-1]

    def entropy(self, start: int, stop: int) -> float:
        """Mean entropy of words ``start`` .. ``stop - 1`` given all before them, nats per word.

        From a stationary start; it exceeds ``entropy_rate`` where the first m words are among
        them.

        Raises
        ------
        ValueError
            If not 0 <= start < stop.
        """
        if not 0 <= start < stop:
            raise ValueError(f"need 0 <= start < stop, got {start} and {stop}")
        early = [self._entropies[i] for i in range(start, min(stop, self.order))]
        late = stop - start - len(early)
        return (sum(early) + late * self.entropy_rate) / (stop - start)

    def sample(
        self, rng: np.random.Generator, count: int, length: int
    ) -> Int[np.ndarray, "count length"]:
        """Draw independent sequences from the stationary law.

        The first sequences are the same whatever ``count``.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        count, length : int
            Number of sequences and number of words in each, at least 0.

        Returns
        -------
        Int[np.ndarray, "count length"]
            Sequences of positions in ``words``.
        """
        uniform = rng.random((count, length))
        drawn = np.zeros((count, length), dtype=np.int64)
        cumulative = [np.cumsum(law, axis=1) for law in self._laws]
        for i in range(length):
            rows = cumulative[min(i, self.order)][self._context(drawn, i)]
            # the last sum may fall short of 1 by rounding, so it is not compared
            drawn[:, i] = (uniform[:, i, None] >= rows[:, :-1]).sum(1)
        return drawn

    def next_word(self, sequences: Int[np.ndarray, "N L"]) -> Float[np.ndarray, "N L V"]:
        """Compute the law of the word at each position given the words before it.

        Parameters
        ----------
        sequences : Int[np.ndarray, "N L"]
            Sequences of positions in ``words``. The last column does not matter.

        Returns
        -------
        Float[np.ndarray, "N L V"]
            Laws of the words; at position 0 the stationary law.

        Raises
        ------
        ValueError
            If a number is not a position in ``words``.
        """
        if sequences.size and not 0 <= sequences.min() <= sequences.max() < len(self.words):
            raise ValueError(f"sequences must hold numbers 0 .. {len(self.words) - 1}")
        law = np.empty((*sequences.shape, len(self.words)))
        for i in range(sequences.shape[1]):
            law[:, i] = self._laws[min(i, self.order)][self._context(sequences, i)]
        return law

    def _context(self, sequences: np.ndarray, position: int) -> np.ndarray:
        """Return the row of ``_laws[min(position, m)]`` for the words before ``position``."""
        row = np.zeros(len(sequences), dtype=np.int64)
        for i in range(max(position - self.order, 0), position):
            row = row * len(self.words) + sequences[:, i]
        return row

    def kl_rate(self, other: Markov) -> float:
        """Compute the relative entropy KL(self ‖ other) per word, in nats.

        What a model that has learnt ``other`` perfectly loses, beyond the entropy, on texts of
        this language.

        Raises
        ------
        ValueError
            If the two have different words.
        """
        if self.words != other.words:
            raise ValueError("a divergence needs two languages over the same words")
        order = max(self.order, other.order)
        ours, theirs = self._lifted(order), other._lifted(order)
        return float(self._block(order) @ (ours * (np.log(ours) - np.log(theirs))).sum(1))

    def _block(self, length: int) -> np.ndarray:
        """Compute the law of ``length`` consecutive words; the last word's index runs fastest."""
        block = self._blocks[min(length, self.order)]
        for known in range(self.order, length):
            block = (block[:, None] * self._lifted(known)).ravel()
        return block

    def _lifted(self, order: int) -> np.ndarray:
        """Return the transition law for contexts that are longer than it needs."""
        return np.tile(self._laws[-1], (len(self.words) ** (order - self.order), 1))

    def tail(self, mass: float = 0.05) -> Bool[np.ndarray, "V"]:
        """Find the rarest words of the language that together carry at most ``mass``.

        Words that the language does not use (``used``) are no part of it: they come up by
        smoothing only. Of equally frequent words the earlier ones count as rarer.

        Raises
        ------
        ValueError
            If not 0 <= mass <= 1.

        Examples
        --------
        >>> fixed = np.tile([0.02, 0.9, 0.05, 0.03], (4, 1))
        >>> Markov(("a", "b", "c", "d"), fixed).tail(0.06)
        array([ True, False, False,  True])
        """
        if not 0 <= mass <= 1:
            raise ValueError(f"mass must lie in [0, 1], got {mass}")
        rising = np.argsort(self.frequencies, kind="stable")
        rising = rising[self.used[rising]]
        # the tolerance keeps sums such as 0.02 + 0.03 within a mass of 0.05
        inside = np.cumsum(self.frequencies[rising]) <= mass + 1e-12
        tail = np.zeros(len(self.words), bool)
        tail[rising[inside]] = True
        return tail

    def tail_mass(self, mass: float = 0.05) -> float:
        """Compute the probability of the words of ``tail(mass)``: ``mass`` or a little less."""
        return float(self.frequencies[self.tail(mass)].sum())

    def encode(self, text: str, unknown: int | None = None) -> Int[np.ndarray, "L"]:
        """Return the indices in ``words`` of a text's words, which white space separates.

        Parameters
        ----------
        text : str
            Text of words.
        unknown : int or None
            Index that stands for a word that is not of the vocabulary. None: an error.

        Raises
        ------
        ValueError
            If a word is unknown and ``unknown`` is None.
        """
        numbers = [self._index.get(word, unknown) for word in text.split()]
        if None in numbers:
            word = text.split()[numbers.index(None)]
            raise ValueError(f"{word!r} is not one of the {len(self.words)} words")
        return np.array(numbers, dtype=np.int64)

    def decode(self, numbers: Int[np.ndarray, "L"] | Sequence[int]) -> str:
        """Write the words at these indices, separated by spaces."""
        return " ".join(self.words[int(number)] for number in numbers)


def _stationary(rows: np.ndarray, order: int) -> np.ndarray:
    """Compute the stationary law of ``order`` consecutive words by power iteration."""
    v = rows.shape[1]
    blocks = np.full(v**order, v**-order)
    last = np.inf
    for _ in range(_MOST_STEPS):
        # the law of m + 1 words, summed over the first of them
        after = (blocks[:, None] * rows).reshape(v, -1).sum(0)
        after /= after.sum()
        change = float(np.abs(after - blocks).sum())
        blocks = after
        if change < 1e-15 or (change < 1e-12 and change >= last):
            return blocks
        last = change
    raise ValueError("the transition law mixes too slowly for its stationary law to be found")
