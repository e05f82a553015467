"""Answers of a model to questions: the choice that it finds most likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from commensal.llm.models.precision import autocast
from commensal.llm.models.tokens import Encoded, encode_pairs, marks_of, pad
from commensal.llm.models.training import cross_entropy
from commensal.llm.multiple_choice._load import Question, Questions


class Sheet(NamedTuple):
    """Encoded questions, with a row for each choice of each question."""

    rows: list[Encoded]
    lengths: Float[np.ndarray, " rows"]
    """Divisors of the log-likelihoods, by row."""
    sizes: Int[np.ndarray, " questions"]
    """Number of choices of each question."""
    right: Int[np.ndarray, " questions"]

    @property
    def tokens(self) -> int:
        """Number of tokens that a model reads to answer all questions."""
        return sum(len(row.tokens) for row in self.rows)


def sheet(
    questions: Sequence[Question],
    of: Questions,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
) -> Sheet:
    """Encode questions, each with the solved ones before it.

    Solved questions stand a blank line apart. What is too long for the context loses its
    beginning; a choice that alone is too long loses its end. The end of the text does not count.

    Parameters
    ----------
    questions : sequence of Question
    of : Questions
        Whose shots and normalisation they have.
    tokenizer : PreTrainedTokenizerBase
    context : int
        Tokens that the model can see.
    """
    before = "".join(prompt + completion + "\n\n" for prompt, completion in of.shots)
    choices = [choice for question in questions for choice in question.choices]
    begin = marks_of(tokenizer).begin
    rows = []
    for prompt, completion in encode_pairs(
        tokenizer, [before + prompt for prompt, _ in choices], [text for _, text in choices]
    ):
        rows.append(behind(begin, prompt, completion, context))
    if of.normalise == "none":
        lengths = [1.0] * len(rows)
    elif of.normalise == "tokens":
        lengths = [float(max(len(row.tokens) - row.prompt, 1)) for row in rows]
    else:
        lengths = [float(len(text.strip())) for _, text in choices]
    return Sheet(
        rows,
        np.array(lengths),
        np.array([len(question.choices) for question in questions]),
        np.array([question.answer for question in questions]),
    )


def behind(
    begin: tuple[int, ...], prompt: Sequence[int], completion: Sequence[int], context: int
) -> Encoded:
    """Put a completion behind as much of its prompt's end as the context has room for.

    Parameters
    ----------
    begin : tuple of int
        Mark that stands before everything.
    prompt, completion : sequence of int
        Tokens; a completion that alone is too long loses its end.
    context : int
        Tokens that the model can see.
    """
    completion = completion[: context - max(len(begin), 1)]
    room = context - len(begin) - len(completion)
    kept = (*begin, *prompt[max(len(prompt) - room, 0) :])
    return Encoded((*kept, *completion), len(kept))


def log_likelihoods(
    model: PreTrainedModel,
    rows: Sequence[Encoded],
    *,
    padding: int,
    batch_size: int,
    precision: str,
) -> Float[np.ndarray, " rows"]:
    """Compute the log-probability of each row's completion given its prompt, in nats.

    Parameters
    ----------
    model : PreTrainedModel
    rows : sequence of Encoded
    padding : int
        The token that fills batches.
    batch_size : int
    precision : str
    """
    model.eval()
    # choices of one token that have their prompt in common: a model reads the first for all
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(rows):
        single = 1 <= row.prompt == len(row.tokens) - 1
        alike.setdefault(row.tokens[:-1] if single else (-1, i), []).append(i)
    found = np.empty(len(rows))
    # rows of similar length together: less padding
    groups = sorted(alike.values(), key=lambda group: len(rows[group[0]].tokens))
    for start in range(0, len(groups), batch_size):
        here = groups[start : start + batch_size]
        read = [rows[group[0]] for group in here]
        batch = pad(read, padding, "completion", model.device)
        with torch.inference_mode(), autocast(model.device, precision):
            logits = model(input_ids=batch.tokens, use_cache=False).logits
        sums = -cross_entropy(logits, batch.targets).double().sum(1).cpu().numpy()
        ends = [max(row.prompt - 1, 0) for row in read]
        logs = logits[range(len(here)), ends].float().log_softmax(-1).double().cpu().numpy()
        for group, whole, log in zip(here, sums, logs, strict=True):
            several = [log[rows[i].tokens[-1]] for i in group]
            found[group] = several if len(group) > 1 else whole
    return found


def answers(
    model: PreTrainedModel, asked: Sheet, *, padding: int, batch_size: int, precision: str
) -> Int[np.ndarray, " questions"]:
    """Return the most likely choice of each question, the first one among equals."""
    scores = log_likelihoods(
        model, asked.rows, padding=padding, batch_size=batch_size, precision=precision
    )
    scores = scores / asked.lengths
    ends = np.cumsum(asked.sizes)
    return np.array(
        [scores[end - size : end].argmax() for end, size in zip(ends, asked.sizes, strict=True)]
    )


def accuracy(
    model: PreTrainedModel, asked: Sheet, *, padding: int, batch_size: int, precision: str
) -> float:
    """Return the share of questions that a model answers correctly."""
    given = answers(model, asked, padding=padding, batch_size=batch_size, precision=precision)
    return float((given == asked.right).mean())
