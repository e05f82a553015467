"""Blocks of tokens: how they are cut, scored and continued."""

from __future__ import annotations

import itertools
from copy import deepcopy

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from commensal.llm.config import SamplingConfig
from commensal.llm.corpora import Corpus, Example, FileCorpus, MarkovCorpus, load
from commensal.llm.models.blocks import as_examples, block_losses, blocks_of, continuations
from commensal.llm.models.loading import architecture
from commensal.llm.models.tokens import marks_of, train_tokenizer
from tests.llm.runs import interactive, language

LANGUAGE = MarkovCorpus.model_validate(language(1))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load(LANGUAGE, 0)


@pytest.fixture(scope="module")
def tokenizer(corpus: Corpus):
    return train_tokenizer([corpus], "words", 300)


@pytest.fixture(scope="module")
def model(tokenizer) -> PreTrainedModel:
    torch.manual_seed(0)
    found = AutoModelForCausalLM.from_config(architecture(interactive().model, tokenizer))
    with torch.no_grad():  # far from uniform, so that the order of tokens matters
        for parameter in found.parameters():
            if parameter.dim() > 1:
                parameter.mul_(12)
    return found.eval()


def test_texts_of_a_language_follow_each_other(corpus, tokenizer):
    blocks = blocks_of(tokenizer, LANGUAGE, corpus.train[:3], 5)
    expected = []
    for example in corpus.train[:3]:
        expected += tokenizer(example.prompt + example.completion)["input_ids"]
    assert len(expected) == 33
    assert blocks.shape == (6, 5)  # the last three tokens are dropped
    assert blocks.ravel().tolist() == expected[:30]


def test_rows_of_a_table_have_their_marks_around_them(corpus, tokenizer):
    table = FileCorpus(path="some.csv", prompt="{a}", completion="{b}")
    blocks = blocks_of(tokenizer, table, corpus.train[:2], 13)
    assert blocks[:, 0].tolist() == [tokenizer.bos_token_id] * 2
    assert blocks[:, -1].tolist() == [tokenizer.eos_token_id] * 2
    # where one token is both marks, one of it lies between two texts
    same = deepcopy(tokenizer)
    same.bos_token = same.eos_token
    blocks = blocks_of(same, table, corpus.train[:2], 12)
    assert (blocks == same.eos_token_id).sum(axis=1).tolist() == [1, 1]
    assert (blocks[:, -1] == same.eos_token_id).all()


def test_running_text_runs_on():
    text = "one two three four five six seven eight nine"
    words = text.split()
    examples = [
        Example(" ".join(words[i : i + 1]), " " + " ".join(words[i + 1 : i + 3])) for i in (0, 3, 6)
    ]
    running = FileCorpus(path="some.txt", prompt_words=1, completion_words=2)
    tokenizer = train_tokenizer([Corpus("some", tuple(examples), tuple(examples))], "bpe", 300)
    blocks = blocks_of(tokenizer, running, examples, 2)
    whole = tokenizer(text)["input_ids"]
    assert blocks.ravel().tolist() == whole[: len(whole) // 2 * 2]


def test_no_text_has_no_blocks(tokenizer):
    assert blocks_of(tokenizer, LANGUAGE, [], 5).shape == (0, 5)


def test_a_blocks_loss_is_the_mean_over_its_tokens_but_the_first(model):
    blocks = np.random.default_rng(0).integers(4, 28, (5, 6))
    found = block_losses(model, blocks, (), batch_size=2, precision="float32")
    with torch.inference_mode():
        log = model(torch.from_numpy(blocks)).logits.double().log_softmax(-1).numpy()
    expected = [
        -np.mean([log[row, at - 1, blocks[row, at]] for at in range(1, 6)]) for row in range(5)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # behind a mark the first token counts too
    with torch.inference_mode():
        log = model(torch.from_numpy(np.insert(blocks, 0, 1, axis=1))).logits.double()
    log = log.log_softmax(-1).numpy()
    expected = [-np.mean([log[row, at, blocks[row, at]] for at in range(6)]) for row in range(5)]
    found = block_losses(model, blocks, (1,), batch_size=2, precision="float32")
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def _log_probability(model: PreTrainedModel, text: list[int], start: int) -> float:
    with torch.inference_mode():
        log = model(torch.tensor([text])).logits.double().log_softmax(-1)[0]
    return sum(float(log[at - 1, text[at]]) for at in range(start, len(text)))


def test_a_beam_as_wide_as_the_vocabulary_finds_the_likeliest(model, tokenizer):
    """Of two tokens: every one of the V² continuations."""
    blocks = np.array([[5, 9], [12, 7]])
    words = len(tokenizer)
    found = continuations(
        model, blocks, (1,), SamplingConfig(), beams=words, padding=0, rng=np.random.default_rng(0)
    )
    for block, written in zip(blocks.tolist(), found.tolist(), strict=True):
        best = max(
            itertools.product(range(words), repeat=2),
            key=lambda pair: _log_probability(model, [1, *block, *pair], 3),
        )
        assert tuple(written) == best


def test_one_beam_is_greedy_and_the_end_of_a_text_is_no_end(model):
    """Also where the likeliest token is the mark of the end."""
    block = np.array([[5, 9, 8, 4]])
    model.generation_config.eos_token_id = None
    free = continuations(
        model, block, (), SamplingConfig(), beams=1, padding=0, rng=np.random.default_rng(0)
    )
    model.generation_config.eos_token_id = int(free[0, 0])
    kept = continuations(
        model, block, (), SamplingConfig(), beams=1, padding=0, rng=np.random.default_rng(0)
    )
    assert kept.tolist() == free.tolist()
    assert model.generation_config.eos_token_id == free[0, 0]  # given back
    text = block[0].tolist()
    for _ in range(4):
        with torch.inference_mode():
            text.append(int(model(torch.tensor([text])).logits[0, -1].argmax()))
    assert free[0].tolist() == text[4:]


@pytest.mark.parametrize("beams", [None, 3])
def test_what_is_written_does_not_depend_on_the_batch(model, beams: int | None):
    blocks = np.random.default_rng(1).integers(4, 28, (7, 6))
    found = [
        continuations(
            model,
            blocks,
            (1,),
            SamplingConfig(batch_size=size, temperature=0.8, top_k=9),
            beams=beams,
            padding=0,
            rng=np.random.default_rng(2),
        )
        for size in (1, 6, 100)
    ]
    assert found[0].shape == blocks.shape
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_sampled_token_is_drawn_from_its_law(model):
    """4,000 draws of one token, within four standard errors."""
    blocks = np.full((4000, 1), 9)
    found = continuations(
        model, blocks, (), SamplingConfig(batch_size=4000), beams=None, padding=0,
        rng=np.random.default_rng(3),
    )  # fmt: skip
    with torch.inference_mode():
        law = model(torch.tensor([[9]])).logits[0, -1].double().softmax(-1).numpy()
    shares = np.bincount(found[:, 0], minlength=len(law)) / 4000
    assert (np.abs(shares - law) <= 4 * np.sqrt(law * (1 - law) / 4000) + 1e-9).all()


def test_blocks_are_trained_on_whole(tokenizer):
    (example,) = as_examples(np.array([[3, 4, 5]]), (1,))
    assert example.tokens == (1, 3, 4, 5)
    assert example.prompt == 0
    assert marks_of(tokenizer).padding not in example.tokens
