"""What every dataset that is handed back says of itself: units, coordinates, origin."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

import commensal

DATA = {"units": "units of the data"}
SQUARED = {"units": "squared units of the data"}
LOG_SQUARED = {"units": "log of squared units of the data"}


def log_power(dim: int) -> dict[str, str]:
    return {"units": f"log of units of the data to the power {2 * dim}"}


def attrs(config: Any, key: PRNGKeyArray) -> dict[str, Any]:
    return {
        "paper": "pollination, sec. 6.1 and app. A",
        "config": config.model_dump_json(),
        "seed": config.seed,
        "key": str(np.asarray(jax.random.key_data(key)).tolist()),
        "versions": f"commensal {commensal.__version__}, jax {jax.__version__}, "
        f"numpy {np.__version__}",
    }
