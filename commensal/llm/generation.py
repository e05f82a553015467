"""One generation in the making: the operations that a workflow has on its models."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from transformers import PreTrainedModel

from commensal.llm.config import GridPoint, SamplingConfig, TrainingConfig
from commensal.llm.corpora import Example, Marked
from commensal.llm.measures import ngrams
from commensal.llm.measures.embeddings import similarity
from commensal.llm.measures.scoring import score
from commensal.llm.models.sampling import sample
from commensal.llm.models.tokens import Encoded, human_share, written_in
from commensal.llm.models.training import Diverged, steps_of, train
from commensal.llm.models.training_vmapped import train_together
from commensal.llm.records.timing import Clock
from commensal.llm.resources import RunResources, Test
from commensal.llm.seeds import generator, seed_of


class Past(NamedTuple):
    """Results of earlier generations of the same grid point."""

    samples: Callable[[int], list[dict[str, Any]]]
    """Function from a generation to the samples that its models wrote."""
    metrics: Callable[[int], pd.DataFrame]
    """Function from a generation to its table of metrics."""


class Generation:
    """Models of one generation, with the operations of training, measuring and writing.

    A workflow calls these methods in the order that it wants; everything measured, written and
    timed on the way is kept for the run directory.

    Parameters
    ----------
    bench : RunResources
    point : GridPoint
    index : int
        0: the first training.
    models : sequence of PreTrainedModel
        Of the generation before, one per model; at generation 0 copies of the base. They are
        trained in place, and may be replaced.
    past : Past
    writes_web : bool
        Whether the next generation needs what this one writes.
    progress : callable
        Called with the share of the training that is done.
    """

    def __init__(
        self,
        resources: RunResources,
        point: GridPoint,
        index: int,
        models: list[PreTrainedModel],
        past: Past,
        *,
        writes_web: bool = True,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.resources = resources
        self.config = resources.config
        self.point = point
        self.index = index
        self.models = models
        self.past = past
        self.writes_web = writes_web
        self.progress = progress
        self.clock = Clock(resources.base.device, index)
        self.samples: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self._rows: list[dict[str, Any]] = []

    def rng(self, *names: str | int) -> np.random.Generator:
        """Return a random generator for one purpose, from this grid point's seed."""
        return generator(self.point.seed, *names)

    def measured(self, metric: str, value: float | int, **where: Any) -> None:
        """Record a number, with the ``model``, ``dataset`` and ``other`` that it belongs to."""
        self._rows.append({"metric": metric, "value": float(value), **where})

    @property
    def metrics(self) -> pd.DataFrame:
        """Tidy table of the measurements so far."""
        columns = ["model", "dataset", "other", "metric", "value"]
        table = pd.DataFrame(self._rows, columns=columns)
        table.insert(0, "generation", self.index)
        table["model"] = table["model"].astype("Int64")
        table["other"] = table["other"].astype("Int64")
        return table

    def web(self, generation: int, model: int | None = None) -> list[Example]:
        """Return what the models of a past generation put on the web, or what one of them did."""
        return [
            written_in(record)
            for record in self.past.samples(generation)
            if record["kind"] == "web" and model in (None, record["model"])
        ]

    def train(
        self,
        data: Sequence[Sequence[Encoded]],
        training: TrainingConfig | Sequence[TrainingConfig],
        *,
        passes: Sequence[int] | None = None,
        epochs: int | None = None,
        epoch: Sequence[int] | None = None,
        validate: Callable[[PreTrainedModel], float] | None = None,
    ) -> None:
        """Train every model on its own examples, in place.

        Parameters
        ----------
        data : sequence of sequences of Encoded
            One for each model.
        training : TrainingConfig, or sequence of TrainingConfig
            The same for all models, or one for each.
        passes : sequence of int, optional
            For each model, a multiplier on the configured number of steps.
        epochs : int, optional
            Number of epochs, which takes the place of the configured number of steps.
        epoch : sequence of int, optional
            For each model, the number of examples of an epoch; by default all of its own.
        validate : callable, optional
            The loss that decides which weights are kept: the best ones of those after each epoch.

        Raises
        ------
        Diverged
            If a loss is not finite.
        """
        times = passes or [1] * len(data)
        each = list(training) if isinstance(training, Sequence) else [training] * len(data)
        lengths: Sequence[int | None] = [None] * len(data)
        steps = [plan.steps * n for plan, n in zip(each, times, strict=True)]
        if epochs is not None:
            lengths = epoch or [len(examples) for examples in data]
            steps = [epochs * steps_of(n, plan) for n, plan in zip(lengths, each, strict=True)]
        plans = [p.model_copy(update={"steps": n}) for p, n in zip(each, steps, strict=True)]
        seen = [
            _tokens(examples, plan.examples if n is None else (epochs or 0) * n)
            for examples, plan, n in zip(data, plans, lengths, strict=True)
        ]
        seeds = [seed_of(self.point.seed, "train", self.index, k) for k in range(len(data))]
        options: dict[str, Any] = {
            "loss_on": plans[0].loss_on,
            "precision": plans[0].precision,
            "padding": self.resources.padding,
        }
        for model, examples in enumerate(data):
            share = human_share(examples, options["loss_on"])
            self.measured("human_share", share, model=model)
        together = plans[0].together and len(data) > 1 and epochs is None
        if together and all(plan == plans[0] for plan in plans):
            with self.clock("train", None, sum(seen)):
                losses = train_together(
                    self.models,
                    data,
                    plans[0],
                    seeds=seeds,
                    progress=lambda step, steps: self.progress(0.75 * step / steps),
                    **options,
                )
        else:
            losses = []
            for model, network in enumerate(self.models):

                def report(step: float | int, steps: float | int, model: int = model) -> None:
                    self.progress(0.75 * (model + step / steps) / len(self.models))

                with self.clock("train", model, seen[model]):
                    try:
                        found = train(
                            network,
                            data[model],
                            plans[model],
                            seed=seeds[model],
                            epoch=lengths[model],
                            validate=validate,
                            progress=report,
                            **options,
                        )
                    except Diverged as error:
                        raise Diverged(str(error), model) from None
                losses.append(found)
        for model, loss in enumerate(losses):
            if loss:
                self.measured("train_loss", float(np.mean(loss)), model=model)
        self.progress(0.75)

    def score(self, tests: Iterable[Test] | None = None) -> None:
        """Compute losses, perplexities and divergences of every model on every dataset.

        At generation 0 also what a model would reach that knows how often each token occurs in
        the training data and nothing else (``unigram_loss``), or nothing at all
        (``uniform_loss``).

        Raises
        ------
        Diverged
            If a loss is not finite.
        """
        precision = self.config.training.precision
        for model, network in enumerate(self.models):
            for test in self.resources.tests if tests is None else tests:
                with self.clock("score", model, sum(len(e.tokens) for e in test.examples)):
                    found = score(
                        network,
                        test.examples,
                        padding=self.resources.padding,
                        batch_size=self.config.measurement.batch_size,
                        precision=precision,
                        rare=test.rare,
                        law=test.law,
                        logits_memory=self.config.measurement.logits_memory,
                    )
                if not math.isfinite(found.loss):
                    why = f"after the training the loss on {test.name} is {found.loss}"
                    raise Diverged(f"{why}; lower the learning rate", model)
                values = {
                    "loss": found.loss,
                    "perplexity": math.exp(min(found.loss, 700.0)),
                    "rare_perplexity": math.exp(min(found.rare_loss, 700.0)),
                }
                if test.law is not None:
                    values |= {"kl": found.kl, "tail_mass": found.tail}
                if self.index == 0:
                    values |= {
                        "unigram_loss": test.unigram_loss,
                        "uniform_loss": test.uniform_loss,
                    }
                for name, value in values.items():
                    self.measured(name, value, model=model, dataset=test.name)
        self.progress(0.8)

    def complete(
        self,
        model: int,
        prompts: Sequence[str],
        rng: np.random.Generator,
        *,
        kind: str,
        datasets: Sequence[str],
        sampling: SamplingConfig | None = None,
    ) -> list[str]:
        """Let one model complete prompts, and keep the completions.

        Parameters
        ----------
        model : int
        prompts : sequence of str
        rng : numpy.random.Generator
        kind : str
            ``"web"`` for what others may train on; any other name for what only is looked at.
        datasets : sequence of str
            Of each prompt.
        sampling : SamplingConfig, optional
            By default the run's.

        Returns
        -------
        list of str
        """
        how = sampling or self.config.sampling
        with self.clock("generate", model, len(prompts) * how.max_new_tokens):
            written = sample(self.models[model], self.resources.tokenizer, prompts, how, rng)
        self.samples += [
            {
                "generation": self.index,
                "model": model,
                "kind": kind,
                "dataset": dataset,
                "prompt": prompt,
                "completion": completion,
            }
            # what others train on, they train on as it was drawn
            | ({"tokens": list(completion.tokens)} if kind == "web" else {})
            | ({"marked": True} if isinstance(prompt, Marked) else {})
            for dataset, prompt, completion in zip(datasets, prompts, written, strict=True)
        ]
        return list(written)

    def look(self) -> None:
        """Let every model complete the fixed prompts; measure their variety and similarity."""
        if not self.config.measurement.prompts:
            return
        prompts = [prompt for test in self.resources.tests for prompt in test.prompts]
        names = [test.name for test in self.resources.tests for _ in test.prompts]
        written: list[str] = []
        for model in range(len(self.models)):
            # the same numbers at every generation: what differs is the model's doing
            rng = self.rng("fixed", model)
            texts = self.complete(model, prompts, rng, kind="fixed", datasets=names)
            written += texts
            for test in self.resources.tests:
                own = [t for t, name in zip(texts, names, strict=True) if name == test.name]
                self._varied(own, model, test)
        self._alike(written)
        self.progress(0.9)

    def _varied(self, texts: Sequence[str], model: int, test: Test) -> None:
        """Measure variety on equally many n-grams in every generation; ``_all`` takes all."""
        values = {"words": sum(len(text.split()) for text in texts) / len(texts)}
        for n in (1, 2, 4):
            size = test.compared(n, self.config.sampling.max_new_tokens)
            values[f"distinct_{n}"] = ngrams.distinct(texts, n, size)
            values[f"distinct_{n}_all"] = ngrams.distinct(texts, n)
            if n < 4:
                values[f"entropy_{n}"] = ngrams.ngram_entropy(texts, n, size)
                values[f"entropy_{n}_all"] = ngrams.ngram_entropy(texts, n)
        for name, value in values.items():
            self.measured(name, value, model=model, dataset=test.name)

    def _alike(self, written: Sequence[str]) -> None:
        """Compute embeddings of the completions and cosine similarities between every two models.

        Where a dataset has fewer prompts than another one the embeddings are NaN.
        """
        vectors = self.resources.embed(written)
        counts = [len(test.prompts) for test in self.resources.tests]
        models = len(self.models)
        out = np.full((models, len(counts), max(counts), vectors.shape[1]), np.nan, "f4")
        at = 0
        for model in range(models):
            for dataset, count in enumerate(counts):
                out[model, dataset, :count] = vectors[at : at + count]
                at += count
        self.arrays["embeddings"] = out
        for a, b in itertools.combinations(range(models), 2):
            for dataset, (test, count) in enumerate(zip(self.resources.tests, counts, strict=True)):
                value = similarity(out[a, dataset, :count], out[b, dataset, :count])
                self.measured("similarity", value, model=a, other=b, dataset=test.name)


def _tokens(examples: Sequence[Encoded], count: int) -> int:
    """Estimate the number of tokens of so many of these examples."""
    return round(count * sum(len(e.tokens) for e in examples) / len(examples))
