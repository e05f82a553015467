"""Scores of how well a model predicts texts: losses, rare tokens, distance from a known law."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from commensal.llm.corpora import Corpus, Markov
from commensal.llm.models.precision import autocast, rows_at_once
from commensal.llm.models.tokens import UNCOUNTED, Encoded, pad
from commensal.llm.models.training import cross_entropy


class Score(NamedTuple):
    """Scores of a model over the completions of one dataset's test examples."""

    loss: float
    """Mean cross entropy per token in nats, with the end token counted."""
    rare_loss: float
    """Mean cross entropy of the rare tokens alone; NaN where the test has none."""
    kl: float
    """KL divergence from the law to the model, nats per word, exact over the next word and
    averaged over the test's contexts; NaN where the law is not known."""
    tail: float
    """Probability of the law's rarest words under the model, averaged over the same contexts."""


class Law(NamedTuple):
    """Probabilities by which a known law predicts each test example of a corpus."""

    tokens: Int[np.ndarray, " words"]
    """Token of each word."""
    next_word: Float[np.ndarray, "N length words"]
    """Probability of each word at each position, given the words before."""
    tail: Bool[np.ndarray, " words"]
    """Mask of the rarest words."""
    tail_mass: float
    """Probability of the rarest words under the law, averaged over the same contexts."""
    floor: float
    """Entropy of the law at the same contexts, nats per word: no model's expected loss is
    lower."""
    prompt: int
    """Number of words before the completion."""


def law_of(
    corpus: Corpus, tokenizer: PreTrainedTokenizerBase, limit: int | None = None
) -> Law | None:
    """Return the law of the corpus's test examples, or None if words are not single tokens."""
    source: Markov | None = corpus.source
    if source is None:
        return None
    ids = tokenizer(list(source.words), add_special_tokens=False)["input_ids"]
    if any(len(word) != 1 for word in ids):  # pyright: ignore[reportArgumentType]
        return None
    examples = corpus.test[:limit]
    words = np.array([source.encode(e.prompt + e.completion) for e in examples])
    prompt = len(source.encode(examples[0].prompt))
    probabilities = source.next_word(words)
    completion = probabilities[:, prompt:]
    entropy = -(
        completion * np.log(completion, where=completion > 0, out=np.zeros_like(completion))
    )
    tail = source.tail()
    return Law(
        tokens=np.array(ids)[:, 0],
        next_word=probabilities,
        tail=tail,
        tail_mass=float(completion[..., tail].sum(-1).mean()),
        floor=float(entropy.sum(-1).mean()),
        prompt=prompt,
    )


def rare_tokens(
    examples: Sequence[Encoded], vocabulary: int, share: float
) -> Bool[np.ndarray, " vocabulary"]:
    """Return the least frequent tokens of these texts that make up at most ``share`` of them."""
    counts = Counter(token for example in examples for token in example.tokens[1:])
    allowed = share * counts.total()
    rare = np.zeros(vocabulary, dtype=bool)
    for token, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        allowed -= count
        if allowed < 0:
            break
        rare[token] = True
    return rare


def unigram_loss(train: Sequence[Encoded], test: Sequence[Encoded]) -> float:
    """Cross entropy of test completions under the law of single tokens of training completions.

    Every token that occurs in either counts once more, so that none is impossible.

    Parameters
    ----------
    train, test : sequence of Encoded

    Returns
    -------
    float
        Nats per token.

    Examples
    --------
    >>> round(unigram_loss([Encoded((0, 1, 1, 2), 1)], [Encoded((0, 1, 2), 1)]), 4)  # 3/5 and 2/5
    0.7136
    """
    seen = Counter(token for example in train for token in example.tokens[example.prompt :])
    tokens = [token for example in test for token in example.tokens[example.prompt :]]
    total = seen.total() + len(seen.keys() | set(tokens))
    losses = [-np.log((seen[token] + 1) / total) for token in tokens]
    return float(np.mean(losses)) if losses else float("nan")


