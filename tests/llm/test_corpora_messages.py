"""Chat data, and texts in scripts that put no spaces between words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from transformers import LlamaConfig, PreTrainedTokenizerFast

from commensal.llm.corpora import Corpus, Example, FileCorpus, chat_of, load
from commensal.llm.corpora._messages import turns_of
from commensal.llm.corpora._words import word_spans
from commensal.llm.models.tokens import encode, encode_prompts, train_tokenizer, written_in
from commensal.llm.opening import corpora_of
from tests.llm.runs import interactive, language

CASES = Path(__file__).parents[3] / "shared" / "cases"

ASKED = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So."},
    {"role": "user", "content": "And then?"},
    {"role": "assistant", "content": " Nothing.\n"},
    {"role": "user", "content": "Thanks"},
]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Of Llama 3.2 and others: a begin of its own, and the day on which it is rendered.
DATED = (
    "{{ bos_token }}{% if date_string is not defined %}{% set date_string = strftime_now('%d') %}"
    "{% endif %}[{{ date_string }}{{ strftime_now('%Y') }}]" + CHATML
)
REFUSING = "{{ raise_exception('roles must alternate') }}"


def tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    texts = tuple(Example(m["role"], m["content"]) for m in ASKED)
    found = train_tokenizer([Corpus("some", texts, texts)], "bpe", 300)
    found.add_special_tokens(
        {"additional_special_tokens": ["<|im_start|>"], "eos_token": "<|im_end|>"}
    )
    found.chat_template = template
    return found


def written(path: Path, conversations: list) -> str:
    path.write_text("".join(json.dumps({"messages": m}) + "\n" for m in conversations))
    return str(path)


def test_messages_as_a_template_writes_them(tmp_path: Path) -> None:
    chat = chat_of(tokenizer(CHATML))
    prompt = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n"
        "<|im_start|>assistant\nSo.<|im_end|>\n<|im_start|>user\nAnd then?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    found = chat(turns_of(ASKED))
    assert found == (prompt, " Nothing.\n")
    # one mark at the end, put there by whoever encodes it
    known = tokenizer(CHATML)
    (encoded,) = encode(known, [found], 1000)
    assert encoded.tokens.count(known.eos_token_id) == 5
    assert encoded.tokens[-1] == known.eos_token_id
    test = written(tmp_path / "test.jsonl", [[{"role": "user", "content": "Hm?"}, *ASKED[4:5]]])
    path = written(tmp_path / "chat.jsonl", [ASKED])
    corpus = load(FileCorpus(path=path, test_path=test, messages="messages"), 0, chat)
    assert corpus.train == (found,)


def test_a_template_with_a_date_and_a_begin_of_its_own() -> None:
    known = tokenizer(DATED)
    prompt, completion = chat_of(known)(turns_of(ASKED[1:3]))
    assert prompt.startswith("[26 Jul 20242024]<|im_start|>user\nWhy?")
    assert completion == "So."
    assert (
        encode(known, [Example(prompt, completion)], 1000)[0].tokens.count(known.bos_token_id) == 1
    )


def test_models_without_a_template_read_plain_text(tmp_path: Path) -> None:
    chat = chat_of(tokenizer(None))
    plain = (
        "System: Be brief.\n\nUser: Why?\n\nAssistant: So.\n\nUser: And then?\n\nAssistant:",
        " Nothing.",
    )
    assert chat(turns_of(ASKED)) == plain
    numbered = [
        [{"role": "user", "content": f"{i}?"}, {"role": "assistant", "content": f"{i}!"}]
        for i in range(60)
    ]
    path = written(tmp_path / "chat.jsonl", numbered)
    corpus = load(FileCorpus(path=path, messages="messages"), 0)
    assert {*corpus.train, *corpus.test} == {
        (f"User: {i}?\n\nAssistant:", f" {i}!") for i in range(60)
    }


def test_equal_conversations_are_on_one_side(tmp_path: Path) -> None:
    numbered = [
        [{"role": "user", "content": f"{i % 80}?"}, {"role": "assistant", "content": f"{i % 80}!"}]
        for i in range(160)
    ]
    for i in range(80):  # the same but for what is no part of the text
        numbered[i] = [turn | {"id": str(i)} for turn in numbered[i]] + [ASKED[-1]]
    path = written(tmp_path / "chat.jsonl", numbered)
    corpus = load(FileCorpus(path=path, messages="messages"), 0)
    assert len(corpus.train) + len(corpus.test) == 160
    assert len(set(corpus.train)) + len(set(corpus.test)) == 80


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ("Why?", "messages must be a list, got str"),
        (None, "messages must be a list, got NoneType"),
        ([], "no message has the role 'assistant'"),
        (ASKED[:2], "no message has the role 'assistant'"),
        ([*ASKED[:2], {"role": "assistant", "content": " "}], "last message is empty"),
        ([*ASKED[:2], {"role": "assistant", "content": None}], "message 3 has no text as its 'con"),
        ([{"from": "human", "value": "Why?"}], "message 1 has no 'role'"),
        (["Why?"], "message 1 has no 'role'"),
    ],
)
def test_messages_that_are_none(messages, message: str, tmp_path: Path) -> None:
    path = written(tmp_path / "chat.jsonl", [messages])
    with pytest.raises(ValueError, match=rf"chat\.jsonl', line 1: .*{message}"):
        load(FileCorpus(path=path, messages="messages"), 0)
    with pytest.raises(ValueError, match="line 1: no column 'chat' among 'messages'"):
        load(FileCorpus(path=path, messages="chat"), 0)


def test_parts_of_a_message_and_templates_that_refuse(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "So"}, {"type": "text", "text": "."}]
    assert turns_of([{"role": "assistant", "content": parts}])[0]["content"] == "So."
    path = written(tmp_path / "chat.jsonl", [ASKED])
    with pytest.raises(ValueError, match=r"line 1: the chat template refuses .* must alternate"):
        load(FileCorpus(path=path, messages="messages"), 0, chat_of(tokenizer(REFUSING)))


@pytest.mark.parametrize("settings", [{"completion": "a"}, {"prompt": "q", "completion": "a"}])
def test_messages_are_prompt_and_completion(settings: dict) -> None:
    with pytest.raises(ValidationError, match="messages are prompt and completion; leave these"):
        FileCorpus(path="x.jsonl", messages="m", **settings)
    with pytest.raises(ValidationError, match="has no columns"):
        FileCorpus(path="x.txt", messages="m")


def test_a_run_reads_messages_with_its_models_template(tmp_path: Path) -> None:
    known = tokenizer(CHATML)
    known.save_pretrained(tmp_path / "model")
    LlamaConfig(vocab_size=len(known)).save_pretrained(tmp_path / "model")
    conversations = [[{"role": "user", "content": f"{i}?"}, *ASKED[4:5]] for i in range(60)]
    task = {
        "kind": "file",
        "path": written(tmp_path / "chat.jsonl", conversations),
        "messages": "messages",
    }
    model = {"kind": "pretrained", "name": str(tmp_path / "model")}
    config = interactive(model=model, tasks=[task, language(1)])
    _, corpus, _ = corpora_of(config)
    assert all(e.prompt.endswith("<|im_start|>assistant\n") for e in corpus.train)
    assert len(corpus.train) + len(corpus.test) == 60
    # what a model goes on from begins with marks too, also once it has been through a file
    (prompt,) = encode_prompts(known, [corpus.train[0].prompt], 1000)
    assert prompt.count(known.convert_tokens_to_ids("<|im_start|>")) == 2
    record = {"prompt": str(corpus.train[0].prompt), "completion": "x", "tokens": [65]}
    (again,) = encode(known, [written_in(record | {"marked": True})], 1000)
    assert again.tokens[: len(prompt)] == prompt
    (plain_text,) = encode(known, [written_in(record)], 1000)
    assert known.convert_tokens_to_ids("<|im_start|>") not in plain_text.tokens


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases in {CASES} are not there")
def test_the_case_of_chat_data() -> None:
    path = CASES / "messages.jsonl"
    rows = [json.loads(line)["messages"] for line in path.read_text().splitlines()]
    corpus = load(FileCorpus(path=str(path), messages="messages"), 0)
    assert {*corpus.train, *corpus.test} == {
        ("User: x\n\nAssistant:", " " + turns[-1]["content"].strip()) for turns in rows
    }


WRITTEN = {
    "你好，世界。今天天气很好": list("你好，世界。今天天气很好"),
    "私は猫が好き": list("私は猫が好き"),
    "ค่าที่ดี": ["ค่", "า", "ที่", "ดี"],
    "vue は楽しい!": ["vue", "は", "楽", "し", "い", "!"],
    "한국어는 띄어 쓴다": ["한국어는", "띄어", "쓴다"],
    "plain words, e.g. café": ["plain", "words,", "e.g.", "café"],
}


@pytest.mark.parametrize("text", WRITTEN)
def test_words_of_scripts_without_spaces(text: str) -> None:
    assert [text[start:end] for start, end in word_spans(text)] == WRITTEN[text]


def test_a_text_without_spaces_is_cut_by_characters(tmp_path: Path) -> None:
    characters = [chr(0x4E00 + i) for i in range(4000)]
    path = tmp_path / "a.txt"
    path.write_text("\n".join("".join(characters[i : i + 50]) for i in range(0, 4000, 50)))
    corpus = load(FileCorpus(path=str(path), prompt_words=3, completion_words=4), 0)
    parts = [
        {c for e in part for c in "".join(e) if c != "\n"} for part in (corpus.train, corpus.test)
    ]
    assert parts[0].isdisjoint(parts[1])
    assert len(corpus.train) + len(corpus.test) in (570, 571)
    assert corpus.train[0] == ("".join(characters[:3]), "".join(characters[3:7]))
