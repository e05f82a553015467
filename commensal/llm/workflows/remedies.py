"""One lineage that trains on its own output, with a remedy against its collapse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from transformers import PreTrainedModel

from commensal.llm.config import GridPoint, RemediesConfig, Remedy
from commensal.llm.corpora import Corpus, Example, HeldBack, held_back
from commensal.llm.generation import Generation
from commensal.llm.measures.discriminator import told_apart
from commensal.llm.measures.ngrams import distinct, divergence
from commensal.llm.measures.scoring import step_divergence
from commensal.llm.models.tokens import Encoded
from commensal.llm.resources import Test
from commensal.llm.workflows.interactive import write


@dataclass
class Remedies:
    """Each generation trains on what the one before wrote, treated by the remedy (``news``).

    The budget is the same for all: n examples drawn, the same number of steps, the same number
    of texts written. Human texts take the place of synthetic ones; a filter leaves fewer
    different texts to draw n from.

    Parameters
    ----------
    config : RemediesConfig
    """

    config: RemediesConfig

    def models(self, point: GridPoint) -> int:
        """Return 1, as there is one lineage."""
        return 1

    def reads_web(self, point: GridPoint) -> bool:
        """Return whether some generation reads texts that are not human."""
        remedy = self._remedy(point)
        return any(remedy.learnt(t) < 1 for t in range(1, self.config.generations + 1))

    def make(self, generation: Generation) -> None:
        """Treat, train, measure, write."""
        config, remedy = self.config, self._remedy(generation.point)
        data, passes = self._data(generation, remedy)
        before = deepcopy(generation.models[0]) if generation.index else None
        training = config.training if generation.index else config.first_training
        generation.train([data], training, passes=[passes])
        generation.score()
        generation.look()
        self._news(generation, before)
        if generation.writes_web:
            how = remedy.sampling(config.sampling) if remedy.acts(generation.index) else None
            write(generation, how, [self._human(generation).seen])

    def _remedy(self, point: GridPoint) -> Remedy:
        return next(r for r in self.config.remedies if r.name == point.coordinates["remedy"])

    def _data(self, generation: Generation, remedy: Remedy) -> tuple[list[Encoded], int]:
        """Return the examples to train on, and by how much the steps are multiplied."""
        t, training = generation.index, self.config.training
        memory = remedy.memory if remedy.acts(t) else "replace"
        kept = range(t + 1) if memory != "replace" else (t,)
        drawn = [self._new(generation, remedy, s) for s in kept]
        data = [example for examples, _ in drawn for example in examples]
        human = np.concatenate([of_human for _, of_human in drawn])
        if memory == "accumulate_subsample":
            count = training.examples_drawn or training.examples
            where = generation.rng("memory", t).integers(len(data), size=count)
            data, human = [data[i] for i in where], human[where]
        generation.measured("human_examples", float(human.mean()), model=0)
        return data, t + 1 if memory == "accumulate" else 1

    def _new(
        self, generation: Generation, remedy: Remedy, t: int
    ) -> tuple[list[Encoded], Bool[np.ndarray, " n"]]:
        """Draw the n examples that are new in generation t, and say which of them are human."""
        resources, config = generation.resources, self.config
        first = t == generation.index == 0
        training = config.first_training if first else config.training
        count = training.examples_drawn or training.examples
        # the same numbers whatever the remedy: lineages of one seed differ by it alone
        chosen, where = generation.rng("data", t).random((2, count))
        human = self._human(generation).seen
        if t == 0:
            return resources.encode(_taken(human, where)), np.ones(count, bool)
        is_human, texts = self._humans(generation, remedy, t, chosen, where)
        if is_human.all():
            return resources.encode(texts), is_human
        web = generation.web(t - 1)
        written = self._filtered(generation, remedy, web, t)
        if t == generation.index:
            generation.measured("kept", len(written) / len(web), model=0)
        synthetic = resources.encode(_taken(written, where))
        if remedy.token_noise and remedy.acts(t):
            synthetic = with_noise(
                synthetic, remedy.token_noise, self._words(generation), generation.rng("noise", t)
            )
        real = iter(resources.encode(texts) if texts else ())
        mixed = [next(real) if h else s for s, h in zip(synthetic, is_human, strict=True)]
        return mixed, is_human

    def _human(self, generation: Generation) -> HeldBack:
        """Divide the human texts; all lineages of a seed have the same fresh ones."""
        rng = generation.rng("held back")
        return held_back(
            generation.resources.tasks[0], self.config.held_back, rng, self.config.enough
        )

    def _humans(
        self,
        generation: Generation,
        remedy: Remedy,
        t: int,
        chosen: Float[np.ndarray, " n"],
        where: Float[np.ndarray, " n"],
    ) -> tuple[Bool[np.ndarray, " n"], list[Example]]:
        """Choose the examples of generation t that are human, and their texts in order."""
        human, config = self._human(generation), self.config
        share = remedy.learnt(t)
        if config.human_texts == "seen":
            is_human = chosen < share
            return is_human, _taken(human.seen, where[is_human])
        # as many as were held back for it; of a larger share they include those of a smaller one
        order = np.argsort(chosen, kind="stable")[: config.fresh(remedy, t)]
        used = sum(config.fresh(remedy, s) for s in range(1, t))
        texts = dict(zip(order.tolist(), human.fresh[used:], strict=False))
        is_human = np.zeros(len(chosen), bool)
        is_human[order] = True
        return is_human, [texts[i] for i in sorted(texts)]

    def _filtered(
        self, generation: Generation, remedy: Remedy, written: Sequence[Example], t: int
    ) -> Sequence[Example]:
        if remedy.filter is None or not remedy.acts(t):
            return written
        stay = remedy.filter.stay(
            [e.completion for e in written],
            generation.resources.embed,
            generation.rng("filter", t),
        )
        return [written[i] for i in stay]

    def _words(self, generation: Generation) -> list[int]:
        """List the tokens from which noise is drawn."""
        tokenizer = generation.resources.tokenizer
        return sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))

    def _news(self, generation: Generation, before: PreTrainedModel | None) -> None:
        """Measure what the article does: far from human texts, from generation 0, from the last."""
        resources, config = generation.resources, self.config
        for test, corpus in self._tests(generation):
            own = _completions(generation.samples, test.name)
            if own:
                human = [example.completion for example in corpus.train]
                size = test.compared(1, config.sampling.max_new_tokens)
                found = {"word_kl": divergence(human, own, size)}
                found["word_kl_all"] = divergence(human, own)
                four = test.compared(4, config.sampling.max_new_tokens)
                found["distinct_4_count"] = four * distinct(own, 4, four)
                for name, value in found.items():
                    generation.measured(name, value, model=0, dataset=test.name)
        test, _ = next(self._tests(generation))
        own = _completions(generation.samples, test.name)
        found = {"told_from_human": told_apart(own, test.human)} if own else {}
        if before is not None:
            if own:
                start = _completions(generation.past.samples(0), test.name)
                found["told_from_start"] = told_apart(own, start)
            with generation.clock("score", 0, 2 * sum(len(e.tokens) for e in test.examples)):
                found["step_kl"] = step_divergence(
                    before,
                    generation.models[0],
                    test.examples,
                    padding=resources.padding,
                    batch_size=config.measurement.batch_size,
                    precision=config.training.precision,
                    logits_memory=config.measurement.logits_memory,
                )
        for name, value in found.items():
            generation.measured(name, value, model=0, dataset=test.name)

    def _tests(self, generation: Generation) -> Iterator[tuple[Test, Corpus]]:
        """Yield test data and corpus of the task, and of the public dataset."""
        resources = generation.resources
        return zip(resources.tests, (*resources.tasks, resources.public), strict=True)


def _taken(texts: Sequence[Example], where: Float[np.ndarray, " n"]) -> list[Example]:
    return [texts[int(w * len(texts))] for w in where]


def _completions(samples: Sequence[dict], dataset: str) -> list[str]:
    """Return the completions of a dataset's fixed prompts, in the order of the prompts."""
    return [
        record["completion"]
        for record in samples
        if record["kind"] == "fixed" and record["dataset"] == dataset
    ]


def with_noise(
    examples: Sequence[Encoded], share: float | int, tokens: Sequence[int], rng: np.random.Generator
) -> list[Encoded]:
    """Replace tokens of the examples' completions by random ones.

    Parameters
    ----------
    examples : sequence of Encoded
    share : float
        Probability with which a token of a completion is replaced; its end is not.
    tokens : sequence of int
        What it is replaced by, each as likely.
    rng : numpy.random.Generator

    Returns
    -------
    list of Encoded

    Examples
    --------
    >>> import numpy as np
    >>> with_noise([Encoded((1, 5, 6, 7, 2), 2)], 1.0, [9], np.random.default_rng(0))
    [Encoded(tokens=(1, 5, 9, 9, 2), prompt=2, synthetic=False)]
    """
    noisy = []
    for example in examples:
        new = np.array(example.tokens)
        inside = slice(example.prompt, len(new) - 1)
        replaced = rng.random(len(new[inside])) < share
        drawn = rng.choice(np.array(tokens), len(new[inside]))
        new[inside] = np.where(replaced, drawn, new[inside])
        noisy.append(example._replace(tokens=tuple(new.tolist())))
    return noisy
