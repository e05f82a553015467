"""Fresh human data in every generation: how much each should collect, and what it costs not to.

K models that estimate one number are the simplest case: :func:`best_weight` and
:func:`human_effort`. Ridge and minimum-norm regression on labels of humans and of the last model
have best weights of their own: :func:`best_ridge_weight`, :func:`tuned_ridge` and
:func:`minimum_norm`. For K models with real data, old and fresh, see
:func:`commensal.theory.regression.optimal_human_share`.
"""

from commensal.theory.fresh._effort import (
    Effort,
    HumanEffort,
    best_weight,
    human_effort,
    stationary_error,
)
from commensal.theory.fresh._ridge import (
    RidgeError,
    TunedRidge,
    best_ridge_weight,
    minimum_norm,
    ridge_error,
    tuned_ridge,
)

__all__ = [
    "Effort",
    "HumanEffort",
    "RidgeError",
    "TunedRidge",
    "best_ridge_weight",
    "best_weight",
    "human_effort",
    "minimum_norm",
    "ridge_error",
    "stationary_error",
    "tuned_ridge",
]
