"""What cannot end well does not begin, and one line says how to mend it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from commensal.llm import resume, run, trained
from commensal.llm.checks import check, dry_run
from commensal.llm.config import ExperimentConfig, WebConfig
from commensal.llm.trained import TrainedExperiment, disk_needed
from commensal.llm.workflows import workflow_of
from tests.llm.runs import evolution, interactive, segmented, single
from tests.llm.test_training import model_of, tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 16 tokens' context, with a tokenizer of whole words."""
    path = tmp_path_factory.mktemp("models") / "model"
    model_of("gpt2").save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "rows.jsonl"
    # each another, or all would be held out or none
    questions = [" ".join(f"w{1 + i // 4**j % 4}" for j in range(6)) for i in range(40)]
    lines = [json.dumps({"question": text, "answer": "w2 w3"}) for text in questions]
    path.write_text("\n".join(lines))
    return {
        "kind": "file",
        "name": "rows",
        "path": str(path),
        "prompt": "{question}",
        "completion": "{answer}",
    }


def web(**more: Any) -> WebConfig:
    settings = {
        "workflow": "web",
        "posts": {"kind": "texts", "texts": ["w1 w2", "w3"]},
        "query": "w4",
        "sampling": {"max_new_tokens": 6},
        "generations": 1,
    }
    return WebConfig.model_validate(settings | more)


def pretrained(folder: Path, rows: dict[str, Any], **more: Any) -> ExperimentConfig:
    settings = {
        "model": {"kind": "pretrained", "name": str(folder)},
        "public": rows | {"name": "public"},
        "tasks": [rows],
        "threads": 1,
    }
    return interactive(**(settings | more))


