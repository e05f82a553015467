"""Models behind a server: a real one on loopback, well behaved and not."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml
from pydantic import ValidationError

from commensal.cli._console import in_one_line
from commensal.llm import resume, run
from commensal.llm.config import WebConfig
from commensal.llm.presets import read_config
from commensal.llm.records.directory import RunDirectoryError
from commensal.llm.web.cache import AnswerCache
from commensal.llm.web.endpoint import EndpointError
from commensal.llm.web.pace import Pace
from tests import forked
from tests.llm.runs import files_of

pytest.importorskip("httpx2")
SERVER = Path(__file__).with_name("chat_server.py")
SECRET = "sk-very-secret-0123456789"
POSTS = ["alpha beta", "gamma delta", "beta gamma", "delta alpha"]


class Running(NamedTuple):
    process: subprocess.Popen[str]
    url: str
    trouble: Path
    log: Path

    def make(self, *troubles: dict[str, Any]) -> None:
        self.trouble.write_text(json.dumps(troubles))

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def start(folder: Path, at: Path, *options: str) -> Running:
    trouble, log = at / "trouble.json", at / "log.jsonl"
    trouble.write_text("[]")
    log.touch()
    command = [sys.executable, str(SERVER), str(folder), "--trouble", str(trouble)]
    process = subprocess.Popen(
        [*command, "--log", str(log), *options], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port, "the server has not started"
    return Running(process, f"http://127.0.0.1:{port}/v1", trouble, log)


def end(server: Running) -> None:
    server.process.kill()
    server.process.wait()
    assert server.process.stdout is not None
    server.process.stdout.close()


@pytest.fixture(scope="module")
def shared(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(folder, tmp_path_factory.mktemp("server"), "--key", SECRET)
    yield running
    end(running)


@pytest.fixture
def server(shared: Running, monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setenv("COMMENSAL_TEST_KEY", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shared.make()
    shared.log.write_text("")
    return shared


def web(folder: Path, url: str, generations: int = 1, **more: Any) -> WebConfig:
    """One model here (it also embeds), one behind the server."""
    endpoint = {
        "kind": "endpoint", "base_url": url, "model": "tiny", "key": "COMMENSAL_TEST_KEY",
        "timeout": 10, "backoff": 0.05, "retries": 3, "concurrency": 2,
    }  # fmt: skip
    return WebConfig.model_validate(
        {
            "models": [{"kind": "local", "name": str(folder)}, endpoint | more],
            "bad_answers": [],  # the tiny model says nothing now and then, which is no matter here
            "posts": {"kind": "texts", "texts": POSTS},
            "query": "say",
            "responses": 4,
            "generations": generations,
            "threads": 1,
            "sampling": {"max_new_tokens": 5},
        }
    )


def everything(path: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file())


def test_a_run_and_its_cache(folder: Path, server: Running, tmp_path: Path):
    table = run(web(folder, server.url), tmp_path / "run")
    assert len(server.answers) == 4 * 2
    assert set(table.metric) >= {"disagreement", "distance", "spread", "synthetic_share"}
    assert (table[table.metric == "disagreement"].value > 0).all()
    # again from nothing but the cache: no further request
    again = tmp_path / "again"
    again.mkdir()
    (again / "responses").mkdir()
    for name in ("run.json", "config.yaml"):
        (again / name).write_bytes((tmp_path / "run" / name).read_bytes())
    (kept,) = (tmp_path / "run" / "responses").iterdir()
    (again / "responses" / kept.name).write_bytes(kept.read_bytes())
    resume(again)
    assert len(server.answers) == 4 * 2
    assert files_of(again) == files_of(tmp_path / "run")


def test_the_key_is_nowhere(folder: Path, server: Running, tmp_path: Path, caplog):
    import logging

    caplog.set_level(logging.DEBUG)
    server.make({"status": 500, "message": "you sent {key}"})
    run(web(folder, server.url), tmp_path / "run")
    assert SECRET.encode() not in everything(tmp_path)
    assert SECRET not in caplog.text


def test_several_choices_in_one_request(folder: Path, server: Running, tmp_path: Path):
    server.make({"choices": 2})  # fewer than were asked for
    run(web(folder, server.url, choices=4), tmp_path / "run")
    assert len(server.answers) == 3
    (kept,) = (tmp_path / "run" / "responses").iterdir()
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [line["numbers"] for line in lines] == [[0, 1, 2, 3], [2, 3], [0, 1, 2, 3]]
    assert [len(json.loads(line["body"])["choices"]) for line in lines] == [2, 2, 4]


@pytest.mark.parametrize(
    "trouble",
    [
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 429, "headers": {"Retry-After-Ms": "700"}},
        {"status": 500},
        {"status": 503},
        {"sleep": 1.5},
        {"body": '{"choices": [{"message": {"content": "al'},
        {"body": "<html>busy</html>"},
        {"body": '{"choices": []}'},
        {"body": '{"error": null}'},
        {"body": "[1, 2]"},
        {"body": ""},
    ],
    ids=str,
)
def test_trouble_that_passes(folder: Path, server: Running, tmp_path: Path, trouble: dict):
    calm = run(web(folder, server.url), tmp_path / "calm")
    server.log.write_text("")
    server.make(trouble, {"status": 502})
    began = time.monotonic()
    patient = {"timeout": 1.0} if "sleep" in trouble else {}
    table = run(web(folder, server.url, concurrency=1, **patient), tmp_path / "run")
    pd.testing.assert_frame_equal(table, calm)
    # what was answered too late was paid for, and is asked for again
    assert len(server.answers) == 8 + ("sleep" in trouble)
    if "headers" in trouble:
        assert time.monotonic() - began > 0.7


@pytest.mark.parametrize(
    ("troubles", "settings", "message"),
    [
        ([{"status": 400, "message": "too long\nreally"}], {}, r"the request \(400: too long"),
        ([{"status": 404, "message": "tiny?"}], {}, r"or the address is wrong \(404"),
        ([{"status": 429, "code": "insufficient_quota"}], {}, "no quota left"),
        ([{"status": 429, "headers": {"retry-after": "900"}}], {}, "asks to wait 900 seconds"),
        ([{"status": 500, "message": "{key}"}] * 4, {"retries": 1}, r"status 500 .*, 2 times"),
        ([{"body": "nonsense"}] * 9, {"retries": 1}, "an answer that cannot be read"),
        ([{"sleep": 1}] * 9, {"retries": 0, "timeout": 0.2}, "within 0.2 seconds, 1 time"),
    ],
)  # fmt: skip
def test_trouble_that_stays(
    folder: Path, server: Running, tmp_path: Path, troubles, settings, message: str
):
    server.make(*troubles)
    with pytest.raises(EndpointError, match=message) as error:
        run(web(folder, server.url, **settings), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)
    assert "go on with commensal llm resume" in str(error.value)
    server.make()
    resume(tmp_path / "run")


def test_a_wrong_key(folder: Path, server: Running, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COMMENSAL_TEST_KEY", "sk-wrong-wrong-wrong")
    with pytest.raises(
        EndpointError, match=r"refuses the key in COMMENSAL_TEST_KEY \(401\)"
    ) as error:
        run(web(folder, server.url), tmp_path / "run")
    assert "wrong-wrong" not in str(error.value)
    assert b"wrong-wrong" not in everything(tmp_path)
    monkeypatch.setenv("COMMENSAL_TEST_KEY", SECRET)
    resume(tmp_path / "run")


def test_no_key(folder: Path, server: Running, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("COMMENSAL_TEST_KEY")
    with pytest.raises(ValueError, match="environment variable COMMENSAL_TEST_KEY must hold"):
        run(web(folder, server.url), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_key_in_the_wrong_place_is_not_shown(folder: Path, tmp_path: Path):
    for more in ({"key": SECRET}, {"api_key": SECRET}, {"base_url": f"https://me:{SECRET}@x.org"}):
        settings = {"kind": "endpoint", "base_url": "http://x", "model": "m"} | more
        whole = web(folder, "http://x").model_dump(mode="json") | {"models": [settings]}
        (tmp_path / "web.yaml").write_text(yaml.safe_dump(whole))
        with pytest.raises(ValidationError) as error:
            read_config(tmp_path / "web.yaml")
        assert SECRET not in str(error.value)
        assert SECRET not in in_one_line(error.value)


def test_nobody_there(folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COMMENSAL_TEST_KEY", SECRET)
    with pytest.raises(EndpointError, match=r"no connection \(.*2 times in a row"):
        run(web(folder, "http://127.0.0.1:9/v1", retries=1), tmp_path / "run")


def test_how_it_is_reached_may_change(folder: Path, server: Running, tmp_path: Path):
    server.make({"status": 500})
    with pytest.raises(EndpointError):
        run(web(folder, server.url, retries=0, concurrency=1), tmp_path / "run")
    run(web(folder, server.url, retries=5), tmp_path / "run")
    note = json.loads((tmp_path / "run" / "run.json").read_text())
    assert note["config"]["models"][1]["retries"] == 5
    assert "retries: 5" in (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(RunDirectoryError, match="holds another run"):
        run(web(folder, server.url, model="other"), tmp_path / "run")


def test_the_server_goes_away_and_comes_back(
    folder: Path, server: Running, tmp_path: Path, monkeypatch
):
    run(web(folder, server.url), tmp_path / "calm")
    other = start(folder, tmp_path, "--slow", "0.1")
    config = web(folder, other.url, retries=1, concurrency=1, key=None)

    def kill() -> None:
        while len(other.answers) < 2 and other.process.poll() is None:
            time.sleep(0.01)
        other.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(EndpointError, match="no connection"):
        run(config, tmp_path / "run")
    killer.join()
    end(other)
    given = len(other.answers)
    assert 0 < given < 8
    other = start(folder, tmp_path, "--port", other.url.split(":")[2].removesuffix("/v1"))
    run(config, tmp_path / "run")
    end(other)
    # one answer may have been given and not have arrived
    assert 8 <= len(other.answers) <= 9
    assert files_of(tmp_path / "run") == files_of(tmp_path / "calm")


def test_a_killed_run_pays_nothing_twice(folder: Path, server: Running, tmp_path: Path):
    """SIGKILL in the middle of requests, as often as it takes."""
    expected = run(web(folder, server.url, generations=2), tmp_path / "calm")
    server.log.write_text("")
    config = tmp_path / "config.yaml"
    settings = web(folder, server.url, generations=2, concurrency=1)
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    out = tmp_path / "run"
    kills = 0
    for aim in (2, 7):
        process = forked.begin(forked.command, "llm", "run", str(config), "--out", str(out))
        server.make(*[{"sleep": 0.3}] * 40)
        while process.is_alive() and len(server.answers) < aim:
            time.sleep(0.01)
        if process.is_alive():
            process.kill()  # SIGKILL
            kills += 1
        process.join()
    assert kills == 2
    time.sleep(0.7)  # what the server still has in hand
    server.make()
    table = resume(out)
    pd.testing.assert_frame_equal(table, expected)
    # one request may have been under way at each kill
    assert 12 <= len(server.answers) <= 12 + kills
    assert files_of(out) == files_of(tmp_path / "calm")


def test_a_line_cut_short_is_asked_for_again(tmp_path: Path):
    def body(*texts: str) -> str:
        return json.dumps({"choices": [{"message": {"content": text}} for text in texts]})

    cache = AnswerCache(tmp_path / "kept.jsonl")
    cache.put("a", [0, 1], body("one", "zwei ünd"))
    cache.put("b", [0], body("three"))
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole[:-7])
    again = AnswerCache(cache.path)
    assert [said.text for said in again.tries("a", 1)] == ["zwei ünd"]
    assert again.tries("b", 0) == []
    again.put("b", [0], body("three"))
    for known in (again, AnswerCache(cache.path)):
        assert [said.text for said in known.tries("b", 0)] == ["three"]


def test_requests_keep_their_pace():
    pace, stop, began = Pace(600), threading.Event(), time.monotonic()
    for _ in range(4):
        pace.wait(stop)
    assert 0.3 <= time.monotonic() - began < 3
    stop.set()
    Pace(0.001).wait(stop)