def score(
    model: PreTrainedModel,
    examples: Sequence[Encoded],
    *,
    padding: int,
    batch_size: int,
    precision: str,
    rare: Bool[np.ndarray, " vocabulary"],
    law: Law | None = None,
    logits_memory: float | int = math.inf,
) -> Score:
    """Score a model on the completions: its cross entropy, and its distance from the law.

    Parameters
    ----------
    model : PreTrainedModel
    examples : sequence of Encoded
    padding : int
        The token that fills batches.
    batch_size : int
    precision : str
    rare : Bool[numpy.ndarray, "vocabulary"]
        Tokens that count as rare.
    law : Law, optional
        Of the same examples, in the same order.
    logits_memory : float
        Gigabytes that the logits of a batch may take; batches are smaller where they would not fit.

    Returns
    -------
    Score
    """
    model.eval()
    vocabulary = model.config.get_text_config().vocab_size
    batch_size = rows_at_once(examples, vocabulary, logits_memory, batch_size)
    losses, is_rare, distances, tails = [], [], [], []
    for start in range(0, len(examples), batch_size):
        batch = pad(examples[start : start + batch_size], padding, "completion", model.device)
        with torch.inference_mode(), autocast(model.device, precision):
            logits = model(input_ids=batch.tokens, use_cache=False).logits
        targets = batch.targets[:, 1:].cpu().numpy()
        counted = targets != UNCOUNTED
        losses.append(cross_entropy(logits, batch.targets).double().cpu().numpy()[counted])
        is_rare.append(rare[targets[counted]])
        if law is not None:
            of_law = law.next_word[start : start + batch_size, law.prompt :]
            distance, tail = _from_law(logits, of_law, law)
            distances.append(distance)
            tails.append(tail)
    loss, where = np.concatenate(losses), np.concatenate(is_rare)
    return Score(
        loss=float(loss.mean()),
        rare_loss=float(loss[where].mean()) if where.any() else float("nan"),
        kl=float(np.concatenate(distances).mean()) if law is not None else float("nan"),
        tail=float(np.concatenate(tails).mean()) if law is not None else float("nan"),
    )


def _from_law(
    logits: torch.Tensor, of_law: Float[np.ndarray, "N length words"], law: Law
) -> tuple[np.ndarray, np.ndarray]:
    """Return KL divergence and probability of the tail, each (N, length)."""
    # a text is begin, words, end: logits at index i are about word i
    at = slice(law.prompt, law.prompt + of_law.shape[1])
    model = logits[:, at].double().log_softmax(-1)[..., torch.from_numpy(law.tokens)].cpu().numpy()
    with np.errstate(divide="ignore"):
        log_law = np.where(of_law > 0, np.log(of_law), 0.0)
    kl = (of_law * (log_law - model)).sum(-1)
    return kl, np.exp(model[..., law.tail]).sum(-1)


def step_divergence(
    before: PreTrainedModel,
    after: PreTrainedModel,
    examples: Sequence[Encoded],
    *,
    padding: int,
    batch_size: int,
    precision: str,
    logits_memory: float | int = math.inf,
) -> float:
    """KL divergence from one generation's model to the next one's, nats per token.

    Exact over the next token, averaged over the tokens of the examples' completions, so that both
    models are compared in the same human contexts.

    Parameters
    ----------
    before, after : PreTrainedModel
        Models of the same tokenizer.
    examples : sequence of Encoded
    padding : int
        The token that fills batches.
    batch_size : int
    precision : str
    logits_memory : float
        As for :func:`score`; both models have some.

    Returns
    -------
    float
        NaN where no completion has a token.
    """
    found = []
    vocabulary = after.config.get_text_config().vocab_size
    batch_size = rows_at_once(examples, vocabulary, logits_memory / 2, batch_size)
    for start in range(0, len(examples), batch_size):
        batch = pad(examples[start : start + batch_size], padding, "completion", after.device)
        logits = []
        for model in (before.eval(), after.eval()):
            with torch.inference_mode(), autocast(model.device, precision):
                logits.append(model(input_ids=batch.tokens, use_cache=False).logits)
        counted = batch.targets[:, 1:] != UNCOUNTED
        for row, old, new in zip(counted, *logits, strict=True):  # a text at a time, for memory
            p, q = (of_model[:-1][row].double().log_softmax(-1) for of_model in (old, new))
            found.append((p.exp() * (p - q)).sum(-1).cpu().numpy())
    return float(np.concatenate(found).mean()) if sum(map(len, found)) else float("nan")