WRONG: dict[str, tuple[Callable[[Path, dict[str, Any]], ExperimentConfig], str]] = {
    "no file": (
        lambda m, r: pretrained(m, r, tasks=[r | {"path": "gone.jsonl"}]),
        "'gone.jsonl' does not exist",
    ),
    "no column": (
        lambda m, r: pretrained(m, r, tasks=[r | {"completion": "{anwser}"}]),
        "line 1: .*anwser",
    ),
    "no test file": (
        lambda m, r: pretrained(m, r, tasks=[r | {"test_path": "gone.jsonl"}]),
        "'gone.jsonl' does not exist",
    ),
    "no model": (
        lambda m, r: pretrained(m, r, model={"kind": "pretrained", "name": "./gone"}),
        "model './gone' cannot be loaded",
    ),
    "no room": (
        lambda m, r: pretrained(m, r, sampling={"max_new_tokens": 15}),
        "max_new_tokens of 15 leaves no room for a prompt in the 16 tokens that model .* can see; "
        "set sampling.max_new_tokens to 14 or less",
    ),
    "far beyond": (
        lambda m, r: pretrained(m, r, sampling={"max_new_tokens": 500}),
        "max_new_tokens of 500 leaves no room .* to 14 or less",
    ),
    "prompts that fill all": (
        lambda m, r: pretrained(m, r, training={"max_tokens": 7}),
        r"no completion of 'public' \(test\) has a token within the first 7 of its text: the "
        "shortest prompt has 7; shorten prompts, or raise training.max_tokens",
    ),
    "the same of one from scratch": (
        lambda m, r: pretrained(
            m, r, model={"kind": "scratch", "context": 8}, sampling={"max_new_tokens": 2}
        ),
        "no completion of 'public' .* within the first 8 of its text",
    ),
    "blocks": (
        lambda m, r: segmented(
            model={"kind": "pretrained", "name": str(m)}, block=8, sampling={"max_new_tokens": 3}
        ),
        "a block of 8 tokens and its continuation need a context of 17, .* can see 16; set block "
        "to 7 or less",
    ),
    "no embedder": (
        lambda m, r: single(measurement={"embedder": "./gone"}),
        "embedder './gone' cannot be loaded: there is no such folder",
    ),
    "no device": (lambda m, r: single(device="tpu9"), "there is no device 'tpu9' here"),
    "no questions": (
        lambda m, r: evolution(
            questions=[{"kind": "file", "name": "q", "path": "gone.jsonl", "prompt": "{q}",
                        "choices": "{c}", "answer": "{a}"}]
        ),
        "'gone.jsonl' does not exist",
    ),
    "no posts": (
        lambda m, r: web(
            models=[{"kind": "local", "name": str(m)}],
            posts={"kind": "file", "path": "gone.txt"},
        ),
        "'gone.txt' does not exist",
    ),
    "no model of a web": (
        lambda m, r: web(models=[{"kind": "local", "name": "./gone"}]),
        "model './gone' cannot be loaded",
    ),
    "a query that is too long": (
        lambda m, r: web(models=[{"kind": "local", "name": str(m)}], query=" ".join(["w4"] * 10)),
        "the query has 11 tokens and an answer up to 6; model .* can see 16; shorten query",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("how", [dry_run, run])
def test_it_does_not_begin(
    what: str, how: Callable, folder: Path, rows: dict, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("commensal.llm.models.loading.train", None)  # nothing is trained before
    make, message = WRONG[what]
    with pytest.raises(ValueError, match=message) as error:
        how(make(folder, rows), Path("out"))
    assert "\n" not in str(error.value)
    assert not Path("out").exists() or what == "the same of one from scratch"


def test_what_can_begin(folder: Path, rows: dict, tmp_path: Path):
    for config in (
        pretrained(folder, rows, sampling={"max_new_tokens": 14}),
        interactive(),
        evolution(),
        segmented(),
        web(models=[{"kind": "local", "name": str(folder)}]),
    ):
        assert dry_run(config, tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


def test_what_would_be_downloaded_is_said(folder: Path, rows: dict, tmp_path: Path):
    config = pretrained(
        folder,
        rows,
        public="bookcorpus",
        measurement={"embedder": "some/encoder"},
        sampling={"max_new_tokens": 4},
    )
    assert dry_run(config, tmp_path / "out") == [
        "dataset 'bookcorpus/bookcorpus'",
        "embedder 'some/encoder'",
    ]


def test_a_tokenizer_that_is_larger_than_its_model(rows: dict, tmp_path: Path):
    words = tokenizer()
    small = GPT2Config(
        vocab_size=18, n_embd=8, n_layer=1, n_head=1, n_positions=32, bos_token_id=1, eos_token_id=2
    )
    GPT2LMHeadModel(small).save_pretrained(tmp_path / "model")
    words.save_pretrained(tmp_path / "model")
    message = r"has tokens up to number 19, the model has 18 tokens; .*resize_token_embeddings"
    for how in (dry_run, run):
        with pytest.raises(ValueError, match=message):
            how(pretrained(tmp_path / "model", rows), tmp_path / "out")
    # marks that no text has do no harm
    words = tokenizer()
    words.add_special_tokens({"pad_token": "[PAD]", "additional_special_tokens": ["<tool>"]})
    assert len(words) == 22
    small.vocab_size = 20
    GPT2LMHeadModel(small).save_pretrained(tmp_path / "padded")
    words.save_pretrained(tmp_path / "padded")
    config = pretrained(tmp_path / "padded", rows, generations=1, alpha=0.5)
    table = run(config, tmp_path / "run", workers=1)
    assert table[table.metric == "loss"].value.notna().all()


def test_the_folder(tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    for path, message in (
        ("file", "'.*file' exists and is not a run; choose another folder"),
        ("full", "'.*full' exists and is not a run; choose another folder"),
        ("file/runs/out", "cannot be made, as '.*file' is a file; choose another folder"),
    ):
        with pytest.raises(ValueError, match=message):
            dry_run(single(), tmp_path / path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match=r"nothing may be written to .*; choose another folder"):
        dry_run(single(), tmp_path / "out")


def test_the_disk(folder: Path, rows: dict, tmp_path: Path, monkeypatch):
    """What is estimated is what a run takes, and more than is free is refused."""
    config = pretrained(folder, rows, generations=2, alpha=[0, 0.5], sampling={"max_new_tokens": 4})
    workflow = workflow_of(config)
    experiment = TrainedExperiment(config)
    experiment.read()
    weights = 4 * sum(p.numel() for p in model_of("gpt2").parameters())
    run(config, tmp_path / "run", workers=1)
    files = list((tmp_path / "run").rglob("*.safetensors"))
    taken = sum(path.stat().st_size for path in files)
    assert len(files) == 3  # of generation 0, and of the last one of two settings
    estimate = disk_needed(config, workflow, weights)
    assert taken <= estimate + 30_000
    assert estimate <= 1.1 * taken
    for keep, models in (("all", 1 + 2 * 2), ("last", 1 + 2), ("none", 1)):
        changed = config.model_copy(update={"keep": keep})
        assert disk_needed(changed, workflow, 10**9) // 10**9 == models
    free = type("Free", (), {"free": estimate - 1})
    monkeypatch.setattr(trained.shutil, "disk_usage", lambda path: free)
    with pytest.raises(ValueError, match=r"the run needs some .* MB in .*, and .* MB are free; ch"):
        check(experiment, config, tmp_path / "new")
    free.free = estimate
    check(experiment, config, tmp_path / "new")


def test_a_finished_run_needs_no_model(rows: dict, tmp_path: Path):
    model_of("gpt2").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    config = pretrained(tmp_path / "model", rows, generations=1, alpha=0.5)
    before = run(config, tmp_path / "run", workers=1)
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    assert resume(tmp_path / "run", workers=1).equals(before)
    with torch.random.fork_rng(), pytest.raises(ValueError, match="cannot be loaded"):
        run(config, tmp_path / "other")
