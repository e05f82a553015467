"""Steps of lineages: their first state, their next state, and what is observed."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PRNGKeyArray

from commensal.sims._keys import check_key
from commensal.sims._stepping import ProcessState, in_64_bit, stepped, trajectory
from commensal.sims._threefry import words
from commensal.sims.gaussian import _lineages, _matrices, _subsamples
from commensal.sims.gaussian._batches import batch_key, computed_width, stream_of_lineages
from commensal.sims.gaussian._config import GaussianConfig

# a state holds its settings, as what compiled programs are made for
jax.tree_util.register_static(GaussianConfig)  # pyright: ignore[reportArgumentType]


@in_64_bit
def init(
    config: GaussianConfig | None = None, key: PRNGKeyArray | None = None, batch: int = 0
) -> ProcessState:
    """Start a batch of lineages from the truth, at generation 0.

    Parameters
    ----------
    config : GaussianConfig or None
        Settings; None for the defaults. As many lineages as they ask for, rounded up to a multiple
        of 16, but no more than :func:`simulate` has in a batch.
    key : PRNGKeyArray or None
        One threefry key, which is only checked: the first state is the same for all keys.
    batch : int
        Number of the batch, among those of :func:`simulate`.

    Returns
    -------
    ProcessState
        State of generation 0, for :func:`step` and :func:`observe`. With memory
        "accumulate_subsample" it can be stepped up to the last generation that ``config`` records,
        which is ``config.generations`` unless ``record`` says otherwise: there is room for no more
        points. Other memories have
        no such bound.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    `pollination`, sec. 6.1 and app. A.

    Examples
    --------
    Three generations by hand, the same numbers as those of :func:`simulate`:

    >>> config, key = GaussianConfig(samples=10, replicates=48), jax.random.key(0)
    >>> state = init(config, key)
    >>> for _ in range(3):
    ...     state = step(state, key)
    >>> from commensal.sims.gaussian import simulate
    >>> runs = simulate(config, key).sel(generation=3)
    >>> bool((observe(state).log_variance == runs.log_variance.values).all())
    True

    Or compiled, which needs 64-bit arithmetic around it:

    >>> with jax.enable_x64(True):
    ...     def generation(state, _):
    ...         state = step(state, key)
    ...         return state, observe(state)
    ...     last, path = jax.lax.scan(generation, init(config, key), length=3)
    >>> path.log_variance.shape
    (3, 48)
    """
    config = config or GaussianConfig()
    check_key(config.seed, key)
    return first(compiled_part(config), computed_width(config), batch)


@in_64_bit
def step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Draw what the models publish and fit the next generation to it.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or from this function.
    key : PRNGKeyArray
        One threefry key: the same at every step for the numbers of :func:`simulate`. With a new
        one at each step the law is the same.

    Returns
    -------
    ProcessState
        State of the next generation. With memory "accumulate_subsample" the last one is the last
        that ``config`` of :func:`init` records. Beyond it, models are NaN where the state is
        traced.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or the last generation has been reached.

    Notes
    -----
    `pollination`, sec. 6.1 and app. A.1; the pools of memories "accumulate" and
    "accumulate_subsample" are those of Kazdan et al. (2025).
    """
    pooled = state.rules.memory == "accumulate_subsample"
    last = state.rules.generations if pooled else math.inf
    return stepped(state, last, partial(_step, key=check_key(0, key)))


@in_64_bit
def observe(state: ProcessState) -> Any:
    """Read the models, as deviations from the truth in units of its standard deviation.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or :func:`step`.

    Returns
    -------
    GaussianState or MatrixState
        Models, float64. For d = 1 ``mean`` and ``log_variance`` (replicate); for d > 1 the mean (d,
        replicate) and the factor of the covariance, exp(``log_scale``) (d, replicate) × ``rows``
        (d, d, replicate), with the logarithm of its diagonal, ``log_diagonal`` (d, replicate).
        Without ``config.w2`` and ``config.full`` the rows are left out: (0, d, replicate).
        :func:`simulate` gives all of it the units of the data.

    Notes
    -----
    The fitted mean and variance of `pollination`, app. A.1.
    """
    return read(state)


def compiled_part(config: GaussianConfig) -> GaussianConfig:
    """Remove from ``config`` what no compiled program depends on, such as the seed."""
    recorded = config.recorded()
    return config.model_copy(
        update={
            "record": recorded,
            "generations": recorded[-1],
            "method": config.resolved_method,
            "replicates": 1,
            "mean": 0.0,
            "variance": 1.0,
            "seed": 0,
            "chunk": 1,
        }
    )


def first(config: GaussianConfig, size: int, batch: Any) -> ProcessState:
    """Make generation 0 of ``size`` lineages."""
    return ProcessState(
        jnp.asarray(0), _kind(config).initial(config, size), None, config, jnp.asarray(batch)
    )


def advance(state: ProcessState, key: Any) -> ProcessState:
    """Take a batch one generation further; ``key`` is the batch's own."""
    t = state.generation + 1
    now = _kind(state.rules).advance(state.rules, key, t, state.now)
    return state._replace(generation=t, now=now)


def read(state: ProcessState) -> Any:
    """Select the part of a batch that leaves the device."""
    config = state.rules
    model = state.now.model if config.memory == "accumulate_subsample" else state.now
    if config.dim == 1 or config.w2 or config.full:
        return model
    return model._replace(rows=model.rows[:0])


def trajectories(config: GaussianConfig, keys: Key[Array, "batches"], size: int) -> Any:
    """Read a batch at each recorded generation; axes batch, generation, then those of ``read``."""
    record = jnp.asarray(config.recorded())

    def batch(key: Any) -> Any:
        return trajectory(first(config, size, 0), partial(advance, key=key), read, record)

    if keys.shape == (1,):  # not vmapped: conditions stay conditions
        return jax.tree.map(lambda x: x[None], batch(words(keys[0])))
    return jax.vmap(batch)(jax.random.key_data(keys))


@jax.jit
def _step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    return advance(state, words(batch_key(stream_of_lineages(key), state.batch)))


def _kind(config: GaussianConfig) -> Any:
    """Return the module that has ``initial`` and ``advance`` for these settings."""
    if config.memory == "accumulate_subsample":
        return _subsamples
    return _lineages if config.dim == 1 else _matrices
