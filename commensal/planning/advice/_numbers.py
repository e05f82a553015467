"""All numbers of a plan, from which its answers and their sensitivities are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from commensal.planning.advice._best import best_weights
from commensal.planning.advice._errors import (
    PlannedErrors,
    best_in_generation,
    error_with,
    generations_until,
    planned_errors,
)
from commensal.planning.advice._plan import DocumentPlan, DocumentWeights
from commensal.planning.advice._vocabulary import WordsLeft, vocabulary
from commensal.theory import regression


@dataclass(frozen=True)
class Numbers:
    """Numbers of one plan; NaN where there is none.

    Attributes
    ----------
    plan : DocumentPlan
        What they are of.
    errors : PlannedErrors
        Errors by generation.
    until : float
        Generation in which the named loss is reached.
    radius : float
        Spectral radius ρ(Q) of the weights in use, by which errors grow.
    bound : float
        Bound on it whatever the real documents are, without newly collected ones.
    coverage : float
        Least c with F ⪰ c S̲: what one newly collected document covers, over one of models.
    best : DocumentWeights or None
        Weights with the smallest error in the limit; under another memory than "replace", those of
        the share of models' documents with the smallest error in generation T.
    best_share : float
        Share of models' documents in a training batch with the best weights.
    best_error : float
        That error, in units of the one on human documents alone.
    efficiency, best_efficiency : float
        Error of all first human documents together over the error in the limit, with the weights
        in use and with the best.
    words : WordsLeft or None
        Words by generation.
    """

    plan: DocumentPlan
    errors: PlannedErrors
    until: float
    radius: float
    bound: float
    coverage: float
    best: DocumentWeights | None
    best_share: float
    best_error: float
    efficiency: float
    best_efficiency: float
    words: WordsLeft | None

    @property
    def error(self) -> float:
        """Error in generation T."""
        return float(self.errors.mean[self.plan.settings.generations])

    @property
    def vocabulary(self) -> float:
        """Share of words that is left in generation T."""
        return float(self.words.left / self.words.human) if self.words else np.nan

    @property
    def safe_documents(self) -> float:
        """Newly collected documents per model that make the weights stable whatever is read."""
        w, s = self.plan.document_weights, self.plan.settings
        if self.bound <= 1:
            return 0.0
        web = s.models * s.synthetic * w.synthetic
        return (self.bound - 1) * web / (w.human or 1) / self.coverage if self.coverage else np.inf

    @property
    def safe_share(self) -> float:
        """Same as a share of the weight of all new documents."""
        if self.bound <= 1:
            return 0.0
        return (self.bound - 1) / (self.bound - 1 + self.coverage)

    @property
    def worst(self) -> float:
        """Bound on ρ(Q) with the human documents that are newly collected."""
        phi, s = self.plan.mixed.human_share, self.plan.settings
        if not s.synthetic:
            return 0.0
        c = self.coverage * s.fresh / s.synthetic
        return (1 - phi) * self.bound / (1 - phi + phi * c) if phi < 1 else 0.0


def numbers(plan: DocumentPlan, *, base: Numbers | None = None, search: bool = True) -> Numbers:
    """Compute all numbers of a plan.

    Parameters
    ----------
    plan : DocumentPlan
        What they are of.
    base : Numbers or None
        Numbers of a plan of which this one is a variant: what both share is not computed again, and
        the scatter is left out.
    search : bool
        Whether the best weights are others than those of ``base``.
    """
    errors = planned_errors(plan, scatter=base is None)
    chosen = base.best if base else None
    if search and plan.settings.memory == "replace":
        chosen = best_weights(plan)
    elif base is None:
        chosen = best_in_generation(plan)
    elif search:
        chosen = None  # a search by generation takes too long for every variant
    share, least = np.nan, np.nan
    if chosen is not None:
        weighed = plan.weighing(chosen)
        share, least = float(weighed.parts[2]), error_with(weighed)
    measured = base is not None and plan.grams is not None
    return Numbers(
        plan=plan,
        errors=errors,
        until=generations_until(plan, errors),
        radius=_radius(plan),
        bound=base.bound if measured and base else _bound(plan),
        coverage=base.coverage if measured and base else _coverage(plan),
        best=chosen,
        best_share=share,
        best_error=least / plan.real_error,
        efficiency=plan.pooled_error / (errors.settled * plan.real_error),
        best_efficiency=plan.pooled_error / least if plan.settings.memory == "replace" else np.nan,
        words=vocabulary(plan),
    )


def _radius(plan: DocumentPlan) -> float:
    try:
        return float(regression.spectral_radius(plan.workflow))
    except regression.UntrustedError:
        return np.nan


def _bound(plan: DocumentPlan) -> float:
    if plan.grams is not None and plan.settings.synthetic:
        reads = None if plan.alike else plan.network
        return max(float(regression.design_bound(plan.each["synthetic"], reads).bound), 1.0)
    if plan.alike:
        return float(regression.stability_bound(plan.settings.models))
    return float(regression.stability_bound(plan.network))


def _coverage(plan: DocumentPlan) -> float:
    """Return the largest c with F ⪰ c M_k for what every model k reads, per document."""
    if plan.grams is None:
        return 1.0
    read: Any = np.einsum("kj,jab->kab", plan.network, plan.each["synthetic"])
    found = []
    for gram in read:
        values, vectors = np.linalg.eigh(gram)
        there = values > len(values) * np.finfo(float).eps * values[-1]
        half = vectors[:, there] / np.sqrt(values[there])
        found.append(np.linalg.eigvalsh(half.T @ plan.each["human"] @ half)[0])
    least = float(min(found))
    return least if least > 1e-9 else 0.0
