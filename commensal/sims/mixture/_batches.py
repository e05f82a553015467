"""Which replicates are drawn together, on how many cores, and from which key."""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

# Replicates in a batch; part of what a seed means, so the same on every machine. Fewer, and
# starting kernels costs more than they do; more, and the points leave the second-level cache.
WIDTH = 128


def available_cores() -> int:
    """Cores to share work over; one where the work is an accelerator's."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_key(seed: int, key: PRNGKeyArray | None) -> PRNGKeyArray:
    """``key``, or the one of ``seed``; a ValueError where it is not one threefry key."""
    # by name: the session's default may be another
    default = jax.random.key(seed, impl="threefry2x32")
    if key is None:
        return default
    typed = jnp.asarray(key)
    if not jnp.issubdtype(typed.dtype, jax.dtypes.prng_key):
        typed = jax.random.wrap_key_data(typed)
    if typed.shape != () or typed.dtype != default.dtype:
        raise ValueError(
            f"key must be one threefry key, as jax.random.key(0) makes it, got {typed.dtype} "
            f"of shape {typed.shape}"
        )
    return typed
