"""Compute moments and quantiles with their standard errors, streamed over lineages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key, PRNGKeyArray

from commensal._blocks import large_blocks
from commensal.sims._keys import check_key
from commensal.sims._simulate import Progress, chunk_ends, in_batches, origin
from commensal.sims.gaussian import _histogram
from commensal.sims.gaussian._batches import (
    batch_key,
    batch_width,
    computed_width,
    keys_of_call,
    stream_of_lineages,
    width_of_call,
)
from commensal.sims.gaussian._config import GaussianConfig
from commensal.sims.gaussian._process import compiled_part, trajectories
from commensal.sims.gaussian._simulate import (
    PAPER,
    draw,
    draw_batches,
    lineages_first,
    measure_many,
)

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class _Sums(NamedTuple):
    """Sums over lineages of the first to fourth powers, per quantity and generation."""

    powers: Float[np.ndarray, "4 Q G"]
    histogram: np.ndarray


class _Pilot(NamedTuple):
    """Centre and scale of each quantity's units, from the first batch."""

    centre: Float[np.ndarray, "Q G"]
    scale: Float[np.ndarray, "Q G"]


def moments(
    config: GaussianConfig | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
    quantiles: float | Sequence[float] = _QUANTILES,
) -> xr.Dataset:
    """Draw lineages and keep their means, variances and quantiles alone, however many there are.

    Parameters
    ----------
    config : GaussianConfig or None
        Settings; None for the defaults. At least two replicates. ``full`` is not used.
    key : PRNGKeyArray or None
        One threefry key, as for :func:`simulate`; the lineages are the same ones.
    progress : callable or None
        Called as ``progress(done, total)`` at the start and after each chunk of lineages.
    quantiles : float or sequence of float
        Probabilities, strictly inside (0, 1).

    Returns
    -------
    xarray.Dataset
        Moments, float64, dimension generation. Of each quantity q the mean over lineages, ``q``,
        and its ``q_standard_error``. For d = 1: ``mean``, ``squared_error`` ((μ_t - μ)²),
        ``log_variance``, ``std``, ``variance`` and ``w2``; for d > 1 ``mean_squared_error``,
        ``trace``, ``log_trace``, ``log_determinant`` and, unless ``config.w2`` is off, ``w2``. The
        logarithms also have their variance over lineages, ``log_variance_variance`` (say) and its
        standard error. ``log_variance_quantile`` (d > 1: ``log_trace_quantile``) and its standard
        error have a leading dimension ``quantile``.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, there are fewer than two replicates, or a probability
        is not inside (0, 1).

    Notes
    -----
    Means of ``variance``, ``trace`` and ``w2``, their standard errors included, mislead at large
    t/n: a few lineages carry them, and no sample has enough of those (under "replace" the
    relative variance of σ_t² is (1 + 2/(n-1))^t - 1). Quantiles and moments of the logarithm do
    not.

    Sums are taken of quantities centred and scaled by the first batch, batch by batch in order:
    they do not depend on ``config.chunk`` or on the number of cores.

    Examples
    --------
    >>> runs = moments(GaussianConfig(samples=10, generations=20, replicates=200_000, record=[20]))
    >>> runs.log_variance_quantile.sel(quantile=0.5).round(1).item()
    -2.3
    """
    config = config or GaussianConfig()
    if config.replicates < 2:
        raise ValueError("replicates must be at least 2 for a standard error, got 1")
    probabilities = np.atleast_1d(quantiles).tolist()
    if not all(0 < p < 1 for p in probabilities):
        raise ValueError(f"quantiles must lie inside (0, 1), got {probabilities}")
    key = check_key(config.seed, key)
    config, own = config.model_copy(update={"full": False}), stream_of_lineages(key)
    pilot = _pilot(config, own)
    total, width = config.replicates, width_of_call(config)
    run = partial(_sum_one if config.dim == 1 else _sum_many, config, pilot, own)
    ends, sums = chunk_ends(total, width, config.chunk), None
    for start, part in in_batches(run, range(0, total, width)):
        sums = part if sums is None else _Sums(*map(np.add, sums, part))
        if progress is not None and start in ends:
            progress(ends[start][1], total)
    assert sums is not None
    return _as_dataset(config, key, _names(config), pilot, sums, probabilities)


def _names(config: GaussianConfig) -> list[str]:
    if config.dim == 1:
        return ["log_variance", "mean", "squared_error", "std", "variance", "w2"]
    names = ["log_trace", "log_determinant", "mean_squared_error", "trace"]
    return [*names, "w2"] if config.w2 else names


def _quantities_of_one(mean: Any, log_variance: Any) -> list[Any]:
    std = jnp.exp(0.5 * log_variance)
    w2 = mean**2 + jnp.expm1(0.5 * log_variance) ** 2
    return [log_variance, mean, mean**2, std, std**2, w2]


def _quantities_of_many(config: GaussianConfig, model: Any) -> np.ndarray:
    """Compute the quantities of lineages in d > 1; axes quantity, lineage, generation."""
    data = measure_many(config, *(lineages_first(x) for x in model))
    return np.stack(
        [np.exp(data["log_trace"]) if name == "trace" else data[name] for name in _names(config)]
    )


