"""Table of the exact tail, its approximation and its bounds, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from commensal.theory.gaussian._arguments import samples
from commensal.theory.gaussian._bounds import chernoff_bound, w2_bound
from commensal.theory.gaussian._tail import log_w2_survival, w2_survival_approximation

SAMPLES = (2, 3, 4, 5, 10, 30, 100, 1000, 10_000)
SCALED = (0.1, 0.5, 1.5, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def tail_table(
    n: Any = SAMPLES, delta: Any = None, sigma: int | float = 1.0, scaled: Any = SCALED
) -> xr.Dataset:
    r"""Tabulate P(W >= δ) of one fit, its approximation, and every bound, over a grid of n and δ.

    Parameters
    ----------
    n : sequence of int
        Numbers of points, >= 2.
    delta : sequence of float or None
        Thresholds, the same for all n; None for those of ``scaled``.
    sigma : float
        True standard deviation, > 0.
    scaled : sequence of float
        Thresholds as nδ/σ², the scale on which all n look alike, where ``delta`` is None.
        ``scaled`` then is the dimension, and δ differs from n to n.

    Returns
    -------
    xarray.Dataset
        Table over (n, delta) or (n, scaled): ``exact``, ``approximation``, ``tight``, ``printed``,
        ``optimal``, ``rigorous`` (:func:`w2_bound`), and ``<name>_ratio``, each over the exact
        probability: a bound holds where its ratio is at least 1. ``delta`` is in squared units of
        the data. Where the exact probability is below 1e-307 ratios are NaN. Float64.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    `pollination`, app. A.1.

    Examples
    --------
    >>> table = tail_table([2, 100], [0.1, 20.0])
    >>> float(table.optimal_ratio.sel(n=2, delta=20).round(3)), float(table.exact[1, 0].round(6))
    (0.402, 0.002354)
    """
    size = samples(n).reshape(-1)
    name = "scaled" if delta is None else "delta"
    points = np.asarray(scaled if delta is None else delta, dtype=np.float64).reshape(-1)
    rows = size[:, None]
    at = (
        points * sigma**2 / rows
        if delta is None
        else np.broadcast_to(points, (*size.shape, points.size))
    )
    values = {
        "exact": np.exp(np.asarray(log_w2_survival(at, rows, sigma))),
        "approximation": np.asarray(w2_survival_approximation(at, rows, sigma)),
        "rigorous": np.asarray(w2_bound(at, rows, sigma)),
    }
    for constant in ("tight", "printed", "optimal"):
        values[constant] = np.asarray(chernoff_bound(at, rows, sigma, constant))
    dims = ("n", name)
    known = values["exact"] > 1e-307
    exact = np.where(known, values["exact"], 1.0)
    ratios = {
        f"{key}_ratio": (dims, np.where(known, value / exact, np.nan))
        for key, value in values.items()
        if key != "exact"
    }
    ds = xr.Dataset(
        {key: (dims, value) for key, value in values.items()} | ratios,
        {"n": size.astype(int), name: points},
        {"sigma": float(sigma), "source": "pollination, app. A.1"},
    )
    if delta is None:
        ds = ds.assign_coords(delta=(dims, at))
        ds["scaled"].attrs["long_name"] = "nδ/σ²"
    ds["n"].attrs["long_name"] = "points per fit"
    return ds
