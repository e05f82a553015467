"""Checks of arguments: generations, sample sizes, memories, estimators."""

from __future__ import annotations

from typing import Any

import numpy as np

MEMORIES = ("replace", "accumulate", "accumulate_subsample")
ESTIMATORS = ("unbiased", "mle")
_LARGEST = 2.0**53  # up to which a float64 tells whole numbers apart


class UnknownLawError(ValueError):
    """The quantity has no known closed form or quadrature under this memory."""


def unknown(quantity: str, memory: str, instead: str) -> UnknownLawError:
    """Make the error that names what is unknown and what can be used instead."""
    return UnknownLawError(f"{quantity} is not known under memory {memory!r}; {instead}")


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def check_process(memory: Any, estimator: Any) -> None:
    """Raise ValueError for an unknown memory or estimator."""
    check_choice("memory", memory, MEMORIES)
    check_choice("estimator", estimator, ESTIMATORS)


def generations(t: Any) -> np.ndarray:
    """Return ``t`` as float64; raise unless it is an integer >= 0, or infinity for the limit."""
    values = np.asarray(t, dtype=np.float64)
    whole = (values == np.floor(values)) & (values <= _LARGEST)
    bad = ~((values >= 0) & (whole | np.isinf(values)))
    if bad.any():
        raise ValueError(
            "t must be a generation: an integer >= 0 and at most 2**53 (or inf), "
            f"got {values[bad].flat[0]:g}"
        )
    return values


def samples(n: Any) -> np.ndarray:
    """Return ``n`` as float64; raise unless it is an integer >= 2."""
    values = np.asarray(n, dtype=np.float64)
    bad = ~((values >= 2) & (values == np.floor(values)) & (values <= _LARGEST))
    if bad.any():
        raise ValueError(
            "n must be a number of samples: an integer >= 2 and at most 2**53, "
            f"got {values[bad].flat[0]:g}"
        )
    return values


def process(t: Any, n: Any, memory: Any, estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (t, n), checked and broadcast against each other."""
    check_process(memory, estimator)
    t, n = np.broadcast_arrays(generations(t), samples(n))
    return t, n


def numbers(values: Any) -> Any:
    """Return a list as an array (JAX would take it for a tree), and anything else unchanged."""
    return np.asarray(values, dtype=np.float64) if isinstance(values, list | tuple) else values


def scalar(values: Any) -> Any:
    """Return a float if the result has no axes, else the array."""
    return float(values) if np.ndim(values) == 0 else np.asarray(values)
