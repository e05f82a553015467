"""Simulate models that learn from chosen data over many generations and replicates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from commensal.sims._keys import check_key, stream
from commensal.sims._simulate import Arrays, Plan, Progress, carry_out, origin
from commensal.sims.selection._config import SelectionConfig
from commensal.sims.selection._process import batch_width, prepared, run

PAPER = "commensal, after the abstracts of arXiv 2510.16657, 2407.09499 and 2406.07515"
_LONG = {
    "estimate": "mean that was learnt, less the truth",
    "squared_error": "squared error of the mean",
    "reward": "mean reward, less the highest possible one",
    "best": "highest reward of an answer, less the highest possible one",
    "top": "share of answers near the highest reward",
    "accuracy": "share of right predictions, of right labels at the start",
    "passed": "labels that passed the filter",
}


def simulate(
    config: SelectionConfig | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    """Run a model that learns, again and again, from what it wrote and something chose.

    Parameters
    ----------
    config : SelectionConfig or None
        Settings; None for the defaults.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    progress : callable or None
        Called as ``progress(done, total)`` at the start and after each chunk of replicates.
    out : path or None
        A NetCDF file to write. With it the simulation is resumable: finished chunks wait in
        ``<out>.partial`` until all are done, and a finished file is read, not computed anew.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.

    Returns
    -------
    xarray.Dataset
        Runs, dimensions (replicate, generation), from generation 0 on, which is human. Of a
        verifier ``estimate`` and ``squared_error``, in units of a sample's standard deviation and
        variance; of a reward ``reward``, ``best`` and ``top``, float64; of a filter ``accuracy``,
        float64, NaN where fewer labels passed than there are features and from then on, and
        ``passed``, int64.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    Each sample is drawn by itself, so that nothing is linearised: a verifier's samples by inversion
    of the truncated normal law, answers with their rewards, labels with Gaussian features.

    Replicate r has a key of its own, number r of those that follow from ``key``: no number depends
    on ``chunk``, on the cores, or on how many replicates follow, and the first generations of a
    longer run are those of a shorter one.

    Examples
    --------
    >>> runs = simulate(SelectionConfig(replicates=100, generations=3))
    >>> dict(runs.sizes)
    {'replicate': 100, 'generation': 4}
    >>> error = runs.squared_error.mean("replicate")
    >>> bool(error[1] < error[0])
    True
    """
    config = config or SelectionConfig()
    key = check_key(config.seed, key)
    width, own = batch_width(config), stream(key, "selection")

    def batch(first: int) -> Arrays:
        # the last one is filled up: another width would be compiled anew
        at = np.minimum(np.arange(first, first + width), config.replicates - 1)
        rules, numbers = prepared(config, at)
        # settings are the thread's own
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            seen = run(own, numbers, rules=rules, generations=config.generations)
            return {name: np.asarray(x).T for name, x in seen._asdict().items()}

    plan = Plan(
        "selection", config, key, width, batch, lambda found: as_dataset(config, key, found)
    )
    return carry_out(plan, progress, out, overwrite)


def as_dataset(config: SelectionConfig, key: PRNGKeyArray, found: Arrays) -> xr.Dataset:
    """Make a dataset of all runs."""
    variables: dict[str, Any] = {
        name: (("replicate", "generation"), values, {"long_name": _LONG[name], "units": "1"})
        for name, values in found.items()
    }
    coords = {
        "replicate": np.arange(config.replicates),
        "generation": np.arange(config.generations + 1),
    }
    return xr.Dataset(variables, coords, origin(PAPER, config, key))
