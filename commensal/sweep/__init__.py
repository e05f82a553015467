"""Grids over theory and simulations, as named arrays: chunked, resumable, on all cores."""

from commensal.sweep._checkpoint import SweepFileError, load
from commensal.sweep._regression import RegressionSweep, read_grams, regression

__all__ = ["RegressionSweep", "SweepFileError", "load", "read_grams", "regression"]
