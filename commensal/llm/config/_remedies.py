"""Settings of one lineage under several remedies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import Count, SamplingConfig, Settings, Share
from commensal.llm.config._run import TrainedConfig
from commensal.llm.corpora import check_held_back


class TextFilter(Settings):
    """Filter that decides which synthetic texts stay, and the base class of a new kind of it."""

    variety: ClassVar[bool] = False
    """Whether the filter is there to keep texts varied."""

    def stay(
        self, texts: Sequence[str], embed: Callable[[Sequence[str]], Any], rng: np.random.Generator
    ) -> list[int]:
        """Return the places of the synthetic texts that stay, one at least.

        Parameters
        ----------
        texts : sequence of str
        embed : callable
            Function that makes vectors of texts.
        rng : numpy.random.Generator
        """
        raise NotImplementedError

    def learnt(self, share: float) -> float:
        """Return the share of human texts behind the filter, where it was ``share`` before."""
        return share


class NearDuplicates(TextFilter):
    """Filter that leaves out texts which nearly repeat one that stays."""

    variety: ClassVar[bool] = True

    kind: Literal["near_duplicates"] = "near_duplicates"
    words: Count = 2
    """Length in words of the runs by which texts are compared."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Jaccard similarity from which on two texts count as the same."""

    def stay(
        self, texts: Sequence[str], embed: Callable[[Sequence[str]], Any], rng: np.random.Generator
    ) -> list[int]:
        """Return the places of the synthetic texts that stay."""
        from commensal.llm.measures.filtering import without_near_duplicates

        return without_near_duplicates(texts, self.words, self.threshold)


class Diverse(TextFilter):
    """Filter that keeps texts far apart from each other."""

    variety: ClassVar[bool] = True

    kind: Literal["diverse"] = "diverse"
    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of texts that stays."""

    def stay(
        self, texts: Sequence[str], embed: Callable[[Sequence[str]], Any], rng: np.random.Generator
    ) -> list[int]:
        """Return the places of the synthetic texts that stay; ``embed`` makes vectors of them."""
        from commensal.llm.measures.filtering import farthest_first

        return farthest_first(embed(texts), max(1, round(self.keep * len(texts))))


class Detector(TextFilter):
    """Imperfect detector, which takes synthetic texts out of a web with human ones in it.

    ``human_share`` of the remedy is then the share of human texts on the web; what each
    generation trains on has more of them, or fewer if the detector is worse than chance.
    """

    kind: Literal["detector"] = "detector"
    true_positive: Share = 0.9
    """Probability with which a synthetic text is removed."""
    false_positive: Share = 0.1
    """Probability with which a human text is removed."""

    def stay(
        self, texts: Sequence[str], embed: Callable[[Sequence[str]], Any], rng: np.random.Generator
    ) -> list[int]:
        """Return the places of the synthetic texts that stay, one at least."""
        luck = rng.random(len(texts))
        return np.flatnonzero(luck >= min(self.true_positive, luck.max())).tolist()

    def learnt(self, share: float) -> float:
        """Return the share of human texts behind the detector; NaN if nothing passes it."""
        human = share * (1 - self.false_positive)
        synthetic = (1 - share) * (1 - self.true_positive)
        return human / (human + synthetic) if human + synthetic else float("nan")


Filter = Annotated[NearDuplicates | Diverse | Detector, Field(discriminator="kind")]


class Remedy(Settings):
    """A remedy against collapse for one lineage; by default none."""

    name: str
    """Name of the remedy in the table and the report."""
    human_share: Share = 0.0
    """Share of human texts among those that each generation reads."""
    token_noise: Share = 0.0
    """Probability with which each token of a synthetic completion becomes a random one."""
    filter: Filter | None = None
    """Filter of synthetic texts; a detector takes human ones for synthetic too."""
    temperature: Annotated[float, Field(gt=0)] | None = None
    """Temperature of sampling the texts to be trained on; by default the run's."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Nucleus probability of sampling the texts to be trained on; by default the run's."""
    memory: Literal["replace", "accumulate", "accumulate_subsample"] = "replace"
    """What becomes of past data. replace: each generation trains on new data alone; accumulate: on
    the data of generation 0 and of all generations since, with steps in proportion;
    accumulate_subsample: on a sample of these, of the usual size."""
    since: Count = 1
    """First generation in which the remedy acts."""
    until: Count | None = None
    """Last generation in which the remedy acts; by default the run's last."""
    every: Count = 1
    """Number of generations from one in which the remedy acts to the next."""

    @field_validator("name")
    @classmethod
    def _of_a_folder(cls, value: str) -> str:
        if not value or value.startswith(".") or set(value) & set("/\\\0,="):
            raise ValueError(
                f"a remedy's name becomes a folder's: no / \\ , = in it, got {value!r}"
            )
        return value

    @model_validator(mode="after")
    def _possible(self) -> Remedy:
        if self.until is not None and self.until < self.since:
            raise ValueError(
                f"remedy {self.name!r} ends before it begins; until must be at least since = "
                f"{self.since}, got {self.until}"
            )
        if not self._learnt >= 0:
            raise ValueError(
                f"the detector of remedy {self.name!r} lets no text pass; lower true_positive, or "
                "set human_share above 0 and false_positive below 1"
            )
        return self

    @property
    def _learnt(self) -> float:
        return self.human_share if self.filter is None else self.filter.learnt(self.human_share)

    def acts(self, generation: int) -> bool:
        """Return whether the remedy acts in a generation; it never does in generation 0."""
        ended = self.until is not None and generation > self.until
        return generation >= self.since and not ended and not (generation - self.since) % self.every

    def learnt(self, generation: int) -> float:
        """Return the share of human texts among a generation's new data."""
        return self._learnt if self.acts(generation) else 0.0

    def sampling(self, usual: SamplingConfig) -> SamplingConfig:
        """Return the sampling settings of the texts to be trained on."""
        changed = {"temperature": self.temperature, "top_p": self.top_p}
        return usual.model_copy(update={n: v for n, v in changed.items() if v is not None})

    @property
    def nothing(self) -> bool:
        """Whether this lineage has no remedy, so that all others are compared with it."""
        schedule = {"since": self.since, "until": self.until, "every": self.every}
        return self == Remedy.model_validate({"name": self.name} | schedule)


