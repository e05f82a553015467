"""Resources that stay the same over a run: data, tokenizer, base model, tests, embedder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from commensal.llm.config import TrainedConfig
from commensal.llm.corpora import Corpus, Example
from commensal.llm.measures.embeddings import Embedder, base_embedder, sentence_embedder
from commensal.llm.measures.ngrams import compared
from commensal.llm.measures.scoring import Law, law_of, rare_tokens, unigram_loss
from commensal.llm.models.loading import context_of
from commensal.llm.models.tokens import Encoded, encode, marks_of


class Test(NamedTuple):
    """Test data of the models, for one dataset."""

    name: str
    examples: list[Encoded]
    rare: Bool[np.ndarray, " vocabulary"]
    law: Law | None
    prompts: list[str]
    """Fixed prompts, whose completions are compared."""
    human: list[str]
    """Real completions of the same prompts."""
    unigram_loss: float = math.nan
    """Loss of the law of single tokens of the training data."""
    uniform_loss: float = math.nan
    """Loss of a law by which all tokens are equally likely."""

    def compared(self, n: int, longest: int) -> int:
        """Return the number of n-grams on which completions of the prompts are compared."""
        return compared(self.human, n, len(self.prompts), longest)


class RunResources:
    """Resources that stay the same over a run: data, tokenizer, tests, embedder.

    Parameters
    ----------
    config : TrainedConfig
    public : Corpus
    tasks : sequence of Corpus
    tokenizer : PreTrainedTokenizerBase
    bases : sequence of PreTrainedModel
        What the models start from: one for all, or one for each.
    prompts : Corpus, optional
        Texts whose prompts models complete; by default those of their tasks.
    """

    def __init__(
        self,
        config: TrainedConfig,
        public: Corpus,
        tasks: Sequence[Corpus],
        tokenizer: PreTrainedTokenizerBase,
        bases: Sequence[PreTrainedModel],
        prompts: Corpus | None = None,
    ) -> None:
        self.config = config
        self.public = public
        self.tasks = tasks
        self.tokenizer = tokenizer
        self.prompts = prompts
        self.bases = bases
        self.base = bases[0]
        self.padding = marks_of(tokenizer).padding
        self.context = min(config.training.max_tokens or math.inf, context_of(self.base))
        self.tests = [self._test(corpus) for corpus in (*tasks, public)]

    def prompts_of(
        self, texts: Sequence[Example], count: int, rng: np.random.Generator
    ) -> list[str]:
        """Draw prompts of one's own texts, or of the run's prompts where it has some."""
        known = texts if self.prompts is None else self.prompts.train
        return [known[i].prompt for i in rng.integers(len(known), size=count)]

    def start(self, model: int) -> PreTrainedModel:
        """Return a copy of what one of the models starts from."""
        base = self.bases[model if len(self.bases) > 1 else 0]
        # what is never trained is there once, for all models
        shared = {id(p): p for p in base.parameters() if not p.requires_grad}
        return deepcopy(base, shared)

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Encode examples as tokens, cut at the model's context."""
        return encode(self.tokenizer, examples, int(self.context))

    @cached_property
    def tests_of_communities(self) -> list[Test]:
        """Tests of the communities that tasks are divided into."""
        return [self._test(part) for task in self.tasks for part in task.communities]

    def _test(self, corpus: Corpus) -> Test:
        measured = self.config.measurement
        words = max(len(self.tokenizer), self.base.config.vocab_size)
        train, test = self.encode(corpus.train), self.encode(corpus.test[: measured.test])
        return Test(
            corpus.name,
            test,
            rare_tokens(train, words, measured.rare_share),
            law_of(corpus, self.tokenizer, measured.test),
            [example.prompt for example in corpus.test[: measured.prompts]],
            [example.completion for example in corpus.test[: measured.prompts]],
            unigram_loss(train, test),
            math.log(words),
        )

    @cached_property
    def embed(self) -> Embedder:
        """Embed texts as vectors."""
        name = self.config.measurement.embedder
        if name != "base":
            return sentence_embedder(name, self.base.device)
        most = self.config.measurement.prompts or 64
        real = [e.completion for c in (*self.tasks, self.public) for e in c.test[:most]]
        return base_embedder(self.base, self.tokenizer, real, int(self.context))
