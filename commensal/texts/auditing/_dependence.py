"""Whether documents that stand next to each other are more alike than any two of a source."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from commensal.texts._sampling import SampledTexts

_MOST = 4_000
"""Documents that are looked at."""
_SURE = 5.0
"""Standard errors from which on neighbours count as alike: by chance once in a million sources."""


class Neighbours(NamedTuple):
    """How alike documents are: the mean cosine of their words, weighed by rarity (TF-IDF).

    Attributes
    ----------
    next_to : float
        Of documents that stand next to each other.
    any_two : float
        Of any two.
    alike : bool
        Whether the first is larger by more than chance.
    """

    next_to: float
    any_two: float
    alike: bool


def neighbours(kept: SampledTexts) -> Neighbours:
    """Compare documents that stand next to each other in a source with any two of it.

    Examples
    --------
    >>> texts = [f"{word} {n % 7} x" for word in ("sun", "sea", "oak") for n in range(40)]
    >>> trivial = np.arange(120)
    >>> neighbours(SampledTexts("a", texts, 120, trivial, trivial)).alike
    True
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    texts = [kept.texts[at] for at in np.argsort(kept.places[:_MOST])]
    # all is summed in an order of its own, so that sources read backwards give the same numbers
    counts: Any = CountVectorizer(token_pattern=r"\w+|[^\w\s]").fit_transform(texts)
    counts.sort_indices()
    rows: Any = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    count = rows.shape[0]
    near = np.sort(np.asarray(rows[1:].multiply(rows[:-1]).sum(axis=1)).ravel())
    total = np.asarray(rows[sorted(range(count), key=texts.__getitem__)].sum(axis=0)).ravel()
    squares = np.sort(rows.data**2).sum()
    any_two = float((total @ total - squares) / (count * (count - 1)))
    error = float(near.std(ddof=1)) / np.sqrt(len(near))
    return Neighbours(float(near.mean()), any_two, bool(near.mean() - any_two > _SURE * error))
