"""How much of a corpus is not from the human source: a bound by a classifier, or an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from commensal.texts._sampling import SampledTexts
from commensal.texts.auditing._counts import ComparedTexts

_FEATURES = 2**18
"""Columns that runs of words and characters are hashed to, to count what is known."""
_COLUMNS = 2**14
"""Columns of each kind of words for the classifier."""
_KNOWN = 5_000
"""Human documents that say what is known, at most."""
_SCALED = 1_000
"""Human documents that say how what is known varies, at most."""
_FAR = 10.0
_PENALTY = 0.3
_TAILS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Shares of human texts below the thresholds at which both samples are compared."""
_SHUFFLES = 1_999
_DRAWS = 1_000


class Share(NamedTuple):
    """What a classifier finds that has learnt on one half of the documents, on the other half.

    Attributes
    ----------
    area : float
        Probability that it takes an audited document, not a human one, for the audited one.
    p : float
        Probability of such a difference at any threshold, if documents are exchangeable.
    bound : float
        Least share of audited documents that are not from the human source, at this level.
    estimate, low, high : float
        Share of documents like the known generated ones, with its interval; NaN without any.
    """

    area: float
    p: float
    bound: float
    estimate: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")


class DocumentFeatures:
    """Features of documents: words and characters, and how known they are to human texts.

    Parameters
    ----------
    human : sequence of str
        Human documents that are in neither sample.
    """

    def __init__(self, human: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        kinds = (("word", 1), ("word", 2), ("word", 3), ("char_wb", 3), ("char_wb", 5))
        self._kinds: list[Any] = [
            HashingVectorizer(
                analyzer=kind,  # pyright: ignore[reportArgumentType]
                token_pattern=r"[^\W_]+|[^\w\s]",
                lowercase=False,
                ngram_range=(n, n),
                n_features=_FEATURES,
                alternate_sign=False,
                norm=None,  # pyright: ignore[reportArgumentType]
            )
            for kind, n in kinds
        ]
        half = min(len(human) - len(human) // 5, _KNOWN)
        self._seen = [
            np.asarray(one.transform(human[:half]).sum(axis=0)).ravel() for one in self._kinds
        ]
        # scaled by texts that were not counted: in those that were, all is known
        known, _ = self._counted(human[half:][:_SCALED])
        spread = known.std(axis=0)
        self._middle, self._spread = known.mean(axis=0), np.where(spread > 0, spread, 1.0)

    def of(self, texts: Sequence[str]) -> Any:
        """Return features of documents: a sparse row for each, of words beside what is known."""
        from scipy import sparse

        known, words = self._counted(texts)
        scaled = np.clip((known - self._middle) / self._spread, -_FAR, _FAR)
        return sparse.hstack([sparse.csr_array(scaled), *words], format="csr")

    def _counted(self, texts: Sequence[str]) -> tuple[np.ndarray, list[Any]]:
        from scipy import sparse
        from sklearn.preprocessing import normalize

        known, words = [], []
        for one, seen in zip(self._kinds, self._seen, strict=True):
            counts = one.transform(texts)
            total = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)
            surprise = -np.log((seen + 0.5) / (seen.sum() + 0.5 * _FEATURES))
            known += [counts @ surprise / total, counts @ (seen == 0) / total]
            if one.analyzer == "word":
                # for the classifier fewer columns do, and it is several times as fast
                folded = (np.sqrt(counts.data), counts.indices % _COLUMNS, counts.indptr)
                words.append(normalize(sparse.csr_array(folded, shape=(len(texts), _COLUMNS))))
        return np.array(known).T, words


def told_apart(
    pool: ComparedTexts, human: Sequence[str], level: float, rng: np.random.Generator
) -> Share:
    """Learn to tell audited documents from human ones on half of the pairs; test on the others.

    If a share π of the audited documents is not from the human source, then of any kind of document
    the audited corpus has at least 1 - π times what the human one has. So a kind that it has less
    of bounds π from below (Blanchard, Lee and Scott 2010). The kinds are "the classifier's score
    is below a threshold", and all thresholds come from the half that was learnt on; the bounds
    hold together for all of them (Clopper and Pearson 1934). Of groups, scores are means over
    their documents, and shares are of groups.
    """
    from scipy.stats import beta
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    units = int(pool.units[-1]) + 1
    first = pool.units < units // 2
    learns = np.tile(first, 2)
    labels = np.repeat([1, 0], pool.pairs)
    vectors = DocumentFeatures(human).of(pool.texts)
    model = _classifier()
    with _one_thread():
        unseen: Any = cross_val_predict(
            model,
            vectors[learns],
            labels[learns],
            cv=GroupKFold(2) if pool.grouped else 2,
            groups=np.tile(pool.units, 2)[learns] if pool.grouped else None,
            method="decision_function",
        )
        scores = model.fit(vectors[learns], labels[learns]).decision_function(vectors[~learns])
    unseen, scores = _of_units(unseen, pool.units[first]), _of_units(scores, pool.units[~first])
    held = len(scores) // 2
    above = (scores[:, None] > np.quantile(unseen, _TAILS)).astype(float)
    total = above.sum(axis=0)
    observed = _largest(above[:held].sum(axis=0), total, held)
    shuffled = [
        _largest(above[rng.permutation(2 * held)[:held]].sum(axis=0), total, held)
        for _ in range(_SHUFFLES)
    ]
    p = (1 + int((np.array(shuffled) >= observed).sum())) / (1 + _SHUFFLES)
    each = level / (2 * len(_TAILS))
    ours, theirs = held - above[:held].sum(axis=0), held - above[held:].sum(axis=0)
    most = np.where(ours < held, beta.ppf(1 - each, ours + 1, np.maximum(held - ours, 0.5)), 1.0)
    least = np.where(theirs > 0, beta.ppf(each, np.maximum(theirs, 0.5), held - theirs + 1), 0.0)
    ratio = np.divide(most, least, out=np.ones_like(most), where=least > 0)
    area = roc_auc_score(np.repeat([1, 0], held), scores)
    return Share(float(area), p, float(max(0.0, (1 - ratio).max())))


def mixed(
    pool: ComparedTexts,
    generated: SampledTexts,
    human: Sequence[str],
    level: float,
    rng: np.random.Generator,
) -> tuple[float, float, float]:
    """Estimate the share of documents like known generated ones, with its interval.

    A classifier learns known generated texts and further human ones. Its mean score is linear in
    the share: π = (audited - human) / (generated - human), of documents that it has not learnt on.

    Parameters
    ----------
    pool : ComparedTexts
        Audited and human documents.
    generated : SampledTexts
        Known generated documents.
    human : sequence of str
        Human ones that are not in the pool.
    level : float
        One minus the probability with which the interval covers.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of float
        Estimate, low, high (of 1,000 resamples of documents or groups), NaN where known generated
        and human texts are not told apart.
    """
    number = min(len(generated.texts) // 2, len(human) // 2)
    lengths = np.array([len(text) for text in pool.texts])
    cuts = rng.choice(lengths, number)
    learnt, fresh = generated.texts[:number], generated.texts[number : 2 * number]
    sets = [
        [text[:size] for text, size in zip(texts, cuts, strict=False)]
        for texts in (learnt, human[:number], fresh)
    ]
    model, features = _classifier(), DocumentFeatures(human[number:] or human)
    with _one_thread():
        model.fit(features.of([*sets[0], *sets[1]]), np.repeat([1, 0], number))
        ours, theirs, known = (
            model.predict_proba(features.of(texts))[:, 1]
            for texts in (pool.texts[: pool.pairs], pool.texts[pool.pairs :], sets[2])
        )
    groups = generated.groups[number : 2 * number]
    parts = ((ours, pool.units), (theirs, pool.units), (known, groups - groups[0]))
    means = [_redrawn(scores, units, rng) for scores, units in parts]
    apart = means[2] - means[1]
    if np.quantile(apart, level / 2) <= 0:
        return float("nan"), float("nan"), float("nan")
    drawn = (means[0] - means[1]) / apart
    value = (ours.mean() - theirs.mean()) / (known.mean() - theirs.mean())
    low, high = np.quantile(drawn, [level / 2, 1 - level / 2])
    return tuple(float(np.clip(x, 0.0, 1.0)) for x in (value, low, high))  # pyright: ignore[reportReturnType]


def _redrawn(scores: np.ndarray, units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return mean scores of as many units, drawn with replacement."""
    total, count = np.bincount(units, scores), np.bincount(units)
    drawn = rng.integers(len(count), size=(_DRAWS, len(count)))
    return total[drawn].sum(axis=1) / count[drawn].sum(axis=1)


def _of_units(scores: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return the mean score of each unit's audited documents, then that of its human ones."""
    at, count = units - units[0], np.bincount(units - units[0])
    return np.concatenate([np.bincount(at, side) / count for side in np.split(scores, 2)])


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver="liblinear", C=_PENALTY)


def _one_thread() -> Any:
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)  # the same numbers on any number of cores


def _largest(count: np.ndarray, total: np.ndarray, held: int) -> float:
    """Return the largest standardised excess of the first sample above the thresholds."""
    share = total / (2 * held)
    error = np.sqrt(np.maximum(share * (1 - share), 1e-12) * held / 2)
    return float(np.max((count - total / 2) / error))
