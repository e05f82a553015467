"""How varied texts are, on equal numbers of n-grams."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from commensal.llm.measures.ngrams import amounts, compared, distinct, divergence, ngram_entropy


def entropy(words: tuple[str, ...]) -> float:
    shares = [words.count(word) / len(words) for word in set(words)]
    return -sum(p * math.log(p) for p in shares)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_rarefaction_is_the_mean_over_all_ways_to_choose(size: int):
    texts = ["a b a c", "a b b d"]
    words = " ".join(texts).split()
    ways = list(itertools.combinations(words, size))
    some = np.mean([len(set(way)) / size for way in ways])
    assert distinct(texts, 1, size) == pytest.approx(some, rel=1e-12)
    assert ngram_entropy(texts, 1, size) == pytest.approx(
        np.mean([entropy(way) for way in ways]), rel=1e-12, abs=1e-15
    )


def test_all_of_the_text_is_the_plain_measure():
    texts = ["a b a b", "b a"]
    assert distinct(texts, 2, 4) == distinct(texts, 2) == 0.5
    assert ngram_entropy(texts, 2, 4) == pytest.approx(math.log(2)) == ngram_entropy(texts, 2)
    for measure in (distinct, ngram_entropy):
        assert math.isnan(measure(texts, 2, 5))  # fewer than asked for: no number
        assert math.isnan(measure([], 1))
        assert math.isnan(measure(["a"], 2, 1))


def zipf_texts(words: int, count: int = 64, seed: int = 0) -> list[str]:
    law = 1 / np.arange(1, 201)
    rng = np.random.default_rng([seed, words])
    drawn = rng.choice(200, (count, words), p=law / law.sum())
    return [" ".join(f"w{w}" for w in row) for row in drawn]


def agree(values: list[list[float]]) -> bool:
    """Means of every two are within 4.5 standard errors of their difference."""
    means = [np.mean(v) for v in values]
    errors = [np.var(v, ddof=1) / len(v) for v in values]
    return all(
        abs(means[a] - means[b]) < 4.5 * math.sqrt(errors[a] + errors[b])
        for a, b in itertools.combinations(range(len(values)), 2)
    )


def test_one_law_is_as_varied_in_long_texts_as_in_short_ones():
    """64 texts of 10, 20 or 40 words, all drawn independently from one law."""
    many = [[zipf_texts(words, seed=s) for s in range(30)] for words in (10, 20, 40)]
    human = zipf_texts(50, 200)
    size = compared(many[0][0], 2, texts=64, longest=10)
    assert size == 64 * 9 // 2
    plain = [np.mean([distinct(t, 2) for t in same]) for same in many]
    assert np.diff(plain).max() < -0.05  # what was compared before
    measures = {
        "distinct": lambda texts, n: distinct(texts, 2, n),
        "entropy": lambda texts, n: ngram_entropy(texts, 2, n),
        "divergence": lambda texts, n: divergence(human, texts, n),
    }
    for name, of in measures.items():
        assert not agree([[of(texts, None) for texts in same] for same in many]), name
        equal = [[of(texts, size) for texts in same] for same in many]
        assert agree(equal), name
        assert np.ptp([np.mean(v) for v in equal]) < 0.005 * abs(np.mean(equal)) + 0.02, name


def test_a_less_varied_law_stays_less_varied():
    """Of fewer words, and the longer texts: plain distinct-2 would be lower for either reason."""
    flat = ["a b c d e f g h"] * 8
    poor = ["a b a b"] * 4
    assert distinct(poor, 2, 12) < distinct(flat, 2, 12)


def test_divergence_of_part_of_the_words():
    human, written = ["a a b"], ["a b b b a b"]
    assert divergence(human, written, 6) == pytest.approx(divergence(human, written), rel=1e-12)
    assert math.isnan(divergence(human, written, 7))
    ways = [divergence(human, [" ".join(way)]) for way in itertools.combinations("abbbab", 2)]
    found = divergence(human, written, 2)  # the mean over 32 draws
    assert abs(found - np.mean(ways)) < 4 * np.std(ways) / math.sqrt(32)
    assert found == divergence(human, written, 2)


def test_how_much_is_compared():
    assert compared(["a b c d"], 1, texts=10, longest=3) == 15
    assert compared(["a b c d"], 4, texts=10, longest=3) == 1  # there is none of four words
    assert compared([], 1, 10, 3) == 1


def test_a_report_says_on_how_much():
    assert "equally many" in amounts(["distinct_2", "distinct_2_all"])
    assert "not comparable" in amounts(["distinct_2"])
