"""Runs that are killed."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from commensal.cli import app
from commensal.llm.config import ExperimentConfig
from tests import forked


def _signs_of_life(out: Path) -> tuple[set[str], int]:
    """Paths that are half-written, and how many things are done, while another process writes.

    os.walk passes over a folder that goes away while it looks; Path.rglob raises.
    """
    found = [
        os.path.join(folder, name)
        for folder, folders, files in os.walk(out)
        for name in (*folders, *files)
    ]
    return {path for path in found if path.endswith(".partial")}, sum(
        path.endswith("done.json") for path in found
    )


def run_through_kills(
    config: ExperimentConfig,
    out: Path,
    *,
    workers: int = 1,
    least: int = 1,
    most: int = 3,
    pauses: Sequence[float] = (0.0, 0.02, 0.1, 0.3, 0.8),
    seed: int = 0,
) -> None:
    """Run in a process that is killed (SIGKILL) at random moments, then resume to the end.

    All by the command line: ``llm run`` until there is a run, ``llm resume`` from then on. A run
    that ended before it was killed ``least`` times, as it may on a fast machine or where this
    process had to wait, begins anew and is killed sooner.
    """
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    chance = random.Random(seed)
    for haste in range(5):
        kills = 0
        while kills < most:
            pause = chance.choice(pauses) / 10**haste
            if not _killed(_begun(path, out, workers), out, pause, workers):
                break
            kills += 1
        if kills >= least:
            break
        shutil.rmtree(out, ignore_errors=True)
    else:
        raise AssertionError(f"it always ends before it is killed {least} times")
    app(["llm", *_begun(path, out, 1)], standalone_mode=False)
    assert not list(out.rglob("*.partial"))


def _begun(path: Path, out: Path, workers: int) -> list[str]:
    there = (out / "run.json").exists()
    begun = ["resume", str(out)] if there else ["run", str(path), "--out", str(out)]
    return [*begun, "--workers", str(workers)]


def _killed(begun: list[str], out: Path, pause: float, workers: int) -> bool:
    """Kill a run some time after its first sign of life, and say whether it was still running."""
    left, known = _signs_of_life(out)
    process = forked.begin(forked.command, "llm", *begun)
    try:
        # the moments are counted from the first sign of life: reading data takes its time
        began = time.monotonic()
        while process.is_alive() and time.monotonic() - began < 120:
            partial, done = _signs_of_life(out)
            if partial - left or done > known:
                break
            time.sleep(0.002)
        time.sleep(pause)
        return process.is_alive()
    finally:
        process.kill()
        process.join()
        time.sleep(1.2 if workers > 1 else 0)  # its workers notice
