"""Interactive linear regression in closed form (`interactive`, sec. 4-5 and app. E).

A :class:`RegressionWorkflow` holds the Gram matrices and mixing weights of K models that train on
each other's output; the functions here give its moments, errors and stability exactly, in O(K d³).
"""

from commensal.theory.regression._grid import Grid, GridStability, grid, grid_stability
from commensal.theory.regression._isotropic import (
    isotropic_human_share,
    isotropic_mix,
    isotropic_mse,
)
from commensal.theory.regression._linalg import STABILITY_MARGIN
from commensal.theory.regression._moments import (
    Conditional,
    Limit,
    RegressionMoments,
    UnstableError,
    UntrustedError,
    conditional,
    consensus_distance,
    limit,
    mse,
    mspe,
    relative_efficiency,
    spectral_radius,
    trajectory,
)
from commensal.theory.regression._networks import (
    DesignBound,
    IsotropicErrors,
    aligned_bound,
    critical_alpha,
    design_bound,
    effective_sources,
    isotropic_network,
    one_step_bound,
)
from commensal.theory.regression._optimum import (
    HumanShare,
    Mix,
    optimal_human_share,
    optimal_mix,
)
from commensal.theory.regression._redrawn import mean_square_radius
from commensal.theory.regression._stability import safe_human_share, stability_bound
from commensal.theory.regression._training import (
    Dependence,
    Filters,
    RegressionTraining,
    dependence,
)
from commensal.theory.regression._workflow import RegressionWorkflow

__all__ = [
    "STABILITY_MARGIN",
    "Conditional",
    "Dependence",
    "DesignBound",
    "Filters",
    "Grid",
    "GridStability",
    "HumanShare",
    "IsotropicErrors",
    "Limit",
    "Mix",
    "RegressionMoments",
    "RegressionTraining",
    "RegressionWorkflow",
    "UnstableError",
    "UntrustedError",
    "aligned_bound",
    "conditional",
    "consensus_distance",
    "critical_alpha",
    "dependence",
    "design_bound",
    "effective_sources",
    "grid",
    "grid_stability",
    "isotropic_human_share",
    "isotropic_mix",
    "isotropic_mse",
    "isotropic_network",
    "limit",
    "mean_square_radius",
    "mse",
    "mspe",
    "one_step_bound",
    "optimal_human_share",
    "optimal_mix",
    "relative_efficiency",
    "safe_human_share",
    "spectral_radius",
    "stability_bound",
    "trajectory",
]
