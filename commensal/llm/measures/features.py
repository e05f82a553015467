"""Hidden states of a model at the tokens that it learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel

from commensal.llm.models.precision import autocast
from commensal.llm.models.tokens import UNCOUNTED, Encoded, pad


def hidden_states(
    model: PreTrainedModel,
    examples: Sequence[Encoded],
    *,
    padding: int,
    loss_on: str = "text",
    layer: int = -1,
    batch_size: int = 64,
    precision: str = "auto",
) -> Iterator[Float[np.ndarray, "tokens hidden"]]:
    """Yield the hidden states from which the model predicts each counted token, batch by batch.

    Parameters
    ----------
    model : PreTrainedModel
    examples : sequence of Encoded
    padding : int
        The token that fills batches.
    loss_on : str
        Which tokens count: ``"text"``: all but the first; ``"completion"``: the completion's.
    layer : int
        Which hidden states, as transformers counts them: 0 are the embeddings, -1 is what the
        output layer reads.
    batch_size : int
    precision : str
        As in training: ``"auto"``, ``"float32"`` or ``"bfloat16"``.

    Yields
    ------
    Float[numpy.ndarray, "tokens hidden"]
        A row for each counted token of a batch, float64: the state one position before it.

    Raises
    ------
    ValueError
        If the model has no such layer.
    """
    model.eval()
    for start in range(0, len(examples), batch_size):
        rows = examples[start : start + batch_size]
        batch = pad(rows, padding, loss_on, model.device)
        with torch.inference_mode(), autocast(model.device, precision):
            out = model(input_ids=batch.tokens, use_cache=False, output_hidden_states=True)
        states = out.hidden_states
        if not -len(states) <= layer < len(states):
            raise ValueError(
                f"layer must lie between {-len(states)} and {len(states) - 1}, got {layer}"
            )
        counted = batch.targets[:, 1:] != UNCOUNTED
        yield states[layer][:, :-1][counted].float().cpu().numpy().astype(np.float64)
