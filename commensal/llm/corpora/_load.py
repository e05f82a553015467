"""Draw or read the corpora that configurations describe."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from commensal.llm.corpora._corpus import Corpus
from commensal.llm.corpora._messages import Chat, plain
from commensal.llm.corpora._settings import CorpusSettings
from commensal.llm.corpora._units import Texts, windows


class CorpusWarning(UserWarning):
    """Warning about data that could not all be used."""


def load(config: CorpusSettings, seed: int, chat: Chat | None = None) -> Corpus:
    """Draw or read a corpus.

    Parameters
    ----------
    config : CorpusSettings
        Settings of the corpus, such as :class:`MarkovCorpus`, :class:`FileCorpus` or
        :class:`HubCorpus`.
    seed : int
        Seed, at least 0. Texts of a known law depend on it and on the name; those of a file or
        dataset do not, nor does which of them are held out.
    chat : callable, optional
        Function that writes messages, as :func:`chat_of` gives it; by default they are written as
        plain text.

    Returns
    -------
    Corpus
        Examples to train and to test on.

    Raises
    ------
    ValueError
        If data are missing, cannot be read, or are too few; the message is one line.

    Warns
    -----
    CorpusWarning
        If rows have no text, or texts to train on are test texts too; they are left out.

    Examples
    --------
    >>> from commensal.llm.corpora import MarkovCorpus
    >>> corpus = load(MarkovCorpus(prompt_words=2, completion_words=3, train=5, test=1), seed=0)
    >>> len(corpus.train), len((corpus.test[0].prompt + corpus.test[0].completion).split())
    (5, 5)
    """
    return load_all([config], seed, chat)[0]


def load_all(
    configs: Sequence[CorpusSettings], seed: int, chat: Chat | None = None
) -> list[Corpus]:
    """Draw or read corpora of one experiment; a test text of one is a training text of none.

    Parameters, errors and warnings are those of :func:`load`.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    read = [config.read(chat or plain) for config in configs]
    tested: dict[int, str] = {}
    for config, texts in zip(configs, read, strict=True):
        for _, unit in () if texts is None else texts.test:
            tested.setdefault(unit.key, config.name)
    found = [
        config.draw(seed) if texts is None else _cut(config, texts, tested)
        for config, texts in zip(configs, read, strict=True)
    ]
    for corpus in found:
        for note in corpus.notes:
            warnings.warn(note, CorpusWarning, stacklevel=2)
    return found


def _cut(config: CorpusSettings, texts: Texts, tested: dict[int, str]) -> Corpus:
    kept = [(at, unit) for at, unit in texts.train if unit.key not in tested]
    notes = list(texts.notes)
    others = [tested[unit.key] for _, unit in texts.train if unit.key in tested]
    if others:
        whose = ["its own" if n == config.name else f"those of {n!r}" for n in sorted(set(others))]
        notes.append(
            f"{len(others):,} of {len(texts.train):,} texts of corpus {config.name!r} are also "
            f"test texts ({', '.join(whose)}); nothing is trained on them"
        )
    if config.divided_by is not None:
        return _by_community(config, texts._replace(train=kept, notes=notes))
    train, test = windows(kept, config), windows(texts.test, config)
    if not train:
        raise ValueError(f"{notes[-1]}, and too little is left to train on")
    return Corpus(
        config.name,
        tuple(train[: texts.most[0]]),
        tuple(test[: texts.most[1]]),
        notes=tuple(notes),
    )


def _by_community(config: CorpusSettings, texts: Texts) -> Corpus:
    """Cut each community's texts by themselves, so that no example is of two communities."""
    names = sorted({unit.community for _, unit in (*texts.train, *texts.test)})
    found = []
    for name in names:
        train, test = (
            tuple(windows([(at, unit) for at, unit in units if unit.community == name], config))
            for units in (texts.train, texts.test)
        )
        if not train or not test:
            raise ValueError(
                f"community {name!r} of {config.name!r} has too few texts: {len(train):,} to "
                f"train on, {len(test):,} held out; leave it out of the data, join it with another "
                "community, raise limit, or change test_share"
            )
        found.append(Corpus(f"{config.name}/{name}", train, test))
    return Corpus(
        config.name,
        tuple(example for part in found for example in part.train),
        tuple(example for part in found for example in part.test),
        notes=tuple(texts.notes),
        communities=tuple(found),
    )
