"""The process itself, for a batch of replicates, on noise that is given or drawn.

Inside, replicates are the last axis: every product is then one of a small matrix with a wide
one, and no array is transposed on the way. Axis t of an annotation runs over 0..T.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from commensal.sims.regression._system import System


def run(
    system: System,
    real_noise: tuple[Float[Array, "K n R"], Float[Array, "m R"]],
    web_noise: Callable[[Any], tuple[Float[Array, "K s R"], Float[Array, "h R"]]],
    read: Callable[[Any, Float[Array, "K d R"]], Any],
) -> Any:
    """``read(t, estimates)`` of t = 0..T, stacked: all that happens, happens here."""
    private = system.private_signal[..., None] + system.noise * real_noise[0]
    public = system.public_signal[..., None] + system.noise * real_noise[1]
    k, _, replicates = private.shape

    def generation(before, t):
        published_noise, human_noise = web_noise(t)
        published = system.prompts[system.prompts_at[t]] @ before + system.noise * published_noise
        human = system.human_signal[system.human_at[t]][:, None] + system.noise * human_noise
        shared = jnp.concatenate([public, published.reshape(-1, replicates), human])
        at = system.operator_at[t]
        from_shared = (system.shared_operator[at] @ shared).reshape(k, -1, replicates)
        after = system.own_operator[at] @ private + from_shared
        return after, read(t, after)

    # t = 0 needs no case of its own: what nobody has published yet has weight zero there, and so
    # has its noise
    nothing = jnp.zeros((k, system.theta.size, replicates))
    return jax.lax.scan(generation, nothing, jnp.arange(system.operator_at.size))[1]


def drawn(
    system: System, key: PRNGKeyArray, first: Any, size: int, read: Callable[..., Any]
) -> Any:
    """:func:`run` on the noise of replicates ``first`` .. ``first + size - 1``."""
    keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(first + jnp.arange(size))

    def draw(t, *shapes) -> Any:
        # one call for all parties, by replicate and generation: nothing else enters
        counts = [int(np.prod(shape)) for shape in shapes]
        flat = jax.vmap(
            lambda k: jax.random.normal(jax.random.fold_in(k, t), (sum(counts),), jnp.float64),
            out_axes=1,
        )(keys)
        parts = jnp.split(flat, np.cumsum(counts)[:-1])
        return tuple(p.reshape(*shape, size) for p, shape in zip(parts, shapes, strict=True))

    real = system.private_signal.shape, system.public_signal.shape
    web = system.prompts.shape[1:3], system.human_signal.shape[1:]
    return run(system, draw(0, *real), lambda t: draw(t, *web), read)
