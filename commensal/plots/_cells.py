"""Slices of a regression sweep, and the numbers and marks that are shown of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.lines import Line2D

from commensal.plots._style import mark


class Best(NamedTuple):
    value: float
    alpha: float
    beta: float


STAR = mark("*", "white", 14.0, mec="black")
CROSS = mark("X", "#D55E00", 9.0, mec="white")


def cross_handle() -> Line2D:
    return Line2D([], [], label="(0.5, 0.5), the paper's choice", **CROSS)


def each_map(ds: xr.Dataset, name: str) -> Iterator[xr.Dataset]:
    """The α × β slices of variable ``name``, in order along both axes."""
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
    name = cells.attrs.get("panels", "entities")
    if name not in cells.coords:
        return ""
    value = cells[name].item()
    return f"K = {value}" if name == "entities" else str(value)


def of_entities(ds: xr.Dataset, entities: int) -> xr.Dataset:
    if entities not in np.atleast_1d(ds["entities"]):
        raise ValueError(
            f"entities must be one of {ds['entities'].values.tolist()}, got {entities}"
        )
    ds = ds.sortby(["alpha", "beta"])
    return ds.sel(entities=entities) if "entities" in ds.dims else ds


def efficiency_of_models(cells: xr.Dataset) -> xr.DataArray:
    """Relative efficiency of the models that exist: K of one slice, not the largest K."""
    return cells["relative_efficiency"].isel(model=slice(0, int(cells["entities"])))


def mean_efficiency(cells: xr.Dataset) -> xr.DataArray:
    # a mean over some of the models would flatter cells in which others have no efficiency
    return efficiency_of_models(cells).mean("model", skipna=False)


def argmax(values: xr.DataArray) -> Best | None:
    if not np.isfinite(values).any():
        return None
    at = values.isel(values.argmax(["alpha", "beta"]))  # NaN are skipped
    return Best(float(at), float(at["alpha"]), float(at["beta"]))


def at_half(values: xr.DataArray) -> float | None:
    """Value at (0.5, 0.5), where that is a cell of the grid and has one."""
    rows, columns = (np.flatnonzero(np.isclose(values[d], 0.5)) for d in ("alpha", "beta"))
    if not (rows.size and columns.size):
        return None
    value = float(values.isel(alpha=rows[0], beta=columns[0]))
    return value if np.isfinite(value) else None


def largest(arrays: Sequence[xr.DataArray]) -> float:
    """Largest finite value; 1 where there is none above 0, so that a scale has a length."""
    finite = [a.values[np.isfinite(a.values)] for a in arrays]
    return float(np.concatenate([*finite, [0.0]]).max()) or 1.0
