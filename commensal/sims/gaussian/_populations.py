"""Populations of Gaussian models over many generations, on noise that is drawn or given."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

import commensal
from commensal._cores import available_cores
from commensal.sims._keys import check_key
from commensal.sims.gaussian import _population_draws
from commensal.sims.gaussian._population_config import PopulationConfig
from commensal.sims.gaussian._population_process import (
    Draws,
    Models,
    Numbers,
    Points,
    Rules,
    held_out,
    numbers,
    rules,
    run,
)
from commensal.sims.gaussian._selection import squared_distance

# What is recorded: its description, the power of the truth's σ that it carries, and its value
# where every model is N(0, 1).
_RECORDED = {
    "mean_average": ("average of the models' means", 1, 0.0),
    "mean_between": ("standard deviation between the models' means", 1, 0.0),
    "std_average": ("average of the models' σ", 1, 1.0),
    "std_between": ("standard deviation between the models' σ", 1, 0.0),
    "log_std_average": ("average of the models' log σ", 0, 0.0),
    "log_std_between": ("standard deviation between the models' log σ", 0, 0.0),
    "w2_best": ("squared W2 distance of the closest model", 2, 0.0),
    "w2_median": ("median of the models' squared W2 distances", 2, 0.0),
    "w2_mixture": ("squared W2 distance of the moments of all models pooled", 2, 0.0),
}
_UNITS = {0: "1", 1: "units of the data", 2: "squared units of the data"}


def simulate_populations(
    config: PopulationConfig,
    key: PRNGKeyArray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    r"""Populations that select, mutate, cross over and refit, generation after generation.

    Parameters
    ----------
    config : PopulationConfig
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    progress : callable or None
        Called as ``progress(done, total)`` after each chunk of populations.

    Returns
    -------
    xarray.Dataset
        Float64, dimensions (replicate, generation); generations are those of ``config.record``.
        ``mean_average``, ``std_average`` (units of the data) and ``log_std_average``: averages
        over the N models; ``mean_between``, ``std_between``, ``log_std_between``: standard
        deviations between them (divisor N), the population's diversity; ``w2_best``,
        ``w2_median`` and ``w2_mixture`` (squared units): squared W₂ distance to the truth of the
        closest model, the median over the models, and that of the Gaussian with the mean and the
        variance of all models pooled. All N models of a generation count, before selection.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    `pollination`, sec. 3, 6.1 and app. A, C; see :class:`PopulationConfig` for what is left open
    there. Populations are drawn in batches of a fixed size, batch b from ``fold_in(key, b)``
    alone: no result depends on ``chunk``, on how many cores share the work, or on how many
    populations follow.

    With the oracle the population stays near the truth under every reading of the process, also
    when there is no crossover or one parent only; without a signal it does under none
    (``figures/pollination_oracle.py`` has the numbers).

    *Without a signal* (k of N = k² parents drawn by chance, no mutation) second moments obey a
    linear recursion. In the long run the mean of every model drifts like that of a single lineage
    with data sets of

    .. math::
        n_\text{eff} = \frac{n\,(1 + ck)}{(1-h)^2 (1 + c)} \;\text{(shared data)}, \qquad
        n_\text{eff} = \frac{n\,(1 + ck)}{(1-h)^2 (1 + c/k)} \;\text{(data for each)}, \qquad
        c = 2h(1-h)

    points, h being the inheritance: exactly n for h = 0, however many models there are. And log σ
    falls by about :math:`(1-h)/(4n) + 1/(4n_\text{eff})` per generation, so that mixing slows the
    collapse, and no number of models stops it.

    *Refits on shared data* (h = 0, pairs) are a single lineage in disguise: offspring (i, j) of all
    i are one model, the k best are its k copies, and so each generation keeps the best of k refits.

    Examples
    --------
    >>> runs = simulate_populations(PopulationConfig(population=4, generations=20, replicates=50))
    >>> dict(runs.sizes)
    {'replicate': 50, 'generation': 21}
    >>> bool(runs.w2_median.isel(generation=-1).median() < 0.1)
    True
    """
    key = check_key(config.seed, key)
    size = _batch_size(config.population)
    starts = range(0, config.replicates, size)
    per_chunk = -(-config.chunk // size)
    out = {
        name: np.full((len(starts) * size, len(config.record)), at_truth)
        for name, (_, _, at_truth) in _RECORDED.items()
    }
    later = np.flatnonzero(np.array(config.record) > 0)
    if later.size:
        with jax.enable_x64(True):
            settings = rules(config), numbers(config)
            record = jnp.asarray(np.array(config.record)[later])

        def batch(start: int) -> None:
            # settings are the thread's own
            with jax.enable_x64(True), jax.threefry_partitionable(True):
                found = _draw_batch(*settings, key, start // size, record, size=size)
            for name, values in found.items():
                out[name][start : start + size, later] = np.asarray(values).T

        batch(0)  # compiles; threads that start together would each compile
        with ThreadPoolExecutor(available_cores()) as pool:
            for first in range(0, len(starts), per_chunk):
                chunk = starts[first : first + per_chunk]
                list(pool.map(batch, (start for start in chunk if start > 0)))
                if progress is not None:
                    progress(min(chunk[-1] + size, config.replicates), config.replicates)
    drawn = str(np.asarray(jax.random.key_data(key)).tolist())
    return _dataset(config, {name: v[: config.replicates] for name, v in out.items()}, drawn)


def replay_populations(
    config: PopulationConfig, initial: Points, draws: Draws, fixed: Points | None = None
) -> xr.Dataset:
    """The same on given noise: for tests, and to couple two processes.

    Parameters
    ----------
    config : PopulationConfig
    initial : Points
        Of generation 1, arrays (N, R).
    draws : Draws
        Arrays with a leading axis T - 1: what leads from generation t to t + 1.
    fixed : Points or None
        Held-out points of all time, arrays (R,).

    Returns
    -------
    xarray.Dataset
        As :func:`simulate_populations`; its replicates are as many as the noise has.
    """
    later = np.flatnonzero(np.array(config.record) > 0)
    with jax.enable_x64(True):
        arrays = jax.tree.map(partial(jnp.asarray, dtype=jnp.float64), (initial, draws, fixed))
        record = jnp.asarray(np.array(config.record)[later])
        found = _replay_batch(rules(config), numbers(config), *arrays, record)
    out = {}
    for name, values in found.items():
        out[name] = np.full((values.shape[1], len(config.record)), _RECORDED[name][2])
        out[name][:, later] = np.asarray(values).T
    return _dataset(config, out, "given noise")


@partial(jax.jit, static_argnames=("rules", "size"))
def _draw_batch(
    rules: Rules, numbers: Numbers, key: PRNGKeyArray, batch: Any, record: Array, *, size: int
) -> dict[str, Float[Array, "t R"]]:
    key = jax.random.fold_in(key, batch)
    initial, fixed = _population_draws.initial(rules, key, size)
    fixed = None if fixed is None else held_out(rules, fixed)

    def draws(t: Any) -> Draws:
        return _population_draws.draws(rules, key, t, size)

    return run(rules, numbers, initial, fixed, draws, record, _read)


@partial(jax.jit, static_argnames="rules")
def _replay_batch(
    rules: Rules,
    numbers: Numbers,
    initial: Points,
    draws: Draws,
    fixed: Points | None,
    record: Array,
) -> dict[str, Float[Array, "t R"]]:
    seen = None if fixed is None else held_out(rules, fixed)

    def at(t: Any) -> Draws:
        return jax.tree.map(lambda x: x[t - 1], draws)

    return run(rules, numbers, initial, seen, at, record, _read)


def _read(models: Models) -> dict[str, Float[Array, "R"]]:
    mean, log_std = models
    std = jnp.exp(log_std)
    w2 = squared_distance(mean, log_std)
    pooled = jnp.sqrt(jnp.mean(std**2, axis=0) + jnp.var(mean, axis=0))
    found = {}
    for name, values in (("mean", mean), ("std", std), ("log_std", log_std)):
        found[f"{name}_average"] = jnp.mean(values, axis=0)
        found[f"{name}_between"] = jnp.std(values, axis=0)
    return found | {
        "w2_best": jnp.min(w2, axis=0),
        "w2_median": jnp.median(w2, axis=0),
        "w2_mixture": jnp.mean(mean, axis=0) ** 2 + (pooled - 1) ** 2,
    }


def _batch_size(population: int) -> int:
    # on a CPU anything from 2¹⁰ to 2¹⁴ models takes as long, so that small runs need little; an
    # accelerator wants more
    if jax.default_backend() == "cpu":
        return min(max(2**11 // population, 16), 256)
    return max(2**20 // population, 16)


def _dataset(config: PopulationConfig, found: dict[str, np.ndarray], drawn: str) -> xr.Dataset:
    sigma = config.variance**0.5
    data = {}
    for name, (label, power, _) in _RECORDED.items():
        values = found[name] * sigma**power
        if name == "mean_average":
            values = config.mean + values
        if name == "log_std_average":
            values = values + 0.5 * np.log(config.variance)
        data[name] = (
            ("replicate", "generation"),
            values,
            {"long_name": label, "units": _UNITS[power]},
        )
    return xr.Dataset(
        data,
        {
            "replicate": np.arange(len(found["w2_best"])),
            "generation": np.array(config.record),
        },
        {
            "paper": "pollination, sec. 3 and 6.1, app. A and C",
            "config": config.model_dump_json(),
            "seed": config.seed,
            "key": drawn,
            "versions": f"commensal {commensal.__version__}, jax {jax.__version__}, "
            f"numpy {np.__version__}",
        },
    )
