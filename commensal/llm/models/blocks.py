"""Blocks of tokens: a corpus cut from one stream, its losses, and a model's continuations.

The paper ``diversity`` (sec. 3.2) trains, scores and writes in blocks of equal length, after
Shumailov et al. (2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from commensal.llm.config import SamplingConfig
from commensal.llm.corpora import CorpusSettings, Example
from commensal.llm.models.draws import InverseTransform, warpers
from commensal.llm.models.precision import autocast
from commensal.llm.models.sampling import without_defaults
from commensal.llm.models.tokens import Encoded, encode_pairs, marks_of
from commensal.llm.models.training import cross_entropy

Blocks = Int[np.ndarray, "_ block"]


def blocks_of(
    tokenizer: PreTrainedTokenizerBase,
    corpus: CorpusSettings,
    examples: Sequence[Example],
    block: int,
) -> Blocks:
    """Join a corpus's examples to one stream of tokens and cut it into blocks; drop what is left.

    Pieces of running text follow each other as in the text they are of, and so do texts of a
    known law, which has no beginning and no end; rows of a table have the marks of beginning and
    end around them.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    corpus : CorpusSettings
        Says which it is.
    examples : sequence of Example
    block : int
        Tokens.

    Returns
    -------
    Int[numpy.ndarray, "N block"]
    """
    running = corpus.running
    texts = [e.prompt + e.completion for e in examples]
    heads = [""] * len(texts)
    if running:  # each goes on from the one before it
        heads[1:] = texts[:-1]
        texts[1:] = [f" {text}" for text in texts[1:]]
    before, after = ((), ()) if running else (begin_of(tokenizer), marks_of(tokenizer).end)
    ids = [tail for _, tail in encode_pairs(tokenizer, heads, texts)]
    stream = [token for text in ids for token in (*before, *text, *after)]
    whole = len(stream) // block * block
    return np.array(stream[:whole], dtype=np.int64).reshape(-1, block)


def begin_of(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the mark that a model has learnt to see before every text, if it has one.

    GPT-2 and OPT have none: the one token that they call so is the mark of the end.
    """
    marks = marks_of(tokenizer)
    return () if marks.begin == marks.end else marks.begin


def as_examples(
    blocks: Blocks, begin: tuple[int, ...], *, synthetic: bool = False
) -> list[Encoded]:
    """Return the blocks as examples to train on, each behind ``begin``."""
    return [Encoded((*begin, *row), 0, synthetic) for row in blocks.tolist()]


def block_losses(
    model: PreTrainedModel,
    blocks: Blocks,
    begin: tuple[int, ...],
    *,
    batch_size: int,
    precision: str,
) -> Float[np.ndarray, " N"]:
    """Mean cross entropy, in nats, of each block's tokens that have others before them.

    Parameters
    ----------
    model : PreTrainedModel
    blocks : Int[numpy.ndarray, "N block"]
    begin : tuple of int
        Of :func:`begin_of`; where it is empty the first token of a block does not count.
    batch_size : int
    precision : str
        ``"auto"``, ``"float32"`` or ``"bfloat16"``.
    """
    model.eval()
    found, whole = [], _behind(begin, blocks)
    for start in range(0, len(blocks), batch_size):
        tokens = whole[start : start + batch_size].to(model.device)
        with torch.inference_mode(), autocast(model.device, precision):
            logits = model(input_ids=tokens, use_cache=False).logits
            found.append(cross_entropy(logits, tokens).double().mean(dim=1).cpu().numpy())
    return np.concatenate(found)


def continuations(
    model: PreTrainedModel,
    blocks: Blocks,
    begin: tuple[int, ...],
    sampling: SamplingConfig,
    *,
    beams: int | None,
    padding: int,
    rng: np.random.Generator,
) -> Blocks:
    """Let a model continue each block by as many tokens as the block has.

    Nothing ends a text early: the mark of its end is a token like others, after which another
    text may begin.

    Parameters
    ----------
    model : PreTrainedModel
    blocks : Int[numpy.ndarray, "N block"]
    begin : tuple of int
        Of :func:`begin_of`.
    sampling : SamplingConfig
        ``batch_size`` counts beams.
    beams : int, optional
        Width of the beam search; without it every token is sampled.
    padding : int
    rng : numpy.random.Generator
        Draws one uniform number for each token that is sampled.

    Returns
    -------
    Int[numpy.ndarray, "N block"]
    """
    length = blocks.shape[1]
    uniforms = None if beams else rng.random(blocks.shape)
    generation = GenerationConfig(
        do_sample=False,  # of samples, InverseTransform leaves one token to choose from
        num_beams=beams or 1,
        max_new_tokens=length,
        pad_token_id=padding,
    )
    size = max(1, sampling.batch_size // (beams or 1))
    written, whole = [], _behind(begin, blocks)
    for start in range(0, len(blocks), size):
        tokens = whole[start : start + size].to(model.device)
        processors = LogitsProcessorList()
        if uniforms is not None:
            drawn = torch.from_numpy(uniforms[start : start + size]).to(model.device)
            processors = LogitsProcessorList([*warpers(sampling), InverseTransform(drawn)])
        with torch.inference_mode(), without_defaults(model):
            out: Any = model.generate(  # pyright: ignore[reportCallIssue]
                tokens,
                attention_mask=torch.ones_like(tokens),
                logits_processor=processors,
                generation_config=generation,
            )
        written.append(out[:, whole.shape[1] :].cpu().numpy())
    return np.concatenate(written)


def _behind(begin: tuple[int, ...], blocks: Blocks) -> torch.Tensor:
    marks = np.broadcast_to(np.array(begin, dtype=np.int64), (len(blocks), len(begin)))
    return torch.from_numpy(np.concatenate([marks, blocks], axis=1))
