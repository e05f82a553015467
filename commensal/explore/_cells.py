"""Numbers that the explorer maps over (α, β), reduced from a sweep."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Shaped

from commensal._reading import as_network, names_of, network_of
from commensal.theory.regression import STABILITY_MARGIN, stability_bound

STATUS = ("limit", "unstable", "untrusted", "biased")
"""Kinds of cells: errors have a limit; they grow without end; rounding has spoilt the numbers; some
model is biased for ever, so that it has no efficiency."""

QUANTITIES = {
    "spectral_radius": "growth of errors per generation, ρ",
    "efficiency": "efficiency (1: what all real data together give)",
    "error_own": "error on a model's own task",
    "error_others": "error on the others' tasks",
    "homogenisation": "distance between the models (0: all alike)",
    "error": "error of the estimates",
}
"""Quantities that are mapped, by their names in data."""

_CELL = ("beta", "alpha")


def reduced(
    spectral_radius: Float[np.ndarray, "A B"],
    trusted: Bool[np.ndarray, "A B"],
    mse: Float[np.ndarray, "A B K"],
    efficiency: Float[np.ndarray, "A B K"],
    distance: Float[np.ndarray, "A B"],
    mspe: Float[np.ndarray, "A B K K"] | None,
) -> dict[str, Shaped[np.ndarray, "B A"]]:
    """Reduce the numbers of all models of one system to the :data:`QUANTITIES` of each cell.

    Means are over all models: one over some of them would flatter cells in which others have no
    number. ``status`` is a place in :data:`STATUS`.
    """
    models = mse.shape[-1]
    mean = efficiency.mean(axis=-1)
    kind = np.where(np.isnan(mean), 3, 0)
    kind = np.where(spectral_radius < 1 - STABILITY_MARGIN, kind, 1)
    found = {
        "spectral_radius": spectral_radius,
        "efficiency": mean,
        "homogenisation": distance,
        "error": mse.mean(axis=-1),
        "status": np.where(trusted, kind, 2).astype(np.uint8),
    }
    if mspe is not None:
        own = mspe.diagonal(axis1=-2, axis2=-1).sum(axis=-1)
        found["error_own"] = own / models
        with np.errstate(invalid="ignore"):  # one model has no others: 0 / 0
            found["error_others"] = (mspe.sum(axis=(-2, -1)) - own) / np.float64(
                models * (models - 1)
            )
    return {name: values.T for name, values in found.items()}


def cells_of(sweep: xr.Dataset) -> xr.Dataset:
    """Reduce a sweep to one number of each quantity for every cell, means over the models.

    Parameters
    ----------
    sweep : xarray.Dataset
        Sweep that :func:`commensal.sweep.regression` gives, over K, α, β and perhaps networks.

    Returns
    -------
    xarray.Dataset
        The :data:`QUANTITIES` over (reads, models, beta, alpha), those that the sweep has;
        ``status``, a place in :data:`STATUS`; for each system ``best_alpha`` and ``best_beta`` (the
        mix with the smallest mean error), ``best_error``, ``best_efficiency`` and ``bound`` (the
        largest ρ that any data can give).

    Examples
    --------
    >>> from commensal import sweep
    >>> ds = sweep.regression(alpha=(0.2, 0.5), beta=0.5, models=(2, 4), dim=6, rank=3)
    >>> found = cells_of(ds)
    >>> found.efficiency.dims, found.efficiency.shape
    (('reads', 'models', 'beta', 'alpha'), (1, 2, 1, 2))
    """
    if "generations" in sweep.attrs:
        raise ValueError("the explorer shows limits: make the sweep without memory and generations")
    reads = [as_network(one) for one in json.loads(sweep.attrs["config"])["reads"]]
    if "reads" not in sweep.dims:
        sweep = sweep.expand_dims(reads=list(names_of(reads)))
    sweep = sweep.sortby(list(_CELL)).transpose("reads", "models", "alpha", "beta", ...)
    systems = [
        [_of_system(sweep.isel(reads=i, models=j)) for j in range(sweep.sizes["models"])]
        for i in range(len(reads))
    ]
    over = ("reads", "models")
    stacked = {
        name: ((*over, *_CELL), np.array([[one[name] for one in row] for row in systems]))
        for name in systems[0][0]
    }
    best = sweep.sel(objective="mean")
    of_systems = {
        "best_alpha": best.optimal_alpha.values,
        "best_beta": best.optimal_beta.values,
        "best_error": best.optimal_mse.values,
        "best_efficiency": best.optimal_relative_efficiency.values,
        "bound": np.array([[bound_of(one, int(k)) for k in sweep.models.values] for one in reads]),
    }
    cells = xr.Dataset(
        stacked | {name: (over, values) for name, values in of_systems.items()},
        {name: sweep[name] for name in (*over, *_CELL)},
        dict(sweep.attrs),
    )
    for name, told in QUANTITIES.items():
        if name in cells:
            cells[name].attrs = {"long_name": told, "units": "1"}
    cells["status"].attrs = {"long_name": "kind of cell", "flag_meanings": " ".join(STATUS)}
    return cells


def _of_system(system: xr.Dataset) -> dict[str, Shaped[np.ndarray, "B A"]]:
    k = int(system.models)
    return reduced(
        system.spectral_radius.values,
        system.trusted.values.astype(bool),
        system.mse.values[..., :k],
        system.relative_efficiency.values[..., :k],
        system.consensus_distance.values,
        system.mspe.values[..., :k, :k] if "mspe" in system else None,
    )


def bound_of(reads: Any, models: int) -> float:
    """Return the largest ρ that a network of that many models allows, whatever the data are."""
    network = network_of(reads, models)
    return float(stability_bound(models if network is None else network))
