"""Figures as functions: datasets in, a matplotlib Figure out.

Nothing is shown, no backend is chosen and no global setting is changed; ``savefig`` is the
caller's. The maps take what :func:`commensal.sweep.regression` returns. Grids may have a single
point along an axis, and any part of them, or all, may be unstable (NaN). Colours are those of
Okabe and Ito (2008), and colour maps that keep their order for colour-blind readers.
"""

from commensal.plots._audit import corpus_audit
from commensal.plots._cost import PowerLaw, cost, power_law
from commensal.plots._ecosystem import (
    ecosystem_gain,
    ecosystem_perplexities,
    ecosystem_phases,
)
from commensal.plots._forecast import forecast_curves
from commensal.plots._gaussian_lineages import lineages
from commensal.plots._gaussian_populations import (
    populations_by_run,
    populations_over_time,
    selection_ablation,
)
from commensal.plots._gaussian_tails import gaussian_tail_bounds
from commensal.plots._maps import consensus_map, efficiency_map, stability_map
from commensal.plots._memory import memories
from commensal.plots._mixture import disagreements, mixture_histograms, sudden_falls
from commensal.plots._networks import (
    prompts_safety,
    reading_agreement,
    reading_stability,
    redrawn_prompts,
)
from commensal.plots._overlap import overlap
from commensal.plots._pairing import pairing_beside, published_pairing
from commensal.plots._pairing_runs import pairing_changes, pairing_curves, pairing_points
from commensal.plots._planning import planned_errors, sensitivities
from commensal.plots._regression import (
    FIG2_BETAS,
    efficiency_over_alpha,
    human_share,
    optimal_mix,
    trajectories,
)
from commensal.plots._regression_runs import regression_errors
from commensal.plots._selection import selection_course
from commensal.plots._style import PALETTE
from commensal.plots._words import vocabulary, words_retention

__all__ = [
    "FIG2_BETAS",
    "PALETTE",
    "PowerLaw",
    "consensus_map",
    "corpus_audit",
    "cost",
    "disagreements",
    "ecosystem_gain",
    "ecosystem_perplexities",
    "ecosystem_phases",
    "efficiency_map",
    "efficiency_over_alpha",
    "forecast_curves",
    "gaussian_tail_bounds",
    "human_share",
    "lineages",
    "memories",
    "mixture_histograms",
    "optimal_mix",
    "overlap",
    "pairing_beside",
    "pairing_changes",
    "pairing_curves",
    "pairing_points",
    "planned_errors",
    "populations_by_run",
    "populations_over_time",
    "power_law",
    "prompts_safety",
    "published_pairing",
    "reading_agreement",
    "reading_stability",
    "redrawn_prompts",
    "regression_errors",
    "selection_ablation",
    "selection_course",
    "sensitivities",
    "stability_map",
    "sudden_falls",
    "trajectories",
    "vocabulary",
    "words_retention",
]
