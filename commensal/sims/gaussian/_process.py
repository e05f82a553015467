"""The process from generation 0 to the last, for one or more batches of lineages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, UInt32

from commensal.sims._threefry import words
from commensal.sims.gaussian import _lineages, _matrices, _subsamples
from commensal.sims.gaussian._config import Config


def compiled_part(config: Config) -> Config:
    """``config`` without what a compiled program does not depend on: one for all seeds, say."""
    recorded = config.recorded()
    return config.model_copy(
        update={
            "record": recorded,
            "generations": recorded[-1],
            "method": config.resolved_method,
            "replicates": 1,
            "mean": 0.0,
            "variance": 1.0,
            "seed": 0,
            "chunk": 1,
        }
    )


def trajectories(
    config: Config, keys: Key[Array, "batches"], size: int, read: Callable[[Any], Any]
) -> Any:
    """``read(model)`` at each recorded generation; axes batch, generation, then ``read``'s."""
    if config.workflow == "accumulate_subsample":
        kind: Any = _subsamples
    else:
        kind = _lineages if config.dim == 1 else _matrices
    stops = jnp.asarray(config.recorded())
    starts = jnp.concatenate([jnp.zeros(1, stops.dtype), stops[:-1]])
    step = kind.step(config, size)

    def batch(key: UInt32[Array, "2"]) -> Any:
        def segment(state: Any, between: Any) -> Any:
            start, stop = between
            state = jax.lax.fori_loop(start, stop, lambda t, s: step(key, t + 1, s), state)
            return state, read(state.model if kind is _subsamples else state)

        return jax.lax.scan(segment, kind.initial(config, size), (starts, stops))[1]

    if keys.shape == (1,):  # not vmapped: conditions stay conditions
        return jax.tree.map(lambda x: x[None], batch(words(keys[0])))
    return jax.vmap(batch)(jax.random.key_data(keys))
