"""Servers that answer oddly: what is asked again, what stops, and what it costs."""

from __future__ import annotations

import email.utils
import gzip
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from commensal.llm.web.endpoint import EndpointError
from tests.llm.odd_server import (
    COMPLETION,
    KEY,
    Server,
    ask,
    cut_off,
    dripping,
    raw,
    said,
    serving,
    settings,
)

pytest.importorskip("httpx2")
_BOMB = gzip.compress(b" " * 2**25)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("COMMENSAL_TEST_KEY", KEY)
    with serving() as running:
        yield running


# bad answers


def test_a_bad_answer_is_asked_for_again(server: Server, tmp_path: Path):
    server.replies = [said(None, finish="length"), said("The sky is", finish="length")]
    found = ask(settings(server.url), tmp_path)
    assert found.texts == ["the amber lantern"]
    assert dict(found.counts or {}) == {
        "answers": 3, "empty": 1, "refused": 0, "filtered": 0, "tool_call": 0, "cut": 1,
    }  # fmt: skip
    assert found.tokens == 15
    assert len({asked["seed"] for asked in server.asked}) == 3


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (said(None, finish="length", reasoning_content="hm"), "empty"),
        (said("<think>I wonder"), "empty"),
        (said(None, refusal="I cannot", finish="content_filter"), "a refusal"),
        (said("I", finish="content_filter"), "filtered"),
        (said(None, tool_calls=[{"id": "1"}], finish="tool_calls"), "a call of a tool"),
        (said("The sky is", finish="length"), "cut off"),
    ],
)
def test_a_bad_answer_that_stays_stops_the_session(
    server: Server, tmp_path: Path, reply: Any, kind: str
):
    server.usual = reply
    config = settings(server.url, responses=20)
    message = f"read_share=0.5, generation 3, response 1: the answer is {kind} .*, 3 times in a row"
    with pytest.raises(EndpointError, match=message):
        ask(config, tmp_path)
    assert len(server.asked) == 3  # of 60 that the twenty responses would cost
    with pytest.raises(EndpointError, match=message):
        ask(config, tmp_path)
    assert len(server.asked) == 3


def test_another_rule_judges_again_and_pays_nothing(server: Server, tmp_path: Path):
    server.usual = said("The sky is", finish="length")
    with pytest.raises(EndpointError):
        ask(settings(server.url), tmp_path)
    for rules, text, bad, left_out in (
        ({"on_bad_answer": "skip"}, "The sky is", "cut", True),
        ({"on_bad_answer": "post"}, "The sky is", "cut", False),
        ({"bad_answers": ["empty", "refused"]}, "The sky is", None, False),
    ):
        (response,) = ask(settings(server.url, rules=rules), tmp_path).responses
        assert (response.text, response.bad, response.left_out) == (text, bad, left_out)
        assert response.finish == "length"
    assert len(server.asked) == 3


def test_other_tags_to_strip_cost_nothing(server: Server, tmp_path: Path):
    server.usual = said("<think>hm</think> Yes. <note>ok</note>")
    found = ask(settings(server.url), tmp_path).texts
    for strip, text in (
        ((), "<think>hm</think> Yes. <note>ok</note>"),
        (("think", "note"), "Yes."),
        (("note",), "<think>hm</think> Yes."),
    ):
        assert ask(settings(server.url, rules={"strip": strip}), tmp_path).texts == [text]
    assert found == ["Yes. <note>ok</note>"]
    assert len(server.asked) == 1


def test_only_bad_ones_of_several_choices_are_asked_for_again(server: Server, tmp_path: Path):
    server.replies = [said("one", "", "three", "")]
    found = ask(settings(server.url, responses=4, choices=4), tmp_path)
    assert found.texts == ["one", "the amber lantern", "three", "the amber lantern"]
    assert [asked.get("n", 1) for asked in server.asked] == [4, 2]


def test_more_choices_than_asked_for_are_kept_and_not_used(server: Server, tmp_path: Path):
    server.usual = said("one", "two", "three")
    assert ask(settings(server.url, responses=2), tmp_path).texts == ["one", "one"]
    assert len(server.asked) == 2
    assert "three" in (tmp_path / "kept.jsonl").read_text()


def test_another_run_seed_is_another_answer(server: Server, tmp_path: Path):
    """Also where the server takes no seed: runs that share a file must stay independent."""
    config = settings(server.url, seeded=False)
    for seed in (1, 2, 1):
        ask(config, tmp_path, seed)
    assert len(server.asked) == 2
    assert "seed" not in server.asked[0]


def test_another_model_than_asked_is_said_once(server: Server, tmp_path: Path, caplog):
    server.usual = said("x", model="m-2024")
    config = settings(server.url, responses=3)
    found = ask(config, tmp_path)
    assert {response.model for response in found.responses} == {"m-2024"}
    assert [r.message for r in caplog.records if "m-2024" in r.message] == [
        "m: asked for the model 'm', answered by 'm-2024'"
    ]


