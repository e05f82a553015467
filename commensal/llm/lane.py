"""Compute grid points of a run one after another in one process, and resume each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from transformers import PreTrainedModel

from commensal.llm.config import GridPoint, TrainedConfig
from commensal.llm.corpora import Corpus
from commensal.llm.generation import Generation, Past
from commensal.llm.models.pretrained import fill, trainable
from commensal.llm.models.training import Diverged
from commensal.llm.opening import corpora_of, open_resources, prepare
from commensal.llm.records.branch import Branch, RunDirectoryError, jsonl_gz, npy, parquet
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.records.timing import as_lines
from commensal.llm.resources import RunResources
from commensal.llm.session import device_of
from commensal.llm.workflows import workflow_of
from commensal.saving import append


class Lane:
    """Worker that computes grid points one after another in this process.

    Parameters
    ----------
    path : Path
        The run's folder.
    report : callable
        Called with a branch and how many of its generations are done.
    corpora : mapping, optional
        Texts of each replicate, where they have been read already.
    """

    def __init__(
        self,
        path: Path,
        report: Callable[[str, float | int], None],
        corpora: Mapping[int, Sequence[Corpus]] | None = None,
    ) -> None:
        self.directory = RunDirectory(path)
        self.config = config_of(path, TrainedConfig)
        self.report = report
        self._corpora = corpora or {}
        self._turn_to(0)

    def _turn_to(self, replicate: int) -> None:
        """Use a replicate's texts and base from here on."""
        self._replicate = replicate
        self.workflow = workflow_of(self.config.of_replicate(replicate))
        self._resources: RunResources | None = None

    @property
    def resources(self) -> RunResources:
        """Resources of the replicate, loaded when something remains to be computed."""
        if self._resources is None:
            self._resources = open_resources(self.directory.path, self.config, self._replicate)
        return self._resources

    def prepare(self, replicate: int, bases: int) -> None:
        """Write the tokenizer and the base models of a replicate; a pretrained base is nothing."""
        branch = f"base {replicate}"
        if self.config.model.pretrained:
            self.report(branch, 1)
            return
        config = self.config.of_replicate(replicate)
        prepare(
            self.directory,
            config,
            self._corpora.get(replicate) or corpora_of(config),
            device_of(config),
            lambda share: self.report(branch, share),
            replicate=replicate,
            bases=bases,
        )

    def run(self, point: GridPoint, first: bool) -> None:
        """Compute generation 0 of a start, or all later generations of a grid point.

        Raises
        ------
        RunDirectoryError
            If a file of a generation that is there is damaged.
        """
        if (replicate := self.config.resources_of(point)) != self._replicate:
            self._turn_to(replicate)
        start = self.directory.branch(point.start)
        if first:
            if start.finished(0):
                start.check(0)
            else:
                self._generation(point, start, 0, self._at_base(point), _past({}))
            self.report(point.start, 1)
            return
        branch = self.directory.branch(point.name)
        last = self.config.generations
        at, models = -1, None
        past = _past({0: start} | dict.fromkeys(range(1, last), branch))
        for missing in range(1, last + 1):
            if start.diverged(0) or any(branch.diverged(t) for t in range(1, missing)):
                break
            if branch.finished(missing):
                branch.check(missing)
                continue
            if (reached := self._reached(branch, missing)) > at:
                source = branch if reached else start
                at, models = reached, self._loaded(point, source, reached)
            while at < missing and models is not None:
                at += 1
                self.report(point.name, at - 1)
                models = self._generation(point, branch, at, models, past)
                self._thin(branch, at)
        if branch.finished(last):
            self._thin(branch, last)  # also one in between that was computed again
        self.report(point.name, last)

    def _thin(self, branch: Branch, reached: int) -> None:
        """Delete the weights that the run does not keep, once a generation is reached."""
        keep, whole = self.config.keep, branch.finished(self.config.generations)
        for generation in range(1, reached + 1):
            last = generation == reached and not (keep == "resume" and whole)
            if not last and not (keep == "all" and generation % self.config.keep_every == 0):
                branch.drop_weights(generation)

    def _at_base(self, point: GridPoint) -> list[PreTrainedModel]:
        return [self.resources.start(k) for k in range(self.workflow.models(point))]

    def _reached(self, branch: Branch, missing: int) -> int:
        """Find the last generation before a missing one whose weights are on disk."""
        for t in range(missing - 1, 0, -1):
            if branch.finished(t) and branch.weights(t, 0).exists():
                return t
        return 0

    def _loaded(self, point: GridPoint, source: Branch, generation: int) -> list[PreTrainedModel]:
        source.check(generation)
        models = self._at_base(point)
        for model, network in enumerate(models):
            try:
                fill(network, source.weights(generation, model))
            except ValueError as error:
                raise RunDirectoryError(f"{error}; {source.repair(generation)}") from error
        return models

    def _generation(
        self,
        point: GridPoint,
        branch: Branch,
        generation: int,
        models: list[PreTrainedModel],
        past: Past,
    ) -> list[PreTrainedModel] | None:
        """Compute and write one generation; return None if its training diverges."""
        last = self.config.generations
        made = Generation(
            self.resources,
            point,
            generation,
            models,
            past,
            writes_web=generation < last and self._read_later(point, generation),
            progress=lambda share: self.report(
                branch.path.name, max(generation - 1, 0) + 0.99 * share
            ),
        )
        why = ""
        try:
            self.workflow.make(made)
        except Diverged as error:
            why = str(error)
            made.measured("diverged", 1, model=error.model)
        if branch.finished(generation):  # computed again, to reach weights that were not kept
            self._same(branch, generation, parquet(made.metrics))
            return made.models
        with branch.writing(generation) as folder:
            (folder / "metrics.parquet").write_bytes(parquet(made.metrics))
            (folder / "samples.jsonl.gz").write_bytes(jsonl_gz(made.samples))
            for name, values in made.arrays.items():
                (folder / f"{name}.npy").write_bytes(npy(values))
            if why:
                (folder / "diverged.txt").write_text(why, encoding="utf-8")
            # generation 0 is where every grid point starts, so it stays
            elif self.config.keep != "none" or generation == 0:
                for model, network in enumerate(made.models):
                    weights = {n: p.detach().contiguous() for n, p in trainable(network).items()}
                    save_file(weights, folder / f"model-{model}.safetensors")
        append(
            self.directory.path / "timings.jsonl", as_lines(made.clock.entries, branch.path.name)
        )
        return None if why else made.models

    def _same(self, branch: Branch, generation: int, metrics: bytes) -> None:
        path = branch.folder(generation) / "metrics.parquet"
        if path.read_bytes() != metrics:
            raise RunDirectoryError(
                f"computed again, {str(path)!r} comes out otherwise: other versions or another "
                "device than when it was made (environment.json); start a new run"
            )

    def _read_later(self, point: GridPoint, generation: int) -> bool:
        if generation > 0:
            return self.workflow.reads_web(point)
        sharing = [s for s in self.config.grid() if s.start == point.start]
        return any(self.workflow.reads_web(s) for s in sharing)


def _past(folders: dict[int, Branch]) -> Past:
    """Return the results of past generations, each read from disk once."""
    samples: dict[int, list[dict[str, Any]]] = {}

    def written(generation: int) -> list[dict[str, Any]]:
        if generation not in samples:
            samples[generation] = folders[generation].samples(generation)
        return samples[generation]

    return Past(written, lambda generation: folders[generation].metrics(generation))
