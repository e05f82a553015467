"""Tests of language models leave nothing behind, and never ask a network."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that has learnt nothing; its words are random, and that will do."""
    import torch
    from transformers import AutoModelForCausalLM

    from commensal.llm.config import ScratchModel
    from commensal.llm.models.loading import architecture
    from commensal.llm.models.tokens import word_tokenizer

    words = word_tokenizer(["alpha", "beta", "gamma", "delta", "-", "say"])
    torch.manual_seed(0)
    config = architecture(ScratchModel(context=128, tokenizer="words"), words)
    path = tmp_path_factory.mktemp("served") / "model"
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    words.save_pretrained(path)
    return path


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
