"""Tokens of texts: tokenizers, encoded examples, padded batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from commensal.llm.corpora import Corpus, Example, Marked

# Marks targets that count in no loss, as torch's cross entropy has it.
UNCOUNTED = -100

_SPECIAL = ("<pad>", "<s>", "</s>")


def train_tokenizer(
    corpora: Sequence[Corpus], kind: str, vocabulary: int
) -> PreTrainedTokenizerFast:
    """Train a tokenizer on the training texts of these corpora.

    Parameters
    ----------
    corpora : sequence of Corpus
    kind : str
        ``"words"``: one token for each word of the known laws; ``"bpe"``: byte-level pairs.
    vocabulary : int
        Tokens of the latter.

    Returns
    -------
    PreTrainedTokenizerFast
        With the special tokens ``<pad>``, ``<s>`` and ``</s>``.
    """
    if kind == "words":
        return word_tokenizer([w for c in corpora if c.source is not None for w in c.source.words])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (e.prompt + e.completion for c in corpora for e in c.train)
    tokenizer.train_from_iterator(texts, trainer)
    return _wrapped(tokenizer, None)


def word_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer with one token for each word between white space."""
    index = {word: i for i, word in enumerate([*_SPECIAL, "<unk>", *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(index, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _wrapped(tokenizer, "<unk>")


def _wrapped(tokenizer: Tokenizer, unknown: str | None) -> PreTrainedTokenizerFast:
    padding, begin, end = _SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=padding,
        bos_token=begin,
        eos_token=end,
        unk_token=unknown,
        clean_up_tokenization_spaces=False,
    )


class Marks(NamedTuple):
    """Tokens that stand for no text: begin, end and padding."""

    begin: tuple[int, ...]
    end: tuple[int, ...]
    padding: int


def marks_of(tokenizer: PreTrainedTokenizerBase) -> Marks:
    """Return the tokens that a tokenizer puts before, after and beside a text.

    A tokenizer without a mark of the beginning puts that of the end there, as GPT-2 was trained.
    """

    def number(name: str) -> tuple[int, ...]:
        value: Any = getattr(tokenizer, f"{name}_token_id")
        return () if value is None else (int(value),)

    end = number("eos")
    padding = number("pad") or end or (0,)
    return Marks(number("bos") or end, end, padding[0])


class Written(Example):
    """Example whose completion a model wrote, with the tokens that it drew.

    Many sequences of tokens can say one text, and a tokenizer gives but one of them: from the
    text alone, what is learnt would not always be what was drawn.
    """

    tokens: tuple[int, ...]

    def __new__(cls, prompt: str, completion: str, tokens: Sequence[int]) -> Written:
        """Make an example of a prompt, a completion, and the completion's tokens."""
        written = super().__new__(cls, prompt, completion)
        written.tokens = tuple(tokens)
        return written


def written_in(record: Mapping[str, Any]) -> Written:
    """Return the example that a model wrote, from a record of a run's samples."""
    prompt = Marked(record["prompt"]) if record.get("marked") else record["prompt"]
    return Written(prompt, record["completion"], record["tokens"])


class Encoded(NamedTuple):
    """One example as tokens: begin, prompt, completion, end."""

    tokens: tuple[int, ...]
    prompt: int
    """Number of tokens before the completion."""
    synthetic: bool = False
    """Whether a model wrote the completion."""

    def learnt(self, loss_on: str) -> int:
        """Return the number of tokens that a loss covers: of all but the first, or the end."""
        return max(len(self.tokens) - (1 if loss_on == "text" else max(self.prompt, 1)), 0)


def human_share(examples: Iterable[Encoded], loss_on: str) -> float:
    """Return the share of the learnt tokens that people wrote; NaN if nothing is learnt.

    Prompts come from real texts, whoever completes them.

    Parameters
    ----------
    examples : iterable of Encoded
    loss_on : str
        ``"text"`` or ``"completion"``, as for :func:`pad`.

    Examples
    --------
    >>> real, written = Encoded((1, 5, 6, 2), 2), Encoded((1, 5, 6, 2), 2, synthetic=True)
    >>> human_share([real, written], "completion"), round(human_share([written], "text"), 3)
    (0.5, 0.333)
    """
    learnt = written = 0
    for example in examples:
        learnt += example.learnt(loss_on)
        written += example.synthetic * example.learnt("completion")
    return 1 - written / learnt if learnt else math.nan


def encode(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], max_tokens: int
) -> list[Encoded]:
    """Encode each example as tokens, cut at ``max_tokens``.

    The completion is encoded as what goes on from its prompt (:func:`encode_pairs`), and what a
    model reads before it completes is the same when it samples as when it is trained and scored.
    What a model wrote keeps the tokens in which it did.
    """
    begin, end, _ = marks_of(tokenizer)
    tails = ["" if isinstance(e, Written) else e.completion for e in examples]
    pairs = encode_pairs(tokenizer, [e.prompt for e in examples], tails)
    encoded = []
    for example, (prompt, tail) in zip(examples, pairs, strict=True):
        completion = example.tokens if isinstance(example, Written) else tail
        tokens = [*begin, *prompt, *completion, *end][:max_tokens]
        border = min(len(begin) + len(prompt), len(tokens))
        encoded.append(Encoded(tuple(tokens), border, isinstance(example, Written)))
    return encoded


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, heads: Sequence[str], tails: Sequence[str]
) -> list[tuple[list[int], list[int]]]:
    """Encode each head and the tail that continues it as tokens.

    Both together are the tokens of the whole text, ``head + tail``. A tail that were encoded by
    itself would begin anew: the tokenizers of Llama 2, Mistral and Phi-3 put a space before
    every text that they are given.

    Where the whole has a token that reaches over the border, such as a colon with a line break
    in Llama 3, the head has the tokens that it has alone, because these are what a model reads
    before it completes; the tail's follow, as they are where such a token cannot be.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    heads, tails : sequence of str
        As many of each.

    Returns
    -------
    list of (list of int, list of int)
    """
    wholes = [
        Marked(head + tail) if isinstance(head, Marked) else head + tail
        for head, tail in zip(heads, tails, strict=True)
    ]
    pairs = []
    for alone, whole, tail in zip(
        _ids(tokenizer, list(heads)), _ids(tokenizer, wholes), tails, strict=True
    ):
        if whole[: len(alone)] == alone:
            pairs.append((alone, whole[len(alone) :]))
        else:
            pairs.append(_across(tokenizer, alone, whole, tail))
    return pairs


def _across(
    tokenizer: PreTrainedTokenizerBase, alone: list[int], whole: list[int], tail: str
) -> tuple[list[int], list[int]]:
    """Return the tokens of head and tail of a text whose border lies within a token."""
    text = decode(tokenizer, whole)
    for before in ("", "\n", ".", "a"):  # something that the tail's first token does not join
        both = Marked(before + tail) if isinstance(tail, Marked) else before + tail
        start, both = _ids(tokenizer, [before, both])
        rest = both[len(start) :]
        if both[: len(start)] == start and decode(tokenizer, [*alone, *rest]) == text:
            return alone, rest
    # of a tokenizer that changes texts: what the head has in common with the whole
    shared = next(
        (at for at, pair in enumerate(zip(alone, whole, strict=False)) if pair[0] != pair[1]),
        min(len(alone), len(whole)),
    )
    return whole[:shared], whole[shared:]


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], max_tokens: int
) -> list[tuple[int, ...]]:
    """Encode each prompt behind the begin token; of longer ones keep the last ``max_tokens``.

    Raises
    ------
    ValueError
        If there is no room for a single token, or nothing at all to begin with.
    """
    begin = marks_of(tokenizer).begin
    kept = max_tokens - len(begin)
    if kept < 1 and prompts:
        raise ValueError(
            f"the longest completion leaves room for {max(max_tokens, 0)} tokens before it, "
            "too few for a prompt; lower max_new_tokens"
        )
    encoded = [(*begin, *ids[-kept:]) for ids in _ids(tokenizer, list(prompts))]
    if not all(encoded):
        raise ValueError(
            "a prompt is empty, and the tokenizer has no mark of a beginning to put in its place"
        )
    return encoded


