"""Two processes at once, kills, full disks, damaged files: one line each, and nothing is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import shutil
import signal
import subprocess
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from commensal import cli
from commensal.llm import devices, lane, resume, run
from commensal.llm import generation as generation
from commensal.llm.records.directory import RunDirectory, RunDirectoryError, Unsaved
from commensal.llm.records.lock import alone
from commensal.llm.records.results import metrics
from commensal.llm.reports import write_report
from commensal.llm.session import OutOfMemory, memory
from tests.llm.kills import run_through_kills
from tests.llm.runs import interactive, single


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones among them."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def measured(path: Path) -> dict[str, bytes]:
    kept = ("metrics.parquet", "samples.jsonl.gz", "embeddings.npy")
    return {name: c for name, c in contents(path).items() if Path(name).name in kept}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    os.environ["COMMENSAL_CACHE"] = str(path.parent / "cache")
    run(interactive(), path, workers=1)
    return path


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def command(monkeypatch, capsys, *args: str) -> tuple[int, str]:
    """Exit code, and what is said on stderr below the bar."""
    monkeypatch.setattr(sys, "argv", ["commensal", *args])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    said = capsys.readouterr().err.strip().splitlines()
    bars = ("generations", "pairing")
    return int(stop.value.code or 0), "\n".join(s for s in said if not s.startswith(bars))


# two processes

HOLDER = """
import sys
from pathlib import Path
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.lock import alone
directory = RunDirectory(Path(sys.argv[1]))
with alone(directory), directory.branch("alpha=0.5,beta=0.5").writing(2) as folder:
    (folder / "metrics.parquet").write_bytes(b"half of it")
    print("ready", flush=True)
    sys.stdin.readline()
    (folder / "samples.jsonl.gz").write_bytes(b"the other half")
