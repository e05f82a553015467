"""Baselines that know no theory: a table of mean changes, and a rule of thumb."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.pairing._agreement import CONSTANT


def table_of_means(measured: pd.DataFrame, wanted: pd.DataFrame) -> Float[np.ndarray, "rows"]:
    """Predict each change of a loss as the mean measured change at the same α and β.

    Means are taken over own tasks and over others' tasks separately: 18 numbers for the 3 × 3 grid
    of `interactive`. A table knows neither K, nor T, nor the data: it says the same for all.

    Parameters
    ----------
    measured : pandas.DataFrame
        Rows as in :func:`published_losses`; or ``role``, ``alpha``, ``beta`` and ``change``.
    wanted : pandas.DataFrame
        Rows to be predicted, with the same columns; no loss or change is read.

    Returns
    -------
    Float[numpy.ndarray, "rows"]
        Nats per token. Where no measured row has both α and β, linear interpolation along α, or
        along β; the nearest measured value beyond the ends. NaN where neither α nor β was measured.

    Examples
    --------
    >>> from commensal.pairing import published_losses
    >>> llama = published_losses().query("table == 7")
    >>> others = llama.query("alpha == 0.5 and beta == 1 and model != task")
    >>> (others.final_loss - others.initial_loss).round(9).tolist()
    [-0.7, -0.8]
    >>> table_of_means(llama, others).round(9)
    array([-0.75, -0.75])

    Without α = 1/2 the table has to interpolate between +0.65 and -0.45:

    >>> table_of_means(llama.query("alpha != 0.5"), others).round(9)
    array([0.1, 0.1])
    """
    seen = measured.assign(role=_roles(measured), change=_changes(measured))
    means = pd.DataFrame(seen.groupby(["role", "alpha", "beta"])["change"].mean()).reset_index()
    parts: dict[Any, pd.DataFrame] = dict(iter(means.groupby("role")))
    keys = zip(_roles(wanted), wanted["alpha"], wanted["beta"], strict=True)
    return np.array([_read(parts[r], a, b) if r in parts else np.nan for r, a, b in keys])


def rule(wanted: pd.DataFrame, measured: pd.DataFrame | None = None) -> Float[np.ndarray, "rows"]:
    """Predict changes of losses by a rule of thumb with nothing fitted to find its directions.

    The loss on a model's own task rises if α = 1 or β = 0, else it is constant. The loss on
    another's task rises at α = 0 and falls at α > 0.

    Parameters
    ----------
    wanted : pandas.DataFrame
        Rows as in :func:`table_of_means`.
    measured : pandas.DataFrame or None
        Where given, the three kinds of change get the sizes of their means in it: own rises,
        others' rises, others' falls. A size is at least 0.11 nats, so that no direction turns.

    Returns
    -------
    Float[numpy.ndarray, "rows"]
        Directions 1, 0, -1, or changes in nats per token; NaN for roles the rule does not know.

    Examples
    --------
    >>> alphas = {"alpha": [0.5, 1, 0, 1], "beta": 1}
    >>> points = pd.DataFrame({"model": 0, "task": [0, 0, 1, 1], **alphas})
    >>> rule(points)
    array([ 0.,  1.,  1., -1.])
    >>> from commensal.pairing import published_losses
    >>> rule(points, published_losses().query("table == 7")).round(2)
    array([ 0.  ,  0.64,  0.75, -0.52])
    """
    said = _directions(wanted)
    if measured is None:
        return said
    known, change = _directions(measured), _changes(measured)
    ours, theirs = _roles(wanted) == "own", _roles(measured) == "own"
    out = said.copy()
    for own, sign in ((True, 1), (False, 1), (False, -1)):
        sizes = sign * change[(theirs == own) & (known == sign)]
        size = max(float(sizes.mean()) if sizes.size else 0.0, 1.1 * CONSTANT)
        out[(ours == own) & (said == sign)] = sign * size
    return out


def _directions(rows: pd.DataFrame) -> np.ndarray:
    role, alpha, beta = _roles(rows), rows["alpha"].to_numpy(), rows["beta"].to_numpy()
    own = np.where((alpha == 1) | (beta == 0), 1.0, 0.0)
    another = np.where(alpha == 0, 1.0, -1.0)
    return np.select([role == "own", role == "another's"], [own, another], np.nan)


def _roles(rows: pd.DataFrame) -> np.ndarray:
    if "role" in rows:
        return rows["role"].to_numpy()
    return np.where(rows["model"] == rows["task"], "own", "another's")


def _changes(rows: pd.DataFrame) -> np.ndarray:
    if "change" in rows:
        return rows["change"].to_numpy(float)
    return (rows["final_loss"] - rows["initial_loss"]).to_numpy(float)


def _read(means: pd.DataFrame, alpha: float, beta: float) -> float:
    for along, at, across, where in (
        ("alpha", alpha, "beta", beta),
        ("beta", beta, "alpha", alpha),
    ):
        line = means.loc[means[across] == where].sort_values(along)
        if len(line):
            return float(np.interp(at, line[along].to_numpy(), line["change"].to_numpy()))
    return np.nan
