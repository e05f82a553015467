"""Lexical fingerprints of models: their likeness within families, across families and over time.

A fingerprint is what a model says more often than people do: words, bigrams and trigrams with
weights. They come from texts (:func:`fingerprints_of`) or from profiles that slop-forensics wrote
(:func:`read_profiles`). No torch is needed, and nothing is trained.

    models = read_models()                                  # family and release date of each
    chosen = choose(read_profiles("profiles.json"), models.names)
    alike = jaccard(shared(matrix(chosen)))                 # N x N
    pairs = pairs_of(alike, models.codes())
    bootstrap(pairs, {"delta": lambda counts=None: cliffs_delta(pairs, counts)}, unit="model")
    asymmetry(influence(matrix(chosen, weights="score")), models.codes(), models.dates)

:func:`compare` and :func:`analyse` do all of it, and :func:`write_report` puts it on a page.
"""

from commensal.llm.fingerprint._amounts import amounts_of, equal_amounts
from commensal.llm.fingerprint._analysis import Analysis, analyse
from commensal.llm.fingerprint._bootstrap import Interval, bootstrap, interval
from commensal.llm.fingerprint._comparison import Comparison, compare
from commensal.llm.fingerprint._deployed import deployed, pair_table
from commensal.llm.fingerprint._influence import Asymmetry, asymmetry, directed_pairs
from commensal.llm.fingerprint._models import Models, models_of, read_models
from commensal.llm.fingerprint._pairs import (
    heaviest,
    influence,
    jaccard,
    matrix,
    row_normalised,
    shared,
)
from commensal.llm.fingerprint._profiles import (
    KINDS,
    Fingerprint,
    choose,
    holds_profiles,
    read_profiles,
)
from commensal.llm.fingerprint._published import DELTA, OVERLAP, choices, shuffled
from commensal.llm.fingerprint._report import write_report
from commensal.llm.fingerprint._runs import read_run_texts
from commensal.llm.fingerprint._statistics import (
    Density,
    Histogram,
    Pairs,
    bandwidth,
    cliffs_delta,
    pairs_of,
)
from commensal.llm.fingerprint._texts import (
    english,
    fingerprint,
    fingerprints_of,
    pooled,
    read_texts,
    samples_table,
    tokens,
)

__all__ = [
    "DELTA",
    "KINDS",
    "OVERLAP",
    "Analysis",
    "Asymmetry",
    "Comparison",
    "Density",
    "Fingerprint",
    "Histogram",
    "Interval",
    "Models",
    "Pairs",
    "amounts_of",
    "analyse",
    "asymmetry",
    "bandwidth",
    "bootstrap",
    "choices",
    "choose",
    "cliffs_delta",
    "compare",
    "deployed",
    "directed_pairs",
    "english",
    "equal_amounts",
    "fingerprint",
    "fingerprints_of",
    "heaviest",
    "holds_profiles",
    "influence",
    "interval",
    "jaccard",
    "matrix",
    "models_of",
    "pair_table",
    "pairs_of",
    "pooled",
    "read_models",
    "read_profiles",
    "read_run_texts",
    "read_texts",
    "row_normalised",
    "samples_table",
    "shared",
    "shuffled",
    "tokens",
    "write_report",
]
