"""Every lineage at every recorded generation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key, PRNGKeyArray

from commensal.sims._keys import check_key
from commensal.sims.gaussian import _dataset
from commensal.sims.gaussian._batches import batches_in_chunks
from commensal.sims.gaussian._config import Config
from commensal.sims.gaussian._process import compiled_part, trajectories


def simulate(
    config: Config,
    key: PRNGKeyArray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    r"""Every lineage at every recorded generation.

    Parameters
    ----------
    config : Config
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``. The first lineages of a
        longer run are those of a shorter one, and so are the first generations.
    progress : callable or None
        Called as ``progress(done, total)`` after each chunk of lineages.

    Returns
    -------
    xarray.Dataset
        Float64, with dimensions (replicate, generation). For d = 1: ``mean``,
        ``log_variance`` and ``w2``, the squared W₂ distance from the truth. For d > 1:
        ``mean_squared_error`` (‖μ_t - μ‖²), ``log_trace`` and ``log_determinant`` of the
        covariance, ``w2`` (unless ``config.w2`` is off) and, if ``config.full``, ``mean``
        (..., dimension) and ``covariance`` (..., dimension, dimension\_).
        (Read the mean as ``runs["mean"]``: ``runs.mean`` is a method of xarray.)

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

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
    >>> runs = simulate(Config(samples=10, generations=50, replicates=2000))
    >>> dict(runs.sizes)
    {'replicate': 2000, 'generation': 51}

    Models lose their variance, though its expectation stays where it was:

    >>> median = np.exp(runs.log_variance.median("replicate"))
    >>> bool(median.sel(generation=50) < 0.02)
    True
    """
    key = check_key(config.seed, key)
    run = partial(_run_one if config.dim == 1 else _run_many, config)
    total = config.replicates
    out: dict[str, np.ndarray] = {}
    for first, part in batches_in_chunks(config, key, run, progress):
        for name, values in part.items():
            if name not in out:
                out[name] = np.empty((total, *values.shape[1:]))
            kept = values[: total - first]
            out[name][first : first + len(kept)] = kept
    return _as_dataset(config, key, out)


def read(config: Config, model: Any) -> Any:
    """What of a model leaves the device."""
    if config.dim == 1:
        return model.mean, model.log_variance
    if config.w2 or config.full:
        return model
    return model._replace(rows=model.rows[:0])


def draw(config: Config, keys: Key[Array, "batches"], size: int) -> Any:
    """What :func:`read` takes, of all recorded generations of these batches."""
    return _draw(compiled_part(config), keys, size)


@partial(jax.jit, static_argnums=(0, 2))
def _draw(config: Config, keys: Key[Array, "batches"], size: int) -> Any:
    return trajectories(config, keys, size, partial(read, config))


def lineages_first(x: Any) -> np.ndarray:
    """(batch, generation, ..., lineage) -> (batch · lineage, generation, ...)."""
    moved = np.moveaxis(np.asarray(x), -1, 1)
    return moved.reshape(moved.shape[0] * moved.shape[1], *moved.shape[2:])


def _run_one(
    config: Config, keys: Key[Array, "batches"], size: int, first: int
) -> dict[str, np.ndarray]:
    mean, log_variance = (lineages_first(x) for x in draw(config, keys, size))
    # expm1: near the truth the difference of two standard deviations would lose its digits
    w2 = mean**2 + np.expm1(0.5 * log_variance) ** 2
    return {
        "mean": config.mean + np.sqrt(config.variance) * mean,
        "log_variance": np.log(config.variance) + log_variance,
        "w2": config.variance * w2,
    }


def _run_many(
    config: Config, keys: Key[Array, "batches"], size: int, first: int
) -> dict[str, np.ndarray]:
    mean, rows, log_scale, log_diagonal = (lineages_first(x) for x in draw(config, keys, size))
    return read_matrices(config, mean, rows, log_scale, log_diagonal)


def read_matrices(
    config: Config,
    mean: Float[np.ndarray, "*n d"],
    rows: Float[np.ndarray, "*n _ d"],
    log_scale: Float[np.ndarray, "*n d"],
    log_diagonal: Float[np.ndarray, "*n d"],
) -> dict[str, np.ndarray]:
    """What is reported of models of d coordinates; on the host."""
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


def _as_dataset(config: Config, key: PRNGKeyArray, data: dict[str, np.ndarray]) -> xr.Dataset:
    units = {
        "mean": _dataset.DATA,
        "log_variance": _dataset.LOG_SQUARED,
        "log_trace": _dataset.LOG_SQUARED,
        "log_determinant": _dataset.log_power(config.dim),
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
            name: (dims[: values.ndim], values, units.get(name, _dataset.SQUARED))
            for name, values in data.items()
        },
        coords,
        _dataset.attrs(config, key),
    )
