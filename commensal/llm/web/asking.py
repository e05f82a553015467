"""Interface of models on the web: questions, answers, and responders wherever they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from commensal.llm.config import BadAnswer, WebConfig
from commensal.llm.web.cache import AnswerCache


class WebQuestion(NamedTuple):
    """Request for L responses to one prompt."""

    posts: Sequence[str]
    """Retrieved posts, from which the model answers."""
    responses: int
    """Number of responses L."""
    seed: int
    """Seed of this grid point, generation and model."""
    place: str
    """Name of the question, unique within a run."""
    query: int = 0
    """Index of the query."""


class Response(NamedTuple):
    """One of the L responses that a model wrote."""

    text: str
    bad: BadAnswer | None = None
    """Why a server's answer is bad; None: it is good."""
    left_out: bool = False
    """Whether the response is neither posted nor measured."""
    finish: str | None = None
    """Reason for the end of the answer, as the server names it (``finish_reason``)."""
    model: str | None = None
    """Name of the model that has answered, according to the server."""


class Responses(NamedTuple):
    """Responses of one model to a question."""

    responses: list[Response]
    read: int
    """Number of posts that fitted into the model's context; the last ones are left out."""
    tokens: int | None
    """Approximate number of tokens written; None: the server does not say."""
    counts: Mapping[str, int] | None = None
    """Number of all ``answers`` that a server gave, repeated requests among them, and numbers of
    bad ones by kind; None: the model runs here."""

    @property
    def texts(self) -> list[str]:
        """Texts of the responses that are not left out."""
        return [response.text for response in self.responses if not response.left_out]


def together(answers: Sequence[Responses]) -> Responses:
    """Put a model's answers to several queries together."""
    if len(answers) == 1:
        return answers[0]
    tokens = [answer.tokens for answer in answers]
    counts: dict[str, int] = {}
    for answer in answers:
        for name, count in (answer.counts or {}).items():
            counts[name] = counts.get(name, 0) + count
    return Responses(
        [response for answer in answers for response in answer.responses],
        sum(answer.read for answer in answers),
        None if None in tokens else sum(count or 0 for count in tokens),
        None if answers[0].counts is None else counts,
    )


class Place(NamedTuple):
    """Arguments with which a responder is opened."""

    config: WebConfig
    at: int
    """Index of the model among the models of the web."""
    folder: Path
    """Folder of the run."""
    device: torch.device
    cache: Callable[[str], AnswerCache]
    """Function from a grid point's name to its file of answers, opened once."""
    progress: Callable[[float | int], None]
    """Callback for the finished share of a model's lesson, where it is taught."""
    replicate: int = 0
    """Replicate that the model is taught for."""


@runtime_checkable
class Responder(Protocol):
    """Interface of a model that answers; each kind of model names a class as its ``responder``."""

    loaded: tuple[PreTrainedModel, PreTrainedTokenizerBase] | None
    """Network and tokenizer of a model that runs here, else None."""

    @staticmethod
    def check(config: WebConfig, model: Any) -> None:
        """Raise an error for whatever would fail later in the run.

        Raises
        ------
        ValueError
            In one line that says how to mend it.
        """
        ...

    @classmethod
    def opened(cls, model: Any, place: Place) -> Responder:
        """Open the responder of a model, as the configuration describes it."""
        ...

    def close(self) -> None:
        """Release connections and other resources."""
        ...

    def respond(self, question: WebQuestion, progress: Callable[[float | int], None]) -> Responses:
        """Return all responses; ``progress`` is called with the finished share."""
        ...