def decode(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """Decode tokens to their text exactly: without marks, with every space before a comma."""
    return tokenizer.decode(  # pyright: ignore[reportReturnType]
        list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )


def decode_after(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], tokens: Sequence[int]
) -> str:
    """Decode tokens that continue those of a prompt."""
    before, whole = decode(tokenizer, prompt), decode(tokenizer, [*prompt, *tokens])
    return whole[len(before) :]


def _ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Encode texts to tokens; "</s>" in a text is four characters like others, and no mark.

    Only what a chat template wrote has marks in it.
    """
    found: list[list[int]] = [[] for _ in texts]
    for marked in (False, True):
        at = [i for i, text in enumerate(texts) if isinstance(text, Marked) == marked]
        if at:
            some: Any = tokenizer(
                [str(texts[i]) for i in at],
                add_special_tokens=False,
                split_special_tokens=not marked,
            )
            for i, ids in zip(at, some["input_ids"], strict=True):
                found[i] = ids
    return found


class Batch(NamedTuple):
    """Examples padded on the right: under causal attention no real token sees the padding."""

    tokens: torch.Tensor
    """Tokens as (N, L)."""
    targets: torch.Tensor
    """Targets as (N, L): the token itself where it counts, UNCOUNTED elsewhere."""


def pad(examples: Sequence[Encoded], padding: int, loss_on: str, device: Any = "cpu") -> Batch:
    """Pad examples to one batch.

    Parameters
    ----------
    examples : sequence of Encoded
    padding : int
        The token that fills.
    loss_on : str
        ``"text"``: every token but the first counts; ``"completion"``: the completion's.
    device : torch.device or str
    """
    length = max(len(e.tokens) for e in examples)
    tokens = torch.full((len(examples), length), padding)
    targets = torch.full((len(examples), length), UNCOUNTED)
    for row, example in enumerate(examples):
        ids = torch.tensor(example.tokens)
        tokens[row, : len(ids)] = ids
        first = len(ids) - example.learnt(loss_on)
        targets[row, first : len(ids)] = ids[first:]
    return Batch(tokens.to(device), targets.to(device))
