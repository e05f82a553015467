"""Ecosystems of M models that share a fixed budget of data, and learn from all that they write."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from transformers import PreTrainedModel

from commensal.llm.config import GridPoint, SegmentedConfig
from commensal.llm.config._segmented import too_few
from commensal.llm.generation import Generation
from commensal.llm.models.blocks import (
    Blocks,
    as_examples,
    begin_of,
    block_losses,
    blocks_of,
    continuations,
)
from commensal.llm.models.loading import context_of
from commensal.llm.resources import RunResources


class Real(NamedTuple):
    """The real data of one replicate."""

    segments: list[Blocks]
    """Generation set of each model: it writes one continuation for each of these blocks."""
    validation: Blocks
    test: Blocks

    @property
    def pool(self) -> Blocks:
        """Blocks of all segments together."""
        return np.concatenate(self.segments)


class Segmented:
    """The segmented workflow (paper ``diversity``, sec. 3).

    At t = 0 model m trains on its own segment of the real data. Then every model writes one
    continuation for each block of that segment, generation after generation; what all have
    written is pooled, shuffled and dealt out again, as many blocks to each as before, and each
    goes on training on what it got, or starts from the base again (``restart``). Of the epochs the
    best on real validation blocks is kept.

    There are two controls for each M > 1, which the paper lacks. ``alone``: the same M models on
    the same segments, but each reads its own texts alone, so that nothing is pooled.
    ``fewer_steps``: one model on all data that takes as many steps as one of the M models.

    Parameters
    ----------
    config : SegmentedConfig
    """

    def __init__(self, config: SegmentedConfig) -> None:
        self.config = config
        self._streams: tuple[Blocks, Blocks] | None = None

    def models(self, point: GridPoint) -> int:
        """Return the number of models: M, or 1 for the control with fewer steps."""
        return len(self.config.counts(point))

    def reads_web(self, point: GridPoint) -> bool:
        """Return True, as every model trains on what models wrote."""
        return True

    def make(self, generation: Generation) -> None:
        """Train, measure, write."""
        real = self.real(generation)
        data = self.dealt(generation) if generation.index else real.segments
        if generation.index and self.config.restart:
            generation.models = [generation.resources.start(k) for k in range(len(data))]
        train(generation, self.config, data, real.validation)
        measure(generation, real, self.config.counts(generation.point))
        generation.score()
        generation.look()
        if generation.writes_web:
            write(generation, self.config, real.segments)

    def real(self, generation: Generation) -> Real:
        """Cut the real data into segments of N blocks, validation blocks, and the test.

        The same random order whatever M, so that ecosystems of one replicate share their N blocks,
        and those of one M their segments.

        Raises
        ------
        ValueError
            If there are too few blocks, or the model cannot see a block and its continuation.
        """
        train, test = self._blocks(generation.resources)
        order = generation.rng("blocks").permutation(len(train))
        counts, total = self.config.counts(generation.point), self.config.most
        ends = np.cumsum(counts)
        segments = [train[order[end - n : end]] for n, end in zip(counts, ends, strict=True)]
        return Real(segments, train[order[total : total + self.config.validation]], test)

    def _blocks(self, resources: RunResources) -> tuple[Blocks, Blocks]:
        """Cut the whole corpus into blocks, once."""
        if self._streams is None:
            config, (task,) = self.config, resources.tasks
            needed = 2 * config.block + len(begin_of(resources.tokenizer))
            if needed > context_of(resources.base):
                raise ValueError(
                    f"a block of {config.block} tokens and its continuation need a context of "
                    f"{needed}, the model has {context_of(resources.base)}"
                )
            train, test = (
                blocks_of(resources.tokenizer, config.tasks[0], examples, config.block)
                for examples in (task.train, task.test)
            )
            if len(train) < config.needed:
                raise ValueError(too_few(task.name, len(train), config))
            if not len(test):
                raise ValueError(f"the test of {task.name!r} is shorter than a block")
            self._streams = train, test[: config.measurement.test]
        return self._streams

    def dealt(self, generation: Generation) -> list[Blocks]:
        """Pool and shuffle what the models of the generation before wrote, and deal it out.

        Where models are alone, each gets what it wrote itself.
        """
        web = [r for r in generation.past.samples(generation.index - 1) if r["kind"] == "web"]
        counts = self.config.counts(generation.point)
        if generation.point.coordinates["ecosystem"] == "alone":
            own = [[r["tokens"] for r in web if r["model"] == m] for m in range(len(counts))]
            return [np.array(tokens) for tokens in own]
        written = np.array([r["tokens"] for r in web])
        shuffled = generation.rng("deal", generation.index).permutation(written)
        return np.split(shuffled, np.cumsum(counts)[:-1])


def train(
    generation: Generation, config: SegmentedConfig, data: list[Blocks], validation: Blocks
) -> None:
    """Train for some epochs on each model's own blocks; keep the best on the validation blocks."""
    training = config.training if generation.index else config.first_training

    def loss(model: PreTrainedModel) -> float:
        return float(_losses(generation, model, validation).mean())

    begin = begin_of(generation.resources.tokenizer)
    synthetic = generation.index > 0
    generation.train(
        [as_examples(blocks, begin, synthetic=synthetic) for blocks in data],
        training,
        epochs=config.epochs,
        epoch=config.epoch(generation.point),
        validate=loss,
    )


