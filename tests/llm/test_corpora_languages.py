"""Made-up languages: frequencies, successors, differences, and the texts drawn from them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from commensal.llm.corpora import CorpusConfig, MarkovCorpus, load, load_all

SETTINGS = [
    {},
    {"zipf": 0.0},
    {"own": 0.25},
    {"own": 1.0, "languages": 3, "successors": 5},
    {"vocabulary": 40, "order": 2, "successors": 4},
    {"vocabulary": 40, "order": 2, "successors": 4, "own": 0.3},
    {"vocabulary": 4, "successors": 2},
    {"vocabulary": 4, "successors": 2, "order": 2},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_frequencies_are_zipfs(settings: dict) -> None:
    config = MarkovCorpus(language=1, **settings)
    law = config.law()
    zipf = np.arange(1, law.used.sum() + 1) ** -config.zipf
    floor = config.smoothing / config.vocabulary
    expected = (1 - config.smoothing) * zipf / zipf.sum() + floor
    # of order 2 the balance is found to a few millionths where successors are very few
    found = np.sort(law.frequencies[law.used])[::-1]
    assert np.allclose(found, expected, rtol=0, atol=1e-9 if config.order == 1 else 1e-5)
    assert np.allclose(law.frequencies[~law.used], floor, rtol=1e-9)


@pytest.mark.parametrize("settings", SETTINGS)
def test_few_words_follow_a_context_and_all_can(settings: dict) -> None:
    config = MarkovCorpus(language=1, **settings)
    law = config.law()
    rows = law.transition.reshape(-1, config.vocabulary)
    assert rows.min() >= config.smoothing / config.vocabulary * (1 - 1e-12)
    rest = 1 - np.sort(rows, axis=1)[:, -config.successors :].sum(1)
    texts = law.sample(np.random.default_rng(0), 2000, config.order)
    contexts = texts @ config.vocabulary ** np.arange(config.order)[::-1]
    # at 4 words Zipf's law leaves hardly a choice of two successors each
    assert rest[contexts].mean() < (0.15 if config.vocabulary == 4 else 0.06)


def test_a_pair_of_order_2_occurs_as_in_order_1() -> None:
    # averaged over the word before last, what follows a word is the base language
    law = MarkovCorpus(vocabulary=20, order=2, successors=3).law()
    drawn = law.sample(np.random.default_rng(0), 20_000, 4)
    early, late = (
        np.histogram2d(drawn[:, i], drawn[:, i + 1], bins=np.arange(21) - 0.5)[0] / len(drawn)
        for i in (0, 2)
    )
    error = np.sqrt((early + late) / len(drawn))
    assert (np.abs(early - late) <= 4.5 * error + 1e-12).all()


def test_defaults_can_be_learnt_and_differ() -> None:
    laws = [MarkovCorpus(language=i).law() for i in range(4)]
    for i, p in enumerate(laws):
        assert 1.4 < p.entropy_rate < 2.1
        assert 3.5 < p.entropy(0, 1) < 4.2
        assert p.words == laws[0].words
        for j, q in enumerate(laws):
            if i != j:
                assert p.kl_rate(q) > 3


def test_bigram_counts_of_the_training_texts_come_close_to_the_floor() -> None:
    # what 2,000 examples tell suffices: a model of counts, smoothed by frequencies
    corpus = load(MarkovCorpus(), seed=0)
    law = corpus.source
    assert law is not None
    train, test = (
        np.array([law.encode(e.prompt + e.completion) for e in part])
        for part in (corpus.train, corpus.test)
    )
    counts = np.zeros((96, 96))
    np.add.at(counts, (train[:, :-1], train[:, 1:]), 1)
    model = counts + 5 * law.frequencies
    model /= model.sum(1, keepdims=True)
    loss = -np.log(model[test[:, 3:-1], test[:, 4:]]).mean()
    surprise = -np.log(np.take_along_axis(law.next_word(test), test[..., None], -1))[:, 4:].mean()
    assert 0 < loss - surprise < 0.1
    assert surprise == pytest.approx(law.entropy(4, 24), abs=0.1)


def test_own_words_are_apart() -> None:
    laws = [MarkovCorpus(language=i, own=0.25).law() for i in range(4)]
    own = [law.used & ~laws[(i + 1) % 4].used for i, law in enumerate(laws)]
    common = np.logical_and.reduce([law.used for law in laws])
    assert sum(own).max() == 1  # pyright: ignore[reportAttributeAccessIssue]
    for law, its_own in zip(laws, own, strict=True):
        assert (law.used == (common | its_own)).all()
        assert its_own.sum() / law.used.sum() == pytest.approx(0.25, abs=0.03)
    apart = [MarkovCorpus(language=i, own=1.0, languages=3).law().used for i in range(3)]
    assert (np.sum(apart, axis=0) == 1).all()
    assert MarkovCorpus(own=0.0, language=7).law().used.all()


def test_one_law_whatever_the_name_and_the_seed() -> None:
    a, b = MarkovCorpus(name="a", train=3, test=2), MarkovCorpus(name="b", train=3, test=2)
    assert a.law() is b.law()
    first, other, again = load(a, seed=0), load(b, seed=0), load(a, seed=0)
    assert first.train == again.train
    assert first.test == again.test
    assert first.source is other.source
    assert first.train != other.train
    assert first.train != load(a, seed=1).train
    assert set(first.train).isdisjoint(first.test)
    assert MarkovCorpus(law_seed=1).law().words != a.law().words
    assert (MarkovCorpus(zipf=0.5).law().transition != a.law().transition).any()


def test_a_replicate_is_another_law_over_the_same_words() -> None:
    configs = [MarkovCorpus(language=i, train=3, test=2) for i in (0, 1)]
    first = load_all(configs, seed=0)
    assert [config.of_replicate(0) for config in configs] == configs
    for replicate in (1, 2):
        found = load_all([config.of_replicate(replicate) for config in configs], seed=0)
        for config, old, new in zip(configs, first, found, strict=True):
            assert old.source is not None
            assert new.source is not None
            assert new.name == old.name
            assert new.source.words == old.source.words
            assert new.source is config.of_replicate(replicate).law()
            assert old.source.kl_rate(new.source) > 0.3
            assert new.source.entropy_rate == pytest.approx(old.source.entropy_rate, abs=0.3)
            assert set(new.train).isdisjoint(old.train)
    one, two = (configs[1].of_replicate(r).law() for r in (1, 2))
    assert one.kl_rate(two) > 0.3
    # a seed of words is a setting too, and goes on being it
    words = MarkovCorpus(law_seed=3, word_seed=0)
    assert words.law().words == configs[0].law().words
    assert (words.law().transition != MarkovCorpus(law_seed=0).law().transition).any()
    assert words.of_replicate(1).law().words == configs[0].law().words


def test_examples_do_not_depend_on_how_many_are_drawn() -> None:
    few, many = (load(MarkovCorpus(train=n, test=n), seed=3) for n in (4, 9))
    assert few.train == many.train[:4]
    assert few.test == many.test[:4]


def test_texts_are_words_with_spaces_between() -> None:
    config = MarkovCorpus(prompt_words=3, completion_words=5, train=20, test=10, order=2)
    corpus = load(config.model_copy(update={"vocabulary": 30}), seed=0)
    assert corpus.name == "markov0"
    assert len(corpus.train) == 20
    assert len(corpus.test) == 10
    law = corpus.source
    assert law is not None
    for prompt, completion in (*corpus.train, *corpus.test):
        assert completion.startswith(" ")
        assert len(prompt.split()) == 3
        assert len(completion.split()) == 5
        assert law.decode(law.encode(prompt + completion)) == prompt + completion
    assert "train" not in repr(corpus)


def test_words_can_be_pronounced_and_are_the_same_on_every_machine() -> None:
    words = MarkovCorpus().law().words
    assert len(set(words)) == 96
    assert words[:4] == ("rasa", "jiru", "vuti", "sagu")
    assert all(w[0] not in "aeiou" and w[1] in "aeiou" and w[3] in "aeiou" for w in words)


def test_a_configuration_is_read_and_written() -> None:
    adapter = TypeAdapter(CorpusConfig)
    config = adapter.validate_python({"kind": "markov", "language": 2})
    assert config == MarkovCorpus(language=2)
    assert config.name == "markov2"
    assert adapter.validate_python(config.model_dump()) == config
    with pytest.raises(ValidationError, match="'kind'"):
        adapter.validate_python({"language": 2})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"langauge": 1}, "langauge"),
        ({"language": -1}, "language"),
        ({"language": "x"}, "language"),
        ({"name": ""}, "name"),
        ({"vocabulary": 1}, "vocabulary"),
        ({"vocabulary": 4000}, "at most 2048 of order 1, got 4000"),
        ({"vocabulary": 500, "order": 2}, "at most 192 of order 2, got 500"),
        ({"order": 3}, "order"),
        ({"successors": 0}, "successors"),
        ({"successors": 97}, "at most the 96 words that a language uses, got 97"),
        ({"own": 1.0, "successors": 25}, "at most the 24 words"),
        ({"own": 1.5}, "own"),
        ({"own": 0.5, "language": 4}, "below languages = 4 where own > 0, got 4"),
        ({"own": 1.0, "vocabulary": 4, "successors": 1}, "of 1 words is too small"),
        (
            {"own": 0.25, "vocabulary": 4, "successors": 1},
            "of 4 is too small for own = 0.25 with 4",
        ),
        ({"smoothing": 0.0}, "smoothing"),
        ({"zipf": -1.0}, "zipf"),
        ({"zipf": float("nan")}, "zipf"),
        ({"prompt_words": 0}, "prompt_words"),
        ({"completion_words": 0}, "completion_words"),
        ({"train": 0}, "train"),
        ({"test": 0}, "test"),
        ({"law_seed": -1}, "law_seed"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MarkovCorpus.model_validate(settings)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        load(MarkovCorpus(), seed=-1)


def test_torch_is_not_imported() -> None:
    program = (
        "import sys; from commensal.llm.corpora import MarkovCorpus, load; "
        "load(MarkovCorpus(train=1, test=1), 0); "
        "assert not {'torch', 'transformers', 'datasets', 'jax'} & set(sys.modules) - known"
    )
    # commensal.llm itself may import what it likes; only what the package adds counts
    program = f"import sys, commensal.llm; known = set(sys.modules); {program}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
