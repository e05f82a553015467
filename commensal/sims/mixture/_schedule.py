"""Schedule of a run, known beforehand: numbers of points, who may draw which, and rates."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from commensal.sims.mixture._config import MixtureConfig, draws_of


class ReadingSchedule(NamedTuple):
    """Schedule of generations 0..T-1, as arguments of a compiled program that settings share."""

    readable: Int[Any, "T n"]  # points that model i may draw from
    draws: Int[Any, "T n"]  # k_t
    alpha: Float[Any, "T n"]
    prior: Float[Any, "T n"]  # c_t
    identity: Int[Any, "P n"]  # the p-th point that model i may ever draw, as a row of A


def schedule(config: MixtureConfig) -> ReadingSchedule:
    """Compute the schedule of a run from its settings."""
    n, posts, b = config.models, config.posts, config.components
    t = np.arange(config.generations)[:, None]
    reads = config.reads()
    readable = config.points + reads.sum(axis=1) * posts * t
    k = draws_of(readable, config.read_share)
    alpha = 1 / k if config.learning_rate is None else np.full(k.shape, config.learning_rate)
    prior = 1 / (k * b**2) if config.prior is None else np.full(k.shape, config.prior)
    total = config.points + n * posts * config.generations
    identity = np.zeros((total, n), dtype=np.int32)
    row = np.arange(total)
    author = (row - config.points) // posts % n
    for i in range(n):
        mine = row[(row < config.points) | reads[i, author]]
        identity[: len(mine), i] = mine
    return ReadingSchedule(readable, k, alpha, prior, identity)
