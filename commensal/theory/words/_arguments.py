"""Checks of arguments: generations, shares, tokens, memories, frequencies and networks."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from commensal._precision import AnyArray, is_concrete
from commensal.networks import check_network

MEMORIES = ("replace", "accumulate")
_LARGEST = 10_000_000  # generations that are counted one by one


def generations(values: Any) -> np.ndarray:
    """Return ``values`` as float64; raise unless integers from 1 to 10⁷, or infinity."""
    known = np.asarray(values, dtype=np.float64)
    whole = (known == np.floor(known)) & (known <= _LARGEST)
    bad = ~((known >= 1) & (whole | np.isinf(known)))
    if bad.any():
        raise ValueError(
            "generations must be integers from 1 to 10⁷, or inf for the limit, got "
            f"{known[bad].flat[0]:g}"
        )
    return known


def memory(value: Any) -> str:
    """Return ``value``; raise unless it is a memory that is known here."""
    if value not in MEMORIES:
        raise ValueError(f"memory must be one of {', '.join(MEMORIES)}, got {value!r}")
    return value


def share(values: Any) -> AnyArray:
    """Return ``values`` as float64; raise if a known one is outside [0, 1]."""
    return _within(values, "human_share", 0.0, 1.0)


def at_least(values: Any, name: str, least: float | int) -> AnyArray:
    """Return ``values`` as float64; raise if a known one is below ``least``."""
    return _within(values, name, least, np.inf)


def token_number(value: Any) -> float:
    """Return a number of tokens as a float; raise if it is below one."""
    found = float(value)
    if not (np.isfinite(found) and found >= 1):
        raise ValueError(f"tokens must be at least 1, got {found:g}")
    return found


def _within(values: Any, name: str, least: float | int, most: float | int) -> AnyArray:
    array = jnp.asarray(values, dtype=jnp.float64)
    if is_concrete(array):
        known = np.asarray(array)
        bad = ~(np.isfinite(known) & (known >= least) & (known <= most))
        if bad.any():
            where = f"at least {least:g}" if np.isinf(most) else f"from {least:g} to {most:g}"
            raise ValueError(f"{name} must be {where}, got {known[bad].flat[0]:g}")
    return array


def frequencies(values: Any, name: str = "law", axes: int = 1) -> AnyArray:
    """Return counts or weights as frequencies; raise unless they are >= 0 with a positive sum."""
    array = jnp.asarray(values, dtype=jnp.float64)
    if array.ndim != axes or not array.size:
        shape = "(V,)" if axes == 1 else "(K, V)"
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    if is_concrete(array):
        known = np.asarray(array)
        if not (np.isfinite(known) & (known >= 0)).all() or not (known.sum(axis=-1) > 0).all():
            raise ValueError(f"{name} must be counts or weights >= 0 with a sum above 0")
    return array / array.sum(axis=-1, keepdims=True)


def reads(values: Any) -> np.ndarray:
    """Return who reads whom, (K, K) float64; raise unless its rows are shares that sum to one."""
    known = check_network(values)
    return known / known.sum(axis=1, keepdims=True)
