"""Ceilings: how good any prediction could be, given how the measurements were printed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.pairing._agreement import CONSTANT, direction, rank_correlations
from commensal.pairing._published import CELL


class Ceilings(NamedTuple):
    """Ceilings of the rank correlation within cells and of the agreement of sign.

    Attributes
    ----------
    rounding_rank, rounding_sign : float
        Expected of the unrounded losses themselves, judged by the rounded ones.
    rounding_sign_interval : (float, float)
        The middle 95 % of it.
    alike_rank, alike_sign : float
        Of the best prediction that tells own task from others', and grid points, but not one task
        from another: which is what random designs, all of one law, can do.
    edge : float
        Share of rows whose printed change is ``CONSTANT``, up or down: which side of it the true
        change lies on is not known. (Nowhere else can rounding turn a sign.)
    """

    rounding_rank: float
    rounding_sign: float
    rounding_sign_interval: tuple[float, float]
    alike_rank: float
    alike_sign: float
    edge: float


def ceilings(
    losses: pd.DataFrame, *, step: float = 0.1, resamples: int = 500, seed: int = 0
) -> Ceilings:
    """Compute the limits that rounding of the losses sets to the agreement of any prediction.

    Parameters
    ----------
    losses : pandas.DataFrame
        Rows as in :func:`published_losses`; no cell twice.
    step : float
        To which losses are rounded: true losses are drawn uniformly from half a step around
        those printed, the initial loss of a cell once for all its grid points.
    resamples : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    Ceilings

    Examples
    --------
    >>> from commensal.pairing import published_losses
    >>> found = ceilings(published_losses().query("table == 7"), resamples=50)
    >>> round(found.edge, 3), round(found.alike_sign, 3)
    (0.111, 0.972)
    """
    frame = losses.reset_index(drop=True)
    observed = (frame.final_loss - frame.initial_loss).to_numpy(float)
    cells = [np.asarray(rows.index) for _, rows in frame.groupby(CELL)]
    rng = np.random.default_rng(seed)
    true = observed + step * rng.uniform(-0.5, 0.5, (resamples, observed.size))
    for rows in cells:
        true[:, rows] -= step * rng.uniform(-0.5, 0.5, (resamples, 1))
    right = (direction(true) == direction(observed)).mean(axis=1)
    low, high = np.quantile(right, [0.025, 0.975])
    ranks = [rank_correlations(observed[None, c], true[:, c]) for c in cells]
    alike = _alike(frame, observed)
    return Ceilings(
        float(np.nanmean(ranks)),
        float(right.mean()),
        (float(low), float(high)),
        float(np.nanmean([rank_correlations(observed[None, c], alike[0][None, c]) for c in cells])),
        float((alike[1] == direction(observed)).mean()),
        float(np.isclose(np.abs(observed), CONSTANT).mean()),
    )


def _alike(
    frame: pd.DataFrame, observed: Float[np.ndarray, "rows"]
) -> tuple[Float[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
    """Return the mean ranks (the order that agrees best with several) and commonest directions."""
    cells = frame.assign(
        own=frame.model == frame.task, change=observed.round(9), direction=direction(observed)
    )
    kind = [c for c in CELL if c not in ("model", "task")] + ["own"]
    # standardised: a cell's Spearman correlation is a scalar product with these
    ranks = cells.groupby(CELL).change.rank()
    ranks -= ranks.groupby([cells[c] for c in CELL]).transform("mean")
    size = (ranks**2).groupby([cells[c] for c in CELL]).transform("sum") ** 0.5
    cells["rank"] = (ranks / size.where(size > 0)).fillna(0.0)
    points = cells.groupby([*kind, "alpha", "beta"])
    return (
        points["rank"].transform("mean").to_numpy(float),
        points["direction"].transform(lambda d: d.mode().iloc[0]).to_numpy(float),
    )
