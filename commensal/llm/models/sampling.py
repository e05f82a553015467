"""Sampling of completions, which does not depend on the batch size or the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from commensal.llm.config import SamplingConfig
from commensal.llm.models.loading import context_of
from commensal.llm.models.precision import held
from commensal.llm.models.tokens import decode_after, encode_prompts, marks_of

_PADDED = 64
"""Prompts are as long as a multiple of this where the cache is static."""


class InverseTransform(LogitsProcessor):
    """Sampler that inverts each next token's distribution at a uniform number given beforehand.

    transformers' own sampling takes its numbers from one stream, so that what one prompt gets
    depends on the others in its batch. Here every prompt brings its numbers with it; the same
    ones in two runs also make the runs' difference less noisy.

    Parameters
    ----------
    uniforms : Float[torch.Tensor, "N steps"]
        In [0, 1).
    """

    def __init__(self, uniforms: torch.Tensor) -> None:
        self.uniforms = uniforms
        self.step = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores that leave one token: 0 for it and -inf for all others."""
        # in float64: float32 sums over 100,000 tokens would round small probabilities away
        cumulative = scores.double().softmax(dim=-1).cumsum(dim=-1)
        at = self.uniforms[:, self.step, None] * cumulative[:, -1:]
        chosen = torch.searchsorted(cumulative, at, right=True)
        # rounding can push past the last token, or onto one that a filter has taken out
        chosen = chosen.clamp(max=scores.shape[-1] - 1)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)


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
        If ``max_new_tokens`` leaves no room for a prompt in the model's context.
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
    # prompts of similar length together: less padding
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    completions = [Completion("", ())] * len(encoded)
    marks = marks_of(tokenizer)
    stops = list(marks.end if ends is None else ends)
    static = sampling.cache == "static" or (
        sampling.cache == "auto" and model.device.type == "cuda"
    )
    generation = GenerationConfig(
        do_sample=False,  # InverseTransform leaves one token to choose from
        cache_implementation="static" if static else None,
        max_new_tokens=sampling.max_new_tokens,
        pad_token_id=marks.padding,
        eos_token_id=stops or None,
    )
    for start in range(0, len(order), sampling.batch_size):
        rows = order[start : start + sampling.batch_size]
        length = max(len(encoded[i]) for i in rows)
        if static:  # few shapes, as each is compiled
            room = context_of(model) - sampling.max_new_tokens
            length = max(length, min(-(-length // _PADDED) * _PADDED, room))
        tokens = torch.full((len(rows), length), marks.padding)
        seen = torch.zeros((len(rows), length), dtype=torch.long)
        for row, i in enumerate(rows):
            tokens[row, length - len(encoded[i]) :] = torch.tensor(encoded[i])
            seen[row, length - len(encoded[i]) :] = 1
        processors = LogitsProcessorList(warpers(sampling))
        drawn = torch.from_numpy(uniforms[rows]).to(model.device)
        processors.append(InverseTransform(drawn))
        with torch.inference_mode(), without_defaults(model), held(model, sampling.precision):
            out: Any = model.generate(  # pyright: ignore[reportCallIssue]
                tokens.to(model.device),
                attention_mask=seen.to(model.device),
                logits_processor=processors,
                generation_config=generation,
            )
        for row, i in enumerate(rows):
            drawn_here: list[int] = out[row, length:].tolist()
            ended = [at for at, token in enumerate(drawn_here) if token in stops]
            tokens = drawn_here[: ended[0]] if ended else drawn_here
            # decoded with its prompt: alone, its first word would lose the space before it
            text = decode_after(tokenizer, encoded[i], tokens)
            completions[i] = Completion(text, tokens)
    return completions


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


def warpers(sampling: SamplingConfig) -> list[LogitsProcessor]:
    """Return temperature, top k and top p as far as they are set, in transformers' order."""
    found: list[LogitsProcessor] = []
    if sampling.temperature != 1:
        found.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k is not None:
        found.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        found.append(TopPLogitsWarper(sampling.top_p))
    return found
