"""`commensal audit`: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.commands import run
from tests.texts.test_audit_indices import zipf_texts


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    poor, human = zipf_texts(rng, 120, words=100), zipf_texts(rng, 360, words=800)
    rows = [json.dumps({"text": text}) for text in poor]
    (folder / "made.jsonl").write_text("\n".join(rows))
    (folder / "human.txt").write_text("\n\n".join(human))
    return str(folder / "made.jsonl"), str(folder / "human.txt")


def test_it_answers_in_80_columns_and_fails_on_a_condition(
    files, tmp_path: Path, monkeypatch, capsys
) -> None:
    made, human = files
    out = tmp_path / "out"
    code, printed, err = run(
        monkeypatch, capsys, "audit", made, "--reference", human, "--out", str(out),
        "--resamples", "79", "--fail-on", "rare_retention<0.9", "--fail-on", "vendi<0",
    )  # fmt: skip
    assert code == 1
    assert "Yes: the corpus is narrower than human" in printed
    table = printed.partition("compared with human\n")[2].partition("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 80
    assert "fails: rare_retention<0.9: rare_retention is 0." in err
    assert "vendi<0" not in err
    indices = pd.read_parquet(out / "indices.parquet")
    assert {"rare_retention", "self_bleu", "near_duplicates"} <= set(indices["index"])
    assert (out / "report.html").stat().st_size > 10_000
    assert json.loads((out / "answers.json").read_text())["settings"]["resamples"] == 79


def test_json_is_all_that_is_printed_and_seeds_repeat(files, monkeypatch, capsys) -> None:
    made, human = files
    args = ("audit", made, "--reference", human, "--resamples", "79", "--json", "--seed", "3")
    code, one, _ = run(monkeypatch, capsys, *args)
    assert code == 0
    assert run(monkeypatch, capsys, *args)[1] == one
    found = json.loads(one)
    assert {row["index"] for row in found["table"]} >= {"drift", "vendi"}
    assert found["alarms"] == []
    assert found["phrases"] == []


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.txt", b"", "has no texts"),
        ("one.txt", b"only one", "has 1 document"),
        ("latin.txt", "déjà vu".encode("latin-1"), "convert the file to UTF-8"),
        ("binary.txt", b"\x00\x01\x02", "NUL byte"),
        ("rows.jsonl", b'{"n": 1}\n', "no column holds a text"),
        ("broken.jsonl", b'{"text": "a"\n', "broken.jsonl"),
        ("notes.md", b"text", "must end in"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    files, tmp_path: Path, monkeypatch, capsys, name, content, why
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    out = tmp_path / "out"
    code, printed, err = run(
        monkeypatch, capsys, "audit", str(path), "--reference", files[1], "--out", str(out)
    )
    assert code == 2
    assert printed == ""
    assert why in err
    assert len(err.strip().splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize("option", ["--columns", "--group"])
def test_a_column_that_is_missing_is_named(files, monkeypatch, capsys, option: str) -> None:
    code, _, err = run(
        monkeypatch, capsys, "audit", files[0], "--reference", files[0], option, "body"
    )
    assert code == 2
    assert "no column 'body'; there are text" in err
