"""Runs over several devices and machines have the files of a run in one process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from commensal import llm
from commensal._part import Part
from commensal.llm import trained
from commensal.llm.devices import DevicePool, Machines, devices_of, shared_out
from commensal.llm.records import shards
from commensal.llm.records.shards import shard_folder, shard_of
from tests.commands import run as command
from tests.llm.runs import files_of, interactive

_LOOK = """(
    [x for x in open("/proc/self/environ").read().split("\\0") if x.startswith("CUDA_VIS")],
    "torch" in __import__("sys").modules,
)"""


def test_each_process_begins_with_its_device_and_without_torch() -> None:
    with DevicePool(["7", ""]) as pool:
        # the second job finds the first process taken, which is still starting
        found = [job.result() for job in [pool.submit(eval, _LOOK) for _ in range(2)]]
    names = ["CUDA_VISIBLE_DEVICES=7", "CUDA_VISIBLE_DEVICES="]
    assert found == [([name], False) for name in names]


def test_devices_by_number_by_kind_and_by_default() -> None:
    there = ["4", "5", "6"]
    assert devices_of("0,2", "cuda", there) == ["4", "6"]
    assert devices_of("all", "auto", there) == devices_of(None, "auto", there) == there
    assert devices_of(None, "cpu", there) is devices_of(None, "cuda:1", there) is None
    assert devices_of("all", "auto", []) is None
    assert devices_of("cpu,cpu", "cpu", []) == ["", ""]
    assert shared_out(Machines(devices=there), 9) == there
    assert shared_out(Machines(4, devices=there), 9) == ["4", "5", "6", "4"]
    assert shared_out(Machines(), 2) == [None, None]


@pytest.mark.parametrize(
    ("text", "wanted", "told"),
    [
        ("0,cpu", "auto", "one kind"),
        ("2", "auto", "here 0 to 1"),
        ("x", "auto", "got 'x'"),
        ("cpu", "cuda", "is no GPU"),
        ("0", "cuda:1", "set device to auto"),
    ],
)
def test_devices_that_are_refused(text: str, wanted: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        devices_of(text, wanted, ["0", "1"])


def test_a_model_that_no_gpu_holds_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(trained, "memory_of", lambda _: 10**6)
    with pytest.raises(ValueError, match=r"models: 2 of .* and the GPU has 1\.0 MB"):
        llm.run(interactive(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


class Here:
    """In place of a Ray cluster: this process."""

    def __init__(self, *asked: Any) -> None:
        assert asked == ("auto", 1, 1)  # a core and a GPU, where there is one

    def submit(self, function: Callable[..., None], *args: Any) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(function(*args))
        return done

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None: ...


def test_shards_merge_into_the_run_of_one_machine(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    settings = interactive(generations=1)
    Path("small.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    llm.run(settings, "whole", workers=1)
    given = ("llm", "run", "small.yaml", "--workers", "1", "--out", "parts")
    code, out, err = command(monkeypatch, capsys, *given, "--shard", "2/2")
    assert (code, out) == (0, "part 2/2 of parts is done\n")
    assert err.splitlines()[-1] == "next: commensal merge parts"
    code, _, err = command(monkeypatch, capsys, "merge", "parts")
    assert code == 2
    assert err.endswith(
        "1 of 2 parts of the work are missing in 'parts.partial'; compute them: commensal llm run "
        "small.yaml --workers 1 --out parts --shard 1/2\n"
    )
    assert not Path("parts").exists()
    llm.run(settings, "parts", workers=1, shard="1/2")
    # from unlike weights: refused before anything is moved
    done = Path("parts.partial/1-of-2/base/model.safetensors")
    kept = done.read_bytes()
    done.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    code, _, err = command(monkeypatch, capsys, "merge", "parts")
    assert code == 2
    assert "began from unlike weights" in err
    assert [path.name for path in Path("parts").iterdir()] == [".lock"]
    done.write_bytes(kept)
    # stopped after three folders have been moved
    with monkeypatch.context() as patch:
        moves = iter([shards._moved] * 3)
        patch.setattr(shards, "_moved", lambda *paths: next(moves, _stop)(*paths))
        code, _, err = command(monkeypatch, capsys, "merge", "parts")
    assert (code, err) == (130, "interrupted; go on with: the same command\n")
    names = {path.parts[1] for path in Path("parts").glob("*/")}
    assert names == {"tokenizer", "base", "generations"}
    assert command(monkeypatch, capsys, "merge", "parts")[0] == 0
    assert files_of(Path("parts"), weights=True) == files_of(Path("whole"), weights=True)
    for name in ("run.json", "config.yaml", "base/config.json", "tokenizer/tokenizer.json"):
        assert (Path("parts") / name).read_bytes() == (Path("whole") / name).read_bytes()
    assert not Path("parts.partial").exists()
    monkeypatch.setattr(trained, "RayPool", Here)
    llm.run(settings, "there", ray="auto")
    assert files_of(Path("there"), weights=True) == files_of(Path("whole"), weights=True)


def test_shards_begin_from_what_shard_0_has_made(tmp_path: Path, monkeypatch) -> None:
    settings, out = interactive(generations=1), tmp_path / "run"
    llm.run(settings, out, workers=1, shard="0/2")
    (start,) = (out / "generations").iterdir()
    assert start.name.startswith("start")
    monkeypatch.setattr(trained.Lane, "prepare", lambda *_: None)
    llm.run(settings, out, workers=1, shard="1/2")
    (folder,) = out.with_name("run.partial").glob("*-of-*")
    assert shard_of(folder) == (out, Part(1, 2))
    assert shard_folder(*shard_of(folder)) == folder
    for name in ("base/model.safetensors", f"generations/{start.name}/0000/done.json"):
        assert (folder / name).read_bytes() == (out / name).read_bytes()
