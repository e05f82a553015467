"""What a few losses say of the scalars of linear theory: their posterior on a grid.

Losses are b · E(τ, τ_0) + bν² · V(τ, τ_0) + a, with the errors E and V of finite training in closed
form. Training τ and τ_0 live on a grid; given them the rest is linear, with normal priors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from commensal.pairing import RunSystem, curves

TRAINING = np.linspace(-1.0, 1.0, 9)
"""Powers of ten of τ that are looked at, in units of 1/G."""

RATIO = np.array([-0.3, 0.0, 0.3])
"""Powers of ten of τ/τ_0, over that of step size times steps."""

BEYOND = 1.4
"""How much wider intervals are than pilots' misfit and scalars say: found on five replicates of
the preset `demo`, which decided it."""

_CENTRE, _SPREAD, _RATIO_SPREAD = 0.3, 0.4, 0.25  # of log10 τ, and of the ratio
_ALIKE = 3.0  # losses that miss together: those of one model, or one dataset, are not independent
_MISFIT = 0.07  # of the cost of knowing nothing: what theory misses, as a plan assumes
_PLANNED = np.array([1.0, 0.1, 0.3])  # b, bν² and a, over b, as a plan assumes
_UNSURE = np.array([0.4, 0.25, 0.4, 0.12, 0.4])  # spread of log10 τ, ratio, b, bν², a


class ErrorGrid(NamedTuple):
    """Errors at every τ and τ_0 of the grid.

    Attributes
    ----------
    ratio : float
        Step size times steps of a generation, over that at t = 0.
    prior : Float[numpy.ndarray, "tau ratio"]
        Logarithm of the prior.
    columns : Float[numpy.ndarray, "tau ratio points time K datasets 3"]
        What b, bν² and a are multiplied by.
    """

    ratio: float
    prior: Float[np.ndarray, "tau ratio"]
    columns: Float[np.ndarray, "tau ratio points time K datasets 3"]


class PilotFit(NamedTuple):
    """What pilots say of all grid points and generations.

    Attributes
    ----------
    training, initial_training, noise, loss_per_error, offset : float
        Posterior means of τ, τ_0 (geometric), ν, b and a.
    misfit : float
        Root mean square of what the theory misses on the pilots, nats per token.
    predicted : Float[numpy.ndarray, "points time K datasets"]
        Posterior mean of the loss, nats per token.
    spread : Float[numpy.ndarray, "points time K datasets"]
        Standard deviation of the change since t = 0: scalars and misfit, widened.
    """

    training: float
    initial_training: float
    noise: float
    loss_per_error: float
    offset: float
    misfit: float
    predicted: Float[np.ndarray, "points time K datasets"]
    spread: Float[np.ndarray, "points time K datasets"]


def error_grid(
    system: RunSystem, ratio: float | int, progress: Callable[[float, float], None] | None = None
) -> ErrorGrid:
    """Compute the errors of finite training on the whole grid.

    Parameters
    ----------
    system : RunSystem
    ratio : float
        Step size times steps of a generation, over that at t = 0.
    progress : callable or None
        Called as ``progress(done, total)``.
    """
    every = [(x, y) for x in TRAINING for y in RATIO]
    columns, prior = [], []
    for done, (power, off) in enumerate(every, 1):
        found = curves(system, 10.0**power, 10.0 ** (power - off) / ratio)
        ones = np.ones_like(found.expected)
        columns.append(np.stack([found.expected, found.variance, ones], axis=-1))
        prior.append(((power - _CENTRE) / _SPREAD) ** 2 + (off / _RATIO_SPREAD) ** 2)
        if progress is not None:
            progress(float(done), float(len(every)))
    shape = (len(TRAINING), len(RATIO))
    at_all = np.stack(columns)
    logs = -0.5 * np.reshape(prior, shape)
    return ErrorGrid(float(ratio), logs, at_all.reshape(*shape, *at_all.shape[1:]))


def fit_pilots(
    grid: ErrorGrid,
    losses: Float[np.ndarray, "points time K datasets"],
    pilots: Sequence[int],
    seen: int,
    *,
    draws: int = 400,
    seed: int = 0,
) -> PilotFit:
    """Find the scalars' posterior given the losses of some grid points until one generation.

    Parameters
    ----------
    grid : ErrorGrid
    losses : Float[numpy.ndarray, "points time K datasets"]
        Nats per token; only those of pilots until ``seen`` are read.
    pilots : sequence of int
        Grid points whose losses are known.
    seen : int
        Last generation that is known.
    draws, seed : int
        Of the posterior.
    """
    y = losses[list(pilots), : seen + 1].ravel()
    columns = grid.columns.reshape(-1, *grid.columns.shape[2:])
    known = columns[:, list(pilots), : seen + 1].reshape(len(columns), -1, 3)
    size = float(np.ptp(y))
    centre = np.array([1.2 * size, 0.0, max(float(y.min()) - 0.2 * size, 0.0)])
    precise = np.diag(1 / (np.array([0.5, 0.15, 0.4]) * size) ** 2)
    loose = [_linear(x, y, 1.0, 1e-3 * precise, centre)[0] for x in known]
    missed = min(float(((y - x @ w) ** 2).sum()) for x, w in zip(known, loose, strict=True))
    variance = max(missed / max(len(y) - 5, 1), (0.02 * size) ** 2)
    parts = [_linear(x, y, _ALIKE * variance, precise, centre) for x in known]
    total = grid.prior.ravel() + [part[2] for part in parts]
    weight = np.exp(total - total.max())
    weight /= weight.sum()
    means = np.stack([part[0] for part in parts])
    predicted = np.einsum("n,nstkmc,nc->stkm", weight, columns, means)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((draws, *predicted.shape))
    for i, node in enumerate(rng.choice(len(parts), draws, p=weight)):
        scalars = rng.multivariate_normal(means[node], parts[node][1])
        scalars[1] = max(scalars[1], 0.0)
        told = columns[node] @ scalars
        drawn[i] = told - told[:, :1]
    spread = BEYOND * np.sqrt(drawn.var(axis=0) + variance)
    power, off = np.meshgrid(TRAINING, RATIO, indexing="ij")
    b, c, a = weight @ means
    tau = float(10.0 ** (weight @ power.ravel()))
    first = float(10.0 ** (weight @ (power - off).ravel())) / grid.ratio
    return PilotFit(
        tau,
        first,
        float(np.sqrt(max(c, 0.0) / b)) if b > 0 else 0.0,
        float(b),
        float(a),
        float(np.sqrt(variance)),
        predicted,
        spread,
    )


def _linear(
    x: np.ndarray, y: np.ndarray, variance: float, precise: np.ndarray, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mean, covariance and log-evidence of b, bν² and a; noise costs nothing or more."""
    inverse = x.T @ x / variance + precise
    pull = x.T @ y / variance + precise @ centre
    mean = np.linalg.solve(inverse, pull)
    if mean[1] < 0:
        rest = np.ix_([0, 2], [0, 2])
        mean = np.zeros(3)
        mean[[0, 2]] = np.linalg.solve(inverse[rest], pull[[0, 2]])
    off = mean - centre
    missed = ((y - x @ mean) ** 2).sum() / variance + off @ precise @ off
    told = -0.5 * (missed + np.linalg.slogdet(inverse)[1])
    return mean, np.linalg.inv(inverse), float(told)


