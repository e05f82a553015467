"""Each index against a slow and plain version of itself."""

from __future__ import annotations

import math
import warnings
from collections import Counter

import numpy as np
import pytest
from scipy import sparse

from commensal._words import cut, tokens_of, unspaced_share
from commensal.texts.auditing import _indices as indices
from commensal.texts.auditing._counts import matched
from commensal.texts.auditing._measuring import embedded, is_rare, measure_of
from commensal.texts.auditing._resampling import maxima
from commensal.texts.auditing._survival import survival


def zipf_texts(
    rng: np.random.Generator, count: int, words: int = 600, law: float = 1.0
) -> list[str]:
    """Documents of 10 to 30 words that are drawn by Zipf's law."""
    p = np.arange(1.0, words + 1) ** -law
    sizes = rng.integers(10, 30, size=count)
    drawn = rng.choice(words, sizes.sum(), p=p / p.sum())
    return [" ".join(f"w{i}" for i in part) for part in np.split(drawn, sizes.cumsum()[:-1])]


def grams(texts: list[str], n: int) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        words = text.lower().split()
        found.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    return found


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    human = zipf_texts(rng, 300)
    ours = zipf_texts(rng, 100, 200, 1.2)
    ours[:6] = [ours[6]] * 6
    return matched(ours, human[:100], human[100:], 10**6, rng), human[100:]


def test_samples_are_of_equal_lengths_and_counts_are_those_of_the_texts(pool) -> None:
    pool, dictionary = pool
    assert pool.pairs > 50
    assert (pool.lengths[: pool.pairs] == pool.lengths[pool.pairs :]).all()
    assert [len(text.split()) for text in pool.texts] == pool.lengths.tolist()
    for n in (1, 2, 3, 4):
        first = np.repeat([1.0, 0.0], pool.pairs)
        plain = grams(pool.texts[: pool.pairs], n)
        counts = pool.grams[n].of(first)
        assert sorted(counts[counts > 0]) == sorted(plain.values())
        known = grams(dictionary, n)
        assert pool.grams[n].known.sum() == sum(known[g] for g in grams(pool.texts, n))
    assert pool.dictionary == sum(len(text.split()) for text in dictionary)


def test_all_indices_are_what_plain_counting_gives(pool) -> None:
    pool, dictionary = pool
    vectors = embedded(pool)
    mask = np.repeat([True, False], pool.pairs)
    found = measure_of(pool, vectors)(mask, ~mask)
    sides = pool.texts[: pool.pairs], pool.texts[pool.pairs :]
    for n, name in ((1, "rare"), (2, "bigram"), (3, "trigram")):
        known = grams(dictionary, n)
        scale = pool.tokens / max(pool.dictionary, pool.tokens)
        rare = {gram for gram, count in known.items() if count * scale <= 4}
        seen = [len(rare & grams(side, n).keys()) for side in sides]
        assert found[f"{name}_retention"][0] == pytest.approx(seen[0] / seen[1])
        for at, side in enumerate(sides):
            counts = grams(side, n)
            total = counts.total()
            assert found[f"distinct_{n}"][at] == pytest.approx(len(counts) / total)
            if n < 3:
                plain = -sum(c / total * math.log(c / total) for c in counts.values())
                assert found[f"entropy_{n}"][at] == pytest.approx(plain)
    human = grams(dictionary, 1)
    for at, side in enumerate(sides):
        words = grams(side, 1)
        total = words.total()
        alike = sum(c * (c - 1) for c in words.values())
        assert found["hill_2"][at] == pytest.approx(total * (total - 1) / alike)
        new = sum(count for word, count in words.items() if word not in human)
        assert found["unknown_words"][at] == pytest.approx(new / total)
    assert is_rare(pool, 1).sum() > 0


def test_near_duplicates_are_found_among_all_pairs(pool) -> None:
    pool, _ = pool
    mask = np.repeat([True, False], pool.pairs)
    found = measure_of(pool, embedded(pool))(mask, ~mask)["near_duplicates"]
    for at, side in enumerate((pool.texts[: pool.pairs], pool.texts[pool.pairs :])):
        sets = [set(grams([text], 3)) for text in side]
        alike = {
            i
            for i, one in enumerate(sets)
            for j, other in enumerate(sets)
            if i != j and one and len(one & other) >= 0.8 * len(one | other)
        }
        assert found[at] == pytest.approx(len(alike) / len(side))
    assert found[0] > 0


