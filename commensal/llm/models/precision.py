"""Arithmetic of training, scoring and generation, and the memory that logits take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from transformers import PreTrainedModel

from commensal.llm.models.tokens import Encoded

_BYTES = 16
"""Bytes of one logit while a loss is computed of it: in its own precision and in float32, its
log-probability, and its gradient."""


def arithmetic(device: torch.device, precision: str) -> str:
    """Return the precision that "auto" means on a device: bfloat16 on a GPU that has it."""
    if precision != "auto":
        return precision
    able = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return "bfloat16" if able else "float32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Return a context in which weights in float32 are multiplied in the given precision."""
    if arithmetic(device, precision) == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def held(model: PreTrainedModel, precision: str) -> Iterator[None]:
    """Hold a model's weights in the given precision inside a block, and as they were after it.

    What writes one token at a time reads every weight for it, so that half the bytes take half the
    time; autocast would read all of them and write the halves besides.
    """
    if arithmetic(model.device, precision) == "float32":
        yield
        return
    kept = [(parameter, parameter.data) for parameter in model.parameters()]
    try:
        for parameter, whole in kept:
            parameter.data = whole.to(torch.bfloat16)
        yield
    finally:
        for parameter, whole in kept:
            parameter.data = whole


def rows_at_once(
    examples: Sequence[Encoded], vocabulary: int, gigabytes: float | int, batch_size: int
) -> int:
    """Return the number of examples whose logits fit into memory, at most a batch.

    Parameters
    ----------
    examples : sequence of Encoded
        Each as long as the longest, as far as this counts.
    vocabulary : int
    gigabytes : float
        Of 10⁹ bytes, for logits and what is computed of each.
    batch_size : int

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    Texts of 512 tokens of Llama 3: a batch of 64 would take 67 GB.

    >>> rows_at_once([Encoded((0,) * 512, 1)], 128_256, 4, batch_size=64)
    3
    """
    longest = max((len(example.tokens) for example in examples), default=1)
    return max(1, int(min(batch_size, gigabytes * 1e9 / (_BYTES * longest * vocabulary))))
