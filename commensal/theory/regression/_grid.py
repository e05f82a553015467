r"""Limits of many generations over a whole α × β grid at once.

Same numbers as :func:`limit` cell by cell, by another route that shares work between cells.

*Along α* the Gram matrices of one model at one β are a pencil:
:math:`G_k(α) = \barα R_k + α H` with :math:`R_k = β\tilde S_k + \barβ S_*` and H the Gram matrix of
the web. Stacked factors, orthogonalised once, bring both into diagonal form (:mod:`._pencil`), so
that :math:`G_k(α)^{-1} = Z\,\mathrm{diag}(1/(\barα C^2 + α S^2))\,Z^\top` for every α in (0, 1): a
matrix product where there was an inverse. Ranks are decided once per k, not per cell.

*Per cell* what is left is the d × d system of :mod:`._state`: the Stein equation, the resolvent and
the spectral radius, from the same repeated squarings.

The compiled part is made of matrix products alone, too small to keep more than one core busy,
so the β rows are spread over cores by threads. The decompositions are NumPy's: batched
LAPACK calls inside XLA:CPU can wait for each other for ever (see _linalg), and here they are one
part in ten of the work. Where :func:`limit`'s route is taken, :func:`compiled` sees to it that one
thread takes it at a time.

*On an accelerator* the compiled part takes as many rows as its memory holds (:mod:`._blocks`). The
decompositions would be what it waits for: all cores of the host share them, those of the next
block are made while it works on one, and so are the cells at α = 0.

Where weights differ by many orders of magnitude (β within 1e-4 of an edge) a pencil would lose
digits, and :func:`limit`'s own route is taken, cell by cell.

At α = 0 and α = 1 the system is trivial: nobody listens, or nobody remembers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Complex, Float

from commensal._blocks import at_once, large_blocks
from commensal._cores import available_cores, host_cores
from commensal._memory import check_memory
from commensal.theory.regression import _grid_memory, _linalg, _state
from commensal.theory.regression._grid_cells import (
    Cells,
    GridSystem,
    bytes_of_block,
    settle_one,
    solve_rows,
)
from commensal.theory.regression._grid_memory import Memory
from commensal.theory.regression._moments import as_vector, cell
from commensal.theory.regression._pencil import Data, Pencil, Shares, data_of
from commensal.theory.regression._workflow import HumanData, RegressionWorkflow, generations_of

# β rows per device call on a CPU, and of a thread's decompositions. Fixed, so that a number never
# depends on how many threads share the work.
ROWS = 13
_HOST_ROWS = 3  # of a thread in NumPy
_BLAS_ALONE = 2**18  # products of a matrix product that OpenBLAS leaves to one thread
_ALPHAS = 13  # rows of such a product
_BIAS = 1e-3  # largest share of an error that may be bias, if it is to have an efficiency
_COMPILED: set[Any] = set()  # shapes that the device call has been compiled for


class Grid(NamedTuple):
    """Limits over an α × β grid, for A values of α, B of β, and K models.

    Of one generation T, where that was asked for, variables are told where ρ(Q) ≥ 1 too.

    Attributes
    ----------
    spectral_radius : Float[Array, "A B"]
        ρ(Q), also where it is one or more; NaN where it cannot be trusted. With a window the growth
        of errors per generation in the long run; 1 where everything is kept.
    trusted : Bool[Array, "A B"]
        Whether rounding changes the numbers by less than one part in a thousand, as far as can be
        estimated; where not, all of them are NaN.
    variance : Float[Array, "A B K"]
        Limit of tr Cov θ̂_k; NaN where ρ(Q) ≥ 1.
    squared_bias : Float[Array, "A B K"]
        Limit of ‖E θ̂_k - θ‖²; NaN where ρ(Q) ≥ 1.
    mspe : Float[Array, "A B K K"] or None
        Limit of E‖X̃_m(θ̂_k - θ)‖², model k by task m; NaN where ρ(Q) ≥ 1. None where not asked for.
    relative_efficiency : Float[Array, "A B K"]
        Relative efficiency, as :func:`relative_efficiency`; NaN where ρ(Q) ≥ 1 or where the limit
        is biased.
    consensus_distance : Float[Array, "A B"]
        Distance between models, as :func:`consensus_distance`; NaN where ρ(Q) ≥ 1.
    growth_exponent : Float[Array, "A B"] or None
        Exponent p with which errors change as n^p where everything is kept; None of other memories.
    """

    spectral_radius: Float[np.ndarray, "A B"]
    trusted: Bool[np.ndarray, "A B"]
    variance: Float[np.ndarray, "A B K"]
    squared_bias: Float[np.ndarray, "A B K"]
    mspe: Float[np.ndarray, "A B K K"] | None
    relative_efficiency: Float[np.ndarray, "A B K"]
    consensus_distance: Float[np.ndarray, "A B"]
    growth_exponent: Float[np.ndarray, "A B"] | None = None

    @property
    def stable(self) -> Bool[np.ndarray, "A B"]:
        """Whether errors stay bounded; False where that is not known."""
        if self.growth_exponent is None:
            return self.spectral_radius < 1 - _linalg.STABILITY_MARGIN
        return self.growth_exponent <= 0

    @property
    def mse(self) -> Float[np.ndarray, "A B K"]:
        """Limit of E‖θ̂_k - θ‖²; NaN where ρ(Q) ≥ 1."""
        return self.variance + self.squared_bias


class GridStability(NamedTuple):
    """Stability over an α × β grid, for A values of α and B of β.

    Attributes
    ----------
    spectral_radius : Float[Array, "A B"]
        ρ(Q), also where it is one or more; NaN where it cannot be trusted.
    trusted : Bool[Array, "A B"]
        Whether rounding changes ρ(Q) by less than one part in a thousand, as in :class:`Grid`.
    unbiased : Bool[Array, "A B"]
        Whether every model sees all directions of θ, so that it has an efficiency where ρ(Q) < 1.
    eigenvalues : Complex[Array, "A B n"]
        Eigenvalues of Q, but for zeros. NaN where models read different webs.
    """

    spectral_radius: Float[np.ndarray, "A B"]
    trusted: Bool[np.ndarray, "A B"]
    unbiased: Bool[np.ndarray, "A B"]
    eigenvalues: Complex[np.ndarray, "A B n"]


def grid(
    w: RegressionWorkflow,
    alpha: Any,
    beta: Any,
    theta: Any = None,
    *,
    tasks: bool = True,
    generations: int | None = None,
    memory: str = "replace",
    window: int | None = None,
) -> Grid:
    """Compute errors, efficiency, stability and consensus in the limit for every α with every β.

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant in time; its own ``alpha`` and ``beta`` are not used.
    alpha : Float[Array, "A"]
        Weights of newly collected data, in [0, 1], at least one.
    beta : Float[Array, "B"]
        Weights of private data, in [0, 1], at least one.
    theta : Float[Array, "d"] or None
        True parameter, which matters only where the limit is biased. None: θ = 0.
    tasks : bool
        Whether to form ``mspe`` (A·B·K² numbers).
    generations : int or None
        Generation T ≥ 1 whose errors are told; None for the limit.
    memory : {"replace", "accumulate", "window"}
        Part of the web that is read, as in :func:`trajectory`; one that is kept needs T.
    window : int or None
        Generations m that memory "window" keeps; None for all of them.

    Returns
    -------
    Grid
        Named arrays, float64, on the host. Cells with ρ(Q) ≥ 1 are NaN in all but ρ.

    Raises
    ------
    ValueError
        If a weight lies outside [0, 1], a grid is empty, or the workflow varies in time; for a
        memory other than "replace" without ``generations``.

    Notes
    -----
    `interactive`, Theorem 3 and fig. 2. O(K d³) per cell, one eigendecomposition per (β, k).

    Of generation T (new here), O(T K d³) per cell: moments are those of :func:`trajectory`, and an
    efficiency is the error of the best unbiased estimate over the model's, NaN where bias has more
    than a thousandth of it. Errors grow, in the long run, by ``spectral_radius`` a generation
    (:func:`commensal.theory.memory.window_growth`), or where everything is kept as
    n^``growth_exponent``. Real data of a fixed share have the largest real part of an eigenvalue of
    Q, less 1, as exponent; real data of a fixed weight that of Q in the end, when the web outweighs
    them: 0 where all read alike. Cells at weights that differ by more than 10⁴ within the real data
    or within the new ones are not trusted.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = RegressionWorkflow(one[None], one, one[None], alpha=0.5, beta=0.5)
    >>> g = grid(w, [0.0, 0.5, 1.0], [0.5])
    >>> g.spectral_radius[:, 0].round(9)
    array([0. , 0.5, 1. ])
    >>> g.relative_efficiency[:, 0, 0].round(9)
    array([1. , 0.6, nan])

    After 100 generations, with three of them kept:

    >>> g = grid(w, [0.5, 1.0], [0.5], generations=100, memory="window", window=3)
    >>> g.spectral_radius[:, 0].round(3), g.mse[:, 0, 0].round(3)
    (array([0.72, 1.  ]), array([ 0.643, 26.215]))
    """
    alpha, beta = _axis(alpha, "alpha"), _axis(beta, "beta")
    check_memory(memory, window)
    if w.schedule_length is not None:
        raise ValueError("a grid needs a workflow that is constant in time")
    theta = np.zeros(w.dim) if theta is None else np.asarray(as_vector(theta, w.dim))
    if generations is not None:
        if generations < 1:
            raise ValueError(f"generations must be at least 1, got {generations}")
        kept = 1 if memory == "replace" else window
        return _remembered(
            w, alpha, beta, theta, tasks, Memory(generations, kept, memory == "accumulate")
        )
    if memory != "replace":
        raise ValueError(f"memory {memory!r} needs generations: its errors are told of one of them")
    data, system, root = _prepare(w, tasks)
    shape = (alpha.size, beta.size, w.models)
    radius, distance = np.zeros(shape[:2]), np.zeros(shape[:2])
    noise, root = np.float64(w.noise), np.float64(root)
    # from the units of the system to those that were given: of θ, then of responses
    with np.errstate(over="ignore"):
        units = np.append((noise / root) ** 2, np.full(len(system.tasks) - 1, noise**2))
    second_moments = np.zeros((*shape, system.tasks.shape[0]))
    unit_variance, variance, squared_bias = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    unbiased = np.zeros(shape, dtype=bool)
    graded = data.graded(beta)
    inner, first, last = (
        np.flatnonzero(x) for x in ((alpha > 0) & (alpha < 1), alpha == 0, alpha == 1)
    )

    wide, high = block_of(w, inner.size, beta.size, tasks)
    whole = large_blocks()

    def note(at: Any, found: Cells, pencil: Pencil) -> None:
        radius[at], distance[at] = found.spectral_radius, found.consensus_distance
        traces = np.asarray(found.traces)
        unit_variance[at] = traces[..., 0]
        with np.errstate(over="ignore"):  # where there is no limit, and NaN will stand
            second_moments[at] = traces * units
        variance[at] = unit_variance[at] * units[0]
        unbiased[at] = pencil.seen.all(axis=-1)
        if not pencil.seen.all():
            # The limit's mean is θ projected on the range of G_k, which depends on α only
            # through which data have weight at all.
            missed = pencil.missed(theta)
            squared_bias[at] = (missed**2).sum(axis=-1)
            of_tasks = np.einsum(
                "...i,mij,...j->...m", missed, system.tasks[1:], missed, optimize=True
            )
            second_moments[..., 1:][at] += root**2 * of_tasks

    def pencil_of(beta: Float[np.ndarray, "B"]) -> Pencil:
        parts = [beta[i : i + ROWS] for i in range(0, beta.size, ROWS)]
        found = list(
            (host.map if len(parts) > 1 else map)(lambda x: data.pencil(x, 1.0, 1.0), parts)
        )
        return found[0] if len(found) == 1 else Pencil(*jax.tree.map(_joined, *map(tuple, found)))

    def solve(start: int) -> None:
        rows = np.arange(start, min(start + high, beta.size))
        padded = np.resize(beta[rows], high)  # one shape, one compilation
        extreme = graded[np.resize(rows, high)]
        padded[extreme] = 0.5  # to be replaced
        pencil = pencil_of(padded)
        for left in range(0, inner.size, wide):
            at = inner[left : left + wide]
            cells = solve_rows(
                system, pencil.shares, np.resize(alpha[at], wide), padded, whole=whole
            )
            own = np.array if extreme.any() else np.asarray  # to be written to, or not
            cut = Cells(*(own(x)[: at.size, : rows.size] for x in cells))
            for i in np.flatnonzero(extreme[: rows.size]):
                for j, a in enumerate(alpha[at]):
                    one = cell(w.replace(alpha=a, beta=beta[rows[i]]), system.tasks)
                    for all_, part in zip(cut, one, strict=True):
                        all_[j, i] = part
            note(np.ix_(at, rows), cut, pencil.rows(rows.size))

    def refit(start: int) -> None:
        rows = np.arange(start, min(start + ROWS, beta.size))
        pencil = data.pencil(beta[rows], 1.0, 0.0)
        note(np.ix_(first, rows), _nobody_listens(system, pencil.shares, beta[rows]), pencil)

    def block(start: int) -> None:
        if inner.size:
            solve(start)
        if first.size and not whole:
            refit(start)

    starts = list(range(0, beta.size, high))
    compiled = (
        *(jnp.shape(x) for x in jax.tree.leaves(system)),
        *(wide, high if whole else None),
        w.channels,
        w.human_data,
    )
    # on an accelerator one more than work at a time, so that it need not wait for the host
    cores = available_cores() + whole
    with ThreadPoolExecutor(host_cores()) as host, ThreadPoolExecutor(cores) as pool:
        if inner.size and compiled not in _COMPILED:
            block(starts.pop(0))  # threads that start together would each compile
            _COMPILED.add(compiled)
        running = [pool.submit(block, start) for start in starts]
        if first.size and whole:
            running += [host.submit(refit, i) for i in range(0, beta.size, ROWS)]
        for one in running:
            one.result()
    if last.size:
        pencil = data.pencil(beta[:1], 0.0, 1.0)
        if w.channels.count == 1:
            found = _nobody_remembers(system, pencil.shares)
        else:
            found = Cells(*cell(w.replace(alpha=1.0), system.tasks))
        note(last, found, pencil)

    trusted = data.trusted(alpha, beta, radius)
    lost = ~(trusted & (radius < 1 - _linalg.STABILITY_MARGIN))
    radius[~trusted] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        efficiency = np.where(unbiased, data.pooled_variance / unit_variance, np.nan)
    for array in (second_moments, variance, squared_bias, distance, efficiency):
        array[lost] = np.nan
    return Grid(
        spectral_radius=radius,
        trusted=trusted,
        variance=variance,
        squared_bias=squared_bias,
        mspe=second_moments[..., 1:] if tasks else None,
        relative_efficiency=efficiency,
        consensus_distance=distance,
    )


def grid_stability(w: RegressionWorkflow, alpha: Any, beta: Any) -> GridStability:
    """Compute where a system is stable, for every α with every β, in a third of the grid's time.

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant in time; its own ``alpha`` and ``beta`` are not used. All models
        read the same web; with any other network :func:`grid` does the work.
    alpha, beta : Float[Array, "A"], Float[Array, "B"]
        Weights in [0, 1], at least one of each.

    Returns
    -------
    GridStability
        Named arrays, float64, on the host, with the numbers of :func:`grid`.

    Raises
    ------
    ValueError
        If a weight lies outside [0, 1], a grid is empty, or the workflow varies in time.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = RegressionWorkflow(one[None], one, one[None], alpha=0.5, beta=0.5)
    >>> grid_stability(w, [0.0, 0.5, 1.0], [0.5]).spectral_radius[:, 0].round(9)
    array([0. , 0.5, 1. ])
    """
    alpha, beta = _axis(alpha, "alpha"), _axis(beta, "beta")
    if w.schedule_length is not None or w.channels.count > 1:
        return _whole(w, alpha, beta)
    data, system, _ = _prepare(w, tasks=False)
    if data.graded(beta).any():
        return _whole(w, alpha, beta)
    seen = np.zeros((alpha.size, beta.size), dtype=bool)
    values = np.zeros((*seen.shape, system.published.shape[0]), dtype=complex)
    first, last = alpha == 0, alpha == 1
    inner = np.flatnonzero(~first & ~last)

    def solve(start: int) -> None:
        rows = np.arange(start, min(start + _HOST_ROWS, beta.size))
        pencil = data.pencil(beta[rows], 1.0, 1.0)
        seen[np.ix_(inner, rows)] = pencil.seen.all(axis=(-2, -1))
        for j, row in enumerate(rows):
            values[inner, row] = _eigenvalues(system, pencil.shares, j, alpha[inner])

    if inner.size:
        with ThreadPoolExecutor(host_cores()) as pool:
            list(pool.map(solve, range(0, beta.size, _HOST_ROWS)))
    if first.any():
        seen[first] = data.pencil(beta, 1.0, 0.0).seen.all(axis=(-2, -1))
    if last.any():
        pencil = data.pencil(beta[:1], 0.0, 1.0)
        values[last] = _eigenvalues(system, pencil.shares, 0, alpha[last])[:, None]
        seen[last] = pencil.seen.all(axis=(-2, -1))
    radius = np.abs(values).max(axis=-1)
    trusted = data.trusted(alpha, beta, radius)
    radius[~trusted] = np.nan
    if not np.isfinite(data.pooled_variance):
        seen[:] = False
    return GridStability(radius, trusted, seen, values)


def _whole(w: RegressionWorkflow, alpha: np.ndarray, beta: np.ndarray) -> GridStability:
    found = grid(w, alpha, beta, tasks=False)
    known: Any = ~np.isnan(found.relative_efficiency).any(axis=-1)
    values = np.full((*known.shape, 1), np.nan, dtype=complex)
    return GridStability(found.spectral_radius, found.trusted, known, values)


def _eigenvalues(
    system: GridSystem, shares: Shares, row: int, alpha: Float[np.ndarray, "A"]
) -> Complex[np.ndarray, "A s"]:
    """Return the eigenvalues of the web's way from one generation to the next, for α > 0."""
    shares = jax.tree.map(lambda x: x[row], shares)

    def squares(*blocks: Any) -> np.ndarray:
        return np.sum([(x**2).sum(axis=-2) for x in blocks if x is not None], axis=0)[:, None]

    real, new = squares(shares.private, shares.public), squares(shares.web, shares.human)
    scale = (1 - alpha)[:, None] * real + alpha[:, None] * new  # (K A d)
    scale = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    # a sum over models of answers · scale · (rows)ᵀ, which is linear in the diagonal `scale`
    answers = (system.answers @ shares.web).mT
    outer = (answers[..., None] * shares.web.mT[:, :, None]).reshape(-1, answers.shape[-1] ** 2)
    flat = scale.swapaxes(0, 1).reshape(alpha.size, -1)
    step = np.empty((alpha.size, outer.shape[1]))
    # in blocks that BLAS does not share among threads, which would wait for those of other rows
    wide = max(1, _BLAS_ALONE // (flat.shape[1] * _ALPHAS))
    for i in range(0, alpha.size, _ALPHAS):
        for j in range(0, outer.shape[1], wide):
            step[i : i + _ALPHAS, j : j + wide] = flat[i : i + _ALPHAS] @ outer[:, j : j + wide]
    side = answers.shape[-1]
    step = alpha[:, None, None] * step.reshape(alpha.size, side, side)
    known: Any = np.isfinite(step).all(axis=(-2, -1))
    values = np.linalg.eigvals(np.where(known[:, None, None], step, 0))
    return np.where(known[:, None], values.astype(complex), np.nan)


def _remembered(
    w: RegressionWorkflow,
    alpha: np.ndarray,
    beta: np.ndarray,
    theta: np.ndarray,
    tasks: bool,
    memory: Memory,
) -> Grid:
    """Tell the errors of one generation."""
    data, system, root = _prepare(w, tasks)
    first = beta if w.initial_beta is None else np.full_like(beta, float(w.initial_beta))
    found = _grid_memory.solve(
        data, _grid_memory.system_of(data, system, theta), alpha, beta, first, memory, ROWS
    )
    # the web's weight, in the end, where each generation has its own
    last = memory.generations * alpha / (1 - alpha + memory.generations * alpha)
    zero = np.zeros((alpha.size, beta.size))
    trusted = data.trusted(alpha, beta, zero) & data.trusted(last, beta, zero)
    trusted &= ~(data.graded(beta) | data.graded(first))
    noise = np.float64(w.noise)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = found.traces[..., 0] * (noise / root) ** 2
        squared_bias = (found.bias**2).sum(axis=-1)
        mspe = found.traces[..., 1:] * noise**2
        mspe += root**2 * np.einsum(
            "abki,mij,abkj->abkm", found.bias, system.tasks[1:], found.bias, optimize=True
        )
        error = variance + squared_bias
        trusted &= np.isfinite(error).all(axis=-1)
        known = trusted[..., None] & (squared_bias <= _BIAS * error) & (error > 0)
        best = data.pooled_variance * (noise / root) ** 2
        efficiency = np.where(known, best / np.where(known, error, 1), np.nan)
    for array in (found.radius, found.exponent, found.distance, variance, squared_bias, mspe):
        array[~trusted] = np.nan
    return Grid(
        spectral_radius=found.radius,
        trusted=trusted,
        variance=variance,
        squared_bias=squared_bias,
        mspe=mspe if tasks else None,
        relative_efficiency=efficiency,
        consensus_distance=found.distance,
        growth_exponent=found.exponent if memory.window is None else None,
    )


def block_of(w: RegressionWorkflow, alphas: int, betas: int, tasks: bool) -> tuple[int, int]:
    """Return how many values of α, all of them on a CPU, and of β one device call takes."""
    of_system = w.models, w.dim, w.channels.count, tasks
    row = bytes_of_block(*of_system, max(alphas, 1), 1)
    wide = at_once(max(alphas, 1), row / max(alphas, 1), alphas)
    return wide, at_once(betas, bytes_of_block(*of_system, wide, 1), ROWS)


def _joined(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts)


def _axis(values: Any, name: str) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be a one-dimensional grid of at least one point")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"{name} must lie in [0, 1], got {values.min()} to {values.max()}")
    return values


def _prepare(w: RegressionWorkflow, tasks: bool) -> tuple[Data, GridSystem, float]:
    """Return the data and the system scaled to order one, and the unit of that scale."""
    with jax.enable_x64(True):
        scaled, root = _state.in_units(w)
        data = data_of(scaled)
    private, synthetic = np.asarray(scaled.private), np.asarray(scaled.synthetic)
    k, d, _ = private.shape
    web = data.roots[2][w.channels.first if w.channels.count > 1 else [0]]
    seen: Any = web.any(axis=-1)
    coroot = web / np.where(seen, (web**2).sum(axis=-1), 1)[..., None]
    rs = web.shape[0] * web.shape[1]
    if w.reads is None:
        reads = np.full((1, k), 1 / k)
        published = np.diag(seen[0] / k)
    else:
        with jax.enable_x64(True):
            reads = np.asarray(generations_of(w).reads)[0]
        both = np.einsum("ij,lj,jab->ilab", reads, reads, synthetic)
        published = coroot[:, None] @ both @ coroot.mT[None]
        published = published.swapaxes(1, 2).reshape(rs, rs)
    asked = reads[:, :, None, None] * (coroot[:, None] @ synthetic)  # (r K s d)
    # one channel: in its own coordinates, which loses fewer digits than the features'
    if w.channels.count == 1:
        answers = asked @ coroot[0].T
    else:
        answers = np.sqrt(1 - data.human_share) * asked
    eye = np.eye(d)[None]
    system = GridSystem(
        answers=answers.swapaxes(0, 1).reshape(k, rs, -1),
        published=(1 - data.human_share) * published,
        channels=w.channels,
        sizes=(data.roots[0] ** 2).sum(axis=-1),
        public_sizes=(data.roots[1][0] ** 2).sum(axis=-1),
        tasks=np.concatenate([eye, private]) if tasks else eye,
        human_share=np.asarray(data.human_share),
        human_data=HumanData(own=w.human_data == "own"),
    )
    return data, system, float(root)


def _nobody_listens(system: GridSystem, shares: Shares, beta: np.ndarray) -> Cells:
    """Solve the cells of α = 0, in which every model refits its own data for ever."""
    private, public = shares.private, shares.public
    size = ((private**2).sum(axis=-2) + (public**2).sum(axis=-2))[..., None, :]
    inverse = shares.inverse / np.where(size > 0, size, 1)
    b = beta[:, None, None, None]
    own, public = np.sqrt(b) * inverse @ private.mT, np.sqrt(1 - b) * inverse @ public.mT
    covariance = own @ own.mT + public @ public.mT
    traces = np.einsum("bkij,mij->bkm", covariance, system.tasks, optimize=True)
    axes = (1, 2, 3)
    squares = (own**2 * system.sizes[:, None, :]).sum(axis=axes)
    apart = public - public.mean(axis=1, keepdims=True)
    apart = (apart**2 * system.public_sizes).sum(axis=axes)
    apart += (1 - 1 / own.shape[1]) * squares
    size = squares + (public**2 * system.public_sizes).sum(axis=axes)
    return Cells(np.zeros(beta.size), traces, np.sqrt(apart / np.where(size > 0, size, 1)))


def _nobody_remembers(system: GridSystem, shares: Shares) -> Cells:
    """Solve the cells of α = 1, in which every model trains on the web alone, whatever β is."""
    web, human = shares.web[0, 0], None if shares.human is None else shares.human[0, 0]
    size = (web**2).sum(axis=-2) + (0 if human is None else (human**2).sum(axis=-2))
    inverse = 1 / np.where(size > 0, size, 1)
    answers = system.answers.sum(axis=0) @ web * inverse
    source = system.published
    estimates = [shares.inverse[0, 0] * inverse @ web.T]
    if human is not None:
        if system.human_data.own:
            told = np.sqrt(system.human_share) * (system.answers @ web * inverse) @ human.T
            source = source + (told @ told.mT).sum(axis=0)
        else:
            told = np.sqrt(system.human_share) * answers @ human.T
            source = source + told @ told.T
        estimates.append(np.sqrt(system.human_share) * shares.inverse[0, 0] * inverse @ human.T)
    radius, noise = settle_one(source, answers @ web.T)
    covariance = estimates[0] @ noise @ estimates[0].T
    covariance += sum(x @ x.T for x in estimates[1:])
    return Cells(radius, np.einsum("ij,mij->m", covariance, system.tasks), np.zeros(()))
