"""Fingerprints from texts: the words that recur in them and are rarer elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from commensal.llm.corpora import read_rows
from commensal.llm.corpora._messages import turns_of
from commensal.llm.corpora._templates import as_text
from commensal.llm.fingerprint._profiles import Fingerprint

RAREST = 1e-8
"""Frequency of words that the baseline does not know: the least that wordfreq lists."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def tokens(text: str) -> list[str]:
    """Split a text into lower-case words without stop words, contractions and possessives.

    Examples
    --------
    >>> tokens("Elara's voice was barely above a whisper; she didn’t rasp.")
    ['elara', 'voice', 'barely', 'whisper', 'rasp']
    """
    stop = _stop_words()
    found = (w.removesuffix("'s") for w in _WORD.findall(text.lower().replace("’", "'")))
    return [w for w in found if "'" not in w and w not in stop]


def english(word: str) -> float:
    """Return a baseline: how frequent a word is in English at large, from ``wordfreq``.

    Raises
    ------
    ValueError
        If wordfreq is not installed.
    """
    try:
        from wordfreq import word_frequency
    except ImportError:
        raise ValueError(
            "fingerprints of texts need wordfreq: pip install 'commensal[llm]'"
        ) from None
    return word_frequency(word, "en")


def pooled(texts: Iterable[str]) -> Callable[[str], float]:
    """Make a baseline from texts: how frequent a word is in all of them together.

    For texts that are not English, such as those of a known law: what one model writes is set
    against what all write.

    Raises
    ------
    ValueError
        If one of them is no text; the message says which.
    """
    counts: Counter[str] = Counter()
    for at, text in enumerate(texts, 1):
        try:
            counts.update(tokens(as_text(text, "text")))
        except ValueError as error:
            raise ValueError(f"row {at}: {error}") from None
    total = max(counts.total(), 1)
    return lambda word: counts[word] / total


def fingerprint(
    texts: Mapping[str, Iterable[str]],
    *,
    baseline: Callable[[str], float] = english,
    words: int = 1000,
    ngrams: int = 200,
    prompts: int = 2,
    letters: int = 4,
) -> Fingerprint:
    """Make the fingerprint of one model.

    Parameters
    ----------
    texts : mapping of str to iterable of str
        Texts that the model wrote, by prompt.
    baseline : callable
        Function from a word to its frequency elsewhere.
    words, ngrams : int
        Largest number of words, and of bigrams and trigrams each, to keep.
    prompts : int
        Number of prompts over which a word or n-gram must recur.
    letters : int
        Least number of letters of a word; shorter ones are left out (of the words, not of the
        n-grams).

    Returns
    -------
    Fingerprint
        Fingerprint with words by frequency in the texts over that of the baseline, and n-grams by
        how often they occur. Stop words are taken out before n-grams are formed; none spans two
        texts.

    References
    ----------
    `pollination`, app. B.1; the procedure of slop-forensics, but for its stop words (here those
    of scikit-learn) and its least number of occurrences (here only ``prompts``).

    Examples
    --------
    >>> told = {"1": ["The lantern hummed."], "2": ["A lantern hummed low."]}
    >>> fingerprint(told, baseline=lambda word: 0.1)
    Fingerprint(words={'hummed': 4.0, 'lantern': 4.0}, bigrams={'lantern hummed': 2.0}, trigrams={})
    """
    counts: tuple[Counter[str], ...] = (Counter(), Counter(), Counter())
    seen: tuple[Counter[str], ...] = (Counter(), Counter(), Counter())
    for written in texts.values():
        here: tuple[set[str], ...] = (set(), set(), set())
        for text in written:
            found = tokens(text)
            for n in range(3):
                grams = [" ".join(found[i : i + n + 1]) for i in range(len(found) - n)]
                counts[n].update(grams)
                here[n].update(grams)
        for n in range(3):
            seen[n].update(here[n])
    total = counts[0].total()
    scores = {
        word: count / total / max(baseline(word), RAREST)
        for word, count in counts[0].items()
        if seen[0][word] >= prompts and len(word) >= letters
    }
    often = [
        {gram: float(c) for gram, c in counts[n].items() if seen[n][gram] >= prompts}
        for n in (1, 2)
    ]
    return Fingerprint(_first(scores, words), *(_first(part, ngrams) for part in often))


