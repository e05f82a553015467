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


def open_resources(path: Path, config: TrainedConfig, replicate: int = 0) -> RunResources:
    """Open the resources of a run's generations from its folder.

    Parameters
    ----------
    path : Path
        The run's folder.
    config : TrainedConfig
        Settings of the whole run.
    replicate : int
        Replicate whose texts and base are opened; see ``TrainedConfig.resources_of``.

    Raises
    ------
    RunDirectoryError
        If the texts are no longer what they were.
    ValueError
        If the tokenizer or the base model is damaged.
    """
    device = device_of(config)
    config = config.of_replicate(replicate)
    corpora = corpora_of(config)
    public, *tasks = corpora[: 1 + len(config.tasks)]
    directory = RunDirectory(path)
    directory.check_corpora(described(corpora, replicate))
    with quiet():
        if config.model.pretrained:
            tokenizer = tokenizer_for(config, corpora)
            bases = [base_model(config, tokenizer, public, device)]
        else:
            tokenizer = loaded(AutoTokenizer.from_pretrained, str(directory.tokenizer(replicate)))
            bases = [load_folder(folder, device) for folder in directory.bases(replicate)]
    for base in bases:
        base.eval()
    prompts = corpora[-1] if config.prompts is not None else None
    return RunResources(config, public, tasks, tokenizer, bases, prompts)


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
    chosen = config.read if corpora is None else corpora
    chat = None
    if config.model.pretrained and any(corpus.chat for corpus in chosen):
        chat = chat_of(tokenizer_for(config, ()))
    return load_all(chosen, seed_of(config.seed, "corpora"), chat)


def prepare(
    directory: RunDirectory,
    config: TrainedConfig,
    corpora: Sequence[Corpus],
    device: torch.device,
    report: Callable[[float | int], None],
    *,
    replicate: int = 0,
    bases: int = 1,
) -> None:
    """Write the tokenizer and the base models of one replicate to disk, once.

    Parameters
    ----------
    directory : RunDirectory
    config : TrainedConfig
        Settings of the replicate.
    corpora : sequence of Corpus
        The public one first.
    device : torch.device
    report : callable
        Called with the share that is done.
    replicate : int
    bases : int
        Number of base models, one for each model where these have their own.
    """
    if not config.model.pretrained:
        tokenizer = None
        for at in range(bases):
            folder = directory.base(replicate, at)
            if not folder.exists():
                tokenizer = tokenizer or tokenizer_for(config, corpora)

                def advance(step: float | int, steps: float | int, at: int = at) -> None:
                    report((at + step / steps) / bases)

                base = base_model(config.of_model(at), tokenizer, corpora[0], device, advance)
                if not directory.tokenizer(replicate).exists():
                    with staged(directory.tokenizer(replicate)) as temporary:
                        tokenizer.save_pretrained(temporary)
                with staged(folder) as temporary:
                    base.save_pretrained(temporary)
    report(1)


def described(corpora: Sequence[Corpus], replicate: int = 0) -> dict[str, dict[str, Any]]:
    """Return hash and sizes of each corpus by name, to notice when its texts change."""
    whose = f", replicate {replicate + 1}" if replicate else ""
    found = {}
    for corpus in corpora:
        parts = [(part.name, len(part.train), len(part.test)) for part in corpus.communities]
        whole = [list(corpus.train), list(corpus.test), *([parts] if parts else [])]
        text = json.dumps(whole, ensure_ascii=False)
        content = hashlib.sha256(text.encode()).hexdigest()[:16]
        sizes = {"train": len(corpus.train), "test": len(corpus.test)}
        found[corpus.name + whose] = {"hash": content, **sizes}
        if corpus.notes:
            found[corpus.name + whose]["notes"] = list(corpus.notes)
    return found
