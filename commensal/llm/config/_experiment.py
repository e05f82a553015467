"""Settings that every workflow has, and the interface of its config class."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import Count, Settings
from commensal.llm.config._registry import register
from commensal.llm.corpora import CorpusSettings
from commensal.llm.seeds import seed_of

Kind = TypeVar("Kind", bound="ExperimentConfig")


class ExperimentConfig(Settings):
    """Settings of a run, and the interface of its workflow.

    A subclass with a field ``workflow`` of its own is a workflow: as soon as the class is there,
    ``read_config``, ``run`` and ``write_report`` know it by that name. Modules of
    ``commensal.llm.config`` are all loaded, so a file there needs no entry anywhere else.
    Workflows that train models derive from :class:`TrainedConfig` and need only say what a
    generation does and what a report shows.

    Attributes
    ----------
    experiment : str
        Path of the class that reads, checks and computes, as
        :class:`commensal.llm.experiment.Experiment` has it.
    report : str
        Path of the function that gives a report's contents, as
        :class:`commensal.llm.reports.Report` has it.
    process : str or None
        Process of the theory that models such a run; None: there is none.
    trains : bool
        Whether models are trained from one generation to the next, so that training can diverge.
    parts_needed : tuple of str
        Names of those above that a workflow's class has to say.
    """

    experiment: ClassVar[str]
    report: ClassVar[str]
    process: ClassVar[str | None] = None
    trains: ClassVar[bool] = False
    parts_needed: ClassVar[tuple[str, ...]] = ("experiment", "report")

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of everything that is drawn."""
    generations: Annotated[int, Field(ge=0)] = 5
    """Number of generations T after the first."""
    replicates: Count = 1
    """Number of replicates of every grid point; intervals are over them."""
    device: str = "auto"
    """Device of torch; auto: cuda where there is one, else cpu."""
    threads: Count | None = None
    """Number of processor threads per process. Results depend on it in the last digits, so it is
    fixed when the run is made; by default 1 for tiny and small models, else one per core."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register a subclass as a workflow if it has a field ``workflow`` of its own."""
        super().__pydantic_init_subclass__(**kwargs)
        if "workflow" in inspect.get_annotations(cls):
            register(cls.model_fields["workflow"].default, cls)

    @classmethod
    def workflow_name(cls) -> str | None:
        """Return the workflow's name; None for a class that several workflows share."""
        field = cls.model_fields.get("workflow")
        return None if field is None else field.default

    @property
    def can_be_paired(self) -> bool:
        """Whether the theory can be laid over such a run, as `commensal pair` does."""
        return self.process == "mixture" or (self.process == "regression" and self.generations > 0)

    def grid(self) -> list[GridPoint]:
        """List the points of the run's grid, in the order in which they are run."""
        raise NotImplementedError

    def seed_of_replicate(self, replicate: int) -> int:
        """Return the seed of all that is drawn in a replicate; the first has the run's."""
        return seed_of(self.seed, "replicate", replicate) if replicate else self.seed

    def of_replicate(self: Kind, replicate: int) -> Kind:
        """Return the settings by which one replicate reads its texts and makes its models."""
        return self

    def resources_of(self, point: GridPoint) -> int:
        """Return the replicate whose texts and models a grid point uses."""
        return 0

    def featured(self, reached: Sequence[GridPoint]) -> list[GridPoint]:
        """Choose the grid points that a report shows more of, among those with results."""
        return [point for point in reached if not point.replicate]

    def facts(self) -> list[tuple[str, str]]:
        """List the settings of this workflow alone for reports, as (name, value)."""
        return []

    def training_facts(self, parameters: int | None) -> list[tuple[str, str]]:
        """Describe what is trained and how; nothing where nothing is trained.

        Parameters
        ----------
        parameters : int or None
            Number of parameters of each model, where it is known.
        """
        return []

    def identifying(self) -> dict[str, Any]:
        """Return the settings that two runs must share to be the same run."""
        return self.model_dump(mode="json")

    def whose(self, at: int) -> str:
        """Name those who learn from the corpus at index ``at`` of ``corpora``."""
        raise NotImplementedError

    @property
    def corpora(self) -> tuple[CorpusSettings, ...]:
        """Corpora that models are tested on, the models' own tasks first; may be empty."""
        return ()

    @property
    def learnt(self) -> list[str]:
        """Names of the tasks that models learn."""
        return []

    @property
    def embedder(self) -> str:
        """Embedder of texts: ``base``, or a sentence-transformers model."""
        return "base"

    @property
    def large(self) -> bool:
        """Whether one core is too few for a model of the run."""
        return True
