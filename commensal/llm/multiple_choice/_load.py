"""Load multiple-choice questions as their settings say."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from commensal.llm.corpora import CorpusSettings, Example
from commensal.llm.corpora._split import held_out as is_held_out
from commensal.llm.multiple_choice._configs import AskedQuestions
from commensal.llm.multiple_choice._rows import Question


class Questions(NamedTuple):
    """Set of questions, divided by use."""

    name: str
    asked: tuple[Question, ...]
    """Questions by which models are selected."""
    held_out: tuple[Question, ...]
    """Questions that select no model."""
    shots: tuple[Example, ...]
    """Solved questions, put before each other one."""
    normalise: str

    @property
    def chance(self) -> float:
        """Accuracy of guessing among the choices."""
        everything = self.asked + self.held_out
        return sum(1 / len(question.choices) for question in everything) / len(everything)


def load_questions(
    config: AskedQuestions, task: CorpusSettings, seed: int, held_out: float
) -> Questions:
    """Draw or read questions, and divide them by use.

    Parameters
    ----------
    config : AskedQuestions
        Settings of the questions: :class:`MadeUpQuestions`, :class:`FileQuestions` or
        :class:`HubQuestions`.
    task : CorpusSettings
        Task whose law made-up questions are about.
    seed : int
        Seed of what is drawn, and of which questions are shots.
    held_out : float
        Share of questions, in [0, 1), that select no one; met on average where they are read, since
        a hash of each question decides.

    Returns
    -------
    Questions
        Questions, divided by use.

    Raises
    ------
    ValueError
        If data are missing, cannot be read, or are too few; the message is one line.

    Examples
    --------
    >>> from commensal.llm.corpora import MarkovCorpus
    >>> from commensal.llm.multiple_choice import MadeUpQuestions
    >>> language = MarkovCorpus(language=1)
    >>> found = load_questions(MadeUpQuestions(count=10), language, seed=0, held_out=0.5)
    >>> len(found.asked), len(found.held_out), found.chance
    (5, 5, 0.25)
    """
    source, keys, found = config.ask(task, seed)
    solved, shown = _apart(config, seed)
    aside = 0 if solved else config.shots
    kept_back = math.floor(held_out * (len(found) - aside) + 0.5)
    least = aside + 1 + (held_out > 0)
    if len(found) < least or (held_out > 0 and kept_back == 0):
        raise ValueError(
            f"{source} has {len(found)} questions; with {aside} shots and a share of "
            f"{held_out:g} held out at least {max(least, len(found) + 1)} are needed"
        )
    order = np.random.default_rng(seed).permutation(len(found)).tolist()
    if keys:
        back = [i for i in order if is_held_out(keys[i], held_out)]
        rest = [i for i in order if not is_held_out(keys[i], held_out)]
        first, rest = rest[:aside], rest[aside:]
        shown = shown.union(keys[i] for i in first)
        # nor is a question asked that is solved
        rest, back = ([i for i in side if keys[i] not in shown] for side in (rest, back))
    else:  # drawn from a law, each by itself: lots will do
        first, rest = order[:aside], order[aside:]
        back, rest = rest[:kept_back], rest[kept_back:]
    if not rest or (held_out > 0 and not back):
        raise ValueError(
            f"{source} has {len(found)} questions, and with a share of {held_out:g} held out none "
            f"is {'held out' if rest else 'left to be asked'}: a hash of each question decides; "
            "change the share, or take more questions"
        )
    return Questions(
        config.name,
        tuple(found[i] for i in rest),
        tuple(found[i] for i in back),
        solved or tuple(found[i].right for i in first),
        config.normalise,
    )


def _apart(config: AskedQuestions, seed: int) -> tuple[tuple[Example, ...], set[int]]:
    """Choose shots among questions that lie apart, if there are some; and the keys of these."""
    if not config.shots or (read := config.ask_apart()) is None:
        return (), set()
    source, keys, found = read
    if len(found) < config.shots:
        raise ValueError(f"{source} has {len(found)} questions, and {config.shots} are to be shots")
    chosen = np.random.default_rng([seed, 1]).permutation(len(found))[: config.shots].tolist()
    return tuple(found[i].right for i in chosen), {keys[i] for i in chosen}
