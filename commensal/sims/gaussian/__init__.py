r"""Simulate recursive Gaussian estimation, for lineages by the million and for populations.

`pollination`, sec. 6.1 and app. A: n points are drawn from a Gaussian model, the next model is
fitted to them, and so on; Shumailov et al. (2024) is the ancestor, and Kazdan et al. (2025) have
the pools that accumulate. Lineages run on sufficient statistics where that is exact (a Gaussian
truth, all memories but "accumulate_subsample"), so that a generation costs two random numbers
whatever n; otherwise, or where asked for, points are drawn and models refitted. No closed form of
:mod:`commensal.theory` is used: each is the other's check.

:func:`simulate` keeps every lineage; :func:`moments` keeps means, variances and quantiles with
their standard errors, however many lineages there are; :func:`simulate_populations` runs
populations with selection, mutation and crossover. The processes can be stepped by hand, too: a
state comes from :func:`init` (:func:`init_populations`), the next one from :func:`step`, and
:func:`observe` reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commensal._lazy import attach

if TYPE_CHECKING:
    from commensal.sims.gaussian._config import GaussianConfig
    from commensal.sims.gaussian._moments import moments
    from commensal.sims.gaussian._population_config import PopulationConfig
    from commensal.sims.gaussian._population_steps import (
        init_populations,
        observe_populations,
        step_populations,
    )
    from commensal.sims.gaussian._populations import simulate_populations
    from commensal.sims.gaussian._process import init, observe, step
    from commensal.sims.gaussian._simulate import simulate

__all__ = [
    "GaussianConfig",
    "PopulationConfig",
    "init",
    "init_populations",
    "moments",
    "observe",
    "observe_populations",
    "simulate",
    "simulate_populations",
    "step",
    "step_populations",
]

_PLACES = {
    "GaussianConfig": "commensal.sims.gaussian._config",
    "PopulationConfig": "commensal.sims.gaussian._population_config",
    "init": "commensal.sims.gaussian._process",
    "init_populations": "commensal.sims.gaussian._population_steps",
    "moments": "commensal.sims.gaussian._moments",
    "observe": "commensal.sims.gaussian._process",
    "observe_populations": "commensal.sims.gaussian._population_steps",
    "simulate": "commensal.sims.gaussian._simulate",
    "simulate_populations": "commensal.sims.gaussian._populations",
    "step": "commensal.sims.gaussian._process",
    "step_populations": "commensal.sims.gaussian._population_steps",
}
__getattr__, __dir__ = attach(__name__, __all__, _PLACES)
