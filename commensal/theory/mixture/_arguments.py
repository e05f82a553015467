"""Checks of arguments: weights on the simplex, counts, read shares, rates."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from commensal._precision import AnyArray, is_concrete

# The positivity step of Algorithm 2 leaves Σ_b π_b = 1 + O(ε(ε + αc)); simulators may be float32.
SIMPLEX_TOLERANCE = 1e-5


def simplex(values: Any, name: str = "weights", axes: str = "(..., B)") -> AnyArray:
    """Return ``values`` as float64; raise unless they are B >= 2 shares that sum to one."""
    values = jnp.asarray(values, dtype=jnp.float64)
    if values.ndim == 0 or values.shape[-1] < 2:
        raise ValueError(f"{name} must have shape {axes} with B >= 2, got {values.shape}")
    if is_concrete(values):
        known = np.asarray(values)
        if not (np.isfinite(known) & (known >= 0)).all():
            raise ValueError(f"{name} must be finite and not negative, got {known.min():g}")
        sums = known.sum(axis=-1)
        worst = sums.flat[np.argmax(np.abs(sums - 1))]
        if abs(worst - 1) > SIMPLEX_TOLERANCE:
            raise ValueError(f"{name} must sum to one along the last axis, got a sum of {worst:g}")
    return values


def count(value: Any, name: str, least: int) -> int:
    """Return ``value`` as an int; raise unless it is a whole number in range."""
    number = np.asarray(value)
    if number.ndim or not np.isfinite(number) or number != np.floor(number) or number < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value}")
    if number >= 2**31:
        raise ValueError(f"{name} must be below 2**31, got {value}")
    return int(number)


def draws(values: Any) -> AnyArray:
    """Return numbers of draws as float64; raise unless they are integers >= 1."""
    values = jnp.asarray(values, dtype=jnp.float64)
    if is_concrete(values):
        known = np.asarray(values)
        bad = ~((known >= 1) & (known == np.floor(known)) & np.isfinite(known))
        if bad.any():
            raise ValueError(f"draws must be integers >= 1, got {known[bad].flat[0]:g}")
    return values


def read_share(values: Any) -> AnyArray:
    """Return the read share β as float64, or raise if it is out of range."""
    values = jnp.asarray(values, dtype=jnp.float64)
    if is_concrete(values):
        known = np.asarray(values)
        bad = ~((known > 0) & (known <= 1))
        if bad.any():
            raise ValueError(f"read_share must lie in (0, 1], got {known[bad].flat[0]:g}")
    return values


def learning_rate(value: Any) -> float | None:
    """Return the learning rate α as a float, or raise; None stands for 1/k."""
    if value is None:
        return None
    if not 0 < float(value) <= 1:
        raise ValueError(f"learning_rate must lie in (0, 1] or be None, got {value}")
    return float(value)


def prior(value: Any, components: int) -> float | None:
    """Return the prior c as a float, or raise; None stands for 1/(k B²)."""
    if value is None:
        return None
    if not 0 <= float(value) < 1 / components:
        raise ValueError(f"prior must lie in [0, 1/B) = [0, {1 / components:g}), got {value}")
    return float(value)
