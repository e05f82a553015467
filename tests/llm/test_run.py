"""Whole runs: what they measure, and that interruptions leave no trace."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from commensal.llm import resume, run
from commensal.llm.records.directory import RunDirectoryError
from commensal.llm.records.results import metrics
from tests.llm.kills import run_through_kills
from tests.llm.runs import files_of, interactive, single


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    os.environ["COMMENSAL_CACHE"] = str(path.parent / "cache")
    run(interactive(), path, workers=1)
    return path


def test_a_run_is_a_tidy_table(finished: Path):
    table = pd.read_parquet(finished / "metrics.parquet")
    assert list(table.columns) == [
        "alpha", "beta", "replicate", "generation", "model", "dataset", "other", "metric", "value",
        "diverged",
    ]  # fmt: skip
    assert not table.diverged.any()
    losses = table[table.metric == "loss"]
    # 2 alphas, 3 generations, 2 models, 3 datasets
    assert len(losses) == 36
    assert set(losses.dataset) == {"language0", "language1", "language2"}
    assert table.value.notna().mean() > 0.98
    by = ["alpha", "beta", "generation", "model", "dataset"]
    wide = table[table.other.isna()].pivot_table(index=by, columns="metric", values="value")
    np.testing.assert_allclose(wide.perplexity, np.exp(wide.loss))
    assert (wide.kl > 0).all()
    assert ((wide.tail_mass >= 0) & (wide.tail_mass <= 1)).all()


def test_settings_share_their_start(finished: Path):
    table = pd.read_parquet(finished / "metrics.parquet")
    first = table[table.generation == 0]
    values = [part.value.to_numpy() for _, part in first.groupby("alpha")]
    np.testing.assert_array_equal(*values)


def test_without_web_data_nothing_depends_on_it(finished: Path):
    names = [p.parent.parent.name for p in finished.rglob("samples.jsonl.gz")]
    assert "alpha=0,beta=0.5" in names
    from commensal.llm.records.directory import RunDirectory

    directory = RunDirectory(finished)
    kinds = {r["kind"] for r in directory.branch("alpha=0,beta=0.5").samples(1)}
    assert kinds == {"fixed"}
    kinds = {r["kind"] for r in directory.branch("alpha=0.5,beta=0.5").samples(1)}
    assert kinds == {"fixed", "web"}


def test_a_finished_run_is_only_read(finished: Path):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("generations/**/*")}
    resume(finished)
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("generations/**/*")} == before


def test_the_number_of_workers_and_their_devices_change_nothing(finished: Path, tmp_path: Path):
    run(interactive(), tmp_path / "run", devices="cpu,cpu")
    assert files_of(tmp_path / "run") == files_of(finished)


@pytest.mark.parametrize("keep", ["all", "none"])
def test_what_is_kept_changes_nothing_measured(finished: Path, tmp_path: Path, keep: str):
    run(interactive(keep=keep), tmp_path / "run", workers=1)
    assert files_of(tmp_path / "run") == files_of(finished)
    weights = sorted(p.parent.name for p in (tmp_path / "run").rglob("model-0.safetensors"))
    assert weights == {"all": ["0000", "0001", "0001", "0002", "0002"], "none": ["0000"]}[keep]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_ends_as_if_it_had_not_been(finished: Path, tmp_path: Path, workers: int):
    """SIGKILL at random moments, as often as it takes."""
    out = tmp_path / "run"
    run_through_kills(interactive(), out, workers=workers, least=2, most=6, seed=workers)
    assert files_of(out) == files_of(finished)


def test_a_damaged_checkpoint_is_refused_and_repaired(finished: Path, tmp_path: Path):
    import shutil

    path = tmp_path / "run"
    shutil.copytree(finished, path)
    branch = path / "generations" / "alpha=0.5,beta=0.5"
    shutil.rmtree(branch / "0002")
    run_again = branch / "0001" / "model-1.safetensors"
    # the weights of generation 1 were let go when generation 2 was there: put damaged ones back
    shutil.copy(path / "generations" / "start,beta=0.5" / "0000" / "model-1.safetensors", run_again)
    shutil.copy(run_again, branch / "0001" / "model-0.safetensors")
    with pytest.raises(RunDirectoryError, match=r"model-0.safetensors' has (changed|\d+ bytes)"):
        resume(path, workers=1)
    shutil.rmtree(branch / "0001")
    resume(path, workers=1)
    assert files_of(path) == files_of(finished)


def test_generations_are_computed_again_where_weights_were_not_kept(finished, tmp_path: Path):
    import shutil

    path = tmp_path / "run"
    shutil.copytree(finished, path)
    shutil.rmtree(path / "generations" / "alpha=0.5,beta=0.5" / "0002")
    resume(path, workers=1)
    assert files_of(path) == files_of(finished)


def test_another_seed_is_another_run(finished: Path):
    with pytest.raises(RunDirectoryError, match=r"holds another run \(its seed is 0, not 1\)"):
        run(interactive(seed=1), finished)


def test_two_processes_do_not_run_the_same(finished: Path):
    import fcntl

    with (finished / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunDirectoryError, match="another process is running"):
            resume(finished)


def test_what_it_ran_on_is_noted(finished: Path):
    (entry,) = json.loads((finished / "environment.json").read_text())
    assert entry["device"] == "cpu"
    assert entry["instructions"] == torch.backends.cpu.get_cpu_capability()
    assert entry["threads"] == 1
    assert entry["seed"] == 0


def test_a_part_of_a_run_can_be_read(finished: Path, tmp_path: Path):
    import shutil

    path = tmp_path / "run"
    shutil.copytree(finished, path)
    shutil.rmtree(path / "generations" / "alpha=0.5,beta=0.5")
    table = metrics(path)
    assert table[table.alpha == 0.5].generation.max() == 0
    assert table[table.alpha == 0].generation.max() == 2


@pytest.mark.parametrize("architecture", ["gpt2", "opt"])
def test_other_architectures(tmp_path: Path, architecture: str):
    model = {"kind": "scratch", "architecture": architecture, "context": 24,
             "pretraining": {"steps": 2, "batch_size": 4}}  # fmt: skip
    table = run(interactive(model=model, alpha=0.5, generations=1), tmp_path / "run", workers=1)
    assert np.isfinite(table[table.metric == "loss"].value).all()


def test_one_model_alone(tmp_path: Path):
    table = run(single(), tmp_path / "run", workers=1)
    losses = table[(table.metric == "loss") & (table.generation == 2)]
    assert set(losses.memory) == {"replace", "accumulate", "accumulate_subsample"}
    assert losses.groupby("memory").value.first().nunique() == 3
    assert (table.model == 0).all()


def test_trained_together_or_apart(finished: Path, tmp_path: Path):
    settings = {"steps": 4, "batch_size": 4, "learning_rate": 1e-3, "together": True}
    table = run(interactive(training=settings), tmp_path / "run", workers=1)
    expected = pd.read_parquet(finished / "metrics.parquet")
    pick = (table.metric == "loss") & (table.generation == 0)
    np.testing.assert_allclose(table[pick].value, expected[pick].value, rtol=1e-4)
