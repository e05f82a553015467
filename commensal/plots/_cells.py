"""Slices of a regression sweep, and the numbers and marks that maps show of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D

from commensal.plots._style import CHOICE, mark


class Best(NamedTuple):
    """Largest value of a map, and where it lies."""

    value: float
    alpha: float
    beta: float


STAR = mark("*", "white", 14.0, mec="black")
CROSS = mark("X", CHOICE, 9.0, mec="white")


def cross_handle() -> Line2D:
    """Make the legend's entry for the paper's choice (0.5, 0.5)."""
    return Line2D([], [], label="(0.5, 0.5), the paper's choice", **CROSS)


def each_map(ds: xr.Dataset, name: str) -> Iterator[xr.Dataset]:
    """Yield the α × β slices of variable ``name``, sorted along both axes."""
    ds = ds.sortby(["alpha", "beta"])
    extra = [d for d in ds[name].dims if d not in ("alpha", "beta")]
    if len(extra) > 1:
        raise ValueError(f"a map has one dimension beside alpha and beta, got {extra}")
    if not extra:
        yield ds
        return
    for i in range(ds.sizes[extra[0]]):
        yield ds.isel({extra[0]: i}).assign_attrs(panels=extra[0])


def title_of(cells: xr.Dataset) -> str:
    """Return the title of a slice: its number of models, or its coordinate."""
    name = cells.attrs.get("panels", "models")
    if name not in cells.coords:
        return ""
    value = cells[name].item()
    return f"K = {value}" if name == "models" else str(value)


def of_models(ds: xr.Dataset, models: int) -> xr.Dataset:
    """Select the slice with this number of models, or raise ValueError if there is none."""
    if models not in np.atleast_1d(ds["models"]):
        raise ValueError(f"models must be one of {ds['models'].values.tolist()}, got {models}")
    ds = ds.sortby(["alpha", "beta"])
    return ds.sel(models=models) if "models" in ds.dims else ds


def efficiency_of_models(cells: xr.Dataset) -> xr.DataArray:
    """Relative efficiency of the models of one slice: its own K, not the largest K."""
    return cells["relative_efficiency"].isel(model=slice(0, int(cells["models"])))


def mean_efficiency(cells: xr.Dataset) -> xr.DataArray:
    """Mean relative efficiency over models; NaN where one of them has none."""
    # a mean over some of the models would flatter cells in which others have no efficiency
    return efficiency_of_models(cells).mean("model", skipna=False)


def argmax(values: xr.DataArray) -> Best | None:
    """Return the largest finite value and its (α, β); None if there is none."""
    if not np.isfinite(values).any():
        return None
    at = values.isel(values.argmax(["alpha", "beta"]))  # NaN are skipped
    return Best(float(at), float(at["alpha"]), float(at["beta"]))


def best_mix(cells: xr.Dataset) -> Best | None:
    """Return the sweep's own optimum (smallest mean error), with the mean efficiency there."""
    values = mean_efficiency(cells)
    if "optimal_alpha" not in cells:
        return argmax(values)  # a map of somebody's own, which names none
    best = cells[["optimal_alpha", "optimal_beta"]].sel(objective="mean")
    at = {name: float(best[f"optimal_{name}"]) for name in ("alpha", "beta")}
    if not all(np.isclose(values[name], value).any() for name, value in at.items()):
        return argmax(values)  # a part of a sweep, without its optimum
    value = float(values.sel(at, method="nearest"))
    return Best(value, at["alpha"], at["beta"]) if np.isfinite(value) else None


def at_half(values: xr.DataArray) -> float | None:
    """Return the value at (0.5, 0.5); None if the grid has no such cell, or no value in it."""
    rows, columns = (np.flatnonzero(np.isclose(values[d], 0.5)) for d in ("alpha", "beta"))
    if not (rows.size and columns.size):
        return None
    value = float(values.isel(alpha=rows[0], beta=columns[0]))
    return value if np.isfinite(value) else None


def largest(arrays: Sequence[xr.DataArray]) -> float:
    """Return the largest finite value, or 1 if none is above 0, so that a scale has a length."""
    finite = [a.values[np.isfinite(a.values)] for a in arrays]
    return float(np.concatenate([*finite, [0.0]]).max()) or 1.0
