"""Completions follow the model's distribution, and do not depend on how they are batched."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import LogitsProcessorList, TopKLogitsWarper, TopPLogitsWarper

from commensal.llm.config import SamplingConfig
from commensal.llm.models.draws import InverseTransform
from commensal.llm.models.sampling import sample
from tests.llm.test_training import model_of, tokenizer

PROMPTS = ["w1", "w2 w3 w4", "w5 w6", "w7", "w8 w9 w10 w11", "w3"] * 4


def completions(model, **settings) -> list[str]:
    rng = np.random.default_rng(5)
    return sample(model, tokenizer(), PROMPTS, SamplingConfig(max_new_tokens=6, **settings), rng)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt"])
def test_batches_do_not_matter(kind: str):
    model = model_of(kind).eval()
    whole = completions(model, batch_size=24)
    assert completions(model, batch_size=24) == whole
    # a number within rounding of a boundary could fall on its other side; none of these does
    assert completions(model, batch_size=1) == whole
    assert completions(model, batch_size=5) == whole
    assert len(set(whole)) > 10


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt"])
def test_padding_on_the_left_is_not_seen(kind: str):
    """Greedy completions against the model's own argmax, one prompt at a time."""
    model, words = model_of(kind).eval(), tokenizer()
    found = completions(model, top_k=1, batch_size=24)
    for prompt, completion in zip(PROMPTS, found, strict=True):
        ids = [1, *words(prompt)["input_ids"]]
        for _ in range(6):
            with torch.inference_mode():
                following = int(model(torch.tensor([ids])).logits[0, -1].argmax())
            if following == 2:
                break
            ids.append(following)
        assert (
            completion.split()
            == words.decode(ids, skip_special_tokens=True).split()[len(prompt.split()) :]
        )


@pytest.mark.parametrize("limit", ["none", "top_k", "top_p"])
def test_tokens_have_the_probabilities_that_they_should(limit: str):
    """20,000 draws, chi-square at 1e-4: one sound run in 10,000 would fail."""
    torch.manual_seed(1)
    scores = 2 * torch.randn(1, 30)
    filters = {"none": [], "top_k": [TopKLogitsWarper(5)], "top_p": [TopPLogitsWarper(0.7)]}
    scores = LogitsProcessorList(filters[limit])(torch.zeros(1, 1).long(), scores)
    uniforms = torch.from_numpy(np.random.default_rng(0).random((20_000, 1)))
    chosen = InverseTransform(uniforms)(torch.zeros(1, 1), scores.expand(20_000, -1)).argmax(-1)
    counts = np.bincount(chosen.numpy(), minlength=30)
    expected = 20_000 * scores[0].double().softmax(-1).numpy()
    assert counts[expected == 0].sum() == 0
    often = expected > 5
    rest = [counts[~often].sum()], [expected[~often].sum()]
    observed, wanted = np.append(counts[often], rest[0]), np.append(expected[often], rest[1])
    if wanted[-1] < 1e-9:
        observed, wanted = observed[:-1], wanted[:-1]
    assert chisquare(observed, wanted).pvalue > 1e-4


def test_numbers_at_the_ends_choose_possible_tokens():
    scores = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]])
    low = InverseTransform(torch.zeros(1, 1, dtype=torch.float64))(torch.zeros(1, 1), scores)
    last = torch.full((1, 1), np.nextafter(1.0, 0.0), dtype=torch.float64)
    high = InverseTransform(last)(torch.zeros(1, 1), scores)
    assert (int(low.argmax()), int(high.argmax())) == (1, 3)


def test_a_completion_continues_its_prompt():
    """What is drawn is prompt + completion, with the space between them in the completion."""
    found = completions(model_of("llama").eval())
    assert all(c == "" or c.startswith(" ") for c in found)


def test_no_prompts():
    assert sample(
        model_of("llama"), tokenizer(), [], SamplingConfig(), np.random.default_rng(0)
    ) == []  # fmt: skip


def test_prompts_that_are_too_long_lose_their_beginning():
    long = [" ".join(["w4"] * 40 + ["w1"])]
    short = [" ".join(["w4"] * 8 + ["w1"])]
    model, settings = model_of("llama").eval(), SamplingConfig(max_new_tokens=6)
    found = [
        sample(model, tokenizer(), prompts, settings, np.random.default_rng(0))
        for prompts in (long, short)
    ]
    assert found[0] == found[1]
