"""Interacting Gaussian mixtures in closed form (`webdynamics` sec. 3.2, 4.2 and app. A).

n mixtures of the same B components post points on one web and update their weights from random
points of it. A :class:`Setup` holds the system. For well-separated components means and variances
over runs are exact at every generation; for overlapping ones they are linearised around the
consensus. The law that :func:`disagreement` gives is the simplest of them.
"""

from commensal.theory.mixture._falls import (
    disagreement_quantile,
    disagreement_survival,
    expected_falls,
    probability_of_fall,
)
from commensal.theory.mixture._geometry import Estimate, Geometry
from commensal.theory.mixture._moments import (
    ConsensusLimit,
    MixtureMoments,
    consensus_limit,
    second_moments,
)
from commensal.theory.mixture._network import network_disagreement, network_moments
from commensal.theory.mixture._noise import contraction, disagreement, disagreement_path
from commensal.theory.mixture._overlap import Overlap, overlap
from commensal.theory.mixture._positivity import positivity_probability, positivity_threshold
from commensal.theory.mixture._setup import MixtureSchedule, Setup
from commensal.theory.mixture._trap import escape_probability, escape_rate
from commensal.theory.mixture._update import MeanField, expected_update, mean_field

__all__ = [
    "ConsensusLimit",
    "Estimate",
    "Geometry",
    "MeanField",
    "MixtureMoments",
    "MixtureSchedule",
    "Overlap",
    "Setup",
    "consensus_limit",
    "contraction",
    "disagreement",
    "disagreement_path",
    "disagreement_quantile",
    "disagreement_survival",
    "escape_probability",
    "escape_rate",
    "expected_falls",
    "expected_update",
    "mean_field",
    "network_disagreement",
    "network_moments",
    "overlap",
    "positivity_probability",
    "positivity_threshold",
    "probability_of_fall",
    "second_moments",
]
