"""What servers answer: read, stripped, judged, kept; and measures where responses are missing."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commensal.llm.web.answers import Said, Unreadable, fault, read_answer, without_blocks
from commensal.llm.web.asking import Response
from commensal.llm.web.cache import AnswerCache
from commensal.llm.web.measures import (
    classical_mds,
    distance_matrix,
    mean_responses,
    sampling_norm,
    spreads,
)
from commensal.llm.web.records import posts_of, record_answer
from commensal.llm.web.secret import Secret

KINDS = ("empty", "refused", "filtered", "tool_call", "cut")


def body(message: Any, **more: Any) -> str:
    finish = {"finish_reason": more.pop("finish")} if "finish" in more else {}
    return json.dumps({"choices": [{"message": message} | finish]} | more)


@pytest.mark.parametrize(
    ("message", "finish", "expected"),
    [
        ({"content": "yes"}, "stop", None),
        ({"content": "yes"}, None, None),
        ({"content": "yes"}, "eos", None),
        ({"content": None}, "stop", "empty"),
        ({}, "stop", "empty"),
        ({"content": " \n "}, "stop", "empty"),
        ({"content": "<think>what"}, "length", "empty"),
        ({"content": None, "reasoning_content": "I think"}, "length", "empty"),
        ({"content": "The sky is"}, "length", "cut"),
        ({"content": "The sky is"}, "abort", "cut"),
        ({"content": None, "refusal": "I cannot"}, "stop", "refused"),
        ({"content": None, "refusal": "I cannot"}, "content_filter", "refused"),
        ({"content": "The"}, "content_filter", "filtered"),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls", "tool_call"),
        ({"content": "let me see", "tool_calls": [{"id": "1"}]}, "stop", "tool_call"),
        (
            {"content": [{"type": "text", "text": "y"}, {"type": "text", "text": "es"}]},
            "stop",
            None,
        ),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, "stop", "empty"),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, "stop", "refused"),
    ],
)
def test_what_is_bad(message: dict, finish: str | None, expected: str | None):
    (said,) = read_answer(body(message, finish=finish))
    text = without_blocks(said.text, ["think"])
    assert fault(said, text, KINDS) == expected
    if expected is None:
        assert text == "yes"
    assert said.finish == (finish or "")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"completion_tokens": 7}, 7),
        ({"completion_tokens": 0}, 0),
        (None, None),
        ({}, None),
        ({"completion_tokens": None}, None),
        ({"completion_tokens": "7"}, None),
        ({"completion_tokens": True}, None),
        ({"completion_tokens": -1}, None),
    ],
)
def test_tokens_that_are_not_told_are_unknown(usage: Any, tokens: int | None):
    (said,) = read_answer(body({"content": "x"}, usage=usage))
    assert said.tokens == tokens


@pytest.mark.parametrize(
    ("text", "why", "status"),
    [
        ("", "no JSON", None),
        ("<!doctype html><p>busy", "HTML", None),
        ("[" * 100_000, "no JSON", None),
        ("[1]", "no object", None),
        ('{"choices": []}', "no choices", None),
        ('{"choices": [1]}', "without a message", None),
        ('{"choices": [{"message": {"content": 7}}]}', "no text", None),
        ('{"error": {"message": "slow down", "code": 429}}', "an error: slow down", 429),
        ('{"error": "slow down"}', "an error: slow down", None),
        ('data: {"choices": []}\n\n', "a stream", None),
    ],
)
def test_what_is_no_answer(text: str, why: str, status: int | None):
    with pytest.raises(Unreadable, match=why) as error:
        read_answer(text)
    assert error.value.status == status


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a\nb</think>\n\nc", "c"),
        ("a <THINK>b</Think> c <think>d</think>", "a  c"),
        ("<think>a <think> b</think> c", "c"),
        ("<think><think>a</think>b</think> c", "c"),
        ("a</think>b", "b"),
        ("a <think>b", "a"),
        ("<thinking>a</thinking>b", "<thinking>a</thinking>b"),
        ("a < think > b", "a < think > b"),
    ],
)
def test_blocks_are_stripped(text: str, expected: str):
    assert without_blocks(text, ["think"]) == expected
    assert without_blocks(text, []) == text.strip()


def test_an_answer_that_cannot_be_read_is_kept(tmp_path: Path):
    cache = AnswerCache(tmp_path / "kept.jsonl")
    with pytest.raises(Unreadable):
        cache.put("a", [0], "<html>")
    assert json.loads(cache.path.read_text())["body"] == "<html>"
    assert cache.tries("a", 0) == []


def test_surrogates_are_kept_and_do_no_harm(tmp_path: Path):
    texts = '{"choices": [{"message": {"content": "a\\ud83d b"}}]}'
    bytes_ = b'{"choices": [{"message": {"content": "caf\xe9"}}]}'.decode(
        "utf-8", "surrogateescape"
    )
    cache = AnswerCache(tmp_path / "kept.jsonl")
    cache.put("a", [0], texts)
    cache.put("b", [0], bytes_)
    for known in (cache, AnswerCache(cache.path)):
        assert known.tries("a", 0)[0].text == "a\ufffd b"
        assert known.tries("b", 0)[0].text == "caf\ufffd"
    lines = cache.path.read_text("utf-8").splitlines()
    assert [json.loads(line)["body"] for line in lines] == [texts, bytes_]


def test_two_that_share_a_file_see_each_other(tmp_path: Path):
    path = tmp_path / "kept.jsonl"
    one, two = AnswerCache(path), AnswerCache(path)
    one.put("a", [0], body({"content": "first"}))
    two.put("a", [0], body({"content": "second"}))
    one.put("b", [0], body({"content": "third"}))
    two.refresh()
    for known in (one, two):
        assert [said.text for said in known.tries("a", 0)] == ["first", "second"]
        assert known.tries("b", 0)[0].text == "third"


def test_lines_of_two_writers_do_not_mix(tmp_path: Path):
    path = tmp_path / "kept.jsonl"
    text = "x" * 50_000  # more than one write takes at once

    def write(who: int) -> None:
        cache = AnswerCache(path)
        for i in range(20):
            cache.put("a", [20 * who + i], body({"content": f"{who} {i} {text}"}))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(2)))
    known = AnswerCache(path)
    assert [len(known.tries("a", i)) for i in range(40)] == [1] * 40
    assert known.tries("a", 25)[0].text == f"1 5 {text}"


def test_the_same_id_twice_is_two_answers(tmp_path: Path):
    cache = AnswerCache(tmp_path / "kept.jsonl")
    for i, text in enumerate(("one", "two")):
        cache.put("a", [i], body({"content": text}, id="same"))
    assert [cache.tries("a", i)[0].text for i in range(2)] == ["one", "two"]


def test_a_key_is_masked_however_it_is_written():
    key = 'sk-"a/b+c&d'
    secret = Secret(key)
    assert repr(secret) == "Secret(***)"
    for written in (key, 'sk-\\"a/b+c&d', "sk-%22a%2Fb%2Bc%26d", "sk-&quot;a/b+c&amp;d"):
        assert secret.masked(f"<{written}>") == "<***>"
    hidden = '{"content": "' + "".join(f"\\u{ord(c):04x}" for c in key) + '"}'
    assert json.loads(secret.masked_answer(hidden)) == {"content": "***"}
    # a word is no secret, and an answer may hold it
    assert Secret("none").masked_answer("none of it") == "none of it"
    assert Secret(None).masked("none of it") == "none of it"


# measures where responses are missing


def test_measures_leave_out_what_is_missing():
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((3, 5, 4))
    some = whole.copy()
    some[0, [0, 3]] = np.nan
    some[1, 2] = np.nan
    parts = [some[i][~np.isnan(some[i, :, 0])] for i in range(3)]
    means = np.array([p.mean(axis=0) for p in parts])
    np.testing.assert_allclose(mean_responses(some), means, rtol=1e-14)
    radii = [np.sqrt(p.var(axis=0, ddof=1).sum() * (5 - 1) / 5) for p in parts]
    np.testing.assert_allclose(spreads(some), radii, rtol=1e-14)
    np.testing.assert_allclose(spreads(whole), np.sqrt(whole.var(axis=1).sum(axis=-1)))
    # the sum over ordered pairs of s_i²/L_i + s_j²/L_j, term by term
    each = [p.var(axis=0, ddof=1).sum() / len(p) for p in parts]
    pairs = sum(each[i] + each[j] for i in range(3) for j in range(3) if i != j)
    assert sampling_norm(some) == pytest.approx(np.sqrt(pairs), rel=1e-14)


def test_the_spread_does_not_depend_on_how_many_are_left_out():
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((20_000, 1, 6, 3))
    whole = np.mean([spreads(d)[0] ** 2 for d in draws])
    draws[:, :, 2:] = np.nan
    some = np.mean([spreads(d)[0] ** 2 for d in draws])
    assert whole == pytest.approx(3 * 5 / 6, rel=0.02)
    assert some == pytest.approx(3 * 5 / 6, rel=0.03)
    assert np.isnan(spreads(np.array([[[1.0], [np.nan]]]))).all()  # of one there is no spread


def test_a_model_without_responses_is_nan():
    embedded = np.random.default_rng(0).standard_normal((3, 2, 4))
    embedded[1] = np.nan
    assert np.isnan(mean_responses(embedded)).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(spreads(embedded)).tolist() == [False, True, False]
    assert np.isnan(sampling_norm(embedded))
    apart = distance_matrix(mean_responses(embedded))
    at = classical_mds(apart)
    assert np.isnan(at).all(axis=1).tolist() == [False, True, False]
    assert np.linalg.norm(at[0] - at[2]) == pytest.approx(apart[0, 2])
    assert np.isnan(classical_mds(np.full((2, 2), np.nan))).all()


def test_a_model_may_post_nothing():
    out = [Response("one", left_out=True)], [Response("two")], [Response("three")]
    records = [r for i, said in enumerate(out) for r in record_answer(0, i, "q", said, [])]
    assert posts_of(records) == [(1, "two"), (2, "three")]


def test_judging_is_not_keeping(tmp_path: Path):
    said = Said("The sky is", finish="length")
    assert fault(said, said.text, KINDS) == "cut"
    assert fault(said, said.text, ("empty",)) is None
    assert fault(Said("", finish="length"), "", ("cut",)) == "cut"
