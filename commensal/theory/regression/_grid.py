r"""The limit over a whole α × β grid at once.

Same numbers as :func:`limit` cell by cell, by another route that shares work between cells.

*Along α* the Gram matrices of one entity at one β are a pencil:
:math:`G_k(α) = \barα R_k + α H` with :math:`R_k = β\tilde S_k + \barβ S_*` and H the Gram matrix of
the web. One pair of eigendecompositions diagonalises both,
:math:`R_k + H = Z^{-\top} Z^{-1}` and :math:`Z^\top R_k Z = \mathrm{diag}(μ)`, so that
:math:`G_k(α)^{-1} = Z\,\mathrm{diag}(1/(\barαμ + α(1-μ)))\,Z^\top` for every α in (0, 1): a matrix
product where there was an inverse. Ranks are decided once per (β, k), not per cell.

*Between entities* the private Gram matrices enter through factors :math:`\tilde S_k = F_k^\top F_k`
with as many rows as their rank.

*Per cell* what is left is d × d: the Stein equation, the resolvent and the spectral radius, from
the same repeated squarings.

The compiled part is made of matrix products alone, too small to keep more than one core busy,
so the β rows are spread over cores by threads. The eigendecompositions are NumPy's: batched
LAPACK calls inside XLA:CPU can wait for each other for ever (see _linalg), and here they are one
part in ten of the work.

At α = 0 and α = 1 the pencil is no congruence any more (a pseudo-inverse is not), but the system
is trivial: nobody listens, or nobody remembers.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._precision import float64
from commensal.theory.regression import _linalg, _state
from commensal.theory.regression._moments import as_vector, constant_generation
from commensal.theory.regression._workflow import Workflow, web_gram

# β rows per device call, cells per convergence loop, and models per block of the last stage
# (so that a block stays in a core's cache). Fixed, so that a number never depends on how many
# threads share the work.
ROWS = 13
_CELLS = 128
_BLOCK = 4096

_MAX_DOUBLINGS = 40
_RANK_ONE = 1e-13


class Grid(NamedTuple):
    """Limits over an α × β grid; A values of α, B of β, K entities.

    Attributes
    ----------
    spectral_radius : Float[Array, "A B"]
        ρ(Q), also where it is one or more.
    variance : Float[Array, "A B K"]
        Limit of tr Cov θ̂_k; NaN where ρ(Q) ≥ 1.
    squared_bias : Float[Array, "A B K"]
        Limit of ‖E θ̂_k - θ‖²; NaN where ρ(Q) ≥ 1.
    mspe : Float[Array, "A B K K"] or None
        Limit of E‖X̃_m(θ̂_k - θ)‖², model k by task m; NaN where ρ(Q) ≥ 1. None where not asked for.
    relative_efficiency : Float[Array, "A B K"]
        As :func:`relative_efficiency`; NaN where ρ(Q) ≥ 1 or where the limit is biased.
    consensus_distance : Float[Array, "A B"]
        As :func:`consensus_distance`; NaN where ρ(Q) ≥ 1.
    """

    spectral_radius: Float[np.ndarray, "A B"]
    variance: Float[np.ndarray, "A B K"]
    squared_bias: Float[np.ndarray, "A B K"]
    mspe: Float[np.ndarray, "A B K K"] | None
    relative_efficiency: Float[np.ndarray, "A B K"]
    consensus_distance: Float[np.ndarray, "A B"]

    @property
    def mse(self) -> Float[np.ndarray, "A B K"]:
        """Limit of E‖θ̂_k - θ‖²; NaN where ρ(Q) ≥ 1."""
        return self.variance + self.squared_bias


class _System(NamedTuple):
    """What all cells of a grid have in common."""

    private: Float[Array, "K d d"]
    factors: Float[Array, "K r d"]
    public: Float[Array, "d d"]
    synthetic: Float[Array, "K d d"]
    web: Float[Array, "d d"]
    fresh_noise: Float[Array, "d d"]
    variance: Float[Array, ""]
    human_share: Float[Array, ""]
    tasks: Float[Array, "M d d"]  # traces against these are reported; the first is the identity


class _Cells(NamedTuple):
    """Traces of one block of cells; α leads, and everything is a sum over what it names."""

    spectral_radius: Float[Array, "A B"]
    traces: Float[Array, "A B K M"]
    consensus_distance: Float[Array, "A B"]


def grid(w: Workflow, alpha: Any, beta: Any, theta: Any = None, *, tasks: bool = True) -> Grid:
    """Limits of the system for every α with every β: errors, efficiency, stability, consensus.

    Parameters
    ----------
    w : Workflow
        Constant in time; its own ``alpha`` and ``beta`` are not used.
    alpha : Float[Array, "A"]
        Weights of newly collected data, in [0, 1], at least one.
    beta : Float[Array, "B"]
        Weights of private data, in [0, 1], at least one.
    theta : Float[Array, "d"] or None
        True parameter, which matters only where the limit is biased. None: θ = 0.
    tasks : bool
        Whether to form ``mspe`` (A·B·K² numbers).

    Returns
    -------
    Grid
        Named arrays, float64, on the host. Cells with ρ(Q) ≥ 1 are NaN in all but ρ.

    Raises
    ------
    ValueError
        If a weight lies outside [0, 1], a grid is empty, or the workflow varies in time.

    Notes
    -----
    `interactive`, Theorem 3 and fig. 2. O(K d³) per cell, one eigendecomposition per (β, k).

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = Workflow(one[None], one, one[None], alpha=0.5, beta=0.5)
    >>> g = grid(w, [0.0, 0.5, 1.0], [0.5])
    >>> g.spectral_radius[:, 0].round(9)
    array([0. , 0.5, 1. ])
    >>> g.relative_efficiency[:, 0, 0].round(9)
    array([1. , 0.6, nan])
    """
    alpha, beta = _axis(alpha, "alpha"), _axis(beta, "beta")
    if w.schedule_length is not None:
        raise ValueError("a grid needs a workflow that is constant in time")
    theta = np.zeros(w.dim) if theta is None else np.asarray(as_vector(theta, w.dim))
    system = _system(w, tasks)
    radius = np.zeros((alpha.size, beta.size))
    distance = np.zeros_like(radius)
    traces = np.zeros((*radius.shape, w.entities, system.tasks.shape[0]))
    inner = np.flatnonzero((alpha > 0) & (alpha < 1))
    starts = range(0, beta.size if inner.size else 0, ROWS)

    def solve(start: int) -> None:
        rows = np.arange(start, min(start + ROWS, beta.size))
        padded = np.resize(beta[rows], ROWS)  # one shape, one compilation
        cells = _solve_rows(system, *_pencil(system, padded), alpha[inner], padded)
        at = np.ix_(inner, rows)
        radius[at] = cells.spectral_radius[:, : rows.size]
        distance[at] = cells.consensus_distance[:, : rows.size]
        traces[at] = cells.traces[:, : rows.size]

    for start in starts[:1]:
        solve(start)  # compiles; threads that start together would each compile
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(solve, starts[1:]))
    for edge, at_edge in ((0.0, _nobody_listens), (1.0, _nobody_remembers)):
        at = np.flatnonzero(alpha == edge)
        if at.size:
            radius[at], traces[at], distance[at] = at_edge(system, beta)
    return _assemble(w, system, theta, alpha, beta, radius, traces, distance)


def _axis(values: Any, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be a one-dimensional grid of at least one point")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"{name} must lie in [0, 1], got {values.min()} to {values.max()}")
    return values


def _system(w: Workflow, tasks: bool) -> _System:
    with jax.enable_x64(True):
        g = constant_generation(w)
        eye = jnp.eye(w.dim)[None]
        return _System(
            private=w.private,
            factors=jnp.asarray(_factors(np.asarray(w.private))),
            public=w.public,
            synthetic=w.synthetic,
            web=web_gram(g),
            fresh_noise=_state.fresh_noise(w, g),
            variance=w.noise**2,
            human_share=w.human_share,
            tasks=jnp.concatenate([eye, w.private]) if tasks else eye,
        )


def _factors(grams: np.ndarray) -> np.ndarray:
    """F (K, r, d) with FᵀF = S, r the largest rank (at least one row, for the shape's sake)."""
    eigenvalues, vectors = np.linalg.eigh(grams)
    cutoff = _linalg.rank_tolerance(grams.shape[-1]) * np.abs(eigenvalues).max(
        axis=-1, keepdims=True
    )
    rank = max(1, int((eigenvalues > cutoff).sum(axis=-1).max()))
    roots = np.sqrt(np.maximum(eigenvalues[:, -rank:], 0))
    return roots[:, :, None] * vectors[:, :, -rank:].swapaxes(-1, -2)


def available_cores() -> int:
    """Cores to share work over; one where the work is an accelerator's."""
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pencil(system: _System, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Z (B, K, d, d) and μ (B, K, d) of the module's docstring."""
    real = _real(system, beta)
    eigenvalues, vectors = np.linalg.eigh(real + np.asarray(system.web))
    keep = eigenvalues > _linalg.rank_tolerance(system.web.shape[0]) * np.abs(eigenvalues).max(
        -1, keepdims=True
    )
    whiten = vectors * np.where(keep, 1 / np.sqrt(np.where(keep, eigenvalues, 1)), 0)[..., None, :]
    mu, rotation = np.linalg.eigh(whiten.swapaxes(-1, -2) @ real @ whiten)
    return whiten @ rotation, np.clip(mu, 0, 1)


@float64
@jax.jit
def _solve_rows(
    system: _System,
    basis: Float[Array, "B K d d"],
    mu: Float[Array, "B K d"],
    alpha: Float[Array, "A"],
    beta: Float[Array, "B"],
) -> _Cells:
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
    return _Cells(radius.reshape(beta.size, -1).T, traces.swapaxes(0, 1), distance.T)


def _settle(
    source: Float[Array, "d d"], matrices: Float[Array, "N d d"]
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


def _settle_chunk(source: Array, a: Float[Array, "n d d"]) -> tuple[Array, Array, Array]:
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
    system: _System,
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


def _nobody_listens(system: _System, beta: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """α = 0: every entity refits its own data for ever."""
    s = jax.tree.map(np.asarray, system)
    b = beta[:, None, None, None]
    gain = _pinv(_real(s, beta))
    covariance = s.variance * gain @ (b**2 * s.private + (1 - b) ** 2 * s.public) @ gain
    traces = np.einsum("bkij,mij->bkm", covariance, s.tasks, optimize=True)
    own, public = b * gain @ s.private, (1 - b) * gain @ s.public
    axes = (1, 2, 3)
    squares = (own**2).sum(axis=axes)
    apart = ((public - public.mean(axis=1, keepdims=True)) ** 2).sum(axis=axes)
    apart += (1 - 1 / s.private.shape[0]) * squares
    size = squares + (public**2).sum(axis=axes)
    return 0.0, traces, np.sqrt(apart / np.where(size > 0, size, 1))


def _nobody_remembers(system: _System, beta: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """α = 1: every entity trains on the same web and nothing else, whatever β is."""
    s = jax.tree.map(np.asarray, system)
    gain = _pinv(s.web)
    radius, noise = _settle_one(
        system.fresh_noise, (1 - s.human_share) * s.synthetic.mean(0) @ gain
    )
    traces = np.einsum("ij,mij->m", gain @ noise @ gain, s.tasks)
    shape = (beta.size, s.private.shape[0], traces.size)
    return radius, np.broadcast_to(traces, shape), np.zeros(beta.size)


@float64
@jax.jit
def _settle_one(source: Array, a: Array) -> tuple[Array, Array]:
    radius, total, _ = _settle_chunk(source, a[None])
    return radius[0], total[0]


def _real(s: _System, beta: np.ndarray) -> np.ndarray:
    """R_k(β) = β S̃_k + (1-β) S_*, (B, K, d, d)."""
    b = beta[:, None, None, None]
    return b * np.asarray(s.private) + (1 - b) * np.asarray(s.public)


def _pinv(grams: np.ndarray) -> np.ndarray:
    return np.linalg.pinv(grams, rcond=_linalg.rank_tolerance(grams.shape[-1]), hermitian=True)


def _assemble(
    w: Workflow,
    system: _System,
    theta: np.ndarray,
    alpha: np.ndarray,
    beta: np.ndarray,
    radius: np.ndarray,
    traces: np.ndarray,
    distance: np.ndarray,
) -> Grid:
    """Add the bias, mark what has no limit, and name the parts."""
    s = jax.tree.map(np.asarray, system)
    variance = traces[..., 0].copy()
    squared_bias = np.zeros_like(variance)
    unbiased = np.ones(variance.shape, dtype=bool)
    real = _real(s, beta)
    for cells, grams in (
        (alpha == 0, real),
        ((alpha > 0) & (alpha < 1), real + s.web),
        (alpha == 1, np.broadcast_to(s.web, real.shape)),
    ):
        if not cells.any():
            continue
        # The limit's mean is θ projected on the range of G_k, which depends on α only through
        # which data have weight at all.
        eigenvalues, vectors = np.linalg.eigh(grams)
        size = np.abs(eigenvalues).max(axis=-1, keepdims=True)
        unseen = eigenvalues <= _linalg.rank_tolerance(w.dim) * size
        unbiased[cells] = ~unseen.any(axis=-1)
        if unseen.any():
            missed = np.einsum(
                "bkij,bkj->bki", vectors, unseen * (vectors.swapaxes(-1, -2) @ theta)
            )
            squared_bias[cells] = (missed**2).sum(axis=-1)
            traces[cells] += np.einsum("bki,mij,bkj->bkm", missed, s.tasks, missed, optimize=True)
    unstable = ~(radius < 1 - _linalg.STABILITY_MARGIN)
    for array in (traces, variance, squared_bias, distance):
        array[unstable] = np.nan
    pooled = s.private.sum(axis=0) + s.public
    known = np.linalg.eigvalsh(pooled)  # as relative_efficiency decides it
    determined = known[0] > _linalg.rank_tolerance(w.dim) * np.abs(known).max()
    best = s.variance * np.trace(_pinv(pooled)) if determined else np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        efficiency = np.where(unbiased, best / variance, np.nan)
    return Grid(
        spectral_radius=radius,
        variance=variance,
        squared_bias=squared_bias,
        mspe=traces[..., 1:] if traces.shape[-1] > 1 else None,
        relative_efficiency=efficiency,
        consensus_distance=distance,
    )
