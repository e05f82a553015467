r"""Lineages of one coordinate: what one generation does to (mean, log variance).

In units of the truth (mean 0, variance 1). The *logarithm* of the variance is carried, in float64
whatever the draws are: it falls linearly in t, to -1,300 after 1,000 generations of n = 2, where
the variance itself is zero in float64, and in float32 long before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal.sims._threefry import Key, fold_in
from commensal.sims.gaussian._blocks import Block, block_source
from commensal.sims.gaussian._config import Config


class State(NamedTuple):
    """A model per lineage, as a deviation from the truth in units of its σ."""

    mean: Float[Array, "R"]
    log_variance: Float[Array, "R"]


Step = Callable[[Key, Any, Any], Any]


def initial(config: Config, size: int) -> State:
    """The truth."""
    return State(jnp.zeros(size), jnp.zeros(size))


def step(config: Config, size: int) -> Step:
    """(key, t, model t - 1) -> model t, for t ≥ 1."""
    n, human = config.samples, config.human_samples
    if human:
        return _with_human(config, size)
    of_model, of_truth = (block_source(config, n, real=real) for real in (False, True))
    after = replaced(config) if config.workflow == "replace" else _accumulated(config)

    def generation(key: Key, t: Any, state: State) -> State:
        key = fold_in(key, t)
        if config.truth == "gaussian":  # then real points differ from others in nothing
            return after(t, state, of_model(key, size))
        block = jax.lax.cond(t == 1, lambda: of_truth(key, size), lambda: of_model(key, size))
        return after(t, state, block)

    return generation


def replaced(config: Config) -> Callable[[Any, State, Block], State]:
    n = config.samples
    correction = np.log1p(-1 / n) if config.estimator == "mle" else 0.0

    def after(t: Any, state: State, block: Block) -> State:
        return State(_shifted(state, block, 1 / np.sqrt(n)), _grown(state, block) + correction)

    return after


def _accumulated(config: Config) -> Callable[[Any, State, Block], State]:
    """Chan, Golub and LeVeque's merge of the pool with n new points, in units of the model.

    The model *is* the pool: its mean is the pool's, and the pool's scatter over σ² is what the
    estimator divides by. What is left is

        σ²_t / σ²_{t-1} = 1 + [χ²_{n-1} + z² N/(N+n) - (c_t - c_{t-1})] / c_t

    with N = n(t-1) points in the pool, c_t = nt or nt - 1, c_0 = 0.
    """
    n = config.samples
    less = 1 if config.estimator == "unbiased" else 0

    def after(t: Any, state: State, block: Block) -> State:
        total = n * jnp.asarray(t, jnp.float64)
        location, log_ratio = (x.astype(jnp.float64) for x in block)
        # χ² - (n - 1) by expm1: the increments are of order 1/t, and so are what is rounded
        surplus = (n - 1) * jnp.expm1(log_ratio) + location**2 * ((total - n) / total) - 1
        later = state.log_variance + jnp.log1p(surplus / (total - less))
        first = state.log_variance + log_ratio + jnp.log((n - 1) / (total - less))
        log_variance = jnp.where(t == 1, first, later)
        return State(_shifted(state, block, np.sqrt(n) / total), log_variance)

    return after


def _shifted(state: State, block: Block, scale: Any) -> Float[Array, "R"]:
    """Mean + scale · σ z."""
    dtype = block.location.dtype
    sigma = jnp.exp(0.5 * state.log_variance.astype(dtype))
    return state.mean + scale * (sigma * block.location).astype(jnp.float64)


def _grown(state: State, block: Block) -> Float[Array, "R"]:
    return state.log_variance + block.log_ratio.astype(jnp.float64)


def _with_human(config: Config, size: int) -> Step:
    """Two blocks, one of the truth and one of the model, merged; the truth keeps both finite."""
    n, fresh = config.samples, config.human_samples
    old = n - fresh
    divisor = n - 1 if config.estimator == "unbiased" else n
    of_truth = block_source(config, fresh, real=True)
    # at t = 1 there is no model yet: all points are real
    sources = [block_source(config, old, real=real) for real in (False, True)] if old else None

    def generation(key: Key, t: Any, state: State) -> State:
        first, second = (fold_in(fold_in(key, t), part) for part in range(2))
        human = Block(*(x.astype(jnp.float64) for x in of_truth(first, size)))
        mean = human.location / np.sqrt(fresh)
        scatter = (fresh - 1) * jnp.exp(human.log_ratio)
        if sources is not None:
            of_model, of_truth_old = sources
            if config.truth == "gaussian":
                block = of_model(second, size)
            else:
                block = jax.lax.cond(
                    t == 1, lambda: of_truth_old(second, size), lambda: of_model(second, size)
                )
            block = Block(*(x.astype(jnp.float64) for x in block))
            variance = jnp.exp(state.log_variance)
            apart = state.mean + jnp.sqrt(variance / old) * block.location - mean
            scatter = scatter + variance * (old - 1) * jnp.exp(block.log_ratio)
            scatter = scatter + fresh * old / n * apart**2
            mean = mean + old / n * apart
        return State(mean, jnp.log(scatter / divisor))

    return generation
