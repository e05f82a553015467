"""`commensal forecast`: its answers, files and errors."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.commands import run
from tests.test_cli_outputs import next_of, refused


@pytest.fixture
def curves(tmp_path):
    rate = {"a": 0.02, "b": 0.04, "c": 0.08, "d": 0.03, "e": 0.06, "f": 0.05}
    rows = [
        {"run": run, "generation": t, "value": 1 - lost * t**0.5}
        for run, lost in rate.items()
        for t in range(7 if run != "f" else 3)
    ]
    file = tmp_path / "my curves.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    return file


def test_answers_and_the_next_command(monkeypatch, capsys, curves) -> None:
    code, out, err = run(monkeypatch, capsys, "forecast", str(curves))
    assert code == 0
    assert "f: 0.87" in out  # 0.8775 is true
    assert "checked: " in out
    assert next_of(err) == ["forecast", str(curves), "--out", "forecast"]


def test_json_has_answers_and_forecasts(monkeypatch, capsys, curves) -> None:
    code, out, err = run(monkeypatch, capsys, "forecast", str(curves), "--until", "8", "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["settings"]["until"] == 8
    assert {row["run"] for row in told["forecast"]} == set("abcdef")
    assert {row["generation"] for row in told["forecast"] if row["run"] == "a"} == {7, 8}


def test_files(monkeypatch, capsys, curves, tmp_path) -> None:
    out = tmp_path / "found"
    code, said, _ = run(monkeypatch, capsys, "forecast", str(curves), "--out", str(out))
    assert code == 0
    assert f"wrote {out / 'report.html'}" in said
    assert "<img" in (out / "report.html").read_text(encoding="utf-8")
    assert len(pd.read_csv(out / "forecast.csv")) == 4
    assert {"last", "line", "linear"} <= set(pd.read_csv(out / "held_out.csv").columns)
    assert json.loads((out / "answers.json").read_text(encoding="utf-8"))["answers"]


def test_bad_input_is_one_line(monkeypatch, capsys, curves, tmp_path) -> None:
    for text, said in (
        ("run,generation\na,0\nb,0\n", "needs a column 'value'"),
        ("run,generation,value\na,0,1\na,1,2\n", "a single run"),
        ("run,generation,value\na,0,1\na,0,2\nb,0,1\n", "there twice"),
        ("run,generation,value\na,0,1\nb,0,\n", "row 2: value is no finite number"),
        ("run,generation,retained,known\na,0,9,8\nb,0,1,8\n", "9 facts retained of 8"),
    ):
        file = tmp_path / "bad.csv"
        file.write_text(text)
        assert said in refused(monkeypatch, capsys, "forecast", str(file))
    assert "No such file" in refused(monkeypatch, capsys, "forecast", str(tmp_path / "none.csv"))
    assert "come to generation 1" in refused(
        monkeypatch, capsys, "forecast", str(curves), "--until", "1"
    )
    assert "level must" in refused(monkeypatch, capsys, "forecast", str(curves), "--level", "80")
