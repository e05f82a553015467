r"""Weighted least squares on factors of Gram matrices, which loses fewer digits.

A variance such as :math:`G^+ S G^+` with :math:`G = \sum_i w_i S_i`, formed from the matrices
themselves, loses cond(G)² ε: at weights of 1e-8 nothing is left of it, and it may come out
negative. Here every Gram matrix is first cut into factors, :math:`S_i = F_i^\top F_i`, the factors
are stacked with the roots of their weights, :math:`A = [\sqrt{w_i} F_i]` (so that
:math:`G = A^\top A`), and one singular value decomposition of A gives

.. math:: Y_i = G^+ F_i^\top = V Σ^{-1} U_i^\top / \sqrt{w_i},

in which the blocks :math:`U_i` of U are orthonormal however small a weight is. Variances are then
sums of squares :math:`Y_i Y_i^\top`, never negative.

Weights may differ by many orders of magnitude. So A is first written in a basis whose directions
are sorted by the heaviest data that see them (:func:`sorted_basis`), each direction divided by the
root of that weight: what is decomposed is then as well-conditioned as the data are, and what heavy
data do not see is exactly zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from commensal._precision import AnyArray
from commensal.theory.regression._linalg import rank_tolerance

# A ratio of eigenvalues between these multiples of `rank_tolerance` is neither clearly rounding nor
# clearly data: the rank is open, and with it every number.
_UNDECIDED = (0.5, 8.0)

# Numbers are given only if their estimated relative error is below this.
TRUSTED = 1e-3
_SLACK = 4.0
_EPS = float(jnp.finfo(jnp.float64).eps)


class Factors(NamedTuple):
    """Roots F of Gram matrices, S = FᵀF, with zero rows where there are no data.

    Attributes
    ----------
    root : Float[Array, "*b d d"]
        Root F.
    coroot : Float[Array, "*b d d"]
        Transposed pseudo-inverse F⁺ᵀ, so that F⁺ᵀ S = F.
    """

    root: Float[Array, "*b d d"]
    coroot: Float[Array, "*b d d"]


class Spectra(NamedTuple):
    """Eigendecompositions of Gram matrices, and which directions have data."""

    values: Float[Array, "*b d"]
    vectors: Float[Array, "*b d d"]
    seen: Bool[Array, "*b d"]


def seen_in(values: Float[AnyArray, "*b d"]) -> Any:
    """Return a boolean mask of the eigenvalues that are data, not rounding."""
    largest = abs(values).max(axis=-1, keepdims=True)
    return values > rank_tolerance(values.shape[-1]) * largest


def condition_of(values: Float[AnyArray, "*b d"]) -> Float[AnyArray, "*b"]:
    """Condition number over the directions with data; infinite where the rank is undecided."""
    xp = values.__array_namespace__()
    largest = abs(values).max(axis=-1, keepdims=True)
    ratio = abs(values) / xp.where(largest > 0, largest, 1)
    tolerance = rank_tolerance(values.shape[-1])
    low, high = _UNDECIDED
    undecided = (ratio > tolerance * low) & (ratio < tolerance * high)
    smallest = xp.where(ratio > tolerance, ratio, 1.0).min(axis=-1)
    return xp.where(undecided.any(axis=-1), xp.inf, 1 / smallest)


def unit_grams(grams: Float[AnyArray, "*b d d"]) -> Float[AnyArray, "*b d d"]:
    """Scale Gram matrices to a largest entry of one, so that size does not decide on ranks."""
    xp = grams.__array_namespace__()
    size = abs(grams).max(axis=(-2, -1), keepdims=True)
    return grams / xp.where(size > 0, size, 1)


class Basis(NamedTuple):
    """Orthonormal directions, sorted by the first of several kinds of data that see them.

    Attributes
    ----------
    vectors : Float[Array, "*b d d"]
        Directions, in columns.
    level : Int[Array, "*b d"]
        Index of the first kind that sees a direction; the number of kinds where none does.
    """

    vectors: Float[Array, "*b d d"]
    level: Int[Array, "*b d"]


def sorted_basis(grams: Float[Array, "*b kinds d d"], together: Spectra) -> Basis:
    """Sort directions by which of ``grams`` (of unit size, or zero) sees them first.

    ``together`` are the spectra of the first Gram matrix, of the first two together, and so on.
    One eigendecomposition for each further kind, each of what the one before has left.
    """
    kinds, d = grams.shape[-3], grams.shape[-1]
    ranks, index = together.seen.sum(axis=-1), jnp.arange(d)
    vectors = together.vectors[..., 0, :, :]
    # in ascending order: not seen, then seen
    level = jnp.where(index >= d - ranks[..., :1], 0, kinds)
    projector = _project(vectors, level == 0)
    found, unseen = -2 * projector, jnp.eye(d) - projector
    for kind in range(1, kinds):
        rest = unseen @ grams[..., kind, :, :] @ unseen
        # found before: -(2 + level); then not seen, then seen for the first time
        marked, vectors = jnp.linalg.eigh(rest + found, symmetrize_input=True)
        before, now = ranks[..., kind - 1, None], ranks[..., kind, None]
        level = jnp.where(index < before, jnp.round(-marked) - 2, kinds)
        level = jnp.where(index >= d - (now - before), kind, level)
        projector = _project(vectors, level == kind)
        found, unseen = found - (2 + kind) * projector, unseen - projector
    return Basis(vectors, level.astype(int))


def _project(vectors: Float[Array, "*b d d"], chosen: Bool[Array, "*b d"]) -> Array:
    columns = jnp.where(chosen[..., None, :], vectors, 0)
    return columns @ columns.mT


def reach_of(weights: Float[AnyArray, "*b kinds"]) -> Float[AnyArray, "*b"]:
    """Ratio of the largest to the smallest positive weight of the data."""
    xp = weights.__array_namespace__()
    largest = weights.max(axis=-1)
    return largest / xp.where(weights > 0, weights, largest[..., None]).min(axis=-1)


def rounding(condition: Any, reach: Any, gap: Any = 1.0) -> Any:
    """Estimate the relative rounding error of variances.

    The data leave ε times their condition number open, the more so the nearer the system is to
    having no limit (``gap`` is 1 - ρ); a stack of factors leaves ε times the roots of that number
    and of ``reach``.
    """
    return _SLACK * _EPS * (condition / gap + (condition * reach) ** 0.5)


def spectra(grams: Float[Array, "*b d d"]) -> Spectra:
    """Eigendecompositions of many Gram matrices by one batched call."""
    values, vectors = jnp.linalg.eigh(jax.lax.stop_gradient(grams), symmetrize_input=True)
    return Spectra(values, vectors, seen_in(values))


@jax.custom_jvp
def factors(grams: Float[Array, "*b d d"], s: Spectra) -> Factors:
    """Return the roots of ``grams`` with spectra ``s``; differentiable where no rank changes."""
    roots = jnp.sqrt(jnp.where(s.seen, s.values, 1))[..., None]
    rows = jnp.where(s.seen[..., None], s.vectors.mT, 0)
    return Factors(rows * roots, rows / roots)


@factors.defjvp
def _factors_jvp(primals, tangents):
    found = factors(*primals)
    change, root, coroot = tangents[0], found.root, found.coroot
    change = (change + change.mT) / 2
    # Any dF with dFᵀF + FᵀdF = dS will do, since results depend on F through S alone. This one has
    # no poles where eigenvalues coincide.
    off_range = jnp.eye(root.shape[-1]) - root.mT @ coroot
    droot = coroot @ change @ (jnp.eye(root.shape[-1]) + off_range) / 2
    dcoroot = -coroot @ droot.mT @ coroot + coroot @ coroot.mT @ droot @ off_range
    return found, Factors(droot, dcoroot)


class Solution(NamedTuple):
    """Solution of least squares on stacked factors F with row weights w, where G = Fᵀ diag(w) F.

    Attributes
    ----------
    inverse : Float[Array, "*b d d"]
        G⁺.
    estimate : Float[Array, "*b d m"]
        Y = G⁺Fᵀ.
    fitted : Float[Array, "*b m m"]
        FG⁺Fᵀ.
    """

    inverse: Float[Array, "*b d d"]
    estimate: Float[Array, "*b d m"]
    fitted: Float[Array, "*b m m"]


@jax.custom_jvp
def least_squares(
    weights: Float[Array, "*b kinds"], roots: Float[Array, "*b kinds d d"], basis: Basis
) -> Solution:
    """Solve least squares on the factors ``roots`` of several kinds of data.

    ``basis`` is that of the kinds in the order of their weights. Differentiable where no rank
    changes.
    """
    d = roots.shape[-1]
    place = jnp.argsort(jnp.argsort(-weights, axis=-1), axis=-1)  # of each kind in that order
    sorted_roots = jnp.sqrt(jnp.sort(weights, axis=-1, descending=True))
    # 1 / root of the weight of the kind that sees a direction first; 0 where none does
    padded = jnp.concatenate([sorted_roots, jnp.zeros_like(sorted_roots[..., :1])], axis=-1)
    first = jnp.take_along_axis(padded, basis.level, axis=-1)
    scale = jnp.where(first > 0, 1 / jnp.where(first > 0, first, 1), 0)
    visible = place[..., None, None] >= basis.level[..., None, None, :]
    root = jnp.sqrt(weights)[..., None, None]
    parts = jnp.where(visible, roots @ basis.vectors[..., None, :, :], 0)
    parts = parts * root * scale[..., None, None, :]
    u, sizes, vt = jnp.linalg.svd(_stack(parts), full_matrices=False)
    rank = (first > 0).sum(axis=-1)
    kept = (jnp.arange(d) < rank[..., None]) & (sizes > 0)
    inverse = jnp.where(kept, 1 / jnp.where(kept, sizes, 1), 0)
    whiten = basis.vectors @ (scale[..., None] * (vt.mT * inverse[..., None, :]))
    seen = jnp.where(kept[..., None, :], u, 0).reshape(*roots.shape[:-1], d)
    empty = (roots == 0).all(axis=-1, keepdims=True)
    seen = jnp.where(empty, 0, seen) / jnp.where(root > 0, root, 1)
    # rows without weight say nothing, but may be asked about
    seen = _stack(jnp.where(root > 0, seen, roots @ whiten[..., None, :, :]))
    return Solution(whiten @ whiten.mT, whiten @ seen.mT, seen @ seen.mT)


def _stack(parts: Float[Array, "*b kinds d e"]) -> Float[Array, "*b m e"]:
    return parts.reshape(*parts.shape[:-3], -1, parts.shape[-1])


@least_squares.defjvp
def _least_squares_jvp(primals, tangents):
    weights, roots, _ = primals
    d = roots.shape[-1]
    df, stacked = _stack(tangents[1]), _stack(roots)
    dw, w = (jnp.repeat(x, d, axis=-1)[..., None] for x in (tangents[0], weights))
    found = least_squares(*primals)
    inverse, y, fitted = found
    off_range = jnp.eye(d) - y @ (w * stacked)
    inward = (w * df) @ inverse  # diag(w) dF G⁺
    outward = inverse @ y @ (w * df) @ off_range.mT
    dinverse = -y @ (dw * y.mT) - y @ inward - inward.mT @ y.mT + outward + outward.mT
    told = df @ y  # dF G⁺Fᵀ
    dy = -y @ (dw * fitted + w * told) - inverse @ df.mT @ (w * fitted)
    dy += inverse @ df.mT + off_range @ df.mT @ (w * (y.mT @ y))
    bent = fitted @ (w * told)
    dfitted = told + told.mT - fitted @ (dw * fitted) - bent - bent.mT
    return found, Solution(dinverse, dy, dfitted)
