"""Tokenizers of every make: what is written, read and written again stays what it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import trainers as training
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedTokenizerFast

from commensal.llm.config import OptimisationConfig, SamplingConfig
from commensal.llm.corpora import Example, FileCorpus
from commensal.llm.models.blocks import blocks_of
from commensal.llm.models.sampling import sample
from commensal.llm.models.tokens import (
    UNCOUNTED,
    Written,
    decode,
    decode_after,
    encode,
    encode_pairs,
    encode_prompts,
    marks_of,
    pad,
)
from commensal.llm.models.training import train
from commensal.llm.multiple_choice import Question, Questions
from commensal.llm.multiple_choice.answering import sheet

TEXTS = [
    "Question: what is the sum of two and three?\nAnswer: it is five , I think .",
    "Once upon a time there was a tree; it did n't speak. Nobody minded.",
    "The  quick   brown fox\n\n\tjumps over 12 lazy dogs in 1984!",
    "München, ünïcode — 北京 and a smile \U0001f600.",
    'She said: "It\'s <s>over</s> now", and <unk> left.',
    " a space before, and one after ",
]
EXAMPLES = [
    Example("Question: what is the sum of two and three?\nAnswer:", " it is five , I think ."),
    Example("Once upon a time there was a tree;", " it did n't speak. Nobody minded."),
    Example("The  quick   brown fox", "   jumps over\n\n\t12 lazy dogs in 1984!"),
    Example("München,", " ünïcode — 北京 and a smile \U0001f600."),
    Example("She said: \"It's", ' <s>over</s> now", and <unk> left.'),
    Example(" a space before,", " and one after "),
]
# whose border lies within what could be one token
ACROSS = [
    Example("Answer: ", "yes, it is"),
    Example("Answer:", "\nyes, it is"),
    Example("the quick bro", "wn fox"),
    Example("The quick  ", "  brown fox"),
    Example("The  quick   brown fox", "\n\n\tjumps over 12 lazy dogs in 1984!"),
]
MARKS = ["<s>", "</s>", "<pad>", "<unk>"]


def trained(model: Any, trainer: Any, **parts: Any) -> Tokenizer:
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def byte_level(prefix: bool, pattern: str | None = None) -> Tokenizer:
    cut: Any = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=pattern is None)
    if pattern is not None:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        cut = pre_tokenizers.Sequence([split, cut])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = training.BpeTrainer(
        vocab_size=360, special_tokens=MARKS, initial_alphabet=alphabet, show_progress=False
    )
    return trained(models.BPE(), trainer, pre_tokenizer=cut, decoder=decoders.ByteLevel())


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def metaspace(scheme: str, unigram: bool = False) -> Tokenizer:
    """Like that of Mistral, of T5 (Unigram), or of Gemma (never)."""
    cut = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    back = decoders.Sequence(
        [decoders.Metaspace(prepend_scheme=scheme), decoders.ByteFallback(), decoders.Fuse()]
    )
    if scheme == "never":
        back = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        )
    return _with_bytes(unigram, cut, None, back)


def prepending(split: bool) -> Tokenizer:
    """Like those of Llama 2 and Phi-3, as they were converted."""
    before = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    back = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    cut = pre_tokenizers.Split("▁", "merged_with_next") if split else None
    return _with_bytes(False, cut, before, back)


def _with_bytes(unigram: bool, cut: Any, before: Any, back: Any) -> Tokenizer:
    learning = pre_tokenizers.Metaspace(prepend_scheme="always")
    if unigram:
        trainer = training.UnigramTrainer(
            vocab_size=140, special_tokens=[*MARKS, *BYTES], unk_token="<unk>", show_progress=False
        )
        learnt = trained(models.Unigram(), trainer, pre_tokenizer=learning)
        saved = json.loads(learnt.to_str())["model"]
        # or "<s>" in a text would be the likeliest way to read it, as it is in some real ones
        pieces = [(piece, -99.0 if piece in MARKS else score) for piece, score in saved["vocab"]]
        model: Any = models.Unigram(pieces, unk_id=MARKS.index("<unk>"), byte_fallback=True)
    else:
        trainer = training.BpeTrainer(
            vocab_size=520, special_tokens=[*MARKS, *BYTES], show_progress=False
        )
        learnt = trained(models.BPE(), trainer, pre_tokenizer=learning)
        saved = json.loads(learnt.to_str())["model"]
        merges = [tuple(merge) for merge in saved["merges"]]
        model = models.BPE(
            saved["vocab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    tokenizer = Tokenizer(model)
    if before is not None:
        tokenizer.normalizer = before
    if cut is not None:
        tokenizer.pre_tokenizer = cut
    tokenizer.decoder = back
    return tokenizer


def word_pieces() -> Tokenizer:
    """Like that of BERT: lower case, accents and white space are lost."""
    trainer = training.WordPieceTrainer(vocab_size=200, special_tokens=MARKS, show_progress=False)
    return trained(
        models.WordPiece(unk_token="<unk>"),
        trainer,
        normalizer=normalizers.BertNormalizer(lowercase=True),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        decoder=decoders.WordPiece(),
    )


def whole_words() -> Tokenizer:
    trainer = training.WordLevelTrainer(vocab_size=100, special_tokens=MARKS, show_progress=False)
    return trained(
        models.WordLevel(unk_token="<unk>"), trainer, pre_tokenizer=pre_tokenizers.WhitespaceSplit()
    )


LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
# what gives every text back
KEEPING: dict[str, Callable[[], Tokenizer]] = {
    "byte level": lambda: byte_level(False),
    "byte level, Llama 3": lambda: byte_level(False, LLAMA_3),
    "metaspace first": lambda: metaspace("first"),
    "metaspace always": lambda: metaspace("always"),
    "metaspace never": lambda: metaspace("never"),
    "unigram first": lambda: metaspace("first", True),
    "unigram always": lambda: metaspace("always", True),
    "prepend": lambda: prepending(False),
    "prepend, split": lambda: prepending(True),
}
# what changes a text when it first sees it, and then no more
CHANGING: dict[str, Callable[[], Tokenizer]] = {
    "byte level, prefix space": lambda: byte_level(True),  # puts a space where there is none
    "word pieces": word_pieces,
    "whole words": whole_words,
}
ALL = KEEPING | CHANGING

_made: dict[str, str] = {}


def make(kind: str, marks: str = "all", with_begin: bool = False) -> PreTrainedTokenizerFast:
    """One of the tokenizers, with marks or without; its post-processor may add the beginning."""
    if kind not in _made:
        _made[kind] = ALL[kind]().to_str()
    tokenizer = Tokenizer.from_str(_made[kind])
    if with_begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    known = {
        "all": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"},
        "no pad": {"bos_token": "<s>", "eos_token": "</s>"},
        "no begin": {"eos_token": "</s>", "pad_token": "<pad>"},
        "pad is end": {"eos_token": "</s>", "pad_token": "</s>"},
        "no end": {"bos_token": "<s>", "pad_token": "<pad>"},
        "none": {},
    }[marks]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", **known)


def kept(kind: str, text: str) -> str:
    """The text that comes back: some of them read a space at the very beginning as none."""
    swallows = kind.endswith(("first", "always"))
    return text.removeprefix(" ") if swallows else text


def inner(tokenizer, example: Example, max_tokens: int = 1000) -> list[int]:
    """Tokens between the marks."""
    begin, end, _ = marks_of(tokenizer)
    (encoded,) = encode(tokenizer, [example], max_tokens)
    assert encoded.tokens[: len(begin)] == begin
    assert encoded.tokens[len(encoded.tokens) - len(end) :] == end
    return list(encoded.tokens[len(begin) : len(encoded.tokens) - len(end)])


@pytest.mark.parametrize("with_begin", [False, True])
@pytest.mark.parametrize("marks", ["all", "no pad", "no begin", "pad is end", "no end", "none"])
@pytest.mark.parametrize("kind", ALL)
def test_prompt_and_completion_are_one_text(kind: str, marks: str, with_begin: bool):
    tokenizer = make(kind, marks, with_begin)
    for example in EXAMPLES:
        text = example.prompt + example.completion
        joint = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert inner(tokenizer, example) == joint
        if kind in KEEPING:
            assert decode(tokenizer, joint) == kept(kind, text)
        # and what a model reads before it completes is what it reads when it is trained
        (prompt,) = encode_prompts(tokenizer, [example.prompt], 1000)
        (encoded,) = encode(tokenizer, [example], 1000)
        assert encoded.tokens[: encoded.prompt] == prompt


@pytest.mark.parametrize("kind", ALL)
def test_where_a_token_would_reach_over_the_border(kind: str):
    tokenizer = make(kind)
    for example in ACROSS:
        text = example.prompt + example.completion
        joint = tokenizer(text, add_special_tokens=False)["input_ids"]
        found = inner(tokenizer, example)
        assert decode(tokenizer, found) == decode(tokenizer, joint)
        if kind in KEEPING:
            assert decode(tokenizer, found) == text
            (prompt,) = encode_prompts(tokenizer, [example.prompt], 1000)
            (encoded,) = encode(tokenizer, [example], 1000)
            assert encoded.tokens[: encoded.prompt] == prompt


@pytest.mark.parametrize("kind", CHANGING)
def test_what_changes_texts_changes_them_once(kind: str):
    tokenizer = make(kind)
    for text in [e.prompt + e.completion for e in [*EXAMPLES, *ACROSS]]:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        once = decode(tokenizer, ids)
        again = tokenizer(once, add_special_tokens=False)["input_ids"]
        assert decode(tokenizer, again) == once


def echo(tokenizer, examples: list[Example]) -> torch.nn.Module:
    """A small model that was trained until it says the examples by heart."""
    torch.manual_seed(0)
    size = max(tokenizer.get_vocab().values()) + 1
    model = AutoModelForCausalLM.from_config(
        GPT2Config(
            vocab_size=size,
            n_embd=64,
            n_layer=2,
            n_head=4,
            n_positions=96,
            resid_pdrop=0,
            embd_pdrop=0,
            attn_pdrop=0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    plan = OptimisationConfig(steps=60, batch_size=len(examples), learning_rate=1e-2)
    train(
        model,
        encode(tokenizer, examples, 96),
        plan,
        loss_on="text",
        precision="float32",
        seed=0,
        padding=marks_of(tokenizer).padding,
    )
    return model


@pytest.mark.parametrize(
    ("kind", "marks"),
    [
        ("byte level", "pad is end"),
        ("metaspace first", "all"),
        ("prepend", "pad is end"),
        ("unigram always", "all"),
    ],
)
def test_ten_generations_of_one_who_repeats(kind: str, marks: str):
    """A model that says what it has learnt by heart says the same ten generations later.

    It is trained once; what it says is read again, and would train the next one, which is
    replaced by the sequence that it would learn.
    """
    tokenizer = make(kind, marks)
    short = EXAMPLES[:2]
    model = echo(tokenizer, short)
    prompts = [e.prompt for e in short]
    options = SamplingConfig(max_new_tokens=50, top_k=1)
    found = sample(model, tokenizer, prompts, options, np.random.default_rng(0))
    assert [str(text) for text in found] == [e.completion for e in short]  # and it has ended
    learnt = encode(tokenizer, short, 96)
    for _ in range(10):
        written = [
            Written(e.prompt, text, text.tokens) for e, text in zip(short, found, strict=True)
        ]
        again = encode(tokenizer, written, 96)
        assert all(e.synthetic for e in again)
        assert [e[:2] for e in again] == [e[:2] for e in learnt]
        short = [Example(e.prompt, str(text)) for e, text in zip(short, found, strict=True)]
        assert encode(tokenizer, short, 96) == learnt
        found = sample(model, tokenizer, prompts, options, np.random.default_rng(0))


@pytest.mark.parametrize("kind", ALL)
def test_ten_times_written_and_read(kind: str):
    """From text to tokens to text, by way of the prompt, as a loop without a model would do."""
    tokenizer = make(kind)
    for example in EXAMPLES:
        seen: list[str] = []
        for _ in range(10):
            (prompt,) = encode_prompts(tokenizer, [example.prompt], 1000)
            (encoded,) = encode(tokenizer, [example], 1000)
            completion = encoded.tokens[encoded.prompt : -1]
            seen.append(decode_after(tokenizer, prompt, completion))
            example = Example(example.prompt, seen[-1])
        assert len(set(seen)) == 1
        if kind in KEEPING:
            assert (
                seen[0] == EXAMPLES[[e.prompt for e in EXAMPLES].index(example.prompt)].completion
            )


@pytest.mark.parametrize("marks", ["all", "no pad", "no begin", "no end", "none"])
@pytest.mark.parametrize("kind", ALL)
def test_what_is_trained_on_is_what_was_drawn(kind: str, marks: str):
    """Of a model that draws at random, so that no tokenizer would have cut its texts alike."""
    tokenizer = make(kind, marks)
    torch.manual_seed(1)
    size = max(tokenizer.get_vocab().values()) + 1
    model = AutoModelForCausalLM.from_config(
        GPT2Config(
            vocab_size=size,
            n_embd=16,
            n_layer=1,
            n_head=2,
            n_positions=64,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    prompts = [e.prompt for e in EXAMPLES[:3]]
    uniforms = np.random.default_rng(4).random((3, 12))
    found = sample(
        model, tokenizer, prompts, SamplingConfig(max_new_tokens=12), np.random.default_rng(4)
    )
    end = marks_of(tokenizer).end
    for row, (prompt, completion) in enumerate(zip(prompts, found, strict=True)):
        (ids,) = encode_prompts(tokenizer, [prompt], 1000)
        drawn: list[int] = []
        for step in range(12):  # the law written out: the token at which the sum passes u
            with torch.inference_mode():
                logits = model(torch.tensor([[*ids, *drawn]])).logits[0, -1]
            sums = logits.double().softmax(-1).cumsum(-1)
            token = int((sums <= uniforms[row, step]).sum())
            if token in end:
                break
            drawn.append(token)
        assert list(completion.tokens) == drawn
        (encoded,) = encode(tokenizer, [Written(prompt, completion, completion.tokens)], 1000)
        assert encoded.tokens == (*ids, *drawn, *end)
        assert encoded.prompt == len(ids)


@pytest.mark.parametrize("kind", ALL)
def test_blocks_of_running_text(kind: str):
    tokenizer = make(kind)
    words = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
    ]
    text = " ".join(words)
    examples = [
        Example(" ".join(words[i : i + 1]), " " + " ".join(words[i + 1 : i + 3]))
        for i in range(0, 12, 3)
    ]
    running = FileCorpus(path="some.txt", prompt_words=1, completion_words=2)
    blocks = blocks_of(tokenizer, running, examples, 2)
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert blocks.ravel().tolist() == whole[: len(whole) // 2 * 2]


@pytest.mark.parametrize("kind", ALL)
def test_choices_go_on_from_their_question(kind: str):
    tokenizer = make(kind)
    shots = (Example("What is two and one?", " three"),)
    choices = (Example("What is two and three?", " five"), Example("What is two and three?", " a"))
    of = Questions("sums", (Question(choices, 0),), (), shots, "none")
    found = sheet(of.asked, of, tokenizer, 1000)
    before = "What is two and one? three\n\n"
    for row, choice in zip(found.rows, choices, strict=True):
        text = before + choice.prompt + choice.completion
        joint = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert row.tokens == (*marks_of(tokenizer).begin, *joint)
        said = decode_after(tokenizer, row.tokens[: row.prompt], row.tokens[row.prompt :])
        assert said.split() == choice.completion.split()


@pytest.mark.parametrize("kind", ALL)
def test_the_end_is_learnt_where_it_also_fills(kind: str):
    tokenizer = make(kind, "pad is end")
    (end,) = marks_of(tokenizer).end
    assert marks_of(tokenizer).padding == end
    encoded = encode(tokenizer, EXAMPLES[:3], 1000)
    batch = pad(encoded, marks_of(tokenizer).padding, "text")
    for row, example in enumerate(encoded):
        last = len(example.tokens) - 1
        assert example.tokens[last] == end
        assert int(batch.targets[row, last]) == end
        assert (batch.targets[row, last + 1 :] == UNCOUNTED).all()


def test_a_prompt_needs_something_to_begin_with():
    with pytest.raises(ValueError, match="a prompt is empty, and the tokenizer has no mark of a"):
        encode_prompts(make("byte level", "none"), [""], 10)
    assert encode_prompts(make("byte level", "no begin"), [""], 10) == [(1,)]


def test_there_must_be_room_for_a_prompt():
    with pytest.raises(ValueError, match="leaves room for 1 tokens before it, too few for a prom"):
        encode_prompts(make("byte level"), ["one two three"], 1)


def test_pairs_by_hand():
    """▁a and ▁b are tokens; a text gets a space before it."""
    vocabulary = {"<unk>": 0, "▁": 1, "a": 2, "b": 3, "▁a": 4, "▁b": 5, "ab": 6}
    rules = Tokenizer(models.BPE(vocabulary, [("▁", "a"), ("▁", "b"), ("a", "b")]))
    rules.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    rules.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=rules, unk_token="<unk>")
    assert encode_pairs(tokenizer, ["a", "a", "", "a "], [" b", "b", "b", "b"]) == [
        ([4], [5]),
        ([4], [3]),
        ([], [5]),
        ([4, 1], [3]),
    ]
