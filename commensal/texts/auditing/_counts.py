"""Counts of n-grams in two matched samples, and in further human texts that define what is rare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Int
from scipy import sparse

from commensal._words import cut, tokens_of

ORDERS = (1, 2, 3, 4)
_LENGTHS = np.unique(np.round(1.2 ** np.arange(60)).astype(np.int64))
"""Numbers of tokens to which documents are cut: a class has those above one, up to the next."""
_SIZES = 2 ** np.arange(40)
"""Numbers of tokens that make the classes of groups."""


@dataclass(frozen=True, eq=False)
class Grams:
    """Counts of runs of n tokens.

    Attributes
    ----------
    counts : scipy.sparse.csr_array
        Counts by document and n-gram, (D, V).
    known : Int[numpy.ndarray, "V"]
        Count of each n-gram in the dictionary.
    classes : tuple of array
        How many n-grams the dictionary has of each count: the counts, and the numbers.
    """

    counts: Any
    known: Int[np.ndarray, " V"]
    classes: tuple[np.ndarray, np.ndarray]

    def of(self, chosen: Any) -> np.ndarray:
        """Count the n-grams of the documents that are chosen, a weight for each."""
        return self.transposed @ chosen

    @property
    def transposed(self) -> Any:
        """Counts by n-gram and document."""
        return self.counts.T


@dataclass(frozen=True, eq=False)
class ComparedTexts:
    """Two samples of as many documents, of the same lengths, the first one before the second.

    Attributes
    ----------
    texts : list of str
        Documents, 2 P of them, cut so that documents i and P + i are equally long.
    lengths : Int[numpy.ndarray, "D"]
        Number of tokens of each.
    grams : dict of int to Grams
        Counts by n.
    dictionary : int
        Number of tokens of the human texts that define what is rare.
    characters : bool
        Whether tokens are characters.
    crossed : bool
        Whether documents of one side were cut to shorter ones of the other.
    units : Int[numpy.ndarray, "P"]
        What is exchanged and left out as a whole: the pair of groups that each pair of documents
        is of, from 0 on and ascending; the pair itself where documents are not grouped.
    """

    texts: list[str]
    lengths: Int[np.ndarray, " D"]
    grams: dict[int, Grams]
    dictionary: int
    characters: bool
    crossed: bool
    units: Int[np.ndarray, " P"]

    @cached_property
    def unknown(self) -> Int[np.ndarray, " D"]:
        """Number of tokens of each document that the dictionary lacks."""
        new = (self.grams[1].known == 0).astype(float)
        return np.rint(self.grams[1].counts @ new).astype(np.int64)

    @property
    def pairs(self) -> int:
        """Number of documents of each sample."""
        return len(self.texts) // 2

    @property
    def grouped(self) -> bool:
        """Whether pairs of groups are exchanged, not pairs of documents."""
        return len(np.unique(self.units)) < self.pairs

    @property
    def tokens(self) -> int:
        """Number of tokens of each sample."""
        return int(self.lengths[: self.pairs].sum())


def matched(
    first: Sequence[str],
    second: Sequence[str],
    dictionary: Sequence[str],
    tokens: int,
    rng: np.random.Generator,
    characters: bool = False,
    groups: tuple[Int[np.ndarray, " M"], Int[np.ndarray, " N"]] | None = None,
) -> ComparedTexts:
    """Match documents by their lengths, and cut them: both samples have the same lengths.

    A document is matched with one of its own class of lengths, and both are cut to the number of
    tokens that all of that class exceed. So if both come from one source, each is as likely to
    come from the first sample as from the second, given all else. Where too few find a match,
    because one side's documents are longer, these are cut to the others' class. Where documents
    are grouped, groups are matched so by their numbers of tokens, and then the documents of a pair
    of groups among themselves.

    Parameters
    ----------
    first, second : sequence of str
        Documents, each in random order.
    dictionary : sequence of str
        Human documents that are in neither.
    tokens : int
        Largest number of tokens of a sample.
    rng : numpy.random.Generator
    characters : bool
        Whether tokens are characters.
    groups : tuple of array, optional
        Group of each document of the first and of the second, from 0 on.

    Returns
    -------
    ComparedTexts
        Documents of both; those of one token, or without a match, are left out.
    """
    sides: Any = [first, second]
    split = [[tokens_of(text, characters) for text in texts] for texts in sides]
    sizes = [np.array([len(words) for words in side]) for side in split]
    if groups is None:
        (mine, theirs, lengths), crossed = _most_pairs(sizes[0], sizes[1], _LENGTHS)
        units = np.arange(len(mine))
    else:
        mine, theirs, lengths, units, crossed = _pairs_in_groups(sizes, groups)
    order = rng.permutation(len(mine))
    order = order[np.cumsum(lengths[order]) <= tokens]
    if groups is not None:  # a unit stands where its first pair does
        _, starts, place = np.unique(units[order], return_index=True, return_inverse=True)
        order = order[np.argsort(starts[place], kind="stable")]
    chosen = [(0, at, n) for at, n in zip(mine[order], lengths[order], strict=True)]
    chosen += [(1, at, n) for at, n in zip(theirs[order], lengths[order], strict=True)]
    vocabulary: dict[str, int] = {}
    pool = _ids((split[side][at][:n] for side, at, n in chosen), vocabulary)
    human = _ids((tokens_of(text, characters) for text in dictionary), vocabulary)
    size = len(vocabulary) + 1
    return ComparedTexts(
        texts=[cut(sides[side][at], int(n), characters) for side, at, n in chosen],
        lengths=np.array([n for _, _, n in chosen], np.int64),
        grams={n: _grams(pool, human, n, size, len(chosen)) for n in ORDERS},
        dictionary=len(human[0]),
        characters=characters,
        crossed=crossed,
        units=_from_zero(units[order]) if groups is not None else np.arange(len(order)),
    )


def _from_zero(ordered: np.ndarray) -> np.ndarray:
    """Number values by their first places: 3, 3, 1 becomes 0, 0, 1."""
    return np.cumsum(np.diff(ordered, prepend=ordered[:1]) != 0)


Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Places in the first and in the second, and the length to which both are cut."""