"""


@pytest.fixture
def held(copy: Path):
    """A run whose last generation another process is just writing."""
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5" / "0002")
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(copy)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    yield copy, other
    other.kill()
    other.communicate()


@pytest.mark.usefixtures("undrawn")
def test_a_second_process_leaves_the_first_alone(held, monkeypatch, capsys, tmp_path: Path):
    path, other = held
    before = contents(path)
    assert any(".partial" in name for name in before)
    config = tmp_path / "same.yaml"
    shutil.copy(path / "config.yaml", config)
    for args in (["resume", str(path)], ["run", str(config), "--out", str(path)]):
        code, said = command(monkeypatch, capsys, "llm", *args)
        assert code == 2
        assert said == (
            f"commensal: another process is running '{path}' (process {other.pid} on "
            f"{platform.node()}); wait for it or stop it"
        )
        assert contents(path) == before
    # who only reads sees what is finished, and leaves the rest
    assert metrics(path).query("alpha == 0.5").generation.max() == 1
    write_report(path, tmp_path / "page.html")
    assert contents(path) == before
    other.communicate("go on\n", timeout=60)
    assert other.returncode == 0
    done = json.loads((path / "generations/alpha=0.5,beta=0.5/0002/done.json").read_text())
    assert set(done) == {"metrics.parquet", "samples.jsonl.gz"}


def test_a_dead_process_blocks_nobody(held, finished: Path):
    path, other = held
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert any(".partial" in name for name in contents(path))
    resume(path, workers=1)
    assert measured(path) == measured(finished)
    assert not any(".partial" in name for name in contents(path))


def test_a_page_that_is_being_written_is_not_swept_away(copy: Path):
    half = copy / ".report.html.1.partial"
    half.write_text("half")
    resume(copy, workers=1)
    assert half.exists()


def test_a_strangers_folder_stays_as_it_is(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("dear")
    with (
        pytest.raises(RunDirectoryError, match="exists and is not a run"),
        alone(RunDirectory(tmp_path)),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


# stops


def test_one_model_alone_through_kills(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("COMMENSAL_CACHE", str(tmp_path / "cache"))
    run(single(), tmp_path / "whole", workers=1)
    run_through_kills(single(), tmp_path / "run", most=2, pauses=(0.1,))
    assert measured(tmp_path / "run") == measured(tmp_path / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_with_the_next_command(copy, monkeypatch, capsys, number: int, code: int):
    monkeypatch.setattr(lane, "prepare", lambda *_, **__: os.kill(os.getpid(), number))
    before = signal.getsignal(signal.SIGTERM)
    # where tests run in the background, Ctrl-C is ignored from the start
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        found = command(monkeypatch, capsys, "llm", "resume", str(copy))
    finally:
        signal.signal(signal.SIGINT, kept)
    assert found == (code, f"interrupted; go on with: commensal llm resume {copy}")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_folder_that_is_removed_meanwhile(copy: Path, monkeypatch):
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5" / "0002")
    look = generation.Generation.look

    def then_gone(self) -> None:
        look(self)
        shutil.rmtree(copy)

    monkeypatch.setattr(generation.Generation, "look", then_gone)
    with pytest.raises(Unsaved, match="was removed while the run was going on"):
        resume(copy, workers=1)
    assert not copy.exists()


def test_a_run_elsewhere(copy: Path, finished: Path, tmp_path: Path):
    moved = copy.rename(tmp_path / "moved")
    shutil.rmtree(moved / "generations" / "alpha=0.5,beta=0.5" / "0002")
    resume(moved, workers=1)
    assert measured(moved) == measured(finished)


def test_changed_settings_do_not_pass_unnoticed(copy: Path):
    config = copy / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("generations: 2", "generations: 3"))
    with pytest.raises(RunDirectoryError, match=r"was changed since .*its generations is 2, not 3"):
        resume(copy)
    config.write_text("{")
    with pytest.raises(RunDirectoryError, match="it is damaged"):
        resume(copy)
    config.unlink()
    resume(copy, workers=1)
    assert config.read_text() == text


# damage


def test_a_missing_generation_in_between_is_computed_again(copy: Path, finished: Path):
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5" / "0001")
    resume(copy, workers=1)
    assert measured(copy) == measured(finished)
    assert sorted(contents(copy / "generations")) == sorted(contents(finished / "generations"))


@pytest.mark.parametrize(
    "name",
    [
        "alpha=0.5,beta=0.5/0001/samples.jsonl.gz",
        "alpha=0.5,beta=0.5/0002/model-1.safetensors",
        "start,beta=0.5/0000/model-0.safetensors",
        "alpha=0,beta=0.5/0002/metrics.parquet",
        "alpha=0,beta=0.5/0001/embeddings.npy",
    ],
)
def test_damage_in_a_finished_run_is_told_and_mended_as_told(
    copy: Path, finished: Path, monkeypatch, capsys, name: str
):
    path = copy / "generations" / name
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    code, said = command(monkeypatch, capsys, "llm", "resume", str(copy), "--workers", "1")
    assert code == 2
    assert said == (
        f"commensal: '{path}' has changed; remove the folder '{path.parent}' and resume: it is "
        f"computed again by commensal llm resume {copy}"
    )
    shutil.rmtree(path.parent)
    resume(copy, workers=1)
    assert measured(copy) == measured(finished)


def test_metrics_that_are_cut_short_are_told_by_all_who_read_them(copy, monkeypatch, capsys):
    path = copy / "generations" / "alpha=0.5,beta=0.5" / "0002" / "metrics.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    for args in (["llm", "resume"], ["llm", "report"], ["pair"]):
        code, said = command(monkeypatch, capsys, *args, str(copy))
        assert code == 2
        assert said.startswith(
            f"commensal: '{path}' has 100 bytes instead of {len(whole)}; remove the folder"
        )
        assert len(said.splitlines()) == 1


def test_a_damaged_base_is_told(copy: Path):
    shutil.rmtree(copy / "generations")
    (copy / "base" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"the model in .*base' is damaged; remove that folder"):
        resume(copy, workers=1)


# no room


def test_a_disk_that_is_full_while_weights_are_saved(copy: Path, finished: Path, monkeypatch):
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5")

    def full(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patch:
        patch.setattr(lane, "save_file", full)
        with pytest.raises(Unsaved, match=r"cannot write .*0001': the disk is full; what was fin"):
            resume(copy, workers=1)
    assert not any(".partial" in name for name in contents(copy))
    assert not (copy / "generations" / "alpha=0.5,beta=0.5" / "0001").exists()
    resume(copy, workers=1)
    assert measured(copy) == measured(finished)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    ],
)
def test_too_little_memory(copy: Path, monkeypatch, capsys, error: Exception):
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5" / "0002")

    def short(*_, **__):
        raise error

    monkeypatch.setattr(generation, "train", short)
    code, said = command(monkeypatch, capsys, "llm", "resume", str(copy), "--workers", "1")
    assert code == 2
    assert len(said.splitlines()) == 1
    assert "memory ran out" in said
    assert f"commensal llm resume {copy} --workers 1" in said


class _Killed(ProcessPoolExecutor):
    """Workers that are killed while they work."""

    def __init__(self, *_, **__) -> None:
        super().__init__(1, multiprocessing.get_context("spawn"))

    def submit(self, *_, **__) -> Future:
        return super().submit(os._exit, 9)


def test_a_worker_that_is_killed(copy: Path, monkeypatch, capsys):
    shutil.rmtree(copy / "generations" / "alpha=0.5,beta=0.5" / "0002")
    monkeypatch.setattr(devices, "ProcessPoolExecutor", _Killed)
    code, said = command(monkeypatch, capsys, "llm", "resume", str(copy), "--workers", "2")
    assert code == 2
    assert said == (
        "commensal: a process that a grid point ran in was killed, by hand or because memory ran "
        "out; what was finished before is whole. Go on with fewer side by side: commensal llm "
        f"resume {copy} --workers 1"
    )


def test_other_errors_are_not_taken_for_it(tmp_path: Path):
    with pytest.raises(RuntimeError, match="shapes") as found, memory(tmp_path):
        raise RuntimeError("shapes do not fit")
    assert not isinstance(found.value, OutOfMemory)
