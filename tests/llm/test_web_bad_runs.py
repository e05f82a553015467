"""Whole runs whose servers give bad answers: what is posted, measured, said, reported and paid."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from commensal.cli import main
from commensal.llm import resume, run
from commensal.llm.config import WebConfig
from commensal.llm.records.directory import RunDirectory, RunDirectoryError
from commensal.llm.reports import write_report
from commensal.llm.web import distances
from commensal.llm.web.endpoint import EndpointError
from commensal.pairing import pair_web
from tests.llm.odd_server import KEY, Handler, Server, raw, said, serving
from tests.llm.test_report import text_of

pytest.importorskip("httpx2")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def web(folder: Path, url: str, **more: Any) -> WebConfig:
    """A model here, one behind the server that answers, and one that has little to say."""
    endpoint = {"kind": "endpoint", "base_url": url, "concurrency": 1, "backoff": 0, "retries": 0}
    return WebConfig.model_validate(
        {
            "models": [
                {"kind": "local", "name": str(folder), "label": "here"},
                endpoint | {"model": "mute"},
                endpoint | {"model": "talks"},
            ],
            "posts": {"kind": "texts", "texts": ["alpha beta", "gamma delta"]},
            "query": "say",
            "responses": 2,
            "generations": 2,
            "threads": 1,
            "ask_again": 0,
            "sampling": {"max_new_tokens": 5},
        }
        | more
    )


def mute(handler: Handler, asked: dict[str, Any]) -> None:
    """The model of that name answers nothing; the other another thing each time."""
    count = len(handler.server.asked)
    text = None if asked["model"] == "mute" else ["alpha", "beta gamma", "delta"][count % 3]
    said(text, model=f"{asked['model']}-1")(handler, asked)


def records(path: Path, generation: int) -> list[dict[str, Any]]:
    return RunDirectory(path).branch("read_share=0.5").samples(generation)


def test_what_is_left_out_is_neither_posted_nor_measured(
    folder: Path, server: Server, tmp_path: Path, caplog
):
    server.usual = mute
    out = tmp_path / "run"
    table = run(web(folder, server.url, on_bad_answer="skip"), out)
    whole = distances(out)
    # two human posts, and two models of three that post
    assert list(whole.posts) == [2, 4, 6]
    assert whole.disagreement.isna().all()
    pairs = table[(table.metric == "distance") & (table.generation == 1)]
    known = {(int(r.model), int(r.other)): r.value for r in pairs.itertuples()}  # pyright: ignore
    assert np.isnan(known[0, 1])
    assert np.isnan(known[1, 2])
    assert known[0, 2] > 0
    silent = table[(table.model == 1) & (table.generation == 1)].set_index("metric").value
    assert silent[["answers", "answers_empty", "left_out", "kept_bad"]].tolist() == [2, 2, 2, 0]
    assert silent[["words", "different", "empty", "spread"]].isna().all()
    assert "answers" not in set(table[table.model == 0].metric)
    kinds = [(r["model"], r["kind"]) for r in records(out, 1)]
    assert kinds == [
        (0, "web"), (0, "response"), (1, "left out"), (1, "left out"), (2, "web"), (2, "response"),
    ]  # fmt: skip
    left = records(out, 1)[2]
    assert (left["bad"], left["finish_reason"], left["answered_by"]) == ("empty", "stop", "mute-1")
    assert all("retrieved" in r for r in records(out, 1) if r["kind"] == "web")
    lines = [r.message for r in caplog.records if "bad answers" in r.message]
    assert lines == [
        f"read_share=0.5, generation {t}: bad answers: mute: 2 of 2 (2 empty); 2 left out"
        for t in range(3)
    ]
    with pytest.raises(ValueError, match="no law can be laid over it"):
        pair_web(out)
    shown = text_of(write_report(out))
    assert "6 of 12 answers of servers are bad (6 empty); 6 responses are left out" in shown
    assert "mute was asked for, and mute-1 has answered" in shown
    assert "talks-1" in shown


def test_the_store_is_the_same_after_an_interruption(folder: Path, server: Server, tmp_path: Path):
    server.usual = mute
    out = tmp_path / "run"
    run(web(folder, server.url, on_bad_answer="skip"), out)
    paid = len(server.asked)
    last = out / "generations" / "read_share=0.5" / "0002"
    before = {p.name: p.read_bytes() for p in last.iterdir()}
    shutil.rmtree(last)
    resume(out)
    assert {p.name: p.read_bytes() for p in last.iterdir()} == before
    assert len(server.asked) == paid


def test_the_first_good_answer_is_posted(folder: Path, server: Server, tmp_path: Path):
    def half(handler: Handler, asked: dict[str, Any]) -> None:
        odd = len(handler.server.asked) % 2
        said("alpha beta gamma" if odd else "delta", finish="length" if odd else "stop")(
            handler, asked
        )

    server.usual = half
    table = run(web(folder, server.url, on_bad_answer="skip"), tmp_path / "run")
    (posted,) = [r for r in records(tmp_path / "run", 0) if r["kind"] == "web" and r["model"] == 2]
    assert posted["completion"] == "delta"
    here = table[(table.model == 2) & (table.generation == 0)].set_index("metric").value
    assert here[["answers", "answers_cut", "left_out", "words"]].tolist() == [2, 1, 1, 1]
    assert table[table.metric == "disagreement"].value.notna().all()
    # one response is left, and of one response the noise is not known
    assert table[table.metric == "sampling"].value.isna().all()


def test_a_run_that_stopped_goes_on_under_another_rule(
    folder: Path, server: Server, tmp_path: Path
):
    server.usual = mute
    out = tmp_path / "run"
    with pytest.raises(EndpointError, match="generation 0, response 1: the answer is empty"):
        run(web(folder, server.url), out)
    assert len(server.asked) == 1
    table = run(web(folder, server.url, on_bad_answer="post"), out)
    assert len(server.asked) == 12
    kept = table[(table.metric == "kept_bad") & (table.model == 1)]
    assert (kept.value == 2).all()
    assert [r["completion"] for r in records(out, 0) if r["model"] == 1] == ["", ""]
    with pytest.raises(RunDirectoryError, match="holds another run"):
        run(web(folder, server.url, strip=[]), out)


def test_runs_that_share_their_answers_pay_once(folder: Path, server: Server, tmp_path: Path):
    shared = str(tmp_path / "answers")
    first = run(web(folder, server.url, answers=shared), tmp_path / "one")
    assert len(server.asked) == 12
    again = run(web(folder, server.url, answers=shared, strip=["note"]), tmp_path / "two")
    assert len(server.asked) == 12
    pd.testing.assert_frame_equal(first, again)
    run(web(folder, server.url, answers=shared, seed=1), tmp_path / "three")
    assert len(server.asked) == 24


def test_nothing_good_at_all_stops(folder: Path, server: Server, tmp_path: Path):
    server.usual = said(None)
    config = web(folder, server.url, on_bad_answer="skip")
    config = config.model_copy(update={"models": config.models[1:]})
    config = config.model_copy(
        update={"embedding": config.embedding.model_copy(update={"model": str(folder)})}
    )
    with pytest.raises(EndpointError, match="generation 0: no model gave a good answer"):
        run(config, tmp_path / "run")
    assert len(server.asked) == 4


def test_unknown_tokens_are_no_zero(folder: Path, server: Server, tmp_path: Path):
    server.usual = said("alpha", usage=None)
    run(web(folder, server.url), tmp_path / "run")
    lines = (tmp_path / "run" / "timings.jsonl").read_text().splitlines()
    tokens = [e["tokens"] for e in map(json.loads, lines) if e["model"] in (1, 2)]
    assert tokens == [None] * 6
    assert "unknown" in text_of(write_report(tmp_path / "run"))


def test_thoughts_of_models_that_run_here_are_stripped(
    folder: Path, server: Server, tmp_path: Path, monkeypatch
):
    def thinking(model: Any, tokenizer: Any, prompts: list, *more: Any, **named: Any) -> list[str]:
        return ["<think>what to say?</think>\n\nalpha beta"] * len(prompts)

    monkeypatch.setattr("commensal.llm.web.local.sample_after", thinking)
    for strip, text in (
        (("think",), "alpha beta"),
        ((), "<think>what to say?</think>\n\nalpha beta"),
    ):
        out = tmp_path / f"run{len(strip)}"
        run(web(folder, server.url, strip=strip, generations=0), out)
        assert {r["completion"] for r in records(out, 0) if r["model"] == 0} == {text}


def test_a_key_that_is_repeated_is_in_no_file(
    folder: Path, server: Server, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.setenv("COMMENSAL_TEST_KEY", KEY)
    body = '{"model": "{key}", "choices": [{"message": {"content": "you sent {key}"}}]}'
    server.usual = raw(body, X_Echo="{key}")
    config = web(folder, server.url, generations=0)
    named = [config.models[0], config.models[1].model_copy(update={"key": "COMMENSAL_TEST_KEY"})]
    run(config.model_copy(update={"models": tuple(named)}), tmp_path / "run")
    write_report(tmp_path / "run")
    assert {r["completion"] for r in records(tmp_path / "run", 0) if r["model"] == 1} == {
        "you sent ***"
    }
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            content = gzip.decompress(content) if path.suffix == ".gz" else content
            assert KEY.encode() not in content
    assert KEY not in "".join(capsys.readouterr())
    assert server.keys == [f"Bearer {KEY}"] * 2


def test_the_terminal_tells(folder: Path, server: Server, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])  # those of pytest; a user has none
    monkeypatch.setenv("COLUMNS", "60")
    server.usual = mute
    for rule, code, line in (
        ("post", 0, "generation 0: bad answers: mute: 2 of 2 (2 empty); 2 used all the same"),
        ("stop", 2, "commensal: http://127.0.0.1:"),
    ):
        config = tmp_path / f"{rule}.yaml"
        settings = web(folder, server.url, generations=0, on_bad_answer=rule)
        config.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
        command = ["commensal", "llm", "run", str(config), "--out", str(tmp_path / rule)]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        errors = capsys.readouterr().err
        assert line in errors
        assert "Traceback" not in errors
        assert errors.count("asked for the model") == (2 if rule == "post" else 0)
