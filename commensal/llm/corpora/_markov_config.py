"""Settings of made-up languages whose law is known."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from commensal.llm.corpora._corpus import Corpus, Example
from commensal.llm.corpora._languages import SYLLABLES, language_law, used_words
from commensal.llm.corpora._markov import Markov
from commensal.llm.corpora._settings import CorpusSettings
from commensal.llm.seeds import seed_of

# What is drawn from streams of a seed.
_TRAIN, _TEST = range(2)

_MOST_WORDS = {1: 2048, 2: 192}  # by order: the law holds V^(order + 1) numbers

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]


class MarkovCorpus(CorpusSettings):
    """Texts of a made-up language whose law is known.

    Corpora with the same law settings (all but ``name``, ``prompt_words``, ``completion_words``,
    ``train`` and ``test``) have the same law, whatever their name and seed.

    Attributes
    ----------
    name : str
        Name of the corpus; texts are drawn by seed and name. Default: ``markov`` and the language's
        number.
    language : int
        Number of the law; each number >= 0 is another language over the same words. 0 is the usual
        shared one.
    vocabulary : int
        Number of words V of all languages together: 2 to 2048, or to 192 of order 2.
    order : {1, 2}
        Number of words that the next one depends on.
    successors : int
        Number of words that can follow a context; the others share ``smoothing``.
    zipf : float
        Exponent >= 0 of the word frequencies: 1 is Zipf's law, 0 makes all words alike.
    own : float
        Share, in [0, 1], of the words that a language uses which is its own: 0, all languages use
        all words; 1, they have no word in common. The own words of the others come up by smoothing
        only.
    languages : int
        Number of languages among which own words are dealt out; with ``own`` > 0, ``language`` must
        be below it.
    smoothing : float
        Probability ε in (0, 1) with which the next word is any of the V, all alike. It keeps every
        divergence finite.
    law_seed : int
        Seed of the laws, and of the words unless ``word_seed`` is given.
    word_seed : int or None
        Seed of the words, by default ``law_seed``: languages of another law over the same words.
    prompt_words, completion_words : int
        Numbers of words of a text that are prompt and completion.
    train, test : int
        Numbers of examples to train and to test on.

    Examples
    --------
    >>> law = MarkovCorpus(language=1).law()
    >>> print(f"{law.entropy_rate:.2f} nats; a unigram model {law.entropy(0, 1):.2f}")
    1.69 nats; a unigram model 3.70
    """

    known: ClassVar[bool] = True

    kind: Literal["markov"] = "markov"
    name: Name = ""  # filled in below
    language: int = Field(0, ge=0)
    vocabulary: int = Field(default=96, ge=2)
    order: Literal[1, 2] = 1
    successors: Count = 8
    zipf: float = Field(default=1.0, ge=0, le=10)
    own: float = Field(default=0.0, ge=0, le=1)
    languages: Count = 4
    smoothing: Share = 0.03
    law_seed: int = Field(default=0, ge=0)
    word_seed: int | None = Field(default=None, ge=0)
    prompt_words: Count = 4
    completion_words: Count = 20
    train: Count = 2000
    test: Count = 200

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, given: Any) -> Any:
        if isinstance(given, dict) and "name" not in given:
            return given | {"name": f"markov{given.get('language', 0)}"}
        return given

    @model_validator(mode="after")
    def _check_law(self) -> MarkovCorpus:
        most = min(_MOST_WORDS[self.order], SYLLABLES**2)
        if self.vocabulary > most:
            raise ValueError(
                f"vocabulary may be at most {most} of order {self.order}, got {self.vocabulary}"
            )
        if self.own and self.language >= self.languages:
            raise ValueError(
                f"language must be below languages = {self.languages} where own > 0, "
                f"got {self.language}"
            )
        used = int(used_words(self.vocabulary, self.language, self.own, self.languages).sum())
        if self.own and self.languages > 1 and used == self.vocabulary:
            raise ValueError(
                f"a vocabulary of {self.vocabulary} is too small for own = {self.own:g} "
                f"with {self.languages} languages"
            )
        if used < 2:
            raise ValueError(f"a language of {used} words is too small; raise vocabulary")
        if self.successors > used:
            raise ValueError(
                f"successors must be at most the {used} words that a language uses, "
                f"got {self.successors}"
            )
        return self

    def law(self) -> Markov:
        """Return the language's law, which is computed once."""
        return language_law(
            self.language,
            self.vocabulary,
            self.order,
            self.successors,
            self.zipf,
            self.own,
            self.languages,
            self.smoothing,
            self.law_seed,
            self._word_seed,
        )

    @property
    def _word_seed(self) -> int:
        return self.law_seed if self.word_seed is None else self.word_seed

    def of_replicate(self, replicate: int) -> MarkovCorpus:
        """Return the settings in a replicate: another law over the same words, 0 as it is."""
        if not replicate:
            return self
        law = seed_of(self.law_seed, "replicate", replicate)
        return self.model_copy(update={"law_seed": law, "word_seed": self._word_seed})

    def other_law(self, language: int | None) -> Markov:
        """Return the law of another language over the same words, by default the next one."""
        number = self.language + 1 if language is None else language
        return MarkovCorpus.model_validate(self.model_dump() | {"language": number}).law()

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of examples to train and to test on."""
        return self.train, self.test

    def described(self) -> str:
        """Describe the language and its number of words, for reports."""
        return f"made-up language {self.language}, {self.vocabulary} words"

    def draw(self, seed: int) -> Corpus:
        """Draw examples, which depend on the seed and on the name."""
        law, first = self.law(), self.prompt_words
        name = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big")

        def drawn(stream: int, count: int) -> tuple[Example, ...]:
            # a stream each, so that the test examples do not depend on the number of others
            rng = np.random.default_rng([seed, name, stream])
            return tuple(
                Example(law.decode(text[:first]), " " + law.decode(text[first:]))
                for text in law.sample(rng, count, first + self.completion_words)
            )

        return Corpus(self.name, drawn(_TRAIN, self.train), drawn(_TEST, self.test), law)
