"""A classifier that tells two sets of texts apart, judged on texts that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

_FOLDS = 5
_FEATURES = 2**14


def told_apart(texts: Sequence[str], others: Sequence[str]) -> float:
    """Area under the ROC curve by which a classifier tells texts from others, cross-validated.

    Logistic regression on hashed runs of one to three words. The i-th text of each goes on from
    the same prompt, and both are in the same of five folds, so that no fold is told by its prompts.

    Parameters
    ----------
    texts, others : sequence of str
        As many of each.

    Returns
    -------
    float
        Mean over the folds of the probability that of a text and another one the right one looks
        more like a text: 0.5 is chance, 1 is certainty. NaN with fewer than two of each.

    Examples
    --------
    >>> told_apart(["a b", "b a", "a a", "b b"], ["c d", "d c", "c c", "d d"])
    1.0
    >>> told_apart(["a b", "b a", "a a", "b b"], ["a b", "b a", "a a", "b b"])
    0.5
    """
    count = min(len(texts), len(others))
    if count < 2:
        return math.nan
    vectors = HashingVectorizer(
        token_pattern=r"\S+",
        lowercase=False,
        ngram_range=(1, 3),
        n_features=_FEATURES,
        alternate_sign=False,
    ).transform([*texts[:count], *others[:count]])
    labels = np.repeat([1, 0], count)
    folds = np.tile(np.arange(count) % min(_FOLDS, count), 2)
    areas = []
    with threadpool_limits(1):  # on few texts as fast, and the same on any number of cores
        for fold in range(folds.max() + 1):
            inside = folds == fold
            model = LogisticRegression(solver="liblinear").fit(vectors[~inside], labels[~inside])
            areas.append(roc_auc_score(labels[inside], model.decision_function(vectors[inside])))
    return float(np.mean(areas))
