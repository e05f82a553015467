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
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PretrainedConfig

from commensal.llm.config import GridPoint, TrainedConfig
from commensal.llm.corpora import Corpus
from commensal.llm.experiment import Progress
from commensal.llm.lane import Lane
from commensal.llm.models.loading import base_of, tokenizer_for
from commensal.llm.models.pretrained import loaded
from commensal.llm.opening import corpora_of, described, prepare
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.session import memory, quiet
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
            _check_disk(self.config, self._workflow, out, base.shape())

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
        workers: int | None,
        progress: Progress,
    ) -> None:
        """Compute the bases, then generation 0 of each start, then the grid points."""
        config = self.config
        # those that share texts and base one after another, as a worker holds one set of them
        points = sorted(config.grid(), key=config.resources_of)
        starts: dict[str, GridPoint] = {}
        for point in points:
            starts.setdefault(point.start, point)
        # the base of a replicate counts as one generation more
        total = len(self._corpora) + len(starts) + len(points) * config.generations
        done: dict[str, float | int] = {}

        def report(branch: str, generations: float | int) -> None:
            done[branch] = generations
            progress(sum(done.values()), total)

        assert self._workflow is not None
        most = max(map(self._workflow.models, points)) if config.own_bases else 1
        for replicate, corpora in self._corpora.items():
            prepare(
                directory,
                config.of_replicate(replicate),
                corpora,
                device,
                functools.partial(report, f"base {replicate}"),
                replicate=replicate,
                bases=most,
            )
        count = workers or _workers(config, device, len(points))
        _run_jobs(directory, [list(starts.values()), points], count, report)


def _run_jobs(
    directory: RunDirectory,
    stages: list[list[GridPoint]],
    workers: int,
    report: Callable[[str, float | int], None],
) -> None:
    """Compute first the starts, then the grid points, each of the two side by side."""
    if workers == 1:
        lane = Lane(directory.path, report)
        for first, stage in zip((True, False), stages, strict=True):
            for point in stage:
                lane.run(point, first)
        return
    context = multiprocessing.get_context("spawn")  # torch does not survive a fork
    queue = context.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(queue, report), daemon=True)
    listener.start()
    with ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(directory.path, queue)
    ) as pool:
        try:
            for first, stage in zip((True, False), stages, strict=True):
                for job in [pool.submit(_work, point, first) for point in stage]:
                    job.result()
        except BrokenProcessPool:
            raise ChildProcessError(
                "a process that a grid point ran in was killed, by hand or because memory ran out; "
                "what was finished before is whole. Go on with fewer side by side: "
                f"commensal llm resume {directory.path} --workers 1"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
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


def _work(point: GridPoint, first: bool) -> None:
    assert _lane is not None
    with memory(_lane.directory.path):
        _lane.run(point, first)


def _workers(config: TrainedConfig, device: torch.device, points: int) -> int:
    if device.type != "cpu":
        return 1
    return max(1, min((os.cpu_count() or 1) // (config.threads or 1), points))


def _check_disk(
    config: TrainedConfig, workflow: Workflow, out: Path, model: PretrainedConfig
) -> None:
    """Raise an error for a run whose weights and texts do not fit on the disk."""
    with torch.device("meta"):
        made: Any = loaded(lambda _: AutoModelForCausalLM.from_config(model), model.model_type)
    needed = disk_needed(config, workflow, 4 * sum(p.numel() for p in made.parameters()))
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
    kept = {"all": config.generations, "last": min(config.generations, 1), "none": 0}[config.keep]
    # a token with its part of the text, compressed
    plan = config.training
    count = config.sampling.count or plan.examples_drawn or plan.examples
    texts = 5 * count * config.sampling.max_new_tokens
    base = 0 if config.model.pretrained else weights
    return (
        base
        + models(firsts) * (weights + texts)
        + models(points) * (kept * weights + max(config.generations - 1, 0) * texts)
    )


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
