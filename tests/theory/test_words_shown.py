"""What samples of models' texts show of rare words, against the process itself token by token."""

from __future__ import annotations

import numpy as np
import pytest

from commensal.theory.words import exchange_rate, rare_retention

N, WORDS, REPLICATES, LAST = 2_000, 4_000, 60, 5  # tokens; words, all used alike


def simulated(
    memory: str, h: float, copies: float, r: float, rng: np.random.Generator, kept: int = 0
):
    """Share of the words that a sample of r N tokens shows, by replicate and generation."""
    found = np.empty((REPLICATES, LAST + 1))
    human = round(h * N)
    for replicate in range(REPLICATES):
        even = np.full(WORDS + 1, copies / WORDS)
        even[-1] = 1 - copies  # what models prefer: one frequent word, which is not counted
        start = np.append(np.full(WORDS, 1 / WORDS), 0)
        law, corpora = start, [rng.multinomial(N, start) for _ in range(kept)]
        for t in range(LAST + 1):
            found[replicate, t] = (rng.multinomial(round(r * N), law)[:-1] > 0).mean()
            new = rng.multinomial(N - human if t else N, law)
            new = new + (rng.multinomial(human, start) if t else 0)
            corpora.append(new)
            pool = new if memory == "replace" else np.sum(corpora, axis=0)
            if memory == "accumulate_subsample":
                pool = rng.multinomial(N, pool / pool.sum())
            law = copies * pool / pool.sum()
            law[-1] += 1 - copies
    return found


@pytest.mark.parametrize("memory", ["replace", "accumulate", "accumulate_subsample"])
@pytest.mark.parametrize(("h", "copies", "r"), [(0, 1, 1.0), (0.2, 0.9, 0.25), (0, 0.8, 0.1)])
def test_samples_show_what_the_process_leaves(memory: str, h: float, copies: float, r: float):
    rng = np.random.default_rng([7, len(memory), round(10 * r)])
    got = simulated(memory, h, copies, r, rng)
    law = rare_retention(np.arange(LAST + 1), r, h, memory, copies)
    expected = -np.expm1(-r * N / WORDS * np.asarray(law))
    z = (got.mean(axis=0) - expected) / (got.std(axis=0, ddof=1) / np.sqrt(REPLICATES))
    # 54 means with 59 degrees of freedom: beyond 4.5 in one of 700 runs of all; the Poisson limit
    # is off by 1/N, a hundredth of an error
    assert np.abs(z).max() < 4.5
    wrong = -np.expm1(-r * N / WORDS * np.asarray(rare_retention(LAST, r, h + 0.1, memory, copies)))
    assert abs(wrong - expected[-1]) > 4 * got[:, -1].std() / np.sqrt(REPLICATES)


@pytest.mark.parametrize("memory", ["accumulate", "accumulate_subsample"])
def test_human_corpora_are_kept(memory: str) -> None:
    got = simulated(memory, 0.1, 0.8, 0.5, np.random.default_rng(11), kept=2)
    law = rare_retention(np.arange(LAST + 1), 0.5, 0.1, memory, 0.8, 2)
    expected = -np.expm1(-0.5 * N / WORDS * np.asarray(law))
    z = (got.mean(axis=0) - expected) / (got.std(axis=0, ddof=1) / np.sqrt(REPLICATES))
    assert np.abs(z).max() < 4.5  # as above, of 12 means
    without = -np.expm1(-0.5 * N / WORDS * np.asarray(rare_retention(LAST, 0.5, 0.1, memory, 0.8)))
    assert abs(without - expected[-1]) > 10 * got[:, -1].std() / np.sqrt(REPLICATES)


def test_a_sample_of_a_whole_corpus_is_the_next_corpus() -> None:
    # the corpus t + 1 is what model t writes in n tokens: h = 0, m = n
    for memory in ("replace", "accumulate"):
        found = rare_retention(np.arange(6), 1.0, 0.0, memory)
        np.testing.assert_allclose(found, exchange_rate(0.0, np.arange(1, 7), memory), rtol=1e-13)


def test_small_samples_see_no_luck_and_large_ones_see_the_corpus() -> None:
    np.testing.assert_allclose(rare_retention(7, 1e-9, copies=0.9), 0.9**7, rtol=1e-6)
    for memory in ("replace", "accumulate", "accumulate_subsample"):
        np.testing.assert_allclose(rare_retention(7, 1e-9, memory=memory), 1, rtol=1e-6)
    # m → ∞: what the corpus itself holds, in units of n
    corpus = 1e4 * np.asarray(rare_retention(np.arange(1, 6), 1e4, 0.3))
    np.testing.assert_allclose(corpus, exchange_rate(0.3, np.arange(1, 6)), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((-1,), "integers of at least 0"),
        ((1.5,), "integers of at least 0"),
        ((1, 0.0), "sample must be at least"),
        ((1, 1.0, 1.5), "human_share must be from 0 to 1"),
        ((1, 1.0, 0.0, "window"), "memory must be one of replace"),
        ((1, 1.0, 0.0, "replace", -1.0), "copies must be at least 0"),
        ((1, 1.0, 0.0, "replace", 1.0, 1), "for memories that keep"),
        ((1, 1.0, 0.0, "accumulate", 1.0, -1), "kept must be at least 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rare_retention(*arguments)
