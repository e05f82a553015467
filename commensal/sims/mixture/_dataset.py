"""Datasets of simulated mixtures, with named dimensions, units and origin."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from commensal.sims._simulate import Arrays, origin
from commensal.sims.mixture._config import MixtureConfig

_NAMED = {
    "disagreement": ((), "Frobenius norm of the distances between the models' weights"),
    "consensus": (("component",), "average of the models' weights"),
    "weights": (("model", "component"), "mixture weights"),
    "density_distance": (
        (),
        "root mean square over pairs of models of the L2 distance of densities",
    ),
    "means": (("model", "component", "dimension"), "means of components"),
    "variances": (("model", "component"), "variances of components"),
    "covariances": (
        ("model", "component", "dimension", "other_dimension"),
        "covariances of components",
    ),
}


def as_dataset(config: MixtureConfig, key: PRNGKeyArray | None, data: Arrays) -> xr.Dataset:
    """Make a dataset of what was recorded of all replicates."""
    variables = {
        name: (
            ("replicate", "generation", *_NAMED[name][0]),
            values,
            {"long_name": _NAMED[name][1], "units": "1"},
        )
        for name, values in sorted(data.items())
    }
    coords: dict[str, Any] = {
        "replicate": np.arange(len(data["disagreement"])),
        "generation": np.array(config.record),
        "component": np.arange(config.components),
    }
    if "weights" in data:
        coords["model"] = np.arange(config.models)
    if "means" in data:
        coords["dimension"] = np.arange(config.dim)
    if "covariances" in data:
        coords["other_dimension"] = np.arange(config.dim)
    return xr.Dataset(
        variables,
        coords,
        origin("webdynamics, sec. 3.2, Algorithms 2 and 3", config, key),
    )
