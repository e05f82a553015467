"""One lineage that trains on its own output, with a remedy against its collapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commensal.llm.config import GridPoint, RemediesConfig, Remedy
from commensal.llm.corpora import Example
from commensal.llm.generation import Generation
from commensal.llm.measures.ngrams import divergence
from commensal.llm.models.tokens import Encoded
from commensal.llm.workflows.interactive import measure


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
        """Return whether not all texts are human."""
        return self._remedy(point).human_share < 1

    def make(self, generation: Generation) -> None:
        """Treat, train, measure, write."""
        config, remedy = self.config, self._remedy(generation.point)
        training = config.training if generation.index else config.first_training
        generation.train([self._data(generation, remedy)], training)
        measure(generation, remedy.sampling(config.sampling))
        self._far_from_human(generation)

    def _remedy(self, point: GridPoint) -> Remedy:
        return next(r for r in self.config.remedies if r.name == point.coordinates["remedy"])

    def _data(self, generation: Generation, remedy: Remedy) -> list[Encoded]:
        """Draw n examples: human ones with their share, the others from the generation before."""
        resources, config, t = generation.resources, self.config, generation.index
        training = config.training if t else config.first_training
        count = training.examples_drawn or training.examples
        human = resources.tasks[0].train
        # the same numbers whatever the remedy: lineages of one seed differ by it alone
        chosen, where = generation.rng("data", t).random((2, count))
        if t == 0 or remedy.human_share == 1:
            return resources.encode(_taken(human, where))
        written = self._filtered(generation, remedy, generation.web(t - 1))
        generation.measured("kept", len(written) / len(generation.web(t - 1)), model=0)
        is_human = chosen < remedy.human_share
        synthetic = resources.encode(_taken(written, where))
        if remedy.token_noise:
            synthetic = with_noise(
                synthetic, remedy.token_noise, self._words(generation), generation.rng("noise", t)
            )
        real = resources.encode(_taken(human, where))
        return [r if h else s for r, s, h in zip(real, synthetic, is_human, strict=True)]

    def _filtered(
        self, generation: Generation, remedy: Remedy, written: Sequence[Example]
    ) -> Sequence[Example]:
        if remedy.filter is None:
            return written
        stay = remedy.filter.stay([e.completion for e in written], generation.resources.embed)
        return [written[i] for i in stay]

    def _words(self, generation: Generation) -> list[int]:
        """List the tokens from which noise is drawn."""
        tokenizer = generation.resources.tokenizer
        return sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids))

    def _far_from_human(self, generation: Generation) -> None:
        """Measure the divergence of words from human texts, on equal numbers of words."""
        for test, corpus in zip(
            generation.resources.tests,
            (*generation.resources.tasks, generation.resources.public),
            strict=True,
        ):
            own = [
                record["completion"]
                for record in generation.samples
                if record["kind"] == "fixed" and record["dataset"] == test.name
            ]
            if own:
                human = [example.completion for example in corpus.train]
                size = test.compared(1, generation.config.sampling.max_new_tokens)
                found = {"word_kl": divergence(human, own, size)}
                found["word_kl_all"] = divergence(human, own)
                for name, value in found.items():
                    generation.measured(name, value, model=0, dataset=test.name)


def _taken(texts: Sequence[Example], where: np.ndarray) -> list[Example]:
    return [texts[int(w * len(texts))] for w in where]


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
    [Encoded(tokens=(1, 5, 9, 9, 2), prompt=2)]
    """
    noisy = []
    for example in examples:
        new = np.array(example.tokens)
        inside = slice(example.prompt, len(new) - 1)
        replaced = rng.random(len(new[inside])) < share
        drawn = rng.choice(np.array(tokens), len(new[inside]))
        new[inside] = np.where(replaced, drawn, new[inside])
        noisy.append(Encoded(tuple(new.tolist()), example.prompt))
    return noisy
