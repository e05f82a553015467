"""Models that the user names, a folder or a name on the Hub, which embed texts or judge them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float

Embed = Callable[[Sequence[str]], np.ndarray]

_TOKENS = 512
"""Tokens of a document that a model reads, at most."""
_CHARACTERS = 8 * _TOKENS  # more are cut off before they become tokens
_BATCH = 64


def embedder_of(name: str) -> tuple[Embed, str]:
    """Load a sentence embedder: a package that carries one, a folder, or a name on the Hub.

    Returns
    -------
    tuple of callable and str
        Function of texts, and what it is called.

    Raises
    ------
    ValueError
        If it cannot be loaded, or torch is missing.
    """
    from importlib import import_module
    from importlib.util import find_spec

    _need_torch()
    import torch

    from commensal.llm.measures.embeddings import sentence_embedder

    module, place = name.replace("-", "_"), name
    if module.isidentifier() and find_spec(module) is not None:
        found = getattr(import_module(module), "get_model_path", None)
        place = str(found()) if found is not None else name
    with _few_messages():
        embed = sentence_embedder(place, torch.device(_device()))
    return lambda texts: embed([text[:_CHARACTERS] for text in texts]), f"embedder {name}"


def states_of(name: str) -> tuple[Embed, str]:
    """Load a causal language model, whose last hidden states are averaged over a document.

    Returns
    -------
    tuple of callable and str
        Function of texts, and what it is called.

    Raises
    ------
    ValueError
        If it cannot be loaded, or torch is missing.
    """
    tokenizer, model, longest = _opened(name)
    from commensal.llm.measures.embeddings import base_embedder

    embed = base_embedder(model, tokenizer, ["."], longest, _BATCH)
    said = f"mean hidden states of {name}, of the first {longest} tokens"
    return lambda texts: embed([text[:_CHARACTERS] for text in texts]), said


def losses(name: str, texts: Sequence[str]) -> Float[np.ndarray, " D"]:
    """Return the loss of each document under a causal language model, in nats, summed.

    Raises
    ------
    ValueError
        If it cannot be loaded, or torch is missing.
    """
    tokenizer, model, longest = _opened(name)
    import torch

    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    first = [] if start is None else [start]
    found = []
    for text in texts:
        ids = [*first, *tokenizer(text, add_special_tokens=False)["input_ids"]][:longest]
        if len(ids) < 2:
            found.append(0.0)
            continue
        row = torch.tensor([ids], device=model.device)
        with torch.inference_mode():
            logits = model(input_ids=row).logits[0, :-1].float()
        found.append(float(torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="sum")))
    return np.array(found)


def _opened(name: str) -> tuple[Any, Any, int]:
    """Load a causal language model; return its tokenizer, itself, and how many tokens it reads."""
    _need_torch()
    import torch

    from commensal.llm.models.pretrained import check_vocabulary, open_model, open_tokenizer

    with _few_messages():
        tokenizer, model = open_tokenizer(name), open_model(name)
        check_vocabulary(name, tokenizer, model.config)
        model.to(torch.device(_device())).eval()  # pyright: ignore[reportArgumentType]
    known = getattr(model.config.get_text_config(), "max_position_embeddings", None) or _TOKENS
    return tokenizer, model, min(known, _TOKENS)


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"embedders and models need {error.name}: pip install 'commensal[llm]'"
        ) from None


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def _few_messages() -> Iterator[None]:
    from commensal.llm.session import quiet

    with quiet():
        yield
