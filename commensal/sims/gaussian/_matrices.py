r"""Lineages of d coordinates: what one generation does to (mean, factor of the covariance).

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
from commensal.sims.gaussian._blocks import MatrixBlock, block_source, cholesky
from commensal.sims.gaussian._config import Config
from commensal.sims.gaussian._lineages import Step

_UNROLLED = 16  # dimensions up to which a product is one fused kernel


class MatrixState(NamedTuple):
    """A model per lineage, in units of the truth's σ; L = exp(log_scale) · rows."""

    mean: Float[Array, "d R"]
    rows: Float[Array, "d d R"]  # of length one, or zero
    log_scale: Float[Array, "d R"]
    log_diagonal: Float[Array, "d R"]  # of L


def initial(config: Config, size: int) -> MatrixState:
    """The truth."""
    d = config.dim
    eye = jnp.broadcast_to(jnp.eye(d)[..., None], (d, d, size))
    zero = jnp.zeros((d, size))
    return MatrixState(zero, eye, zero, zero)


def step(config: Config, size: int) -> Step:
    """(key, t, model t - 1) -> model t, for t ≥ 1."""
    n, fresh = config.samples, config.human_samples
    if fresh:
        return _with_human(config, size)
    after = replaced if config.workflow == "replace" else _accumulated
    of_model, of_truth = (block_source(config, n, real=real) for real in (False, True))

    def generation(key: Key, t: Any, state: MatrixState) -> MatrixState:
        key = fold_in(key, t)
        if config.truth == "gaussian":
            block = of_model(key, size)
        else:
            block = jax.lax.cond(t == 1, lambda: of_truth(key, size), lambda: of_model(key, size))
        return after(config, t, state, block)

    return generation


def replaced(config: Config, t: Any, state: MatrixState, block: MatrixBlock) -> MatrixState:
    n = config.samples
    divisor = n - 1 if config.estimator == "unbiased" else n
    mean = state.mean + _applied(state, block.location) / np.sqrt(n)
    return _times(mean, state, block.factor, block.log_diagonal, 0.5 * np.log(divisor))


def _accumulated(config: Config, t: Any, state: MatrixState, block: MatrixBlock) -> MatrixState:
    """As for one coordinate: in units of the model, the pool's scatter is c_{t-1} I."""
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


def _with_human(config: Config, size: int) -> Step:
    """Blocks of the truth and of the model, merged."""
    n, d, fresh = config.samples, config.dim, config.human_samples
    old = n - fresh
    divisor = n - 1 if config.estimator == "unbiased" else n
    of_truth = block_source(config, fresh, real=True)
    sources = [block_source(config, old, real=real) for real in (False, True)] if old else None

    def generation(key: Key, t: Any, state: MatrixState) -> MatrixState:
        first, second = (fold_in(fold_in(key, t), part) for part in range(2))
        human = of_truth(first, size)
        mean = human.location / np.sqrt(fresh)
        scatter = _product(human.factor, human.factor.swapaxes(0, 1))
        if sources is not None:
            of_model, of_truth_old = sources
            if config.truth == "gaussian":
                block = of_model(second, size)
            else:
                block = jax.lax.cond(
                    t == 1, lambda: of_truth_old(second, size), lambda: of_model(second, size)
                )
            factor = jnp.exp(state.log_scale)[:, None] * state.rows
            published = _product(factor, block.factor)
            apart = state.mean + _applied(state, block.location) / np.sqrt(old) - mean
            scatter = scatter + _product(published, published.swapaxes(0, 1))
            scatter = scatter + (fresh * old / n) * apart[:, None] * apart[None]
            mean = mean + old / n * apart
        factor, log_diagonal = cholesky(scatter, min(d, n - 1))
        whole = initial(config, size)
        return _times(mean, whole, factor, log_diagonal, 0.5 * np.log(divisor))

    return generation


def _applied(state: MatrixState, z: Float[Array, "d R"]) -> Float[Array, "d R"]:
    """L z."""
    return jnp.exp(state.log_scale) * jnp.sum(state.rows * z[None], axis=1)


def _times(
    mean: Float[Array, "d R"],
    state: MatrixState,
    factor: Float[Array, "d d R"],
    log_diagonal: Float[Array, "d R"],
    log_divisor: Any,
) -> MatrixState:
    """The model with factor L · ``factor`` / exp(log_divisor)."""
    rows = _product(state.rows, factor)
    length = jnp.sqrt(jnp.sum(rows * rows, axis=1))
    return MatrixState(
        mean,
        rows / jnp.where(length > 0, length, 1.0)[:, None],
        state.log_scale + jnp.log(length) - log_divisor,
        state.log_diagonal + log_diagonal - log_divisor,
    )


def _product(left: Float[Array, "d d R"], right: Float[Array, "d d R"]) -> Float[Array, "d d R"]:
    """Matrix products, lineages last."""
    d = len(left)
    if d <= _UNROLLED:
        return sum((left[:, k, None] * right[None, k] for k in range(d)), jnp.zeros(()))

    def term(k, total):
        return total + left[:, k, None] * right[None, k]

    return jax.lax.fori_loop(0, d, term, jnp.zeros_like(left))
