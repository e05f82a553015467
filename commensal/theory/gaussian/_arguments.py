"""What may be asked: generations, sample sizes, workflows, estimators."""

from __future__ import annotations

from typing import Any

import numpy as np

WORKFLOWS = ("replace", "accumulate", "accumulate_subsample")
ESTIMATORS = ("unbiased", "mle")


class UnknownLawError(ValueError):
    """No closed form or quadrature is known for this quantity under this workflow."""


def unknown(quantity: str, workflow: str, instead: str) -> UnknownLawError:
    """The error that names what is unknown and what can be used instead."""
    return UnknownLawError(f"{quantity} is not known under workflow {workflow!r}; {instead}")


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ValueError unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def check_process(workflow: Any, estimator: Any) -> None:
    """Raise ValueError for an unknown workflow or estimator."""
    check_choice("workflow", workflow, WORKFLOWS)
    check_choice("estimator", estimator, ESTIMATORS)


def generations(t: Any) -> np.ndarray:
    """``t`` as float64 after a check: integers >= 0, or infinity for the limit."""
    values = np.asarray(t, dtype=np.float64)
    bad = ~((values >= 0) & ((values == np.floor(values)) | np.isinf(values)))
    if bad.any():
        raise ValueError(
            f"t must be a generation: an integer >= 0 (or inf), got {values[bad].flat[0]:g}"
        )
    return values


def samples(n: Any) -> np.ndarray:
    """``n`` as float64 after a check: integers >= 2."""
    values = np.asarray(n, dtype=np.float64)
    bad = ~((values >= 2) & (values == np.floor(values)) & np.isfinite(values))
    if bad.any():
        raise ValueError(
            f"n must be a number of samples: an integer >= 2, got {values[bad].flat[0]:g}"
        )
    return values


def process(t: Any, n: Any, workflow: Any, estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked (t, n), broadcast against each other."""
    check_process(workflow, estimator)
    t, n = np.broadcast_arrays(generations(t), samples(n))
    return t, n


def numbers(values: Any) -> Any:
    """A list as an array (to JAX it would be a tree); anything else as it is."""
    return np.asarray(values, dtype=np.float64) if isinstance(values, list | tuple) else values


def scalar(values: Any) -> Any:
    """A float where the result has no axes, the array otherwise."""
    return float(values) if np.ndim(values) == 0 else np.asarray(values)