def _most_pairs(first: np.ndarray, second: np.ndarray, ladder: np.ndarray) -> tuple[Pairs, bool]:
    """Pair what is of one class, or what is not too where too few are; return also whether so."""
    found = _pairs(first, second, ladder)
    crossed = len(found[0]) < 0.75 * min(len(first), len(second))
    return _pairs(first, second, ladder, crossing=True) if crossed else found, crossed


def _pairs_in_groups(
    sizes: Sequence[np.ndarray], groups: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """Pair groups, then the documents of each pair; return also the pair of groups of each."""
    whole = [np.bincount(of, size) for of, size in zip(groups, sizes, strict=True)]
    (ours, theirs, _), _ = _most_pairs(whole[0], whole[1], _SIZES)
    found: list[np.ndarray] = [np.zeros((4, 0), np.int64)]
    both = wanted = 0
    for unit, pair in enumerate(zip(ours, theirs, strict=True)):
        at = [np.flatnonzero(of == one) for of, one in zip(groups, pair, strict=True)]
        mine, other, lengths = _pairs(sizes[0][at[0]], sizes[1][at[1]], _LENGTHS, crossing=True)
        found.append(np.stack([at[0][mine], at[1][other], lengths, np.full(len(mine), unit)]))
        both += len(_pairs(sizes[0][at[0]], sizes[1][at[1]], _LENGTHS)[0])
        wanted += min(map(len, at))
    mine, other, lengths, units = np.concatenate(found, axis=1)
    return mine, other, lengths, units, both < 0.75 * wanted


def _pairs(
    first: np.ndarray, second: np.ndarray, ladder: np.ndarray, crossing: bool = False
) -> Pairs:
    """Pair documents of one class of lengths, from the longest class down.

    With ``crossing`` those that are left over go on to the next lower class.
    """
    classes = [np.searchsorted(ladder, sizes, "left") - 1 for sizes in (first, second)]
    found: list[Pairs] = []
    left = [np.zeros(0, np.int64), np.zeros(0, np.int64)]
    for at in range(len(ladder) - 1, -1, -1):
        here = [np.flatnonzero(of == at) for of in classes]
        if crossing:
            here = [np.concatenate(both) for both in zip(here, left, strict=True)]
        count = min(map(len, here))
        found.append((here[0][:count], here[1][:count], np.full(count, ladder[at])))
        left = [documents[count:] for documents in here]
    mine, theirs, lengths = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return mine, theirs, lengths


Ids = tuple[np.ndarray, np.ndarray]
"""Tokens one after the other, and the document of each."""


def _ids(documents: Any, vocabulary: dict[str, int]) -> Ids:
    ids, lengths = [], []
    for words in documents:
        found = [vocabulary.setdefault(word, len(vocabulary)) for word in words]
        ids.append(np.array(found, np.int64))
        lengths.append(len(found))
    tokens = np.concatenate(ids) if ids else np.zeros(0, np.int64)
    return tokens, np.repeat(np.arange(len(lengths)), lengths)


def _runs(ids: Ids, n: int, size: int) -> Ids:
    """Return a number for each run of n tokens, equal for equal ones, and its document."""
    tokens, document = ids
    last = max(len(tokens) - n + 1, 0)
    # 64 bits hold three words exactly; for more, numbers are mixed, and hardly ever meet
    step = np.uint64(size if size**n < 2**63 else 0x9E3779B97F4A7C15)
    code = np.zeros(last, np.uint64)
    for shift in range(n):
        code = code * step + tokens[shift : shift + last].astype(np.uint64)
        if size**n >= 2**63:
            code ^= code >> np.uint64(29)
    whole = document[:last] == document[n - 1 : n - 1 + last]
    return code[whole], document[:last][whole]


def _grams(pool: Ids, human: Ids, n: int, size: int, documents: int) -> Grams:
    codes, document = _runs(pool, n, size)
    types, column = np.unique(codes, return_inverse=True)
    shape = (documents, len(types))
    counts = sparse.coo_array((np.ones(len(codes)), (document, column)), shape=shape).tocsr()
    theirs, often = np.unique(_runs(human, n, size)[0], return_counts=True)
    known = np.zeros(len(types), np.int64)
    if len(theirs):
        at = np.minimum(np.searchsorted(theirs, types), len(theirs) - 1)
        known = np.where(theirs[at] == types, often[at], 0)
    return Grams(counts, known, np.unique(often, return_counts=True))
