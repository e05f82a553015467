"""K models with private data each, a public dataset, and a web to which all of them write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from commensal.llm.config import GridPoint, InteractiveConfig, SamplingConfig
from commensal.llm.corpora import Example, held_back
from commensal.llm.generation import Generation
from commensal.llm.seeds import generator


class Pools(NamedTuple):
    """Sources of a model's training data."""

    private: Sequence[Example]
    public: Sequence[Example]
    human: Sequence[Example]
    """Human texts about all tasks on the web. Fresh ones of one generation are used in their order,
    each once; others are drawn."""
    web: Callable[..., Sequence[Example]]
    """Texts that all models of a past generation wrote, or one of them: ``web(t, model)``."""
    model: int = 0
    """Number of the model that reads."""


class Drawn(NamedTuple):
    """Training data of one model for one generation."""

    examples: Sequence[Example]
    passes: int = 1
    """Multiplier on ``training.steps``."""


class Interactive:
    """The interactive workflow (paper ``interactive``, sec. 4 and 6).

    Generation t trains model k on n examples drawn i.i.d. from its private data D̃_k, the public
    D_* and the web D_t with weights ᾱβ, ᾱβ̄ and α; D_t is what all models of generation t - 1
    wrote, or those that the reading network gives it, each with its weight; with a memory also what
    they wrote in the generations that are kept. At t = 0 there is no web. A share of the web may be
    human: texts about all tasks, which by default are held back from all that models have as their
    private data, and used once each. With a memory each generation brings as many of them to each
    model as it would read once, and they are kept as long as what models wrote in it: a model draws
    from all that are kept.

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
        held = self._held_back(generation)
        train_on_drawn(generation, self.draw, held)
        measure(generation, private=[one.seen for one in held])

    def _held_back(self, generation: Generation) -> list[Human]:
        """Divide the private texts into those that models have, and fresh ones for the web."""
        tasks, point = generation.resources.tasks, generation.point
        if self.config.human_texts == "seen" or not self.config.human_share:
            human = [example for task in tasks for example in task.train]
            return [Human(task.train, human) for task in tasks]
        alike = [s for s in self.config.grid() if s.seed == point.seed]
        needed = max(int(self._humans(s).sum()) for s in alike)
        each = -(-needed // len(tasks))
        change = "take tasks with more texts (train, limit), or lower human_share or generations"
        found = [
            held_back(task, each, generation.rng("held back", task.name), change) for task in tasks
        ]
        # about all tasks in turn
        fresh = [text for turn in zip(*(one.fresh for one in found), strict=True) for text in turn]
        counts = self._humans(point)
        used = np.cumsum([0, *counts.ravel()])
        if not generation.index:
            return [Human(one.seen, ()) for one in found]
        kept = self.config.kept(generation.index)
        parts = [[t * len(tasks) + model for t in kept] for model in range(len(tasks))]
        return [
            Human(one.seen, [text for i in of_model for text in fresh[used[i] : used[i + 1]]])
            for one, of_model in zip(found, parts, strict=True)
        ]

    def _humans(self, point: GridPoint) -> Int[np.ndarray, "generations models"]:
        """Count the new human texts that are there for each model in each later generation.

        As many as it will draw; with a memory, from which texts are drawn again, as many as it
        would draw on average, so that each generation has the same weight.
        """
        models, training = len(self.config.tasks), self.config.training
        count = training.examples_drawn or training.examples
        weights = [self._weights(point, 1, model) for model in range(models)]
        found = np.zeros((self.config.generations, models), dtype=int)
        if self.config.remembers:
            found += max(1, round(count * weights[0][-1] / sum(weights[0])))
            return found * (weights[0][-1] > 0)
        for t, model in np.ndindex(*found.shape):
            rng = generator(point.seed, "data", t + 1, model)
            chosen, _ = _sources(weights[model], count, rng)
            found[t, model] = (chosen == len(weights[model]) - 1).sum()
        return found * (weights[0][-1] > 0)

    def _weights(self, point: GridPoint, generation: int, model: int) -> list[float]:
        """Return the weights of private, public, web (by model where it matters) and human."""
        alpha = float(point.coordinates["alpha"])
        alpha = self.config.web_share(alpha, generation) if generation else 0.0
        beta, human = float(point.coordinates["beta"]), self.config.human_share
        if generation == 0 and self.config.initial_beta is not None:
            beta = self.config.initial_beta
        shares = self._shares(point, model).values()
        web = [alpha * (1 - human) * share for share in shares]
        return [(1 - alpha) * beta, (1 - alpha) * (1 - beta), *web, alpha * human]

    def _shares(self, point: GridPoint, model: int) -> dict[int | None, float]:
        """Return how a model weighs what each model wrote, or all together (None) if all alike."""
        network = self.config.network(point)
        if np.allclose(network, 1 / len(network)):
            return {None: 1.0}
        return dict(enumerate(network[model].tolist()))

    def draw(
        self, point: GridPoint, generation: int, pools: Pools, rng: np.random.Generator
    ) -> Drawn:
        """Draw n examples from the three or four sources."""
        training = self.config.training if generation else self.config.first_training
        weights = self._weights(point, generation, pools.model)
        count = training.examples_drawn or training.examples
        shares = self._shares(point, pools.model)
        webs: list[Sequence[Example]] = [() for _ in shares]
        if generation and self.reads_web(point):
            kept = self.config.kept(generation)
            webs = [
                [text for t in kept for text in pools.web(t, writer)] if share else ()
                for writer, share in shares.items()
            ]
        sources = [pools.private, pools.public, *webs, pools.human]
        once = self.config.human_texts == "fresh" and not self.config.remembers
        return Drawn(mixture(sources, weights, count, rng, once=once))


def _sources(
    weights: Sequence[float], count: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Draw sources by their weights, and places in them as shares."""
    which, where = rng.random((2, count))
    ends = np.cumsum(weights) / np.sum(weights)
    return np.searchsorted(ends, which, side="right").clip(max=len(weights) - 1), where


