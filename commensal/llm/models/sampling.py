"""Sampling of completions, which does not depend on the batch size or the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from commensal.llm.config import SamplingConfig
from commensal.llm.models.draws import InverseTransform, warpers
from commensal.llm.models.loading import context_of
from commensal.llm.models.precision import held
from commensal.llm.models.tokens import decode_after, encode_prompts, marks_of

_PADDED = 64
"""Prompts are as long as a multiple of this where the cache is static."""


class Completion(str):
    """Text that a model wrote after a prompt, up to the end token or ``max_new_tokens``."""

    tokens: tuple[int, ...]
    """Tokens as they were drawn, without the end token."""

    def __new__(cls, text: str, tokens: Sequence[int]) -> Completion:
        """Make a completion of a text and its tokens."""
        completion = super().__new__(cls, text)
        completion.tokens = tuple(tokens)
        return completion


def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    sampling: SamplingConfig,
    rng: np.random.Generator,
) -> list[Completion]:
    """Sample a completion for each prompt.

    Nothing but ``sampling`` acts on what is drawn: what the model's folder says about how to
    generate (``generation_config.json``) does not count.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
    prompts : sequence of str
    sampling : SamplingConfig
    rng : numpy.random.Generator
        Draws one uniform number for each prompt and token, before anything else happens.

    Returns
    -------
    list of Completion

    Raises
    ------
    ValueError
        If ``max_new_tokens`` leaves no room for a prompt in the model's context, or the engine
        cannot write with the model, or stopped before all texts were written.
    """
    room = context_of(model) - sampling.max_new_tokens
    encoded = encode_prompts(tokenizer, prompts, room)
    return sample_after(model, tokenizer, encoded, sampling, rng)


def sample_after(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoded: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    rng: np.random.Generator,
    *,
    ends: Sequence[int] | None = None,
) -> list[Completion]:
    """Sample completions of prompts that are tokens already and leave room for the answer.

    ``ends`` are the tokens that end a text; by default the tokenizer's mark of the end alone,
    which is the one that texts are trained with.
    """
    uniforms = rng.random((len(encoded), sampling.max_new_tokens))
    marks = marks_of(tokenizer)
    stops = list(marks.end if ends is None else ends)
    options: dict[str, Any] = {"ends": stops, "padding": marks.padding}
    if not encoded:
        return []
    check_engine(model, sampling)
    with without_defaults(model), held(model, sampling.precision):
        if sampling.engine == "continuous":
            from commensal.llm.models.continuous import written_continuously

            written = written_continuously(
                model, encoded, torch.from_numpy(uniforms), sampling, **options
            )
        else:
            written = _written_in_batches(model, encoded, uniforms, sampling, **options)
    completions = []
    for prompt, drawn in zip(encoded, written, strict=True):
        ended = [at for at, token in enumerate(drawn) if token in stops]
        tokens = drawn[: ended[0]] if ended else drawn
        # decoded with its prompt: alone, its first word would lose the space before it
        completions.append(Completion(decode_after(tokenizer, prompt, tokens), tokens))
    return completions


def check_engine(model: PreTrainedModel, sampling: SamplingConfig) -> None:
    """Raise ValueError if the engine of the settings cannot write with a model.

    Parameters
    ----------
    model : PreTrainedModel
        Its weights are not looked at.
    sampling : SamplingConfig

    Raises
    ------
    ValueError
        In one line that says how to mend it.
    """
    if sampling.engine == "batches":
        return
    import commensal.llm.models.continuous  # noqa: F401 - another transformers may lack its parts

    # the models whose attention can be replaced by one that reads a cache in pages
    if not model._supports_attention_backend:
        raise ValueError(
            f"transformers cannot batch a model of type {model.config.model_type!r} continuously; "
            "set sampling.engine to batches"
        )


def _written_in_batches(
    model: PreTrainedModel,
    encoded: Sequence[Sequence[int]],
    uniforms: np.ndarray,
    sampling: SamplingConfig,
    *,
    ends: list[int],
    padding: int,
) -> list[list[int]]:
    """Return the tokens drawn after each prompt; what follows a text's end means nothing."""
    # prompts of similar length together: less padding
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    written: list[list[int]] = [[] for _ in encoded]
    static = sampling.cache == "static" or (
        sampling.cache == "auto" and model.device.type == "cuda"
    )
    generation = GenerationConfig(
        do_sample=False,  # InverseTransform leaves one token to choose from
        cache_implementation="static" if static else None,
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=padding,
        eos_token_id=ends or None,
    )
    for start in range(0, len(order), sampling.batch_size):
        rows = order[start : start + sampling.batch_size]
        length = max(len(encoded[i]) for i in rows)
        if static:  # few shapes, as each is compiled
            room = context_of(model) - sampling.max_new_tokens
            length = max(length, min(-(-length // _PADDED) * _PADDED, room))
        tokens = torch.full((len(rows), length), padding)
        seen = torch.zeros((len(rows), length), dtype=torch.long)
        for row, i in enumerate(rows):
            tokens[row, length - len(encoded[i]) :] = torch.tensor(encoded[i])
            seen[row, length - len(encoded[i]) :] = 1
        processors = LogitsProcessorList(warpers(sampling))
        drawn = torch.from_numpy(uniforms[rows]).to(model.device)
        processors.append(InverseTransform(drawn))
        with torch.inference_mode():
            out: Any = model.generate(  # pyright: ignore[reportCallIssue]
                tokens.to(model.device),
                attention_mask=seen.to(model.device),
                logits_processor=processors,
                generation_config=generation,
            )
        for row, i in enumerate(rows):
            written[i] = out[row, length:].tolist()
    return written


@contextmanager
def without_defaults(model: PreTrainedModel) -> Iterator[None]:
    """Generate without the model's own ``generation_config``.

    transformers fills in from it whatever a call leaves open: penalties for repetition, tokens
    that are suppressed or forced, beams, a shortest length, where a text ends.
    """
    before = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = before
