"""Amounts of text behind fingerprints, and how to make them equal."""

from __future__ import annotations

from typing import Any

import pandas as pd

from commensal.llm.fingerprint._texts import tokens


def words_of(table: pd.DataFrame) -> pd.Series:
    """Count the words of each model's texts, without stop words.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["a", "a", "b"], "text": ["hum", "the low hum", "hush"]})
    >>> words_of(table).to_dict()
    {'a': 3, 'b': 1}
    """
    counts: Any = table["text"].map(lambda text: len(tokens(text)))
    return counts.groupby(table["model"].astype(str), sort=False).sum()


def equal_amounts(table: pd.DataFrame) -> pd.DataFrame:
    """Cut texts so that every model has about as many words as the one with fewest.

    Parameters
    ----------
    table : pandas.DataFrame
        Table of texts with the columns ``model`` and ``text``.

    Returns
    -------
    pandas.DataFrame
        Table of shorter texts. Of each text of a model the same share is left, its first part, so
        that all prompts stay. What a fingerprint has, and so how alike it is to others, depends on
        how much text it is of.

    Examples
    --------
    >>> table = pd.DataFrame({"model": ["a", "a", "b"], "text": ["hum low", "hush up", "rasp hum"]})
    >>> equal_amounts(table)["text"].tolist()
    ['hum', 'hush', 'rasp hum']
    """
    counts = words_of(table)
    shares = (counts.min() / counts.clip(lower=1)).clip(upper=1)

    def cut(text: str, share: float) -> str:
        words = text.split()
        return " ".join(words[: round(share * len(words))]) if share < 1 else text

    of_model = table["model"].astype(str).map(shares)
    return table.assign(text=[cut(*pair) for pair in zip(table["text"], of_model, strict=True)])


def amounts_of(table: pd.DataFrame, equal: bool) -> str:
    """Write a report's note on how much text the fingerprints are made from."""
    counts = words_of(table)
    least, most = int(counts.min()), int(counts.max())
    told = f"Texts have {least:,} to {most:,} words per model, without stop words"
    if equal:
        return f"{told}, cut to about equal amounts: of each text its first part."
    if most <= 1.1 * least:
        return f"{told}: about equal amounts."
    return (
        f"{told}. These are not equal amounts: more text has more features that recur, so "
        "similarities of models with unequal amounts do not compare; equal_amounts "
        "(--equal-amounts) cuts them to the least."
    )
