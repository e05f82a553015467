"""`commensal advise`: answers on the screen, as JSON and as files; one line for what is wrong."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

from commensal import designs
from tests.commands import run

ASKED = ("advise", "--real", "8", "--synthetic", "3", "--models", "2", "--generations", "2")
QUICK = ("--designs", "2", "--words", "50")


def test_answers_with_their_grounds_and_without(monkeypatch, capsys) -> None:
    code, out, err = run(monkeypatch, capsys, *ASKED, *QUICK)
    assert code == 0
    assert "Stable: a disturbance shrinks to 0.429 of itself" in out  # 6 of 14 documents
    assert "from: `interactive`, Theorem 3" in out
    assert "commensal check --id interactive.thm3" in out
    follows = err.splitlines()[-1]
    asked = shlex.split(follows.removeprefix("next: "))
    assert asked[:2] == ["commensal", "advise"]
    assert asked[-2:] == ["--out", "advice"]
    assert sorted(asked[2:-2]) == sorted((*ASKED[1:], *QUICK))
    code, short, _ = run(monkeypatch, capsys, *ASKED, *QUICK, "--short")
    assert code == 0
    assert "from:" not in short
    assert short.splitlines()[0] == out.splitlines()[0]


def test_json_is_data_alone(monkeypatch, capsys) -> None:
    code, out, err = run(monkeypatch, capsys, *ASKED, *QUICK, "--json")
    assert code == 0
    assert "next:" not in err
    told = json.loads(out)
    by_name = {one["name"]: one for one in told["answers"]}
    assert by_name["margin"]["value"] == pytest.approx(1 - 6 / 14)
    assert by_name["price_of_anarchy"]["value"] is None
    assert by_name["price_of_anarchy"]["flag"]
    assert told["settings"]["real"] == 8


def test_files_and_the_better_mix_next(monkeypatch, capsys, tmp_path) -> None:
    np.savez(tmp_path / "system.npz", **designs.gaussian(2, 3, 3).grams())
    (tmp_path / "counts.csv").write_text("word,count\nthe,5\na,2\n")
    more = ("--system", str(tmp_path / "system.npz"), "--counts", str(tmp_path / "counts.csv"))
    code, out, err = run(monkeypatch, capsys, *ASKED, *more, "--out", str(tmp_path / "plan"))
    assert code == 0
    for name in ("report.html", "answers.json", "errors.png", "sensitivity.png"):
        assert f"wrote {tmp_path / 'plan' / name}" in out
        assert (tmp_path / "plan" / name).stat().st_size > 1000
    follows = shlex.split(err.splitlines()[-1].removeprefix("next: "))
    share = json.loads((tmp_path / "plan" / "answers.json").read_text())["answers"][0]["value"]
    assert follows[-2:] == ["--synthetic-share", f"{share:.3g}"]
    assert str(tmp_path / "system.npz") in follows


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (ASKED[:-2], "missing: generations"),
        ((*ASKED, "--real", "0"), "real: Input should be greater than or equal to 1, got 0"),
        ((*ASKED, "--real", "-5"), "real: Input should be greater than or equal to 1, got -5"),
        ((*ASKED, "--models", "0"), "models: Input should be greater than or equal to 1, got 0"),
        ((*ASKED, "--private-share", "1.2"), "private_share: Input should be less than or equal"),
        ((*ASKED, "--synthetic-share", "1"), "synthetic_share: Input should be less than 1, got 1"),
        ((*ASKED, "--reads", "shares:1,2,3"), "'shares:1,2,3' has 3 shares for 2 models"),
        ((*ASKED, "--memory", "window"), "memory 'window' needs a window"),
        ((*ASKED, "--until", "0"), "until: Input should be greater than 0, got 0"),
        ((*ASKED, "--system", "nowhere.npz"), "'nowhere.npz' does not exist"),
        ((*ASKED, "--counts", "nowhere.csv"), "nowhere.csv"),
        ((*ASKED, "--fresh", "2.5"), "--fresh"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(monkeypatch, capsys, args, said: str) -> None:
    code, out, err = run(monkeypatch, capsys, *args)
    assert code == 2
    assert out == ""
    (line,) = err.splitlines()
    assert said in line


def test_help_says_what_is_required(monkeypatch, capsys) -> None:
    code, out, _ = run(monkeypatch, capsys, "advise", "--help")
    assert code == 0
    assert out.count("(required)") == 4
    assert "Words" in out


def test_a_folder_that_cannot_be_is_refused_before_the_work(monkeypatch, capsys, tmp_path) -> None:
    (tmp_path / "file").touch()
    code, out, err = run(monkeypatch, capsys, *ASKED, "--out", str(tmp_path / "file"))
    assert (code, out) == (2, "")
    assert "is a file" in err
