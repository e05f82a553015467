"""Runs that are killed."""

from __future__ import annotations

import os
import random
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
    most: int = 3,
    pauses: Sequence[float] = (0.0, 0.02, 0.1, 0.3, 0.8),
    seed: int = 0,
) -> int:
    """Run in a process that is killed (SIGKILL) at random moments, then resume to the end.

    All by the command line: ``llm run`` until there is a run, ``llm resume`` from then on.

    Returns how often it was killed.
    """
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    first, later = ["run", str(path), "--out", str(out)], ["resume", str(out)]
    chance = random.Random(seed)
    kills = 0
    for _ in range(most):
        begun = later if (out / "run.json").exists() else first
        left, known = _signs_of_life(out)
        process = forked.begin(forked.command, "llm", *begun, "--workers", str(workers))
        try:
            # the moments are counted from the first sign of life: reading data takes its time
            began = time.monotonic()
            while process.is_alive() and time.monotonic() - began < 120:
                partial, done = _signs_of_life(out)
                if partial - left or done > known:
                    break
                time.sleep(0.002)
            time.sleep(chance.choice(pauses))
            if not process.is_alive():
                break
        finally:
            process.kill()
            process.join()
        kills += 1
        time.sleep(1.2 if workers > 1 else 0)  # its workers notice
    begun = later if (out / "run.json").exists() else first
    app(["llm", *begun, "--workers", "1"], standalone_mode=False)
    assert not list(out.rglob("*.partial"))
    return kills
