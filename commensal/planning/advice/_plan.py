r"""A plan in the theory's terms: documents become Gram matrices, their weights α, β and φ.

n documents have the Gram matrix nP, with P = XᵀX/n that of one; without a measured system P is the
identity in one dimension, since documents that cover all directions alike move each of them as
they move one. Per document a model gives weight :math:`w_p` to its own human documents,
:math:`w_*` to those that all have, :math:`w_s` to what models published, and :math:`w_h` to newly
collected human ones. What model k is fitted to has the same minimum as `interactive`'s objective
with

.. math::
    \barαβ : \barα\barβ : α(1-φ) : αφ = w_p : w_* : K w_s : w_h ,

where K stands because the theory has the *mean* of what K models published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from commensal import networks
from commensal.planning.advice._advise_config import AdviseConfig
from commensal.theory import regression


class DocumentWeights(NamedTuple):
    """Weight of one document of each kind, in any unit.

    Attributes
    ----------
    private : float
        Weight of a human document that one model has.
    public : float
        Weight of a human document that all have.
    synthetic : float
        Weight of a document that a model published, mean over models.
    human : float
        Weight of a newly collected human document.
    """

    private: float
    public: float
    synthetic: float
    human: float


class Mixed(NamedTuple):
    """Same weights as the theory has them.

    Attributes
    ----------
    alpha, beta, human_share : float
        Weights α of new data, β of private data in the real data, and share φ of human data in
        the new data.
    """

    alpha: float
    beta: float
    human_share: float


@dataclass(frozen=True)
class DocumentPlan:
    """Settings with their Gram matrices, and the weights in use.

    Attributes
    ----------
    settings : AdviseConfig
        What was asked.
    grams : mapping of str to Float[np.ndarray, "..."] or None
        Gram matrices per document; None for documents that cover all directions alike.
    weights : DocumentWeights or None
        Weights of documents; None for those that the settings give.
    """

    settings: AdviseConfig
    grams: Mapping[str, Any] | None = None
    weights: DocumentWeights | None = None

    def varied(self, **changes: Any) -> DocumentPlan:
        """Return the plan with other settings, and the weights that follow from them."""
        return DocumentPlan(self.settings.varied(**changes), self.grams)

    def weighing(self, weights: DocumentWeights) -> DocumentPlan:
        """Return the plan with other weights of documents."""
        return replace(self, weights=weights)

    @property
    def private(self) -> float:
        """Number of human documents that one model alone has."""
        return float(round(self.settings.real * self.settings.private_share))

    @property
    def public(self) -> float:
        """Number of human documents that all models have."""
        return self.settings.real - self.private

    @property
    def kept(self) -> int:
        """Number of generations whose documents a model is fitted to together, with weight α."""
        return self.settings.window or 1

    @cached_property
    def network(self) -> Float[np.ndarray, "K K"]:
        """Reading network W."""
        found = self.settings.network(self.settings.models)
        return networks.uniform(self.settings.models) if found is None else found

    @property
    def alike(self) -> bool:
        """Whether everybody reads everybody alike."""
        return np.allclose(self.network, 1 / self.settings.models, rtol=0, atol=1e-12)

    @property
    def document_weights(self) -> DocumentWeights:
        """Weights of documents in use."""
        if self.weights is not None:
            return self.weights
        given, web = self.settings.synthetic_share, 1.0
        if given is not None:
            human = self.settings.real + self.kept * self.settings.fresh
            web = given / (1 - given) * human / max(self.kept * self.published, 1)
        return DocumentWeights(1.0, 1.0, web, 1.0)

    @property
    def published(self) -> float:
        """Number of documents that a generation publishes."""
        return float(self.settings.models * self.settings.synthetic)

    @property
    def parts(self) -> Float[np.ndarray, "4"]:
        """Share of each kind in a training batch: private, public, synthetic, newly collected."""
        w, s = self.document_weights, self.settings
        kept = [s.synthetic * s.models * self.kept, s.fresh * self.kept]
        found = np.array(w) * [self.private, self.public, *kept]
        return found / found.sum()

    @property
    def mixed(self) -> Mixed:
        """Weights α, β and φ of the theory."""
        w, s = self.document_weights, self.settings
        real = np.array([w.private, w.public]) * [self.private > 0, self.public > 0]
        new = np.array([s.models * w.synthetic, w.human * (s.fresh > 0)]) * self.kept
        return Mixed(
            alpha=float(new.sum() / (new.sum() + real.sum())),
            beta=float(real[0] / real.sum()),
            human_share=float(new[1] / new.sum()) if new.sum() else 0.0,
        )

    def weights_of(self, mixed: Mixed) -> DocumentWeights:
        """Return the weights of documents that stand for α, β and φ, of mean 1 if human and old."""
        a, b, phi = mixed
        real = np.array([(1 - a) * b, (1 - a) * (1 - b)]) * [self.private > 0, self.public > 0]
        unit = real @ [self.private, self.public] / self.settings.real
        new = np.array([a * (1 - phi) / self.settings.models, a * phi]) / self.kept
        return DocumentWeights(*(np.concatenate([real, new]) / unit).tolist())

    @cached_property
    def each(self) -> dict[str, np.ndarray]:
        """Gram matrices of one document of each kind."""
        k = self.settings.models
        if self.grams is None:
            one = np.ones((1, 1))
            return {"private": np.stack([one] * k), "public": one, "synthetic": np.stack([one] * k),
                    "human": one}  # fmt: skip
        found = {name: np.asarray(value, dtype=float) for name, value in self.grams.items()}
        return {"human": found["synthetic"].mean(axis=0)} | found

    @cached_property
    def workflow(self) -> regression.RegressionWorkflow:
        """System of models with the weights in use, noise σ = 1."""
        s, each, mixed = self.settings, self.each, self.mixed
        return regression.RegressionWorkflow(
            private=self.private * each["private"],
            public=self.public * each["public"],
            synthetic=s.synthetic * each["synthetic"],
            alpha=mixed.alpha,
            beta=mixed.beta,
            # generation 0: all human documents alike
            initial_beta=1.0 if not self.public else 0.5 if self.private else 0.0,
            human_share=mixed.human_share,
            human=s.fresh * each["human"],
            reads=None if self.alike else self.network,
            human_data=s.human_data,
        )

    @cached_property
    def real_error(self) -> float:
        """Mean error on human documents alone, tr (S̃_k + S_*)⁻¹; NaN if some see no direction."""
        private, public = self._real
        return float(np.mean([_trace_of_inverse(gram) for gram in private + public]))

    @cached_property
    def pooled_error(self) -> float:
        """Error of one party with all first human documents; NaN if they miss a direction."""
        private, public = self._real
        return _trace_of_inverse(private.sum(axis=0) + public)

    @property
    def _real(self) -> tuple[np.ndarray, np.ndarray]:
        return self.private * self.each["private"], self.public * self.each["public"]


def _trace_of_inverse(gram: np.ndarray) -> float:
    values = np.linalg.eigvalsh(gram)
    if values[0] <= len(values) * np.finfo(float).eps * values[-1]:
        return np.nan
    return float((1 / values).sum())
