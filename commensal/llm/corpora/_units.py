"""Units that are held out or trained on as a whole: rows of a table, paragraphs of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from commensal.llm.corpora._corpus import Example
from commensal.llm.corpora._messages import Chat, turns_of
from commensal.llm.corpora._split import key_of
from commensal.llm.corpora._templates import Row, Template, leaves, value_of
from commensal.llm.corpora._words import word_spans

if TYPE_CHECKING:
    from commensal.llm.corpora._configs import TextCorpus
    from commensal.llm.corpora._settings import CorpusSettings

# A paragraph longer than this is cut, so that a text without line breaks can be divided at all.
_LONGEST, _PIECE = 256, 128
# Longer lines on average, in characters, than anybody wraps a text to.
_WRAPPED = 120


class Unit(NamedTuple):
    """One row or paragraph."""

    key: int
    """Hash of the unit; units with the same key are all training data or all test data."""
    content: Example | str
    """Content of the unit: an example, or running text with the white space behind it."""
    community: str = ""
    """Name of the community that a row is of; empty where the corpus is not divided into some."""


class Texts(NamedTuple):
    """Texts of a corpus, divided into training and test data."""

    train: list[tuple[int, Unit]]
    """Position of each unit in the whole corpus, and the unit."""
    test: list[tuple[int, Unit]]
    most: tuple[int | None, int | None]
    """Largest numbers of examples to make of the training units and of the test units."""
    notes: list[str]


def maker(config: TextCorpus, chat: Chat) -> Callable[[Row], Unit]:
    """Return a function that makes a unit of a row, with ValueError where the row has no text.

    Parameters
    ----------
    config : TextCorpus
    chat : callable
        Function that writes messages.
    """
    made = _running(config) if config.running else _example(config, chat)
    if config.community is None:
        return made
    community = Template(config.community)

    def unit(row: Row) -> Unit:
        return made(row)._replace(community=_name(community.render(row), config))

    return unit


def _name(value: str, config: TextCorpus) -> str:
    name = " ".join(value.split())
    if not name:
        raise ValueError(f"the community ({config.community!r}) is empty")
    return name


def without_blanks(units: Iterable[Unit]) -> Iterator[Unit]:
    """Yield rows of running text; empty ones become blank lines before the next."""
    blank = ""
    for unit in units:
        if isinstance(unit.content, str):
            blank += unit.content
            if not unit.content.strip():
                continue
            unit, blank = unit._replace(content=blank), ""
        yield unit


def _running(config: TextCorpus) -> Callable[[Row], Unit]:
    template = Template(config.completion or "text")
    by = None if config.split_by is None else Template(config.split_by)

    def unit(row: Row) -> Unit:
        text = template.render(row).rstrip("\n") + "\n"
        shared = template.columns(row) if by is None else by.render(row)
        return Unit(key_of(leaves(shared)), text)

    return unit


def _example(config: TextCorpus, chat: Chat) -> Callable[[Row], Unit]:
    column = config.messages
    prompt = Template(column or config.prompt or "")
    completion = Template(column or config.completion or "")
    by = None if config.split_by is None else Template(config.split_by)

    def unit(row: Row) -> Unit:
        shared: object
        if column is None:
            example = _joined(prompt.render(row), completion.render(row))
            shared = [prompt.columns(row), completion.columns(row)]
        else:
            turns = turns_of(value_of(row, column))
            example, shared = chat(turns), [turn["content"] for turn in turns]
        return Unit(key_of(leaves(shared if by is None else by.render(row))), example)

    return unit


def _joined(prompt: str, completion: str) -> Example:
    if not completion.strip():
        raise ValueError("the completion is empty")
    if prompt and not prompt[-1].isspace() and not completion[0].isspace():
        completion = " " + completion
    return Example(prompt, completion)


def paragraphs(lines: Iterable[str]) -> Iterator[Unit]:
    """Yield the paragraphs of running text as units; together they are the whole text.

    A paragraph is what stands between blank lines. Where there are none, or where lines are so
    long that nobody has wrapped them, it is a line. Longer ones than 256 words are cut into
    pieces of 128.
    """
    every = list(lines)
    filled = [at for at, line in enumerate(every) if line.strip()]
    blanks = bool(filled) and len(filled) <= filled[-1] - filled[0]
    wrapped = sum(len(every[at]) for at in filled) <= _WRAPPED * len(filled)
    piece = ""
    for at, line in enumerate(every):
        new = line.strip() and not (blanks and wrapped and every[at - 1].strip())
        if new and piece.strip():
            yield from _pieces(piece)
            piece = ""
        piece += line
    if piece.strip():
        yield from _pieces(piece)


def _pieces(text: str) -> Iterator[Unit]:
    spans = word_spans(text)
    starts = [0]
    if len(spans) > _LONGEST:
        starts += [spans[at][0] for at in range(_PIECE, len(spans), _PIECE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield Unit(key_of([text[start:end]]), text[start:end])


def windows(units: Iterable[tuple[int, Unit]], config: CorpusSettings) -> list[Example]:
    """Make examples of units; running text is cut into windows one after the other.

    Windows lie within stretches of units that follow each other. What is left at the ends of
    stretches is joined and cut in the same way; what is left of that is dropped.

    Parameters
    ----------
    units : iterable of (int, Unit)
        Units, each with its place in the whole.
    config : CorpusSettings
    """
    found: list[Example] = []
    stretches: list[list[str]] = []
    last = None
    for at, unit in units:
        if isinstance(unit.content, Example):
            found.append(unit.content)
        elif stretches and at - 1 == last:
            stretches[-1].append(unit.content)
        else:
            stretches.append([unit.content])
        last = at
    rest = []
    for stretch in stretches:
        cut, left = _windows("".join(stretch), config)
        found += cut
        rest.append(left)
    return found + _windows("".join(rest), config)[0]


def _windows(text: str, config: CorpusSettings) -> tuple[list[Example], str]:
    """Cut a text into windows, and return what is left behind them."""
    before, size = config.prompt_words, config.prompt_words + config.completion_words
    spans = word_spans(text)
    whole = len(spans) // size * size
    cut = []
    for first in range(0, whole, size):
        start, middle = spans[first][0], spans[first + before - 1][1]
        end = spans[first + size - 1][1]
        cut.append(Example(text[start:middle], text[middle:end]))
    return cut, text[spans[whole][0] :] if whole < len(spans) else ""
