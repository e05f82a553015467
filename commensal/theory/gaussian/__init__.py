"""Recursive Gaussian estimation in closed form (`pollination`, sec. 6 and app. A).

Each generation draws n points from the last fitted Gaussian, or from a pool to which every model
has added n, and is fitted to them. Here are the moments, the law of the fitted standard deviation
and the tail of a single fit, exactly. Variances are ratios to the true one; generation 1 is fitted
to n real points.
"""

from commensal.theory.gaussian._arguments import UnknownLawError
from commensal.theory.gaussian._bounds import chernoff_bound, chernoff_constant, w2_bound
from commensal.theory.gaussian._bures import w2_gaussian
from commensal.theory.gaussian._collapse import time_to_collapse, time_to_collapse_lognormal
from commensal.theory.gaussian._determinants import (
    expected_determinant,
    expected_log_determinant,
    variance_log_determinant,
)
from commensal.theory.gaussian._human import StationaryMoments, stationary_moments
from commensal.theory.gaussian._log_moments import (
    expected_log_variance,
    expected_std,
    expected_w2,
    variance_log_variance,
)
from commensal.theory.gaussian._moments import expected_squared_error, expected_variance
from commensal.theory.gaussian._quantiles import (
    log_std_quantile,
    std_cdf,
    std_quantile,
    std_quantile_lognormal,
)
from commensal.theory.gaussian._spread import lineages_needed, share_carrying_mean
from commensal.theory.gaussian._tail import (
    best_of_survival,
    log_w2_survival,
    w2_survival,
    w2_survival_approximation,
)
from commensal.theory.gaussian._tail_table import tail_table
from commensal.theory.gaussian._traces import (
    TraceMoments,
    expected_mean_squared_error,
    expected_trace,
    trace_moments,
    variance_trace,
)

__all__ = [
    "StationaryMoments",
    "TraceMoments",
    "UnknownLawError",
    "best_of_survival",
    "chernoff_bound",
    "chernoff_constant",
    "expected_determinant",
    "expected_log_determinant",
    "expected_log_variance",
    "expected_mean_squared_error",
    "expected_squared_error",
    "expected_std",
    "expected_trace",
    "expected_variance",
    "expected_w2",
    "lineages_needed",
    "log_std_quantile",
    "log_w2_survival",
    "share_carrying_mean",
    "stationary_moments",
    "std_cdf",
    "std_quantile",
    "std_quantile_lognormal",
    "tail_table",
    "time_to_collapse",
    "time_to_collapse_lognormal",
    "trace_moments",
    "variance_log_determinant",
    "variance_log_variance",
    "variance_trace",
    "w2_bound",
    "w2_gaussian",
    "w2_survival",
    "w2_survival_approximation",
]
