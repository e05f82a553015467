"""Process of a batch of replicates: responses are drawn, models are refitted.

Inside, replicates are the last axis: every product is then one of a small matrix with a wide
one, and no array is transposed on the way. Axis t of an annotation runs over 0..T.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from commensal._blocks import at_once
from commensal.designs import Designs
from commensal.sims._keys import check_key, stream
from commensal.sims._stepping import ProcessState, in_64_bit, stepped
from commensal.sims.regression._config import RegressionConfig
from commensal.sims.regression._designs import given_or_drawn
from commensal.sims.regression._system import RegressionSystem, build_system

WIDTH = 256  # replicates of a batch on a CPU: it stays in cache (measured on 2 cores)


class RealData(NamedTuple):
    """Data that no generation changes: the system, and responses that are drawn once."""

    system: RegressionSystem
    private: Float[Array, "K n R"]
    public: Float[Array, "m R"]


class Kept(NamedTuple):
    """Responses of generations that are kept, by slot, as :class:`RegressionSystem` has them."""

    published: Float[Array, "slots K s R"]
    human: Float[Array, "slots *K h R"]


class RegressionNow(NamedTuple):
    """Estimates of the last generation, and the responses that the next ones read again."""

    estimate: Float[Any, "K d R"]
    kept: Kept | None


@in_64_bit
def init(
    config: RegressionConfig | None = None,
    key: PRNGKeyArray | None = None,
    batch: int = 0,
    designs: Designs | None = None,
    theta: Any = None,
) -> ProcessState:
    """Draw the real responses of a batch and fit generation 0 to them.

    Parameters
    ----------
    config : RegressionConfig or None
        Settings; None for the defaults. A batch has 256 replicates on a CPU, and on an
        accelerator as many as its memory holds.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    batch : int
        Number of the batch, among those of :func:`simulate`.
    designs : Designs or None
        Features to use in place of those of ``config``, as for :func:`simulate`.
    theta : Float[np.ndarray, "d"] or None
        True parameter; None for ``designs.truth(d, config.seed)``.

    Returns
    -------
    ProcessState
        State of generation 0, for :func:`step` and :func:`observe`. It can be stepped up to
        ``config.generations``: weights and features are known only that far.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or ``designs`` or ``theta`` do not fit together.

    Notes
    -----
    `interactive`, sec. 5 (training workflow, generation 0) and app. E.

    Examples
    --------
    >>> config, key = RegressionConfig(models=2, dim=6, rank=3, generations=4), jax.random.key(0)
    >>> state = step(init(config, key), key)
    >>> int(state.generation), observe(state).shape
    (1, (2, 6, 256))
    """
    config = config or RegressionConfig()
    key = check_key(config.seed, key)
    system = build_system(config, *given_or_drawn(config, designs, theta))
    return _init(system, key, batch, batch_size(system, config.replicates))


@in_64_bit
def step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    """Publish with every model, pool what is published, and refit every model.

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
        State of the next generation, at most ``config.generations`` of :func:`init`. Beyond it,
        estimates are NaN where the state is traced.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or the last generation has been reached.

    Notes
    -----
    `interactive`, sec. 5 (training workflow); eq. (4) writes it as a linear system.
    """
    last = state.given.system.operator_at.size - 1
    return stepped(state, last, partial(_step, key=check_key(0, key)))


def observe(state: ProcessState) -> Float[Any, "K d R"]:
    """Read the estimate of every model, in units of θ.

    Parameters
    ----------
    state : ProcessState
        State from :func:`init` or :func:`step`.

    Returns
    -------
    Float[Array, "model feature replicate"]
        Estimates, float64.

    Notes
    -----
    The estimates of `interactive`, sec. 5.
    """
    return state.now.estimate


def batch_size(system: RegressionSystem, replicates: int) -> int:
    """Return the number of replicates that are drawn together, on a CPU always :data:`WIDTH`.

    The rounding of a matrix product depends on how wide it is and on where in it a column stands.
    So the width is fixed there, and replicate r always has place r mod width.
    """
    k, d = system.private_signal.shape[0], system.theta.size
    published = system.prompts[0, ..., 0].size + system.human_signal[0].size
    drawn = system.private_signal.size + system.public_signal.size + published
    kept = system.renewed.shape[1] * published
    needed = 8.0 * (12 * drawn + 4 * kept + 2 * (system.operator_at.size + 2) * k * d)
    return WIDTH * at_once(-(-replicates // WIDTH), WIDTH * needed, on_cpu=1)


def before_first(
    system: RegressionSystem,
    private_noise: Float[Array, "K n R"],
    public_noise: Float[Array, "m R"],
    batch: Any = 0,
) -> ProcessState:
    """Make the state before any model has been fitted: real data alone, generation -1."""
    private = system.private_signal[..., None] + system.noise * private_noise
    public = system.public_signal[..., None] + system.noise * public_noise
    k, _, replicates = private.shape
    # what nobody has published yet has weight zero at t = 0, and so has its noise
    nothing = jnp.zeros((k, system.theta.size, replicates))
    kept, slots = None, system.renewed.shape[1]
    if slots:
        shapes = system.prompts.shape[1:3], system.human_signal.shape[1:]
        kept = Kept(*(jnp.zeros((slots, *shape, replicates)) for shape in shapes))
    now, given = RegressionNow(nothing, kept), RealData(system, private, public)
    return ProcessState(jnp.asarray(-1), now, given, None, batch)


def advance(
    state: ProcessState, published_noise: Float[Array, "K s R"], human_noise: Float[Array, "*K h R"]
) -> ProcessState:
    """Take a batch one generation further on this noise."""
    system, private, public = state.given
    t, (before, kept) = state.generation + 1, state.now
    k, _, replicates = private.shape
    published = system.prompts[system.prompts_at[t]] @ before + system.noise * published_noise
    human = system.human_signal[system.human_at[t]][..., None] + system.noise * human_noise
    if kept is not None:
        kept = published, human = Kept(
            _remembered(kept.published, published, system.renewed[t]),
            _remembered(kept.human, human, system.renewed[t]),
        )
    shared, own = [public, published.reshape(-1, replicates)], private
    if system.human_signal.ndim == 3:  # of each model's own humans
        human = human if kept is None else human.swapaxes(0, 1).reshape(k, -1, replicates)
        own = jnp.concatenate([private, human], axis=1)
    else:
        shared.append(human.reshape(-1, replicates))
    at = system.operator_at[t]
    from_shared = system.shared_operator[at] @ jnp.concatenate(shared)
    estimate = system.own_operator[at] @ own + from_shared.reshape(k, -1, replicates)
    return state._replace(generation=t, now=RegressionNow(estimate, kept))


def _remembered(
    kept: Float[Array, "slots *s"], new: Float[Array, "*s"], renewed: Bool[Array, "slots"]
) -> Float[Array, "slots *s"]:
    """Put new responses into their slot, or add them where there is but one."""
    put = kept + new if len(kept) == 1 else new
    return jnp.where(renewed.reshape(-1, *[1] * new.ndim), put, kept)


def drawn_first(system: RegressionSystem, keys: Any, batch: Any = 0) -> ProcessState:
    """Call :func:`before_first` on the noise of replicates with these keys."""
    noise = _draw(keys, 0, system.private_signal.shape, system.public_signal.shape)
    return before_first(system, *noise, batch=batch)


def drawn_advance(state: ProcessState, keys: Any) -> ProcessState:
    """Call :func:`advance` on the noise of replicates with these keys."""
    system = state.given.system
    web = system.prompts.shape[1:3], system.human_signal.shape[1:]
    return advance(state, *_draw(keys, state.generation + 1, *web))


def replicate_keys(own: PRNGKeyArray, batch: Any, size: int) -> Any:
    """Derive the keys of a batch's replicates, each from its own number alone."""
    return jax.vmap(lambda r: jax.random.fold_in(own, r))(batch * size + jnp.arange(size))


def _draw(keys: Any, t: Any, *shapes: tuple[int, ...]) -> Any:
    # one call for all parties, by replicate and generation: nothing else enters
    counts = [int(np.prod(shape)) for shape in shapes]
    flat = jax.vmap(
        lambda k: jax.random.normal(jax.random.fold_in(k, t), (sum(counts),), jnp.float64),
        out_axes=1,
    )(keys)
    parts = jnp.split(flat, np.cumsum(counts)[:-1])
    return tuple(p.reshape(*shape, len(keys)) for p, shape in zip(parts, shapes, strict=True))


@partial(jax.jit, static_argnums=3)
def _init(system: RegressionSystem, key: PRNGKeyArray, batch: Any, size: int) -> ProcessState:
    keys = replicate_keys(stream(key, "regression"), batch, size)
    return drawn_advance(drawn_first(system, keys, batch), keys)


@jax.jit
def _step(state: ProcessState, key: PRNGKeyArray) -> ProcessState:
    size = state.now.estimate.shape[-1]
    return drawn_advance(state, replicate_keys(stream(key, "regression"), state.batch, size))