def test_tokens_are_unknown_where_one_answer_has_none(server: Server, tmp_path: Path):
    server.replies = [said("one"), said("two", usage=None)]
    assert ask(settings(server.url, responses=2), tmp_path).tokens is None
    assert ask(settings(server.url, responses=2), tmp_path / "other", seed=2).tokens == 10


# what comes over the wire


@pytest.mark.parametrize("in_headers", [False, True])
@pytest.mark.parametrize("status", [200, 500])
def test_a_server_that_drips_comes_to_an_end(
    server: Server, tmp_path: Path, in_headers: bool, status: int
):
    server.usual = dripping(0.2, in_headers=in_headers, status=status)
    began = time.monotonic()
    with pytest.raises(EndpointError, match=r"no whole answer within 0\.5 seconds, 2 times"):
        ask(settings(server.url, timeout=0.5), tmp_path)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (raw(b'{"choices": [{"message": {"content": "a\\ud83d b"}}]}'), "a\ufffd b"),
        (raw(b'{"choices": [{"message": {"content": "caf\xe9"}}]}'), "caf\ufffd"),
        (raw(COMPLETION.encode("utf-16")), "hello"),
        (raw(b"\xef\xbb\xbf" + COMPLETION.encode()), "hello"),
        (raw(COMPLETION, type="text/html"), "hello"),
        (said([{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]), "hello"),
    ],
)
def test_no_paid_answer_is_lost(server: Server, tmp_path: Path, reply: Any, text: str):
    server.replies = [reply]
    assert ask(settings(server.url), tmp_path).texts == [text]
    assert ask(settings(server.url), tmp_path).texts == [text]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [
        raw("<html>busy</html>", type="text/html"),
        raw('{"error": {"message": "upstream", "code": 502}}'),
        raw('{"error": "upstream"}'),
        raw("[" * 100_000),
        cut_off,
    ],
)
def test_what_passes_is_asked_for_again(server: Server, tmp_path: Path, reply: Any):
    server.replies = [reply]
    assert ask(settings(server.url), tmp_path).texts == ["the amber lantern"]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (raw('{"error": {"message": "bad key", "code": 401}}'), r"refuses the key in .* \(401\)"),
        (raw('data: {"choices": []}\n\n', type="text/event-stream"), "a stream of events"),
        (raw(b" " * (2**24 + 1)), "an answer of over 16,777,216 bytes"),
        (raw(_BOMB, Content_Encoding="gzip"), "an answer of over 16,777,216 bytes"),
        (raw("", 307, Location="http://elsewhere.org/x?key={key}"), "to http://elsewhere.org/x "),
        (raw("{}", 429, Retry_After="1e9"), "asks to wait 1e\\+09 seconds"),
        (raw("{}", 503, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT"), "asks to wait"),
        (raw("{}", 429, Retry_After=email.utils.formatdate(time.time() + 9999)), "asks to wait"),
    ],
)
def test_what_stays_stops_at_once(server: Server, tmp_path: Path, reply: Any, message: str):
    server.usual = reply
    with pytest.raises(EndpointError, match=message):
        ask(settings(server.url), tmp_path)
    assert len(server.asked) == 1


def test_a_redirect_gets_neither_key_nor_posts(server: Server, tmp_path: Path):
    with serving() as other:
        server.usual = raw("", 307, Location=f"{other.url}/chat/completions")
        with pytest.raises(EndpointError, match="redirects to"):
            ask(settings(server.url), tmp_path)
        assert other.asked == []


def test_a_proxy_is_not_for_this_machine(server: Server, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        for host in ("127.0.0.1", "localhost"):
            url = server.url.replace("127.0.0.1", host)
            assert ask(settings(url), tmp_path / host).texts == ["the amber lantern"]
        assert proxy.asked == []
        # and is for others: the name means nothing but to the proxy
        proxy.usual = said("through the proxy")
        found = ask(settings("http://model.invalid/v1"), tmp_path)
        assert found.texts == ["through the proxy"]


def test_a_proxy_that_cannot_be_used_is_not_shown(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COMMENSAL_TEST_KEY", KEY)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "ftp://me:proxy-password@x")
    with pytest.raises(ValueError, match="the proxy that the environment names") as error:
        ask(settings("http://model.invalid/v1"), tmp_path)
    assert "proxy-password" not in "".join(traceback.format_exception(error.value))


def test_an_address_of_ipv6(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COMMENSAL_TEST_KEY", KEY)
    try:
        opened = serving("::1")
        with opened as server:
            assert ask(settings(server.url), tmp_path).texts == ["the amber lantern"]
    except OSError:
        pytest.skip("this machine has no IPv6")


def test_without_a_key_none_is_sent(server: Server, tmp_path: Path):
    ask(settings(server.url, key=None), tmp_path)
    assert server.keys == [None]


@pytest.mark.parametrize("extra", [{"stream": True}, {"n": 3}, {"messages": [{}]}])
def test_what_extra_cannot_hold(extra: dict):
    with pytest.raises(ValidationError, match="cannot hold"):
        settings("http://x.org", extra=extra)
