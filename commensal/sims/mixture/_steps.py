"""Steps of mixtures: their first state, their next state, and what is observed."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from commensal.sims._keys import check_key, stream
from commensal.sims._stepping import ProcessState, in_64_bit, stepped
from commensal.sims.mixture import _draws, _full, _process
from commensal.sims.mixture._config import MixtureConfig
from commensal.sims.mixture._points import components
from commensal.sims.mixture._process import MixtureNoise, MixtureNumbers, MixtureRules, rules
from commensal.sims.mixture._schedule import schedule

# Replicates in a batch; part of what a seed means, so the same on every machine. Fewer, and
# starting kernels costs more than they do; more, and the points leave the second-level cache.
WIDTH = 128


@in_64_bit
def init(
    config: MixtureConfig | None = None, key: PRNGKeyArray | None = None, batch: int = 0
) -> ProcessState:
    """Start a batch of replicates from its first weights and its first points, at generation 0.

    Parameters
    ----------
    config : MixtureConfig or None
        Settings; None for the defaults. A batch has 128 replicates, and ``kernel`` is not used: a
        step is one of XLA's.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    batch : int
        Number of the batch, among those of :func:`simulate`.

    Returns
    -------
    ProcessState
        State of generation 0, for :func:`step` and :func:`observe`. It can be stepped up to
        ``config.generations``: there is room for no more points.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key.

    Notes
    -----
    `webdynamics`, sec. 3.2 (Algorithm 3) and 4.2.

    Examples
    --------
    >>> config, key = MixtureConfig(generations=5), jax.random.key(0)
    >>> state = step(init(config, key), key)
    >>> observe(state)["weights"].shape
    (128, 3, 2)
    """
    config = config or MixtureConfig()
    own = own_stream(config.update == "full", check_key(config.seed, key))
    settings = rules(config), numbers(config)
    own = jax.random.fold_in(own, batch)
    return _first(*settings, own, *first_weights(config), batch, config.web is None)


@in_64_bit
def step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Let every model post, draw from the web, and update itself.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or from this function.
    key : PRNGKeyArray
        One threefry key: the same at every step for the numbers of :func:`simulate`, to rounding
        where that runs on numba. With a new one at each step the law is the same.

    Returns
    -------
    ProcessState
        State of the next generation, at most ``config.generations`` of :func:`init`. Beyond it,
        weights are NaN where the state is traced.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or the last generation has been reached.

    Notes
    -----
    `webdynamics`, sec. 3.2: one round of Algorithm 3, with Algorithm 2 for each point.
    """
    of = state.rules
    last = (of.total - of.points) // (of.models * of.posts)
    return stepped(state, last, partial(_step, key=check_key(0, key)))


@in_64_bit
def observe(state: ProcessState) -> dict[str, Any]:
    """Read what :func:`simulate` records with ``keep="weights"``.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or :func:`step`.

    Returns
    -------
    dict of str to Float[Array, "replicate ..."]
        Measurements, float64: ``disagreement`` (replicate,), ``consensus`` (replicate, component)
        and ``weights`` (replicate, model, component). With ``update="full"`` also
        ``density_distance`` (replicate,), ``means`` (replicate, model, component, dimension) in
        units of the data, and in their squared units ``variances`` (replicate, model, component)
        or, where d > 1, ``covariances`` (replicate, model, component, dimension, dimension).

    Notes
    -----
    The disagreement is ‖D^(t)‖_F of `webdynamics`, eq. (4).
    """
    return _observe(state)


def own_stream(full: bool, key: PRNGKeyArray) -> PRNGKeyArray:
    """Derive the key of mixtures, one for moving components and another for fixed ones."""
    return stream(key, "mixture full" if full else "mixture")


def first_weights(config: MixtureConfig) -> tuple[Any, Any]:
    """Return the concentration of the initial weights' law, and these weights if they are given."""
    given = None if config.weights is None else jnp.asarray(np.array(config.weights))
    return jnp.asarray(config.concentration, jnp.float64), given


def numbers(config: MixtureConfig) -> MixtureNumbers:
    """Read the settings on which no compiled program depends."""
    uniform = [1 / config.components] * config.components
    return MixtureNumbers(
        parts=components(config),
        schedule=jax.tree.map(jnp.asarray, schedule(config)),
        web=jnp.asarray(config.web or uniform, jnp.float64),
        human_share=jnp.asarray(config.human_share, jnp.float64),
        epsilon=jnp.asarray(config.epsilon, jnp.float64),
        moving=_full.moving(config),
    )


def first(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    weights: Float[Array, "B n R"],
    points: Float[Array, "d A R"],
    batch: Any = 0,
) -> ProcessState:
    """Make generation 0 with these weights and these points."""
    now = _kind(numbers).initial(rules, numbers, weights, points)
    return ProcessState(jnp.asarray(0), now, numbers, rules, batch)


def drawn_first(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    key: PRNGKeyArray,
    concentration: Float[Array, ""],
    given: Float[Array, "n B"] | None,
    batch: Any,
    written: bool,
) -> ProcessState:
    """Draw generation 0 of a batch, whose own key is ``key``."""
    drawn = _draws.start(rules, numbers, key, concentration, given, written, WIDTH)
    return first(rules, numbers, *drawn, batch)


def advance(state: ProcessState, noise: MixtureNoise) -> ProcessState:
    """Take a batch one generation further on this noise."""
    t = state.generation
    now = _kind(state.given).generation(state.rules, state.given, noise, t, state.now)
    return state._replace(generation=t + 1, now=now)


def read(state: ProcessState, *, all_weights: bool) -> dict[str, Array]:
    """Measure a state, replicates first."""
    found = _weights_read(_kind(state.given).weights_of(state.now), all_weights)
    return found if state.given.moving is None else found | _full.read(state.now, all_weights)


def _weights_read(weights: Float[Array, "B n R"], all_weights: bool) -> dict[str, Array]:
    weights = weights.astype(jnp.float64)
    consensus = jnp.mean(weights, axis=1)
    # eq. (4): Σ_ij |Π_i - Π_j|² = 2 n Σ_i |Π_i - average|²
    spread = jnp.sum((weights - consensus[:, None]) ** 2, axis=(0, 1))
    found = {
        "disagreement": jnp.sqrt(2 * weights.shape[1] * spread),
        "consensus": consensus.T,
    }
    if all_weights:
        found["weights"] = jnp.moveaxis(weights, (0, 2), (2, 0))
    return found


def _kind(numbers: MixtureNumbers) -> Any:
    """Return the module of fixed or moving components; it has ``initial`` and ``generation``."""
    return _process if numbers.moving is None else _full


_first = jax.jit(drawn_first, static_argnums=(0, 6))
_observe = jax.jit(partial(read, all_weights=True))


@jax.jit
def _step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    own = jax.random.fold_in(own_stream(state.given.moving is not None, key), state.batch)
    return advance(state, _draws.noise(state.rules, own, WIDTH))
