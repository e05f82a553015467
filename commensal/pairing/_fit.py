"""Fit of the prediction's four scalars to measured losses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import differential_evolution

from commensal.pairing._agreement import direction, rank_correlations
from commensal.pairing._prediction import Scalars, predict
from commensal.pairing._published import CELL

BOUNDS = {"training": (-3.0, 0.15), "initial_training": (-2.5, 0.15), "noise": (-2.0, 0.3)}
"""Range of each scalar in powers of ten; above the first two, gradient steps diverge in designs
of d = 50, rank 15."""

_SLOPES = 10 ** np.linspace(-2, 1.5, 141)
_AIM_RANK, _AIM_SIGN = 0.92, 0.85  # both at once
_R_SQUARED_WEIGHT = 0.1
_CANDIDATES = 24  # per round: 8 for each of three dimensions


class Fit(NamedTuple):
    """Result of :func:`fit`, and how well it predicts the losses it was fitted to.

    Attributes
    ----------
    scalars : Scalars
    rank_correlation : float
        Spearman's, mean over cells and designs.
    sign : float
        Share of rows whose direction is predicted.
    r_squared : float
        Of the changes, against predicting none.
    objective : float
        What was maximised.
    evaluations : int
        Predictions that the search made.
    """

    scalars: Scalars
    rank_correlation: float
    sign: float
    r_squared: float
    objective: float
    evaluations: int


def fit(
    losses: pd.DataFrame,
    *,
    designs: Sequence[int] = range(500, 504),
    rounds: int = 16,
    seed: int = 0,
    start: Scalars | None = None,
    correlation: float = 0.0,
    dim: int = 50,
    rank: int = 15,
    progress: Callable[[float, float], None] | None = None,
) -> Fit:
    """Fit the scalars that best rank grid points and tell directions, both at once.

    What is maximised is the smaller of two margins, rank correlation over 0.92 and agreement of
    sign over 0.85, plus R²/10, which chooses among slopes b where the sign leaves them free.
    Differential evolution over τ, τ_0 and ν; b is the best of a fine grid for each candidate,
    because errors do not depend on it.

    Parameters
    ----------
    losses : pandas.DataFrame
        Rows as in :func:`published_losses`: what is fitted to.
    designs : sequence of int
        Seeds of the random designs that the three measures are means over.
    rounds : int
        Rounds of the search after the first, of 24 candidates each; about 8 s per round with K = 2
        and T = 15.
    seed : int
        Of the search.
    start : Scalars or None
        One candidate of the first round.
    correlation, dim, rank
        As in :func:`predict`.
    progress : callable or None
        Called as ``progress(done, total)`` after each candidate.

    Returns
    -------
    Fit

    Raises
    ------
    ValueError
        If there is nothing to fit to, or ``rounds`` is negative.
    """
    if losses.empty:
        raise ValueError("losses has no rows: there is nothing to fit to")
    if rounds < 0:
        raise ValueError(f"rounds must not be negative, got {rounds}")
    measured = _Measured.of(losses)
    nothing = Scalars(float("nan"), float("nan"), float("nan"), float("nan"))
    best = Fit(nothing, -1.0, 0.0, -1.0, -9.0, 0)
    total, done = float(_CANDIDATES * (rounds + 1)), 0

    def cost(powers: np.ndarray) -> float:
        nonlocal best, done
        done += 1
        tau, tau_0, noise = (float(x) for x in 10.0**powers)
        unit = Scalars(tau, tau_0, noise, 1.0)
        change = predict(unit, losses, designs, correlation=correlation, dim=dim, rank=rank)
        found = measured.best_slope(unit, change)
        if found is not None and found.objective > best.objective:
            best = found
        if progress is not None:
            progress(float(done), total)
        return 9.0 if found is None else -found.objective

    differential_evolution(
        cost,
        list(BOUNDS.values()),
        maxiter=rounds,
        popsize=_CANDIDATES // len(BOUNDS),
        seed=np.random.default_rng(seed),  # pyright: ignore[reportCallIssue] (scipy < 1.15)
        polish=False,
        tol=0.0,
        x0=None if start is None else np.log10(np.array(start[:3])),
    )
    return best._replace(evaluations=done)


def fitted() -> dict[str, Scalars]:
    """Return the scalars that the package ships, by the architecture they were fitted to.

    Found by :func:`fit` on the K = 2 runs of Tables 7 and 8, the best of searches from several
    starts; ``pair_published(refit=True)`` searches on from them.

    Examples
    --------
    >>> sorted(fitted())
    ['Llama-3.2-1B', 'OPT-350m']
    """
    return {name: Scalars(**values) for name, values in _shipped()["scalars"].items()}


def fitted_without(architecture: str) -> dict[tuple[str, float], Scalars]:
    """Return shipped scalars of fits without the grid points of one α or β, by what was left out.

    Found by :func:`fit` on the other six grid points of Table 7 or 8, with two designs and eight
    rounds, fewer than for the scalars of :func:`fitted`; `fitted.json` says how in full.

    Examples
    --------
    >>> sorted(fitted_without("OPT-350m"))
    [('alpha', 0.5), ('beta', 0.5)]
    """
    parts = _shipped()["without"][architecture]
    return {(axis, value): Scalars(**values) for axis, value, values in parts}


def _shipped() -> dict[str, Any]:
    text = files("commensal.pairing").joinpath("fitted.json").read_text(encoding="utf-8")
    return json.loads(text)


class _Measured(NamedTuple):
    change: Float[np.ndarray, "rows"]
    cells: list[np.ndarray]

    @classmethod
    def of(cls, losses: pd.DataFrame) -> _Measured:
        frame = losses.reset_index(drop=True)
        cells = [np.asarray(rows.index) for _, rows in frame.groupby(CELL)]
        return cls((frame.final_loss - frame.initial_loss).to_numpy(float), cells)

    def best_slope(self, unit: Scalars, change: Float[np.ndarray, "designs rows"]) -> Fit | None:
        """Return the best b for predictions made with b = 1; None if these are not finite."""
        if not np.isfinite(change).all():
            return None
        ranks = [rank_correlations(self.change[None, c], change[:, c]) for c in self.cells]
        rank = float(np.nanmean(ranks)) if np.isfinite(ranks).any() else -1.0
        scaled = _SLOPES[:, None, None] * change
        sign = (direction(scaled) == direction(self.change)).mean(axis=(1, 2))
        missed = ((scaled - self.change) ** 2).sum(axis=2).mean(axis=1)
        r_squared = 1 - missed / max((self.change**2).sum(), 1e-12)
        margin = np.minimum(rank - _AIM_RANK, sign - _AIM_SIGN)
        value = margin + _R_SQUARED_WEIGHT * np.maximum(r_squared, -1)
        i = int(np.argmax(value))
        scalars = unit._replace(loss_per_error=float(_SLOPES[i]))
        return Fit(scalars, rank, float(sign[i]), float(r_squared[i]), float(value[i]), 1)
