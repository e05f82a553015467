"""Ecosystems of M models that share a fixed budget of data, and learn from all that they write."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from transformers import PreTrainedModel

from commensal.llm.config import GridPoint, SegmentedConfig, segment_counts
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
from commensal.llm.resources import RunResources, Test


class Real(NamedTuple):
    """The real data of one replicate."""

    segments: list[Blocks]
    """Generation set of each model: it writes one continuation for each of these blocks."""
    validation: Blocks
    tests: dict[str, Blocks]
    """Test blocks of each community; of the one task where it is not divided into some."""
    looked_at: Blocks
    """Blocks of the segments whose perplexities are kept, as many of each community."""
    owned: Int[np.ndarray, "models communities"]
    """Number of blocks in each model's segment of each community that is its own; where a lot has
    mixed the communities, none is."""

    @property
    def pool(self) -> Blocks:
        """Blocks of all segments together."""
        return np.concatenate(self.segments)

    @property
    def test(self) -> Blocks:
        """Test blocks of all communities together."""
        return np.concatenate(list(self.tests.values()))

    @property
    def divided(self) -> bool:
        """Whether there are several communities."""
        return len(self.tests) > 1

    @property
    def weights(self) -> Float[np.ndarray, " N"] | None:
        """Weights of the test blocks, by which each community counts alike; None: they are."""
        sizes = [len(blocks) for blocks in self.tests.values()]
        if len(set(sizes)) == 1:
            return None
        return np.concatenate([np.full(n, 1 / (n * len(sizes))) for n in sizes])


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

    With ``deal: community`` the segments of t = 0 are communities, and every model is tested on
    each of these. What the models write is pooled as ever, so that each of them comes to read
    texts of all communities; models that are ``alone`` stay with their own. The control ``random``
    has the same texts and as many models, but the segments of t = 0 are mixed by lot.

    Parameters
    ----------
    config : SegmentedConfig
    """

    def __init__(self, config: SegmentedConfig) -> None:
        self.config = config
        self._streams: dict[str, tuple[Blocks, Blocks]] = {}

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
        measure(generation, self.config, real, self.config.counts(generation.point))
        generation.score(_tests(generation.resources))
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
        streams = self._blocks(generation.resources)
        config, rng, communities = self.config, generation.rng("blocks"), len(streams)
        # of each community blocks in a random order, the same whatever M
        trains = [train[rng.permutation(len(train))] for train, _ in streams.values()]
        owned = np.array(config.deals(generation.point, communities))
        starts, ends = np.cumsum(owned, axis=0) - owned, np.cumsum(owned, axis=0)
        segments = [
            np.concatenate([t[a:b] for t, a, b in zip(trains, *of_model, strict=True)])
            for of_model in zip(starts, ends, strict=True)
        ]
        if generation.point.coordinates["ecosystem"] == "random":
            mixed_up = generation.rng("mix").permutation(np.concatenate(segments))
            segments = np.split(mixed_up, ends[:-1].sum(axis=1))
            owned = np.zeros_like(owned)
        most, validation = config.most_of(communities), config.validation_of(communities)
        most_seen = config.measurement.test or int(ends[-1].sum())
        seen = np.minimum(segment_counts((1,) * communities, most_seen), ends[-1])
        return Real(
            segments,
            np.concatenate(
                [t[a : a + n] for t, a, n in zip(trains, most, validation, strict=True)]
            ),
            {name: test for name, (_, test) in streams.items()},
            np.concatenate([t[:n] for t, n in zip(trains, seen, strict=True)]),
            owned,
        )

    def _blocks(self, resources: RunResources) -> dict[str, tuple[Blocks, Blocks]]:
        """Cut each community's texts, to train on and to test on, into blocks, once."""
        if not self._streams:
            config = self.config
            needed = 2 * config.block + len(begin_of(resources.tokenizer))
            if needed > context_of(resources.base):
                raise ValueError(
                    f"a block of {config.block} tokens and its continuation need a context of "
                    f"{needed}, the model has {context_of(resources.base)}"
                )
            parts = [
                (settings, part)
                for settings, task in zip(config.tasks, resources.tasks, strict=True)
                for part in task.communities or (task,)
            ]
            found = {}
            for (settings, part), least in zip(parts, config.needed_of(len(parts)), strict=True):
                train, test = (
                    blocks_of(resources.tokenizer, settings, examples, config.block)
                    for examples in (part.train, part.test)
                )
                if len(train) < least:
                    raise ValueError(too_few(part.name, len(train), config.block, least))
                if not len(test):
                    raise ValueError(f"the test of {part.name!r} is shorter than a block")
                found[part.name] = train, test[: config.measurement.test]
            self._streams = found
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


