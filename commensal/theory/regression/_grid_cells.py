"""Compiled part of a grid: all cells of a few β rows, by matrix products alone.

See :mod:`._pencil` for the coordinates, :mod:`._state` for the formulas.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.theory.regression import _linalg
from commensal.theory.regression._pencil import Shares
from commensal.theory.regression._workflow import Channels, HumanData

# On a CPU: cells per convergence loop, and models per block of the last stage (so that it stays
# in a core's cache). Fixed, so that a number never depends on how many threads share the work.
_CELLS = 128
_BLOCK = 512

_MAX_DOUBLINGS = 40
_RANK_ONE = 1e-13


class GridSystem(NamedTuple):
    """Arrays that all cells of a grid have in common, for responses of unit variance.

    All are in the units of :func:`._state.system_of`, in which the data are of order one.
    """

    # What model k's answers add to the r channels, W_ik F_i⁺ᵀ S_k, per its estimate; per the
    # web's coordinates, times F⁺, where there is one channel.
    answers: Float[AnyArray, "K rs e"]
    published: Float[AnyArray, "rs rs"]  # covariance that responses' noise adds, times 1-φ
    channels: Channels
    sizes: Float[AnyArray, "K r"]  # squared lengths of the rows of F_k, which are orthogonal
    public_sizes: Float[AnyArray, "p"]
    tasks: Float[AnyArray, "M d d"]  # traces against these are reported; the first is the identity
    human_share: Float[AnyArray, ""]
    human_data: HumanData


class Cells(NamedTuple):
    """Traces of one block of cells, with α as the leading axis."""

    spectral_radius: Float[AnyArray, "A B"]
    traces: Float[AnyArray, "A B K M"]
    consensus_distance: Float[AnyArray, "A B"]


@float64
@partial(compiled, heavy=True)
def settle_one(source: Array, a: Array) -> tuple[Array, Array]:
    """Return the spectral radius of one A, and W = A W Aᵀ + N with N = ``source``."""
    radius, total, _ = _settle_chunk(source[None], a[None])
    return radius[0], total[0]


def bytes_of_block(
    models: int, dim: int, channels: int, tasks: bool, alphas: int, betas: int
) -> float:
    """Count the bytes that :func:`solve_rows` needs for a block that is solved whole.

    A bound: data of full rank, and room for all that the largest step reads and writes.
    """
    k, d, rs = models, dim, channels * dim
    # of a model at one cell: what its estimate has of the web, of private, public and human data,
    # twice more side by side for the covariance, and what the web has of it
    per_model = 3 * d * (rs + 3 * d) + 2 * d * rs + 2 * d * d + k * tasks
    per_cell = 16 * rs * (rs + d) + k * per_model  # powers and sums of the d × d system
    per_row = 8 * k * d * d * (rs + d)  # outer products
    return 8.0 * betas * (alphas * per_cell + per_row)


@float64
@partial(compiled, heavy=True, static_argnames="whole")
def solve_rows(
    system: GridSystem,
    shares: Shares,
    alpha: Float[Array, "A"],
    beta: Float[Array, "B"],
    *,
    whole: bool,
) -> Cells:
    """Solve all cells of a few β rows, for α strictly inside (0, 1).

    ``whole``: all cells in each step, for an accelerator; else in blocks of a CPU's cache.
    """
    k, rs = system.answers.shape[:2]
    channels = system.channels

    def each(function, rows):
        return jax.vmap(function)(rows) if whole else jax.lax.map(function, rows)

    def squares(*blocks):
        found = [jnp.sum(x**2, axis=-2) for x in blocks if x is not None]
        return sum(found[1:], start=found[0])

    real = squares(shares.private, shares.public)[..., None, :]
    new = squares(shares.web, shares.human)[..., None, :]
    scale = (1 - alpha)[:, None] * real + alpha[:, None] * new  # (B K A d)
    scale = jnp.where(scale > 0, 1 / jnp.where(scale > 0, scale, 1), 0)
    # (B K rs d)
    answers = system.answers @ (shares.web if channels.count == 1 else shares.inverse)

    # Sums over models of answers · scale · (rows)ᵀ, linear in the diagonal `scale`: one product
    # per β, on a CPU one β at a time, because what is multiplied has K s d numbers for every row.
    def summed(row):
        scale, answer, *blocks = row
        outers = [answer[:, :, None, :] * x[:, None, :, :] for x in blocks]
        outer = jnp.concatenate(outers, axis=2)  # (K rs rows d)
        if channels.count == 1:
            return jnp.einsum("kna,kija->nij", scale, outer)
        # the web's columns belong to the channel of who has heard it, all others to everybody
        s = shares.web.shape[-2]
        found = []
        for channel in range(channels.count):
            readers = np.array([k for k, c in enumerate(channels.of) if c == channel])
            found.append(jnp.einsum("kna,kija->nij", scale[readers], outer[readers, :, :s]))
        found.append(jnp.einsum("kna,kija->nij", scale, outer[:, :, s:]))
        return jnp.concatenate(found, axis=-1)

    # what each model learnt of people of its own is not summed, but squared first
    def squared(row):
        scale, answer, x = row
        outer = (answer[:, :, None, :] * x[:, None, :, :]).reshape(k, -1, x.shape[-1])
        told = (scale @ outer.mT).reshape(k, -1, rs, x.shape[1]).swapaxes(0, 1)  # (A K rs h)
        flat = told.swapaxes(1, 2).reshape(alpha.size, rs, -1)
        return flat @ flat.mT

    together = shares.human is not None and not system.human_data.own
    heard = [shares.web, shares.public] + ([shares.human] if together else [])
    told = each(summed, (scale, answers, *heard))
    cuts = [rs, rs + shares.public.shape[-2]]
    a, from_public, *human = jnp.split(told, cuts if together else cuts[:1], axis=-1)
    a = alpha[:, None, None] * a

    source = system.published
    if shares.human is None:
        source = source[None]
    elif together:
        human = alpha[:, None, None] * jnp.sqrt(system.human_share) * human[0]
        source = (human @ human.mT + source).reshape(-1, rs, rs)
    else:
        fresh = each(squared, (scale, answers, shares.human))
        fresh = alpha[:, None, None] ** 2 * system.human_share * fresh
        source = (fresh + source).reshape(-1, rs, rs)
    settle = _settle_whole if whole else _settle
    radius, noise, resolvent = settle(source, a.reshape(-1, rs, rs))
    noise, resolvent = (x.reshape(a.shape) for x in (noise, resolvent))

    block = alpha.size if whole else _even(alpha.size, max(1, _BLOCK // k))
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
        repeat(beta),
        jax.tree.map(repeat, shares),
        repeat(answers),
        blocks(scale, 2),
        *(blocks(x, 1) for x in (from_public, resolvent, noise)),
        blocks(jnp.broadcast_to(alpha, (beta.size, alpha.size)), 1),
    )
    traces, distance = each(lambda row: _read_block(system, *row), rows)
    traces = traces.reshape(beta.size, n * block, k, -1)[:, : alpha.size]
    distance = distance.reshape(beta.size, n * block)[:, : alpha.size]
    return Cells(radius.reshape(beta.size, -1).T, traces.swapaxes(0, 1), distance.T)


def _even(size: int, most: int) -> int:
    """Return a length of parts, ``most`` at most, that leaves little of the last part to pad."""
    return -(-size // -(-size // most))


def _settle(
    source: Float[AnyArray, "#N d d"], matrices: Float[Array, "N d d"]
) -> tuple[Float[Array, "N"], Float[Array, "N d d"], Float[Array, "N d d"]]:
    """Return each A's spectral radius and, where it is below one, W = A W Aᵀ + N and (I - A)⁻¹."""
    n, d = matrices.shape[0], matrices.shape[-1]
    # A chunk takes as many doublings as its slowest cell: put like with like.
    order = jnp.argsort(_trace(matrices))
    cells = _even(n, _CELLS)

    def chunks(x):
        return jnp.concatenate([x[order], jnp.zeros((-n % cells, d, d))]).reshape(-1, cells, d, d)

    if source.shape[0] == 1:  # the same for all
        found = jax.lax.map(partial(_settle_chunk, source), chunks(matrices))
    else:
        found = jax.lax.map(lambda x: _settle_chunk(*x), (chunks(source), chunks(matrices)))
    radius, total, resolvent = found
    back = jnp.argsort(order)
    return (
        radius.reshape(-1)[back],
        total.reshape(-1, d, d)[back],
        resolvent.reshape(-1, d, d)[back],
    )


