"""Commands as a person gives them: in this process, or in one of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from commensal import cli

SMALL = ("--alpha", "0:1:5", "--beta", "0.25,0.5", "--models", "2,3", "--dim", "6", "--rank", "3")
ROOT = Path(__file__).parents[1]


def run(monkeypatch, capsys, *args: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["commensal", *args])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


class Done(NamedTuple):
    codes: list[int]
    out: bytes
    err: bytes


# Several commands share a process, for the time that importing JAX takes; each goes through main.
_PROGRAM = """
import json, sys
from commensal import cli
codes = []
for args in json.loads(sys.argv[1]):
    sys.argv = ["commensal", *args]
    try:
        cli.main()
    except SystemExit as stop:
        codes.append(stop.code or 0)
with open("codes.json", "w") as file:
    json.dump(codes, file)
"""


def run_apart(
    commands: Sequence[Sequence[str]],
    folder: Path,
    package: Path = ROOT,
    flags: Sequence[str] = (),
    **settings: str,
) -> Done:
    """Run commands one after the other in a process with other settings of the environment."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", _PROGRAM, json.dumps(commands)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(package)} | settings,
        capture_output=True,
        timeout=300,
        check=False,
    )
    codes = folder / "codes.json"
    assert codes.exists(), done.stderr.decode(errors="replace")
    return Done(json.loads(codes.read_text()), done.stdout, done.stderr)
