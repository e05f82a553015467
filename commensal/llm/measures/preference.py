"""Preferences between answers to the same prompts: what an answer is worth, and who wins."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit
from transformers import PreTrainedModel

from commensal.llm.config import LawJudge, ModelJudge
from commensal.llm.corpora import Markov
from commensal.llm.models.loading import context_of
from commensal.llm.models.pretrained import (
    check_vocabulary,
    open_config,
    open_model,
    open_tokenizer,
)
from commensal.llm.models.tokens import encode_pairs, marks_of
from commensal.llm.multiple_choice.answering import behind, log_likelihoods


class Given(NamedTuple):
    """What a judge may use beside prompts and answers."""

    law: Markov | None
    """Law of the task, where it is known."""
    device: torch.device
    batch_size: int
    precision: str


class Rewards(Protocol):
    """Rewards of one kind of judge, whose settings name the class as ``judges``.

    It is made of these settings, and raises ValueError in one line where what it needs is not
    there.
    """

    def __call__(
        self, prompts: Sequence[str], answers: Sequence[str], given: Given
    ) -> Float[np.ndarray, " N"]:
        """Return what each answer is worth; minus infinity where it is no answer at all.

        Parameters
        ----------
        prompts, answers : sequence of str
            As many of each; an answer goes on from its prompt.
        given : Given
            Law and machine to judge by.
        """
        ...


class LawRewards:
    """Mean log-probability of an answer's words under the known law.

    Parameters
    ----------
    judge : LawJudge
    """

    def __init__(self, judge: LawJudge) -> None:
        self.judge = judge

    def __call__(
        self, prompts: Sequence[str], answers: Sequence[str], given: Given
    ) -> Float[np.ndarray, " N"]:
        """Return what each answer is worth under the law."""
        if given.law is None:
            raise ValueError("a judge that knows the law needs a task whose law is known")
        return law_rewards(given.law, prompts, answers)


def law_rewards(
    law: Markov, prompts: Sequence[str], answers: Sequence[str]
) -> Float[np.ndarray, " N"]:
    """Return the mean log-probability of each answer's words, in nats.

    Minus infinity where an answer is empty or has a word that the law does not know.

    Examples
    --------
    >>> coin = Markov(("heads", "tails"), np.array([[0.9, 0.1], [0.2, 0.8]]))
    >>> rewards = law_rewards(coin, ["heads"] * 3, [" heads tails", "", " hands"])
    >>> np.exp(rewards[0] * 2).round(3), rewards[1:]  # 0.9 times 0.1
    (np.float64(0.09), array([-inf, -inf]))
    """
    found = np.full(len(answers), -math.inf)
    for at, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        words = law.encode(prompt + answer, unknown=-1)
        start = len(prompt.split())
        if len(words) > start and words.min() >= 0:
            given = law.next_word(words[None])[0, np.arange(len(words)), words]
            found[at] = np.log(given[start:]).mean()
    return found


class ModelRewards:
    """Mean log-probability of an answer's tokens under a causal model, which is opened once.

    Parameters
    ----------
    judge : ModelJudge

    Raises
    ------
    ValueError
        If the model or its tokenizer is not there, or the two do not fit.
    """

    def __init__(self, judge: ModelJudge) -> None:
        self.name = str(Path(judge.name).expanduser()) if judge.remote is None else judge.name
        self.revision = judge.revision
        # before all else is computed; the weights only when they are needed
        known = open_config(self.name, self.revision)
        self.tokenizer = open_tokenizer(self.name, self.revision)
        check_vocabulary(self.name, self.tokenizer, known)
        self._model: PreTrainedModel | None = None

    def __call__(
        self, prompts: Sequence[str], answers: Sequence[str], given: Given
    ) -> Float[np.ndarray, " N"]:
        """Return what each answer is worth to the model."""
        if self._model is None:
            model = open_model(self.name, self.revision)
            self._model = model.to(given.device)  # pyright: ignore[reportArgumentType]
        marks, context = marks_of(self.tokenizer), context_of(self._model)
        pairs = encode_pairs(self.tokenizer, [str(prompt) for prompt in prompts], answers)
        rows = [behind(marks.begin, prompt, answer, context) for prompt, answer in pairs]
        # the first token of all has nothing before it by which it could be likely
        lengths = np.array([row.learnt("completion") for row in rows])
        sums = log_likelihoods(
            self._model,
            rows,
            padding=marks.padding,
            batch_size=given.batch_size,
            precision=given.precision,
        )
        return np.where(lengths > 0, sums / np.maximum(lengths, 1), -math.inf)


class Comparisons(NamedTuple):
    """Outcome of comparisons of every two models on every prompt."""

    won: Float[np.ndarray, " models"]
    """Share of its comparisons that each model won."""
    upset: float
    """Share of all comparisons that the answer with the lower reward won."""


def compared(
    rewards: Float[np.ndarray, "models prompts"], noise: float | int, rng: np.random.Generator
) -> Comparisons:
    r"""Let every two models meet on every prompt; the judge prefers one answer of the two.

    The model with reward a wins against one with b with probability
    :math:`1/(1 + e^{-(a - b)/τ})`, as Bradley and Terry (1952) have it.

    The share of won comparisons is all that is needed of the outcome. As every two models meet
    equally often, it orders them as the most likely Bradley-Terry strengths do (Ford 1957), and
    unlike these it is finite where a model wins, or loses, every time.

    Parameters
    ----------
    rewards : Float[numpy.ndarray, "models prompts"]
        Two models or more; minus infinity loses against every other reward.
    noise : float
        Temperature τ of the judge; with 0 the higher reward wins.
    rng : numpy.random.Generator
        Draws one number for each comparison.

    Examples
    --------
    >>> rewards = np.array([[-1.0, -2.0], [-3.0, -1.0], [-4.0, -4.0]])
    >>> compared(rewards, 0.0, np.random.default_rng(0)).won
    array([0.75, 0.75, 0.  ])
    """
    models, prompts = rewards.shape
    won, upset = np.zeros(models), 0
    for one, other in itertools.combinations(range(models), 2):
        with np.errstate(invalid="ignore"):
            gap = rewards[one] - rewards[other]
        gap = np.where(np.isnan(gap), 0.0, gap)  # neither of the two is an answer
        chance = expit(gap / noise) if noise else np.heaviside(gap, 0.5)
        first = rng.random(prompts) < chance
        won[one] += first.sum()
        won[other] += prompts - first.sum()
        upset += int(((gap > 0) & ~first).sum() + ((gap < 0) & first).sum())
    return Comparisons(
        won / (prompts * (models - 1)), 2 * upset / (prompts * models * (models - 1))
    )
