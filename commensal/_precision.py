"""Arithmetic in 64 bits, switched on locally and never for the whole session."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

# What a 64-bit function returns: JAX arrays in a 64-bit session and under a
# transformation, NumPy arrays otherwise.
AnyArray = jax.Array | np.ndarray

F = TypeVar("F", bound=Callable[..., Any])


def is_concrete(tree: Any) -> bool:
    """Return whether no leaf of ``tree`` is being traced by jit, grad or vmap."""
    return not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def _to_float64(leaf: Any) -> Any:
    if isinstance(leaf, (jax.Array, np.ndarray, np.floating)):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(leaf, dtype=jnp.float64)
        return leaf
    if isinstance(leaf, float):
        return jnp.asarray(leaf, dtype=jnp.float64)
    return leaf


def float64(function: F) -> F:
    """Run ``function`` in 64-bit arithmetic, whatever the session's setting.

    Floating-point leaves of the arguments are converted to float64. Results that
    are concrete come back as NumPy arrays when the session itself is 32-bit: a
    64-bit JAX array there would be cut to 32 bits by the caller's next operation.
    In a 64-bit session, and under a transformation, they are JAX arrays.

    Reverse-mode differentiation replays ``function`` after this wrapper has been left: take
    gradients inside ``with jax.enable_x64(True):``, or JAX will cut them to 32 bits and say so.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        session_is_64_bit = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
        if session_is_64_bit:
            args, kwargs = jax.tree.map(_to_float64, (args, kwargs))
            return function(*args, **kwargs)
        with jax.enable_x64(True):
            args, kwargs = jax.tree.map(_to_float64, (args, kwargs))
            result = function(*args, **kwargs)
        return jax.tree.map(_to_numpy, result)

    return wrapped  # pyright: ignore[reportReturnType]


def _to_numpy(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array) and not isinstance(leaf, Tracer):
        return np.asarray(leaf)
    return leaf
