"""Fingerprints of models: the words that each uses more often than people do."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from commensal._spelling import did_you_mean
from commensal.llm.corpora._opened import file_at, format_of, lines_of

KINDS = ("words", "bigrams", "trigrams")
"""Kinds of features that a fingerprint has."""
# Where a profile of slop-forensics keeps each kind: its list, the feature's key, the weight's key.
_LISTS = {
    "words": ("top_repetitive_words", "word", "score"),
    "bigrams": ("top_bigrams", "ngram", "frequency"),
    "trigrams": ("top_trigrams", "ngram", "frequency"),
}


class Fingerprint(NamedTuple):
    """Over-represented words and n-grams of one model, each with its weight.

    Attributes
    ----------
    words : mapping of str to float
        Words, each with how much more frequent it is than in English at large, the most striking
        first.
    bigrams, trigrams : mapping of str to float
        N-grams, each with how often it was written; words are separated by one blank.
    """

    words: Mapping[str, float]
    bigrams: Mapping[str, float] = {}
    trigrams: Mapping[str, float] = {}

    def features(self, kinds: Sequence[str], top: int | None = None) -> dict[str, float]:
        """Return the first ``top`` features of each of these kinds; kinds share no feature.

        Examples
        --------
        >>> Fingerprint({"elara": 9.0, "rasped": 5.0}, {"barely whisper": 3.0}).features(
        ...     ["words", "bigrams"], top=1)
        {'elara': 9.0, 'barely whisper': 3.0}
        """
        found: dict[str, float] = {}
        for kind in kinds:
            found |= dict(list(getattr(self, kind).items())[:top])
        return found


def read_profiles(path: str | Path) -> dict[str, Fingerprint]:
    """Read fingerprints from a file of profiles, as slop-forensics writes it.

    Parameters
    ----------
    path : str or Path
        JSON file: by model, lists ``top_repetitive_words`` of ``{"word", "score"}``,
        ``top_bigrams`` and ``top_trigrams`` of ``{"ngram", "frequency"}``, each in order. Lists of
        n-grams may be absent.

    Returns
    -------
    dict of str to Fingerprint
        Fingerprints by model.

    Raises
    ------
    ValueError
        If a profile is malformed; the message names the model and the entry.
    """
    text = "".join(lines_of(path))
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{path}: expected an object with a profile per model")
    return {model: _fingerprint(model, profile) for model, profile in found.items()}


def holds_profiles(path: str | Path) -> bool:
    """Return whether a file holds profiles: JSON with an object, where texts would be an array.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    if format_of(file_at(path)) != ".json":
        return False
    first = next((line for line in lines_of(path) if line.strip()), "")
    return not first.lstrip().startswith("[")


def _fingerprint(model: str, profile: Any) -> Fingerprint:
    if not isinstance(profile, dict):
        raise ValueError(f"profile of {model!r}: expected an object, got {type(profile).__name__}")
    parts = {}
    for kind, (name, feature, weight) in _LISTS.items():
        entries = profile.get(name, None if kind == "words" else [])
        if not isinstance(entries, list):
            what = "no" if entries is None else "no list"
            raise ValueError(f"profile of {model!r}: {what} {name}")
        part: dict[str, float] = {}
        for at, entry in enumerate(entries):
            where = f"profile of {model!r}: {name}[{at}]"
            if not isinstance(entry, dict) or not isinstance(entry.get(feature), str):
                raise ValueError(f"{where} has no {feature!r}")
            value = entry.get(weight)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{where} has no number as {weight!r}")
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{where}: {weight} must be positive and finite, got {value}")
            if entry[feature] in part:
                raise ValueError(f"{where}: {entry[feature]!r} occurs twice")
            part[entry[feature]] = float(value)
        parts[kind] = part
    return Fingerprint(**parts)


def choose(
    fingerprints: Mapping[str, Fingerprint], models: Sequence[str]
) -> dict[str, Fingerprint]:
    """Return the fingerprints of these models, in their order.

    Parameters
    ----------
    fingerprints : mapping
        Fingerprints by the name of their model.
    models : sequence of str
        Names of models as in ``fingerprints``, or without the vendor before the last ``/``.

    Returns
    -------
    dict of str to Fingerprint
        Fingerprints by the names in ``models``.

    Raises
    ------
    ValueError
        If a name is unknown, or could mean two models.

    Examples
    --------
    >>> list(choose({"meta/llama-4": Fingerprint({"hum": 1.0})}, ["llama-4"]))
    ['llama-4']
    """
    short: dict[str, list[str]] = {}
    for name in fingerprints:
        short.setdefault(name.rpartition("/")[2], []).append(name)
    found = {}
    for name in models:
        known = [name] if name in fingerprints else short.get(name, [])
        if len(known) > 1:
            raise ValueError(f"model {name!r} could be any of {', '.join(known)}")
        if not known:
            hint = did_you_mean(name, [*fingerprints, *short], written=repr)
            raise ValueError(f"no fingerprint of model {name!r}{hint}")
        found[name] = fingerprints[known[0]]
    return found
