"""Experiments whose models are trained: corpora, a base model, and grid points side by side."""

from __future__ import annotations

import functools
import multiprocessing
import multiprocessing.connection
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from transformers import PreTrainedModel

from commensal._ray import RayPool
from commensal.llm.config import GridPoint, TrainedConfig
from commensal.llm.corpora import Corpus
from commensal.llm.devices import DevicePool, Machines, memory_of, shared_out
from commensal.llm.experiment import Progress
from commensal.llm.lane import Lane
from commensal.llm.models.loading import base_of, tokenizer_for, unread
from commensal.llm.models.pretrained import trainable
from commensal.llm.models.sampling import check_engine
from commensal.llm.opening import corpora_of, described
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.records.shards import dealt, take_shared
from commensal.llm.session import device_of, memory, quiet, threads
from commensal.llm.workflows import Workflow, workflow_of


class TrainedExperiment:
    """Experiment with trained models, as :class:`~commensal.llm.experiment.Experiment` defines one.

    Parameters
    ----------
    config : TrainedConfig
    """

    def __init__(self, config: TrainedConfig) -> None:
        self.config = config
        self._corpora: dict[int, list[Corpus]] = {}  # of each replicate, the public one first
        self._workflow: Workflow | None = None  # opened where all that it reads is here

    def read(self, *, download: bool = True) -> list[str]:
        """Read the corpora, and what the workflow reads beside them."""
        config = self.config
        missed = [] if download else [c.remote for c in config.read if c.remote is not None]
        for replicate in sorted({config.resources_of(point) for point in config.grid()}):
            its = config.of_replicate(replicate)
            here = [c for c in its.read if download or c.remote is None]
            self._corpora[replicate] = corpora_of(its, here)
            if len(here) == len(its.read):
                its.check_corpora(self._corpora[replicate])
        far = [] if download else config.downloads()
        if not far:
            self._workflow = workflow_of(config)
        if not download and not missed + far and not config.model.pretrained:
            with quiet():
                tokenizer_for(config, self._corpora[0])
        return missed + far

    def check(self, out: Path) -> None:
        """Check that the base is available, texts fit into it, and the disk is large enough."""
        base = base_of(self.config)
        base.check(self._corpora[0])
        if self._workflow is not None:
            made = unread(self.config, base.shape(), torch.device("meta"))
            check_engine(made, self.config.sampling)
            weights, learnt = _weights(made)
            _check_memory(self.config, self._workflow, weights, learnt)
            _check_disk(self.config, self._workflow, out, learnt)

    def described(self) -> dict[str, dict[str, Any]]:
        """Return hash and sizes of each corpus."""
        found = {}
        for replicate, corpora in self._corpora.items():
            found |= described(corpora, replicate)
        return found

    def compute(
        self,
        directory: RunDirectory,
        device: torch.device,
        machines: Machines,
        progress: Progress,
    ) -> None:
        """Compute the bases, then generation 0 of each start, then the grid points."""
        config, part = self.config, machines.part
        every = dealt(config)
        points = every if part is None else part.of(every)
        starts: dict[str, GridPoint] = {}
        for point in every if part is not None and part.index == 0 else points:
            starts.setdefault(point.start, point)
        replicates = sorted({config.resources_of(point) for point in starts.values()})
        # the base of a replicate counts as one generation more
        total = len(replicates) + len(starts) + len(points) * config.generations
        done: dict[str, float | int] = {}

        def report(branch: str, generations: float | int) -> None:
            done[branch] = generations
            progress(sum(done.values()), total)

        if part is not None and part.index > 0:
            take_shared(directory, config.model_dump(mode="json"), list(starts))
            missing = not all(directory.branch(name).finished(0) for name in starts)
            if missing and device.type != "cpu" and part.count > 1:
                raise ValueError(
                    "on a GPU two shards would begin from weights that differ in the last digits: "
                    f"compute first what they share, with --shard 0/{part.count} in their place"
                )
        assert self._workflow is not None
        most = max(map(self._workflow.models, every)) if config.own_bases else 1
        stages = [
            [Job("prepare", (replicate, most), f"base {replicate}", 1) for replicate in replicates],
            [Job("run", (point, True), point.start, 1) for point in starts.values()],
            [Job("run", (point, False), point.name, config.generations) for point in points],
        ]
        if machines.ray is not None:
            with RayPool(machines.ray, config.threads or 1, int(config.device != "cpu")) as pool:
                there = functools.partial(pool.submit, _work_there, directory.path, os.getcwd())
                _in_stages(there, stages, report)
            directory.sweep()  # a node that was lost has left files half-written
            return
        devices = shared_out(machines, side_by_side(config, device, len(points)))
        finished = all(directory.branch(p.name).finished(config.generations) for p in points)
        if len(devices) == 1 or (finished and points):  # which are only looked through
            lane = Lane(directory.path, report, self._corpora)
            for job in (job for stage in stages for job in stage):
                getattr(lane, job.method)(*job.args)
        else:
            _side_by_side(directory, devices, stages, report)


class Job(NamedTuple):
    """Call of a method of :class:`Lane`, and what is done once it ends, for the progress."""

    method: str
    args: tuple[Any, ...]
    branch: str
    generations: int


