r"""Data of each model at given β, in coordinates in which α enters as a diagonal.

The weighted factors of all data are stacked and orthogonalised, the private and public rows with
their weights at α = 0, what models and people write anew with theirs at α = 1:

.. math::
    A = \begin{bmatrix} \sqrt{β} F_k \\ \sqrt{\barβ} F_* \\ \sqrt{1-φ} F_{\underline S} \\
    \sqrt{φ} F_h \end{bmatrix} = U Z_0^{-1},

and a singular value decomposition of U's real rows turns :math:`Z_0` into Z, in whose coordinates
real rows have Gram matrix diag(C²) and new ones diag(S²), with C² + S² = 1: the generalised
singular value decomposition of the pair. So
:math:`G(α)^+ = Z \, \mathrm{diag}(1/(\barαC^2 + αS^2)) \, Z^\top`.
What some data cannot see is exactly zero in their rows, by the ranks of the data themselves: no
weight is too small for it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from commensal._precision import AnyArray
from commensal.theory.regression import _factors
from commensal.theory.regression._linalg import STABILITY_MARGIN
from commensal.theory.regression._workflow import RegressionWorkflow, generations_of, pool

# Weights that differ by more than this are not for a pencil: directions that only the lightest data
# see would be known to ε over the weight. :func:`._factors.least_squares` sorts them first.
GRADED = 1e-4


class Shares(NamedTuple):
    """Blocks of UY, the orthonormal rows of each kind of data in the coordinates of Z.

    Attributes
    ----------
    inverse : Float[AnyArray, "B K d d"]
        Z, whose columns are zero where no data see.
    private : Float[AnyArray, "B K r d"]
        √β F_k Z.
    public : Float[AnyArray, "B K p d"]
        √(1-β) F_* Z.
    web : Float[AnyArray, "B K s d"]
        √(1-φ) F Z, with F the factor of what the model reads of the web.
    human : Float[AnyArray, "B K h d"] or None
        √φ F_h Z; None where φ = 0.
    """

    inverse: Float[AnyArray, "B K d d"]
    private: Float[AnyArray, "B K r d"]
    public: Float[AnyArray, "B K p d"]
    web: Float[AnyArray, "B K s d"]
    human: Float[AnyArray, "B K h d"] | None


class Pencil(NamedTuple):
    """Coordinates of all models at some values of β."""

    shares: Shares
    basis: Float[np.ndarray, "B K d d"]
    seen: Bool[np.ndarray, "B K d"]

    def rows(self, count: int) -> Pencil:
        """Return the first ``count`` values of β."""
        return Pencil(*jax.tree.map(lambda x: x[:count], tuple(self)))

    def missed(self, theta: Float[np.ndarray, "d"]) -> Float[np.ndarray, "B K d"]:
        """Return the part of θ about which no data say anything."""
        parts = np.where(self.seen, 0, self.basis.mT @ theta)
        return (self.basis @ parts[..., None])[..., 0]


class Data(NamedTuple):
    """A workflow's data in factors, on the host, scaled to order one."""

    # of private (K r d), public (1 p d), web (K s d; 1 s d if all read the same), human (1 h d)
    roots: tuple[np.ndarray, ...]
    grams: Float[np.ndarray, "K kinds d d"]  # of unit size
    human_share: float
    condition: float
    pooled_variance: float  # trace of the inverse of all real data; NaN where they leave θ open

    def pencil(self, beta: Float[np.ndarray, "B"], real: float, new: float) -> Pencil:
        """Return all models at every β, without the rows of real or new data whose weight is 0."""
        weights = self.weights(beta) * [real, real, new, new]
        k, _, d, _ = self.grams.shape
        shape = (beta.size, k, d)
        basis, seen = np.empty((*shape, d)), np.empty(shape, dtype=bool)
        ranks = np.empty((beta.size, k, 2), dtype=int)  # of real and of new data
        present = weights > 0
        for kinds in np.unique(present, axis=0):
            at = (present == kinds).all(axis=-1)
            basis[at], seen[at], ranks[at] = self._directions(kinds)
        plain = seen.all()  # then the basis is the identity
        sides = (real, real, new, new)
        roots = [x if side else x[:, :0] for x, side in zip(self.roots, sides, strict=True)]
        stack = []
        for root, w in zip(roots, np.sqrt(weights.T), strict=True):
            weighted = np.broadcast_to(root * w[:, None, None, None], (*shape[:2], *root.shape[1:]))
            stack.append(weighted if plain else np.where(seen[:, :, None], weighted @ basis, 0))
        cuts = np.cumsum([x.shape[-2] for x in stack])
        marks = [] if plain else [np.eye(d) * ~seen[:, :, None, :]]
        rows = np.concatenate([*stack, *marks], axis=-2)
        if (lacking := d - rows.shape[-2]) > 0:
            rows = np.concatenate([rows, np.zeros((*shape[:2], lacking, d))], axis=-2)
        u, triangle = np.linalg.qr(rows)
        whiten = np.linalg.inv(triangle) if plain else basis @ np.linalg.inv(triangle)
        blocks = np.split(u[..., : cuts[-1], :], cuts[:-1], axis=-2)
        # directions that nobody sees first, then by how much of them real data see
        if real and new:
            told = np.concatenate([*(2 * x for x in marks), *blocks[:2]], axis=-2)
            turn = np.linalg.svd(told, full_matrices=told.shape[-2] < d)[2].mT
        else:  # all that is seen is seen alike, and comes last already
            turn = np.eye(d)[None, None]
        index, blank = np.arange(d), (~seen).sum(axis=-1)[..., None]
        has_real = (index >= blank) & (index < blank + ranks[..., :1])
        has_new = index >= np.maximum(blank, d - ranks[..., 1:])
        to_real, to_new = (np.where(x[:, :, None, :], turn, 0) for x in (has_real, has_new))
        blocks = [
            (x @ to) * (root != 0).any(axis=-1)[None, ..., None]  # rows of padding stay empty
            for to, root, x in zip((to_real, to_real, to_new, to_new), roots, blocks, strict=True)
        ]
        inverse = whiten @ (turn if plain else np.where((index >= blank)[:, :, None, :], turn, 0))
        private, public, web, human = blocks
        shares = Shares(inverse, private, public, web, human if self.human_share > 0 else None)
        return Pencil(shares, basis, seen)

    def trusted(
        self, alpha: np.ndarray, beta: np.ndarray, radius: Float[np.ndarray, "A B"]
    ) -> Bool[np.ndarray, "A B"]:
        """Return a mask of the cells in which rounding is known to be small."""
        a = alpha[:, None, None]
        weights = self.weights(beta)[None] * np.concatenate([1 - a, 1 - a, a, a], axis=-1)
        gap = np.where(radius < 1 - STABILITY_MARGIN, 1 - radius, 1)
        error = _factors.rounding(self.condition, _factors.reach_of(weights), gap)
        return np.isfinite(radius) & (error < _factors.TRUSTED)

    def weights(self, beta: np.ndarray) -> Float[np.ndarray, "B 4"]:
        """Weights of private and public data at α = 0, and of web and human data at α = 1."""
        phi = np.full(beta.size, self.human_share)
        return np.stack([beta, 1 - beta, 1 - phi, phi], axis=-1)

    def graded(self, beta: np.ndarray) -> Bool[np.ndarray, "B"]:
        """Return a mask of the values of β at which a pencil would lose digits."""
        weights = self.weights(beta)
        heaviest = weights.max(axis=-1, keepdims=True)
        return ((weights > 0) & (weights < GRADED * heaviest)).any(axis=-1)

    def _directions(
        self, kinds: Bool[np.ndarray, "4"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a basis (K d d), which of it is seen (K d), and ranks (K 2) of real and new."""
        grams = np.where(kinds[:, None, None], self.grams, 0)
        parts = np.stack([grams[:, :2].sum(axis=1), grams[:, 2:].sum(axis=1)], axis=1)
        ranks = _factors.seen_in(np.linalg.eigvalsh(parts)).sum(axis=-1)
        together = parts.sum(axis=1)
        values, basis = np.linalg.eigh(together)
        seen = _factors.seen_in(values)
        if seen.all():
            basis = np.broadcast_to(np.eye(basis.shape[-1]), basis.shape)
        return basis, seen, ranks


def data_of(w: RegressionWorkflow) -> Data:
    """Factor the data of a time-constant workflow ``w`` that is scaled to order one."""
    first = jax.tree.map(lambda x: x[0], generations_of(w))
    web = np.asarray(w.channels.to_models(pool(first, first.synthetic), axis=0))
    g = jax.tree.map(np.asarray, first)
    private, public = np.asarray(w.private), np.asarray(w.public)
    kinds = (private, public[None], web, g.human[None])
    shape = (w.models, 4, w.dim, w.dim)
    grams = np.empty(shape)
    for i, kind in enumerate(kinds):
        grams[:, i] = _factors.unit_grams(kind)
    pooled = np.linalg.eigvalsh(private.sum(axis=0) + public)
    mixes = ((0, 1), (0, 2), (1, 2), (0, 1, 2, 3))
    unions = np.linalg.eigvalsh(np.stack([grams[:, mix].sum(axis=1) for mix in mixes]))
    spectra = [np.linalg.eigh(kind) for kind in kinds]
    conditions = [_factors.condition_of(values).max() for values, _ in spectra]
    conditions += [_factors.condition_of(values).max() for values in (pooled, unions)]
    roots = [_roots(*spectrum) for spectrum in spectra]
    human_share = float(g.human_share)
    if human_share == 0:
        roots[3] = roots[3][:, :0]
    return Data(
        roots=tuple(roots),
        grams=grams,
        human_share=human_share,
        condition=float(max(conditions)),
        pooled_variance=float((1 / pooled).sum()) if _factors.seen_in(pooled).all() else np.nan,
    )


def _roots(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return F (n, r, d) with FᵀF = S, where r is the largest rank, but at least one."""
    seen = _factors.seen_in(values)
    rank = max(1, int(seen.sum(axis=-1).max()))
    roots = np.sqrt(np.where(seen, values, 0))[:, -rank:, None]
    return roots * vectors[:, :, -rank:].mT
