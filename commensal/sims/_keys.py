"""Random keys: one key per simulation, and a separate stream for each simulator."""

from __future__ import annotations

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray


def check_key(seed: int, key: PRNGKeyArray | None) -> PRNGKeyArray:
    """Return ``key``, or that of ``seed``; raise ValueError unless it is one threefry key."""
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


def stream(key: PRNGKeyArray, simulator: str) -> PRNGKeyArray:
    """Derive the key of a simulator, which no other simulator has under the same ``key``.

    Without it replicate 0 of one process and batch 0 of another would be driven by the same noise,
    and results of two simulators that share a seed would be correlated.

    Parameters
    ----------
    key : PRNGKeyArray
        One threefry key, from :func:`check_key`.
    simulator : str
        Its name; the number that is folded in follows from it alone.

    Returns
    -------
    PRNGKeyArray
        One threefry key.
    """
    number = int.from_bytes(hashlib.sha256(simulator.encode()).digest()[:4], "little")
    return jax.random.fold_in(key, np.uint32(number))
