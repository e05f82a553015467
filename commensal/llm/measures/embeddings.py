"""Embeddings of texts as vectors, to see which models write alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from commensal.llm.corpora import Example
from commensal.llm.models.tokens import encode, marks_of, pad

Embedder = Callable[[Sequence[str]], Float[np.ndarray, "N D"]]


def sentence_embedder(name: str, device: torch.device) -> Embedder:
    """Load a sentence-transformers model, by name or from a folder.

    Raises
    ------
    ValueError
        If the package or the model is missing.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise ValueError(
            f"embedder {name!r} needs the package sentence-transformers; embedder base does without"
        ) from None
    try:
        model = SentenceTransformer(name, device=str(device))
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"embedder {name!r} cannot be loaded: {first}") from error
    return lambda texts: np.asarray(
        model.encode(list(texts), show_progress_bar=False), dtype=np.float32
    )


def base_embedder(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    reference: Sequence[str],
    max_tokens: int,
    batch_size: int = 64,
    layer: int = -1,
) -> Embedder:
    """Make an embedder from the mean hidden states of a language model, centred.

    Hidden states of a language model share a large common part, which would make every cosine
    nearly one; the mean over the reference texts is taken off.

    Parameters
    ----------
    model : PreTrainedModel
    tokenizer : PreTrainedTokenizerBase
    reference : sequence of str
        Real texts.
    max_tokens : int
        Longer texts lose their end.
    batch_size : int
    layer : int
        Which hidden states, as transformers counts them.

    Returns
    -------
    callable
        From N texts to (N, D), float32.
    """

    def mean_states(texts: Sequence[str]) -> Float[np.ndarray, "N D"]:
        padding = marks_of(tokenizer).padding
        encoded = encode(tokenizer, [Example("", text) for text in texts], max_tokens)
        found = []
        for start in range(0, len(encoded), batch_size):
            rows = encoded[start : start + batch_size]
            batch = pad(rows, padding, "text", model.device)
            with torch.inference_mode():
                out = model(input_ids=batch.tokens, use_cache=False, output_hidden_states=True)
            states = out.hidden_states[layer].float()
            lengths = torch.tensor([len(row.tokens) for row in rows], device=model.device)
            kept = torch.arange(states.shape[1], device=model.device) < lengths[:, None]
            total = (states * kept[..., None]).sum(1) / lengths[:, None]
            found.append(total.cpu().numpy())
        return np.concatenate(found)

    centre = mean_states(reference).mean(axis=0)
    return lambda texts: mean_states(texts) - centre


def similarity(a: Float[np.ndarray, "N D"], b: Float[np.ndarray, "N D"]) -> float:
    """Mean cosine similarity of two models' texts on the same prompts (Table 3)."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    return float(cosine.mean())
