"""Which lineages are drawn together, from which key, and on how many cores.

Lineage r has place r mod width in batch r // width; the width follows from the config alone, and
batch b draws from ``fold_in(key, b)``. So no result depends on how many lineages follow, on how
many batches are on the way, or on the device (but for rounding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PRNGKeyArray

from commensal._cores import available_cores
from commensal.sims.gaussian._config import Config

# numbers that a batch carries: at this size a batch stays in a core's second-level cache, while
# starting a compiled kernel costs little beside running it (measured on 2 cores)
_CARRIED = 2**15
_POINTS = 2**18  # the same where points are drawn
_POOLED = 2**22  # and where all of a pool's points are kept (32 MiB)
_ON_ACCELERATOR = 64  # batches in one call


def batch_width(config: Config) -> int:
    """Lineages in a full batch; a power of two."""
    n, d = config.samples, config.dim
    if config.workflow == "accumulate_subsample":
        budget = _POOLED // (n * d * max(config.recorded()[-1], 1))
    elif config.resolved_method == "samples":
        budget = _POINTS // (n * d)
    else:
        budget = _CARRIED // (2 * d * d)
    return 2 ** max(int(budget).bit_length() - 1, 4)


def computed_width(config: Config) -> int:
    """Lineages of a batch that are worth computing.

    Where all arithmetic is elementwise, fewer lineages than a batch are its first ones to the
    bit, at any multiple of a vector's length; sums are rounded according to the whole shape.
    """
    full = batch_width(config)
    if config.dim > 1 or config.resolved_method == "samples":
        return full
    return min(full, -(-config.replicates // 16) * 16)


def batches_in_chunks(
    config: Config,
    key: PRNGKeyArray,
    run: Callable[[Key[Array, "batches"], int, int], Any],
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[int, Any]]:
    """(first lineage, ``run(keys, width, first lineage)``) in order, computed on all cores.

    ``run`` gets the keys of one or more batches, and gives NumPy arrays.
    """
    full, width = batch_width(config), computed_width(config)
    batches = -(-config.replicates // full)
    per_call = 1 if jax.default_backend() == "cpu" else min(_ON_ACCELERATOR, batches)
    calls = list(range(0, batches, per_call))
    per_chunk = max(1, config.chunk // (full * per_call))

    def call(first: int) -> Any:
        with jax.enable_x64(True):  # a setting is a thread's own
            keys = jax.vmap(lambda b: jax.random.fold_in(key, b))(first + jnp.arange(per_call))
            return run(keys, width, first * full)

    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(calls), per_chunk):
            chunk = calls[start : start + per_chunk]
            results: Iterator[Any]
            if start == 0:  # the first compiles; threads that start together would each compile
                results = iter([call(chunk[0]), *pool.map(call, chunk[1:])])
            else:
                results = pool.map(call, chunk)
            for first, result in zip(chunk, results, strict=True):
                yield first * full, result
            if progress is not None:
                done = min((chunk[-1] + per_call) * full, config.replicates)
                progress(done, config.replicates)
