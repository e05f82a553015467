r"""Recursive Gaussian estimation as it happens, for lineages by the million and for populations.

`pollination`, sec. 6.1 and app. A: n points are drawn from a Gaussian model, the next model is
fitted to them, and so on; Shumailov et al. (2024) is the ancestor, and Kazdan et al. (2025) have
the pools that accumulate. Lineages run on sufficient statistics where that is exact (a Gaussian
truth, all workflows but "accumulate_subsample"), so that a generation costs two random numbers
whatever n; otherwise, or where asked for, points are drawn and models refitted. No closed form of
:mod:`commensal.theory` is used: each is the other's check.

:func:`simulate` keeps every lineage; :func:`moments` keeps means, variances and quantiles with
their standard errors, however many lineages there are; :func:`simulate_populations` runs
populations with selection, mutation and crossover.
"""

from commensal.sims.gaussian._config import Config
from commensal.sims.gaussian._moments import moments
from commensal.sims.gaussian._population_config import PopulationConfig
from commensal.sims.gaussian._populations import simulate_populations
from commensal.sims.gaussian._simulate import simulate

__all__ = ["Config", "PopulationConfig", "moments", "simulate", "simulate_populations"]
