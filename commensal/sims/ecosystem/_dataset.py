"""Datasets of simulated ecosystems, with named dimensions, units and origin."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

from commensal.sims._simulate import origin
from commensal.sims.ecosystem._config import EcosystemConfig
from commensal.sims.ecosystem._process import Measures

_LONG = {
    "perplexity": "perplexity on the true law",
    "chi_square": "χ² distance from the true law",
    "squares": "sum of squared differences from the true law",
    "simpson": "Hill number of order two of the word types",
}


PAPER = "diversity, sec. 3, with laws over word types in the place of language models"


def as_dataset(config: EcosystemConfig, key: PRNGKeyArray, found: Measures) -> xr.Dataset:
    """Make a dataset of all runs of one ecosystem."""
    variables: dict[str, Any] = {}
    for name, of_models, of_pool in _named(found):
        long = _LONG[name]
        variables[name] = _variable(
            of_models.mean(axis=-1), ("replicate", "generation"), f"mean {long}"
        )
        variables[f"model_{name}"] = _variable(
            of_models, ("replicate", "generation", "model"), f"{long}, of each model"
        )
        variables[f"pool_{name}"] = _variable(
            of_pool, ("replicate", "generation"), f"{long}, of what the models write together"
        )
    share = np.array(config.sizes) / config.tokens
    # exp(-Σ w ln w), `diversity` eq. (1)
    diversity = float(np.exp(-(share * np.log(share)).sum()))
    variables["sizes"] = _variable(np.array(config.sizes), ("model",), "tokens of each model")
    variables["hill_shannon"] = _variable(np.array(diversity), (), "Hill-Shannon diversity")
    coords = {
        "replicate": np.arange(config.replicates),
        "generation": np.arange(1, config.generations + 1),
        "model": np.arange(config.models),
    }
    return xr.Dataset(variables, coords, origin(PAPER, config, key))


def as_grid(
    config: EcosystemConfig,
    key: PRNGKeyArray,
    axes: dict[str, list[Any]],
    parts: list[Measures],
    shape: tuple[int, ...],
) -> xr.Dataset:
    """Make a dataset of means over generations and models, one part per number of models."""
    variables: dict[str, Any] = {}
    dims = (*axes, "replicate")
    named = [_named(part) for part in parts]
    for i, (name, *_) in enumerate(named[0]):
        of_models = [part[i][1].mean(axis=-1) for part in named]
        of_pool = [part[i][2] for part in named]
        for prefix, values in (("", of_models), ("pool_", of_pool)):
            mean = np.stack([v.mean(axis=-1) for v in values]).reshape(shape)
            variables[prefix + name] = _variable(
                mean, dims, f"{_LONG[name]}, mean over generations"
            )
        if name == "perplexity" and config.generations > 1:
            last = np.stack([v[:, -1] - v[:, -2] for v in of_models]).reshape(shape)
            variables["slope"] = _variable(last, dims, "rise of mean perplexity at the last fit")
    coords = {name: np.array(values) for name, values in axes.items()}
    coords["replicate"] = np.arange(config.replicates)
    return xr.Dataset(variables, coords, origin(PAPER, config, key))


def _named(found: Measures) -> list[tuple[str, np.ndarray, np.ndarray]]:
    with np.errstate(over="ignore"):
        of_models, of_pool = np.exp(found.nats), np.exp(found.pool_nats)
    return [
        ("perplexity", of_models, of_pool),
        ("chi_square", np.asarray(found.chi_square), np.asarray(found.pool_chi_square)),
        ("squares", np.asarray(found.squares), np.asarray(found.pool_squares)),
        ("simpson", np.asarray(found.simpson), np.asarray(found.pool_simpson)),
    ]


def _variable(values: np.ndarray, dims: tuple[str, ...], long: str) -> tuple[Any, ...]:
    return dims, values, {"long_name": long, "units": "1"}
