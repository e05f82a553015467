"""Nothing of what a model's folder says about generating acts on what is drawn from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from commensal.llm.config import SamplingConfig
from commensal.llm.models.blocks import continuations
from commensal.llm.models.pretrained import open_model
from commensal.llm.models.sampling import sample
from tests.llm.test_training import model_of, tokenizer

PROMPTS = ["w1", "w2 w3 w4", "w5 w6", "w7", "w8 w9 w10 w11", "w3"] * 2

# one at a time; of each, values that leave their mark on nearly every text
DEFAULTS: dict[str, Any] = {
    "repetition_penalty": 5.0,
    "encoder_repetition_penalty": 5.0,
    "no_repeat_ngram_size": 1,
    "encoder_no_repeat_ngram_size": 1,
    "bad_words_ids": [[5], [6], [7], [8, 9]],
    "sequence_bias": [[[5], 10.0]],
    "suppress_tokens": list(range(2, 11)),
    "begin_suppress_tokens": list(range(3, 12)),
    "forced_bos_token_id": 7,
    "forced_eos_token_id": 7,
    "min_new_tokens": 6,
    "min_length": 12,
    "max_length": 3,
    "max_time": 1e-9,
    "stop_strings": ["w4"],
    "do_sample": True,
    "temperature": 0.1,
    "top_k": 2,
    "top_p": 0.1,
    "min_p": 0.9,
    "typical_p": 0.1,
    "epsilon_cutoff": 0.3,
    "eta_cutoff": 0.3,
    "exponential_decay_length_penalty": [1, 5.0],
    "guidance_scale": 3.0,
    "num_beams": 4,
    "num_return_sequences": 1,
    "length_penalty": 5.0,
    "early_stopping": True,
    "use_cache": False,
    "cache_implementation": "static",
    "return_dict_in_generate": True,
    "output_scores": True,
    "renormalize_logits": True,
    "remove_invalid_values": True,
    "prompt_lookup_num_tokens": 3,
    "token_healing": True,
    "watermarking_config": {"greenlist_ratio": 0.2, "bias": 9.0},
    "eos_token_id": [2, 5, 6, 7],
    "pad_token_id": 9,
    "bos_token_id": 9,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model"
    model = model_of("gpt2", dropout=0.1)
    with torch.no_grad():  # far from uniform
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    model.save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def loaded(folder: Path, settings: dict[str, Any], where: str = "generation_config.json"):
    path = folder / where
    known = path.read_bytes()
    try:
        path.write_text(json.dumps(json.loads(known) | settings))
        return open_model(str(folder)).eval()
    finally:
        path.write_bytes(known)


def completions(model, **settings: Any) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(5)
    found = sample(model, tokenizer(), PROMPTS, SamplingConfig(max_new_tokens=6, **settings), rng)
    return [completion.tokens for completion in found]


@pytest.fixture(scope="module")
def clean(folder: Path):
    return loaded(folder, {})


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_settings_alone_say_how_texts_are_drawn(folder: Path, clean, name: str):
    model = loaded(folder, {name: DEFAULTS[name]})
    assert getattr(model.generation_config, name) not in (None, getattr(clean, name, "other"))
    before = model.generation_config.to_dict()
    assert completions(model) == completions(clean)
    assert completions(model, top_p=0.8, temperature=1.3, top_k=9) == completions(
        clean, top_p=0.8, temperature=1.3, top_k=9
    )
    assert model.generation_config.to_dict() == before


def test_all_of_them_at_once(folder: Path, clean):
    some = ("repetition_penalty", "suppress_tokens", "num_beams", "min_new_tokens", "eos_token_id")
    model = loaded(folder, {name: DEFAULTS[name] for name in some})
    assert completions(model) == completions(clean)


@pytest.mark.parametrize("name", ["repetition_penalty", "num_beams", "min_length", "top_k"])
def test_nor_does_an_old_config_say_it(folder: Path, clean, name: str):
    """Models from before ``generation_config.json`` have such settings in ``config.json``."""
    (folder / "generation_config.json").rename(folder / "aside.json")
    try:
        model = loaded(folder, {name: DEFAULTS[name]}, "config.json")
    finally:
        (folder / "aside.json").rename(folder / "generation_config.json")
    assert completions(model) == completions(clean)


@pytest.mark.parametrize("name", ["repetition_penalty", "num_beams", "eos_token_id", "max_time"])
@pytest.mark.parametrize("beams", [None, 3])
def test_blocks_go_on_alike(folder: Path, clean, name: str, beams: int | None):
    model = loaded(folder, {name: DEFAULTS[name]})
    blocks = np.random.default_rng(0).integers(3, 20, (6, 5))
    options: dict[str, Any] = {"beams": beams, "padding": 0}
    found = [
        continuations(m, blocks, (1,), SamplingConfig(), rng=np.random.default_rng(1), **options)
        for m in (model, clean)
    ]
    assert (found[0] == found[1]).all()


def test_the_law_is_the_softmax_of_the_model(folder: Path):
    """The second token drawn, against a loop over the model's own probabilities.

    4,000 texts, chi-square at 1e-4: one sound run in 10,000 would fail.
    """
    strange = ("repetition_penalty", "no_repeat_ngram_size", "top_k", "begin_suppress_tokens")
    model = loaded(folder, {name: DEFAULTS[name] for name in strange})
    found = sample(
        model,
        tokenizer(),
        ["w2 w3 w4"] * 4000,
        SamplingConfig(max_new_tokens=2, batch_size=4000),
        np.random.default_rng(3),
    )
    counts = np.bincount(
        [c.tokens[1] if len(c.tokens) == 2 else 2 for c in found if c.tokens], minlength=20
    )
    prompt = [1, *tokenizer()("w2 w3 w4")["input_ids"]]
    with torch.inference_mode():
        first = model(torch.tensor([prompt])).logits[0, -1].double().softmax(-1)
        expected = torch.zeros(20, dtype=torch.double)
        for token in range(20):
            if token != 2:
                after = model(torch.tensor([[*prompt, token]])).logits[0, -1].double().softmax(-1)
                expected += first[token] * after
    wanted = expected.numpy() / float(expected.sum()) * counts.sum()
    assert wanted.min() > 5
    assert chisquare(counts, wanted).pvalue > 1e-4
