"""The one key that a simulation starts from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray


def check_key(seed: int, key: PRNGKeyArray | None) -> PRNGKeyArray:
    """``key``, or the one of ``seed``; a ValueError where it is not one threefry key."""
    # by name: the session's default may be another
    default = jax.random.key(seed, impl="threefry2x32")
    if key is None:
        return default
    typed = jnp.asarray(key)
    if not jnp.issubdtype(typed.dtype, jax.dtypes.prng_key):
        typed = jax.random.wrap_key_data(typed)
    # under vmap an rbg key draws for the whole batch at once, not for each replicate
    if typed.shape != () or typed.dtype != default.dtype:
        raise ValueError(
            f"key must be one threefry key, as jax.random.key(0) makes it, got {typed.dtype} "
            f"of shape {typed.shape}"
        )
    return typed
