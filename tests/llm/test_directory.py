"""What is written is whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from commensal.llm.records.directory import (
    RunDirectory,
    RunDirectoryError,
    Unsaved,
    jsonl_gz,
    parquet,
    staged,
    write,
)


def fill(folder: Path, text: str, link: str | None = None) -> None:
    with staged(folder) as temporary:
        if link is not None:
            (temporary / "file").symlink_to(link)
        (temporary / "file").write_text(text)


def test_a_folder_appears_when_all_is_written(tmp_path: Path):
    target = tmp_path / "a" / "b"
    with staged(target) as temporary:
        (temporary / "file").write_text("whole")
        assert not target.exists()
    assert (target / "file").read_text() == "whole"
    assert [p.name for p in target.parent.iterdir()] == ["b"]


def test_a_block_that_fails_leaves_nothing(tmp_path: Path):
    def fail() -> None:
        with staged(tmp_path / "a") as temporary:
            (temporary / "file").write_text("half")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_keeps_what_was(tmp_path: Path, monkeypatch):
    write(tmp_path / "file", b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unsaved, match=r"cannot write .*file': the disk is full; what was finished"):
        write(tmp_path / "file", b"new")
    with pytest.raises(Unsaved, match="the disk is full"):
        fill(tmp_path / "a", "half")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_real_full_disk(tmp_path: Path):
    """/dev/full refuses every write, as a full disk does."""
    with pytest.raises(Unsaved, match="the disk is full"):
        fill(tmp_path / "a", "x" * 100_000, link="/dev/full")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_run(tmp_path: Path):
    RunDirectory(tmp_path / "run").create(
        {"seed": 0, "training": {"steps": 3}}, {"a": {"hash": "1"}}
    )
    RunDirectory(tmp_path / "run").create(
        {"seed": 0, "training": {"steps": 3}}, {"a": {"hash": "1"}}
    )
    with pytest.raises(RunDirectoryError, match=r"holds another run \(its training.steps is 3, n"):
        RunDirectory(tmp_path / "run").create(
            {"seed": 0, "training": {"steps": 4}}, {"a": {"hash": "1"}}
        )
    with pytest.raises(RunDirectoryError, match=r"corpus 'a' is not what it was"):
        RunDirectory(tmp_path / "run").create(
            {"seed": 0, "training": {"steps": 3}}, {"a": {"hash": "2"}}
        )


def test_a_run_that_was_killed_at_its_very_beginning(tmp_path: Path):
    for left in (".run.json.123.partial", "run.json"):
        path = tmp_path / left.strip(".")
        RunDirectory(path).create({"seed": 0}, {})
        for name in ("config.yaml", "run.json"):
            if name != left:
                (path / name).unlink()
        (path / ".run.json.123.partial").write_text("half")
        RunDirectory(path).create({"seed": 0}, {})
        assert (path / "config.yaml").exists()
        assert (path / "run.json").exists()


def test_a_folder_that_is_no_run(tmp_path: Path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("hello")
    with pytest.raises(RunDirectoryError, match="exists and is not a run"):
        RunDirectory(tmp_path / "letters").create({}, {})
    with pytest.raises(RunDirectoryError, match=r"is not a run: no run.json"):
        RunDirectory(tmp_path / "letters").note()
    assert (tmp_path / "letters" / "dear.txt").read_text() == "hello"


@pytest.mark.parametrize("harm", ["cut", "change", "lose"])
def test_a_damaged_generation_is_named(tmp_path: Path, harm: str):
    branch = RunDirectory(tmp_path).branch("x")
    with branch.writing(3) as folder:
        (folder / "metrics.parquet").write_bytes(b"0123456789")
        (folder / "model-0.safetensors").write_bytes(b"weights")
    branch.check(3)
    path = branch.folder(3) / "metrics.parquet"
    if harm == "cut":
        path.write_bytes(b"01234")
    elif harm == "change":
        path.write_bytes(b"0123456780")
    else:
        path.unlink()
    said = {"cut": "has 5 bytes instead of 10", "change": "has changed", "lose": "is missing"}
    with pytest.raises(RunDirectoryError, match=rf"metrics.parquet' {said[harm]}; remove the f"):
        branch.check(3)


def test_weights_that_were_let_go_are_no_damage(tmp_path: Path):
    branch = RunDirectory(tmp_path).branch("x")
    with branch.writing(1) as folder:
        (folder / "metrics.parquet").write_bytes(b"0123456789")
        (folder / "model-0.safetensors").write_bytes(b"weights")
    branch.drop_weights(1)
    branch.check(1)
    assert branch.finished(1)


def test_the_same_bytes_for_the_same_content():
    table = pd.DataFrame({"metric": ["loss", "kl"], "value": [1.5, float("nan")]})
    assert parquet(table) == parquet(table.copy())
    assert jsonl_gz([{"a": "é"}]) == jsonl_gz([{"a": "é"}])