def test_self_bleu_is_that_of_sacrebleu(pool) -> None:
    from sacrebleu import sentence_bleu

    pool, _ = pool
    few = np.zeros(2 * pool.pairs, bool)
    few[:12] = True
    parts = [sparse.coo_array(pool.grams[n].counts * few[:, None]) for n in (1, 2, 3, 4)]
    texts = pool.texts[:12]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = [
            sentence_bleu(text, texts[:at] + texts[at + 1 :], tokenize="none").score / 100
            for at, text in enumerate(texts)
        ]
    assert indices.self_bleu(parts, few) == pytest.approx(np.mean(plain), rel=1e-6)


def test_vendi_is_that_of_the_kernel_and_drift_a_distance() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(unit @ unit.T / 20)
    positive = eigenvalues[eigenvalues > 1e-12]
    assert indices.vendi(unit) == pytest.approx(np.exp(-(positive * np.log(positive)).sum()))
    shift = np.array([3.0, 4.0, 0.0, 0.0, 0.0])
    assert indices.drift(unit, unit + shift) == pytest.approx(5)


def test_what_is_not_there_has_no_index() -> None:
    none = np.zeros(3)
    for of in (indices.distinct, indices.entropy, indices.hill, indices.zipf_exponent):
        assert math.isnan(of(none))


def test_tokens_of_other_scripts_are_characters_and_cuts_are_as_written() -> None:
    assert tokens_of("学而时习之", characters=True) == list("学而时习之")
    assert unspaced_share(["ภาษาไทย", "日本語のテキスト"]) > 0.3
    assert unspaced_share(["", "русский текст", "한국어 텍스트"]) < 0.3
    text = "Don’t  STOP, he said."
    assert tokens_of(cut(text, 4)) == tokens_of(text)[:4]
    assert cut(text, 0) == ""
    assert cut(text, 99) == text


def test_the_survival_law_finds_the_size_of_a_human_sample() -> None:
    # a corpus that is a third of a human sample, said three times, has C = 1/3 by construction;
    # the seed is fixed, and the interval is at 95 %
    rng = np.random.default_rng(1)
    p = 1 / np.arange(1, 3001)
    draw = lambda size: [" ".join(f"w{i}" for i in row) for row in size]  # noqa: E731
    human = draw(rng.choice(3000, (1200, 21), p=p / p.sum()))
    small = rng.choice(3000, (100, 21), p=p / p.sum())
    ours = draw(np.tile(small, (3, 1)))
    made = matched(ours, human[:300], human[300:], 10**6, rng)
    law = survival(made)
    assert law is not None
    assert law.low < 1 / 3 < law.high
    assert law.classes["words"].sum() > 100
    same = survival(matched(human[:300], human[300:600], human[600:], 10**6, rng))
    assert same is not None
    assert same.high == pytest.approx(1, abs=0.05)


def test_adjusted_p_and_critical_value_are_of_the_largest_statistic() -> None:
    null = np.array([[1.0, 0.0], [-2.0, 1.0], [0.0, -3.0], [1.0, 2.0]])
    p, critical = maxima(
        np.array([2.5, -2.0]), null, np.ones(2), np.array([False, True]), level=0.25
    )
    # the second index counts only upwards: maxima are 1, 2, 0, 2
    assert p.tolist() == [1 / 5, 1.0]
    assert critical == 2.0
    p, _ = maxima(np.array([0.0, np.nan]), null * 0, np.zeros(2), np.zeros(2, bool), level=0.25)
    assert p.tolist() == [1.0, 1.0]


def test_false_alarms_of_many_indices_stay_at_their_level() -> None:
    # 400 rounds at 10 %: the binomial limits of 99.9 % are 22 to 61; the indices are correlated
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(400):
        values = rng.normal(size=(100, 6)) @ rng.normal(size=(6, 8))
        p, _ = maxima(values[0], values[1:], values[1:].std(axis=0), np.zeros(8, bool), level=0.1)
        alarms += bool((p <= 0.1).any())
    assert 22 <= alarms <= 61
