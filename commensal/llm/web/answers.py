"""Read a server's answers by the protocol, remove thoughts from them, and judge them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from commensal.llm.config import BadAnswer

# How servers say that a text came to its end by itself; some say nothing.
_ENDED = {"", "stop", "eos", "eos_token", "end_turn", "stop_sequence"}


class Unreadable(ValueError):
    """An answer does not follow the protocol."""

    def __init__(self, why: str, status: int | None = None, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.status = status
        """HTTP status of the error that came in place of an answer, where it has one."""
        self.lasting = lasting
        """Whether another request would fail in the same way."""


class Said(NamedTuple):
    """One choice of a server's answer, as the server gave it."""

    text: str
    refusal: str = ""
    finish: str = ""
    """The protocol's ``finish_reason``; empty where the server does not say."""
    calls: bool = False
    """Whether the model wants to use a tool."""
    model: str | None = None
    """Name of the model that has answered, according to the server."""
    tokens: float | None = None
    """Number of tokens written, as a share of what the server counted for the request; None: it
    does not say."""


def read_answer(body: str) -> list[Said]:
    """Read the choices of an answer.

    Thoughts that a server gives apart (``reasoning_content``, parts of type ``thinking``) are no
    part of the text. Lone surrogates, also those that stand for bytes that were no UTF-8, become
    U+FFFD, so that every later file can hold the text.

    Raises
    ------
    Unreadable
        If it is no answer.
    """
    if body.lstrip().startswith("data:"):
        raise Unreadable("a stream of events, which nobody asked for", lasting=True)
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        html = body.lstrip()[:1] == "<"
        raise Unreadable("a page of HTML" if html else "no JSON") from None
    if not isinstance(whole, dict):
        raise Unreadable("JSON, but no object")
    choices = whole.get("choices")
    if not choices and whole.get("error"):
        text, code = error_of(whole)
        raise Unreadable(f"an error: {text}", code if isinstance(code, int) else None)
    if not isinstance(choices, list) or not choices:
        raise Unreadable("no choices")
    model = whole.get("model")
    tokens = _written(whole.get("usage"))
    each = None if tokens is None else tokens / len(choices)
    return [_said(one, model if isinstance(model, str) else None, each) for one in choices]


def error_of(whole: Any) -> tuple[str, Any]:
    """Return text and code of an error, from whichever of the usual places."""
    if not isinstance(whole, dict):
        return ("" if whole is None else str(whole)), None
    told = next((whole[n] for n in ("error", "message", "detail") if whole.get(n)), None)
    if isinstance(told, dict):
        return str(told.get("message") or told), told.get("code")
    return ("" if told is None else str(told)), whole.get("code")


def _written(usage: Any) -> int | None:
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    whole = isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0
    return tokens if whole else None


def _said(choice: Any, model: str | None, tokens: float | None) -> Said:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise Unreadable("a choice without a message")
    content, refusal = message.get("content"), message.get("refusal")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        content = "".join(str(p.get("text") or "") for p in parts if p.get("type") == "text")
        told = [str(p.get("refusal") or "") for p in parts if p.get("type") == "refusal"]
        refusal = refusal or "".join(told)
    if not isinstance(content, str | None) or not isinstance(refusal, str | None):
        raise Unreadable("a message that is no text")
    finish = choice.get("finish_reason")
    return Said(
        _clean(content or ""),
        _clean(refusal or ""),
        _clean(finish) if isinstance(finish, str) else "",
        bool(message.get("tool_calls") or message.get("function_call")),
        None if model is None else _clean(model),
        tokens,
    )


def _clean(text: str) -> str:
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def without_blocks(text: str, tags: Sequence[str]) -> str:
    """Remove the text between tags such as ``<think>`` and ``</think>``.

    A block that is not closed goes to the end of the text. A closing tag alone ends a block that
    the prompt's template has opened: all before it goes.

    Examples
    --------
    >>> without_blocks("<think>what?</think> Yes.", ["think"])
    'Yes.'
    >>> without_blocks("what? </think>Yes.", ["think"])
    'Yes.'
    >>> without_blocks("Yes. <think>or", ["think"])
    'Yes.'
    """
    for tag in tags:
        kept, at, inside = "", 0, False
        for mark in re.finditer(rf"<(/?){re.escape(tag)}\s*>", text, re.IGNORECASE):
            if mark[1]:
                kept = kept if inside else ""
                inside = False
            elif not inside:
                kept += text[at : mark.start()]
                inside = True
            at = mark.end()
        text = kept if inside else kept + text[at:]
    return text.strip()


def fault(said: Said, text: str, bad: Sequence[BadAnswer]) -> BadAnswer | None:
    """Return why an answer is bad, or None.

    Parameters
    ----------
    said : Said
    text : str
        Its text without blocks.
    bad : sequence of str
        What counts as bad.

    Examples
    --------
    >>> fault(Said("The sky", finish="length"), "The sky", ["empty", "cut"])
    'cut'
    >>> fault(Said("The sky", finish="length"), "The sky", ["empty"]) is None
    True
    """
    finish = said.finish.casefold()
    calls = said.calls or finish in ("tool_calls", "function_call")
    found: dict[BadAnswer, bool] = {
        "refused": bool(said.refusal.strip()) or finish == "refusal",
        "filtered": finish == "content_filter",
        "tool_call": calls,
        "empty": not text,
        "cut": finish not in _ENDED and not calls,
    }
    return next((kind for kind, here in found.items() if here and kind in bad), None)
