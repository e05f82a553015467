"""Named arrays that say what they are and where they come from."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import xarray as xr

import commensal
from commensal.sims.mixture._config import Config

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


def as_dataset(config: Config, data: dict[str, np.ndarray], key: str) -> xr.Dataset:
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
        {
            "paper": "webdynamics, sec. 3.2, Algorithms 2 and 3",
            "config": config.model_dump_json(),
            "seed": config.seed,
            "key": key,
            "versions": f"commensal {commensal.__version__}, jax {jax.__version__}, "
            f"numpy {np.__version__}",
        },
    )
