"""Which replicates are drawn together, and from which key.

The rounding of a matrix product depends on how wide it is and on where in it a column stands.
So the width is fixed, replicate r always has place r mod width, and a chunk is no more than how
many such batches are in flight.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax

from commensal.sims.regression._config import Config


def batch_size() -> int:
    # measured on 2 cores: at 256 a batch stays in cache. An accelerator wants more columns.
    return 256 if jax.default_backend() == "cpu" else 8192


def chunks(config: Config, size: int) -> Iterator[tuple[int, int, int]]:
    """(first batch, batch to stop before, replicates done by then) of each chunk."""
    batches, per_chunk = -(-config.replicates // size), -(-config.chunk // size)
    for first in range(0, batches, per_chunk):
        stop = min(first + per_chunk, batches)
        yield first, stop, min(stop * size, config.replicates)
