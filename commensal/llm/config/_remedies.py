"""Settings of one lineage under several remedies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import Count, SamplingConfig, Settings, Share
from commensal.llm.config._run import TrainedConfig
from commensal.llm.seeds import seed_of


class NearDuplicates(Settings):
    """Filter that leaves out texts which nearly repeat one that stays."""

    kind: Literal["near_duplicates"] = "near_duplicates"
    words: Count = 2
    """Length in words of the runs by which texts are compared."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Jaccard similarity from which on two texts count as the same."""

    def stay(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Any]) -> list[int]:
        """Return the places of the texts that stay."""
        from commensal.llm.measures.filtering import without_near_duplicates

        return without_near_duplicates(texts, self.words, self.threshold)


class Diverse(Settings):
    """Filter that keeps texts far apart from each other."""

    kind: Literal["diverse"] = "diverse"
    keep: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of texts that stays."""

    def stay(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Any]) -> list[int]:
        """Return the places of the texts that stay; ``embed`` makes vectors of them."""
        from commensal.llm.measures.filtering import farthest_first

        return farthest_first(embed(texts), max(1, round(self.keep * len(texts))))


Filter = Annotated[NearDuplicates | Diverse, Field(discriminator="kind")]


class Remedy(Settings):
    """A remedy against collapse for one lineage; by default none."""

    name: str
    human_share: Share = 0.0
    """Share of human texts among those that each generation trains on."""
    token_noise: Share = 0.0
    """Probability with which each token of a synthetic completion becomes a random one."""
    filter: Filter | None = None
    """Filter of synthetic texts."""
    temperature: Annotated[float, Field(gt=0)] | None = None
    """Temperature of sampling the texts to be trained on; by default the run's."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    """Nucleus probability of sampling the texts to be trained on; by default the run's."""

    @field_validator("name")
    @classmethod
    def _of_a_folder(cls, value: str) -> str:
        if not value or value.startswith(".") or set(value) & set("/\\\0,="):
            raise ValueError(
                f"a remedy's name becomes a folder's: no / \\ , = in it, got {value!r}"
            )
        return value

    def sampling(self, usual: SamplingConfig) -> SamplingConfig:
        """Return the sampling settings of the texts to be trained on."""
        changed = {"temperature": self.temperature, "top_p": self.top_p}
        return usual.model_copy(update={n: v for n, v in changed.items() if v is not None})

    @property
    def nothing(self) -> bool:
        """Whether this lineage has no remedy, so that all others are compared with it."""
        return self == Remedy(name=self.name)


class RemediesConfig(TrainedConfig):
    """One lineage that trains on its own output alone, under each remedy, from several seeds.

    All remedies have the same budget: steps of training, and texts written.
    """

    makes: ClassVar[str] = "commensal.llm.workflows.remedies:Remedies"
    report: ClassVar[str] = "commensal.llm.reports.remedies:contents"

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
    replicates: Count = 3
    """Number of lineages of each remedy; they share base and texts, and differ in all that is
    drawn."""

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
        return self

    def grid(self) -> list[GridPoint]:
        """List every remedy with every seed; those of one seed share generation 0."""
        return [
            GridPoint(
                f"remedy={remedy.name},replicate={r}",
                {"remedy": remedy.name, "replicate": float(r)},
                f"start,replicate={r}",
                seed_of(self.seed, "replicate", r) if r else self.seed,
            )
            for r in range(self.replicates)
            for remedy in self.remedies
        ]

    def facts(self) -> list[tuple[str, str]]:
        """Describe the remedies and the number of lineages, for reports."""
        return [
            ("remedies", "; ".join(remedy.name for remedy in self.remedies)),
            ("lineages of each", str(self.replicates)),
        ]