@partial(jax.jit, static_argnums=(0, 4, 5))
def _draw_sums(
    config: GaussianConfig,
    keys: Key[Array, "batches"],
    counts: Array,
    pilot: _Pilot,
    size: int,
    whole: bool,
) -> tuple[Array, Array]:
    """Sum powers (batch, generation, power, quantity); return log variances in pilot units."""
    mean, log_variance = trajectories(config, keys, size)
    centre, scale = (x.T[:, :, None] for x in pilot)

    def generation(x: Any) -> tuple[Array, Array]:
        mean, log_variance, centre, scale, counts = x
        units = (jnp.stack(_quantities_of_one(mean, log_variance)) - centre) / scale
        kept = jnp.where(jnp.arange(size) < counts, units, 0.0)
        square = kept * kept
        powers = jnp.stack([kept, square, kept * square, square * square])
        return jnp.sum(powers, axis=-1), units[0]

    def batch(x: Any) -> tuple[Array, Array]:
        mean, log_variance, count = x
        many = jnp.broadcast_to(count, mean.shape[:1])
        return jax.lax.map(generation, (mean, log_variance, centre, scale, many))

    # on an accelerator all lineages at once, a generation at a time: powers are 24 numbers of each
    rows = mean, log_variance, counts
    return jax.vmap(batch)(rows) if whole else jax.lax.map(batch, rows)


def _pilot(config: GaussianConfig, own: PRNGKeyArray) -> _Pilot:
    size = computed_width(config)
    kept = min(size, config.replicates)
    with jax.enable_x64(True):
        model = draw_batches(compiled_part(config), batch_key(own, 0)[None], size)
        if config.dim == 1:
            values = np.stack([lineages_first(x) for x in _quantities_of_one(*model)])
        else:
            values = _quantities_of_many(config, model)
    values = values[:, :kept]
    # what has no spread (the truth) or no value (singular) is counted as it is
    centre = np.where(np.isfinite(values).all(axis=1), values.mean(axis=1), 0.0)
    spread = np.sqrt(np.mean((values - centre[:, None]) ** 2, axis=1))
    scale = np.where(np.isfinite(spread) & (spread > 0), spread, 1.0)
    return _Pilot(centre, scale)


def _sum_one(config: GaussianConfig, pilot: _Pilot, own: PRNGKeyArray, start: int) -> _Sums:
    size = computed_width(config)
    with jax.enable_x64(True):  # a setting is a thread's own
        keys = keys_of_call(config, own, start)
        later = start + batch_width(config) * np.arange(len(keys))
        counts = np.clip(config.replicates - later, 0, size)
        powers, units = _draw_sums(
            compiled_part(config), keys, jnp.asarray(counts), pilot, size, large_blocks()
        )
    histogram = sum(
        _histogram.counts(np.asarray(one)[:, :count].T)
        for one, count in zip(units, counts, strict=True)
        if count
    )
    # batch by batch in order, and not as one reduction, which could differ with their number
    total = np.asarray(sum(np.asarray(powers)))
    return _Sums(np.moveaxis(total, 0, -1), np.asarray(histogram))


def _sum_many(config: GaussianConfig, pilot: _Pilot, own: PRNGKeyArray, start: int) -> _Sums:
    kept = _quantities_of_many(config, draw(config, own, start))[:, : config.replicates - start]
    with np.errstate(invalid="ignore"):  # a determinant of zero
        units = (kept - pilot.centre[:, None]) / pilot.scale[:, None]
        powers = np.stack([np.sum(units**k, axis=1) for k in range(1, 5)])
    return _Sums(powers, _histogram.counts(units[0]))


def _as_dataset(
    config: GaussianConfig,
    key: PRNGKeyArray,
    names: list[str],
    pilot: _Pilot,
    sums: _Sums,
    probabilities: list[float],
) -> xr.Dataset:
    r = config.replicates
    one = config.dim == 1
    # quantities of one coordinate are counted in units of the truth
    v = config.variance if one else 1.0
    units = {"mean": v**0.5, "std": v**0.5, "squared_error": v, "variance": v, "w2": v}
    shifts = {"mean": config.mean, "log_variance": np.log(config.variance)}
    data: dict[str, Any] = {}
    first, second, third, fourth = sums.powers / r
    central = second - first**2
    with np.errstate(invalid="ignore"):
        fourth = fourth - 4 * third * first + 6 * second * first**2 - 3 * first**4
        error_of_variance = np.sqrt(np.maximum(fourth - central**2, 0) / r)
        error = np.sqrt(np.maximum(central, 0) / (r - 1))
    for q, name in enumerate(names):
        unit = units.get(name, 1.0) if one else 1.0
        shift = shifts.get(name, 0.0) if one else 0.0
        scale = unit * pilot.scale[q]
        data[name] = ("generation", shift + unit * pilot.centre[q] + scale * first[q])
        data[f"{name}_standard_error"] = ("generation", scale * error[q])
        if name.startswith("log_"):
            factor = scale**2 * r / (r - 1)
            data[f"{name}_variance"] = ("generation", factor * central[q])
            data[f"{name}_variance_standard_error"] = ("generation", factor * error_of_variance[q])
    shift = shifts["log_variance"] if one else 0.0
    value, spread = _histogram.quantiles(sums.histogram, probabilities)
    # without spread (the truth) every lineage is in one bin, at its lower edge
    certain = sums.powers[1][0] == 0
    value, spread = np.where(certain, 0.0, value), np.where(certain, 0.0, spread)
    dims = ("quantile", "generation")
    data[f"{names[0]}_quantile"] = (dims, shift + pilot.centre[0] + pilot.scale[0] * value)
    data[f"{names[0]}_quantile_standard_error"] = (dims, pilot.scale[0] * spread)
    coords = {"generation": np.array(config.recorded()), "quantile": np.array(probabilities)}
    return xr.Dataset(data, coords, origin(PAPER, config, key) | {"replicates": r})
