"""A server's key goes to the server and nowhere else, whatever the server does with it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from commensal.cli._console import in_one_line
from commensal.llm.presets import read_config
from commensal.llm.web.endpoint import EndpointError, check_endpoints
from tests.llm.odd_server import COMPLETION, KEY, Server, ask, raw, serving, settings

pytest.importorskip("httpx2")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("COMMENSAL_TEST_KEY", KEY)
    with serving() as running:
        yield running


def echoes() -> list[Any]:
    error = '{"error": {"message": "you sent {key}", "code": "{key}"}}'
    found = [raw(error, status, X_Echo="Bearer {key}") for status in (400, 401, 403, 404, 429, 500)]
    return [
        *found,
        *[raw("you sent {key}", status, type="text/plain") for status in (400, 401, 500)],
        *[raw("", status, reason="not {key}") for status in (200, 400, 500)],
        raw('{"choices": [{"message": {"content": "you sent {key}"}}], "model": "{key}"}'),
        raw('{"choices": [{"message": {"content": "", "refusal": "{key}"}}]}'),
        raw(COMPLETION, X_Echo="{key}"),
        raw("", 307, Location="http://elsewhere.org/{key}?key={key}"),
        raw('{"error": {"message": "{key}"}}'),
        raw("<p>{key}"),
    ]


def breaking(handler: Any, asked: dict[str, Any]) -> None:
    """A header that is none, with the key in it."""
    handler.wfile.write(f"HTTP/1.1 200 OK\r\n{handler.headers['Authorization']}\r\n\r\n".encode())


@pytest.mark.parametrize("reply", [*echoes(), breaking], ids=lambda reply: reply.__name__)
def test_a_key_that_the_server_repeats_is_nowhere(
    server: Server, tmp_path: Path, caplog, reply: Any
):
    caplog.set_level(logging.DEBUG)
    server.usual = reply
    told = ""
    try:
        told = str(ask(settings(server.url), tmp_path))
    except EndpointError as error:
        seen: BaseException | None = error
        while seen is not None:
            told += f"{seen!r} {vars(seen)} {''.join(traceback.format_exception(seen))}"
            seen = seen.__cause__ or seen.__context__
    assert server.keys[0] == f"Bearer {KEY}"
    kept = tmp_path / "kept.jsonl"
    told += kept.read_text() if kept.exists() else ""
    told += caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for form in (KEY, KEY.replace("/", "%2F"), KEY.replace("/", "\\/")):
        assert form not in told


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": f"https://me:{KEY}@x.org"},
        {"base_url": f"https:/me:{KEY}@x.org"},
        {"base_url": f"me:{KEY}@x.org"},
        {"base_url": f"https://x.org/v1?key={KEY}"},
        {"base_url": f"https://x.org/v1#{KEY}"},
        {"base_url": f"https://x.org:{KEY}/v1"},
        {"base_url": f"https://[{KEY}/v1"},
        {"base_url": f"x.org/{KEY}"},
        {"base_url": f"ftp://x.org/{KEY}"},
        {"base_url": f"https://x.org/ {KEY}"},
        {"base_url": [KEY]},
        {"model": {"name": KEY}},
        {"key": KEY},
        {"api_key": KEY},
        {"timeout": KEY},
        {"extra": KEY},
        {"kind": "local", "name": "x", "api_key": KEY},
    ],
    ids=str,
)
def test_a_key_in_a_wrong_setting_is_not_shown(tmp_path: Path, change: dict):
    whole = settings("http://x.org").model_dump(mode="json")
    whole["models"][0] |= change
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(whole))
    with pytest.raises(ValidationError) as error:
        read_config(tmp_path / "web.yaml")
    told = "".join(traceback.format_exception(error.value)) + in_one_line(error.value)
    assert KEY not in told
    assert "secret" not in told


def test_a_key_in_what_is_no_yaml_is_not_shown(tmp_path: Path):
    path = tmp_path / "web.yaml"
    path.write_text(f"workflow: web\nmodels:\n  - key: {KEY}: x\n")
    with pytest.raises(ValueError, match="is not YAML: line 3: mapping values") as error:
        read_config(path)
    assert KEY not in "".join(traceback.format_exception(error.value))


def test_a_change_that_is_impossible_does_not_show_its_value():
    with pytest.raises(ValueError, match=r"'models\.9\.api_key': there is no such") as error:
        read_config("web-api", [f"models.9.api_key={KEY}"])
    assert KEY not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("at", ["extra", "query", "label"])
def test_a_key_that_stands_in_the_settings_is_refused(monkeypatch, at: str):
    monkeypatch.setenv("COMMENSAL_TEST_KEY", KEY)
    change: dict[str, Any] = {"extra": {"api_key": KEY}, "label": KEY}
    config = settings("http://x.org", **({at: change[at]} if at in change else {}))
    if at == "query":
        config = config.model_copy(update={"query": f"say {KEY}"})
    with pytest.raises(ValueError, match="COMMENSAL_TEST_KEY holds also stands") as error:
        check_endpoints(config)
    assert KEY not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("key", ["ключ-от-сервера", "sk-two\nlines-0123", "sk-with space"])
def test_a_key_that_no_header_can_hold(monkeypatch, key: str):
    monkeypatch.setenv("COMMENSAL_TEST_KEY", key)
    with pytest.raises(ValueError, match="holds no key") as error:
        check_endpoints(settings("http://x.org"))
    assert key not in "".join(traceback.format_exception(error.value))
