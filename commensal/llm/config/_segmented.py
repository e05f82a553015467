"""Settings of the segmented workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import Count, OptimisationConfig, ScratchModel
from commensal.llm.config._run import TrainedConfig
from commensal.llm.config._segments import community_counts, hill_shannon, segment_counts
from commensal.llm.corpora import Corpus

Weight = Annotated[float, Field(gt=0)]


class SegmentedConfig(TrainedConfig):
    """Ecosystems of M models that share a fixed budget of data (paper ``diversity``, sec. 3).

    The one task is cut into blocks, of which N are dealt out to the models. ``public`` is what a
    base from scratch is trained on first. The ten iterations of the paper are t = 0, ..., 9:
    ``generations`` is 9.

    With ``deal: community`` every model's first segment is of communities of its own. These are
    either several tasks, one for each community, or the values of a column of one task. Every
    model is then tested on each community by itself.

    Examples
    --------
    Four made-up languages of one run, each the community of one model:

    >>> from commensal.llm.presets import read_config
    >>> language = "{kind: markov, language: %d, own: 0.5, prompt_words: 6, completion_words: 44}"
    >>> tasks = ", ".join(language % number for number in range(4))
    >>> config = read_config("segmented", ["deal=community", f"tasks=[{tasks}]"])
    >>> config.deal, len(config.tasks)
    ('community', 4)

    Texts of a file whose column "topic" says which community they are of::

        tasks=[{kind: file, path: posts.jsonl, completion: text, community: topic}]
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
    deal: Literal["random", "community"] = "random"
    """How the first segments are dealt out. random: blocks of the one task by lot, as in the paper;
    community: each model gets whole communities of its own, which are the tasks, or the values of
    the column that ``community`` of the task names. With fewer models than communities these are
    grouped evenly, in their order; each model has its N/M blocks, as many of each of its
    communities. What models write is pooled and dealt out by lot either way."""
    controls: tuple[Literal["alone", "fewer_steps", "random"], ...] = ("alone", "fewer_steps")
    """Controls for each M > 1, which the paper lacks. alone: the same M models, each of which
    reads its own texts alone; fewer_steps: one model on all data with the steps of one of the
    M; random, for deal community: the texts of all communities, dealt out by lot."""
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

    @model_validator(mode="after")
    def _dealt_out(self) -> SegmentedConfig:
        divided = any(task.divided_by is not None for task in self.tasks)
        if self.deal == "random":
            if len(self.tasks) != 1:
                raise ValueError(
                    f"one corpus is dealt out to all models, got {len(self.tasks)}; set deal to "
                    "community, and each is a community"
                )
            if divided:
                raise ValueError(
                    "community of a task says what is dealt out together: set deal to community, "
                    "or leave it out"
                )
            if "random" in self.controls:
                raise ValueError("the control random needs deal: community")
        elif not divided:
            if len(self.tasks) == 1:
                raise ValueError(
                    "deal: community needs communities: name the column that says them "
                    "(tasks.0.community), or give several tasks, one for each community"
                )
            self._check_communities(len(self.tasks))
        return self

    def _check_communities(self, communities: int) -> None:
        """Raise ValueError if there are more models than communities."""
        most = max((*self.models, *map(len, self.sizes)))
        if most > communities:
            raise ValueError(
                f"{most} models need as many communities or more, and there are {communities}: no "
                f"community is divided among models; lower models and sizes to {communities} or "
                "fewer, or set deal to random"
            )
        for m in (*self.models, *map(len, self.sizes)):
            if min(self.total(m) // m, self.total(m) // communities) < 1:
                raise ValueError(
                    f"{self.blocks} blocks are too few: of {communities} communities one would "
                    "get none"
                )

    def check_corpora(self, corpora: Sequence[Corpus]) -> None:
        """Raise ValueError if the texts have fewer communities than an ecosystem has models."""
        if self.deal == "community":
            tasks = corpora[1 : 1 + len(self.tasks)]
            self._check_communities(sum(len(task.communities) or 1 for task in tasks))

    @model_validator(mode="after")
    def _own_prompts(self) -> SegmentedConfig:
        if self.prompts is not None:
            raise ValueError("models go on from the blocks of their segments: leave prompts out")
        if self.sampling.engine != "batches":
            raise ValueError(
                "models continue blocks of one length, none of which ends early: leave "
                f"sampling.engine out, got {self.sampling.engine}"
            )
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
            if self.known and self.model.tokenizer != "bpe":
                needs = self.needed_of(len(self.tasks))
                for corpus, needed in zip(self.tasks, needs, strict=True):
                    if corpus.counts is None:
                        continue
                    train, test = corpus.counts
                    tokens = corpus.prompt_words + corpus.completion_words
                    there = train * tokens // self.block
                    if there < needed:
                        raise ValueError(too_few(corpus.name, there, self.block, needed))
                    if test * tokens < self.block:
                        raise ValueError(f"the test of {corpus.name!r} is shorter than a block")
        return self

    def total(self, m: int) -> int:
        """Return the number of blocks of an ecosystem of M models."""
        return self.blocks * (m if self.budget == "per_model" else 1)

    def most_of(self, communities: int) -> tuple[int, ...]:
        """Return the largest number of blocks of each community that an ecosystem has."""
        found = [0] * communities
        for weights in (*((1.0,) * m for m in self.models), *self.sizes):
            counts = segment_counts(weights, self.total(len(weights)))
            sums = map(sum, zip(*self._deal(counts, communities), strict=True))
            found = [max(pair) for pair in zip(found, sums, strict=True)]
        return tuple(found)

    def validation_of(self, communities: int) -> tuple[int, ...]:
        """Return the number of validation blocks of each community: as many of each."""
        return segment_counts((1,) * communities, self.validation)

    def needed_of(self, communities: int) -> tuple[int, ...]:
        """Return the number of blocks of each community that a run needs."""
        both = zip(self.most_of(communities), self.validation_of(communities), strict=True)
        return tuple(map(sum, both))

    def _deal(self, counts: Sequence[int], communities: int) -> tuple[tuple[int, ...], ...]:
        if communities == 1:  # the one corpus is divided
            return tuple((count,) for count in counts)
        return community_counts(counts, communities)

    def deals(self, point: GridPoint, communities: int) -> tuple[tuple[int, ...], ...]:
        """Return the number of blocks of each community in each model's segment.

        Of the control ``random`` they are those that a lot then mixes.
        """
        return self._deal(self.counts(point), communities)

    @property
    def dealt(self) -> str:
        """Name of what is dealt out: the task, or all communities together."""
        return self.tasks[0].name if len(self.tasks) == 1 else "all communities"

    def grid(self) -> list[GridPoint]:
        """List the pooled ecosystems, then each control alone; then the next replicate."""
        found = []
        for replicate in range(self.replicates):
            seed = self.seed_of_replicate(replicate)
            shapes = [("pooled", m, float(m)) for m in self.models]
            shapes += [("pooled", len(w), hill_shannon(w)) for w in self.sizes]
            for control in dict.fromkeys(self.controls):
                diverse = control != "fewer_steps"
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

    def learnt_in(self, point: GridPoint, generation: int) -> int:
        """Return the number of blocks of all epochs of a model, the mean over models."""
        return self.epochs * sum(self.epoch(point)) // len(self.epoch(point))

    def written_by(self, point: GridPoint) -> int:
        """Return the number of blocks that a model continues, the mean over models."""
        return sum(self.counts(point)) // len(self.counts(point))

    def lengths(self, text: float) -> tuple[float, float]:
        """Return the tokens of an example, a block behind its mark, and of a block written."""
        return self.block + 1.0, float(self.block)

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
        segments = "in segments" if self.deal == "random" else "by community"
        return f"all, {segments}" if at < len(self.tasks) else "the base (public)"

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
            *([("segments", "communities, grouped evenly")] * (self.deal == "community")),
            ("controls", ", ".join(c.replace("_", " ") for c in self.controls) or "none"),
            ("start of a generation", "the base" if self.restart else "the generation before"),
            ("validation", f"{self.validation:,} blocks"),
            ("decoding", beam if self.decoding == "beam" else "sampling"),
        ]
        return found


def too_few(name: str, there: int, block: int, needed: int) -> str:
    """Write the message of the error that a corpus or a community is too small."""
    return (
        f"{name!r} has {there:,} blocks of {block} tokens to train on; blocks and "
        f"validation need {needed:,}"
    )
