"""What every dataset that is handed back says of itself: units, coordinates, origin."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

import commensal
from commensal.sims.regression._config import Config

ESTIMATE = {"units": "units of theta"}
SQUARED = {"units": "squared units of theta"}


def coords(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    generations, entities, dim = shape
    return {
        "generation": np.arange(generations),
        "entity": np.arange(entities),
        "feature": np.arange(dim),
    }


def attrs(config: Config, key: PRNGKeyArray | None) -> dict[str, Any]:
    drawn = "given noise" if key is None else str(np.asarray(jax.random.key_data(key)).tolist())
    return {
        "paper": "interactive, sec. 5 and app. E",
        "config": config.model_dump_json(),
        "seed": config.seed,
        "key": drawn,
        "versions": f"commensal {commensal.__version__}, jax {jax.__version__}, "
        f"numpy {np.__version__}",
    }
