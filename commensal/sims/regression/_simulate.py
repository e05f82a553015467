"""Every estimate of every replicate, on noise that is drawn or given."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from commensal.designs import Designs
from commensal.sims._keys import check_key
from commensal.sims.regression import _dataset
from commensal.sims.regression._batches import batch_size, chunks
from commensal.sims.regression._config import Config
from commensal.sims.regression._designs import given_or_drawn
from commensal.sims.regression._process import drawn, run
from commensal.sims.regression._system import System, build_system


class Noise(NamedTuple):
    """Standard normal draws that drive the process; responses carry them times σ.

    Attributes
    ----------
    private : Float[np.ndarray, "R K n"]
        Of the private responses, drawn once.
    public : Float[np.ndarray, "R m"]
        Of the public responses, drawn once and the same for all entities.
    synthetic : Float[np.ndarray, "R T K s"]
        Of what each model publishes, t = 1..T.
    human : Float[np.ndarray, "R T h"]
        Of the fresh human responses, t = 1..T; h = 0 where ``human_share`` is 0 throughout.
    """

    private: Float[np.ndarray, "R K n"]
    public: Float[np.ndarray, "R m"]
    synthetic: Float[np.ndarray, "R T K s"]
    human: Float[np.ndarray, "R T h"]


def simulate(
    config: Config,
    key: PRNGKeyArray | None = None,
    designs: Designs | None = None,
    theta: Any = None,
) -> xr.Dataset:
    """Every estimate of every replicate.

    Parameters
    ----------
    config : Config
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``. Replicate r draws from
        ``fold_in(key, r)`` alone, so the first replicates of a longer run are those of a
        shorter one.
    designs : Designs or None
        Features to use in place of those of ``config`` (with their own K and d); synthetic
        features with a leading axis of length T are asked one set per generation.
    theta : Float[np.ndarray, "d"] or None
        True parameter; None for ``designs.truth(d, config.seed)``.

    Returns
    -------
    xarray.Dataset
        ``estimate`` (replicate, generation 0..T, entity, feature) in units of θ,
        ``squared_error`` (replicate, generation, entity), ‖θ̂ - θ‖² in squared units of θ, and
        ``theta`` (feature). Float64.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or ``designs`` or ``theta`` do not fit together.

    Notes
    -----
    `interactive`, sec. 5 (training workflow) and app. E. The same config, key and machine give
    the same bits; another processor may round differently.

    Examples
    --------
    >>> runs = simulate(Config(entities=2, dim=6, rank=3, generations=4, replicates=100))
    >>> dict(runs.sizes)
    {'replicate': 100, 'generation': 5, 'entity': 2, 'feature': 6}
    >>> runs.squared_error.median("replicate").dims
    ('generation', 'entity')
    """
    designs, theta = given_or_drawn(config, designs, theta)
    key = check_key(config.seed, key)
    out = np.empty((config.replicates, config.generations + 1, designs.entities, designs.dim))
    with jax.enable_x64(True):
        system = build_system(config, designs, theta)
        size = batch_size()
        for first, stop, _ in chunks(config, size):
            # dispatched together, collected afterwards: the device need not wait for the host
            batches = [
                (n * size, _draw_estimates(system, key, n * size, size=size))
                for n in range(first, stop)
            ]
            for start, batch in batches:
                part = np.moveaxis(np.asarray(batch), -1, 0)
                out[start : start + size] = part[: config.replicates - start]
    return _estimates_dataset(config, key, theta, out)


def replay(
    config: Config, noise: Noise, designs: Designs | None = None, theta: Any = None
) -> xr.Dataset:
    """Every estimate, on noise that is given: to couple two systems, or to check by hand.

    Parameters
    ----------
    config : Config
        Its ``replicates`` and ``chunk`` do not matter: there are as many as in ``noise``.
    noise : Noise
    designs, theta
        As for :func:`simulate`.

    Returns
    -------
    xarray.Dataset
        As for :func:`simulate`.

    Raises
    ------
    ValueError
        If an array of ``noise`` has another shape than the system needs.

    Examples
    --------
    Without noise a model that has seen every direction is right at once:

    >>> config = Config(entities=1, dim=2, rank=2, generations=1)
    >>> silent = Noise(
    ...     np.zeros((1, 1, 2)), np.zeros((1, 2)), np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 0))
    ... )
    >>> bool(replay(config, silent).squared_error.max() < 1e-20)
    True
    """
    designs, theta = given_or_drawn(config, designs, theta)
    noise = Noise(*(np.asarray(values, dtype=float) for values in noise))
    with jax.enable_x64(True):
        system = build_system(config, designs, theta)
        replicates = noise.private.shape[:1]
        for name, values, shape in zip(Noise._fields, noise, _noise_shapes(system), strict=True):
            if values.shape != replicates + shape:
                raise ValueError(
                    f"noise.{name} must have shape {replicates + shape}, got {values.shape}"
                )
        out = np.moveaxis(np.asarray(_replay_estimates(system, noise)), -1, 0)
    return _estimates_dataset(config, None, theta, out)


@partial(jax.jit, static_argnames="size")
def _draw_estimates(
    system: System, key: PRNGKeyArray, first: Any, *, size: int
) -> Float[Array, "t K d R"]:
    return drawn(system, key, first, size, lambda t, estimate: estimate)


@jax.jit
def _replay_estimates(system: System, noise: Noise) -> Float[Array, "t K d R"]:
    private, public, synthetic, human = (jnp.moveaxis(values, 0, -1) for values in noise)
    return run(
        system,
        (private, public),
        lambda t: (synthetic[t - 1], human[t - 1]),
        lambda t, estimate: estimate,
    )


def _noise_shapes(system: System) -> tuple[tuple[int, ...], ...]:
    t = system.operator_at.size - 1
    return (
        system.private_signal.shape,
        system.public_signal.shape,
        (t, *system.prompts.shape[1:3]),
        (t, *system.human_signal.shape[1:]),
    )


def _estimates_dataset(
    config: Config,
    key: PRNGKeyArray | None,
    theta: Float[np.ndarray, "d"],
    estimate: Float[np.ndarray, "R t K d"],
) -> xr.Dataset:
    dims = ("replicate", "generation", "entity", "feature")
    squared_error = np.sum((estimate - theta) ** 2, axis=-1)
    return xr.Dataset(
        {
            "estimate": (dims, estimate, _dataset.ESTIMATE),
            "squared_error": (dims[:-1], squared_error, _dataset.SQUARED),
            "theta": ("feature", theta, _dataset.ESTIMATE),
        },
        {"replicate": np.arange(len(estimate))} | _dataset.coords(estimate.shape[1:]),
        _dataset.attrs(config, key),
    )