class RemediesConfig(TrainedConfig):
    """One lineage that trains on its own output alone, under each remedy, from several seeds.

    All remedies have the same budget: steps of training, and texts written. Only with ``memory:
    accumulate`` the steps grow with the data.
    """

    makes: ClassVar[str] = "commensal.llm.workflows.remedies:Remedies"
    report: ClassVar[str] = "commensal.llm.reports.remedies:contents"
    enough: ClassVar[str] = (
        "take a task with more texts (train, limit), or lower human_share, generations or "
        "training.examples_drawn, or set human_texts to seen"
    )

    workflow: Literal["remedies"] = "remedies"
    remedies: Annotated[tuple[Remedy, ...], Field(min_length=1)] = (
        Remedy(name="none"),
        Remedy(name="5 % human", human_share=0.05),
        Remedy(name="20 % human", human_share=0.2),
        Remedy(name="10 % noise", token_noise=0.1),
        Remedy(name="no near-duplicates", filter=NearDuplicates()),
        Remedy(name="diverse half", filter=Diverse()),
        Remedy(name="temperature 0.7", temperature=0.7),
    )
    """Remedies that are compared, each for one lineage of every replicate."""
    human_texts: Literal["fresh", "seen"] = "fresh"
    """Human texts of generation 1 and later. fresh: texts held back from generation 0, each used
    once in a lineage; seen: the texts that generation 0 drew from, drawn again."""

    @model_validator(mode="after")
    def _one_of_each(self) -> RemediesConfig:
        if len(self.tasks) != 1:
            raise ValueError(f"a lineage has one task, got {len(self.tasks)}")
        names = [remedy.name for remedy in self.remedies]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two remedies have the name {name!r}")
        if not any(remedy.nothing for remedy in self.remedies):
            raise ValueError("remedies need one that does nothing, to be held against")
        for remedy in self.remedies:
            if not remedy.nothing and remedy.since > self.generations:
                raise ValueError(
                    f"remedy {remedy.name!r} begins at generation {remedy.since} of "
                    f"{self.generations}; lower since, or raise generations"
                )
        counts = self.tasks[0].counts
        if counts is not None and self.held_back:
            check_held_back(self.tasks[0].name, counts[0], self.held_back, self.enough)
        return self

    def fresh(self, remedy: Remedy, generation: int) -> int:
        """Return the number of fresh human texts that a generation of a lineage trains on."""
        if self.human_texts == "seen":
            return 0
        drawn = self.training.examples_drawn or self.training.examples
        return round(remedy.learnt(generation) * drawn)

    @property
    def held_back(self) -> int:
        """Number of human texts that are held back: as many as a lineage of any remedy needs."""
        times = range(1, self.generations + 1)
        return max(sum(self.fresh(remedy, t) for t in times) for remedy in self.remedies)

    def grid(self) -> list[GridPoint]:
        """List every remedy with every seed; those of one seed share generation 0."""
        return [
            GridPoint(
                f"remedy={remedy.name},replicate={r}",
                {"remedy": remedy.name, "replicate": float(r)},
                f"start,replicate={r}",
                self.seed_of_replicate(r),
            )
            for r in range(self.replicates)
            for remedy in self.remedies
        ]

    def learnt_in(self, point: GridPoint, generation: int) -> int:
        """Return the number of examples of a generation; the steps grow where all is kept."""
        remedy = next(r for r in self.remedies if r.name == point.coordinates["remedy"])
        grows = remedy.acts(generation) and remedy.memory == "accumulate"
        return super().learnt_in(point, generation) * (generation + 1 if grows else 1)

    def facts(self) -> list[tuple[str, str]]:
        """Describe the remedies, their human texts and the number of lineages, for reports."""
        held = f"{self.held_back:,} held back from generation 0"
        fresh = f"fresh: {held}, each used once in a lineage"
        seen = "the texts that generation 0 drew from, drawn again"
        return [
            ("remedies", "; ".join(remedy.name for remedy in self.remedies)),
            ("human texts", fresh if self.human_texts == "fresh" else seen),
        ]
