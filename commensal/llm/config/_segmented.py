"""Settings of the segmented workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import Count, OptimisationConfig, ScratchModel
from commensal.llm.config._run import TrainedConfig
from commensal.llm.config._segments import hill_shannon, segment_counts

Weight = Annotated[float, Field(gt=0)]


class SegmentedConfig(TrainedConfig):
    """Ecosystems of M models that share a fixed budget of data (paper ``diversity``, sec. 3).

    The one task is cut into blocks, of which N are dealt out to the models. ``public`` is what a
    base from scratch is trained on first. The ten iterations of the paper are t = 0, ..., 9:
    ``generations`` is 9.
    """

    makes: ClassVar[str] = "commensal.llm.workflows.segmented:Segmented"
    report: ClassVar[str] = "commensal.llm.reports.segmented:contents"
    process: ClassVar[str | None] = "ecosystem"

    workflow: Literal["segmented"] = "segmented"
    generations: Annotated[int, Field(ge=0)] = 9
    """Number of generations after the first, which learns from human text."""
    models: tuple[Count, ...] = (1, 2, 4, 16)
    """Numbers of models M; each is an ecosystem whose models have equal shares of the data."""
    sizes: tuple[Annotated[tuple[Weight, ...], Field(min_length=2)], ...] = ()
    """Ecosystems whose models have other shares: weights of the segments, in proportion."""
    controls: tuple[Literal["alone", "fewer_steps"], ...] = ("alone", "fewer_steps")
    """Controls for each M > 1, which the paper lacks. alone: the same M models, each of which
    reads its own texts alone; fewer_steps: one model on all data with the steps of one of the
    M."""
    block: Annotated[int, Field(ge=2)] = 128
    """Number of tokens of a block."""
    blocks: Count = 7500
    """Budget of data N, in blocks."""
    budget: Literal["shared", "per_model"] = "shared"
    """Whose the budget is. shared: that of all M models together, the same whatever M, as in the
    paper; per_model: that of each model, so that the data grow with M."""
    validation: Count = 1900
    """Number of further blocks of the real data, on which the best of the epochs is chosen."""
    epochs: Count = 5
    """Number of epochs over a model's own blocks in each generation; ``training.steps`` has no
    meaning here. Each epoch sees every block once, so its last batch may be smaller."""
    restart: bool = False
    """Whether models start from the base's weights in every generation; by default they go on from
    those of the generation before. The paper does not say which."""
    decoding: Literal["beam", "sample"] = "beam"
    """Decoding of continuations. beam: the likeliest one that a beam search finds; sample: as
    ``sampling`` says."""
    beams: Annotated[int, Field(ge=1)] = 5
    """Number of beams of the beam search."""

    _as_tuple = field_validator("models", mode="before")(
        lambda value: (value,) if isinstance(value, int) else value
    )

    @field_validator("models")
    @classmethod
    def _each_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or len(set(value)) < len(value):
            raise ValueError(f"needs one number or more, each once, got {list(value)}")
        return tuple(sorted(value))

    @field_validator("tasks")
    @classmethod
    def _one_task(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) != 1:
            raise ValueError(f"one corpus is dealt out to all models, got {len(value)}")
        return value

    @model_validator(mode="after")
    def _own_prompts(self) -> SegmentedConfig:
        if self.prompts is not None:
            raise ValueError("models go on from the blocks of their segments: leave prompts out")
        return self

    @model_validator(mode="after")
    def _differ(self) -> SegmentedConfig:
        seen: set[tuple[int, str]] = {(m, f"{float(m):.4f}") for m in self.models}
        for weights in self.sizes:
            key = len(weights), f"{hill_shannon(weights):.4f}"
            if key in seen:
                raise ValueError(
                    f"sizes {list(weights)} are {len(weights)} models of diversity {key[1]}, "
                    "which the run has already"
                )
            seen.add(key)
        return self

    @model_validator(mode="after")
    def _possible(self) -> SegmentedConfig:
        for weights in (*((1.0,) * m for m in self.models), *self.sizes):
            if min(segment_counts(weights, self.total(len(weights)))) < 1:
                what = len(weights) if len(set(weights)) == 1 else list(weights)
                raise ValueError(
                    f"{self.blocks} blocks are too few: of models {what} one would get none"
                )
        for training in filter(None, (self.training, self.initial_training)):
            if training.examples_drawn is not None:
                raise ValueError("models train on all their blocks: leave examples_drawn out")
            if training.steps != OptimisationConfig().steps:
                raise ValueError("models train for epochs: set epochs, and leave steps out")
            if training.together:
                raise ValueError("training together cannot keep the best of the epochs")
        if isinstance(self.model, ScratchModel):
            needed = 2 * self.block + 1  # and the mark of the beginning
            if needed > self.model.context:
                raise ValueError(
                    f"a block of {self.block} tokens and its continuation need a context of "
                    f"{needed}, got {self.model.context}"
                )
            corpus = self.tasks[0]
            if corpus.counts and self.known and self.model.tokenizer != "bpe":
                train, test = corpus.counts
                tokens = corpus.prompt_words + corpus.completion_words
                there = train * tokens // self.block
                if there < self.needed:
                    raise ValueError(too_few(corpus.name, there, self))
                if test * tokens < self.block:
                    raise ValueError(f"the test of {corpus.name!r} is shorter than a block")
        return self

    def total(self, m: int) -> int:
        """Return the number of blocks of an ecosystem of M models."""
        return self.blocks * (m if self.budget == "per_model" else 1)

    @property
    def most(self) -> int:
        """Number of blocks of the ecosystem that has most of them."""
        return max(self.total(m) for m in (*self.models, *map(len, self.sizes)))

    @property
    def needed(self) -> int:
        """Number of blocks that are needed to train and to validate."""
        return self.most + self.validation

    def grid(self) -> list[GridPoint]:
        """List the pooled ecosystems, then each control alone; then the next replicate."""
        found = []
        for replicate in range(self.replicates):
            seed = self.seed_of_replicate(replicate)
            shapes = [("pooled", m, float(m)) for m in self.models]
            shapes += [("pooled", len(w), hill_shannon(w)) for w in self.sizes]
            for control in dict.fromkeys(self.controls):
                diverse = control == "alone"
                shapes += [(control, m, float(m) if diverse else 1.0) for m in self.models if m > 1]
            for ecosystem, m, diversity in shapes:
                name = f"{ecosystem},M={m},D={diversity:.4g},replicate={replicate}"
                # nobody has read anything yet, so what is read later makes no difference
                start = name.removeprefix("alone,").removeprefix("pooled,")
                coordinates: dict[str, float | str] = {
                    "ecosystem": ecosystem,
                    "M": float(m),
                    "D": diversity,
                    "replicate": float(replicate),
                }
                found.append(GridPoint(name, coordinates, f"start,{start}", seed))
        return found

    def counts(self, point: GridPoint) -> tuple[int, ...]:
        """Return the number of blocks of each model."""
        m, diversity = int(point.coordinates["M"]), point.coordinates["D"]
        for weights in self.sizes:
            if len(weights) == m and hill_shannon(weights) == diversity:
                return segment_counts(weights, self.total(m))
        if point.coordinates["ecosystem"] == "fewer_steps":
            return (self.total(m),)
        return segment_counts((1.0,) * m, self.total(m))

    def epoch(self, point: GridPoint) -> tuple[int, ...]:
        """Return the number of blocks of an epoch of each model."""
        if point.coordinates["ecosystem"] == "fewer_steps":
            m = int(point.coordinates["M"])
            return segment_counts((1.0,) * m, self.total(m))[:1]
        return self.counts(point)

    def check_context(self, name: str, context: int, begin: int) -> None:
        """Raise ValueError for lengths or blocks that exceed the context of a loaded model."""
        super().check_context(name, context, begin)
        if 2 * self.block + begin > context:
            raise ValueError(
                f"a block of {self.block:,} tokens and its continuation need a context of "
                f"{2 * self.block + begin:,}, and model {name!r} can see {context:,}; set block "
                f"to {(context - begin) // 2:,} or less"
            )

    def featured(self, reached: Sequence[GridPoint]) -> list[GridPoint]:
        """Choose the pooled ecosystems of the first replicate."""
        first = {"ecosystem": "pooled", "replicate": 0.0}.items()
        return [point for point in reached if first <= point.coordinates.items()]

    def duration(self) -> str:
        """Describe how many epochs a generation is trained, for reports."""
        return f"{self.epochs} epochs, the best kept; batches"

    def initial_duration(self) -> None:
        """Return None: generation 0 is trained for as many epochs as the others."""

    def whose(self, at: int) -> str:
        """Name those who learn from a corpus, for reports."""
        return "all, in segments" if at < len(self.tasks) else "the base (public)"

    def facts(self) -> list[tuple[str, str]]:
        """Describe M, N and the decoding, for reports."""
        found = [("models (M)", ", ".join(map(str, self.models)))]
        if self.sizes:
            shares = ("/".join(f"{w / sum(s):.2g}" for w in s) for s in self.sizes)
            found.append(("unequal segments", "; ".join(shares)))
        beam = f"beam search, {self.beams} beams"
        found += [
            (
                "data (N)",
                f"{self.blocks:,} blocks of {self.block} tokens"
                + ", of each model" * (self.budget == "per_model"),
            ),
            ("controls", ", ".join(c.replace("_", " ") for c in self.controls) or "none"),
            ("start of a generation", "the base" if self.restart else "the generation before"),
            ("validation", f"{self.validation:,} blocks"),
            ("decoding", beam if self.decoding == "beam" else "sampling"),
        ]
        return found


def too_few(name: str, there: int, config: SegmentedConfig) -> str:
    """Write the message of the error that a corpus is too small."""
    return (
        f"{name!r} has {there:,} blocks of {config.block} tokens to train on; blocks and "
        f"validation need {config.needed:,}"
    )
