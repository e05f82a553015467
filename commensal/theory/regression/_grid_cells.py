"""The compiled part of a grid: all cells of a few β rows, by matrix products alone.

See :mod:`commensal.theory.regression._grid` for the pencil, _state for the formulas.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from commensal._precision import AnyArray, float64
from commensal.theory.regression import _linalg

# Cells per convergence loop, and models per block of the last stage (so that a block stays in a
# core's cache). Fixed, so that a number never depends on how many threads share the work.
_CELLS = 128
_BLOCK = 4096

_MAX_DOUBLINGS = 40
_RANK_ONE = 1e-13


class System(NamedTuple):
    """What all cells of a grid have in common."""

    private: Float[AnyArray, "K d d"]
    factors: Float[AnyArray, "K r d"]
    public: Float[AnyArray, "d d"]
    synthetic: Float[AnyArray, "K d d"]
    web: Float[AnyArray, "d d"]
    fresh_noise: Float[AnyArray, "d d"]
    variance: Float[AnyArray, ""]
    human_share: Float[AnyArray, ""]
    tasks: Float[AnyArray, "M d d"]  # traces against these are reported; the first is the identity


class Cells(NamedTuple):
    """Traces of one block of cells; α leads, and everything is a sum over what it names."""

    spectral_radius: Float[AnyArray, "A B"]
    traces: Float[AnyArray, "A B K M"]
    consensus_distance: Float[AnyArray, "A B"]


@float64
@jax.jit
def settle_one(source: Array, a: Array) -> tuple[Array, Array]:
    radius, total, _ = _settle_chunk(source, a[None])
    return radius[0], total[0]


@float64
@jax.jit
def solve_rows(
    system: System,
    basis: Float[Array, "B K d d"],
    mu: Float[Array, "B K d"],
    alpha: Float[Array, "A"],
    beta: Float[Array, "B"],
) -> Cells:
    """All cells of a few β rows; α strictly inside (0, 1)."""
    k, d = system.private.shape[0], system.private.shape[-1]
    share = 1 - system.human_share
    scale = 1 / ((1 - alpha)[:, None] * mu[..., None, :] + alpha[:, None] * (1 - mu[..., None, :]))

    # mean answer matrix (1/K) Σ_k S_k G_k⁺, linear in the diagonal `scale`: one product per β,
    # one β at a time, because what is multiplied has K d³ numbers
    answers = jnp.einsum("kij,bkja->bkia", system.synthetic, basis)

    def mean_answer(row):
        scale, answer, basis = row
        outer = answer[:, :, None, :] * basis[:, None, :, :]  # (K i j a)
        return jnp.einsum("kna,kija->nij", scale, outer) / k

    answered = jax.lax.map(mean_answer, (scale, answers, basis))
    a = (share * alpha)[:, None, None] * answered

    radius, noise, resolvent = _settle(system.fresh_noise, a.reshape(-1, d, d))
    noise, resolvent = (x.reshape(a.shape) for x in (noise, resolvent))

    block = max(1, min(alpha.size, _BLOCK // k))
    n = -(-alpha.size // block)

    def blocks(x, axis):  # cut the α axis, padding with copies of the last, and put blocks first
        pad = [(0, 0)] * x.ndim
        pad[axis] = (0, n * block - alpha.size)
        x = jnp.pad(x, pad, mode="edge")
        x = x.reshape(*x.shape[:axis], n, block, *x.shape[axis + 1 :])
        return jnp.moveaxis(x, axis, 1).reshape(-1, *x.shape[1:axis], *x.shape[axis + 1 :])

    def repeat(x):
        return jnp.repeat(x, n, axis=0)

    rows = (
        *(repeat(x) for x in (beta, basis, answers)),
        blocks(scale, 2),
        *(blocks(x, 1) for x in (answered, resolvent, noise)),
        blocks(jnp.broadcast_to(alpha, (beta.size, alpha.size)), 1),
    )
    traces, distance = jax.lax.map(lambda row: _read_block(system, *row), rows)
    traces = traces.reshape(beta.size, n * block, k, -1)[:, : alpha.size]
    distance = distance.reshape(beta.size, n * block)[:, : alpha.size]
    return Cells(radius.reshape(beta.size, -1).T, traces.swapaxes(0, 1), distance.T)


def _settle(
    source: Float[AnyArray, "d d"], matrices: Float[Array, "N d d"]
) -> tuple[Float[Array, "N"], Float[Array, "N d d"], Float[Array, "N d d"]]:
    """Spectral radius of each A; where that is below one, W = A W Aᵀ + N and (I - A)⁻¹."""
    n, d = matrices.shape[0], matrices.shape[-1]
    # A chunk takes as many doublings as its slowest cell: put like with like.
    order = jnp.argsort(_trace(matrices))
    padded = jnp.concatenate([matrices[order], jnp.zeros((-n % _CELLS, d, d))])
    radius, total, resolvent = jax.lax.map(
        partial(_settle_chunk, source), padded.reshape(-1, _CELLS, d, d)
    )
    back = jnp.argsort(order)
    return (
        radius.reshape(-1)[back],
        total.reshape(-1, d, d)[back],
        resolvent.reshape(-1, d, d)[back],
    )


def _trace(x: Float[Array, "*n d d"]) -> Float[Array, "*n"]:
    return jnp.einsum("...ij,ij->...", x, jnp.eye(x.shape[-1]))


def _norm(x: Float[Array, "*n d d"]) -> Float[Array, "*n"]:
    return jnp.sqrt(jnp.einsum("...ij,...ij->...", x, x))


def _settle_chunk(source: AnyArray, a: Float[Array, "n d d"]) -> tuple[Array, Array, Array]:
    d = a.shape[-1]
    # Powers A^(2^m) are carried as exp(log_scale) × unit, unit of norm one, so that neither
    # overflow nor underflow hides the growth rate.

    def rescale(power, log_scale):
        size = _norm(power)
        size = jnp.where(size > 0, size, 1)
        return power * (1 / size)[:, None, None], log_scale + jnp.log(size)

    def double(carry):
        # Two doublings for each look at how far they have come: on a CPU a pass over the
        # batch costs as much as a product.
        def once(unit, log_scale, total, resolvent):
            factor = jnp.exp(log_scale)
            increment = unit @ total @ unit.mT
            total = total + (factor**2)[:, None, None] * increment
            resolvent = resolvent + factor[:, None, None] * (unit @ resolvent)
            return total, resolvent, factor, increment

        unit, log_scale, total, resolvent, _, step = carry
        total, resolvent, *_ = once(unit, log_scale, total, resolvent)
        unit, log_scale = unit @ unit, 2 * log_scale
        total, resolvent, factor, increment = once(unit, log_scale, total, resolvent)
        unstable = jnp.log(jnp.abs(_trace(unit))) + log_scale > jnp.log(d)
        size = factor * _norm(unit)
        unit, log_scale = unit @ unit, 2 * log_scale
        # Both are positive semidefinite, so their traces measure them; increments shrink
        # quadratically once they shrink. |tr A^n| > d only if some |eigenvalue| > 1.
        small = factor**2 * _trace(increment) <= jnp.finfo(a.dtype).eps * _trace(total)
        # The resolvent's increments shrink as A^n, total's as its square.
        small = small & (size**2 <= jnp.finfo(a.dtype).eps)
        unit, log_scale = rescale(unit, log_scale)
        return unit, log_scale, total, resolvent, small | unstable, step + 2

    def square(carry):
        unit, log_scale, log_radius, resolved, step = carry
        squared = unit @ unit
        # A power of rank one, u vᵀ, is the dominant eigenvalue's alone, which tr(A P)/tr(P) then
        # gives to full precision, long before Gelfand's formula would.
        trace = _trace(unit)
        rank_one = _norm(squared - trace[:, None, None] * unit) <= _RANK_ONE * jnp.abs(trace)
        ratio = jnp.einsum("nij,nji->n", a, unit) / jnp.where(rank_one, trace, 1)
        exact = jnp.log(jnp.where(rank_one, jnp.abs(ratio), 1))
        vanished = _norm(squared) == 0
        unit, log_scale = rescale(squared, 2 * log_scale)
        gelfand = jnp.where(vanished, -jnp.inf, log_scale * 0.5 ** (step + 1.0))
        new = jnp.where(rank_one & ~vanished, exact, gelfand)
        log_radius = jnp.where(resolved, log_radius, new)
        return unit, log_scale, log_radius, resolved | rank_one | vanished, step + 1

    unit, log_scale = rescale(a, jnp.zeros(a.shape[0]))
    # W first; its doublings are also the first squarings for the spectral radius.
    total = jnp.broadcast_to(source, a.shape)
    pending = jnp.zeros(a.shape[0], dtype=bool)
    step = jnp.zeros((), jnp.int32)
    resolvent = jnp.broadcast_to(jnp.eye(d), a.shape)
    unit, log_scale, total, resolvent, _, step = jax.lax.while_loop(
        lambda c: ~c[4].all() & (c[5] < _MAX_DOUBLINGS),
        double,
        (unit, log_scale, total, resolvent, pending, step),
    )
    log_radius = log_scale * 0.5**step
    _, _, log_radius, _, _ = jax.lax.while_loop(
        lambda c: ~c[3].all() & (c[4] < _linalg.SQUARINGS),
        square,
        (unit, log_scale, log_radius, pending, step),
    )
    return jnp.exp(log_radius), total, resolvent


def _read_block(
    system: System,
    beta: Float[Array, ""],
    basis: Float[Array, "K d d"],
    answers: Float[Array, "K d d"],
    scale: Float[Array, "K A d"],
    answered: Float[Array, "A d d"],
    resolvent: Float[Array, "A d d"],
    noise: Float[Array, "A d d"],
    alpha: Float[Array, "A"],
) -> tuple[Float[Array, "A K M"], Float[Array, "A"]]:
    """Traces and consensus distance of one β at several α; see _state for the formulas.

    Arrays are (A, K, rows, d), α first, and every product contracts or keeps the last axis:
    no large array is ever transposed, which would cost more than the arithmetic.
    """
    k, _, d = system.factors.shape
    share, variance = 1 - system.human_share, system.variance
    p, q = (1 - alpha) * beta, (1 - alpha) * (1 - beta)
    alpha, p, q = (x[:, None, None] for x in (alpha, p, q))
    projected = jnp.einsum("kri,kia->kra", system.factors, basis)

    def along(left, right):  # Σ_a left[k,i,a] scale[k,n,a] right[k,j,a]
        outer = (left[:, :, None, :] * right[:, None, :, :]).reshape(k, -1, d)
        flat = (scale @ outer.mT).swapaxes(0, 1)
        return flat.reshape(alpha.size, k, left.shape[1], right.shape[1])

    def over_entities(left, right):  # Σ_k left[n,k,:,i] right[n,k,:,j]
        flat = [x.reshape(alpha.size, -1, d) for x in (left, right)]
        return flat[0].mT @ flat[1]

    def per_alpha(x, shared):  # x[n,k] @ shared[n]
        return (x.reshape(alpha.size, -1, d) @ shared).reshape(x.shape)

    overlap = system.factors @ system.factors.mT
    weighed_projected = overlap @ projected
    gain = along(basis, basis)  # G_k⁺
    seen = along(basis, projected)  # G_k⁺ F_kᵀ
    answer = (share * p / k) * resolvent.mT
    told = per_alpha(along(projected, answers), answer)  # F_k from_private_kᵀ
    from_public = share * q * (resolvent @ answered)
    with_public = from_public @ system.public

    common = variance * (over_entities(told, told) + with_public @ from_public.mT) + noise
    common = alpha**2 * common + variance * q**2 * system.public
    common = common + variance * alpha * q * (with_public + with_public.mT)
    weights = variance * (p[..., None] ** 2 / 2 * system.factors + (alpha * p)[..., None] * told)
    half = (per_alpha(gain, common / 2) + seen @ weights) @ gain
    traces = half.reshape(-1, d * d) @ (2 * system.tasks).reshape(-1, d * d).T

    # Consensus distance, by the sums that _state.row_distance explains.
    mean = gain.mean(axis=1)
    public = q * system.public + alpha * with_public
    weighed_told = per_alpha(along(weighed_projected, answers), answer)
    outer = alpha**2 * over_entities(told, weighed_told) + public @ public.mT
    weighed = along(weighed_projected, basis)
    own = jnp.einsum("kia,kib->kab", basis, basis) * jnp.einsum(
        "kra,krs,ksb->kab", projected, overlap, projected
    )
    own = (p * p)[:, 0, 0] * jnp.sum((scale @ own) * scale, axis=(0, 2))

    def centred(products, of_mean):  # differences first, sums of squares after: no cancellation
        return products - of_mean[:, None]

    mean_outer = mean @ outer
    square = centred(per_alpha(gain, outer), mean_outer) * centred(gain, mean)
    cross = weighed * (told @ gain - per_alpha(told, mean))
    cross = 2 * (alpha * p)[:, 0, 0] * jnp.sum(cross, axis=(1, 2, 3))
    of_mean = 2 * alpha * p * over_entities(weighed, told) * mean + k * mean_outer * mean
    apart = cross + jnp.sum(square, axis=(1, 2, 3))
    size = own + apart + jnp.sum(of_mean, axis=(1, 2))
    apart = apart + (1 - 1 / k) * own
    distance = jnp.sqrt(jnp.maximum(apart, 0) / jnp.where(size > 0, size, 1))
    return traces.reshape(alpha.size, k, -1), distance
