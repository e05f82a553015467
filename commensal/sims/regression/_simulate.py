"""Simulate all estimates of every replicate, on noise that is drawn or given."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from commensal.designs import Designs
from commensal.sims._keys import check_key, stream
from commensal.sims._simulate import Arrays, Plan, Progress, carry_out, origin
from commensal.sims._stepping import ProcessState, trajectory
from commensal.sims.regression._config import RegressionConfig
from commensal.sims.regression._designs import given_or_drawn
from commensal.sims.regression._process import (
    advance,
    batch_size,
    before_first,
    drawn_advance,
    drawn_first,
    observe,
    replicate_keys,
)
from commensal.sims.regression._system import RegressionSystem, build_system

PAPER = "interactive, sec. 5 and app. E"
ESTIMATE = {"units": "units of theta"}
SQUARED = {"units": "squared units of theta"}


class RegressionNoise(NamedTuple):
    """Standard normal draws that drive the process; responses carry them times σ.

    Attributes
    ----------
    private : Float[np.ndarray, "R K n"]
        Noise of the private responses, drawn once.
    public : Float[np.ndarray, "R m"]
        Noise of the public responses, drawn once and the same for all models.
    synthetic : Float[np.ndarray, "R T K s"]
        Noise of what each model publishes, t = 1..T.
    human : Float[np.ndarray, "R T h"] or Float[np.ndarray, "R T K h"]
        Noise of the fresh human responses, t = 1..T, of each model where it has its own; h = 0
        where ``human_share`` is 0 throughout.
    """

    private: Float[np.ndarray, "R K n"]
    public: Float[np.ndarray, "R m"]
    synthetic: Float[np.ndarray, "R T K s"]
    human: Float[np.ndarray, "R T *K h"]


def simulate(
    config: RegressionConfig | None = None,
    key: PRNGKeyArray | None = None,
    designs: Designs | None = None,
    theta: Any = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    """Draw replicates and keep every estimate of each.

    Parameters
    ----------
    config : RegressionConfig or None
        Settings; None for the defaults.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``. Replicate r has
        a key of its own that follows from it and r, so the first replicates of a longer run are
        those of a shorter one.
    designs : Designs or None
        Features to use in place of those of ``config`` (with their own K and d); synthetic
        features with a leading axis of length T are asked one set per generation.
    theta : Float[np.ndarray, "d"] or None
        True parameter; None for ``designs.truth(d, config.seed)``.
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
        Runs, float64: ``estimate`` (replicate, generation 0..T, model, feature) in units of θ,
        ``squared_error`` (replicate, generation, model), ‖θ̂ - θ‖² in squared units of θ, and
        ``theta`` (feature).

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or ``designs`` or ``theta`` do not fit together.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    `interactive`, sec. 5 (training workflow) and app. E. The same config, key and machine give
    the same bits; another processor may round differently.

    Examples
    --------
    >>> runs = simulate(RegressionConfig(models=2, dim=6, rank=3, generations=4, replicates=100))
    >>> dict(runs.sizes)
    {'replicate': 100, 'generation': 5, 'model': 2, 'feature': 6}
    >>> runs.squared_error.median("replicate").dims
    ('generation', 'model')
    """
    config = config or RegressionConfig()
    designs, theta = given_or_drawn(config, designs, theta)
    key = check_key(config.seed, key)
    own = stream(key, "regression")
    with jax.enable_x64(True):
        system = build_system(config, designs, theta)
    size = batch_size(system, config.replicates)

    def run(start: int) -> Arrays:
        with jax.enable_x64(True):  # a setting is a thread's own
            found = _draw_estimates(system, own, start // size, size)
        return {"estimate": np.moveaxis(np.asarray(found), -1, 0)}

    plan = Plan(
        "regression",
        config,
        key,
        size,
        run,
        lambda found: _estimates_dataset(config, key, theta, found["estimate"]),
        given=(*designs, theta),
    )
    return carry_out(plan, progress, out, overwrite)


def replay(
    config: RegressionConfig,
    noise: RegressionNoise,
    designs: Designs | None = None,
    theta: Any = None,
) -> xr.Dataset:
    """Keep every estimate on noise that is given, to couple two systems or to check by hand.

    Parameters
    ----------
    config : RegressionConfig
        Settings of the system. Its ``replicates`` and ``chunk`` do not matter: there are as many as
        in ``noise``.
    noise : RegressionNoise
        Standard normal draws for every response.
    designs, theta
        Features and true parameter, as for :func:`simulate`.

    Returns
    -------
    xarray.Dataset
        Runs, as :func:`simulate` gives them; as many replicates as the noise has.

    Raises
    ------
    ValueError
        If an array of ``noise`` has another shape than the system needs.

    Examples
    --------
    Without noise a model that has seen every direction is right at once:

    >>> config = RegressionConfig(models=1, dim=2, rank=2, generations=1)
    >>> silent = RegressionNoise(
    ...     np.zeros((1, 1, 2)), np.zeros((1, 2)), np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 0))
    ... )
    >>> bool(replay(config, silent).squared_error.max() < 1e-20)
    True
    """
    designs, theta = given_or_drawn(config, designs, theta)
    noise = RegressionNoise(*(np.asarray(values, dtype=float) for values in noise))
    with jax.enable_x64(True):
        system = build_system(config, designs, theta)
        replicates = noise.private.shape[:1]
        for name, values, shape in zip(
            RegressionNoise._fields, noise, _noise_shapes(system), strict=True
        ):
            if values.shape != replicates + shape:
                raise ValueError(
                    f"noise.{name} must have shape {replicates + shape}, got {values.shape}"
                )
        out = np.moveaxis(np.asarray(_replay_estimates(system, noise)), -1, 0)
    return _estimates_dataset(config, None, theta, out)


@partial(jax.jit, static_argnums=3)
def _draw_estimates(
    system: RegressionSystem, own: PRNGKeyArray, batch: Any, size: int
) -> Float[Array, "t K d R"]:
    keys = replicate_keys(own, batch, size)
    state = drawn_first(system, keys)
    return trajectory(
        state, partial(drawn_advance, keys=keys), observe, length=system.operator_at.size
    )


@jax.jit
def _replay_estimates(system: RegressionSystem, noise: RegressionNoise) -> Float[Array, "t K d R"]:
    private, public, synthetic, human = (jnp.moveaxis(values, 0, -1) for values in noise)

    def given(state: ProcessState) -> ProcessState:
        return advance(state, synthetic[state.generation], human[state.generation])

    state = before_first(system, private, public)
    return trajectory(state, given, observe, length=system.operator_at.size)


def _noise_shapes(system: RegressionSystem) -> tuple[tuple[int, ...], ...]:
    t = system.operator_at.size - 1
    return (
        system.private_signal.shape,
        system.public_signal.shape,
        (t, *system.prompts.shape[1:3]),
        (t, *system.human_signal.shape[1:]),
    )


def _estimates_dataset(
    config: RegressionConfig,
    key: PRNGKeyArray | None,
    theta: Float[np.ndarray, "d"],
    estimate: Float[np.ndarray, "R t K d"],
) -> xr.Dataset:
    dims = ("replicate", "generation", "model", "feature")
    squared_error = np.sum((estimate - theta) ** 2, axis=-1)
    return xr.Dataset(
        {
            "estimate": (dims, estimate, ESTIMATE),
            "squared_error": (dims[:-1], squared_error, SQUARED),
            "theta": ("feature", theta, ESTIMATE),
        },
        {"replicate": np.arange(len(estimate))} | coords(estimate.shape[1:]),
        origin(PAPER, config, key),
    )


def coords(shape: tuple[int, ...]) -> Arrays:
    """Return the coordinates generation, model and feature."""
    return {
        name: np.arange(size)
        for name, size in zip(("generation", "model", "feature"), shape, strict=True)
    }
