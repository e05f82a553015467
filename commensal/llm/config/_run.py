"""Settings of every workflow that trains models."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from commensal.llm.config._experiment import ExperimentConfig
from commensal.llm.config._parts import (
    MeasurementConfig,
    ModelConfig,
    SamplingConfig,
    ScratchModel,
    TrainingConfig,
)
from commensal.llm.corpora import PRESETS, CorpusConfig


def _named(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in PRESETS:
        raise ValueError(f"there is no corpus {value!r}; known: {', '.join(PRESETS)}")
    return PRESETS[value]


CorpusOrName = Annotated[CorpusConfig, BeforeValidator(_named)]


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
    model: ModelConfig = ScratchModel()
    initial_training: TrainingConfig | None = None
    """Training of generation 0; by default as ``training``."""
    training: TrainingConfig = TrainingConfig()
    sampling: SamplingConfig = SamplingConfig()
    measurement: MeasurementConfig = MeasurementConfig()
    keep: Literal["last", "all", "none"] = "last"
    """Generations whose weights stay on disk. With none, a killed run starts its unfinished grid
    points anew."""

    @model_validator(mode="after")
    def _distinct(self) -> TrainedConfig:
        names = [self.public.name, *(task.name for task in self.tasks)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two corpora have the name {name!r}")
        return self

    @model_validator(mode="after")
    def _fits(self) -> TrainedConfig:
        if isinstance(self.model, ScratchModel):
            if self.model.tokenizer == "words" and not self.known:
                raise ValueError(
                    "tokenizer words needs corpora of kind markov, one token per word; use bpe"
                )
            for corpus in (self.public, *self.tasks):
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

    def downloads(self) -> list[str]:
        """Name the workflow's downloads beside corpora, base model and embedder."""
        return []

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
        return [("model", model), ("training", steps)]

    @property
    def corpora(self) -> tuple[CorpusConfig, ...]:
        """Corpora of the run: the models' own tasks, and the public corpus last."""
        return (*self.tasks, self.public)

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
        return all(corpus.known for corpus in self.corpora)

    @property
    def first_training(self) -> TrainingConfig:
        """Training of generation 0."""
        return self.initial_training or self.training
