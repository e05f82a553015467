"""The training loop against steps written out, and all models at once against one by one."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from commensal.llm.config import OptimisationConfig, ScratchModel
from commensal.llm.models.loading import architecture
from commensal.llm.models.tokens import Encoded
from commensal.llm.models.training import in_batches, train
from commensal.llm.models.training_vmapped import train_together

ARCHITECTURES = ("llama", "gpt2", "opt")
OPTIONS = {"precision": "float32", "padding": 0}


def tokenizer() -> PreTrainedTokenizerFast:
    words = ["<pad>", "<s>", "</s>", *(f"w{i}" for i in range(17))]
    model = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    model.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def model_of(kind: str, seed: int = 0, **more: Any):
    torch.manual_seed(seed)
    settings = ScratchModel.model_validate({"architecture": kind, "context": 16, **more})
    return AutoModelForCausalLM.from_config(architecture(settings, tokenizer()))


def examples(count: int, seed: int = 0) -> list[Encoded]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 14, count)
    return [Encoded((1, *rng.integers(3, 20, n).tolist(), 2), 3) for n in lengths]


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("loss_on", ["text", "completion"])
def test_steps_written_out(kind: str, loss_on: str):
    """One example after the other, without padding, AdamW by its formulas."""
    plan = OptimisationConfig(
        steps=4,
        batch_size=3,
        accumulation=2,
        learning_rate=0.01,
        warmup_ratio=0.5,
        clip=0.5,
        weight_decay=0.1,
    )
    model = model_of(kind).double()
    expected = copy.deepcopy(model)
    texts = examples(10)
    losses = train(model, texts, plan, loss_on=loss_on, seed=3, **OPTIONS)

    parameters = list(expected.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    for step, batches in enumerate(in_batches(texts, plan, 3), start=1):
        total, counted = torch.zeros((), dtype=torch.float64), 0
        for example in (e for batch in batches for e in batch):
            ids = torch.tensor([example.tokens])
            logs = expected(input_ids=ids).logits[0].log_softmax(-1)
            begin = 1 if loss_on == "text" else example.prompt
            for at in range(begin, len(example.tokens)):
                total = total - logs[at - 1, example.tokens[at]]
                counted += 1
        mean = total / counted
        # the loop's loss passes through float32
        assert losses[step - 1] == pytest.approx(mean.item(), rel=1e-6)
        gradients = torch.autograd.grad(mean, parameters)
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        rate = 0.01 * min(1.0, (step - 1) / 2)
        with torch.no_grad():
            for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                g = g * min(1.0, 0.5 / float(norm))
                m.mul_(0.9).add_(0.1 * g)
                v.mul_(0.999).add_(0.001 * g**2)
                p.mul_(1 - rate * 0.1)
                p.sub_(rate * m / (1 - 0.9**step) / ((v / (1 - 0.999**step)).sqrt() + 1e-8))
    # float32 losses leave gradients with some 1e-7; Adam magnifies it where a gradient is ~ 0
    off = (weights(model) - weights(expected)).abs()
    moved = (weights(expected) - weights(model_of(kind).double())).abs()
    assert off.mean() < 1e-3 * moved.mean()


def test_how_a_batch_is_split_does_not_matter():
    texts = examples(12)
    found = []
    for size, accumulation in ((6, 1), (2, 3)):
        model = model_of("llama")
        plan = OptimisationConfig(steps=3, batch_size=size, accumulation=accumulation)
        found.append(train(model, texts, plan, loss_on="text", seed=0, **OPTIONS))
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_training_is_repeated_exactly():
    runs = []
    for _ in range(2):
        model = model_of("gpt2")
        train(model, examples(8), OptimisationConfig(steps=3), loss_on="text", seed=1, **OPTIONS)
        runs.append(weights(model))
    assert torch.equal(*runs)


def test_every_example_is_seen_before_one_is_seen_again():
    seen = [
        e.tokens
        for batches in in_batches(examples(10), OptimisationConfig(steps=5, batch_size=2), 0)
        for batch in batches
        for e in batch
    ]
    assert len(set(seen)) == len(seen) == 10


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_all_models_at_once_are_each_by_itself(kind: str):
    plan = OptimisationConfig(steps=5, batch_size=4, accumulation=2, learning_rate=1e-3, clip=0.7)
    data = [examples(9, seed) for seed in range(3)]
    alone = [model_of(kind, seed) for seed in range(3)]
    together = copy.deepcopy(alone)
    losses = [
        train(m, e, plan, loss_on="completion", seed=s, **OPTIONS)
        for s, (m, e) in enumerate(zip(alone, data, strict=True))
    ]
    found = train_together(together, data, plan, loss_on="completion", seeds=range(3), **OPTIONS)
    np.testing.assert_allclose(found, losses, rtol=2e-5)
    for a, b in zip(together, alone, strict=True):
        assert (weights(a) - weights(b)).abs().mean() < 1e-5


def test_dropout_is_not_trained_together():
    models = [model_of("gpt2", dropout=0.1) for _ in range(2)]
    with pytest.raises(ValueError, match="without dropout"):
        train_together(
            models,
            [examples(4)] * 2,
            OptimisationConfig(steps=1),
            loss_on="text",
            seeds=(0, 1),
            **OPTIONS,
        )
