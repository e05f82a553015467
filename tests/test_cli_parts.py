"""Parts of the work on several machines give, put together, the file of one machine."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from commensal._part import Part
from tests.commands import run

SWEEP = (
    "sweep", "regression", "--alpha", "0.2,0.5", "--beta", "0:1:30", "--models", "2",
    "--dim", "3", "--rank", "2",
)  # fmt: skip
ECOSYSTEM = (
    "simulate", "ecosystem", "--types", "20", "--tokens", "40", "--hold", "20",
    "--generations", "2", "--replicates", "6", "--chunk", "2",
)  # fmt: skip

CHECK = (
    "check", "--id", "news.kl_unit", "--id", "pollination.delta_mann_whitney",
    "--id", "pollination.influence_asymmetry", "--jobs", "1",
)  # fmt: skip


def test_parts_hold_every_item_once() -> None:
    for count in range(1, 9):
        for items in ([], list("abc"), list(range(20))):
            parts = [Part(i, count).of(items) for i in range(1, count + 1)]
            assert [item for part in parts for item in part] == items
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("command", [SWEEP, ECOSYSTEM, CHECK], ids=lambda words: words[0])
def test_shards_merge_into_the_file_of_one_machine(
    command: tuple[str, ...], tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    whole, merged = (
        f"{name}.{'json' if command is CHECK else 'nc'}" for name in ("whole", "parts")
    )
    assert run(monkeypatch, capsys, *command, "--out", whole)[0] == 0
    parts = (*command, "--out", merged)
    code, out, err = run(monkeypatch, capsys, *parts, "--shard", "2/3")
    assert (code, out) == (0, f"part 2/3 of {merged} is done\n")
    assert err.splitlines()[-1] == f"next: commensal merge {merged}"
    assert len(list(Path(f"{merged}.partial").glob("*.npz"))) == 1
    code, _, err = run(monkeypatch, capsys, "merge", merged)
    assert code == 2
    assert "2 of 3 parts of the work are missing" in err
    assert len(err.splitlines()) == 1
    named, _, others = err.partition("compute them: commensal ")[2].partition(", and likewise ")
    assert others == "3/3\n"
    assert shlex.split(named) == [*parts, "--shard", "1/3"]
    for shard in ("1/3", "3/3"):
        assert run(monkeypatch, capsys, *parts, "--shard", shard)[0] == 0
    assert not Path(merged).exists()
    code, out, _ = run(monkeypatch, capsys, "merge", merged)
    assert code == 0
    assert f"wrote {merged}" in out
    assert Path(merged).read_bytes() == Path(whole).read_bytes()
    assert not Path(f"{merged}.partial").exists()
    assert run(monkeypatch, capsys, "merge", merged)[:2] == (0, f"{merged} is whole\n")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--out", "x.nc", "--shard", "0/3"), "write i/n"),
        (("--out", "x.nc", "--shard", "4/3"), "write i/n"),
        (("--out", "x.nc", "--shard", "half"), "write i/n"),
        (("--out", "x.nc", "--shard", "1/3", "--overwrite"), "would discard"),
        (("--out", "x.nc", "--shard", "1/3", "--ray", "auto"), "exclude each other"),
        (("--shard", "1/3"), "needs --out"),
    ],
)
def test_shards_that_make_no_sense(
    given: tuple[str, ...], told: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(monkeypatch, capsys, *ECOSYSTEM, *given)
    assert code == 2
    assert told in err
    assert len(err.splitlines()) == 1


def test_what_cannot_be_merged_or_divided(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(monkeypatch, capsys, "merge", "nothing.nc")
    assert code == 2
    assert "holds no parts" in err
    code, _, err = run(
        monkeypatch, capsys, "simulate", "regression", "--models", "2", "--dim", "3", "--rank",
        "2", "--generations", "2", "--replicates", "4", "--out", "r.nc", "--shard", "1/2",
    )  # fmt: skip
    assert code == 2
    assert "not divided" in err
