"""Continuous batching writes the texts of batches, and leaves the model as it was."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GenerationConfig,
    MistralConfig,
    PreTrainedModel,
)
from transformers.generation.continuous_batching import ContinuousBatchingManager

from commensal import llm
from commensal.llm.config import LoraConfig, SamplingConfig
from commensal.llm.models import continuous
from commensal.llm.models.pretrained import add_adapters
from commensal.llm.models.sampling import Completion, check_engine, sample
from commensal.llm.session import OutOfMemory, memory
from tests.llm.runs import files_of, segmented, single
from tests.llm.test_training import model_of, tokenizer

WORDS = tokenizer()
PROMPTS = ["w1", "w2 w3 w4", "w5 w6", "w7", "w8 w9 w10 w11", "w3"] * 3
KINDS = ("llama", "gpt2", "opt", "mistral")  # the last one sees four tokens, as a window


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def far_from_uniform(kind: str) -> PreTrainedModel:
    if kind == "mistral":
        torch.manual_seed(0)
        size: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
        heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2}
        model = AutoModelForCausalLM.from_config(
            MistralConfig(vocab_size=20, sliding_window=4, **size, **heads)
        )
    else:
        model = model_of(kind)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
    return model.eval()


@pytest.fixture(scope="module")
def models() -> dict[str, PreTrainedModel]:
    return {kind: far_from_uniform(kind) for kind in KINDS}


def written(model: PreTrainedModel, **settings: Any) -> list[Completion]:
    """Return texts of at most 8 tokens, by default by continuous batching in 3 places."""
    given = {"max_new_tokens": 8, "batch_size": 3, "engine": "continuous"} | settings
    sampling = SamplingConfig.model_validate(given)
    return sample(model, WORDS, PROMPTS, sampling, np.random.default_rng(5))


def in_batches(model: PreTrainedModel, **settings: Any) -> list[Completion]:
    return written(model, engine="batches", batch_size=18, **settings)


def tokens(texts: list[Completion]) -> list[tuple[int, ...]]:
    return [text.tokens for text in texts]


@contextmanager
def before_each_step(model: PreTrainedModel, call: Callable[[dict[str, Any]], None]):
    hook = model.register_forward_pre_hook(lambda _, __, given: call(given), with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def failing(error: Exception) -> Callable[[dict[str, Any]], None]:
    """Return a call that fails in the third step."""
    steps = iter(range(2))

    def fail(_: dict[str, Any]) -> None:
        if next(steps, None) is None:
            raise error

    return fail


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"temperature": 1.4, "top_k": 9, "top_p": 0.8}])
def test_the_texts_are_those_of_batches(models, kind: str, settings: dict[str, Any]):
    # a number within rounding of a boundary could fall on its other side; none of these does
    whole, other = in_batches(models[kind], **settings), written(models[kind], **settings)
    assert whole == other
    assert tokens(whole) == tokens(other)
    assert len(set(whole)) > 8


def test_a_text_that_ends_makes_room_for_another(models):
    steps: list[list[int]] = []  # of each the tokens that each of its texts reads

    def record(given: dict[str, Any]) -> None:
        steps.append(given["cu_seq_lens_q"].diff().tolist())

    with before_each_step(models["gpt2"], record):
        texts = written(models["gpt2"])
    lengths = [len(text.tokens) for text in texts]
    assert len(set(lengths)) > 3
    assert {len(step) for step in steps} <= {1, 2, 3}
    # some prompts are read while texts that have begun go on
    assert any(step[0] == 1 and max(step) > 1 for step in steps)
    assert len(steps) < sum(min(8, 1 + max(lengths[at : at + 3])) for at in range(0, 18, 3))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_likeliest_tokens_are_those_of_transformers(models, kind: str):
    """Greedy texts against ``generate`` without any sampler of ours, one prompt at a time."""
    plain = GenerationConfig(do_sample=False, max_new_tokens=8, pad_token_id=0, eos_token_id=2)
    model: Any = models[kind]
    for prompt, text in zip(PROMPTS, written(model, top_k=1), strict=True):
        ids = torch.tensor([[1, *WORDS(prompt)["input_ids"]]])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=plain)
        drawn = out[0, ids.shape[1] :].tolist()
        assert list(text.tokens) == (drawn[:-1] if drawn[-1] == 2 else drawn)


def test_neither_order_nor_number_matters(models):
    prompts = [(1, *WORDS(prompt)["input_ids"]) for prompt in PROMPTS]
    uniforms = torch.from_numpy(np.random.default_rng(1).random((18, 6)))
    settings = SamplingConfig(max_new_tokens=6, batch_size=4)

    def of(rows: list[int]) -> list[list[int]]:
        given = [prompts[i] for i in rows]
        return continuous.written_continuously(
            models["llama"], given, uniforms[rows], settings, ends=[2], padding=0
        )

    whole = of(list(range(18)))
    mixed = np.random.default_rng(2).permutation(18).tolist()
    assert of(mixed) == [whole[i] for i in mixed]
    assert of([7]) == whole[7:8]


def test_a_small_cache_changes_no_text(models, monkeypatch: pytest.MonkeyPatch):
    """Prompts that are read in parts, and texts that are put off and begun anew."""
    sizes, longest, put_off = continuous._sizes, [], []

    def smaller(*given: Any) -> Any:
        found = sizes(*given)
        found.num_blocks, found.max_batch_tokens = 4, 3
        return found

    prepare = continuous.DrawsByRequest.prepare_tensor_args

    def recorded(self: Any, requests: Any) -> torch.Tensor:
        put_off.extend(len(r.state.initial_tokens) for r in requests)
        return prepare(self, requests)

    monkeypatch.setattr(continuous, "_PAGE", 4)
    monkeypatch.setattr(continuous, "_sizes", smaller)
    monkeypatch.setattr(continuous.DrawsByRequest, "prepare_tensor_args", recorded)
    with before_each_step(
        models["gpt2"], lambda given: longest.append(int(given["cu_seq_lens_q"].diff().max()))
    ):
        texts = written(models["gpt2"])
    assert max(longest) <= 3 < 5 < max(put_off)  # tokens; a prompt has 5 at most
    assert tokens(texts) == tokens(in_batches(models["gpt2"]))


def test_adapters_write_too():
    model = far_from_uniform("llama")
    before = written(model)
    add_adapters(model, LoraConfig(rank=2, scale=8), seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(0))
    assert written(model.eval()) == in_batches(model) != before


def test_half_precision_writes_nearly_the_same(models):
    """Weights in bfloat16 round differently in each engine: some texts differ, as by batches."""
    one, other = (engine(models["llama"], precision="bfloat16") for engine in (written, in_batches))
    assert np.mean([a == b for a, b in zip(one, other, strict=True)]) > 0.7
    assert models["llama"].dtype == torch.float32


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_model_is_left_as_it_was(models, attention: str):
    model = deepcopy(models["llama"])
    model.set_attn_implementation(attention)
    model.generation_config = GenerationConfig(repetition_penalty=5.0, eos_token_id=[2, 5, 6])
    before, frozen, state = model.generation_config, gc.get_freeze_count(), torch.get_rng_state()

    def the_same() -> bool:
        return (
            model.config._attn_implementation == attention
            and model.generation_config is before
            and not model.training
            and gc.get_freeze_count() == frozen
            and torch.equal(torch.get_rng_state(), state)
        )

    whole = in_batches(model)
    assert written(model) == whole
    assert the_same()
    with before_each_step(model, failing(ValueError())), pytest.raises(ValueError, match="stopped"):
        written(model)
    assert the_same()
    assert in_batches(model) == whole


def test_an_error_in_the_thread_is_one_line(models, capfd: pytest.CaptureFixture[str]):
    error = RuntimeError("shapes do not fit\nat all")
    line = (
        r"batching stopped \(RuntimeError: shapes do not fit\); sampling.engine: batches writes.*$"
    )
    with before_each_step(models["llama"], failing(error)), pytest.raises(ValueError, match=line):
        written(models["llama"])
    assert capfd.readouterr() == ("", "")


def test_too_little_memory(models, tmp_path: Path):
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    with (
        pytest.raises(OutOfMemory, match="the GPU's memory ran out"),
        memory(tmp_path),
        before_each_step(models["llama"], failing(error)),
    ):
        written(models["llama"])


def test_an_interruption_stops_the_engine(models, monkeypatch: pytest.MonkeyPatch):
    stop, managers = ContinuousBatchingManager.stop, []

    def interrupted(self: ContinuousBatchingManager, **how: Any) -> None:
        managers.append(self)
        if not how:
            raise KeyboardInterrupt
        stop(self, **how)

    monkeypatch.setattr(ContinuousBatchingManager, "stop", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(models["llama"])
    assert not managers[0].is_running()


def test_texts_that_are_missing(models, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ContinuousBatchingManager, "get_result", lambda _: None)
    with pytest.raises(ValueError, match="texts are missing"):
        written(models["llama"])


def test_what_cannot_be_batched_continuously():
    shape = BloomConfig(vocab_size=20, hidden_size=8, n_layer=1, n_head=2)
    model, settings = AutoModelForCausalLM.from_config(shape), SamplingConfig(engine="continuous")
    with pytest.raises(
        ValueError, match=r"cannot batch a model of type 'bloom'.*engine to batches"
    ):
        check_engine(model, settings)
    check_engine(model, SamplingConfig())


def test_another_version_of_transformers(models, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ContinuousBatchingManager, "add_request", None)
    with pytest.raises(ValueError, match=r"transformers 5\.17 and 5\.23.*engine to batches$"):
        written(models["llama"])
    monkeypatch.delitem(sys.modules, continuous.__name__)
    monkeypatch.setitem(sys.modules, "transformers.generation.continuous_batching", None)
    with pytest.raises(ValueError, match=r"transformers 5\.17 and 5\.23.*engine to batches$"):
        check_engine(models["llama"], SamplingConfig(engine="continuous"))


def test_settings_that_exclude_it():
    with pytest.raises(ValidationError, match="has a cache of its own: leave cache out"):
        SamplingConfig(engine="continuous", cache="static")
    with pytest.raises(ValidationError, match="of one length, none of which ends early: leave"):
        segmented(sampling={"engine": "continuous", "max_new_tokens": 9})
    assert "engine" not in SamplingConfig().model_dump()


def test_a_run_has_the_same_numbers_and_texts(tmp_path: Path):
    runs = []
    for engine in ("batches", "continuous"):
        sampling = {"max_new_tokens": 9, "count": 12, "engine": engine, "batch_size": 5}
        runs.append(tmp_path / engine)
        llm.run(single(generations=1, sampling=sampling), runs[-1], workers=1)
    assert files_of(runs[0]) == files_of(runs[1])
