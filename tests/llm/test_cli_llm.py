"""`commensal llm` as a stranger meets it."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from commensal.cli._llm import _go
from commensal.llm.corpora import CorpusWarning
from commensal.llm.presets import preset_names
from tests import forked
from tests.llm.runs import interactive


def commensal(*arguments: str, cwd: Path) -> forked.Done:
    environment = os.environ | {"COLUMNS": "60"}
    return forked.run(forked.command, *arguments, environment=environment, folder=cwd)


def test_run_report_and_resume(tmp_path: Path):
    settings = interactive(generations=1, alpha=0.5).model_dump(mode="json")
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(settings))
    done = commensal("llm", "run", "small.yaml", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "wrote runs/small (" in done.out
    assert done.err.splitlines()[-1] == "next: commensal llm report runs/small"
    again = commensal("llm", "resume", "runs/small", "--workers", "1", cwd=tmp_path)
    assert again.code == 0, again.err
    report = commensal("llm", "report", "runs/small", cwd=tmp_path)
    assert report.code == 0, report.err
    assert report.err.splitlines()[-1] == "next: commensal pair runs/small"
    assert (tmp_path / "runs" / "small" / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["llm", "run", "demi"], "there is no preset and no file 'demi'; presets:"),
        (["llm", "run", "demo", "--set", "alpha=2"], "alpha: Input should be less than or equal"),
        (["llm", "run", "demo", "--set", "alpha"], "a change is path.to.setting=value"),
        (["llm", "run", "demo", "--set", "device=tpu9"], "there is no device 'tpu9' here"),
        (["llm", "run", "demo", "--out", "file"], "'file' exists and is not a run"),
        (["llm", "run", "real-text"], "data/"),
        (["llm", "run", "real-text", "--dry-run"], "data/wikitext2_train_sample.txt' does not ex"),
        (["llm", "run", "demo", "--dry-run", "--set", "device=tpu9"], "there is no device 'tpu9'"),
        (["llm", "run", "demo", "--dry-run", "--out", "file"], "'file' exists and is not a run"),
        (["llm", "resume", "nowhere"], "'nowhere' is not a run: no run.json"),
        (["llm", "report", "nowhere"], "'nowhere' is not a run: no run.json"),
        (["llm", "run", "demo", "--workers", "0"], "workers"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    done = commensal(*arguments, cwd=tmp_path)
    assert done.code == 2, done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert message in lines[0]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["file"]


def test_settings_are_shown(tmp_path: Path):
    command = ["llm", "run", "demo", "--seed", "7", "--dry-run"]  # with all that it imports
    command = [sys.executable, "-m", "commensal.cli", *command]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert yaml.safe_load(done.stdout)["seed"] == 7
    assert done.stdout.splitlines()[-1] == "# a run can begin"
    assert done.returncode == 0
    listed = commensal("llm", "presets", cwd=tmp_path).out.splitlines()
    assert {line.split()[0] for line in listed if line[0] != " "} == set(preset_names())
    assert all(len(line) <= 80 for line in listed)


def test_warnings_are_lines_said_once(monkeypatch, capsys):
    def warns(*_, **__):
        for _ in range(2):
            warnings.warn("2 of [3] rows cannot be used", CorpusWarning, stacklevel=1)
        return []

    monkeypatch.setattr("commensal.llm.run", warns)
    monkeypatch.setattr("commensal.llm.records.results.diverged", lambda _: {})  # nothing has run
    monkeypatch.setattr("commensal.cli._llm.err_console", Console(stderr=True, width=20))
    _go(None, Path("out"), 1)
    said = [line for line in capsys.readouterr().err.splitlines() if "rows" in line]
    assert said == ["commensal: 2 of [3] rows cannot be used"]
