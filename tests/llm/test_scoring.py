"""Losses and distances against loops over single texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from commensal.llm.config import ScratchModel
from commensal.llm.corpora import MarkovCorpus, load
from commensal.llm.measures.scoring import law_of, rare_tokens, score
from commensal.llm.models.loading import architecture
from commensal.llm.models.tokens import Encoded, encode, train_tokenizer
from tests.llm.runs import language
from tests.llm.test_training import examples, model_of


def scored(model, texts, rare, **more):
    return score(
        model, texts, padding=0, batch_size=3, precision="float32", rare=rare, **more
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt"])
def test_losses_of_single_texts(kind: str):
    model = model_of(kind).eval()
    texts = examples(10)
    rare = np.zeros(20, dtype=bool)
    rare[[5, 7, 11]] = True
    losses, rares = [], []
    for example in texts:
        with torch.inference_mode():
            logs = model(torch.tensor([example.tokens])).logits[0].log_softmax(-1)
        for at in range(example.prompt, len(example.tokens)):
            token = example.tokens[at]
            losses.append(-float(logs[at - 1, token]))
            if rare[token]:
                rares.append(losses[-1])
    found = scored(model, texts, rare)
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-5)
    assert found.rare_loss == pytest.approx(np.mean(rares), rel=1e-5)
    assert np.isnan(found.kl)


def test_without_rare_tokens_there_is_no_rare_loss():
    assert np.isnan(scored(model_of("llama"), examples(4), np.zeros(20, dtype=bool)).rare_loss)


def test_rare_tokens_are_the_last_of_the_list():
    texts = [Encoded((1, 3, 3, 3, 3, 3, 4, 4, 5, 6), 1)]
    assert np.flatnonzero(rare_tokens(texts, 8, 0.25)).tolist() == [5, 6]
    assert np.flatnonzero(rare_tokens(texts, 8, 0.2)).tolist() == [5]
    assert not rare_tokens(texts, 8, 0.05).any()


def test_distance_from_the_law_word_by_word():
    corpus = load(MarkovCorpus.model_validate(language(1)), 0)
    tokenizer = train_tokenizer([corpus], "words", 0)
    torch.manual_seed(0)
    settings = ScratchModel(context=24)
    model = AutoModelForCausalLM.from_config(architecture(settings, tokenizer)).eval()
    law = law_of(corpus, tokenizer)
    assert law is not None
    texts = encode(tokenizer, corpus.test, 24)
    found = scored(model, texts, np.zeros(len(tokenizer), dtype=bool), law=law)

    kls, tails, entropies = [], [], []
    source = corpus.source
    for example in corpus.test:
        words = source.encode(example.prompt + example.completion)
        prompt = len(example.prompt.split())
        of_law = source.next_word(words[None])[0]
        for at in range(prompt, len(words)):
            before = " ".join(source.words[w] for w in words[:at])
            ids = [tokenizer.bos_token_id, *tokenizer(before)["input_ids"]]
            with torch.inference_mode():
                p = model(torch.tensor([ids])).logits[0, -1].double().softmax(-1).numpy()
            q = np.array([p[tokenizer.convert_tokens_to_ids(w)] for w in source.words])
            kls.append(sum(a * np.log(a / b) for a, b in zip(of_law[at], q, strict=True) if a))
            tails.append(q[source.tail()].sum())
            entropies.append(-sum(a * np.log(a) for a in of_law[at] if a))
    assert found.kl == pytest.approx(np.mean(kls), rel=1e-5)
    assert found.tail == pytest.approx(np.mean(tails), rel=1e-5)
    assert law.floor == pytest.approx(np.mean(entropies), rel=1e-12)
    # the mean over test texts is near the law's own entropy (some 80 words: five errors)
    assert law.floor == pytest.approx(
        source.entropy(prompt, len(words)), abs=5 * np.std(entropies) / len(entropies) ** 0.5
    )


def test_texts_of_no_known_law():
    corpus = load(MarkovCorpus.model_validate(language(1)), 0)
    bpe = train_tokenizer([corpus], "bpe", 300)
    assert law_of(corpus, bpe) is None
