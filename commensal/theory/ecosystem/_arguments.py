"""Checks of arguments: laws over word types, counts, and how firmly a model holds on."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from commensal._precision import AnyArray, is_concrete


def law(values: Any, name: str) -> AnyArray:
    """Return ``values`` as float64; raise unless they are V >= 2 probabilities that sum to one."""
    values = jnp.asarray(values, dtype=jnp.float64)
    if values.ndim != 1 or values.size < 2:
        raise ValueError(f"{name} must have shape (V,) with V >= 2, got {values.shape}")
    if is_concrete(values):
        known = np.asarray(values)
        if not (np.isfinite(known) & (known > 0)).all():
            raise ValueError(f"{name} must be finite and above 0, got {known.min():g}")
        if abs(known.sum() - 1) > 1e-9:
            raise ValueError(f"{name} must sum to one, got a sum of {known.sum():g}")
    return values


def at_least(values: Any, name: str, least: float | int) -> AnyArray:
    """Return ``values`` as float64; raise if a known one is below ``least``."""
    values = jnp.asarray(values, dtype=jnp.float64)
    if is_concrete(values):
        known = np.asarray(values)
        bad = ~(np.isfinite(known) & (known >= least))
        if bad.any():
            raise ValueError(f"{name} must be at least {least:g}, got {known[bad].flat[0]:g}")
    return values


def cells(tokens: Any, models: Any, hold: Any) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return N, M and λ as float64; raise unless 1 <= M <= N and λ >= 0."""
    tokens = at_least(tokens, "tokens", 2)
    models = at_least(models, "models", 1)
    if is_concrete((tokens, models)):
        n, m = np.broadcast_arrays(np.asarray(tokens), np.asarray(models))
        if (m > n).any():
            raise ValueError(
                f"models must be at most tokens, got {m[m > n][0]:g} models on {n[m > n][0]:g} "
                "tokens"
            )
    return tokens, models, at_least(hold, "hold", 0)


def generations(value: Any) -> int:
    """Return the number of generations as an int; raise unless it is an integer >= 1."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise ValueError(f"generations must be an integer >= 1, got {value}")
    return int(value)


def segments(values: Any) -> AnyArray:
    """Return segment sizes as float64; raise unless there is at least one, each of >= 1 token."""
    values = jnp.asarray(values, dtype=jnp.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"sizes must have shape (M,) with M >= 1, got {values.shape}")
    return at_least(values, "sizes", 1)


def one_of(value: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return ``value``; raise unless it is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value
