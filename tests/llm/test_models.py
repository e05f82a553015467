"""Models by size and from folders, and the base that all models start from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from commensal.llm import run
from commensal.llm.config import ScratchModel
from commensal.llm.corpora import load
from commensal.llm.models.loading import (
    VOCABULARY,
    architecture,
    base_model,
    context_of,
    tokenizer_for,
)
from tests.llm.runs import interactive
from tests.llm.test_training import model_of, tokenizer

CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt"])
@pytest.mark.parametrize(("size", "millions"), [("tiny", 0.2), ("small", 1.3), ("medium", 30)])
def test_sizes(kind: str, size: str, millions: float, monkeypatch):
    words = tokenizer()
    monkeypatch.setattr(type(words), "__len__", lambda _: VOCABULARY[size])
    config = architecture(ScratchModel.model_validate({"architecture": kind, "size": size}), words)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    count = sum(p.numel() for p in model.parameters()) / 1e6
    assert 0.7 * millions < count < 1.3 * millions
    assert context_of(model) == 128


def test_the_base_is_trained_once(tmp_path: Path, monkeypatch):
    config = interactive()
    public, *tasks = [load(c, 0) for c in (config.public, *config.tasks)]
    words = tokenizer_for(config, [public, *tasks])
    calls = []
    first = base_model(config, words, public, CPU, lambda *done: calls.append(done))
    assert calls[-1] == (5, 5)
    calls.clear()
    again = base_model(config, words, public, CPU, lambda *done: calls.append(done))
    assert not calls
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    other = config.model_copy(update={"seed": 1})
    base_model(other, words, public, CPU, lambda *done: calls.append(done))
    assert calls


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt"])
def test_a_model_from_a_folder_runs(tmp_path: Path, kind: str):
    from commensal.llm.models.tokens import train_tokenizer

    corpus = load(interactive().tasks[0], 0)
    words = train_tokenizer([corpus], "bpe", 300)
    settings = ScratchModel.model_validate({"architecture": kind, "context": 64})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(architecture(settings, words))
    model.save_pretrained(tmp_path / "model")
    words.save_pretrained(tmp_path / "model")
    config = interactive(
        model={"kind": "pretrained", "name": str(tmp_path / "model"), "dropout": 0.0},
        alpha=0.5,
        generations=1,
        threads=1,
    )
    table = run(config, tmp_path / "run", workers=1)
    assert table[table.metric == "loss"].value.notna().all()
    assert (table.metric != "kl").all()  # its tokens are not words


@pytest.mark.parametrize("content", [None, "config.json"])
def test_a_model_that_cannot_be_loaded(tmp_path: Path, content: str | None):
    path = tmp_path / "model"
    if content:
        path.mkdir()
        (path / content).write_text("{}")
    config = interactive(model={"kind": "pretrained", "name": str(path)}, threads=1)
    with pytest.raises(ValueError, match=r"model '.*model' cannot be loaded: .") as error:
        run(config, tmp_path / "run")
    assert "\n" not in str(error.value)


def test_dropout_of_a_loaded_model_can_be_changed(tmp_path: Path):
    model_of("gpt2", dropout=0.1).save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    for share in (None, 0.0, 0.3):
        config = interactive(
            model={"kind": "pretrained", "name": str(tmp_path / "model"), "dropout": share}
        )
        public = load(config.public, 0)
        base = base_model(config, tokenizer(), public, CPU)
        found = {m.p for m in base.modules() if isinstance(m, torch.nn.Dropout)}
        assert found == {0.1 if share is None else share}
