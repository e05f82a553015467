"""Prepare what a run's generations share: made and written once, then opened by every process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from commensal.llm.config import TrainedConfig
from commensal.llm.corpora import Corpus, CorpusSettings, chat_of, load_all
from commensal.llm.models.loading import base_model, load_folder, tokenizer_for
from commensal.llm.models.pretrained import loaded
from commensal.llm.records.directory import RunDirectory
from commensal.llm.resources import RunResources
from commensal.llm.seeds import seed_of
from commensal.llm.session import device_of, quiet
from commensal.saving import staged


def open_resources(path: Path, config: TrainedConfig) -> RunResources:
    """Open the resources of a run's generations from its folder.

    Raises
    ------
    RunDirectoryError
        If the texts are no longer what they were.
    ValueError
        If the tokenizer or the base model is damaged.
    """
    device = device_of(config)
    public, *tasks = corpora_of(config)
    RunDirectory(path).check_corpora(described([public, *tasks]))
    with quiet():
        if config.model.pretrained:
            tokenizer = tokenizer_for(config, [public, *tasks])
            base = base_model(config, tokenizer, public, device)
        else:
            tokenizer = loaded(AutoTokenizer.from_pretrained, str(path / "tokenizer"))
            base = load_folder(path / "base", device)
    base.eval()
    return RunResources(config, public, tasks, tokenizer, base)


def corpora_of(
    config: TrainedConfig, corpora: Sequence[CorpusSettings] | None = None
) -> list[Corpus]:
    """Read a run's corpora, the public one first, or only those asked for.

    Chat messages are written as the model's own template has it.

    Raises
    ------
    ValueError
        If data cannot be read, or the chat template refuses messages.
    """
    chosen = (config.public, *config.tasks) if corpora is None else corpora
    chat = None
    if config.model.pretrained and any(corpus.chat for corpus in chosen):
        chat = chat_of(tokenizer_for(config, ()))
    return load_all(chosen, seed_of(config.seed, "corpora"), chat)


def prepare(
    directory: RunDirectory,
    config: TrainedConfig,
    public: Corpus,
    tasks: Sequence[Corpus],
    device: torch.device,
    report: Callable[[str, float | int], None],
) -> None:
    """Write the tokenizer and the base model to disk, once."""
    if config.model.pretrained or (directory.path / "base").exists():
        report("base", 1)
        return
    tokenizer = tokenizer_for(config, [public, *tasks])
    base = base_model(
        config, tokenizer, public, device, lambda step, steps: report("base", step / steps)
    )
    report("base", 1)
    if not (directory.path / "tokenizer").exists():
        with staged(directory.path / "tokenizer") as folder:
            tokenizer.save_pretrained(folder)
    with staged(directory.path / "base") as folder:
        base.save_pretrained(folder)


def described(corpora: Sequence[Corpus]) -> dict[str, dict[str, Any]]:
    """Return hash and sizes of each corpus by name, to notice when its texts change."""
    found = {}
    for corpus in corpora:
        text = json.dumps([list(corpus.train), list(corpus.test)], ensure_ascii=False)
        content = hashlib.sha256(text.encode()).hexdigest()[:16]
        sizes = {"train": len(corpus.train), "test": len(corpus.test)}
        found[corpus.name] = {"hash": content, **sizes}
        if corpus.notes:
            found[corpus.name]["notes"] = list(corpus.notes)
    return found
