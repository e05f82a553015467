"""The folder of a finished run, with texts and a pairing, from the table of one in ``runs``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from commensal.llm import read_config
from commensal.llm.records.directory import RunDirectory, jsonl_gz, parquet

NASTY = "<img src=x onerror=alert(1)> & <b>bold</b>"


def small_run(path: Path) -> pd.DataFrame:
    """Write a run of one grid point, and return its losses as `commensal pair` keeps them."""
    source = Path("runs/demo")
    config = read_config(source / "config.yaml")
    known = pd.read_parquet(source / "metrics.parquet")
    point = config.grid()[-1]
    values = point.coordinates
    here = known[(known[list(values)] == pd.Series(values)).all(axis=1)]
    run = RunDirectory(path)
    run.create(config.model_dump(mode="json"), {})
    for t in range(config.generations + 1):
        branch = run.branch(point.name if t else point.start)
        branch.path.mkdir(parents=True, exist_ok=True)
        table = here[here["generation"] == t].drop(columns=[*values, "diverged"])
        with branch.writing(t) as folder:
            (folder / "metrics.parquet").write_bytes(parquet(table))
            records = [
                {
                    "generation": t,
                    "model": k,
                    "kind": "web",
                    "dataset": "task1",
                    "prompt": f"prompt {t}",
                    "completion": f"{NASTY} {k} {t}",
                }
                for k in (0, 1)
            ]
            (folder / "samples.jsonl.gz").write_bytes(jsonl_gz(records))
    losses = here[here["metric"] == "loss"][["generation", "model", "dataset", "value"]]
    losses = losses.rename(columns={"value": "observed"}).assign(
        alpha=values["alpha"], beta=values["beta"]
    )
    losses["finite_held_out"] = losses["observed"] + 0.125
    (path / "pair").mkdir()
    losses.to_parquet(path / "pair" / "losses.parquet")
    (path / "pair" / "findings.txt").write_text("Theory <is> ahead.\n\nIn one.\n", encoding="utf-8")
    return losses
