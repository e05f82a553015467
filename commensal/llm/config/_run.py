"""Settings of every workflow that trains models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from commensal.llm.config._experiment import ExperimentConfig
from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._parts import (
    Count,
    MeasurementConfig,
    ModelConfig,
    SamplingConfig,
    ScratchModel,
    TrainingConfig,
)
from commensal.llm.corpora import PRESETS, Corpus, CorpusConfig
from commensal.llm.seeds import seed_of


def _named(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in PRESETS:
        raise ValueError(f"there is no corpus {value!r}; known: {', '.join(PRESETS)}")
    return PRESETS[value]


CorpusOrName = Annotated[CorpusConfig, BeforeValidator(_named)]


Kind = TypeVar("Kind", bound="TrainedConfig")


class TrainedConfig(ExperimentConfig):
    """Settings of a run whose models are trained, generation after generation.

    Attributes
    ----------
    makes : str
        Path of the class that says what a generation does, as
        :class:`commensal.llm.workflows.Workflow` has it.
    """

    experiment: ClassVar[str] = "commensal.llm.trained:TrainedExperiment"
    trains: ClassVar[bool] = True
    makes: ClassVar[str]
    parts_needed: ClassVar[tuple[str, ...]] = ("makes", "report")

    tasks: Annotated[tuple[CorpusOrName, ...], Field(min_length=1)]
    """Private data of each model; a name alone is one of the Hub's datasets of the paper."""
    public: CorpusOrName
    """Public data, which all models share; a name alone is as for ``tasks``."""
    prompts: CorpusOrName | None = None
    """Texts whose prompts models complete when they write for the web; by default the private data
    of each. Nothing else is made of them."""
    replicate: Literal["everything", "training"] = "everything"
    """What differs between replicates. everything: also the base from scratch, the known laws, and
    which texts are held out; training: what is drawn on the way alone, so that intervals hold
    given one base and one set of texts."""
    initial: Literal["shared", "own"] = "shared"
    """Weights that the models of one population start from. shared: those of one base; own: each
    has a base from scratch with a seed of its own."""
    model: ModelConfig = ScratchModel()
    """Model that all models start from."""
    mixed: tuple[ScratchModel, ...] = ()
    """Models of several architectures or sizes, dealt out to the population in turn; by default all
    are as ``model``. They share its tokenizer and its context."""
    initial_training: TrainingConfig | None = None
    """Training of generation 0; by default as ``training``."""
    training: TrainingConfig = TrainingConfig()
    """Training of every generation."""
    sampling: SamplingConfig = SamplingConfig()
    """Sampling of what models write for the web."""
    measurement: MeasurementConfig = MeasurementConfig()
    """Measurements of every generation."""
    keep: Literal["last", "all", "resume", "none"] = "last"
    """Generations whose weights stay on disk. resume: the last one, until its grid point is whole;
    none: no weights, so that a killed run starts its unfinished grid points anew."""
    keep_every: Count = 1
    """Where all are kept, every so many generations one keeps its weights, and so does the last."""

    @model_validator(mode="after")
    def _distinct(self) -> TrainedConfig:
        names = [corpus.name for corpus in self.read]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two corpora have the name {name!r}")
        return self

    @model_validator(mode="after")
    def _own_bases(self) -> TrainedConfig:
        if self.initial == "own" and self.model.pretrained:
            raise ValueError(
                "initial own needs models from scratch: a pretrained one has one set of weights; "
                "set initial to shared"
            )
        for other in self.mixed:
            if self.model.pretrained or other.context != self._context:
                raise ValueError(
                    "mixed models are from scratch, and so is model, whose tokenizer and context "
                    f"({self._context}) they share; got context {other.context}"
                )
        if self.mixed and self.training.together:
            raise ValueError("training together needs models of one shape; leave mixed out")
        if not isinstance(self.model, ScratchModel) and self.model.lora and self.training.together:
            raise ValueError("training together trains all weights; leave model.lora out")
        return self

    @property
    def _context(self) -> int | None:
        return self.model.context if isinstance(self.model, ScratchModel) else None

    @property
    def own_bases(self) -> bool:
        """Whether each model of a population starts from a base of its own."""
        return self.initial == "own" or bool(self.mixed)

    def of_model(self, model: int) -> TrainedConfig:
        """Return the settings by which one model's base is made."""
        change: dict[str, Any] = {}
        if self.initial == "own" and model:
            change["seed"] = seed_of(self.seed, "own base", model)
        if self.mixed:
            change["model"] = self.mixed[model % len(self.mixed)]
        return self.model_copy(update=change)

    def of_replicate(self: Kind, replicate: int) -> Kind:
        """Return the settings with the replicate's own seed and corpora, if it has its own."""
        if not replicate or self.replicate == "training":
            return self
        return self.model_copy(
            update={
                "seed": self.seed_of_replicate(replicate),
                "public": self.public.of_replicate(replicate),
                "tasks": tuple(task.of_replicate(replicate) for task in self.tasks),
                "prompts": None if self.prompts is None else self.prompts.of_replicate(replicate),
            }
        )

    def resources_of(self, point: GridPoint) -> int:
        """Return the replicate whose texts and base a grid point uses."""
        return point.replicate if self.replicate == "everything" else 0

    @model_validator(mode="after")
    def _fits(self) -> TrainedConfig:
        if isinstance(self.model, ScratchModel):
            if self.model.tokenizer == "words" and not self.known:
                raise ValueError(
                    "tokenizer words needs corpora of kind markov, one token per word; use bpe"
                )
            for corpus in self.read:
                if corpus.known:
                    words = corpus.prompt_words + corpus.completion_words + 2
                    if words > self.model.context:
                        raise ValueError(
                            f"texts of {corpus.name!r} need a context of {words} tokens, "
                            f"got {self.model.context}"
                        )
            if self.sampling.max_new_tokens >= self.model.context:
                raise ValueError(
                    f"max_new_tokens must be below the context of {self.model.context} tokens, "
                    f"got {self.sampling.max_new_tokens}"
                )
            if self.training.together and self.model.dropout > 0:
                raise ValueError("training together needs dropout 0")
        return self

    def check_context(self, name: str, context: int, begin: int) -> None:
        """Raise ValueError for lengths that exceed the context of a loaded model.

        Parameters
        ----------
        name : str
            Name of the model.
        context : int
            Number of tokens that the model can see.
        begin : int
            Number of tokens of the mark that the model sees before everything.

        Raises
        ------
        ValueError
            If a length exceeds ``context``.
        """
        most, longest = context - begin - 1, self.sampling.max_new_tokens
        if longest > most:
            raise ValueError(
                f"max_new_tokens of {longest:,} leaves no room for a prompt in the {context:,} "
                f"tokens that model {name!r} can see; set sampling.max_new_tokens to {most:,} or "
                "less"
            )

    def check_corpora(self, corpora: Sequence[Corpus]) -> None:
        """Raise ValueError for settings that the texts do not fit, as soon as these are read.

        Parameters
        ----------
        corpora : sequence of Corpus
            Those of ``read``, in their order.
        """

    def downloads(self) -> list[str]:
        """Name the workflow's downloads beside corpora, base model and embedder."""
        return []

    def learnt_in(self, point: GridPoint, generation: int) -> int:
        """Return the number of examples that a model learns in a generation, for estimates."""
        return (self.training if generation else self.first_training).examples

    def written_by(self, point: GridPoint) -> int:
        """Return the number of completions that a model writes for others, for estimates."""
        plan = self.training
        return self.sampling.count or plan.examples_drawn or plan.examples

    def lengths(self, text: float) -> tuple[float, float]:
        """Return the tokens of an example, and of a completion, where a human text has so many."""
        return text, float(self.sampling.max_new_tokens)

    def whose(self, at: int) -> str:
        """Name those who learn from a task, for reports; the public corpus is the last one."""
        return f"model {at + 1}" if at < len(self.tasks) else "all (public)"

    def duration(self) -> str:
        """Describe how long a generation is trained, for reports; a batch size follows."""
        return f"{self.training.steps} steps"

    def initial_duration(self) -> str | None:
        """Describe how long generation 0 is trained, for reports; None: as long as the others."""
        return None if self.initial_training is None else f"{self.initial_training.steps} steps"

    def training_facts(self, parameters: int | None) -> list[tuple[str, str]]:
        """Describe the base model and the training."""
        model, training = self.model.described(), self.training
        if parameters is not None:
            model += f"; {parameters:,} parameters"
        steps = f"{self.duration()} of {training.batch_size * training.accumulation} examples"
        steps += f", learning rate {training.learning_rate:g}"
        if (first := self.initial_duration()) is not None:
            steps += f"; generation 0: {first}"
        learnt = "completions" if training.loss_on == "completion" else "prompts and completions"
        how = f"{learnt} are learnt; gradients longer than {training.clip:g} are clipped; "
        how += f"precision {training.precision}"
        start = "own weights each" if self.own_bases else "the same weights"
        if self.mixed:
            start = "; ".join(other.described() for other in self.mixed)
        found = [("model", model), ("training", steps), ("how", how), ("generation 0 from", start)]
        if self.prompts is not None:
            found.append(("prompts of", f"{self.prompts.name}: {self.prompts.described()}"))
        return [*found, *self._replicate_facts()]

    def _replicate_facts(self) -> list[tuple[str, str]]:
        """Say what the intervals hold for."""
        # arms of a population may have numbers of their own
        count = 1 + max(point.replicate for point in self.grid())
        if count == 1:
            return [("replicates", "1: what is found holds given one base and one set of texts")]
        if self.replicate == "training":
            return [("replicates", f"{count}, given one base and one set of texts")]
        base = "and one base for all" if self.model.pretrained else "and a base"
        text = f"{count}, each with texts, tests and draws of its own, {base}"
        if same := [corpus.name for corpus in self.corpora if not corpus.redrawn]:
            text += f"; all have the texts of {', '.join(same)}, whose test data are named"
        return [("replicates", text)]

    @property
    def corpora(self) -> tuple[CorpusConfig, ...]:
        """Corpora of the run: the models' own tasks, and the public corpus last."""
        return (*self.tasks, self.public)

    @property
    def read(self) -> tuple[CorpusConfig, ...]:
        """Corpora that are read: the public one, the tasks, and the prompts where they differ."""
        return (self.public, *self.tasks, *(() if self.prompts is None else (self.prompts,)))

    @property
    def learnt(self) -> list[str]:
        """Names of the tasks, one for each model."""
        return [task.name for task in self.tasks]

    @property
    def embedder(self) -> str:
        """Embedder of the completions of the fixed prompts."""
        return self.measurement.embedder

    @property
    def large(self) -> bool:
        """Whether one core is too few for the base model."""
        return self.model.large

    @property
    def known(self) -> bool:
        """Whether every corpus comes from a known law."""
        return all(corpus.known for corpus in self.read)

    @property
    def first_training(self) -> TrainingConfig:
        """Training of generation 0."""
        return self.initial_training or self.training
