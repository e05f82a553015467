"""Time, memory and disk that a run takes, from a short probe of its model on this machine."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from commensal.llm.config import ScratchModel, TrainedConfig
from commensal.llm.corpora import Corpus, Example
from commensal.llm.devices import Machines, devices_of, gpus, shared_out
from commensal.llm.measures.scoring import score
from commensal.llm.models.loading import architecture, base_of, unread
from commensal.llm.models.pretrained import trainable
from commensal.llm.models.sampling import sample
from commensal.llm.models.tokens import Encoded, encode, marks_of
from commensal.llm.models.training import train
from commensal.llm.opening import corpora_of
from commensal.llm.session import device_of, quiet, threads, with_threads
from commensal.llm.trained import disk_needed, side_by_side
from commensal.llm.workflows import Workflow, workflow_of

__all__ = ["RunEstimate", "estimate"]

_STEPS = 2  # of the probe, after one that warms up


class RunEstimate(NamedTuple):
    """What a run takes on this machine; nothing of it has been run."""

    stages: pd.DataFrame
    """Columns stage, tokens (of the whole run), rate (tokens per second of one process) and seconds
    (of one process), for "train", "generate" and "score"."""
    seconds: float
    """Wall-clock seconds, with as many grid points side by side as the run would have."""
    memory: float
    """Bytes of one process, of the GPU where it computes on one."""
    disk: int
    """Bytes that the run leaves on disk."""
    parameters: int
    """Parameters of one model."""
    trained: int
    """Parameters of one model that training changes."""
    workers: int
    """Grid points side by side."""


def estimate(config: TrainedConfig, workers: int | None = None) -> RunEstimate:
    """Estimate what a run takes, from a few steps with its model's shape and its first texts.

    Weights are random, so that nothing large is fetched. Counted are the tokens that the run's
    models learn, write and are scored on, as if all they write were as long as human texts;
    embeddings, questions and the filtering of texts are not counted.

    Parameters
    ----------
    config : TrainedConfig
    workers : int, optional
        Grid points side by side; by default as many as the run would have.

    Returns
    -------
    RunEstimate

    Raises
    ------
    ValueError
        If texts, tokenizer or the model's shape cannot be read.
    """
    config = with_threads(config)
    with quiet(), threads(config.threads or 1):
        return _estimated(config, workers)


def _estimated(config: TrainedConfig, workers: int | None) -> RunEstimate:
    device, workflow = device_of(config), workflow_of(config)
    corpora = corpora_of(config)
    tokenizer, context = base_of(config).tokenizer(corpora)
    shape = base_of(config).shape()
    if isinstance(config.model, ScratchModel):
        shape = architecture(config.model, tokenizer)
    model = unread(config, shape, device).eval()
    context = min(config.training.max_tokens or context, context)
    public, *tasks = corpora[: 1 + len(config.tasks)]
    seen = encode(tokenizer, [e for c in (*tasks, public) for e in c.train[:64]], context)
    tests = [
        encode(tokenizer, c.test[: config.measurement.test], context) for c in (*tasks, public)
    ]
    tokens = _tokens(config, workflow, seen, tests)
    before = _peak(device)
    rates = {
        "train": _rate(lambda: _train(config, model, seen, tokenizer)),
        "generate": _rate(lambda: _write(config, model, tasks, tokenizer)),
        "score": _rate(lambda: _score(config, model, tests[0], tokenizer)),
    }
    own = 4 * sum(p.numel() for p in model.parameters())
    changed = 4 * sum(p.numel() for p in trainable(model).values())
    most = max(map(workflow.models, config.grid()))
    # gradients and AdamW's two moments at least, if the process had once been as large before
    memory = own + most * changed + max(_peak(device) - before, 3 * changed)
    seconds = {stage: tokens[stage] / rate for stage, rate in rates.items()}
    stages = pd.DataFrame(
        [
            {"stage": stage, "tokens": tokens[stage], "rate": rate, "seconds": seconds[stage]}
            for stage, rate in rates.items()
        ]
    )
    points = len(config.grid())
    machines = Machines(workers, devices_of(None, config.device, gpus()))
    count = min(len(shared_out(machines, side_by_side(config, device, points))), points)
    return RunEstimate(
        stages=stages,
        seconds=sum(seconds.values()) / count,
        memory=memory,
        disk=disk_needed(config, workflow, changed),
        parameters=own // 4,
        trained=changed // 4,
        workers=count,
    )


def _tokens(
    config: TrainedConfig,
    workflow: Workflow,
    seen: Sequence[Encoded],
    tests: Sequence[Sequence[Encoded]],
) -> dict[str, float]:
    """Count the tokens that all models of the run learn, write and are scored on."""
    text = sum(len(e.tokens) for e in seen) / len(seen)
    example, completion = config.lengths(text)
    tested = sum(len(e.tokens) for examples in tests for e in examples)
    looked_at = len(tests) * config.measurement.prompts * config.sampling.max_new_tokens
    points = config.grid()
    total: dict[str, float] = {"train": 0.0, "generate": 0.0, "score": 0.0}
    starts = {point.start: point for point in points}
    work = [(point, 0) for point in starts.values()]
    work += [(point, t) for point in points for t in range(1, config.generations + 1)]
    for point, t in work:
        models = workflow.models(point)
        total["train"] += models * config.learnt_in(point, t) * example
        total["score"] += models * tested
        total["generate"] += models * looked_at
        if workflow.reads_web(point) and t < config.generations:
            total["generate"] += models * config.written_by(point) * completion
    if isinstance(config.model, ScratchModel):
        bases = len({config.resources_of(point) for point in points})
        total["train"] += bases * config.model.pretraining.examples * text
    return total


def _rate(stage: Callable[[], tuple[int, float]]) -> float:
    tokens, seconds = stage()
    return tokens / max(seconds, 1e-9)


def _timed(work: Callable[[], Any], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _train(
    config: TrainedConfig, model: PreTrainedModel, seen: Sequence[Encoded], tokenizer: Any
) -> tuple[int, float]:
    plan = config.training.model_copy(update={"steps": 1})

    def work(steps: int) -> None:
        train(
            model,
            seen,
            plan.model_copy(update={"steps": steps}),
            loss_on=plan.loss_on,
            precision=plan.precision,
            seed=0,
            padding=marks_of(tokenizer).padding,
        )

    work(1)
    seconds = _timed(lambda: work(_STEPS), model.device)
    each = sum(len(e.tokens) for e in seen) / len(seen)
    return round(_STEPS * plan.examples * each), seconds


def _write(
    config: TrainedConfig, model: PreTrainedModel, tasks: Sequence[Corpus], tokenizer: Any
) -> tuple[int, float]:
    count = min(config.sampling.batch_size, max(map(config.written_by, config.grid())))
    texts: list[Example] = [e for task in tasks for e in task.train]
    prompts = [texts[i % len(texts)].prompt for i in range(count)]

    def work(some: Sequence[str]) -> None:
        sample(model, tokenizer, some, config.sampling, np.random.default_rng(0))

    if model.device.type == "cuda":
        work(prompts)  # what is compiled is compiled once
    # random weights seldom end a text, so that all tokens are written
    return count * config.sampling.max_new_tokens, _timed(lambda: work(prompts), model.device)


def _score(
    config: TrainedConfig, model: PreTrainedModel, examples: Sequence[Encoded], tokenizer: Any
) -> tuple[int, float]:
    some = examples[: config.measurement.batch_size]

    def work() -> None:
        score(
            model,
            some,
            padding=marks_of(tokenizer).padding,
            batch_size=config.measurement.batch_size,
            precision=config.training.precision,
            rare=np.zeros(max(len(tokenizer), model.config.get_text_config().vocab_size), bool),
            logits_memory=config.measurement.logits_memory,
        )

    return sum(len(e.tokens) for e in some), _timed(work, model.device)


def _peak(device: torch.device) -> float:
    """Return the most memory that was in use so far, in bytes."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
