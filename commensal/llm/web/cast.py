"""Models, embedder and human posts of each replicate of a web, opened when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from commensal.llm.config import WebConfig, part
from commensal.llm.experiment import Progress
from commensal.llm.measures.embeddings import Embedder, base_embedder, sentence_embedder
from commensal.llm.models.loading import context_of
from commensal.llm.web.asking import Place, Responder
from commensal.llm.web.cache import AnswerCache
from commensal.llm.web.languages import calibration


class Steps:
    """Count of a run's finished steps, which tells the progress."""

    def __init__(self, progress: Progress, total: float | int) -> None:
        self.progress = progress
        self.total = total
        self.done = 0.0

    def advance(self, by: float | int) -> None:
        """Count ``by`` more steps as finished."""
        self.done += by
        self.within(0.0)

    def within(self, more: float | int) -> None:
        """Tell that ``more`` steps than those that are finished are under way."""
        self.progress(self.done + more, self.total)


class Cast(NamedTuple):
    """Models, embedder and human posts of one replicate."""

    config: WebConfig
    """Settings with the replicate's seed and languages."""
    human: list[list[str]]
    """Human posts A^(0), then those that are new after each step."""
    responders: list[Responder]
    embed: Embedder
    vector: Callable[[str], Float[np.ndarray, " D"]]
    """Function that embeds one text by itself, so that nothing else can change its last digits."""
    calibrated: Callable[[int], dict[str, float]]
    """Function that measures how well a taught model has learnt its law."""


class Casts:
    """Casts of a run; models that are not taught are the same in all of them.

    Parameters
    ----------
    config : WebConfig
    folder : Path
        Folder of the run.
    human : dict from int to list of list of str
        Human posts of each replicate.
    device : torch.device
    lesson : float
        Number of steps that a model's lesson counts for.
    steps : Steps
    """

    def __init__(
        self,
        config: WebConfig,
        folder: Path,
        human: dict[int, list[list[str]]],
        device: torch.device,
        lesson: float | int,
        steps: Steps,
    ) -> None:
        self.config = config
        self.folder = folder
        self.human = human
        self.device = device
        self.lesson = lesson
        self.steps = steps
        self.opened = ExitStack()
        self.of = cache(self._cast)
        self._given = cache(self._responder)
        # answers of servers: one file for each grid point
        kept = Path(config.answers) if config.answers else folder / "responses"
        self._kept = cache(lambda name: AnswerCache(kept / f"{name}.jsonl"))

    def _cast(self, replicate: int) -> Cast:
        """Open models and embedder, in the order in which the configuration names them."""
        config, human = self.config.of_replicate(replicate), self.human[replicate]
        opened = [
            self._responder(at, replicate) if model.taught else self._given(at)
            for at, model in enumerate(config.models)
        ]
        embed = self._embedder(opened, human[0])

        def calibrated(at: int) -> dict[str, float]:
            taught: Any = opened[at]
            return calibration(config, at, taught)

        alone = cache(lambda text: embed([text])[0])
        return Cast(config, human, opened, embed, alone, cache(calibrated))

    def _responder(self, at: int, replicate: int = 0) -> Responder:
        """Open a model, and teach it for a replicate if it is taught."""
        config = self.config.of_replicate(replicate)
        model = config.models[at]

        def lesson(share: float | int) -> None:
            self.steps.within(share * self.lesson)

        place = Place(config, at, self.folder, self.device, self._kept, lesson, replicate)
        responder: Responder = part(model.responder).opened(model, place)
        self.opened.callback(responder.close)
        if model.taught:
            self.steps.advance(self.lesson)
        return responder

    def _embedder(self, opened: list[Responder], human: list[str]) -> Embedder:
        how = self.config.embedding
        if how.model == "base":
            # the configuration has seen to it that there is one
            model, tokenizer = next(r.loaded for r in opened if r.loaded is not None)
            embed = base_embedder(model, tokenizer, human, context_of(model))
        else:
            embed = sentence_embedder(how.model, self.device)

        def vectors(texts: list[str]) -> Float[np.ndarray, "N D"]:
            found = embed([how.prefix + text for text in texts])
            if not how.normalised:
                return found
            lengths = np.linalg.norm(found, axis=1, keepdims=True)
            return found / np.where(lengths > 0, lengths, 1.0)

        return vectors  # pyright: ignore[reportReturnType]
