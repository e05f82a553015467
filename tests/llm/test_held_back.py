"""Texts that generation 0 never sees: each once, in the same order, and an error where too few."""

from __future__ import annotations

import numpy as np
import pytest

from commensal.llm.corpora import Corpus, Example, held_back

CORPUS = Corpus("plays", tuple(Example(f"{i}", f" {i}") for i in range(50)), (Example("", "x"),))


def test_every_text_is_on_one_side_and_keeps_its_order():
    found = held_back(CORPUS, 20, np.random.default_rng(0))
    assert len(found.fresh) == len(set(found.fresh)) == 20
    assert set(found.seen).isdisjoint(found.fresh)
    assert sorted({*found.seen, *found.fresh}) == sorted(CORPUS.train)
    assert list(found.seen) == [text for text in CORPUS.train if text not in found.fresh]


def test_the_first_fresh_texts_do_not_depend_on_how_many_there_are():
    few, many = (held_back(CORPUS, n, np.random.default_rng(1)).fresh for n in (5, 49))
    assert few == many[:5]
    assert few != held_back(CORPUS, 5, np.random.default_rng(2)).fresh


def test_nothing_held_back_draws_nothing():
    rng = np.random.default_rng(3)
    assert held_back(CORPUS, 0, rng) == (CORPUS.train, ())
    assert rng.random() == np.random.default_rng(3).random()


def test_too_few_texts():
    message = (
        "corpus 'plays' has 50 training texts; 50 of them are to be held back as fresh ones, each "
        "used once, and generation 0 needs others: raise train"
    )
    with pytest.raises(ValueError, match=message) as caught:
        held_back(CORPUS, 50, np.random.default_rng(0), "raise train")
    assert "\n" not in str(caught.value)
