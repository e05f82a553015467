"""Maps of one or several sweeps, as the explorer's page takes them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from commensal.explore._cells import QUANTITIES, cells_of
from commensal.explore._command import GRIDS, sweep_command
from commensal.explore._controls import LABELS, Control
from commensal.explore._pack import packed
from commensal.sweep import RegressionSweep

_BEST = ("alpha", "beta", "error", "efficiency")
_NOT_OPTIONS = (*GRIDS, "grams")


def joined(sweeps: Sequence[xr.Dataset], names: Sequence[str]) -> tuple[xr.Dataset, Control]:
    """Join the cells of sweeps that differ in one setting along a dimension of that name.

    Parameters
    ----------
    sweeps : sequence of xarray.Dataset
        Sweeps of one grid, as :func:`commensal.sweep.regression` gives them.
    names : sequence of str
        What errors call them, such as their files.

    Returns
    -------
    cells : xarray.Dataset
        Cells over (the setting, reads, models, beta, alpha); see :func:`cells_of`.
    control : Control
        The setting with its values, in order; of one value where there is one sweep.

    Raises
    ------
    ValueError
        If grids differ, or other than one setting differs.
    """
    configs = [json.loads(sweep.attrs["config"]) for sweep in sweeps]
    for config, name in zip(configs[1:], names[1:], strict=True):
        for axis in ("alpha", "beta", "models", "reads"):
            if config[axis] != configs[0][axis]:
                raise ValueError(f"{name} and {names[0]} have other values of {axis}")
    known = sorted({key for config in configs for key in config} - {"tasks"})
    unlike = [key for key in known if len({_key(config.get(key)) for config in configs}) > 1]
    unlike = [key for key in unlike if not (key == "human_data" and "human_share" in unlike)]
    if len(sweeps) > 1 and len(unlike) != 1:
        told = ", ".join(unlike) or "nothing"
        raise ValueError(f"sweeps on one page differ in one setting, and these in {told}")
    setting = unlike[0] if unlike else "human_share"
    values = [config.get(setting) for config in configs]
    if len({_key(value) for value in values}) < len(values):
        raise ValueError(f"two of the sweeps have the same {setting}")
    order = sorted(range(len(sweeps)), key=lambda i: (str(type(values[i])), values[i]))
    control = Control(setting, LABELS.get(setting, setting), [values[i] for i in order])
    axis = xr.DataArray(control.values, dims=setting, name=setting)
    cells = xr.concat([cells_of(sweeps[i]) for i in order], axis, combine_attrs="override")
    return cells, control


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def part_of(cells: xr.Dataset, first: Control, configs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Describe a map for the page: its axes, controls, numbers, and how to make them again."""
    order = (first.name, "reads", "models")
    cells = cells.transpose(*order, "beta", "alpha")
    controls = [
        first,
        Control("reads", LABELS["reads"], cells.reads.values.tolist()),
        Control("models", LABELS["models"], cells.models.values.tolist()),
    ]
    names = [name for name in QUANTITIES if name in cells]
    return {
        "kind": "map",
        "alpha": cells.alpha.values.tolist(),
        "beta": cells.beta.values.tolist(),
        "controls": [one.record() for one in controls],
        "quantities": [
            {"name": name, "label": QUANTITIES[name], "data": packed(cells[name].values)}
            for name in names
        ],
        "status": packed(cells.status.values),
        "systems": [
            system_of({name: float(one[f"best_{name}"]) for name in _BEST}, float(one.bound))
            for one in _each(cells, order)
        ],
        "command": "\n".join(sweep_command(config) for config in configs),
        **options_of(configs[0]),
    }


def _each(cells: xr.Dataset, order: Sequence[str]) -> Iterator[xr.Dataset]:
    for at in np.ndindex(*(cells.sizes[name] for name in order)):
        yield cells.isel(dict(zip(order, at, strict=True)))


def system_of(best: Mapping[str, float], bound: float) -> dict[str, Any]:
    """Describe the best mix of one system, and the largest ρ that any data can give it."""
    # (1 + √readers)/2: K itself where all read the same
    readers = float(f"{(2 * bound - 1) ** 2:.4g}") if math.isfinite(bound) else None
    known = {name: finite(value) for name, value in best.items()}
    return {"best": known, "bound": finite(bound), "readers": readers}


def finite(value: float) -> float | None:
    """Return a number for JSON: None where it is not finite."""
    return value if math.isfinite(value) else None


def options_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the options that commands of one cell or of one map need, and their defaults."""
    defaults = {
        name: field.default
        for name, field in RegressionSweep.model_fields.items()
        if name not in _NOT_OPTIONS
    }
    given = {n: v for n, v in config.items() if n in defaults and v is not None}
    return {"options": given, "defaults": defaults | {"reads": "uniform"}}
