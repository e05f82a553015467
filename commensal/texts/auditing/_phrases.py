"""Phrases that a corpus uses more often than another, and those of a published profile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal._words import tokens_of

_TOP = 20
_LEAST = 5
"""Documents in which a phrase must occur."""
_AROUND = 60
"""Characters of an example on either side of its phrase."""
_PRIOR = 0.5
COLUMNS = ("phrase", "documents", "in_reference", "z", "example")


class Profile(NamedTuple):
    """Phrases of a published profile.

    Attributes
    ----------
    name : str
    features : frozenset of str
        Words, pairs and triples of words, without stop words.
    """

    name: str
    features: frozenset[str]

    def counted(self, texts: Sequence[str]) -> Float[np.ndarray, " D"]:
        """Return how often each text has a word or phrase of the profile."""
        from commensal.llm.fingerprint import tokens

        found = []
        for text in texts:
            words = tokens(text)
            runs = (
                " ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)
            )
            found.append(float(sum(run in self.features for run in runs)))
        return np.array(found)


def profile_of(path: str | Path) -> Profile:
    """Read the one profile of a file, or that of ``FILE:NAME``.

    Raises
    ------
    ValueError
        If there is no such file or profile, or it has several and none is named.
    """
    from commensal.llm.fingerprint import KINDS, choose, read_profiles

    file, name = str(path), ""
    if not Path(file).expanduser().exists() and ".json" in file:
        file, _, name = file.rpartition(":")
    profiles = read_profiles(file or str(path))
    if not name:
        if len(profiles) > 1:
            first = next(iter(profiles))
            raise ValueError(
                f"--against: {file} has {len(profiles)} profiles; name one, as in {file}:{first}"
            )
        name = next(iter(profiles))
    print_ = choose(profiles, [name])[name]
    return Profile(name, frozenset(print_.features(KINDS)))


def phrases(ours: Sequence[str], theirs: Sequence[str], characters: bool) -> pd.DataFrame:
    """Return phrases of one to three tokens that more documents have here than there.

    Parameters
    ----------
    ours, theirs : sequence of str
        Documents.
    characters : bool
        Whether tokens are characters.

    Returns
    -------
    pandas.DataFrame
        Columns ``phrase``, ``documents`` and ``in_reference`` (shares of documents that have it),
        ``z``, the log-odds ratio over its standard error (Monroe, Colaresi and Quinn 2008, with a
        prior of half a document), and ``example``, one passage of the audited corpus.
    """
    counts = [_documents_with(texts, characters) for texts in (ours, theirs)]
    rows = []
    for phrase, count in counts[0].items():
        if count < _LEAST or not any(map(str.isalpha, phrase)):
            continue
        a, b = count + _PRIOR, counts[1][phrase] + _PRIOR
        n, m = len(ours) + 2 * _PRIOR, len(theirs) + 2 * _PRIOR
        odds = np.log(a / (n - a)) - np.log(b / (m - b))
        z = odds / np.sqrt(1 / a + 1 / (n - a) + 1 / b + 1 / (m - b))
        rows.append((phrase, count / len(ours), counts[1][phrase] / len(theirs), float(z)))
    rows = sorted(rows, key=lambda row: (-row[3], row[0]))
    chosen: list[tuple[str, float, float, float, str]] = []
    for row in rows:
        # what is part of a phrase that is there already says nothing new
        if row[3] < 4 or len(chosen) == _TOP:
            break
        if not any(f" {row[0]} " in f" {other[0]} " for other in chosen):
            chosen.append((*row, _example(ours, row[0], characters)))
    return pd.DataFrame(chosen, columns=list(COLUMNS))


def _documents_with(texts: Sequence[str], characters: bool) -> Counter[str]:
    found: Counter[str] = Counter()
    for text in texts:
        words = tokens_of(text, characters)
        found.update(
            {" ".join(words[i : i + n]) for n in (1, 2, 3) for i in range(len(words) - n + 1)}
        )
    return found


def _example(texts: Sequence[str], phrase: str, characters: bool) -> str:
    """Return a passage around the phrase, from the first document that has it."""
    wanted = phrase.split(" ")
    for text in texts:
        words = tokens_of(text, characters)
        for at in range(len(words) - len(wanted) + 1):
            if words[at : at + len(wanted)] == wanted:
                from commensal._words import cut

                start = len(cut(text, at, characters))
                passage = text[max(start - _AROUND, 0) : start + len(phrase) + _AROUND]
                return " ".join(passage.split())
    return ""
