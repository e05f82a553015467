"""Read texts, and divide them into training and test data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from commensal.llm.corpora._messages import Chat
from commensal.llm.corpora._split import held_out, stretch
from commensal.llm.corpora._templates import Row
from commensal.llm.corpora._units import Texts, Unit, maker, paragraphs, without_blanks
from commensal.llm.corpora._usable import Usable
from commensal.llm.corpora._words import word_spans

if TYPE_CHECKING:
    from commensal.llm.corpora._configs import TextCorpus


class Opened(NamedTuple):
    """One opened place that texts are read from, with rows or lines."""

    source: str
    """Name of the place in messages."""
    rows: Iterable[tuple[str, Row]] = ()
    """Position of each row ("line 7"), and its columns."""
    lines: Iterable[str] | None = None
    """Lines of running text, in place of rows."""


def divided(config: TextCorpus, chat: Chat) -> Texts:
    """Read all texts of a corpus, to train on and to test on, up to its limit.

    Raises
    ------
    ValueError
        If data are missing, cannot be read, or are too few; the message is one line.
    """
    place, apart = config.places()
    share = config.test_share if apart is None else 0.0
    train, test, most, notes = _divided(place, config, chat, share)
    if apart is not None:
        test, _, (count, _), more = _divided(apart, config, chat, 0.0)
        most, notes = (most[0], count), notes + more
    return Texts(train, test, most, notes)


def _divided(place: str, config: TextCorpus, chat: Chat, share: float) -> Texts:
    """Read the units of one place, and divide them."""
    source, table, lines = config.opened(place)
    if lines is not None and share:
        return _one_stretch(list(enumerate(paragraphs(lines))), config, share, source)
    rows = None
    if lines is not None:
        units: Iterable[Unit] = paragraphs(lines)
    else:
        rows = Usable(table, maker(config, chat), config.max_dropped, source)
        units = without_blanks(rows)
    sides: tuple[list[tuple[int, Unit]], list[tuple[int, Unit]]] = ([], [])
    words = [0, 0]
    size = _size(config)
    side = 0
    for at, unit in enumerate(units):
        side = int(held_out(unit.key, share, config.division))
        sides[side].append((at, unit))
        words[side] += _words(unit)
        if config.limit is not None and sum(n // size for n in words) >= config.limit:
            break
    counts = [n // size for n in words]
    if config.limit is not None:
        counts[side] -= max(sum(counts) - config.limit, 0)
    notes = [] if rows is None else rows.notes()
    by_hash = ": which are is up to the texts themselves"
    _check_count(counts, share, len(sides[0]) + len(sides[1]), source, config, by_hash)
    return Texts(*sides, (counts[0], counts[1]), notes)


def _one_stretch(
    units: list[tuple[int, Unit]], config: TextCorpus, share: float, source: str
) -> Texts:
    """Hold out one stretch of running text: the same whatever the limit, which cuts both sides."""
    words = [_words(unit) for _, unit in units]
    first, last = stretch(words, share, config.division) if units else (0, 0)
    inside = sum(words[first:last])
    counts = [n // _size(config) for n in (sum(words) - inside, inside)]
    if config.limit is not None and sum(counts) > config.limit:
        counts[1] = min(counts[1], max(round(share * config.limit), 1), config.limit - 1)
        counts[0] = min(counts[0], config.limit - counts[1])
    _check_count(counts, share, len(units), source, config)
    return Texts([*units[:first], *units[last:]], units[first:last], (counts[0], counts[1]), [])


def _size(config: TextCorpus) -> int:
    """Return the number of words of an example of running text; a row is an example."""
    return config.prompt_words + config.completion_words if config.running else 1


def _words(unit: Unit) -> int:
    return len(word_spans(unit.content)) if isinstance(unit.content, str) else 1


def _check_count(
    counts: Sequence[int],
    share: float,
    units: int,
    source: str,
    config: TextCorpus,
    by_hash: str = "",
) -> None:
    """Raise ValueError if there are too few examples to train on or to hold out."""
    total, least = sum(counts), 2 if share else 1
    size = config.prompt_words + config.completion_words
    running = f" of {size} words" if config.running else ""
    if total < least:
        held = ", one to train on and one to hold out" if least == 2 else ""
        raise ValueError(
            f"{source} has {total} examples{running}; at least {least} "
            f"{'is' if least == 1 else 'are'} needed{held}"
        )
    if share and not all(counts):
        what = ("paragraph" if config.running else "row") + ("s" if units != 1 else "")
        raise ValueError(
            f"{source} has {units:,} {what}, and with test_share = {share:g} no example"
            f"{running} is {'left to train on' if counts[1] else 'held out'}{by_hash}; change "
            f"test_share, or name {config.test_setting}"
        )
