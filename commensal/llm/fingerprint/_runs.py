"""Texts that the models of a run wrote."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from commensal.llm.config import TrainedConfig
from commensal.llm.fingerprint._texts import samples_table
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of


def read_run_texts(folder: str | Path, point: str | None = None) -> pd.DataFrame:
    """Read the texts of every model at every generation of one grid point.

    Parameters
    ----------
    folder : str or Path
        Folder of the run.
    point : str, optional
        Name of the grid point, such as ``"alpha=0.5,beta=0.5"``; by default the middle one.

    Returns
    -------
    pandas.DataFrame
        Texts, as :func:`samples_table` has them: completions of the fixed prompts, which all models
        share; where a run has none, what they put on the web.

    Raises
    ------
    RunDirectoryError
        If the folder is no run.
    ValueError
        If there is no such grid point, or it has written nothing yet.
    """
    folder = Path(folder)
    config = config_of(folder, TrainedConfig)
    known = {one.name: one for one in config.grid()}
    if point is None:
        first = [one.name for one in known.values() if not one.replicate]
        point = first[len(first) // 2]
    if point not in known:
        raise ValueError(f"{folder}: no grid point {point!r}; there are: {'; '.join(known)}")
    directory = RunDirectory(folder)
    start, branch = directory.branch(known[point].start), directory.branch(point)
    records = start.samples(0) if start.finished(0) else []
    for generation in range(1, config.generations + 1):
        if branch.finished(generation):
            records += branch.samples(generation)
    if not records:
        raise ValueError(f"{folder}: grid point {point!r} has written nothing yet")
    kinds = {record["kind"] for record in records}
    kind = "fixed" if "fixed" in kinds else "web"
    return samples_table(pd.DataFrame([r for r in records if r["kind"] == kind]))
