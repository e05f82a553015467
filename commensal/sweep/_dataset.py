"""Datasets of sweeps, in memory and as NetCDF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import h5netcdf
import jax
import numpy as np
import xarray as xr

import commensal
from commensal._checkpoint import FORMAT
from commensal._memory import named_memory
from commensal.saving import whole

OBJECTIVES = ("mean", "worst")


class Chunk(NamedTuple):
    """Some β rows of one K, network and memory at all α, the unit of work and of storage."""

    which: int
    """Place of the network."""
    memory: int
    """Place of the memory."""
    models: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Name of the chunk's file."""
        system = f"reads{self.which}_memory{self.memory}_models{self.models}"
        return f"{system}_beta{self.start}-{self.stop}"


class Layout(NamedTuple):
    """Layout of the dataset: all but the swept numbers."""

    config: dict[str, Any]
    identity: str
    reads: tuple[str, ...]
    memory: tuple[str, ...]
    generations: int | None
    alpha: tuple[float, ...]
    beta: tuple[float, ...]
    theta: dict[int, np.ndarray]  # per K, in the order of the dimension
    tasks: bool

    @property
    def sizes(self) -> dict[str, int]:
        """Length of every dimension."""
        most = max(self.theta)
        sizes = {
            "reads": len(self.reads),
            "memory": len(self.memory),
            "models": len(self.theta),
            "alpha": len(self.alpha),
            "beta": len(self.beta),
            "model": most,
            "task": most,
            "feature": max(theta.size for theta in self.theta.values()),
            "objective": len(OBJECTIVES),
        }
        if not self.tasks:
            del sizes["task"]
        for name in {"reads", "memory"}.difference(self.several):
            del sizes[name]
        return sizes

    @property
    def several(self) -> tuple[str, ...]:
        """Names of the dimensions that only a sweep of several networks or memories has."""
        return tuple(name for name in ("reads", "memory") if len(getattr(self, name)) > 1)

    @property
    def _keeps_all(self) -> bool:
        """Whether some memory keeps everything, where growth is no factor per generation."""
        return any(named_memory(name) in _ALL for name in self.memory)

    def variables(self) -> dict[str, tuple[tuple[str, ...], dict[str, str]]]:
        """Return dimensions and attributes of every variable but the coordinates."""
        return {
            name: (
                dims if name == "theta" else (*self.several, *dims),
                {"units": units, "long_name": self._said(name, text), "equation": equation},
            )
            for name, (dims, units, text, equation) in _VARIABLES.items()
            if (self.tasks or "task" not in dims) and (self._keeps_all or name != "growth_exponent")
        }

    def _said(self, name: str, text: str) -> str:
        """Describe a variable, of a limit or of one generation."""
        if self.generations is None:
            return text
        place = f"generation {self.generations}: "
        return place * (name not in _LONG_RUN) + _IN_GENERATION.get(name, text)

    def coordinates(self) -> dict[str, tuple[Any, dict[str, str]]]:
        """Return values and attributes of every coordinate."""
        values = {
            "reads": np.array(self.reads, dtype=object),
            "memory": np.array(self.memory, dtype=object),
            "models": np.array(list(self.theta)),
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
        """Return the attributes of the dataset, which tell where its numbers come from."""
        told = "limits" if self.generations is None else f"generation {self.generations}"
        return {
            "title": f"Interactive linear regression: {told} over alpha, beta and models",
            "paper": (
                "Vu, Reeves, Wenger: What happens when generative AI models train recursively "
                "on each other's outputs?"
            ),
            "equation": "Theorem 3 and eq. (2), as corrected"
            if self.generations is None
            else "Theorem 2, as corrected, and for models that remember",
            "seed": self.config["seed"],
            "config": json.dumps(self.config, sort_keys=True),
            "commensal_version": commensal.__version__,
            "jax_version": jax.__version__,
            "numpy_version": np.__version__,
            "format": FORMAT,
            "fingerprint": self.identity,
        } | ({} if self.generations is None else {"generations": self.generations})


_CELL = ("models", "alpha", "beta")
_MODEL = (*_CELL, "model")
_BEST = ("models", "objective")
_FLAGS = ("stable", "trusted")
_ALL = (("accumulate", None), ("window", None))
_LONG_RUN = ("spectral_radius", "growth_exponent", "stable", "trusted", "theta")
_IN_GENERATION = {
    "spectral_radius": "growth of errors per generation in the long run; 1 if everything is kept",
    "stable": "whether errors stay bounded in the long run",
    "mse": "mean squared error of each model's estimate",
    "squared_bias": "the part of mse that is bias",
    "relative_efficiency": (
        "error of the best unbiased estimate from all real data, over the model's mse; NaN where "
        "more than a thousandth of that is bias"
    ),
    "mspe": "mean squared prediction error of each model on each task",
    "optimal_mse": "smallest error on the grid, of mixes whose efficiency is defined",
}
_COORDINATES = {
    "reads": "network of who reads whom, by its name",
    "memory": "what is kept of the web, by its name",
    "models": "number of models, K",
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
    "growth_exponent": (
        _CELL,
        "1",
        "p, with errors that change as n^p in the long run where everything is kept; NaN elsewhere",
        "",
    ),
    "stable": (_CELL, "1", "whether the spectral radius is below one", "Theorem 3"),
    "trusted": (
        _CELL,
        "1",
        "whether rounding leaves three digits; where not, every number is NaN",
        "",
    ),
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
    "optimal_mse": (
        _BEST,
        "squared units of theta",
        "smallest error on the grid, of mixes without bias or with the least",
        "fig. 2",
    ),
    "optimal_alpha": (_BEST, "1", "alpha of optimal_mse", "fig. 2"),
    "optimal_beta": (_BEST, "1", "beta of optimal_mse", "fig. 2"),
    "optimal_relative_efficiency": (
        _BEST,
        "1",
        "relative efficiency at that mix, mean over models",
        "fig. 2",
    ),
    "theta": (("models", "feature"), "units of theta", "true parameter", "sec. 5"),
}


class _Slab(NamedTuple):
    """Values of one variable for one block of its dimensions."""

    variable: str
    where: tuple[Any, ...]
    values: np.ndarray


def _slabs(
    layout: Layout, chunks: Sequence[Chunk], read: Callable[[str], dict[str, np.ndarray]]
) -> Iterator[_Slab]:
    """Yield the whole dataset in slabs, one chunk in memory at a time."""
    for i, theta in enumerate(layout.theta.values()):
        yield _Slab("theta", (i, slice(0, theta.size)), theta)
    places = (range(len(layout.reads)), range(len(layout.memory)), enumerate(layout.theta))
    for which, memory, (i, k) in product(*places):
        of = {"reads": which, "memory": memory}
        place = (*(of[name] for name in layout.several), i)
        shape = (len(layout.alpha), len(layout.beta), k)
        found = {name: np.empty(shape) for name in ("mse", "squared_bias", "relative_efficiency")}
        for chunk in (c for c in chunks if (c.which, c.memory, c.models) == (which, memory, k)):
            rows = slice(chunk.start, chunk.stop)
            arrays = read(chunk.name)
            for name, of_all in found.items():
                of_all[:, rows] = arrays[name]
            for name, values in arrays.items():
                of_models = [slice(0, k)] * (values.ndim - 2)
                yield _Slab(name, (*place, slice(None), rows, *of_models), values)
        bias = found["squared_bias"].sum(axis=-1)
        if layout.generations is not None:  # what is small counts as none
            bias = np.where(np.isfinite(found["relative_efficiency"]).all(axis=-1), 0, bias)
        for j, reduce in enumerate((np.mean, np.max)):
            at = best_cell(reduce(found["mse"], axis=-1), bias)
            if at is None:
                continue
            best = {
                "mse": reduce(found["mse"], axis=-1)[at],
                "alpha": layout.alpha[at[0]],
                "beta": layout.beta[at[1]],
                "relative_efficiency": found["relative_efficiency"][at].mean(),
            }
            for name, value in best.items():
                yield _Slab(f"optimal_{name}", (*place, j), np.asarray(value))


def best_cell(error: np.ndarray, squared_bias: np.ndarray) -> tuple[int, int] | None:
    """Find the cell of smallest error among those of least bias; None where no cell has a limit.

    Bias first: a cell where some model never learns a direction may have a small error for this
    parameter, and none of its size for another.
    """
    if np.isnan(error).all():
        return None
    least = np.nanmin(squared_bias)
    allowed = squared_bias <= least + 1e-9 * max(1.0, np.nanmax(squared_bias))
    a, b = np.unravel_index(np.nanargmin(np.where(allowed, error, np.nan)), error.shape)
    return int(a), int(b)


def to_memory(
    layout: Layout, chunks: Sequence[Chunk], read: Callable[[str], dict[str, np.ndarray]]
) -> xr.Dataset:
    """Collect the dataset in memory."""
    sizes = layout.sizes
    arrays = {
        name: np.zeros([sizes[d] for d in dims], dtype=bool)
        if name in _FLAGS
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
    """Write the dataset as NetCDF, without ever having all of it in memory.

    What is padding (models and tasks beyond K) is never written: it reads as NaN and takes
    no space. The file appears whole or not at all.
    """
    sizes = layout.sizes
    with whole(out) as temporary, h5netcdf.File(temporary, "w") as file:
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
            boolean = name in _FLAGS
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


def _storage(values: np.ndarray) -> Any:
    import h5py

    return h5py.string_dtype() if values.dtype == object else values.dtype
