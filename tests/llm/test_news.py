"""Measures of the article: a discriminator of texts, and divergence between generations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from commensal.llm.corpora import MarkovCorpus, load
from commensal.llm.measures.discriminator import told_apart
from commensal.llm.measures.scoring import step_divergence
from commensal.llm.models.tokens import Encoded
from tests.llm.test_training import model_of


def test_texts_of_one_law_are_told_apart_by_chance_alone():
    """Forty comparisons of 60 texts each; their mean within 4 standard errors of one half."""
    law = MarkovCorpus().law()
    drawn = law.sample(np.random.default_rng(0), 4800, 20).reshape(40, 2, 60, 20)
    areas = []
    for sides in drawn:
        one, other = ([law.decode(text) for text in side] for side in sides)
        areas.append(told_apart(one, other))
    assert abs(np.mean(areas) - 0.5) < 4 * np.std(areas, ddof=1) / math.sqrt(len(areas))
    # the spread that Mann and Whitney's statistic has by chance
    assert 0.5 < np.std(areas, ddof=1) / math.sqrt(121 / (12 * 60 * 60)) < 1.7


def test_texts_of_two_laws_are_told_apart():
    one, other = (load(MarkovCorpus(language=i, train=60, test=1), 0).train for i in (0, 1))
    texts = [[e.completion for e in side] for side in (one, other)]
    assert told_apart(*texts) > 0.95
    assert told_apart(texts[0], texts[1]) == pytest.approx(told_apart(texts[1], texts[0]))


def test_order_of_words_tells_too():
    rng = np.random.default_rng(1)
    texts = [" ".join(f"{w} {w}" for w in rng.choice(list("abcdefgh"), 10)) for _ in range(60)]
    shuffled = [" ".join(rng.permutation(text.split())) for text in texts]
    assert told_apart(texts, shuffled) > 0.9


def test_equal_texts_and_too_few():
    texts = ["a b c", "b c", "c a", "a a", "b"]
    assert told_apart(texts, texts) == 0.5
    assert told_apart(["", ""], ["", ""]) == 0.5
    assert math.isnan(told_apart(["a"], ["b"]))


@pytest.mark.parametrize("batch_size", [1, 8])
def test_divergence_of_a_step_by_hand(batch_size: int):
    before, after = model_of("llama").eval(), model_of("llama").eval()
    rng = np.random.default_rng(2)
    with torch.no_grad():
        for parameter in after.parameters():
            parameter += 0.05 * torch.from_numpy(rng.standard_normal(parameter.shape)).float()
    rows = [rng.integers(3, 20, 6 + i).tolist() for i in range(4)]
    examples = [Encoded(tuple(row), 3) for row in rows]
    expected = []
    for row in rows:
        with torch.inference_mode():
            p, q = (m(torch.tensor([row])).logits[0].log_softmax(-1) for m in (before, after))
        expected += [float((p[i].exp() * (p[i] - q[i])).sum()) for i in range(2, len(row) - 1)]
    options = {"padding": 0, "batch_size": batch_size, "precision": "float32"}
    found = step_divergence(before, after, examples, **options)
    assert found == pytest.approx(np.mean(expected), rel=1e-4)
    assert found > 1e-3
    assert step_divergence(before, before, examples, **options) == 0