def measure(
    generation: Generation, config: SegmentedConfig, real: Real, counts: tuple[int, ...]
) -> None:
    """Measure each model's perplexity of the test blocks, and that of all models together.

    ``block_perplexity`` is μ_{m,t}, the mean over the test's blocks of exp(mean loss in the
    block); ``stream_perplexity`` is exp of the mean loss over all of them. ``mu`` is μ_t, eq. (3),
    where a model weighs as its share of the data, 1/M in the paper; ``mu_sd`` is the standard
    deviation over models and blocks (fig. 4). At t = 0 and T ``train_mu`` and ``train_sd`` are
    the same of the real blocks that are dealt out (fig. 5), whose perplexities are kept as
    ``train_perplexity``, (model, block).

    Where there are several communities, each counts alike in these means, and the perplexities of
    each model on each of them are measured too, under the community's name. At t = 0
    ``own_blocks`` says how many blocks a model's segment has of each community that is its own.
    """
    name = config.dealt
    weights, of_blocks = np.array(counts) / sum(counts), real.weights
    losses = []
    for model, network in enumerate(generation.models):
        with generation.clock("score", model, real.test.size):
            losses.append(_losses(generation, network, real.test))
        _perplexities(generation, losses[-1], of_blocks, model=model, dataset=name)
        if real.divided:
            borders = np.cumsum([len(blocks) for blocks in real.tests.values()])[:-1]
            parts = np.split(losses[-1], borders)
            for at, (community, part) in enumerate(zip(real.tests, parts, strict=True)):
                _perplexities(generation, part, None, model=model, dataset=community)
                if generation.index == 0:
                    blocks = int(real.owned[model, at])
                    generation.measured("own_blocks", blocks, model=model, dataset=community)
    mean, sd = mixed(_exp(np.array(losses)), weights, of_blocks)
    generation.measured("mu", mean, dataset=name)
    generation.measured("mu_sd", sd, dataset=name)
    if generation.index == 0:
        base = _exp(_losses(generation, generation.resources.base, real.test))
        generation.measured("base_mu", float(np.average(base, weights=of_blocks)), dataset=name)
    if generation.index in (0, config.generations):
        with generation.clock("score", None, real.looked_at.size * len(generation.models)):
            found = _exp(
                np.array([_losses(generation, m, real.looked_at) for m in generation.models])
            )
        generation.arrays["train_perplexity"] = found.astype("f4")
        mean, sd = mixed(found, weights)
        generation.measured("train_mu", mean, dataset=name)
        generation.measured("train_sd", sd, dataset=name)
        generation.measured("train_log_sd", mixed(np.log(found), weights)[1], dataset=name)


def _perplexities(
    generation: Generation,
    losses: Float[np.ndarray, " N"],
    weights: Float[np.ndarray, " N"] | None,
    **where: Any,
) -> None:
    """Record one model's mean perplexity of some blocks, and that of all of them as one stream."""
    blocks = float(np.average(_exp(losses), weights=weights))
    generation.measured("block_perplexity", blocks, **where)
    whole = np.average(losses, weights=weights, keepdims=True)
    generation.measured("stream_perplexity", float(_exp(whole)[0]), **where)


def mixed(
    values: Float[np.ndarray, "M N"],
    weights: Float[np.ndarray, " M"],
    blocks: Float[np.ndarray, " N"] | None = None,
) -> tuple[float, float]:
    """Compute mean and standard deviation over weighted models and over blocks, weighted too."""
    mean = float(weights @ np.average(values, axis=1, weights=blocks))
    spread = np.average((values - mean) ** 2, axis=1, weights=blocks)
    return mean, float(np.sqrt(weights @ spread))


def _tests(resources: RunResources) -> list[Test]:
    """List the tests of all corpora, and of each community that is a part of one."""
    return [*resources.tests, *resources.tests_of_communities]


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
                "dataset": config.dealt,
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
