"""Tokens and texts."""

from __future__ import annotations

import pytest
import torch

from commensal.llm.corpora import Corpus, Example, MarkovCorpus, load
from commensal.llm.models.tokens import UNCOUNTED, encode, encode_prompts, pad, train_tokenizer
from tests.llm.runs import language

PROSE = Corpus(
    "prose",
    tuple(Example(f"Question {i}: is it so?\nAnswer:", f" it is, {i} times.") for i in range(50)),
    (Example("Question: ünïcode?", " yes — 北京"),),
)


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_texts_come_back(kind: str):
    corpus = load(MarkovCorpus.model_validate(language(1)), 0) if kind == "words" else PROSE
    tokenizer = train_tokenizer([corpus], kind, 400)
    for example, encoded in zip(
        corpus.test, encode(tokenizer, corpus.test, 1000), strict=True
    ):  # fmt: skip
        text = example.prompt + example.completion
        assert tokenizer.decode(encoded.tokens, skip_special_tokens=True) == text
        (prompt,) = encode_prompts(tokenizer, [example.prompt], 1000)
        assert encoded.tokens[: encoded.prompt] == prompt
        assert encoded.tokens[0] == tokenizer.bos_token_id
        assert encoded.tokens[-1] == tokenizer.eos_token_id


def test_one_word_is_one_token():
    corpus = load(MarkovCorpus.model_validate(language(1)), 0)
    tokenizer = train_tokenizer([corpus], "words", 0)
    assert {len(e.tokens) for e in encode(tokenizer, corpus.test, 100)} == {3 + 8 + 2}


def test_what_is_cut_off():
    tokenizer = train_tokenizer([PROSE], "bpe", 400)
    (whole,) = encode(tokenizer, PROSE.train[:1], 1000)
    (cut,) = encode(tokenizer, PROSE.train[:1], 5)
    assert cut.tokens == whole.tokens[:5]
    assert cut.prompt == 5
    (prompt,) = encode_prompts(tokenizer, [PROSE.train[0].prompt], 5)
    assert prompt[1:] == whole.tokens[: whole.prompt][-4:]


def test_targets_are_what_counts():
    tokenizer = train_tokenizer([PROSE], "bpe", 400)
    encoded = encode(tokenizer, PROSE.train[8:12], 1000)
    text, completion = (pad(encoded, 0, on) for on in ("text", "completion"))
    for row, example in enumerate(encoded):
        length = len(example.tokens)
        assert text.targets[row, 1:length].tolist() == list(example.tokens[1:])
        assert completion.targets[row, example.prompt : length].tolist() == list(
            example.tokens[example.prompt :]
        )
        assert (completion.targets[row, : example.prompt] == UNCOUNTED).all()
        assert (text.targets[row, length:] == UNCOUNTED).all()
        assert (text.tokens[row, length:] == 0).all()
    assert torch.equal(text.tokens, completion.tokens)


def test_no_examples():
    tokenizer = train_tokenizer([PROSE], "bpe", 400)
    assert encode(tokenizer, [], 10) == []
