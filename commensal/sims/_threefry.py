"""Random bits of JAX's generator, threefry 2x32, written so that XLA:CPU makes one kernel of it.

``jax.random.bits`` compiles there to a loop of five steps over the whole array, and computes
either word of each block in a kernel of its own. Written out in full it would be computed anew in
every kernel that uses it, since XLA takes integer arithmetic for free. Here it is one kernel,
which writes both words of a block. Measured per word on one core of a shared server, in a sum of
words that stay in cache: 0.8 ns against 1.1 to 2.2 ns (``benchmarks/gpu.py``, "Random bits").

The words are those of JAX (tested): ``bits(key, n)`` are the high and the low half of
``jax.random.bits(key, (n,), uint64)``, and :func:`fold_in` is JAX's, where
``jax_threefry_partitionable`` is on, as it is by default.

Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, UInt32

_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)

# A key as JAX makes it, or its two words: inside a compiled loop the latter save conversions.
Key = PRNGKeyArray | UInt32[Array, "2"]


def words(key: Key) -> UInt32[Array, "2"]:
    """Return the two words of a threefry key."""
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(key)
    return key


def fold_in(key: Key, data: Any) -> UInt32[Array, "2"]:
    """Derive key number ``data`` from ``key``, as ``jax.random.fold_in`` does."""
    number = jnp.asarray(data).astype(jnp.uint32)
    return jnp.stack(_block(words(key), jnp.zeros_like(number), number))


def bits(
    key: Key, size: int, row: Any = 0
) -> tuple[UInt32[Array, "*rows size"], UInt32[Array, "*rows size"]]:
    """Draw two words of 32 random bits per lineage, from counter (row, lineage).

    Parameters
    ----------
    key : PRNGKeyArray or its two words
    size : int
        The first lineages of more are the same.
    row : int or array
        Counters' high word, below 2³²: one row of bits for each.
    """
    key = words(key)
    high = jnp.asarray(row).astype(jnp.uint32)[..., None]
    low = jnp.arange(size, dtype=jnp.uint32)

    def both() -> Array:
        # a kernel has one output: the two words travel as a complex number, untouched
        return jax.lax.complex(*(_bitcast(w, jnp.float32) for w in _block(key, high, low)))

    # Always true, but XLA does not see it; and out of a branch nothing is computed twice.
    always = (key[0] | np.uint32(1)) != 0
    pair = jax.lax.cond(always, both, lambda: jnp.zeros((*high.shape[:-1], size), jnp.complex64))
    return _bitcast(jnp.real(pair), jnp.uint32), _bitcast(jnp.imag(pair), jnp.uint32)


_bitcast = jax.lax.bitcast_convert_type


def _block(key: UInt32[Array, "2"], high: Array, low: Array) -> tuple[Array, Array]:
    keys = key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA)
    x, y = high + keys[0], low + keys[1]
    for group in range(5):
        for distance in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(distance) | y >> np.uint32(32 - distance)) ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x, y
