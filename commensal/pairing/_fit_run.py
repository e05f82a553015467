"""Fit of the few scalars of a run's pairing, by least squares on its losses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize, nnls

from commensal.pairing._curves import ErrorCurves, RunSystem, curves
from commensal.pairing._mixture_loss import mixture_loss

BOUNDS = (-2.5, 2.0)
"""Range of τ and τ_0 in powers of ten, in units of 1/G: from hardly any training to the
minimiser."""

Used = tuple[Bool[np.ndarray, "points"], slice]
"""Grid points and generations whose losses a fit reads."""

LOSSES = ("squared", "mixture")
"""How errors become losses: b times the squared error, or the cross-entropy of a mixture."""

_GRID = np.linspace(-1.5, 1.5, 7)
_COSTS = np.linspace(0.25, 10, 40)


class RunScalars(NamedTuple):
    """Scalars that are fitted to a run.

    Attributes
    ----------
    training : float
        τ, step size times steps of a generation (units of 1/G; the pooled G is the identity).
    initial_training : float
        τ_0, the same at t = 0.
    noise : float
        ν: error that a model has from the noise of a dataset's finite responses alone, over that
        of a base that knows nothing, as a standard deviation.
    loss_per_error : float
        b, in nats per token: what it costs to know nothing of a task rather than all.
    offset : tuple of float
        a, in nats per token: loss of a model that knows all. One for the run, or one per dataset.
    """

    training: float
    initial_training: float
    noise: float
    loss_per_error: float
    offset: tuple[float, ...]


class RunFit(NamedTuple):
    """Fitted scalars, and the losses that they predict for every grid point, fitted to or not.

    Attributes
    ----------
    scalars : RunScalars
    predicted : Float[numpy.ndarray, "points time K datasets"]
        Nats per token.
    """

    scalars: RunScalars
    predicted: Float[np.ndarray, "points time K datasets"]


def check_loss(loss: str) -> None:
    """Raise ValueError unless errors can become losses in this way."""
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")


class Fitter:
    """Least-squares fit of the theory to the losses of a run, or of some of its grid points.

    For given τ and τ_0 losses are linear in b, bν² and a, which least squares without negative
    numbers finds; τ and τ_0 are searched on a grid, and from its best point on (Nelder and Mead).
    The loss of a mixture is not linear in b, which is then the best of a fine grid.

    Parameters
    ----------
    system : RunSystem
    losses : Float[numpy.ndarray, "points time K datasets"]
        Measured, in nats per token.
    minimiser : bool
        Train every generation to the minimiser, as `interactive` has it, instead of for τ.
    loss : str
        ``squared``: b times the squared error. ``mixture``: cross-entropy of a model that mixes the
        datasets' laws with the shares that the same theory gives (:func:`mixture_loss`), with as
        many scalars. Noise costs bν² times its variance in both.

    Raises
    ------
    ValueError
        If the loss has another name.
    """

    def __init__(
        self,
        system: RunSystem,
        losses: Float[np.ndarray, "points time K datasets"],
        *,
        minimiser: bool = False,
        loss: str = "squared",
    ) -> None:
        check_loss(loss)
        self.system, self.losses, self.minimiser, self.loss = system, losses, minimiser, loss
        self._known: dict[
            tuple[float, float], ErrorCurves
        ] = {}  # the fits of other grid points ask again

    def fit(
        self,
        points: Bool[np.ndarray, "points"] | None = None,
        *,
        per_dataset: bool = False,
        generations: int | None = None,
    ) -> RunFit:
        """Find the scalars that predict the losses of these grid points best.

        Parameters
        ----------
        points : Bool[numpy.ndarray, "points"] or None
            Whose losses are read; all by default.
        per_dataset : bool
            An offset a for each dataset, instead of one.
        generations : int or None
            Losses of later generations are not read; all are by default.
        """
        known = np.ones(len(self.losses), bool) if points is None else points
        used = (known, slice(None if generations is None else generations + 1))
        best = (np.inf, np.inf) if self.minimiser else self._search(used, per_dataset)
        weights, _ = self._linear(best, used, per_dataset)
        scale, noise, *offset = (float(x) for x in weights)
        scalars = RunScalars(
            *best, (noise / scale) ** 0.5 if scale > 0 else 0.0, scale, tuple(offset)
        )
        found = self._curves(best)
        predicted = self._of_errors(found, scale) + noise * found.variance
        return RunFit(scalars, predicted + np.array(offset))

    def _of_errors(self, found: ErrorCurves, scale: float) -> np.ndarray:
        """Return what is lost for want of knowledge, without noise."""
        if self.loss == "squared":
            return scale * found.expected
        assert found.shares is not None
        each = mixture_loss(found.shares.clip(0, 1), scale)
        return np.einsum("stkmi,mi->stkm", each, found.frequencies)

    def _search(self, used: Used, per_dataset: bool) -> tuple[float, float]:
        def cost(powers: np.ndarray | tuple[float, float]) -> float:
            inside = np.clip(powers, *BOUNDS)
            outside = float(np.abs(np.asarray(powers) - inside).sum())
            missed = self._linear(_powers(inside), used, per_dataset)[1]
            return missed * (1 + outside)

        grid = [(x, y) for x in _GRID for y in _GRID]
        start = np.array(min(grid, key=cost))
        simplex = start + np.array([[0.0, 0.0], [0.3, 0.0], [0.0, 0.3]])
        options = {"initial_simplex": simplex, "maxfev": 60, "xatol": 0.003, "fatol": 1e-12}
        found = minimize(cost, start, method="Nelder-Mead", options=options)
        return _powers(np.clip(found.x, *BOUNDS))

    def _curves(self, at: tuple[float, float]) -> ErrorCurves:
        if at not in self._known:
            self._known[at] = curves(self.system, *at, shares=self.loss == "mixture")
        return self._known[at]

    def _linear(
        self, at: tuple[float, float], used: Used, per_dataset: bool
    ) -> tuple[np.ndarray, float]:
        """Return b, bν² and a, and the root of their sum of squared residuals."""
        found = self._curves(at)
        observed = self.losses[used]
        datasets = observed.shape[-1]
        each = np.eye(datasets) if per_dataset else np.ones((datasets, 1))
        offset = np.broadcast_to(each, (*observed.shape, each.shape[-1]))
        rest = np.concatenate([found.variance[used][..., None], offset], axis=-1)
        rest, observed = rest.reshape(-1, rest.shape[-1]), observed.ravel()
        if self.loss == "squared":
            known = found.expected[used].ravel()[:, None]
            return nnls(np.concatenate([known, rest], axis=1), observed)
        best, least = np.zeros(0), np.inf
        for cost in _COSTS:
            weights, missed = nnls(rest, observed - self._of_errors(found, cost)[used].ravel())
            if missed < least:
                best, least = np.array([cost, *weights]), missed
        return best, least


def _powers(x: np.ndarray) -> tuple[float, float]:
    tau, tau_0 = (float(10.0**p) for p in x)
    return tau, tau_0
