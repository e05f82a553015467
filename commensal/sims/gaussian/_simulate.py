"""Simulate lineages and keep each of them at every recorded generation."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Float, PRNGKeyArray

from commensal.sims._keys import check_key
from commensal.sims._simulate import Arrays, Plan, Progress, carry_out, origin
from commensal.sims.gaussian._batches import (
    computed_width,
    keys_of_call,
    stream_of_lineages,
    width_of_call,
)
from commensal.sims.gaussian._config import GaussianConfig
from commensal.sims.gaussian._process import compiled_part, trajectories

PAPER = "pollination, sec. 6.1 and app. A"
_SQUARED = {"units": "squared units of the data"}
_LOG_SQUARED = {"units": "log of squared units of the data"}


def simulate(
    config: GaussianConfig | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    r"""Draw lineages and keep every one of them at every recorded generation.

    Parameters
    ----------
    config : GaussianConfig or None
        Settings; None for the defaults.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``. The first lineages of a
        longer run are those of a shorter one, and so are the first generations.
    progress : callable or None
        Called as ``progress(done, total)`` at the start and after each chunk of lineages.
    out : path or None
        A NetCDF file to write. With it the simulation is resumable: finished chunks wait in
        ``<out>.partial`` until all are done, and a finished file is read, not computed anew.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.

    Returns
    -------
    xarray.Dataset
        Runs, float64, with dimensions (replicate, generation). For d = 1: ``mean``,
        ``log_variance`` and ``w2``, the squared W₂ distance from the truth. For d > 1:
        ``mean_squared_error`` (‖μ_t - μ‖²), ``log_trace`` and ``log_determinant`` of the
        covariance, ``w2`` (unless ``config.w2`` is off) and, if ``config.full``, ``mean`` (...,
        dimension) and ``covariance`` (..., dimension, dimension\_). (Read the mean as
        ``runs["mean"]``: ``runs.mean`` is a method of xarray.)

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    `pollination`, app. A.1: (n - 1) σ̂² / σ² is χ²_{n-1} and independent of μ̂ ~ N(μ, σ²/n), so
    that one generation costs two random numbers, whatever n. For d > 1, (n - 1) Σ̂ is Wishart:
    Bartlett (1933). At n ≤ d every covariance from generation 1 on is singular, and its
    ``log_determinant`` is -inf; the rest stays as it is.

    Where the mean over lineages of σ_t² is wanted, read first why it cannot be had that way:
    under "replace" its relative variance is (1 + 2/(n-1))^t - 1, so that at t/n ≫ 1 a few
    lineages, which no sample contains, carry it. Log moments and quantiles are safe.

    The same config, key and machine give the same bits; another processor may round differently.

    Examples
    --------
    >>> runs = simulate(GaussianConfig(samples=10, generations=50, replicates=2000))
    >>> dict(runs.sizes)
    {'replicate': 2000, 'generation': 51}

    Models lose their variance, though its expectation stays where it was:

    >>> median = np.exp(runs.log_variance.median("replicate"))
    >>> bool(median.sel(generation=50) < 0.02)
    True
    """
    config = config or GaussianConfig()
    key = check_key(config.seed, key)
    own, measure = stream_of_lineages(key), measure_one if config.dim == 1 else measure_many
    plan = Plan(
        "gaussian lineages",
        config,
        key,
        width_of_call(config),
        lambda start: measure(config, *map(lineages_first, draw(config, own, start))),
        partial(_as_dataset, config, key),
    )
    return carry_out(plan, progress, out, overwrite)


def draw(config: GaussianConfig, own: PRNGKeyArray, start: int) -> Any:
    """Draw the models of one call at all recorded generations, lineages from ``start`` on."""
    with jax.enable_x64(True):  # a setting is a thread's own
        keys = keys_of_call(config, own, start)
        return draw_batches(compiled_part(config), keys, computed_width(config))


draw_batches = jax.jit(trajectories, static_argnums=(0, 2))


def lineages_first(x: Any) -> np.ndarray:
    """Turn (batch, generation, ..., lineage) into (batch · lineage, generation, ...)."""
    moved = np.moveaxis(np.asarray(x), -1, 1)
    return moved.reshape(moved.shape[0] * moved.shape[1], *moved.shape[2:])


def measure_one(
    config: GaussianConfig, mean: Float[np.ndarray, "*n"], log_variance: Float[np.ndarray, "*n"]
) -> Arrays:
    """Compute the reported quantities of models of one coordinate, on the host."""
    # expm1: near the truth the difference of two standard deviations would lose its digits
    w2 = mean**2 + np.expm1(0.5 * log_variance) ** 2
    return {
        "mean": config.mean + np.sqrt(config.variance) * mean,
        "log_variance": np.log(config.variance) + log_variance,
        "w2": config.variance * w2,
    }


def measure_many(
    config: GaussianConfig,
    mean: Float[np.ndarray, "*n d"],
    rows: Float[np.ndarray, "*n _ d"],
    log_scale: Float[np.ndarray, "*n d"],
    log_diagonal: Float[np.ndarray, "*n d"],
) -> Arrays:
    """Compute the reported quantities of models of d coordinates, on the host."""
    variance, d = config.variance, config.dim
    largest = log_scale.max(axis=-1)
    log_trace = 2 * largest + np.log(np.sum(np.exp(2 * (log_scale - largest[..., None])), axis=-1))
    error = np.sum(mean**2, axis=-1)
    data = {
        "mean_squared_error": variance * error,
        "log_trace": np.log(variance) + log_trace,
        "log_determinant": d * np.log(variance) + 2 * np.sum(log_diagonal, axis=-1),
    }
    if config.w2 or config.full:
        factor = np.exp(log_scale)[..., None] * rows
        if config.w2:
            # Bures: tr Σ + tr I - 2 tr Σ^½, and tr Σ^½ is the sum of L's singular values
            values = np.linalg.svd(factor, compute_uv=False)
            data["w2"] = variance * (error + np.sum((values - 1) ** 2, axis=-1))
        if config.full:
            data["mean"] = config.mean + np.sqrt(variance) * mean
            data["covariance"] = variance * factor @ factor.swapaxes(-1, -2)
    return data


def _as_dataset(config: GaussianConfig, key: PRNGKeyArray, data: Arrays) -> xr.Dataset:
    units = {
        "mean": {"units": "units of the data"},
        "log_variance": _LOG_SQUARED,
        "log_trace": _LOG_SQUARED,
        "log_determinant": {"units": f"log of units of the data to the power {2 * config.dim}"},
    }
    dims = ("replicate", "generation", "dimension", "dimension_")
    coords: dict[str, Any] = {
        "replicate": np.arange(config.replicates),
        "generation": np.array(config.recorded()),
    }
    if config.full:
        coords |= {name: np.arange(config.dim) for name in dims[2:]}
    return xr.Dataset(
        {
            name: (dims[: values.ndim], values, units.get(name, _SQUARED))
            for name, values in data.items()
        },
        coords,
        origin(PAPER, config, key),
    )
