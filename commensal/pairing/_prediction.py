"""Losses that interactive linear regression with finite training predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.pairing._errors import errors

_COLUMNS = ("models", "generations", "alpha", "beta", "model", "task")


class Scalars(NamedTuple):
    """Scalars that are fitted to measured losses.

    Attributes
    ----------
    training : float
        τ, step size times steps of a generation (units of 1/G).
    initial_training : float
        τ_0, the same at t = 0, from the pretrained base.
    noise : float
        ν, standard deviation of a response's noise over that of its mean.
    loss_per_error : float
        b, in nats per token: what it costs to know as little of a task as the base does, rather
        than all of it. The affine map of errors to losses has this slope; its other coefficient
        drops out of changes.
    """

    training: float
    initial_training: float
    noise: float
    loss_per_error: float


def predict(
    scalars: Scalars,
    losses: pd.DataFrame,
    seeds: Sequence[int] = range(16),
    *,
    scale: str = "fitted",
    correlation: float = 0.0,
    dim: int = 50,
    rank: int = 15,
) -> Float[np.ndarray, "designs rows"]:
    """Predict the change of the loss from t = 0 to the last generation, for every row.

    Parameters
    ----------
    scalars : Scalars
    losses : pandas.DataFrame
        What :func:`published_losses` gives, or rows with the same columns ``models``,
        ``generations``, ``alpha``, ``beta``, ``model`` and ``task`` (both from 0). No loss is read,
        but the initial ones with a measured scale.
    seeds : sequence of int
        Of the random designs, as in fig. 4 of `interactive`: Gaussian, ``rank`` rows per dataset.
    scale : str
        What an error costs. ``fitted``: the same b for all tasks, from ``scalars``. ``measured``: a
        b for each task of each run, which is what its own model had gained on the other models
        at t = 0, in nats, over the same gain in error; ``loss_per_error`` is then not used.
    correlation : float
        Between the true parameters of two datasets, 0 to 1.
    dim, rank : int
        d, and rows of each dataset.

    Returns
    -------
    Float[np.ndarray, "designs rows"]
        Nats per token. Not finite where the gradient steps diverge.

    Raises
    ------
    ValueError
        If a column is missing, there are no rows or no seeds, a scalar is not positive, or a task's
        scale cannot be measured: its own model, or all others, are missing or not ahead of it.

    Notes
    -----
    Finite training (:class:`commensal.theory.regression.RegressionTraining`), with three choices
    that are not fitted: models start from their own private data alone (β_0 = 1), because the
    published initial losses do not depend on β; the pretrained base is the origin; and each dataset
    has a true parameter of its own (``correlation`` 0), where Theorem 2 of `interactive` has one
    for all. Errors are averaged over these parameters, over data and over published answers.

    Tasks differ in how much there is to learn. With truths of any size each error is in units of
    its own task's, so that loss differences at t = 0 give the unit: L_km - L_mm = b_m (e_km - e_mm)
    for k ≠ m, exactly if the other tasks' truths, seen from task m, are as large as its own.

    Examples
    --------
    >>> from commensal.pairing import published_losses
    >>> losses = published_losses().query("table == 7")
    >>> change = predict(Scalars(0.04, 0.02, 0.13, 0.8), losses, seeds=range(2), dim=20, rank=6)
    >>> change.shape
    (2, 36)
    """
    if scale not in ("fitted", "measured"):
        raise ValueError(f"scale must be fitted or measured, got {scale!r}")
    _check(scalars, losses, seeds, ("initial_loss",) if scale == "measured" else ())
    out, start = np.empty((2, len(seeds), len(losses)))
    where = losses.reset_index(drop=True)
    systems = sorted(set(zip(where.models, where.generations, strict=True)))
    for models, generations in systems:
        rows = where.loc[(where.models == models) & (where.generations == generations)]
        points = sorted(set(zip(rows.alpha, rows.beta, strict=True)))
        at = [points.index(s) for s in zip(rows.alpha, rows.beta, strict=True)]
        for place, seed in enumerate(seeds):
            error = errors(
                points,
                int(generations),
                int(models),
                int(seed),
                training=scalars.training,
                initial_training=scalars.initial_training,
                noise=scalars.noise,
                correlation=correlation,
                dim=dim,
                rank=rank,
            )
            with np.errstate(invalid="ignore", over="ignore"):  # steps that diverge: inf - inf
                change = error[:, 1] - error[:, 0]
            out[place, rows.index] = change[at, rows.model, rows.task]
            # every grid point starts from the same models
            start[place, rows.index] = error[0, 0][rows.model, rows.task]
    if scale == "fitted":
        return scalars.loss_per_error * out
    return out * _measured(where, start.mean(axis=0))


def _measured(losses: pd.DataFrame, start: Float[np.ndarray, "rows"]) -> np.ndarray:
    """Return for each row what an error on its task costs, from the losses at t = 0."""
    rows: Any = losses.assign(start=start, loss=losses["initial_loss"])
    own = rows["model"] == rows["task"]
    run = [c for c in ("table", "architecture", *_COLUMNS[:2], "task") if c in losses]
    ours, theirs = (rows[at].groupby(run)[["loss", "start"]].mean() for at in (own, ~own))
    gap = theirs - ours
    slopes = gap["loss"] / gap["start"]
    if not (np.isfinite(slopes) & (slopes > 0)).all():
        raise ValueError(
            "the scale of a task cannot be measured: at t = 0 its own model must be ahead of others"
        )
    where: Any = pd.MultiIndex.from_frame(rows[run])
    return where.map(slopes.to_dict()).to_numpy(float)


def _check(
    scalars: Scalars, losses: pd.DataFrame, seeds: Sequence[int], more: tuple[str, ...]
) -> None:
    missing = [c for c in (*_COLUMNS, *more) if c not in losses]
    if missing:
        raise ValueError(f"losses lacks the columns {', '.join(missing)}")
    if losses.empty:
        raise ValueError("losses has no rows: there is nothing to predict")
    if not len(seeds):
        raise ValueError("seeds must name at least one design, got none")
    for name, value in scalars._asdict().items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number, got {value}")
    if (losses[["model", "task"]].max(axis=1) >= losses.models).any():
        raise ValueError("model and task must lie between 0 and models - 1")
