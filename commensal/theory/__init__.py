"""Theory in closed form: deterministic, float64, differentiable, without random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.theory import (
        ecosystem,
        fresh,
        gaussian,
        memory,
        mixture,
        regression,
        selection,
        words,
    )

__all__ = [
    "ecosystem",
    "fresh",
    "gaussian",
    "memory",
    "mixture",
    "regression",
    "selection",
    "words",
]

__getattr__, __dir__ = attach(__name__, __all__)