def mixture(
    sources: Sequence[Sequence[Example]],
    weights: Sequence[float],
    count: int,
    rng: np.random.Generator,
    *,
    once: bool = False,
) -> list[Example]:
    """Draw examples i.i.d.: first the source, then one of its texts.

    Two draws with the same generator and other weights use the same numbers, so that where they
    choose the same source they choose the same text. With ``once`` the texts of the last source
    are taken in their order, each once.
    """
    chosen, where = _sources(weights, count, rng)
    fresh = iter(sources[-1])
    return [
        next(fresh) if once and s == len(sources) - 1 else sources[s][int(w * len(sources[s]))]
        for s, w in zip(chosen.tolist(), where.tolist(), strict=True)
    ]


Draw = Callable[[GridPoint, int, Pools, np.random.Generator], Drawn]


class Human(NamedTuple):
    """Human texts of one model: its private data, and those that it meets on the web."""

    seen: Sequence[Example]
    new: Sequence[Example]


def train_on_drawn(
    generation: Generation, draw: Draw, human: Sequence[Human] | None = None
) -> None:
    """Train every model on what it draws from its task, the public data and the web."""
    resources, config = generation.resources, generation.config
    known = human or [Human(task.train, ()) for task in resources.tasks]
    web = cache(generation.web)  # models read the same files
    drawn = [
        draw(
            generation.point,
            generation.index,
            Pools(own.seen, resources.public.train, own.new, web, model),
            generation.rng("data", generation.index, model),
        )
        for model, own in enumerate(known)
    ]
    generation.train(
        [resources.encode(d.examples) for d in drawn],
        config.training if generation.index else config.first_training,
        passes=[d.passes for d in drawn],
    )


def measure(
    generation: Generation,
    sampling: SamplingConfig | None = None,
    private: Sequence[Sequence[Example]] | None = None,
) -> None:
    """Score the models, compare them, and let each complete prompts of its own task for the web.

    Parameters
    ----------
    generation : Generation
    sampling, private
        What :func:`write` takes. What is looked at is always sampled alike.
    """
    generation.score()
    generation.look()
    if generation.writes_web:
        write(generation, sampling, private)


def write(
    generation: Generation,
    sampling: SamplingConfig | None = None,
    private: Sequence[Sequence[Example]] | None = None,
) -> None:
    """Let each model complete prompts of its own task for the web.

    Parameters
    ----------
    generation : Generation
    sampling : SamplingConfig, optional
        By default the run's.
    private : sequence of sequences of Example, optional
        Texts whose prompts each model completes; by default all training texts of its task.
    """
    config = generation.config
    count = config.sampling.count or config.training.examples_drawn or config.training.examples
    for model, task in enumerate(generation.resources.tasks):
        texts = task.train if private is None else private[model]
        rng = generation.rng("web", generation.index, model)
        prompts = generation.resources.prompts_of(texts, count, rng)
        names = [task.name] * count
        generation.complete(model, prompts, rng, kind="web", datasets=names, sampling=sampling)