def expected_error(grid: ErrorGrid, count: int, seen: int) -> list[tuple[tuple[int, ...], float]]:
    """Return for each choice of pilots how far off the final changes are expected to be.

    I-optimal, averaged over the prior: the root of the mean variance, over all grid points, models
    and datasets, of the change from t = 0 to T, linearised in the five scalars. In units of b.

    Parameters
    ----------
    grid : ErrorGrid
    count : int
        Number of pilots.
    seen : int
        Last generation that pilots are run to.

    Returns
    -------
    list of ((int, ...), float)
        The best first.
    """
    steps = (float(TRAINING[1] - TRAINING[0]), float(RATIO[1] - RATIO[0]))
    slopes = np.gradient(grid.columns @ _PLANNED, *steps, axis=(0, 1))
    weight = np.exp(grid.prior) / np.exp(grid.prior).sum()
    precise = np.diag(1 / _UNSURE**2)
    nodes = []
    for i, j in zip(*np.nonzero(weight > 1e-3), strict=True):
        slope = np.stack([slopes[0][i, j], slopes[1][i, j]], axis=-1)
        jacobian = np.concatenate([slope, grid.columns[i, j]], axis=-1)
        change = (jacobian[:, -1] - jacobian[:, 0]).reshape(-1, 5)
        known = jacobian[:, : seen + 1].reshape(len(jacobian), -1, 5)
        told = np.einsum("pni,pnj->pij", known, known) / (_ALIKE * _MISFIT**2)
        nodes.append((weight[i, j], told, change.T @ change / len(change)))
    found = []
    for pilots in combinations(range(grid.columns.shape[2]), count):
        variance = sum(
            w * np.trace(np.linalg.inv(told[list(pilots)].sum(axis=0) + precise) @ wanted)
            for w, told, wanted in nodes
        )
        found.append((pilots, float(np.sqrt(variance))))
    return sorted(found, key=lambda one: one[1])
