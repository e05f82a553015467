r"""Lineages of one coordinate: the step of one generation on (mean, log variance).

In units of the truth (mean 0, variance 1). The *logarithm* of the variance is carried, in float64
whatever the draws are: it falls linearly in t, to -1,300 after 1,000 generations of n = 2, where
the variance itself is zero in float64, and in float32 long before.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal.sims._threefry import Key, fold_in
from commensal.sims.gaussian._blocks import Block, draw_block, published_block
from commensal.sims.gaussian._config import GaussianConfig


class GaussianState(NamedTuple):
    """A model per lineage, as a deviation from the truth in units of its σ."""

    mean: Float[Array, "R"]
    log_variance: Float[Array, "R"]


def initial(config: GaussianConfig, size: int) -> GaussianState:
    """Give every lineage the truth for its first model."""
    return GaussianState(jnp.zeros(size), jnp.zeros(size))


def advance(config: GaussianConfig, key: Key, t: Any, state: GaussianState) -> GaussianState:
    """Fit model t >= 1 to what ``config`` asks for, model t - 1 being ``state``."""
    if config.human_samples:
        return _with_human(config, key, t, state)
    block = published_block(config, fold_in(key, t), t, config.samples, len(state.mean))
    if config.memory == "replace":
        return replaced(config, state, block)
    return _accumulated(config, t, state, block)


def replaced(config: GaussianConfig, state: GaussianState, block: Block) -> GaussianState:
    """Fit to the block alone."""
    n = config.samples
    correction = np.log1p(-1 / n) if config.estimator == "mle" else 0.0
    return GaussianState(_shifted(state, block, 1 / np.sqrt(n)), _grown(state, block) + correction)


def _accumulated(
    config: GaussianConfig, t: Any, state: GaussianState, block: Block
) -> GaussianState:
    """Merge the pool with n new points (Chan, Golub, LeVeque), in units of the model.

    The model *is* the pool: its mean is the pool's, and the pool's scatter over σ² is what the
    estimator divides by. What is left is

        σ²_t / σ²_{t-1} = 1 + [χ²_{n-1} + z² N/(N+n) - (c_t - c_{t-1})] / c_t

    with N = n(t-1) points in the pool, c_t = nt or nt - 1, c_0 = 0.
    """
    n = config.samples
    less = 1 if config.estimator == "unbiased" else 0
    total = n * jnp.asarray(t, jnp.float64)
    location, log_ratio = (x.astype(jnp.float64) for x in block)
    # χ² - (n - 1) by expm1: the increments are of order 1/t, and so are what is rounded
    surplus = (n - 1) * jnp.expm1(log_ratio) + location**2 * ((total - n) / total) - 1
    later = state.log_variance + jnp.log1p(surplus / (total - less))
    first = state.log_variance + log_ratio + jnp.log((n - 1) / (total - less))
    log_variance = jnp.where(t == 1, first, later)
    return GaussianState(_shifted(state, block, np.sqrt(n) / total), log_variance)


def _shifted(state: GaussianState, block: Block, scale: Any) -> Float[Array, "R"]:
    """Compute mean + scale · σ z."""
    dtype = block.location.dtype
    sigma = jnp.exp(0.5 * state.log_variance.astype(dtype))
    return state.mean + scale * (sigma * block.location).astype(jnp.float64)


def _grown(state: GaussianState, block: Block) -> Float[Array, "R"]:
    return state.log_variance + block.log_ratio.astype(jnp.float64)


def _with_human(config: GaussianConfig, key: Key, t: Any, state: GaussianState) -> GaussianState:
    """Fit to two merged blocks, one of the truth and one of the model; both results stay finite."""
    n, fresh, size = config.samples, config.human_samples, len(state.mean)
    old = n - fresh
    divisor = n - 1 if config.estimator == "unbiased" else n
    first, second = (fold_in(fold_in(key, t), part) for part in range(2))
    human = draw_block(config, first, fresh, size, real=True)
    human = Block(*(x.astype(jnp.float64) for x in human))
    mean = human.location / np.sqrt(fresh)
    scatter = (fresh - 1) * jnp.exp(human.log_ratio)
    if old:
        block = published_block(config, second, t, old, size)
        block = Block(*(x.astype(jnp.float64) for x in block))
        variance = jnp.exp(state.log_variance)
        apart = state.mean + jnp.sqrt(variance / old) * block.location - mean
        scatter = scatter + variance * (old - 1) * jnp.exp(block.log_ratio)
        scatter = scatter + fresh * old / n * apart**2
        mean = mean + old / n * apart
    return GaussianState(mean, jnp.log(scatter / divisor))