def _settle_whole(
    source: Float[AnyArray, "#N d d"], matrices: Float[Array, "N d d"]
) -> tuple[Float[Array, "N"], Float[Array, "N d d"], Float[Array, "N d d"]]:
    # One slow cell, close to the border, takes all cells through all doublings; a radius that is
    # told apart by rank or by a power that vanishes still needs a squaring after them.
    return _settle_chunk(source, matrices, _MAX_DOUBLINGS + 1)


def _trace(x: Float[Array, "*n d d"]) -> Float[Array, "*n"]:
    return jnp.einsum("...ij,ij->...", x, jnp.eye(x.shape[-1]))


def _norm(x: Float[Array, "*n d d"]) -> Float[Array, "*n"]:
    return jnp.sqrt(jnp.einsum("...ij,...ij->...", x, x))


def _settle_chunk(
    source: AnyArray, a: Float[Array, "n d d"], squarings: int = _linalg.SQUARINGS
) -> tuple[Array, Array, Array]:
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
        lambda c: ~c[3].all() & (c[4] < squarings),
        square,
        (unit, log_scale, log_radius, pending, step),
    )
    return jnp.exp(log_radius), total, resolvent


def _read_block(
    system: GridSystem,
    beta: Float[Array, ""],
    shares: Shares,
    answers: Float[Array, "K rs d"],
    scale: Float[Array, "K A d"],
    from_public: Float[Array, "A rs p"],
    resolvent: Float[Array, "A rs rs"],
    noise: Float[Array, "A rs rs"],
    alpha: Float[Array, "A"],
) -> tuple[Float[Array, "A K M"], Float[Array, "A"]]:
    """Return traces and consensus distance of one β at several α; see _state for the formulas.

    Arrays are (A, K, rows, columns), α first, and every product contracts or keeps the last axis:
    no large array is ever transposed, which would cost more than the arithmetic.
    """
    k, d, _ = shares.inverse.shape
    own_weight = ((1 - alpha) * jnp.sqrt(beta))[:, None, None, None]
    public_weight = ((1 - alpha) * jnp.sqrt(1 - beta))[:, None, None, None]
    weight = alpha[:, None, None, None]

    def along(left, right):  # Σ_a left[k,i,a] scale[k,n,a] right[k,j,a]
        outer = (left[:, :, None, :] * right[:, None, :, :]).reshape(k, -1, d)
        flat = (scale @ outer.mT).swapaxes(0, 1)
        return flat.reshape(alpha.size, k, left.shape[1], right.shape[1])

    def over_models(left, right):  # Σ_k left[n,k,:,i] right[n,k,:,j]
        flat = [x.reshape(alpha.size, -1, x.shape[-1]) for x in (left, right)]
        return flat[0].mT @ flat[1]

    def per_alpha(x, shared):  # x[n,k] @ shared[n]
        return (x.reshape(alpha.size, -1, x.shape[-1]) @ shared).reshape(*x.shape[:-1], -1)

    inverse = shares.inverse
    heard = weight * along(inverse, shares.web)  # θ̂_k per c (but for √(1-φ), which cancels)
    alone = own_weight * along(inverse, shares.private)  # θ̂_k per e_k, without the web
    told = own_weight * along(shares.private, answers)  # (A K r rs), transposed: c per e_k
    told = per_alpha(told, resolvent.mT)
    # in all channels; a model reads one of them
    wide = system.channels.widened(heard)
    back = wide @ told.mT  # what comes back of e_k
    shared_public = resolvent @ (public_weight[..., 0] * from_public)
    public = public_weight * along(inverse, shares.public) + per_alpha(wide, shared_public)

    # Half of the covariance, or something with its symmetric part: own ownᵀ less back backᵀ, which
    # the sum over all e_j has in it, is alone aloneᵀ and twice alone backᵀ.
    common = over_models(told, told) + noise
    left = [per_alpha(wide, common / 2), alone, public / 2]
    right = [wide, alone / 2 + back, public]
    if shares.human is not None:
        fresh = weight * jnp.sqrt(system.human_share) * along(inverse, shares.human)
        left, right = [*left, fresh / 2], [*right, fresh]
    half = jnp.concatenate(left, axis=-1) @ jnp.concatenate(right, axis=-1).mT
    traces = half.reshape(-1, d * d) @ (2 * system.tasks).reshape(-1, d * d).T

    # Consensus distance, by the sums that _state.row_distance explains.
    weighed = alone * system.sizes[:, None, :]
    outer = over_models(system.sizes[..., None] * told, told)
    mean = wide.mean(axis=1)
    mean_outer, mean_back = mean @ outer, per_alpha(told, mean.mT).mT
    centred = wide - mean[:, None]  # differences first, sums of squares after: no cancellation
    apart_public = public - public.mean(axis=1, keepdims=True)

    def total(x):
        return jnp.sum(x, axis=(1, 2, 3))

    own_square = total(weighed * alone)
    apart = 2 * total(weighed * (back - mean_back)) + total(per_alpha(centred, outer) * centred)
    of_mean = 2 * total(weighed * mean_back) + k * jnp.sum(mean_outer * mean, axis=(1, 2))
    size = own_square + apart + of_mean + total(system.public_sizes * public**2)
    apart += (1 - 1 / k) * own_square
    apart += total(system.public_sizes * apart_public**2)
    distance = jnp.sqrt(jnp.maximum(apart, 0) / jnp.where(size > 0, size, 1))
    return traces.reshape(alpha.size, k, -1), distance
