"""Ecosystems of models on segmented data in closed form (extends `diversity`; new here).

M models share a budget of N tokens: each refits to its segment, holding on to what it knew as if
that were λ tokens, writes as much text, and all texts are pooled, shuffled and dealt out again.
Quadratic distances from the truth are exact, perplexity is exact up to 1/N, both for any number
and sizes of segments; :func:`leading` says in elementary terms where the optimum comes from.
"""

from commensal.theory.ecosystem._distance import expected_distance, segment_distances
from commensal.theory.ecosystem._hill import hill_number, hill_shannon
from commensal.theory.ecosystem._island import (
    EcosystemMoments,
    SegmentMoments,
    island,
    second_moments,
    segment_moments,
)
from commensal.theory.ecosystem._leading import (
    Leading,
    best_hold,
    conserved,
    leading,
    paying_window,
    slope_at_one,
)
from commensal.theory.ecosystem._optimum import Gain, best_models, gain, mean_measure
from commensal.theory.ecosystem._perplexity import expected_cross_entropy, segment_cross_entropies
from commensal.theory.ecosystem._vocabulary import Vocabulary, VocabularySums, sums, zipf

__all__ = [
    "EcosystemMoments",
    "Gain",
    "Leading",
    "SegmentMoments",
    "Vocabulary",
    "VocabularySums",
    "best_hold",
    "best_models",
    "conserved",
    "expected_cross_entropy",
    "expected_distance",
    "gain",
    "hill_number",
    "hill_shannon",
    "island",
    "leading",
    "mean_measure",
    "paying_window",
    "second_moments",
    "segment_cross_entropies",
    "segment_distances",
    "segment_moments",
    "slope_at_one",
    "sums",
    "zipf",
]
