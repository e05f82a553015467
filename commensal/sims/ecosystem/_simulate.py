"""Simulate ecosystems over many generations and replicates, and over grids of settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from commensal.sims._keys import check_key, stream
from commensal.sims._simulate import Arrays, Plan, Progress, carry_out, of_all_replicates
from commensal.sims.ecosystem._config import EcosystemConfig
from commensal.sims.ecosystem._dataset import as_dataset, as_grid
from commensal.sims.ecosystem._numba import chosen
from commensal.sims.ecosystem._numba import run as by_numba
from commensal.sims.ecosystem._process import (
    EcosystemNumbers,
    EcosystemRules,
    Measures,
    batch_width,
    run,
    run_keys,
)

Integers = int | Sequence[int]
Numbers = float | Sequence[float]


def simulate(
    config: EcosystemConfig | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    """Run M models that write, pool, shuffle, deal out and refit (`diversity`, sec. 3).

    Parameters
    ----------
    config : EcosystemConfig or None
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
        Runs, float64, dimensions (replicate, generation), and (replicate, generation, model) for
        what each model has: ``model_perplexity``, ``model_chi_square``, ``model_squares``,
        ``model_simpson``. ``perplexity`` is their mean (`diversity` eq. 3), ``chi_square`` and
        ``squares`` likewise; ``pool_...`` are those of the law of what the models write together.
        ``sizes`` and ``hill_shannon`` say how the budget is dealt out.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    Model m has a law q^m over V word types, at first the pretrained one. A fit is
    q ← (counts + λ q)/(n + λ) from its n tokens. The first text is the truth's. After each fit
    model m writes n_m tokens from q^τ, normalised; all are pooled, shuffled, and dealt out again.

    Replicate r has a key of its own, number r of those that follow from ``key``: no number depends
    on ``chunk``, on the cores, or on how many replicates follow, and the first generations of a
    longer run are those of a shorter one. On a CPU that has numba (``commensal[fast]``) its machine
    code draws the same tokens.

    Examples
    --------
    >>> config = EcosystemConfig(types=100, tokens=800, hold=200.0, replicates=3, generations=4)
    >>> runs = simulate(config)
    >>> dict(runs.sizes)
    {'replicate': 3, 'generation': 4, 'model': 4}
    """
    config = config or EcosystemConfig()
    key = check_key(config.seed, key)
    ones = np.ones(config.replicates)
    numbers = EcosystemNumbers(
        np.arange(config.replicates),
        np.broadcast_to(np.array(config.sizes), (config.replicates, config.models)),
        config.hold * ones,
        config.sharpening * ones,
        config.laws[0],
    )
    width = batch_width(config, config.replicates)
    plan = Plan(
        "ecosystem",
        config,
        key,
        width,
        batches(config, stream(key, "ecosystem"), numbers, width),
        lambda found: as_dataset(config, key, Measures(**found)),
    )
    return carry_out(plan, progress, out, overwrite)


def grid(
    config: EcosystemConfig | None = None,
    models: Integers = (1, 2, 4, 8, 16, 32, 64),
    tokens: Integers | None = None,
    hold: Numbers | None = None,
    sharpening: Numbers | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Run every combination of numbers of models, tokens, holds and sharpenings.

    Parameters
    ----------
    config : EcosystemConfig or None
        Settings of everything else; None for the defaults. Their ``sizes`` are not used.
    models, tokens, hold, sharpening : number or sequence
        Axes of the grid: numbers of models M, budgets N (each a multiple of each M), holds λ and
        sharpenings τ. None: that of ``config``.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    progress : callable or None
        Called as ``progress(done, total)``, in runs.

    Returns
    -------
    xarray.Dataset
        Means over generations, dimensions (models, tokens, hold, sharpening, replicate):
        ``perplexity`` (`diversity` eq. 4), ``chi_square``, ``squares``, and of the pool; and
        ``slope``, the last difference of perplexity.

    Raises
    ------
    ValueError
        If an axis is empty or its values are out of range.

    Notes
    -----
    Cell number i of the grid, in the order of its dimensions, has a key of its own, number i of
    those that follow from ``key``. They are not those of :func:`simulate`.

    Examples
    --------
    >>> small = EcosystemConfig(types=100, tokens=800, hold=200.0, replicates=2, generations=3)
    >>> dict(grid(small, models=(1, 4), hold=(100.0, 400.0)).sizes)
    {'models': 2, 'tokens': 1, 'hold': 2, 'sharpening': 1, 'replicate': 2}
    """
    config = config or EcosystemConfig()
    key = check_key(config.seed, key)
    axes: dict[str, list[Any]] = {
        "models": [int(m) for m in np.atleast_1d(models)],
        "tokens": [int(n) for n in np.atleast_1d(config.tokens if tokens is None else tokens)],
        "hold": [float(h) for h in np.atleast_1d(config.hold if hold is None else hold)],
        "sharpening": [
            float(s) for s in np.atleast_1d(config.sharpening if sharpening is None else sharpening)
        ],
    }
    for name, values in axes.items():
        if not values:
            raise ValueError(f"{name} must name at least one value")
    fixed = config.model_dump(exclude={"sizes", *axes})
    for m in axes["models"]:
        for n in axes["tokens"]:
            EcosystemConfig(**fixed, models=m, tokens=n)
    for h in axes["hold"]:
        EcosystemConfig(**fixed, models=1, tokens=2, hold=h)
    for s in axes["sharpening"]:
        EcosystemConfig(**fixed, models=1, tokens=2, sharpening=s)
    own = stream(key, "ecosystem grid")
    shape = (*(len(v) for v in axes.values()), config.replicates)
    total, done, parts = int(np.prod(shape)), 0, []
    per_model = total // shape[0]
    rest = np.indices(shape[1:]).reshape(len(shape) - 1, -1)
    n, h, s = (np.array(axes[a])[rest[i]] for i, a in enumerate(("tokens", "hold", "sharpening")))
    for i, m in enumerate(axes["models"]):  # the number of models is a shape: a program each
        numbers = EcosystemNumbers(
            i * per_model + np.arange(per_model),
            np.repeat((n // m)[:, None], m, axis=1),
            h,
            s,
            config.laws[0],
        )
        width = batch_width(config, per_model)
        found = of_all_replicates(
            batches(config, own, numbers, width),
            per_model,
            width,
            config.chunk,
            progress=_onwards(progress, done, total),
        )
        done += per_model
        parts.append(Measures(**found))
    return as_grid(config, key, axes, parts, shape)


def _onwards(progress: Progress | None, done: int, total: int) -> Progress | None:
    """Report a part of the work as what it is of the whole; its start is the last one's end."""
    if progress is None:
        return None
    return lambda more, _: progress(done + more, total) if more or not done else None


def batches(
    config: EcosystemConfig, own: PRNGKeyArray, numbers: EcosystemNumbers, width: int
) -> Callable[[int], Arrays]:
    """Return a function from the first run of a batch to its measurements, replicates first."""
    total = len(numbers.run)
    rules = EcosystemRules(
        int(numbers.sizes.sum(axis=1).max()), bool((numbers.sharpening != 1).any())
    )
    prior = config.laws[1]
    with jax.enable_x64(True):
        keys = np.asarray(run_keys(own, numbers.run))

    if chosen(numbers):
        return lambda start: by_numba(
            keys[start : start + width],
            numbers.of(slice(start, start + width)),
            prior,
            config.generations,
        )

    def batch(start: int) -> Arrays:
        # the last one is filled up: another width would be compiled anew
        at = np.minimum(np.arange(start, start + width), total - 1)
        # settings are the thread's own
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            mine = jax.tree.map(jnp.asarray, numbers.of(at))
            found = run(keys[at], mine, prior, rules=rules, generations=config.generations)
            return {k: np.asarray(x).swapaxes(0, 1) for k, x in found._asdict().items()}

    return batch
