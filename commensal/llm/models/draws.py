"""Draws of next tokens by numbers given beforehand, which all engines share."""

from __future__ import annotations

import torch
from jaxtyping import Float
from transformers import (
    LogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from commensal.llm.config import SamplingConfig


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
        self.step += 1
        return inverted(scores, self.uniforms[:, self.step - 1])


def inverted(
    scores: Float[torch.Tensor, "N tokens"], uniforms: Float[torch.Tensor, " N"]
) -> Float[torch.Tensor, "N tokens"]:
    """Invert each row's distribution at its number: 0 for the token there, -inf for all others."""
    # in float64: float32 sums over 100,000 tokens would round small probabilities away
    cumulative = scores.double().softmax(dim=-1).cumsum(dim=-1)
    at = uniforms[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, at, right=True)
    # rounding can push past the last token, or onto one that a filter has taken out
    chosen = chosen.clamp(max=scores.shape[-1] - 1)
    return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)


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
