"""Every script of figures/, small: a PNG to look at, and last of all a sentence with numbers."""

from __future__ import annotations

import os
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commensal._compiled import accepted
from tests import forked

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "figures").glob("[!_]*.py"))
BYTES = range(10_000, 400_000)
# Compiling takes most of the time, and optimised code does not pay for so few numbers.
FLAGS = " ".join(f"--{name}={value}".lower() for name, value in (accepted(False) or {}).items())


def run(script: Path, folder: Path) -> forked.Done:
    out = folder / f"{script.stem}.png"
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    return forked.run(
        forked.script,
        str(script),
        "--quick",
        "--out",
        str(out),
        folder=folder,  # from anywhere
        environment=environment | {"XLA_FLAGS": FLAGS},
    )


def check_sentence(name: str, sentence: str) -> None:
    assert sentence.endswith("."), name
    assert sentence.count(". ") <= 1, f"{name} prints more than two sentences"
    assert len(re.findall(r"\d+\.?\d*", sentence)) >= 5, name
    assert not re.search(r"\b(nan|inf)\b", sentence), name


def check_picture(path: Path) -> None:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n", path.name
    width, height = struct.unpack(">II", header[16:24])
    assert 900 <= width <= 2000, path.name
    assert 500 <= height <= 2000, path.name
    assert path.stat().st_size in BYTES, path.name


def test_every_script_draws_and_tells(tmp_path: Path) -> None:
    assert len(SCRIPTS) >= 5
    # Most of their time goes into compiling, on one core: together they take half as long.
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda script: run(script, tmp_path), SCRIPTS))
    for script, done in zip(SCRIPTS, runs, strict=True):
        assert (done.code, done.err) == (0, ""), f"{script.name}\n{done.err}"
        told = done.out.strip().splitlines()[-1]  # a table may go before
        check_sentence(script.name, told)
        assert (tmp_path / f"{script.stem}.txt").read_text(encoding="utf-8") == f"{told}\n"
        check_picture(tmp_path / f"{script.stem}.png")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_published_picture_and_its_sentence_are_there(script: Path) -> None:
    check_picture(script.with_suffix(".png"))
    told = script.with_suffix(".txt").read_text(encoding="utf-8")
    check_sentence(script.name, told.strip())
