"""Batches of lineages and their keys.

Lineage r has place r mod width in batch r // width; the width follows from the config alone, and
batch b has a key of its own, ``fold_in(stream_of_lineages(key), b)``. So no result depends on how
many lineages follow, on how many batches are on the way, or on the device (but for rounding).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PRNGKeyArray

from commensal._blocks import at_once
from commensal.sims._keys import stream
from commensal.sims.gaussian._config import GaussianConfig

# numbers that a batch carries: at this size a batch stays in a core's second-level cache, while
# starting a compiled kernel costs little beside running it (measured on 2 cores)
_CARRIED = 2**15
_POINTS = 2**18  # the same where points are drawn
_POOLED = 2**22  # and where all of a pool's points are kept (32 MiB)


def batch_width(config: GaussianConfig) -> int:
    """Return the number of lineages in a full batch, a power of two."""
    n, d = config.samples, config.dim
    if config.memory == "accumulate_subsample":
        budget = _POOLED // (n * d * max(config.recorded()[-1], 1))
    elif config.resolved_method == "samples":
        budget = _POINTS // (n * d)
    else:
        budget = _CARRIED // (2 * d * d)
    return 2 ** max(int(budget).bit_length() - 1, 4)


def computed_width(config: GaussianConfig) -> int:
    """Return the number of lineages of a batch that are worth computing.

    Where all arithmetic is elementwise, fewer lineages than a batch are its first ones to the
    bit, at any multiple of a vector's length; sums are rounded according to the whole shape.
    """
    full = batch_width(config)
    if config.dim > 1 or config.resolved_method == "samples":
        return full
    return min(full, -(-config.replicates // 16) * 16)


def stream_of_lineages(key: PRNGKeyArray) -> PRNGKeyArray:
    """Derive the key of lineages, the same for those that are kept and those that are summed."""
    return stream(key, "gaussian lineages")


def batch_key(own: PRNGKeyArray, batch: Any) -> PRNGKeyArray:
    """Derive the key of a batch from the stream of lineages."""
    return jax.random.fold_in(own, batch)


def width_of_call(config: GaussianConfig) -> int:
    """Return the number of lineages that one call of a compiled program computes."""
    full = batch_width(config)
    return full * at_once(-(-config.replicates // full), bytes_of_batch(config), on_cpu=1)


def bytes_of_batch(config: GaussianConfig) -> float:
    """Count the bytes that a batch needs on the device, with what is recorded of it."""
    n, d = config.samples, config.dim
    model = 2 if d == 1 else 2 * d + d + d * d
    recorded = model * len(config.recorded())
    drawn = 12 * (d * d + 2 * d) + 24  # and powers, where moments are summed
    if config.memory == "accumulate_subsample":
        drawn += 6 * n * d * (1 + config.recorded()[-1])
    elif config.resolved_method == "samples":
        drawn += 12 * n * d
    return 8.0 * computed_width(config) * (2 * recorded + drawn)


def keys_of_call(config: GaussianConfig, own: PRNGKeyArray, start: int) -> Key[Array, "batches"]:
    """Derive the keys of one call's batches, of which the first begins with lineage ``start``."""
    full = batch_width(config)
    batches = start // full + jnp.arange(width_of_call(config) // full)
    return jax.vmap(lambda b: batch_key(own, b))(batches)
