"""Made-up questions about a language whose law is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from commensal.llm.corpora import CorpusSettings, Example, Markov
from commensal.llm.multiple_choice._rows import Question

if TYPE_CHECKING:
    from commensal.llm.multiple_choice._configs import MadeUpQuestions


def made_up(config: MadeUpQuestions, task: CorpusSettings, seed: int) -> list[Question]:
    """Draw all questions, those that are shots among them.

    Prompts and right choices are new texts of the task's law, as long as its prompts.

    Raises
    ------
    ValueError
        If the task has no known law.
    """
    law, first, count = task.law(), task.prompt_words, config.count + config.shots
    if law is None:
        raise ValueError(f"made-up questions need a task whose law is known, not {task.name!r}")
    rng = np.random.default_rng([seed, 0])
    texts = law.sample(rng, count, first + config.words)
    # no shuffle of these words is another text, so other texts take their place
    for i in range(count):
        while config.wrong == "shuffled" and len(set(texts[i, first:].tolist())) < 2:
            texts[i] = law.sample(rng, 1, first + config.words)[0]
    other = law
    if config.wrong == "language":
        other = task.other_law(config.language)
    found = []
    for text in texts:
        right = text[first:]
        choices = [right]
        while len(choices) < config.choices:
            if config.wrong == "shuffled":
                wrong = rng.permutation(right)
            else:
                wrong = other.sample(rng, 1, first + config.words)[0, first:]
            # of few short texts some may come twice, so that is ruled out for the right one only
            if (wrong != right).any():
                choices.append(wrong)
        order = rng.permutation(config.choices)
        prompt = law.decode(text[:first])
        found.append(
            Question(
                tuple(Example(prompt, " " + law.decode(choices[i])) for i in order),
                int(np.flatnonzero(order == 0)[0]),
            )
        )
    return found


def accuracy_of_law(law: Markov, questions: Sequence[Question]) -> float:
    """Compute how often the choice that is most likely under the law is the right one.

    It is what a model that has learnt the law perfectly reaches. Where wrong choices are shuffled
    no other way of answering does better: each order is as likely to be dealt as any other.
    """
    right = 0
    for question in questions:
        found = []
        for prompt, completion in question.choices:
            words = law.encode(prompt + completion)
            start = len(law.encode(prompt))
            given = law.next_word(words[None])[0, np.arange(len(words)), words]
            found.append(float(np.log(given[start:]).sum()))
        right += int(np.argmax(found)) == question.answer
    return right / len(questions)
