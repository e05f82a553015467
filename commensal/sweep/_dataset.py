"""What a sweep's dataset looks like, in memory and as NetCDF."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5netcdf
import jax
import numpy as np
import xarray as xr

import commensal
from commensal.sweep._checkpoint import FORMAT
from commensal.theory.regression import STABILITY_MARGIN

OBJECTIVES = ("mean", "worst")


class Chunk(NamedTuple):
    """Some β rows of one K, all α: the unit of work and of what is stored."""

    entities: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """A file name."""
        return f"entities{self.entities}_beta{self.start}-{self.stop}"


class Layout(NamedTuple):
    """Everything about the dataset but the swept numbers."""

    config: dict[str, Any]
    identity: str
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    theta: dict[int, np.ndarray]  # per K, in the order of the dimension
    tasks: bool

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        most = max(self.theta)
        sizes = {
            "entities": len(self.theta),
            "alpha": len(self.alpha),
            "beta": len(self.beta),
            "model": most,
            "task": most,
            "feature": max(theta.size for theta in self.theta.values()),
            "objective": len(OBJECTIVES),
        }
        if not self.tasks:
            del sizes["task"]
        return sizes

    def variables(self) -> dict[str, tuple[tuple[str, ...], dict[str, str]]]:
        """Dimensions and attributes of every variable but the coordinates."""
        return {
            name: (dims, {"units": units, "long_name": text, "equation": equation})
            for name, (dims, units, text, equation) in _VARIABLES.items()
            if self.tasks or "task" not in dims
        }

    def coordinates(self) -> dict[str, tuple[Any, dict[str, str]]]:
        """Values and attributes of every coordinate."""
        values = {
            "entities": np.array(list(self.theta)),
            "alpha": np.array(self.alpha),
            "beta": np.array(self.beta),
            "objective": np.array(OBJECTIVES, dtype=object),
        }
        return {
            name: (
                values[name] if name in values else np.arange(size),
                {"long_name": _COORDINATES[name], "units": "1"},
            )
            for name, size in self.sizes.items()
        }

    def attributes(self) -> dict[str, Any]:
        """Attributes of the dataset: where its numbers come from."""
        return {
            "title": "Interactive linear regression: limits over alpha, beta and entities",
            "paper": (
                "Vu, Reeves, Wenger: What happens when generative AI models train recursively "
                "on each other's outputs?"
            ),
            "equation": "Theorem 3 and eq. (2), as corrected",
            "seed": self.config["seed"],
            "config": json.dumps(self.config, sort_keys=True),
            "commensal_version": commensal.__version__,
            "jax_version": jax.__version__,
            "numpy_version": np.__version__,
            "format": FORMAT,
            "fingerprint": self.identity,
        }


_CELL = ("entities", "alpha", "beta")
_MODEL = (*_CELL, "model")
_BEST = ("entities", "objective")
_COORDINATES = {
    "entities": "number of models, K",
    "alpha": "weight of newly collected data",
    "beta": "weight of private data within the real data",
    "model": "model, from 0",
    "task": "task (the private data of a model), from 0",
    "feature": "component of the parameter, from 0",
    "objective": "what the optimum minimises: mean over models of mse, or the worst model's",
}
# dimensions, units, description, where in the paper
_VARIABLES: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "spectral_radius": (
        _CELL,
        "1",
        "spectral radius of Q: growth factor of errors per generation",
        "Theorem 3",
    ),
    "stable": (_CELL, "1", "whether the spectral radius is below one", "Theorem 3"),
    "consensus_distance": (
        _CELL,
        "1",
        "relative distance between the models' mean maps M_k; 0 is homogenisation",
        "sec. 5, after Theorem 1",
    ),
    "mse": (
        _MODEL,
        "squared units of theta",
        "limit of the mean squared error of each model's estimate",
        "sec. 5, Theorem 3",
    ),
    "squared_bias": (
        _MODEL,
        "squared units of theta",
        "the part of mse that is bias: components of theta that no data with weight cover",
        "Theorem 2",
    ),
    "relative_efficiency": (
        _MODEL,
        "1",
        "error of the best unbiased estimate from all real data, over the model's mse",
        "sec. 5, fig. 2",
    ),
    "mspe": (
        (*_MODEL, "task"),
        "squared units of responses",
        "limit of the mean squared prediction error of each model on each task",
        "sec. 5",
    ),
    "optimal_mse": (_BEST, "squared units of theta", "smallest error on the grid", "fig. 2"),
    "optimal_alpha": (_BEST, "1", "alpha of the smallest error on the grid", "fig. 2"),
    "optimal_beta": (_BEST, "1", "beta of the smallest error on the grid", "fig. 2"),
    "theta": (("entities", "feature"), "units of theta", "true parameter", "sec. 5"),
}


class _Slab(NamedTuple):
    """Values of one variable for one block of its dimensions."""

    variable: str
    where: tuple[Any, ...]
    values: np.ndarray


def _slabs(
    layout: Layout, chunks: Sequence[Chunk], read: Callable[[str], dict[str, np.ndarray]]
) -> Iterator[_Slab]:
    """The whole dataset, one chunk in memory at a time."""
    for i, (k, theta) in enumerate(layout.theta.items()):
        yield _Slab("theta", (i, slice(0, theta.size)), theta)
        mse = np.empty((len(layout.alpha), len(layout.beta), k))
        for chunk in (c for c in chunks if c.entities == k):
            rows = slice(chunk.start, chunk.stop)
            arrays = read(chunk.name)
            arrays["stable"] = arrays["spectral_radius"] < 1 - STABILITY_MARGIN
            mse[:, rows] = arrays["mse"]
            for name, values in arrays.items():
                yield _Slab(
                    name, (i, slice(None), rows, *[slice(0, k)] * (values.ndim - 2)), values
                )
        for j, reduce in enumerate((np.mean, np.max)):
            error = reduce(mse, axis=-1)
            if np.isnan(error).all():
                continue
            a, b = np.unravel_index(np.nanargmin(error), error.shape)
            best = {"mse": error[a, b], "alpha": layout.alpha[a], "beta": layout.beta[b]}
            for name, value in best.items():
                yield _Slab(f"optimal_{name}", (i, j), np.asarray(value))


def to_memory(
    layout: Layout, chunks: Sequence[Chunk], read: Callable[[str], dict[str, np.ndarray]]
) -> xr.Dataset:
    """The dataset as arrays."""
    sizes = layout.sizes
    arrays = {
        name: np.zeros([sizes[d] for d in dims], dtype=bool)
        if name == "stable"
        else np.full([sizes[d] for d in dims], np.nan)
        for name, (dims, _) in layout.variables().items()
    }
    for slab in _slabs(layout, chunks, read):
        arrays[slab.variable][slab.where] = slab.values
    return xr.Dataset(
        {n: (dims, arrays[n], attrs) for n, (dims, attrs) in layout.variables().items()},
        {name: (name, values, attrs) for name, (values, attrs) in layout.coordinates().items()},
        layout.attributes(),
    )


def to_file(
    layout: Layout,
    chunks: Sequence[Chunk],
    read: Callable[[str], dict[str, np.ndarray]],
    out: Path,
) -> None:
    """The dataset as NetCDF, written without ever being in memory as a whole.

    What is padding (models and tasks beyond K) is never written: it reads as NaN and takes
    no space. The file appears whole or not at all.
    """
    sizes = layout.sizes
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with h5netcdf.File(temporary, "w") as file:
            file.dimensions = dict(sizes)
            for name, (values, attrs) in layout.coordinates().items():
                variable = file.create_variable(name, (name,), _storage(values), data=values)
                variable.attrs.update(attrs)
            for name, (dims, attrs) in layout.variables().items():
                shape = [sizes[d] for d in dims]
                # one block of storage per K, model and task: padding is left out block by block
                block = tuple(
                    n if d in ("alpha", "beta") else 1 for d, n in zip(dims, shape, strict=True)
                )
                boolean = name == "stable"
                variable = file.create_variable(
                    name,
                    dims,
                    "i1" if boolean else "f8",
                    fillvalue=None if boolean else np.nan,
                    chunks=block,
                )
                variable.attrs.update(attrs | ({"dtype": "bool"} if boolean else {}))
            file.attrs.update(layout.attributes())
            for slab in _slabs(layout, chunks, read):
                file.variables[slab.variable][slab.where] = slab.values
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _storage(values: np.ndarray) -> Any:
    import h5py

    return h5py.string_dtype() if values.dtype == object else values.dtype
