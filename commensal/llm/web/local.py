"""Responders for models that run on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from commensal.llm.config import LocalModel, WebConfig
from commensal.llm.models.loading import context_in, context_of
from commensal.llm.models.pretrained import (
    check_vocabulary,
    open_config,
    open_model,
    open_tokenizer,
)
from commensal.llm.models.sampling import check_engine, sample_after
from commensal.llm.models.tokens import encode_prompts, marks_of
from commensal.llm.web.answers import without_blocks
from commensal.llm.web.asking import Place, Response, Responses, WebQuestion


class LoadedResponder:
    """A model that runs on this machine, with its own tokenizer.

    Where the tokenizer has a chat template the prompt is a user's message in it; else it is plain
    text that the model continues.

    Parameters
    ----------
    config : WebConfig
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
    """

    def __init__(
        self, config: WebConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.config = config
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.loaded = (model, tokenizer)

    def close(self) -> None:
        """Do nothing: the network is freed with the responder."""

    def tokens(self, posts: Sequence[str], query: int = 0) -> list[int]:
        """Encode the whole prompt around these posts."""
        return prompt_tokens(self.config, self.tokenizer, posts, query)

    def fitting(self, posts: Sequence[str], query: int = 0) -> int:
        """Count the posts, from the first on, that fit beside the answer.

        Raises
        ------
        ValueError
            If not even the query does.
        """
        room = context_of(self.model) - self.config.sampling.max_new_tokens
        if len(self.tokens(posts, query)) <= room:
            return len(posts)
        low, high = 0, len(posts)  # low fits, high does not
        if len(self.tokens([], query)) > room:
            length = len(self.tokens([], query))
            raise ValueError(f"the query has {length} tokens; the model's context leaves {room}")
        while high - low > 1:
            middle = (low + high) // 2
            if len(self.tokens(posts[:middle], query)) <= room:
                low = middle
            else:
                high = middle
        return low

    def respond(self, question: WebQuestion, progress: Callable[[float | int], None]) -> Responses:
        """Sample all responses in batches."""
        read = self.fitting(question.posts, question.query)
        prompt = self.tokens(question.posts[:read], question.query)
        sampling, count = self.config.sampling, question.responses
        written = sample_after(
            self.model,
            self.tokenizer,
            [prompt] * count,
            sampling,
            np.random.default_rng(question.seed),
            ends=self._ends(),
        )
        progress(1.0)
        texts = [without_blocks(text, self.config.strip) for text in written]
        return Responses([Response(text) for text in texts], read, count * sampling.max_new_tokens)

    def _ends(self) -> list[int]:
        """Return the tokens that end an answer: in a chat also those of the model's folder.

        Gemma's turns end with another mark than its texts do.
        """
        ends = list(marks_of(self.tokenizer).end)
        own: Any = self.model.generation_config and self.model.generation_config.eos_token_id
        if self.tokenizer.chat_template and own is not None:
            ends += [own] if isinstance(own, int) else own
        return ends


class LocalResponder(LoadedResponder):
    """A model that transformers loads."""

    @staticmethod
    def check(config: WebConfig, model: LocalModel) -> None:
        """Check that the model can be loaded, and that the query fits beside the answer."""
        known = open_config(model.name, model.revision)
        tokenizer = open_tokenizer(model.name, model.revision)
        check_vocabulary(model.name, tokenizer, known)
        if config.sampling.engine != "batches":
            with torch.device("meta"):
                check_engine(AutoModelForCausalLM.from_config(known), config.sampling)
        length = max(
            len(prompt_tokens(config, tokenizer, [], q)) for q in range(len(config.queries))
        )
        context, answer = context_in(known), config.sampling.max_new_tokens
        if length + answer > context:
            raise ValueError(
                f"the query has {length:,} tokens and an answer up to {answer:,}; model "
                f"{model.name!r} can see {context:,}; shorten query or prompt, or lower "
                "sampling.max_new_tokens"
            )

    @classmethod
    def opened(cls, model: LocalModel, place: Place) -> LocalResponder:
        """Load the model by name or from a folder."""
        return cls(place.config, *open_local(model, place.device))


def prompt_tokens(
    config: WebConfig, tokenizer: PreTrainedTokenizerBase, posts: Sequence[str], query: int = 0
) -> list[int]:
    """Encode the whole prompt around posts, in the tokenizer's chat template if it has one."""
    prompt = config.ask(posts, query)
    if tokenizer.chat_template:
        found: Any = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
        )
        return list(found["input_ids"])
    return list(encode_prompts(tokenizer, [prompt], 1 << 30)[0])


def open_local(model: LocalModel, device: torch.device) -> tuple[PreTrainedModel, Any]:
    """Load model and tokenizer by name or from a folder.

    Raises
    ------
    ValueError
        If either cannot be loaded.
    """
    tokenizer = open_tokenizer(model.name, model.revision)
    opened = open_model(model.name, model.revision, dtype=getattr(torch, model.dtype))
    check_vocabulary(model.name, tokenizer, opened.config)
    return opened.to(device), tokenizer  # pyright: ignore[reportArgumentType]