def measure(generation: Generation, real: Real, counts: tuple[int, ...]) -> None:
    """Measure each model's perplexity of the test blocks, and that of all models together.

    ``block_perplexity`` is μ_{m,t}, the mean over the test's blocks of exp(mean loss in the
    block); ``stream_perplexity`` is exp of the mean loss over all of them. ``mu`` is μ_t, eq. (3),
    where a model weighs as its share of the data, 1/M in the paper; ``mu_sd`` is the standard
    deviation over models and blocks (fig. 4). At t = 0 and T ``train_mu`` and ``train_sd`` are
    the same of the real blocks that are dealt out (fig. 5), whose perplexities are kept as
    ``train_perplexity``, (model, block).
    """
    name, config = generation.resources.tasks[0].name, generation.config
    weights = np.array(counts) / sum(counts)
    losses = []
    for model, network in enumerate(generation.models):
        with generation.clock("score", model, real.test.size):
            losses.append(_losses(generation, network, real.test))
        where = {"model": model, "dataset": name}
        generation.measured("block_perplexity", float(_exp(losses[-1]).mean()), **where)
        whole = losses[-1].mean(keepdims=True)
        generation.measured("stream_perplexity", float(_exp(whole)[0]), **where)
    mean, sd = mixed(_exp(np.array(losses)), weights)
    generation.measured("mu", mean, dataset=name)
    generation.measured("mu_sd", sd, dataset=name)
    if generation.index == 0:
        base = _exp(_losses(generation, generation.resources.base, real.test))
        generation.measured("base_mu", float(base.mean()), dataset=name)
    if generation.index in (0, config.generations):
        most = config.measurement.test
        with generation.clock("score", None, real.pool[:most].size * len(generation.models)):
            found = _exp(
                np.array([_losses(generation, m, real.pool[:most]) for m in generation.models])
            )
        generation.arrays["train_perplexity"] = found.astype("f4")
        mean, sd = mixed(found, weights)
        generation.measured("train_mu", mean, dataset=name)
        generation.measured("train_sd", sd, dataset=name)
        generation.measured("train_log_sd", mixed(np.log(found), weights)[1], dataset=name)


def mixed(
    values: Float[np.ndarray, "M N"], weights: Float[np.ndarray, " M"]
) -> tuple[float, float]:
    """Compute mean and standard deviation over weighted models and over blocks."""
    mean = float(weights @ values.mean(axis=1))
    return mean, float(np.sqrt(weights @ ((values - mean) ** 2).mean(axis=1)))


def write(generation: Generation, config: SegmentedConfig, segments: list[Blocks]) -> None:
    """Let every model continue each block of its generation set, for as long again."""
    tokenizer = generation.resources.tokenizer
    for model, (network, blocks) in enumerate(zip(generation.models, segments, strict=True)):
        with generation.clock("generate", model, blocks.size):
            written = continuations(
                network,
                blocks,
                begin_of(tokenizer),
                config.sampling,
                beams=config.beams if config.decoding == "beam" else None,
                padding=generation.resources.padding,
                rng=generation.rng("web", generation.index, model),
            )
        texts = [tokenizer.batch_decode(b, skip_special_tokens=True) for b in (blocks, written)]
        generation.samples += [
            {
                "generation": generation.index,
                "model": model,
                "kind": "web",
                "dataset": generation.resources.tasks[0].name,
                "prompt": prompt,
                "completion": completion,
                "tokens": tokens,
            }
            for prompt, completion, tokens in zip(*texts, written.tolist(), strict=True)
        ]
        generation.progress(0.9 + 0.1 * (model + 1) / len(segments))


def _losses(
    generation: Generation, model: PreTrainedModel, blocks: Blocks
) -> Float[np.ndarray, " N"]:
    return block_losses(
        model,
        blocks,
        begin_of(generation.resources.tokenizer),
        batch_size=generation.config.measurement.batch_size,
        precision=generation.config.training.precision,
    )


def _exp(loss: np.ndarray) -> np.ndarray:
    """Exponentiate a loss, with a finite result whatever the loss."""
    return np.exp(np.minimum(loss, 700.0))
