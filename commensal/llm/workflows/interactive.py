"""K models with private data each, a public dataset, and a web to which all of them write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from commensal.llm.config import GridPoint, InteractiveConfig, SamplingConfig
from commensal.llm.corpora import Example
from commensal.llm.generation import Generation


class Pools(NamedTuple):
    """Sources of a model's training data."""

    private: Sequence[Example]
    public: Sequence[Example]
    human: Sequence[Example]
    """Real texts about all tasks."""
    web: Callable[[int], Sequence[Example]]
    """Texts that all models of a past generation wrote."""


class Drawn(NamedTuple):
    """Training data of one model for one generation."""

    examples: Sequence[Example]
    passes: int = 1
    """Multiplier on ``training.steps``."""


class Interactive:
    """The interactive workflow (paper ``interactive``, sec. 4 and 6).

    Generation t trains model k on n examples drawn i.i.d. from its private data D̃_k, the public
    D_* and the web D_t with weights ᾱβ, ᾱβ̄ and α; D_t is what all models of generation t - 1
    wrote. At t = 0 there is no web. A share of the web may be human: texts about all tasks.

    Parameters
    ----------
    config : InteractiveConfig
    """

    def __init__(self, config: InteractiveConfig) -> None:
        self.config = config

    def models(self, point: GridPoint) -> int:
        """Return the number of models K, one for each task."""
        return len(self.config.tasks)

    def reads_web(self, point: GridPoint) -> bool:
        """Return whether α is above 0 and not all new data are human."""
        return float(point.coordinates["alpha"]) > 0 and self.config.human_share < 1

    def make(self, generation: Generation) -> None:
        """Draw, train, measure, write."""
        train_on_drawn(generation, self.draw)
        measure(generation)

    def draw(
        self, point: GridPoint, generation: int, pools: Pools, rng: np.random.Generator
    ) -> Drawn:
        """Draw n examples from the three or four sources."""
        alpha = float(point.coordinates["alpha"]) if generation else 0.0
        beta, training = float(point.coordinates["beta"]), self.config.training
        if generation == 0:
            training = self.config.first_training
            if self.config.initial_beta is not None:
                beta = self.config.initial_beta
        human = self.config.human_share
        sources = [pools.private, pools.public]
        weights = [(1 - alpha) * beta, (1 - alpha) * (1 - beta)]
        if alpha > 0:
            web = pools.web(generation - 1) if self.reads_web(point) else ()
            sources += [web, pools.human]
            weights += [alpha * (1 - human), alpha * human]
        return Drawn(mixture(sources, weights, training.examples_drawn or training.examples, rng))


def mixture(
    sources: list, weights: list[float], count: int, rng: np.random.Generator
) -> list[Example]:
    """Draw examples i.i.d.: first the source, then one of its texts.

    Two draws with the same generator and other weights use the same numbers, so that where they
    choose the same source they choose the same text.
    """
    which, where = rng.random((2, count))
    ends = np.cumsum(weights) / np.sum(weights)
    chosen = np.searchsorted(ends, which, side="right").clip(max=len(sources) - 1)
    return [sources[s][int(w * len(sources[s]))] for s, w in zip(chosen, where, strict=True)]


Draw = Callable[[GridPoint, int, Pools, np.random.Generator], Drawn]


def train_on_drawn(generation: Generation, draw: Draw) -> None:
    """Train every model on what it draws from its task, the public data and the web."""
    resources, config = generation.resources, generation.config
    human = [example for task in resources.tasks for example in task.train]
    drawn = [
        draw(
            generation.point,
            generation.index,
            Pools(task.train, resources.public.train, human, generation.web),
            generation.rng("data", generation.index, model),
        )
        for model, task in enumerate(resources.tasks)
    ]
    generation.train(
        [resources.encode(d.examples) for d in drawn],
        config.training if generation.index else config.first_training,
        passes=[d.passes for d in drawn],
    )


def measure(generation: Generation, sampling: SamplingConfig | None = None) -> None:
    """Score the models, compare them, and let each complete prompts of its own task for the web.

    Parameters
    ----------
    stage : Generation
    sampling : SamplingConfig, optional
        For the web alone; by default the run's. What is looked at is always sampled alike.
    """
    config = generation.config
    generation.score()
    generation.look()
    if not generation.writes_web:
        return
    count = config.sampling.count or config.training.examples_drawn or config.training.examples
    for model, task in enumerate(generation.resources.tasks):
        rng = generation.rng("web", generation.index, model)
        prompts = [task.train[i].prompt for i in rng.integers(len(task.train), size=count)]
        names = [task.name] * count
        generation.complete(model, prompts, rng, kind="web", datasets=names, sampling=sampling)