def fingerprints_of(
    table: pd.DataFrame,
    *,
    baseline: Callable[[str], float] = english,
    words: int = 1000,
    ngrams: int = 200,
    prompts: int = 2,
    letters: int = 4,
) -> dict[str, Fingerprint]:
    """Make the fingerprints of all models of a table.

    Parameters
    ----------
    table : pandas.DataFrame
        Table with a row per text, with the columns ``model`` and ``text``, and perhaps ``prompt``;
        without it every text has a prompt of its own.
    baseline, words, ngrams, prompts, letters
        Baseline and limits, as for :func:`fingerprint`.

    Returns
    -------
    dict of str to Fingerprint
        Fingerprints by model.

    Raises
    ------
    ValueError
        If a column is missing, or nothing of a model recurs; the message names the model.
    """
    for column in ("model", "text"):
        if column not in table:
            raise ValueError(f"no column {column!r}")
    prompt = table["prompt"] if "prompt" in table else pd.Series(range(len(table)), table.index)
    found = {}
    for model, rows in table.groupby(table["model"].astype(str), sort=False):
        texts: dict[str, list[str]] = {}
        for key, text in zip(prompt.loc[rows.index].astype(str), rows["text"], strict=True):
            try:
                texts.setdefault(key, []).append(as_text(text, "text"))
            except ValueError as error:
                raise ValueError(f"a text of model {model!r}: {error}") from None
        made = fingerprint(
            texts, baseline=baseline, words=words, ngrams=ngrams, prompts=prompts, letters=letters
        )
        if not any(made):
            raise ValueError(
                f"the fingerprint of {model!r} is empty: nothing recurs over {prompts} prompts"
            )
        found[str(model)] = made
    return found


def read_texts(path: str | Path) -> pd.DataFrame:
    """Read texts from a table, or from the samples of a run.

    Parameters
    ----------
    path : str or Path
        File as :func:`~commensal.llm.corpora.read_rows` reads it (.jsonl, .json, .csv, .tsv,
        .parquet, compressed or not), with the columns ``model`` and ``text``, and perhaps
        ``family``, ``date``, ``prompt``. In the place of ``text`` there may be ``messages``: what
        the assistant says in them is the text. Records of a run's samples are taken as they are:
        see :func:`samples_table`.

    Returns
    -------
    pandas.DataFrame
        Texts with these columns.

    Raises
    ------
    ValueError
        If the file is no such table; the message has the first row that does not fit.
    """
    rows = list(read_rows(path))
    columns = set().union(*(row for _, row in rows))
    sampled = columns >= {"model", "generation", "completion"}
    needed = ("model", "generation", "completion") if sampled else ("model", "text")
    if not sampled and "text" not in columns and "messages" in columns:
        needed = ("model", "messages")
    for column in needed:
        if rows and column not in columns:
            raise ValueError(f"{str(path)!r}: no column {column!r}")
    found = []
    for where, row in rows:
        try:
            for column in needed[:-1]:
                as_text(row.get(column), column)
            if needed[-1] == "messages":
                turns = turns_of(row.get("messages"))
                text = "\n".join(t["content"] for t in turns if t["role"] == "assistant")
                row = {**row, "text": text}
            else:
                row = {**row, needed[-1]: as_text(row.get(needed[-1]), needed[-1])}
        except ValueError as error:
            raise ValueError(f"{str(path)!r}, {where}: {error}") from None
        found.append(row)
    if not found:
        raise ValueError(f"{str(path)!r} has no texts")
    return samples_table(pd.DataFrame(found)) if sampled else pd.DataFrame(found)


def samples_table(samples: pd.DataFrame) -> pd.DataFrame:
    """Return a run's samples as a table of texts: models are families, generations are dates.

    Parameters
    ----------
    samples : pandas.DataFrame
        Table with ``model``, ``generation``, ``prompt`` and ``completion``, as in the
        ``samples.jsonl.gz`` of a run's generations (those of several may be joined).

    Returns
    -------
    pandas.DataFrame
        Texts: ``model`` ("model 0, generation 3"), ``family``, ``date``, ``prompt``, ``text``.
    """
    model, generation = samples["model"].astype(int), samples["generation"].astype(int)
    family = "model " + model.astype(str)
    return pd.DataFrame(
        {
            "model": family + ", generation " + generation.astype(str),
            "family": family,
            "date": generation,
            "prompt": samples["prompt"],
            "text": samples["completion"],
        }
    )


def _first(scores: dict[str, float], count: int) -> dict[str, float]:
    """Return the ``count`` highest scores, with equal ones in alphabetical order."""
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:count])


def _stop_words() -> frozenset[str]:
    # slow to import, and profiles do not need it
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return ENGLISH_STOP_WORDS
