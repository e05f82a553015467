"""Every command ends with the next one to type, and prints no such line beside data."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer

from commensal import cli
from commensal.cli import _llm
from commensal.cli._console import ending_with_the_next, note, print_json, say_next
from commensal.llm.presets import read_config
from tests.commands import ROOT, run
from tests.llm.test_committed_runs import reading


def leaves(command: Any, name: str = "") -> dict[str, Any]:
    """Commands that do something, by their full names."""
    if not hasattr(command, "commands"):
        return {name.strip(): command}
    found: dict[str, Any] = {}
    for inner, one in command.commands.items():
        found |= leaves(one, f"{name} {inner}")
    return found


def test_no_command_ends_without_a_next_one() -> None:
    commands = leaves(typer.main.get_command(cli.app))
    assert {"doctor", "figure", "llm power", "simulate mixture"} <= set(commands)
    # directly, or by what all simulations, or a run and one that is resumed, share
    says = re.compile(r"\b(say_next|simulate|go_on|_go)\(")
    silent = [
        name
        for name, command in commands.items()
        if not says.search(inspect.getsource(inspect.unwrap(command.callback)))
    ]
    assert silent == []


def test_the_next_command_is_the_last_line(capsys) -> None:
    with ending_with_the_next():
        say_next("figure", "a name.nc")
        say_next("pair", "runs/a name")
        note("a remark at the end")
    *_, remark, last = capsys.readouterr().err.splitlines()
    assert remark == "commensal: a remark at the end"
    assert shlex.split(last.removeprefix("next: ")) == ["commensal", "pair", "runs/a name"]


def test_after_an_error_or_beside_data_there_is_none(capsys) -> None:
    with suppress(SystemExit), ending_with_the_next():
        say_next("figure", "x.nc")
        raise SystemExit(2)
    with ending_with_the_next():
        say_next("figure", "x.nc")
        print_json({"α": 1})
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"α": 1}


@pytest.mark.parametrize(
    ("args", "follows"),
    [
        (("check", "--list", "--paper", "news", "--json"), None),
        (("llm", "presets", "--show", "demo"), None),
        (("llm", "presets"), ["llm", "run", "demo", "--out", "runs/demo"]),
    ],
)
def test_what_is_read_by_a_program_is_data_alone(monkeypatch, capsys, args, follows) -> None:
    code, _, err = run(monkeypatch, capsys, *args)
    assert code == 0
    line = shlex.join(["commensal", *follows]) if follows else ""
    assert err == (f"next: {line}\n" if follows else "")


@pytest.mark.parametrize(
    ("name", "follows"),
    [("demo", "pair"), ("web", "pair"), ("evolution", "power"), ("remedies", "power")],
)
def test_after_a_report(monkeypatch, name: str, follows: str) -> None:
    whole = reading(name)
    folder = Path("runs") / name
    monkeypatch.setattr("commensal.llm.reports._reading.read_run", lambda _: whole)
    assert _llm._after_report(folder) == (
        ("pair", folder) if follows == "pair" else ("llm", "power", folder)
    )
    whole.reached.clear()
    assert _llm._after_report(folder) == ("llm", "resume", folder)


def test_one_replicate_is_followed_by_several(monkeypatch) -> None:
    whole = reading("segmented")
    monkeypatch.setattr("commensal.llm.reports._reading.read_run", lambda _: whole)
    one = whole.config.model_copy(update={"replicates": 1})
    object.__setattr__(whole, "config", one)  # it is frozen
    follows = [str(part) for part in _llm._after_report(ROOT / "runs" / "segmented")]
    assert follows[:2] == ["llm", "run"]
    # the settings that it names are those of the run, but for the replicates
    config, change = follows[2], follows[follows.index("--set") + 1]
    assert read_config(config, [change]) == one.model_copy(update={"replicates": 5})
    assert follows[-1] == str(ROOT / "runs" / "segmented-5")
