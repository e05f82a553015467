"""Questions of tables: a row is a question, its choices, and which is right."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from commensal.llm.corpora import CorpusWarning, Example
from commensal.llm.corpora._split import key_of
from commensal.llm.corpora._templates import Row, Template, labelled_choices, leaves
from commensal.llm.corpora._usable import Usable

if TYPE_CHECKING:
    from commensal.llm.multiple_choice._configs import TableQuestions


class Question(NamedTuple):
    """Question with its choices, one of which is right.

    Examples
    --------
    >>> texts = [Example("The sky is", " blue."), Example("The sky is", " a fish.")]
    >>> "".join(Question(tuple(texts), 0).right)
    'The sky is blue.'
    """

    choices: tuple[Example, ...]
    """Prompt and completion of each choice; the likeliest completion is the model's answer."""
    answer: int
    """Index of the right choice."""

    @property
    def right(self) -> Example:
        """Right choice of the question."""
        return self.choices[self.answer]


def questions_of_rows(
    rows: Iterable[tuple[str, Row]], config: TableQuestions, source: str
) -> tuple[list[int], list[Question]]:
    """Questions of a table, and by which keys they are divided.

    Raises
    ------
    ValueError
        If too many rows are no questions; the message says where the first is.

    Warns
    -----
    CorpusWarning
        If some are left out.
    """
    prompt = Template(config.prompt)

    def made(row: Row) -> tuple[int, Question]:
        labels, texts = _choices(row, config.choices)
        answer = _which(_column(row, config.answer), labels, len(texts), config.first)
        given = [*prompt.columns(row), *(row[name] for name in config.choices)]
        question = _question(prompt.render(row), texts, answer, config.blank)
        return key_of(leaves(given)), question

    usable = Usable(rows, made, config.max_dropped, source)
    found = list(itertools.islice(usable, config.limit))
    for note in usable.notes():
        warnings.warn(note, CorpusWarning, stacklevel=4)
    return [key for key, _ in found], [question for _, question in found]


def _question(prompt: str, texts: Sequence[str], answer: int, blank: str | None) -> Question:
    if blank is None:
        gap = "" if not prompt or prompt[-1].isspace() else " "
        return Question(tuple(Example(prompt, gap + text) for text in texts), answer)
    before, found, after = prompt.partition(blank)
    if not found:
        raise ValueError(f"there is no {blank!r} in {prompt!r}")
    if not after.strip():
        raise ValueError(f"nothing comes after {blank!r} in {prompt!r}")
    return Question(tuple(Example(before + text, after) for text in texts), answer)


def _column(row: Row, name: str) -> Any:
    if name not in row:
        raise ValueError(f"no column {name!r} among {', '.join(map(repr, row))}")
    return row[name]


def _choices(row: Row, columns: Sequence[str]) -> tuple[list[str] | None, list[str]]:
    """Labels, where there are some, and texts."""
    labels: list[str] | None = None
    if len(columns) > 1:
        texts = [_column(row, name) for name in columns]
    else:
        value = _column(row, columns[0])
        if (labelled := labelled_choices(value)) is not None:
            labels, texts = [label for label, _ in labelled], [text for _, text in labelled]
        elif isinstance(value, list):
            texts = value
        elif isinstance(value, str):
            labels, texts = lettered(value)
        else:
            raise ValueError(f"{columns[0]!r} is a {type(value).__name__}, not choices")
    if any(not isinstance(text, str) or not text.strip() for text in texts):
        raise ValueError(f"a choice of {', '.join(map(repr, columns))} is empty, or no text")
    if len(texts) < 2:
        raise ValueError(f"{', '.join(map(repr, columns))} has {len(texts)} choices")
    return labels, [text.strip() for text in texts]


def lettered(text: str) -> tuple[list[str], list[str]]:
    """Letters and choices of a text that holds all of them.

    Examples
    --------
    >>> lettered("(A) a cat (B) a dog")
    (['A', 'B'], ['a cat', 'a dog'])
    >>> lettered("a ) 38 , b ) 3 ( x ) , c ) none")
    (['A', 'B', 'C'], ['38', '3 ( x )', 'none'])
    """
    letters: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for letter in "ABCDEFGHIJ":
        # one after the other: a bracket in a choice is not taken for the next letter
        found = re.compile(rf"(?:^|[\s,])\(?{letter}\s?\)\s", re.IGNORECASE).search(text, at)
        if found is None:
            break
        letters.append(letter)
        spans.append(found.span())
        at = found.end() - 1
    ends = [start for start, _ in spans[1:]] + [len(text)]
    cut = [text[start:end] for (_, start), end in zip(spans, ends, strict=True)]
    return letters, [choice.strip().removesuffix(",").strip() for choice in cut]


def _which(value: Any, labels: Sequence[str] | None, count: int, first: int) -> int:
    """The place of the right choice."""
    text = str(value).strip()
    if labels is not None and text.upper() in [label.upper() for label in labels]:
        return [label.upper() for label in labels].index(text.upper())
    if text.isdecimal():
        place = int(text) - first
    elif len(text) == 1 and text.isascii() and text.isalpha():
        place = ord(text.upper()) - ord("A")
    else:
        raise ValueError(f"the answer {text!r} is no label, letter or number")
    if not 0 <= place < count:
        raise ValueError(f"the answer {text!r} is none of the {count} choices")
    return place
