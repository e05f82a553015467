"""What presets say of the papers, against the numbers that the papers print."""

from __future__ import annotations

import re

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from commensal.llm.config import (
    EvolutionConfig,
    InteractiveConfig,
    ScratchModel,
    SegmentedConfig,
    WebConfig,
)
from commensal.llm.models.loading import architecture, context_of
from commensal.llm.presets import description, preset_names, read_config
from tests.llm.test_training import tokenizer

PAPERS = [name for name in preset_names() if "paper" in name]


def millions(model: ScratchModel, monkeypatch: pytest.MonkeyPatch, vocabulary: int):
    words = tokenizer()
    monkeypatch.setattr(type(words), "__len__", lambda _: vocabulary)
    with torch.device("meta"):
        made = AutoModelForCausalLM.from_config(architecture(model, words))
    embeddings = made.get_input_embeddings().weight.numel()
    whole = sum(p.numel() for p in made.parameters())
    return made, whole / 1e6, (whole - embeddings) / 1e6


@pytest.mark.parametrize("name", PAPERS)
def test_what_a_paper_does_not_have_is_said(name: str):
    assert re.search(r"\bNot (said|in it|as in)\b", description(name))


def test_table_1_of_pollination(monkeypatch: pytest.MonkeyPatch):
    config = read_config("evolution-paper")
    assert isinstance(config, EvolutionConfig)
    assert isinstance(config.model, ScratchModel)
    assert config.model.vocabulary == 32_000
    model, whole, inside = millions(config.model, monkeypatch, 32_000)
    said = re.search(
        r"make (\d+) million parameters \((\d+) without", description("evolution-paper")
    )
    assert said is not None
    assert (round(whole), round(inside)) == tuple(map(int, said.groups())) == (138, 113)
    # with two matrices in a feed-forward layer, as GPT-2's
    two = config.model.model_copy(update={"architecture": "gpt2"})
    assert round(millions(two, monkeypatch, 32_000)[1]) == 110
    found = model.config
    assert (found.num_hidden_layers, found.hidden_size, found.num_attention_heads) == (12, 768, 12)
    assert (found.intermediate_size, found.head_dim, context_of(model)) == (3072, 64, 1024)
    first, later = config.first_training, config.training
    assert (first.learning_rate, later.learning_rate) == (1e-3, 2e-4)
    assert first.batch_size * first.accumulation == 128
    assert later.batch_size * later.accumulation == 64
    # 1,000 steps of the paper's billion tokens, in texts of 1,024
    assert first.warmup_ratio == pytest.approx(1000 / (1e9 / 1024 / 128), abs=0.005)
    assert later.warmup_ratio == pytest.approx(1000 / (1e9 / 1024 / 64), abs=0.005)
    for training in (first, later):
        assert (training.weight_decay, training.second_moment, training.clip) == (0.01, 0.95, 1)
        assert training.schedule == "cosine"
    assert config.model.dropout == 0
    assert (config.mutation, config.sampling.top_p, config.sampling.temperature) == (0.01, 0.9, 0.7)
    assert (config.generations + 1, config.least_tokens, config.measurement.prompts) == (5, 10, 32)
    shots = {asked.name: asked.shots for asked in config.questions}
    assert shots == {"mmlu": 5, "winogrande": 5, "mathqa": 0, "siqa": 0}


