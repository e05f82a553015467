"""Compute means and covariances of the estimates with standard errors, streamed over replicates.

Axis t of an annotation runs over 0..T.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from commensal._checkpoint import Chunks
from commensal._part import refuse_parts
from commensal.designs import Designs
from commensal.sims._keys import check_key, stream
from commensal.sims._simulate import Progress, chunk_ends, identity_of, in_file, origin
from commensal.sims._stepping import ProcessState, trajectory
from commensal.sims.regression._config import RegressionConfig
from commensal.sims.regression._designs import given_or_drawn
from commensal.sims.regression._process import (
    WIDTH,
    batch_size,
    drawn_advance,
    drawn_first,
    observe,
    replicate_keys,
)
from commensal.sims.regression._simulate import ESTIMATE, PAPER, SQUARED, coords
from commensal.sims.regression._system import RegressionSystem, build_system

_Either = Array | np.ndarray  # NumPy on the host, JAX on the device
_SO_FAR = "sums"  # one file, replaced after every chunk


def moments(
    config: RegressionConfig | None = None,
    key: PRNGKeyArray | None = None,
    designs: Designs | None = None,
    theta: Any = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    r"""Draw replicates and keep means and covariances alone, with their standard errors.

    Parameters
    ----------
    config : RegressionConfig or None
        Settings; None for the defaults. At least two replicates; there is no limit to how many,
        since none is kept.
    key, designs, theta
        Key, features and true parameter, as for :func:`simulate`; the replicates are the same ones.
    progress : callable or None
        Called as ``progress(done, total)`` at the start and after each chunk of replicates.
    out, overwrite
        File to write, and whether to discard what it holds, as for :func:`simulate`.

    Returns
    -------
    xarray.Dataset
        Moments, float64: ``mean`` (generation 0..T, model, feature) and ``covariance`` (generation,
        model, feature, feature\_), in units of θ and their square; ``mse`` (generation, model), the
        mean of ‖θ̂ - θ‖²; ``mean_standard_error``, ``covariance_standard_error`` and
        ``mse_standard_error`` of the same shapes; ``theta`` (feature). (Read the mean as
        ``runs["mean"]``: ``runs.mean`` is a method of xarray.)

    Raises
    ------
    ValueError
        Under the conditions of :func:`simulate`, or for fewer than two replicates.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    The standard error of a covariance comes from fourth moments of the sample itself, so it
    does not assume that estimates are Gaussian:

    .. math::
        \widehat{\mathrm{Var}}(c_{ab}) = \frac{m_{aabb} - c_{ab}^2}{R}
        + \frac{c_{aa}c_{bb} + c_{ab}^2}{R(R-1)},

    with :math:`m_{aabb}` the sample mean of :math:`(x_a - \bar x_a)^2 (x_b - \bar x_b)^2`.
    Power sums are taken of estimates centred and scaled, per generation, by the mean and
    standard deviation of the first replicates; so neither cancellation nor range is a
    concern while the estimates themselves stay below about 1e75, growing variances included.

    Examples
    --------
    >>> runs = moments(RegressionConfig(models=2, dim=4, rank=4, generations=3, replicates=1000))
    >>> runs.covariance.dims
    ('generation', 'model', 'feature', 'feature_')
    """
    config = config or RegressionConfig()
    if config.replicates < 2:
        raise ValueError("a covariance needs at least 2 replicates, got 1")
    designs, theta = given_or_drawn(config, designs, theta)
    key = check_key(config.seed, key)
    identity = identity_of("regression moments", config, key, (*designs, theta))

    def compute(chunks: Chunks | None) -> xr.Dataset:
        with jax.enable_x64(True):
            system = build_system(config, designs, theta)
            pilot, sums = _sums_of_all(config, key, system, progress, chunks)
        return _moments_dataset(config, key, theta, pilot, sums)

    return in_file(compute, identity, config.replicates, progress, out, overwrite)


def _sums_of_all(
    config: RegressionConfig,
    key: PRNGKeyArray,
    system: RegressionSystem,
    progress: Progress | None,
    chunks: Chunks | None,
) -> tuple[_Pilot, _Sums]:
    """Sum over all replicates, from the sums that are on disk on, and keep them there."""
    refuse_parts("regression moments are sums in order, which are not divided: use one machine")
    size, own = batch_size(system, config.replicates), stream(key, "regression")
    pilot = _unit_pilot(system)
    # the first replicates give a centre, then a scale about that centre; the same on all machines,
    # since sums on disk are in these units
    trial = min(WIDTH, config.replicates)
    for _ in range(2):
        trial_sums = _add_batches(system, own, pilot, _no_sums(pilot), 0, trial, size=size)
        pilot = _better_pilot(pilot, trial_sums, trial)
    sums, summed = _no_sums(pilot), 0
    if chunks is not None and _SO_FAR in chunks:
        found = chunks.read(_SO_FAR)
        summed = int(found.pop("replicates"))
        sums = _Sums(**found)
    if progress is not None:
        progress(summed, config.replicates)
    for start, stop in chunk_ends(config.replicates, size, config.chunk).values():
        if stop <= summed:
            continue
        # the sums on disk may be those of chunks, or of batches, of another size
        sums = _add_batches(system, own, pilot, sums, max(start, summed), stop, size=size)
        if chunks is not None:
            kept = {name: np.asarray(values) for name, values in sums._asdict().items()}
            chunks.save(_SO_FAR, kept | {"replicates": np.asarray(stop)})
        if progress is not None:
            jax.block_until_ready(sums)  # or the report would run ahead of the device
            progress(stop, config.replicates)
    return pilot, _Sums(*map(np.asarray, sums))


class _Pilot(NamedTuple):
    """Mean and standard deviation of the first replicates, the units of the sums."""

    centre: Float[_Either, "t K d"]
    scale: Float[_Either, "t K d"]
    error_centre: Float[_Either, "t K"]
    error_scale: Float[_Either, "t K"]


class _Sums(NamedTuple):
    """Sums over replicates of z = (estimate - centre) / scale, and of squared errors likewise."""

    first: Float[_Either, "t K d"]
    products: Float[_Either, "t K 2d 2d"]  # of [z; z²] with itself: powers two, three and four
    error: Float[_Either, "t K"]
    error_squared: Float[_Either, "t K"]


def _no_sums(pilot: _Pilot) -> _Sums:
    *rest, d = pilot.centre.shape
    nothing = np.zeros_like(pilot.error_centre)
    return _Sums(np.zeros_like(pilot.centre), np.zeros((*rest, 2 * d, 2 * d)), nothing, nothing)


def _squared_error(
    system: RegressionSystem, estimate: Float[_Either, "K d R"]
) -> Float[_Either, "K R"]:
    return jnp.sum((estimate - system.theta[:, None]) ** 2, axis=1)


# The pilot is worked out in NumPy: its few small operations would each be compiled otherwise.


def _unit_pilot(system: RegressionSystem) -> _Pilot:
    shape = system.operator_at.size, *system.own_operator.shape[1:3]
    return _Pilot(np.zeros(shape), np.ones(shape), np.zeros(shape[:-1]), np.ones(shape[:-1]))


def _better_pilot(pilot: _Pilot, sums: _Sums, replicates: int) -> _Pilot:
    """Compute the mean and the standard deviation of the replicates that were summed."""
    sums = _Sums(*map(np.asarray, sums))
    squares = np.diagonal(sums.products, axis1=-2, axis2=-1)

    def better(centre, scale, total, total_squared) -> tuple[np.ndarray, np.ndarray]:
        mean = total / replicates
        deviation = scale * np.sqrt(np.maximum(total_squared / replicates - mean**2, 0))
        usable = (deviation > 0) & np.isfinite(deviation)
        return centre + scale * mean, np.where(usable, deviation, 1.0)

    return _Pilot(
        *better(pilot.centre, pilot.scale, sums.first, squares[..., : sums.first.shape[-1]]),
        *better(pilot.error_centre, pilot.error_scale, sums.error, sums.error_squared),
    )


def _sums_of_batch(
    system: RegressionSystem,
    key: PRNGKeyArray,
    pilot: _Pilot,
    batch: Any,
    bounds: tuple[Any, Any],
    size: int,
) -> _Sums:
    # the first batch may begin before the replicates asked for, the last one end beyond them
    replicate = batch * size + jnp.arange(size)
    real = (replicate >= bounds[0]) & (replicate < bounds[1])

    def read(state: ProcessState) -> _Sums:
        t, estimate = state.generation, observe(state)
        z = (estimate - pilot.centre[t, ..., None]) / pilot.scale[t, ..., None]
        z = jnp.where(real, z, 0.0)
        error = _squared_error(system, estimate) - pilot.error_centre[t, :, None]
        error = jnp.where(real, error / pilot.error_scale[t, :, None], 0.0)
        powers = jnp.concatenate([z, z**2], axis=1)
        return _Sums(z.sum(-1), powers @ powers.mT, error.sum(-1), (error**2).sum(-1))

    keys = replicate_keys(key, batch, size)
    state = drawn_first(system, keys)
    return trajectory(
        state, partial(drawn_advance, keys=keys), read, length=system.operator_at.size
    )


@partial(jax.jit, static_argnames="size")
def _add_batches(
    system: RegressionSystem,
    key: PRNGKeyArray,
    pilot: _Pilot,
    sums: _Sums,
    first: Any,
    stop: Any,
    *,
    size: int,
) -> _Sums:
    """Add replicates from ``first`` to ``stop``."""

    # bounds are traced, so that one compiled loop, with one rounding, serves every chunk size
    def add(batch, sums):
        more = _sums_of_batch(system, key, pilot, batch, (first, stop), size)
        return jax.tree.map(jnp.add, sums, more)

    return jax.lax.fori_loop(first // size, (stop + size - 1) // size, add, sums)


def _moments_dataset(
    config: RegressionConfig,
    key: PRNGKeyArray,
    theta: Float[np.ndarray, "d"],
    pilot: _Pilot,
    sums: _Sums,
) -> xr.Dataset:
    r, d = config.replicates, theta.size
    shift = sums.first / r
    second, third, fourth = (
        block / r
        for block in (
            sums.products[..., :d, :d],
            sums.products[..., d:, :d],  # of z_a² z_b
            sums.products[..., d:, d:],
        )
    )
    a, b = shift[..., :, None], shift[..., None, :]
    square = np.diagonal(second, axis1=-2, axis2=-1)
    central = second - a * b
    # E (z_a - a)² (z_b - b)², expanded
    central_fourth = (
        fourth
        - 2 * b * third
        - 2 * a * third.swapaxes(-1, -2)
        + b**2 * square[..., :, None]
        + a**2 * square[..., None, :]
        + 4 * a * b * second
        - 3 * a**2 * b**2
    )
    covariance = central * (r / (r - 1))
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    of_covariance = np.maximum(central_fourth - central**2, 0) / r + (
        variance[..., :, None] * variance[..., None, :] + covariance**2
    ) / (r * (r - 1))
    scales = pilot.scale[..., :, None] * pilot.scale[..., None, :]
    error = sums.error / r
    error_variance = np.maximum(sums.error_squared / r - error**2, 0) * (r / (r - 1))

    dims = ("generation", "model", "feature", "feature_")
    data = {
        "mean": (dims[:3], pilot.centre + pilot.scale * shift, ESTIMATE),
        "covariance": (dims, scales * covariance, SQUARED),
        "mse": (dims[:2], pilot.error_centre + pilot.error_scale * error, SQUARED),
        "mean_standard_error": (dims[:3], pilot.scale * np.sqrt(variance / r), ESTIMATE),
        "covariance_standard_error": (dims, scales * np.sqrt(of_covariance), SQUARED),
        "mse_standard_error": (
            dims[:2],
            pilot.error_scale * np.sqrt(error_variance / r),
            SQUARED,
        ),
        "theta": ("feature", theta, ESTIMATE),
    }
    axes = coords(shift.shape)
    axes["feature_"] = axes["feature"]
    return xr.Dataset(data, axes, origin(PAPER, config, key) | {"replicates": r})
