"""Settings of populations that evolve on their own texts."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from commensal.llm.config._grid_point import GridPoint
from commensal.llm.config._judges import JudgeConfig
from commensal.llm.config._parts import Count, ScratchModel, Settings, TrainingConfig
from commensal.llm.config._run import TrainedConfig
from commensal.llm.multiple_choice import QuestionsConfig

_one_or_more = BeforeValidator(lambda v: tuple(v) if isinstance(v, (list, tuple)) else (v,))

Selection = Literal["accuracy", "loss", "oracle", "preference", "random", "none"]
Inheritance = Literal["full", "data"]
Reads = Literal["one", "pooled"]
Writers = Literal["selected", "all"]

_Size = Annotated[float, Field(ge=0)]


def _several(of: Any) -> Any:
    """Annotate a setting that takes one value or more."""
    return Annotated[tuple[of, ...], _one_or_more, Field(min_length=1)]


class Arm(Settings):
    """Populations of one kind; settings with several values give one grid point per combination."""

    population: _several(Count)  # pyright: ignore[reportInvalidTypeForm]
    """Numbers of models N. One model alone learns from its own texts: a single lineage."""
    selection: _several(Selection) = ("accuracy",)  # pyright: ignore[reportInvalidTypeForm]
    """Criteria by which parents are selected. accuracy: of the questions; loss: on the task's test,
    which orders models as their perplexity does; oracle: KL divergence from the task's law, which
    has to be known; preference: share of comparisons with the others that the ``judge`` decides for
    the model; random: by lot; none: no selection, every model keeps its weights."""
    selected: Count | None = None
    """Number of models k that are selected; by default √N rounded down, as in the paper."""
    questions: Annotated[tuple[str, ...], _one_or_more] = ()
    """Names of the questions for selection by accuracy, such as "mmlu", or "mmlu+siqa" for the mean
    accuracy over two sets; by default the first."""
    inheritance: _several(Inheritance) = ("full",)  # pyright: ignore[reportInvalidTypeForm]
    """Inheritance of the offspring. full: weights of one parent, texts of the other; data: texts
    alone, weights of the base."""
    reads: _several(Reads) = ("one",)  # pyright: ignore[reportInvalidTypeForm]
    """Texts that a model is trained on. one: those of one writer, the other parent in the paper;
    pooled: those of all who write."""
    writers: _several(Writers) = ("selected",)  # pyright: ignore[reportInvalidTypeForm]
    """Models whose texts are read: the selected ones, as in the paper, or all N. Where nobody is
    selected, all."""
    mutation: Annotated[tuple[_Size, ...], _one_or_more] = ()
    """Sizes of mutations λ; by default that of the run."""
    noise: _several(_Size) = (0.0,)  # pyright: ignore[reportInvalidTypeForm]
    """Standard deviation of the noise added to the values by which models are ranked."""
    replicates: Count | None = None
    """Number of replicates; by default that of the run."""


class EvolutionConfig(TrainedConfig):
    """Populations under selection, mutation and crossover (paper ``pollination``, sec. 3, 5).

    The one task is the human text that all start from, and its prompts are what is completed;
    the public data are what the base has learnt.

    Examples
    --------
    Selection by the preferences of a noisy judge, who knows the law, against lots:

    >>> from commensal.llm.presets import read_config
    >>> changes = ["judge={kind: law, noise: 0.5}", "arms.1.selection=[preference, random]"]
    >>> config = read_config("evolution", changes)
    >>> config.judge.kind, config.judge.noise, config.arms[1].selection
    ('law', 0.5, ('preference', 'random'))
    """

    makes: ClassVar[str] = "commensal.llm.workflows.evolution:Evolution"
    report: ClassVar[str] = "commensal.llm.reports.evolution:contents"
    process: ClassVar[str | None] = "gaussian"

    workflow: Literal["evolution"] = "evolution"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    """Populations that are compared, each of one kind."""
    questions: Annotated[tuple[QuestionsConfig, ...], _one_or_more, Field(min_length=1)]
    """Questions that models are asked; a name alone is one of the Hub's sets of the paper."""
    held_out_questions: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the questions that selection does not use."""
    mutation: Annotated[float, Field(ge=0)] = 0.01
    """Size of mutations λ: each weight is changed by λ times the standard deviation of its own
    tensor, times a number between -1/2 and 1/2."""
    judge: JudgeConfig | None = None
    """Judge for selection by preference: in each generation all models of a population answer the
    same prompts, and every two answers are compared. kind law: a judge that knows the task's law;
    kind model: a causal model from a folder (``name``). With a judge the rewards of all populations
    are measured, however they are selected. By default there is none."""
    retraining: TrainingConfig | None = None
    """Training of models that start from the base's weights again; by default as ``training``."""
    least_tokens: Annotated[int, Field(ge=0)] = 10
    """Least number of tokens of a completion; shorter ones are dropped."""

    @field_validator("tasks")
    @classmethod
    def _one_task(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) != 1:
            raise ValueError(f"a population has one task, got {len(value)}")
        return value

    @model_validator(mode="after")
    def _questions_fit(self) -> EvolutionConfig:
        names = [asked.name for asked in self.questions]
        taken = [corpus.name for corpus in (*self.tasks, self.public)]
        for name in names:
            if names.count(name) > 1 or name in taken:
                raise ValueError(f"questions need a name of their own, got {name!r} twice")
        for arm in self.arms:
            for name in itertools.chain(*(both.split("+") for both in arm.questions)):
                if name not in names:
                    raise ValueError(f"there are no questions {name!r} among {', '.join(names)}")
            if arm.selected is not None and arm.selected > min(arm.population):
                raise ValueError(
                    f"of a population of {min(arm.population)} at most as many can be selected, "
                    f"got {arm.selected}"
                )
        (task,) = self.tasks
        if not task.known and any("oracle" in arm.selection for arm in self.arms):
            raise ValueError(
                f"selection by oracle needs a known law, which the task {task.name!r} has not; "
                "select by loss"
            )
        if self.judge is None and any("preference" in arm.selection for arm in self.arms):
            raise ValueError(
                "selection by preference needs a judge: set judge to {kind: law}, or to {kind: "
                "model, name: FOLDER} for texts whose law is not known"
            )
        if self.judge is not None and self.judge.knows_law and not task.known:
            raise ValueError(
                f"the judge needs a known law, which the task {task.name!r} has not; set judge to "
                "{kind: model, name: FOLDER}"
            )
        for asked in self.questions:
            if not asked.about_law:
                continue
            if not task.known:
                raise ValueError(
                    f"questions {asked.name!r} are about a known law, which the task "
                    f"{task.name!r} has not"
                )
            if isinstance(self.model, ScratchModel):
                words = asked.longest(task.prompt_words)
                if words is not None and words > self.model.context:
                    raise ValueError(
                        f"questions {asked.name!r} need a context of {words} tokens, got "
                        f"{self.model.context}"
                    )
        return self

    @model_validator(mode="after")
    def _texts_fit(self) -> EvolutionConfig:
        if self.least_tokens > self.sampling.max_new_tokens:
            raise ValueError(
                f"no completion of at most {self.sampling.max_new_tokens} tokens "
                f"(sampling.max_new_tokens) has {self.least_tokens} (least_tokens)"
            )
        return self

    def grid(self) -> list[GridPoint]:
        """List every population of every arm once; one size and replicate share generation 0.

        Replicates of one number have the same seed whatever the arm: the first models of a large
        population start like those of a small one, and like the single lineage.
        """
        found: dict[str, GridPoint] = {}
        for arm in self.arms:
            replicates = range(arm.replicates or self.replicates)
            for n, selection, inheritance, reads, writers, r in itertools.product(
                arm.population, arm.selection, arm.inheritance, arm.reads, arm.writers, replicates
            ):
                alone, none = n == 1, "none"
                selection = none if alone else selection
                lots = selection in ("random", none)
                names = arm.questions or (self.questions[0].name,)
                for questions, mutation, noise in itertools.product(
                    names if selection == "accuracy" else (none,),
                    (0.0,) if alone else arm.mutation or (self.mutation,),
                    (0.0,) if lots else arm.noise,
                ):
                    coordinates: dict[str, float | str] = {
                        "population": float(n),
                        "selection": selection,
                        "selected": float(
                            n if selection == none else arm.selected or math.isqrt(n)
                        ),
                        "questions": questions,
                        "inheritance": inheritance,
                        "reads": "one" if alone else reads,
                        "writers": "all" if selection == none else writers,
                        "mutation": float(mutation),
                        "noise": float(noise),
                        "replicate": float(r),
                    }
                    name = ",".join(
                        f"{key}={value if isinstance(value, str) else format(value, 'g')}"
                        for key, value in coordinates.items()
                    )
                    start = f"start,population={n},replicate={r}"
                    point = GridPoint(name, coordinates, start, self.seed_of_replicate(r))
                    found.setdefault(name, point)
        return list(found.values())

    def downloads(self) -> list[str]:
        """Name the questions of the Hub, each set once, and the judge if it is there."""
        far = [asked.remote for asked in self.questions if asked.remote is not None]
        found = [f"questions {name!r}" for name in dict.fromkeys(far)]
        if self.judge is not None and self.judge.remote is not None:
            found.append(self.judge.remote)
        return found

    def whose(self, at: int) -> str:
        """Name those who learn from a corpus, for reports."""
        return "generation 0" if at < len(self.tasks) else "the base (public)"

    def facts(self) -> list[tuple[str, str]]:
        """Describe the populations, their selection and their inheritance, for reports."""
        points = self.grid()
        sizes = sorted({int(s.coordinates["population"]) for s in points})
        chosen = dict.fromkeys(
            str(s.coordinates["selection"])
            for s in points
            if s.coordinates["population"] > 1  # pyright: ignore[reportOperatorIssue]
        )
        return [
            ("population (N)", ", ".join(map(str, sizes))),
            ("selection", ", ".join(chosen) or "none"),
            *([] if self.judge is None else [("judge", self.judge.described())]),
            ("mutation (λ)", f"{self.mutation:g}"),
            ("questions", "; ".join(asked.described() for asked in self.questions)),
            ("held-out questions", f"{self.held_out_questions:.0%}"),
            ("shortest completion", f"{self.least_tokens} tokens"),
            (
                "sampling",
                f"temperature {self.sampling.temperature:g}, top-p {self.sampling.top_p:g}",
            ),
        ]
