"""Simulate populations of Gaussian models over many generations, on drawn or given noise."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from commensal._blocks import at_once
from commensal.sims._keys import check_key
from commensal.sims._simulate import Arrays, Plan, Progress, carry_out, origin
from commensal.sims._stepping import ProcessState, of_batches, trajectory
from commensal.sims.gaussian._population_config import PopulationConfig
from commensal.sims.gaussian._population_process import (
    Draws,
    Points,
    PopulationNumbers,
    PopulationRules,
    numbers,
    rules,
)
from commensal.sims.gaussian._population_steps import (
    advance,
    batch_size,
    bytes_of_batch,
    drawn_advance,
    drawn_first,
    first,
    read,
    stream_of_populations,
)

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
    config: PopulationConfig | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    r"""Run populations that select, mutate, cross over and refit, generation after generation.

    Parameters
    ----------
    config : PopulationConfig or None
        Settings; None for the defaults.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    progress : callable or None
        Called as ``progress(done, total)`` at the start and after each chunk of populations.
    out : path or None
        A NetCDF file to write. With it the simulation is resumable: finished chunks wait in
        ``<out>.partial`` until all are done, and a finished file is read, not computed anew.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.

    Returns
    -------
    xarray.Dataset
        Runs, float64, dimensions (replicate, generation); generations are those of
        ``config.record``. ``mean_average``, ``std_average`` (units of the data) and
        ``log_std_average``: averages over the N models; ``mean_between``, ``std_between``,
        ``log_std_between``: standard deviations between them (divisor N), the population's
        diversity; ``w2_best``, ``w2_median`` and ``w2_mixture`` (squared units): squared W₂
        distance to the truth of the closest model, the median over the models, and that of the
        Gaussian with the mean and the variance of all models pooled. All N models of a generation
        count, before selection.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    `pollination`, sec. 3, 6.1 and app. A, C; see :class:`PopulationConfig` for what is left open
    there. Populations are drawn in batches of a fixed size, each from a key of its own that
    follows from ``key`` and the batch's number: no result depends on ``chunk``, on how many cores
    share the work, or on how many populations follow.

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
    config = config or PopulationConfig()
    key = check_key(config.seed, key)
    own, size = stream_of_populations(key), batch_size(config.population)
    later = _later(config)
    with jax.enable_x64(True):
        settings = rules(config), numbers(config)
        record = jnp.asarray(np.array(config.record)[later])

    batches = -(-config.replicates // size)
    together = at_once(batches, bytes_of_batch(settings[0], later.size), on_cpu=1)

    def run(start: int) -> Arrays:
        which = start // size + np.arange(together)
        # settings are the thread's own
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            found = _draw_batches(*settings, own, which, record, size) if later.size else {}
        return _with_truth(config, found, size * together)

    width = size * together
    plan = Plan("gaussian populations", config, key, width, run, partial(_dataset, config, key))
    return carry_out(plan, progress, out, overwrite)


def replay_populations(
    config: PopulationConfig, initial: Points, draws: Draws, fixed: Points | None = None
) -> xr.Dataset:
    """Run populations on given noise: for tests, and to couple two processes.

    Parameters
    ----------
    config : PopulationConfig
        Settings of the populations.
    initial : Points
        Points that generation 1 is fitted to, arrays (N, R).
    draws : Draws
        Arrays with a leading axis T - 1: what leads from generation t to t + 1.
    fixed : Points or None
        Held-out points of all time, arrays (R,).

    Returns
    -------
    xarray.Dataset
        Runs, as :func:`simulate_populations` gives them; there are as many replicates as the noise
        has.
    """
    later = _later(config)
    with jax.enable_x64(True):
        arrays = jax.tree.map(partial(jnp.asarray, dtype=jnp.float64), (initial, draws, fixed))
        record = jnp.asarray(np.array(config.record)[later])
        found = _replay_batch(rules(config), numbers(config), *arrays, record)
    return _dataset(config, None, _with_truth(config, found, initial.location.shape[-1]))


@partial(jax.jit, static_argnums=(0, 5))
def _draw_batches(
    rules: PopulationRules,
    numbers: PopulationNumbers,
    own: PRNGKeyArray,
    batches: Any,
    record: Array,
    size: int,
) -> dict[str, Float[Array, "t R"]]:
    def one(batch: Any) -> dict[str, Array]:
        key = jax.random.fold_in(own, batch)
        state = drawn_first(rules, numbers, key, batch, size)
        return trajectory(state, partial(drawn_advance, key=key), read, record)

    return of_batches(one, batches)


@partial(jax.jit, static_argnums=0)
def _replay_batch(
    rules: PopulationRules,
    numbers: PopulationNumbers,
    initial: Points,
    draws: Draws,
    fixed: Points | None,
    record: Array,
) -> dict[str, Float[Array, "t R"]]:
    def given(state: ProcessState) -> ProcessState:
        return advance(state, jax.tree.map(lambda x: x[state.generation - 1], draws))

    return trajectory(first(rules, numbers, initial, fixed), given, read, record)


def _later(config: PopulationConfig) -> np.ndarray:
    """Return the indices in ``config.record`` of generations after the truth."""
    return np.flatnonzero(np.array(config.record) > 0)


def _with_truth(config: PopulationConfig, found: dict[str, Any], size: int) -> Arrays:
    """Turn (later generation, replicate) into (replicate, recorded generation), with the truth."""
    out, later = {}, _later(config)
    for name, (_, _, at_truth) in _RECORDED.items():
        out[name] = np.full((size, len(config.record)), at_truth)
        if name in found:
            out[name][:, later] = np.asarray(found[name]).T
    return out


def _dataset(config: PopulationConfig, key: PRNGKeyArray | None, found: Arrays) -> xr.Dataset:
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
        origin("pollination, sec. 3 and 6.1, app. A and C", config, key),
    )
