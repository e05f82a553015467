"""Corpora: examples to train on, examples to test on, and the law if it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from commensal.llm.corpora._markov import Markov


class Marked(str):
    """Text of a chat template, in which a tokenizer's special tokens stand as text."""

    __slots__ = ()


class Example(NamedTuple):
    """One text, cut in two; the whole is ``prompt + completion``.

    Attributes
    ----------
    prompt : str
        Part that a model is given.
    completion : str
        Part that a model learns to say. It begins with a space where one is needed between the two.

    Examples
    --------
    >>> "".join(Example("one plus two", " is three"))
    'one plus two is three'
    """

    prompt: str
    completion: str


@dataclass(frozen=True)
class Corpus:
    """Examples of one task.

    Attributes
    ----------
    name : str
        Name of the task.
    train, test : tuple of Example
        Examples to train and to test on, at least one each.
    source : Markov or None
        Law that the examples were drawn from, where it is known.
    notes : tuple of str
        Notes on what could not be used of the data, a sentence each.
    communities : tuple of Corpus
        Texts of each community, in the order of their names; together they are the whole. Empty
        where the corpus is not divided into communities.
    """

    name: str
    train: tuple[Example, ...] = field(repr=False)
    test: tuple[Example, ...] = field(repr=False)
    source: Markov | None = None
    notes: tuple[str, ...] = ()
    communities: tuple[Corpus, ...] = ()
