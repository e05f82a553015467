"""Sweeps of the theory over grids, as named arrays: chunked, resumable, on all cores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal._checkpoint import OutputFileError, load
    from commensal.designs import read_grams
    from commensal.sweep._config import RegressionSweep
    from commensal.sweep._regression import regression

__all__ = ["OutputFileError", "RegressionSweep", "load", "read_grams", "regression"]

_PLACES = {
    "RegressionSweep": "commensal.sweep._config",
    "OutputFileError": "commensal._checkpoint",
    "load": "commensal._checkpoint",
    "read_grams": "commensal.designs",
    "regression": "commensal.sweep._regression",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
