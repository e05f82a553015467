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

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from commensal._cores import available_cores
from commensal.theory.regression import _linalg, _state
from commensal.theory.regression._grid_cells import Cells, System, settle_one, solve_rows
from commensal.theory.regression._moments import as_vector, constant_generation
from commensal.theory.regression._workflow import Workflow, web_gram

# β rows per device call. Fixed, so that a number never depends on how many threads share the work.
ROWS = 13
_COMPILED: set[Any] = set()  # shapes that the device call has been compiled for


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


class _Spectrum(NamedTuple):
    """Eigendecomposition of symmetric matrices, and which directions have data at all."""

    values: np.ndarray  # (*n, d)
    vectors: np.ndarray  # (*n, d, d)
    seen: np.ndarray  # (*n, d)

    def scaled(self, power: float) -> np.ndarray:
        """Vectors times the values of what is seen to a power, zero elsewhere."""
        values = np.where(self.seen, self.values, 1) ** power
        return self.vectors * np.where(self.seen, values, 0)[..., None, :]

    def pinv(self) -> np.ndarray:
        half = self.scaled(-0.5)
        return half @ half.swapaxes(-1, -2)

    def missed(self, theta: np.ndarray) -> np.ndarray:
        """The part of θ that no data say anything about."""
        parts = np.where(self.seen, 0, self.vectors.swapaxes(-1, -2) @ theta)
        return (self.vectors @ parts[..., None])[..., 0]


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
    host = jax.tree.map(np.asarray, system)
    shape = (alpha.size, beta.size, w.entities)
    radius, distance = np.zeros(shape[:2]), np.zeros(shape[:2])
    variance, squared_bias = np.zeros(shape), np.zeros(shape)
    unbiased = np.zeros(shape, dtype=bool)
    second_moments = np.zeros((*shape, host.tasks.shape[0]))
    inner, first, last = (
        np.flatnonzero(x) for x in ((alpha > 0) & (alpha < 1), alpha == 0, alpha == 1)
    )

    def note(at: Any, found: Cells, grams: _Spectrum) -> None:
        radius[at], distance[at] = found.spectral_radius, found.consensus_distance
        traces = np.asarray(found.traces)
        variance[at], second_moments[at] = traces[..., 0], traces
        unbiased[at] = grams.seen.all(axis=-1)
        if not grams.seen.all():
            # The limit's mean is θ projected on the range of G_k, which depends on α only
            # through which data have weight at all.
            missed = grams.missed(theta)
            squared_bias[at] = (missed**2).sum(axis=-1)
            second_moments[at] += np.einsum(
                "...i,mij,...j->...m", missed, host.tasks, missed, optimize=True
            )

    def solve(start: int) -> None:
        rows = np.arange(start, min(start + ROWS, beta.size))
        if inner.size:
            padded = np.resize(beta[rows], ROWS)  # one shape, one compilation
            real = _real(host, padded)
            both = _spectrum(real + host.web)
            cells = solve_rows(system, *_pencil(real, both), alpha[inner], padded)
            cut = Cells(*(np.asarray(x)[:, : rows.size] for x in cells))
            note(np.ix_(inner, rows), cut, _Spectrum(*(x[: rows.size] for x in both)))
        if first.size:
            real = _spectrum(_real(host, beta[rows]))
            note(np.ix_(first, rows), _nobody_listens(host, beta[rows], real), real)

    starts = range(0, beta.size, ROWS)
    compiled = (*(x.shape for x in system), inner.size)
    if compiled not in _COMPILED:
        solve(0)  # threads that start together would each compile
        _COMPILED.add(compiled)
        starts = starts[1:]
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(solve, starts))
    if last.size:
        web = _spectrum(host.web)
        note(last, _nobody_remembers(host, web), web)

    unstable = ~(radius < 1 - _linalg.STABILITY_MARGIN)
    for array in (second_moments, variance, squared_bias, distance):
        array[unstable] = np.nan
    pooled = _spectrum(host.private.sum(axis=0) + host.public)  # as relative_efficiency decides
    best = host.variance * np.trace(pooled.pinv()) if pooled.seen.all() else np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        efficiency = np.where(unbiased, best / variance, np.nan)
    return Grid(
        spectral_radius=radius,
        variance=variance,
        squared_bias=squared_bias,
        mspe=second_moments[..., 1:] if tasks else None,
        relative_efficiency=efficiency,
        consensus_distance=distance,
    )


def _axis(values: Any, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be a one-dimensional grid of at least one point")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"{name} must lie in [0, 1], got {values.min()} to {values.max()}")
    return values


def _system(w: Workflow, tasks: bool) -> System:
    with jax.enable_x64(True):
        g = constant_generation(w)
        eye = jnp.eye(w.dim)[None]
        return System(
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


def _spectrum(grams: np.ndarray) -> _Spectrum:
    values, vectors = np.linalg.eigh(grams)
    largest = np.abs(values).max(axis=-1, keepdims=True)
    return _Spectrum(values, vectors, values > _linalg.rank_tolerance(grams.shape[-1]) * largest)


def _pencil(real: np.ndarray, both: _Spectrum) -> tuple[np.ndarray, np.ndarray]:
    """Z (B, K, d, d) and μ (B, K, d) of the module's docstring, from R and that of R + H."""
    whiten = both.scaled(-0.5)
    mu, rotation = np.linalg.eigh(whiten.swapaxes(-1, -2) @ real @ whiten)
    return whiten @ rotation, np.clip(mu, 0, 1)


def _nobody_listens(s: System, beta: np.ndarray, real: _Spectrum) -> Cells:
    """α = 0: every entity refits its own data for ever."""
    b = beta[:, None, None, None]
    gain = real.pinv()
    covariance = s.variance * gain @ (b**2 * s.private + (1 - b) ** 2 * s.public) @ gain
    flat = s.tasks.reshape(s.tasks.shape[0], -1)
    traces = covariance.reshape(*covariance.shape[:2], -1) @ flat.T
    own, public = b * gain @ s.private, (1 - b) * gain @ s.public
    axes = (1, 2, 3)
    squares = (own**2).sum(axis=axes)
    apart = ((public - public.mean(axis=1, keepdims=True)) ** 2).sum(axis=axes)
    apart += (1 - 1 / s.private.shape[0]) * squares
    size = squares + (public**2).sum(axis=axes)
    return Cells(np.zeros(beta.size), traces, np.sqrt(apart / np.where(size > 0, size, 1)))


def _nobody_remembers(s: System, web: _Spectrum) -> Cells:
    """α = 1: every entity trains on the same web and nothing else, whatever β is."""
    gain = web.pinv()
    radius, noise = settle_one(s.fresh_noise, (1 - s.human_share) * s.synthetic.mean(0) @ gain)
    traces = np.einsum("ij,mij->m", gain @ noise @ gain, s.tasks)
    return Cells(radius, traces, np.zeros(()))


def _real(s: System, beta: np.ndarray) -> np.ndarray:
    """R_k(β) = β S̃_k + (1-β) S_*, (B, K, d, d)."""
    b = beta[:, None, None, None]
    return b * s.private + (1 - b) * s.public