def test_interactive_of_two_and_three():
    """Sec. 6, Table 4b and Table 9 ("2 (8 for T=8 experiments)")."""
    two, three = read_config("paper"), read_config("paper-3")
    assert isinstance(two, InteractiveConfig)
    assert isinstance(three, InteractiveConfig)
    assert [task.name for task in two.tasks] == ["sciq", "gsm8k"]
    assert [task.name for task in three.tasks] == ["sciq", "gsm8k", "arc"]
    assert (two.alpha, two.beta, two.generations) == ((0, 0.5, 1), (0, 0.5, 1), 15)
    assert (three.alpha, three.beta, three.generations) == ((0, 0.5, 1), (0.5,), 8)
    assert (two.training.batch_size, three.training.batch_size) == (2, 8)
    assert two.training.model_copy(update={"batch_size": 8}) == three.training
    for config in (two, three):
        plan = config.training
        assert (plan.steps, plan.accumulation, plan.learning_rate) == (100, 2, 8e-6)
        assert (plan.warmup_ratio, plan.max_tokens, plan.examples_drawn) == (0.025, 512, 12_500)
        assert plan.schedule == "constant"
        assert config.measurement.prompts == 200
        assert config.model == two.model
        assert config.public == two.public


def test_the_commands_in_the_comments_are_possible():
    for name in PAPERS:
        changes = re.findall(r"--set (\S+=[^\s:]+?)\.?(?=\s|$)", description(name))
        assert read_config(name, changes)
    assert len(re.findall("--set", description("paper-3"))) == 3


def test_diversity_and_webdynamics():
    config = read_config("segmented-paper")
    assert isinstance(config, SegmentedConfig)
    assert (config.models, config.block, config.blocks) == ((1, 2, 4, 16), 128, 7500)
    assert (config.validation, config.epochs, config.beams) == (1900, 5, 5)
    assert (config.generations + 1, config.training.learning_rate) == (10, 1e-5)
    web = read_config("web-paper")
    assert isinstance(web, WebConfig)
    assert (web.responses, web.read_share, web.generations, len(web.models)) == (40, (0.5,), 60, 3)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt"])
def test_a_size_in_numbers(kind: str, monkeypatch: pytest.MonkeyPatch):
    numbers = {"architecture": kind, "width": 96, "layers": 2, "heads": 6, "inner": 80}
    model = ScratchModel.model_validate(numbers)
    made, whole, _ = millions(model, monkeypatch, 300)
    w, n = 96, 80
    attention, norms = 4 * w * w, 2 * w
    inner = {"llama": 3 * w * n, "gpt2": 2 * w * n + n + w, "opt": 2 * w * n + n + w}[kind]
    if kind != "llama":  # biases
        attention, norms = attention + 4 * w, 2 * norms
    places = {"llama": 0, "gpt2": 128 * w, "opt": (128 + 2) * w}[kind]
    last = w if kind == "llama" else 2 * w
    expected = 2 * (attention + inner + norms) + 300 * w + places + last
    assert round(1e6 * whole) == expected
    assert made.config.num_attention_heads == 6


def test_named_sizes_are_what_they_were():
    assert ScratchModel(size="tiny").shape == (64, 3, 4, 176)
    assert ScratchModel(size="small").shape == (128, 5, 4, 352)
    assert ScratchModel(size="medium").shape == (512, 8, 8, 1376)
    assert ScratchModel(size="small", architecture="opt").shape == (128, 5, 4, 512)
    # and so are the hashes and identities of runs that have them
    assert set(ScratchModel().model_dump()) == {
        "kind", "architecture", "size", "context", "tokenizer", "vocabulary", "dropout",
        "pretraining",
    }  # fmt: skip
    numbers = ScratchModel.model_validate({"width": 768, "layers": 12, "heads": 12})
    assert numbers.shape == (768, 12, 12, 2048)
    assert numbers.size is None
    assert ScratchModel.model_validate(numbers.model_dump(mode="json")) == numbers


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"width": 64, "size": "tiny"}, "set size to null instead of tiny, or leave out width"),
        ({"width": 64}, "needs width, layers and heads"),
        ({"size": None}, "needs width, layers and heads"),
        ({"inner": 64}, "needs width, layers and heads"),
        ({"width": 64, "layers": 2, "heads": 5}, "multiple of heads, got 64 and 5"),
        ({"width": 60, "layers": 2, "heads": 4}, "must be even.*got 60 / 4"),
    ],
)
def test_numbers_that_make_no_model(numbers: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        ScratchModel.model_validate(numbers)
