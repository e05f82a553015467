r"""Lineages of d coordinates: the step of one generation on (mean, factor of the covariance).

In units of the truth (mean 0, covariance I). A covariance is carried as :math:`L L^\top`, and
:math:`L' = L A` with a triangular A that is new in each generation: row i of L' is row i of L
times A, so each row can have a scale of its own, whose logarithm is carried, and nothing
underflows that matters beside another entry of its row. The diagonal, from which the determinant
comes, is carried as logarithms of its own; where it vanishes beside its row it is still exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal.sims._threefry import Key, fold_in
from commensal.sims.gaussian._blocks import MatrixBlock, cholesky, draw_block, published_block
from commensal.sims.gaussian._config import GaussianConfig

_UNROLLED = 16  # dimensions up to which a product is one fused kernel


class MatrixState(NamedTuple):
    """A model per lineage, in units of the truth's σ; L = exp(log_scale) · rows."""

    mean: Float[Array, "d R"]
    rows: Float[Array, "d d R"]  # of length one, or zero
    log_scale: Float[Array, "d R"]
    log_diagonal: Float[Array, "d R"]  # of L


def initial(config: GaussianConfig, size: int) -> MatrixState:
    """Give every lineage the truth for its first model."""
    d = config.dim
    eye = jnp.broadcast_to(jnp.eye(d)[..., None], (d, d, size))
    zero = jnp.zeros((d, size))
    return MatrixState(zero, eye, zero, zero)


def advance(config: GaussianConfig, key: Key, t: Any, state: MatrixState) -> MatrixState:
    """Fit model t >= 1 to what ``config`` asks for, model t - 1 being ``state``."""
    if config.human_samples:
        return _with_human(config, key, t, state)
    size = state.mean.shape[-1]
    block = published_block(config, fold_in(key, t), t, config.samples, size)
    if config.memory == "replace":
        return replaced(config, state, block)
    return _accumulated(config, t, state, block)


def replaced(config: GaussianConfig, state: MatrixState, block: MatrixBlock) -> MatrixState:
    """Fit to the block alone."""
    n = config.samples
    divisor = n - 1 if config.estimator == "unbiased" else n
    mean = state.mean + _applied(state, block.location) / np.sqrt(n)
    return _times(mean, state, block.factor, block.log_diagonal, 0.5 * np.log(divisor))


def _accumulated(
    config: GaussianConfig, t: Any, state: MatrixState, block: MatrixBlock
) -> MatrixState:
    """Merge the pool with n new points; in units of the model, the pool's scatter is c_{t-1} I."""
    n, d = config.samples, config.dim
    less = 1 if config.estimator == "unbiased" else 0
    total = n * jnp.asarray(t, jnp.float64)
    mean = state.mean + _applied(state, block.location) * (np.sqrt(n) / total)
    old = total - n - less
    scatter = _product(block.factor, block.factor.swapaxes(0, 1))
    scatter = scatter + ((total - n) / total) * block.location[:, None] * block.location[None]
    # at t = 1 there is no pool, the block's own factor is the answer and this one is not used
    pool = jnp.where(t == 1, 1.0, old) * jnp.eye(d)[..., None]
    factor, log_diagonal = cholesky(scatter + pool, d)
    factor = jnp.where(t == 1, block.factor, factor)
    log_diagonal = jnp.where(t == 1, block.log_diagonal, log_diagonal)
    return _times(mean, state, factor, log_diagonal, 0.5 * jnp.log(total - less))


def _with_human(config: GaussianConfig, key: Key, t: Any, state: MatrixState) -> MatrixState:
    """Fit to merged blocks of the truth and of the model."""
    n, d, fresh = config.samples, config.dim, config.human_samples
    size = state.mean.shape[-1]
    old = n - fresh
    divisor = n - 1 if config.estimator == "unbiased" else n
    first, second = (fold_in(fold_in(key, t), part) for part in range(2))
    human = draw_block(config, first, fresh, size, real=True)
    mean = human.location / np.sqrt(fresh)
    scatter = _product(human.factor, human.factor.swapaxes(0, 1))
    if old:
        block = published_block(config, second, t, old, size)
        factor = jnp.exp(state.log_scale)[:, None] * state.rows
        published = _product(factor, block.factor)
        apart = state.mean + _applied(state, block.location) / np.sqrt(old) - mean
        scatter = scatter + _product(published, published.swapaxes(0, 1))
        scatter = scatter + (fresh * old / n) * apart[:, None] * apart[None]
        mean = mean + old / n * apart
    factor, log_diagonal = cholesky(scatter, min(d, n - 1))
    return _times(mean, initial(config, size), factor, log_diagonal, 0.5 * np.log(divisor))


def _applied(state: MatrixState, z: Float[Array, "d R"]) -> Float[Array, "d R"]:
    """Compute L z."""
    return jnp.exp(state.log_scale) * jnp.sum(state.rows * z[None], axis=1)


def _times(
    mean: Float[Array, "d R"],
    state: MatrixState,
    factor: Float[Array, "d d R"],
    log_diagonal: Float[Array, "d R"],
    log_divisor: Any,
) -> MatrixState:
    """Make the model with factor L · ``factor`` / exp(log_divisor)."""
    rows = _product(state.rows, factor)
    length = jnp.sqrt(jnp.sum(rows * rows, axis=1))
    return MatrixState(
        mean,
        rows / jnp.where(length > 0, length, 1.0)[:, None],
        state.log_scale + jnp.log(length) - log_divisor,
        state.log_diagonal + log_diagonal - log_divisor,
    )


def _product(left: Float[Array, "d d R"], right: Float[Array, "d d R"]) -> Float[Array, "d d R"]:
    """Multiply matrices, lineages last."""
    d = len(left)
    if d <= _UNROLLED:
        return sum((left[:, k, None] * right[None, k] for k in range(d)), jnp.zeros(()))

    def term(k, total):
        return total + left[:, k, None] * right[None, k]

    return jax.lax.fori_loop(0, d, term, jnp.zeros_like(left))