def _in_stages(
    submit: Callable[[str, tuple[Any, ...]], Future[Any]],
    stages: list[list[Job]],
    report: Callable[[str, float | int], None],
) -> None:
    """Have jobs computed side by side, those of a stage once the last one is done."""
    for stage in stages:
        running = {submit(job.method, job.args): job for job in stage}
        for future in as_completed(running):
            future.result()
            report(running[future].branch, running[future].generations)


def _side_by_side(
    directory: RunDirectory,
    devices: Sequence[str | None],
    stages: list[list[Job]],
    report: Callable[[str, float | int], None],
) -> None:
    """Compute jobs in processes of this machine, each on a device."""
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    listener = threading.Thread(target=_listen, args=(queue, report), daemon=True)
    listener.start()
    try:
        with DevicePool(devices, _start_worker, (directory.path, queue)) as pool:
            _in_stages(functools.partial(pool.submit, _work), stages, report)
    except BrokenProcessPool:
        raise ChildProcessError(
            "a process that a grid point ran in was killed, by hand or because memory ran out; "
            "what was finished before is whole. Go on with fewer side by side: "
            f"commensal llm resume {directory.path} --workers 1"
        ) from None
    finally:
        queue.put(None)
        listener.join(timeout=5)


def _listen(queue: Any, report: Callable[[str, float | int], None]) -> None:
    while (message := queue.get()) is not None:
        report(*message)


_lane: Lane | None = None  # of a worker process


def _start_worker(path: Path, queue: Any) -> None:
    global _lane
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # the parent says what has to be said; a worker that is interrupted just stops
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(config_of(path).threads or 1)
    _lane = Lane(path, lambda branch, generations: queue.put((branch, generations)))


def _die_with_parent() -> None:
    """End a worker whose parent was killed, as it would go on for hours."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _work(method: str, args: tuple[Any, ...]) -> None:
    assert _lane is not None
    with memory(_lane.directory.path):
        getattr(_lane, method)(*args)


def _work_there(path: Path, folder: str, method: str, args: tuple[Any, ...]) -> None:
    """Do a job in a process of a cluster, in the folder that relative paths start from."""
    os.chdir(folder)
    transformers.utils.logging.disable_progress_bar()
    with quiet(), memory(path), threads(config_of(path).threads or 1):
        getattr(_lane_there(path), method)(*args)


@functools.lru_cache(maxsize=1)
def _lane_there(path: Path) -> Lane:
    return Lane(path, lambda branch, generations: None)


def side_by_side(config: TrainedConfig, device: torch.device, points: int) -> int:
    """Return the number of grid points that a run computes side by side."""
    if device.type != "cpu":
        return 1
    return max(1, min((os.cpu_count() or 1) // (config.threads or 1), points))


def _weights(made: PreTrainedModel) -> tuple[int, int]:
    """Return the bytes of all weights of a model, and of those that are trained, in 32 bits."""
    whole, learnt = (
        4 * sum(p.numel() for p in of) for of in (made.parameters(), trainable(made).values())
    )
    return whole, learnt


def _check_memory(config: TrainedConfig, workflow: Workflow, weights: int, learnt: int) -> None:
    """Raise an error for models of which not even weights and one optimiser fit on a GPU."""
    there = memory_of(device_of(config))
    models = max(map(workflow.models, config.grid()))
    needed = weights + learnt * (models - 1 + 3)  # what is not trained is there once
    if there is not None and needed > there:
        raise ValueError(
            f"models: {models} of {weights / 4e9:.2g} billion parameters need at least "
            f"{_size(needed)} (weights of all; gradient and two moments of the one in training), "
            f"and the GPU has {_size(there)}; no model is divided over several: choose a smaller "
            "one, or fewer, or adapters (model.lora)"
        )


def _check_disk(config: TrainedConfig, workflow: Workflow, out: Path, weights: int) -> None:
    """Raise an error for a run whose weights and texts do not fit on the disk."""
    needed = disk_needed(config, workflow, weights)
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    written = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) if out.is_dir() else 0
    free = shutil.disk_usage(there).free
    if needed > free + written:
        mend = "" if config.keep == "none" else ", or set keep to none"
        raise ValueError(
            f"the run needs some {_size(needed - written)} in {str(out)!r}, and {_size(free)} are "
            f"free; choose another folder with --out, keep fewer grid points or generations{mend}"
        )


def disk_needed(config: TrainedConfig, workflow: Workflow, weights: int) -> int:
    """Estimate how many bytes a run leaves on disk.

    Parameters
    ----------
    config : TrainedConfig
    workflow : Workflow
    weights : int
        Bytes of one model.
    """
    points = config.grid()

    def models(of: Sequence[GridPoint]) -> int:
        return sum(workflow.models(point) for point in of)

    firsts = list({point.start: point for point in points}.values())
    last, unfinished = min(config.generations, 1), min(os.cpu_count() or 1, len(points))
    kept = {"last": last, "none": 0}.get(config.keep, last * unfinished / max(len(points), 1))
    if config.keep == "all":
        kept = -(-config.generations // config.keep_every)
    # a token with its part of the text, compressed
    plan = config.training
    count = config.sampling.count or plan.examples_drawn or plan.examples
    texts = 5 * count * config.sampling.max_new_tokens
    base = 0 if config.model.pretrained else weights
    return round(
        base
        + models(firsts) * (weights + texts)
        + models(points) * (kept * weights + max(config.generations - 1, 0) * texts)
    )


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
