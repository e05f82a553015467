"""Populations of models: the best are chosen, change a little, and have offspring in pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from commensal.llm.config import EvolutionConfig, GridPoint, part
from commensal.llm.corpora import Example
from commensal.llm.generation import Generation
from commensal.llm.measures.preference import Given, Rewards, compared
from commensal.llm.models.pretrained import trainable
from commensal.llm.multiple_choice import Questions, load_questions
from commensal.llm.multiple_choice.answering import Sheet, accuracy, sheet
from commensal.llm.seeds import generator, seed_of


class Child(NamedTuple):
    """Origins of a model of the next generation."""

    weights: int
    """Index of the model whose weights it inherits."""
    texts: tuple[int, ...]
    """Indices of the models whose texts it is trained on."""


class Evolution:
    """Population evolution on synthetic texts (paper ``pollination``, sec. 3, app. C and D).

    Generation 0: N models, each trained from the base on human texts with its own seed. Then, in
    every generation: the best k = √N are chosen; the weights of each change a little; and each
    ordered pair (i, j) of them has a child that starts from i's weights (or the base's) and is
    trained on j's texts alone. Later generations see no human text but the prompts, which are not
    learnt unless ``training.loss_on`` is text.

    What the paper does at once can be told apart: who is selected (``selection``), whose texts are
    there to be read (``writers``), and whether a child reads one writer or all (``reads``).

    Only those who are read write, and everyone in generation 0, since populations that choose
    differently start alike. Who is chosen depends on what was measured in the generation before
    and on the seed, so that it comes out the same whenever it is asked.

    Parameters
    ----------
    config : EvolutionConfig

    Raises
    ------
    ValueError
        If the questions cannot be read, or the judge cannot be opened.
    """

    def __init__(self, config: EvolutionConfig) -> None:
        self.config = config
        self.questions = questions_of(config)
        self._sheets: list[tuple[str, str, Sheet]] | None = None
        judge = config.judge
        self._rewards: Rewards | None = None if judge is None else part(judge.judges)(judge)

    def models(self, point: GridPoint) -> int:
        """Return the number of models N."""
        return int(point.coordinates["population"])

    def reads_web(self, point: GridPoint) -> bool:
        """Return True, as there is nothing else to learn from."""
        return True

    def make(self, generation: Generation) -> None:
        """Select, change, pair, train, measure, write."""
        if generation.index == 0:
            self._train_on_human_texts(generation)
        else:
            self._next(generation)
        generation.score()
        self._answer(generation)
        self._judge(generation)
        generation.look()
        _spread(generation)
        if generation.writes_web:
            self._write(generation)

    def _train_on_human_texts(self, generation: Generation) -> None:
        (task,) = generation.resources.tasks
        training = self.config.first_training
        count = training.examples_drawn or training.examples
        drawn = [
            some(task.train, count, generation.rng("data", 0, model))
            for model in range(len(generation.models))
        ]
        generation.train([generation.resources.encode(examples) for examples in drawn], training)

    def _next(self, generation: Generation) -> None:
        """Choose parents in the generation before, make their children, and train these."""
        t, training, point = generation.index, self.config.training, generation.point
        anew = point.coordinates["inheritance"] == "data"
        if anew and self.config.retraining is not None:
            training = self.config.retraining
        children = self.children(point, t, generation.past.metrics(t - 1))
        writers = sorted({writer for child in children for writer in child.texts})
        texts = {writer: self._texts(generation, writer) for writer in writers}
        count = training.examples_drawn or training.examples
        data = []
        for model, child in enumerate(children):
            pool = [example for writer in child.texts for example in texts[writer]]
            data.append(some(pool, count, generation.rng("data", t, model)))
            generation.measured("parent_weights", child.weights, model=model)
            if len(child.texts) == 1:
                generation.measured("parent_texts", child.texts[0], model=model)
        if anew:
            generation.models = [generation.resources.start(k) for k in range(len(children))]
        else:
            parents = {child.weights for child in children}
            seeds = {p: seed_of(point.seed, "mutation", t, p) for p in parents}
            strength = float(point.coordinates["mutation"])
            generation.models = [
                mutated(generation.models[child.weights], strength, seeds[child.weights])
                for child in children
            ]
        generation.train([generation.resources.encode(examples) for examples in data], training)

    def children(self, point: GridPoint, generation: int, measured: pd.DataFrame) -> list[Child]:
        """List the models of a generation by whose weights and texts they get (app. C: crossover).

        The N children are ordered pairs of the k selected: in turn, all k² of them where N = k².
        Where others than the selected write too, lots decide who reads whom.

        Parameters
        ----------
        point : GridPoint
        generation : int
        measured : pandas.DataFrame
            What was measured in the generation before.
        """
        n, parents = self.models(point), self.parents(point, generation, measured)
        everyone = point.coordinates["writers"] == "all"
        if len(parents) == n:
            weights, texts = list(range(n)), list(range(n))
        else:
            couples = pairs(parents)
            weights, texts = zip(*(couples[c % len(couples)] for c in range(n)), strict=True)
        if point.coordinates["reads"] == "pooled":
            pool = tuple(range(n)) if everyone else tuple(parents)
            return [Child(parent, pool) for parent in weights]
        if everyone:
            texts = generator(point.seed, "readers", generation).permutation(n).tolist()
        return [Child(w, (t,)) for w, t in zip(weights, texts, strict=True)]

    def parents(self, point: GridPoint, generation: int, measured: pd.DataFrame) -> list[int]:
        """List the parents in the generation before, the best first (app. C: selection).

        Parameters
        ----------
        point : GridPoint
        generation : int
            Of the children.
        measured : pandas.DataFrame
            What was measured in the generation before.

        Returns
        -------
        list of int
            k of them; all N where nobody is selected.
        """
        n, signal = self.models(point), point.coordinates["selection"]
        if signal == "none":
            return list(range(n))
        fitness = np.zeros(n)
        if signal == "accuracy":
            sets = str(point.coordinates["questions"]).split("+")
            fitness = np.mean([_of_each(measured, "accuracy", name, n) for name in sets], axis=0)
        elif signal in ("loss", "oracle"):
            metric = "kl" if signal == "oracle" else "loss"
            fitness = -_of_each(measured, metric, self.config.tasks[0].name, n)
        elif signal == "preference":
            fitness = _of_each(measured, "preferred", self.config.tasks[0].name, n)
        noise = float(point.coordinates["noise"])
        order = ranked(fitness, noise, generator(point.seed, "selection", generation))
        return order[: int(point.coordinates["selected"])]

    def _texts(self, generation: Generation, parent: int) -> list[Example]:
        """Return the completions of one parent, without those that are too short."""
        written = generation.web(generation.index - 1, parent)
        least = self.config.least_tokens
        tokens = generation.resources.tokenizer(
            [text for _, text in written], add_special_tokens=False
        ).input_ids
        kept = [e for e, ids in zip(written, tokens, strict=True) if len(ids) >= least]
        generation.measured("dropped", 1 - len(kept) / len(written), model=parent)
        if not kept:
            raise ValueError(
                f"{generation.point.name}: all {len(written)} completions that model {parent + 1} "
                f"of generation {generation.index - 1} wrote are shorter than {least} tokens; "
                "lower least_tokens"
            )
        return kept

    def _answer(self, generation: Generation) -> None:
        """Measure the accuracy of every model on all questions."""
        if self._sheets is None:
            resources = generation.resources
            self._sheets = [
                (of.name, metric, sheet(asked, of, resources.tokenizer, int(resources.context)))
                for of in self.questions
                for metric, asked in (("accuracy", of.asked), ("accuracy_held_out", of.held_out))
                if asked
            ]
        for model, network in enumerate(generation.models):
            for name, metric, asked in self._sheets:
                with generation.clock("score", model, asked.tokens):
                    value = accuracy(
                        network,
                        asked,
                        padding=generation.resources.padding,
                        batch_size=self.config.measurement.batch_size,
                        precision=self.config.training.precision,
                    )
                generation.measured(metric, value, model=model, dataset=name)
                if metric == "accuracy":
                    # the binomial one: of questions drawn anew, not of models trained anew
                    error = math.sqrt(value * (1 - value) / len(asked.right))
                    generation.measured("accuracy_error", error, model=model, dataset=name)

    def _judge(self, generation: Generation) -> None:
        """Let every model answer the same prompts, and the judge compare every two answers.

        ``reward`` is the mean reward of a model's answers without those that are none
        (``unjudged`` is their share), ``preferred`` the share of comparisons that it won, and
        ``upset`` the share of all comparisons that went to the lower reward.
        """
        judge, (task,) = self.config.judge, generation.resources.tasks
        if judge is None or self._rewards is None:
            return
        t, models = generation.index, len(generation.models)
        prompts = generation.resources.prompts_of(
            task.train, judge.prompts, generation.rng("judged prompts", t)
        )
        given = Given(
            task.source,
            generation.resources.base.device,
            self.config.measurement.batch_size,
            self.config.training.precision,
        )
        rewards = np.empty((models, len(prompts)))
        for model in range(models):
            rng, names = generation.rng("judged", t, model), [task.name] * len(prompts)
            answers = generation.complete(model, prompts, rng, kind="judged", datasets=names)
            with generation.clock("judge", model, sum(len(text.split()) for text in answers)):
                rewards[model] = self._rewards(prompts, answers, given)
            able = np.isfinite(rewards[model])
            mean = float(rewards[model][able].mean()) if able.any() else math.nan
            generation.measured("reward", mean, model=model, dataset=task.name)
            generation.measured("unjudged", 1 - able.mean(), model=model, dataset=task.name)
        if models > 1:
            found = compared(rewards, judge.noise, generation.rng("judge", t))
            for model, share in enumerate(found.won):
                generation.measured("preferred", share, model=model, dataset=task.name)
            generation.measured("upset", found.upset, dataset=task.name)

    def _write(self, generation: Generation) -> None:
        """Let each future parent complete prompts of the task."""
        config, (task,) = self.config, generation.resources.tasks
        writers = list(range(len(generation.models)))
        if generation.index and generation.point.coordinates["writers"] == "selected":
            writers = self.parents(generation.point, generation.index + 1, generation.metrics)
        training = config.training
        # as many whoever reads them, so that arms differ in nothing else
        count = config.sampling.count or training.examples_drawn or training.examples
        for model in sorted(writers):
            rng = generation.rng("web", generation.index, model)
            prompts = generation.resources.prompts_of(task.train, count, rng)
            generation.complete(model, prompts, rng, kind="web", datasets=[task.name] * count)


def questions_of(config: EvolutionConfig) -> list[Questions]:
    """Load all questions of a run. Needs no model.

    Raises
    ------
    ValueError
        If they cannot be read.
    """
    return [
        load_questions(
            asked,
            config.tasks[0],
            seed_of(config.seed, "questions", asked.name),
            config.held_out_questions,
        )
        for asked in config.questions
    ]


def ranked(fitness: np.ndarray, noise: float | int, rng: np.random.Generator) -> list[int]:
    """Rank indices from the highest fitness to the lowest; lots decide between equal ones.

    Examples
    --------
    >>> ranked(np.array([0.1, 0.7, 0.4]), 0.0, np.random.default_rng(0))
    [1, 2, 0]
    """
    seen = fitness + noise * rng.standard_normal(len(fitness))
    return np.lexsort((rng.random(len(fitness)), -seen)).tolist()


def pairs(parents: Sequence[int]) -> list[tuple[int, int]]:
    """List every ordered pair of parents, one who gives weights and one who gives texts.

    Examples
    --------
    >>> pairs([3, 0])
    [(3, 3), (3, 0), (0, 3), (0, 0)]
    """
    return [(i, j) for i in parents for j in parents]


def mutated(model: PreTrainedModel, strength: float | int, seed: int) -> PreTrainedModel:
    """Copy a model with θ + λ std(θ) Δ for every tensor θ, Δ uniform in (-1/2, 1/2) (app. C).

    Parameters
    ----------
    model : PreTrainedModel
    strength : float
        λ.
    seed : int
        All children of one parent inherit the same change.
    """
    copy = deepcopy(model)
    if strength:
        # on the CPU, so that a seed means the same on every device
        source = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in trainable(copy).values():
                change = torch.rand(parameter.shape, generator=source) - 0.5
                scale = strength * parameter.std(correction=0)
                parameter.add_(scale * change.to(parameter.device))
    return copy


def some(texts: Sequence[Example], count: int, rng: np.random.Generator) -> list[Example]:
    """Draw ``count`` texts without replacement, or all where there are fewer."""
    return [texts[i] for i in rng.permutation(len(texts))[:count]]


def _of_each(measured: pd.DataFrame, metric: str, dataset: str, count: int) -> np.ndarray:
    rows = measured.loc[(measured["metric"] == metric) & (measured["dataset"] == dataset)]
    values = rows.set_index("model")["value"]
    return np.array([float(values.loc[model]) for model in range(count)])


def _spread(generation: Generation) -> None:
    """Measure distances between the models' texts, for one prompt and between prompts.

    Mean distances of embeddings from their mean, by dataset (app. D.5: spread of models within
    each prompt; fig. 10).
    """
    embedded = generation.arrays.get("embeddings")
    if embedded is None:
        return
    for test, vectors in zip(generation.resources.tests, embedded.swapaxes(0, 1), strict=True):
        known = vectors[:, : len(test.prompts)].astype(float)
        centres = known.mean(axis=0)
        within = np.linalg.norm(known - centres, axis=-1).mean()
        between = np.linalg.norm(centres - centres.mean(axis=0), axis=-1).mean()
        each = np.linalg.norm(known - known.mean(axis=1, keepdims=True), axis=-1).mean(axis=1)
        generation.measured("spread_models", within, dataset=test.name)
        generation.measured("spread_prompts", between, dataset=test.name)
        for model, value in enumerate(each):
            generation.measured("spread_texts", value, model=model, dataset=test.name)
