"""Accumulate and subsample: lineages with a growing pool of points, fitted to a few of them.

A pool has no sufficient statistics here (which points are drawn matters to who is left), so all
points are kept. A draw without replacement is the beginning of a Fisher-Yates shuffle, in place:
n exchanges, however large the pool.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from commensal.sims._threefry import Key, bits, fold_in
from commensal.sims.gaussian import _lineages, _matrices
from commensal.sims.gaussian._blocks import draw_points, fit, fit_matrix
from commensal.sims.gaussian._config import GaussianConfig


class PoolState(NamedTuple):
    """All points so far, and the model that is fitted to some of them."""

    points: Float[Array, "N d R"]  # of which the first n t are there
    model: Any


def initial(config: GaussianConfig, size: int) -> PoolState:
    """Give every lineage the truth for its first model, and an empty pool."""
    kind = _lineages if config.dim == 1 else _matrices
    last = max(config.recorded()[-1], 1)
    points = jnp.zeros((config.samples * last, config.dim, size))
    return PoolState(points, kind.initial(config, size))


def advance(config: GaussianConfig, key: Key, t: Any, state: PoolState) -> PoolState:
    """Publish n points of model t - 1 and fit model t >= 1 to n points of the pool."""
    n, size = config.samples, state.points.shape[-1]
    lineages = jnp.arange(size)
    of_points, of_choice = (fold_in(fold_in(key, t), part) for part in range(2))
    z = jax.lax.cond(
        t == 1,
        lambda: draw_points(config, config.truth, of_points, n, size),
        lambda: draw_points(config, "gaussian", of_points, n, size),
    )
    published = _published(config, state.model, z)
    pool = jax.lax.dynamic_update_slice_in_dim(state.points, published, n * (t - 1), 0)
    count = n * t

    def exchange(i, pool):
        high, low = bits(of_choice, size, i)
        # of 53 bits: no index is favoured by more than one part in 10¹⁰
        uniform = high.astype(jnp.float64) * 2.0**-32
        uniform = uniform + (low >> 11).astype(jnp.float64) * 2.0**-53
        j = i + jnp.floor(uniform * (count - i)).astype(jnp.int32)
        here = jax.lax.dynamic_index_in_dim(pool, i, keepdims=False)
        there = pool[j, :, lineages]
        pool = pool.at[j, :, lineages].set(here.T)
        return jax.lax.dynamic_update_index_in_dim(pool, there.T, i, 0)

    pool = jax.lax.fori_loop(0, n, exchange, pool)
    return PoolState(pool, _fitted(config, pool[:n]))


def _published(
    config: GaussianConfig, model: Any, z: Float[Array, "n d R"]
) -> Float[Array, "n d R"]:
    if config.dim == 1:
        return model.mean + jnp.exp(0.5 * model.log_variance) * z
    factor = jnp.exp(model.log_scale)[:, None] * model.rows
    return model.mean + jax.lax.map(lambda x: jnp.sum(factor * x[None], axis=1), z)


def _fitted(config: GaussianConfig, points: Float[Array, "n d R"]) -> Any:
    # in units of the points' own first two moments, as if they came from the truth
    size = points.shape[-1]
    one = config.model_copy(update={"memory": "replace"})
    if config.dim == 1:
        return _lineages.replaced(one, _lineages.initial(one, size), fit(points[:, 0]))
    return _matrices.replaced(one, _matrices.initial(one, size), fit_matrix(points))
