"""What makes large models fit: parts of batches, adapters, caches, weights let go, estimates."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from commensal import llm
from commensal.llm.config import LoraConfig, OptimisationConfig, SamplingConfig, ScratchModel
from commensal.llm.estimate import estimate
from commensal.llm.measures.scoring import score
from commensal.llm.models.loading import architecture
from commensal.llm.models.precision import held
from commensal.llm.models.pretrained import add_adapters, trainable
from commensal.llm.models.sampling import sample
from commensal.llm.models.tokens import Encoded, word_tokenizer
from commensal.llm.models.training import train
from tests.llm.runs import evolution, files_of, interactive, segmented, single

WORDS = word_tokenizer([f"w{i}" for i in range(40)])
SMALL_MEMORY = 16 * 12 * 44 * 3 / 1e9  # of three texts of at most 12 tokens


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    shape = architecture(ScratchModel(context=48, tokenizer="words"), WORDS)
    return AutoModelForCausalLM.from_config(shape).eval()


def texts(count: int = 10) -> list[Encoded]:
    rng = np.random.default_rng(0)
    return [Encoded(tuple(rng.integers(4, 40, size=rng.integers(5, 12))), 2) for _ in range(count)]


def trained(model: PreTrainedModel, **changes: Any) -> tuple[list[float], PreTrainedModel]:
    plan = OptimisationConfig.model_validate({"steps": 4, "batch_size": 5} | changes)
    other = deepcopy(model)
    options = {"loss_on": "text", "precision": "float32", "seed": 1, "padding": 0}
    return train(other, texts(), plan, **options), other


@pytest.mark.parametrize("changes", [{"logits_memory": SMALL_MEMORY}, {"checkpointing": True}])
def test_less_memory_gives_the_same_training(model: PreTrainedModel, changes: dict[str, Any]):
    losses, whole = trained(model)
    found, other = trained(model, **changes)
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    for one, two in zip(whole.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=2e-5)


def test_scores_do_not_depend_on_the_memory(model: PreTrainedModel):
    options = {"padding": 0, "batch_size": 10, "precision": "float32", "rare": np.arange(44) > 30}
    seen: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _, __, given: seen.append(len(given["input_ids"])), with_kwargs=True
    )
    whole = score(model, texts(), **options)
    parts = score(model, texts(), logits_memory=SMALL_MEMORY, **options)
    hook.remove()
    assert seen == [10, 3, 3, 3, 1]
    np.testing.assert_allclose(parts[:2], whole[:2], rtol=1e-6)


def test_a_static_cache_writes_the_same(model: PreTrainedModel):
    prompts = ["w1 w2 w3", "w4", "w5 w6"] * 3
    written = [
        sample(
            model, WORDS, prompts, SamplingConfig(max_new_tokens=8, batch_size=size, cache=cache),
            np.random.default_rng(0),
        )
        for cache, size in (("dynamic", 9), ("static", 9), ("static", 4))
    ]  # fmt: skip
    assert written[0] == written[1] == written[2]


def test_half_the_bytes_for_writing_and_all_of_them_after_it(model: PreTrainedModel):
    before = {name: p.clone() for name, p in model.named_parameters()}
    with held(model, "bfloat16"):
        assert model.dtype == torch.bfloat16
    assert model.dtype == torch.float32
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    # rounded weights give other probabilities: nearly all tokens stay, drawn by the same numbers
    whole, half = (
        sample(
            model, WORDS, ["w1 w2"] * 40, SamplingConfig(max_new_tokens=8, precision=precision),
            np.random.default_rng(0),
        )
        for precision in ("float32", "bfloat16")
    )  # fmt: skip
    same = np.mean([a == b for a, b in zip(whole, half, strict=True)])
    assert same > 0.5


def test_adapters_change_nothing_until_they_learn_and_then_alone(model: PreTrainedModel):
    adapted = deepcopy(model)
    add_adapters(adapted, LoraConfig(rank=2), seed=0)
    tokens = torch.arange(4, 12)[None]
    torch.testing.assert_close(adapted(tokens).logits, model(tokens).logits)
    count = sum(p.numel() for p in trainable(adapted).values())
    assert 0 < count < 0.2 * sum(p.numel() for p in model.parameters())
    _, learnt = trained(adapted)
    before = dict(adapted.named_parameters())
    for name, p in learnt.named_parameters():
        assert torch.equal(p, before[name]) != (name in trainable(adapted)), name


def test_adapters_of_no_module(model: PreTrainedModel):
    with pytest.raises(ValueError, match=r"^model.lora: .*nowhere"):
        add_adapters(deepcopy(model), LoraConfig(targets=("nowhere",)), seed=0)


def test_a_run_with_adapters_keeps_these_alone(tmp_path: Path):
    llm.run(interactive(alpha=[0.5], generations=0), tmp_path / "made")
    # a model with a name gets a thread for each core, and those of a tiny one mostly wait
    named = shutil.copytree(tmp_path / "made" / "base", tmp_path / "named")
    shutil.copytree(tmp_path / "made" / "tokenizer", named, dirs_exist_ok=True)
    config = interactive(alpha=[0.5], model={"name": str(named), "lora": {"rank": 2}}, threads=1)
    run = tmp_path / "run"
    whole = llm.run(config, run)
    last = run / "generations" / "alpha=0.5,beta=0.5" / "0002"
    assert all("lora" in name for name in load_file(last / "model-0.safetensors"))
    losses = whole[whole.metric == "loss"].groupby("generation").value.mean()
    assert losses.nunique() == 3
    # from the generation before, as if the run had been killed then: whose weights are gone
    before = files_of(run, weights=True)
    shutil.rmtree(last)
    pd.testing.assert_frame_equal(llm.resume(run), whole)
    assert files_of(run, weights=True) == before


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ({"keep": "resume"}, {0}),
        ({"keep": "last"}, {0, 3}),
        ({"keep": "all", "keep_every": 2}, {0, 2, 3}),
        ({"keep": "all"}, {0, 1, 2, 3}),
    ],
)
def test_weights_are_kept_thinned_or_dropped(tmp_path: Path, keep: dict[str, Any], left: set[int]):
    llm.run(single(generations=3, memory="replace", **keep), tmp_path / "run")
    found = {int(p.parent.name) for p in (tmp_path / "run" / "generations").rglob("*.safetensors")}
    assert found == left


@pytest.mark.parametrize(
    "config",
    [
        interactive(),
        single(measurement={"prompts": 0}),
        segmented(),
        evolution(arms=[{"population": 2, "selection": "none"}]),
    ],
    ids=["interactive", "single", "segmented", "evolution"],
)
def test_an_estimate_counts_what_a_run_then_does(config: Any, tmp_path: Path):
    found = estimate(config)
    llm.run(config, tmp_path / "run", workers=1)
    done = pd.read_json(tmp_path / "run" / "timings.jsonl", lines=True)
    seen = found.stages.set_index("stage").tokens
    did = done.groupby("stage").tokens.sum()
    base = config.model.pretraining.examples * 13  # is not timed
    # models that have learnt next to nothing end their texts early
    assert did["train"] <= 1.02 * (seen["train"] - base) <= 1.4 * did["train"]
    assert did["generate"] == pytest.approx(seen["generate"], rel=0.02)
    files = [p.stat().st_size for p in (tmp_path / "run").rglob("*.safetensors")]
    assert sum(files) == pytest.approx(found.disk, rel=0.1)
    assert found.seconds > 0
    assert found.memory > 4 * found.parameters
