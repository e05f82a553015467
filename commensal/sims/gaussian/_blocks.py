"""Sufficient statistics of n fresh points, drawn from their law or computed from points.

A block is described in units of the model that publishes it: mean 0, covariance I. Rows of a
block come first and lineages last, so that no array is transposed on the way and every step is
one elementwise kernel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal.sims._threefry import Key
from commensal.sims.gaussian._config import GaussianConfig
from commensal.sims.gaussian._draws import chi_square, normal_halves, normals


class Block(NamedTuple):
    """Mean and scatter of n points of one coordinate, in units of their source."""

    location: Float[Array, "R"]  # √n times their mean
    log_ratio: Float[Array, "R"]  # log of scatter / (n - 1); -inf at n = 1


class MatrixBlock(NamedTuple):
    """Mean and scatter of n points of d coordinates, in units of their source."""

    location: Float[Array, "d R"]  # √n times their mean
    factor: Float[Array, "d d R"]  # lower triangular, factor · factorᵀ = scatter
    log_diagonal: Float[Array, "d R"]  # log of its diagonal; -inf where n ≤ d


def draw_block(config: GaussianConfig, key: Key, n: int, size: int, *, real: bool) -> Any:
    """Draw ``n`` points for each of ``size`` lineages, of the truth or of a model, as a block."""
    if config.resolved_method == "samples":
        points = draw_points(config, config.truth if real else "gaussian", key, n, size)
        return fit(points[:, 0]) if config.dim == 1 else fit_matrix(points)
    return (_matrix_law if config.dim > 1 else _law)(config, key, n, size)


def published_block(config: GaussianConfig, key: Key, t: Any, n: int, size: int) -> Any:
    """Draw what model t - 1 publishes; model 0 is the truth, whose points may not be Gaussian."""
    if config.truth == "gaussian":  # then real points differ from others in nothing
        return draw_block(config, key, n, size, real=False)
    return jax.lax.cond(
        t == 1,
        lambda: draw_block(config, key, n, size, real=True),
        lambda: draw_block(config, key, n, size, real=False),
    )


def _law(config: GaussianConfig, key: Key, n: int, size: int) -> Block:
    """Draw a block from its exact law: √n x̄ ~ N(0, 1) and scatter ~ χ²_{n-1}, independent."""
    if n == 1:
        location = normals(key, 1, size, config.dtype)[0]
        return Block(location, jnp.full(size, -jnp.inf, config.dtype))
    location, other = normal_halves(key, 1, size, config.dtype)
    return Block(location[0], chi_square(n - 1, config.dtype).log_ratio(other[0]))


def _matrix_law(config: GaussianConfig, key: Key, n: int, size: int) -> MatrixBlock:
    """Draw a scatter ~ Wishart(n - 1, I) by Bartlett's decomposition, also where it is singular."""
    d, dtype = config.dim, config.dtype
    rank = min(d, n - 1)
    below = np.tril_indices(d, -1)
    position = np.zeros((d, d), dtype=int)
    position[below] = np.arange(len(below[0]))
    # at n ≤ d the first n - 1 columns are as ever, and there are no others
    mask = np.tril(np.ones((d, d)), -1) * (np.arange(d) < rank)
    z = normals(key, len(below[0]) + 2 * d, size, dtype).astype(jnp.float64)
    location, entries = z[:d], z[2 * d :]
    log_diagonal = jnp.full((d, size), -jnp.inf)
    if rank:
        chi = chi_square((n - 1.0 - np.arange(rank))[:, None], dtype)
        half = 0.5 * chi.log(z[d : d + rank].astype(dtype)).astype(jnp.float64)
        log_diagonal = log_diagonal.at[:rank].set(half)
    factor = jnp.where(mask[..., None] > 0, entries[position], 0.0)
    factor = factor + jnp.exp(log_diagonal)[:, None] * jnp.eye(d)[..., None]
    return MatrixBlock(location, factor, log_diagonal)


def draw_points(
    config: GaussianConfig, law: str, key: Key, n: int, size: int
) -> Float[Array, "n d R"]:
    """Draw points with mean 0 and variance 1 in every coordinate.

    From float64 normals whatever ``config.dtype``: of float32 ones two are equal once in some
    10⁸, and two equal points have no log variance.
    """
    d = config.dim
    if law == "student_t":
        df = config.student_df
        z, other = normals(key, 2 * n * d, size, "float64").reshape(2, n, d, size)
        standardise = np.sqrt((df - 2) / df)  # its variance is df / (df - 2)
        points = z * jnp.exp(-0.5 * chi_square(df).log_ratio(other)) * standardise
    elif law == "gaussian":
        points = normals(key, n * d, size, "float64").reshape(n, d, size)
    else:
        # by quantiles of the same normals: as many bits in the tails as these have
        z = normals(key, n * d, size, "float64").reshape(n, d, size)
        log_upper = jax.scipy.stats.norm.logcdf(-jnp.abs(z))  # at most log ½
        if law == "laplace":
            points = -jnp.sign(z) * (log_upper + jnp.log(2.0)) / jnp.sqrt(2.0)
        elif law == "exponential":
            points = -jnp.where(z > 0, log_upper, jnp.log1p(-jnp.exp(log_upper))) - 1
        else:  # uniform
            points = jnp.sqrt(3.0) * jnp.sign(z) * (1 - 2 * jnp.exp(log_upper))
    return points.astype(jnp.float64)


def fit(points: Float[Array, "n R"]) -> Block:
    """Reduce points of one coordinate to their mean and scatter."""
    n = len(points)
    mean = jnp.mean(points, axis=0)
    scatter = jnp.sum((points - mean) ** 2, axis=0)
    log_ratio = jnp.log(scatter / (n - 1)) if n > 1 else jnp.full(mean.shape, -jnp.inf)
    return Block(np.sqrt(n) * mean, log_ratio)


def fit_matrix(points: Float[Array, "n d R"]) -> MatrixBlock:
    """Reduce points of d coordinates to their mean and scatter."""
    n, d, _ = points.shape
    mean = jnp.mean(points, axis=0)
    centred = points - mean
    # one point after another: the products of all of them at once would not fit the cache
    scatter = jax.lax.fori_loop(
        0,
        n,
        lambda i, total: total + centred[i][:, None] * centred[i][None],
        jnp.zeros((d, *mean.shape)),
    )
    factor, log_diagonal = cholesky(scatter, min(d, n - 1))
    return MatrixBlock(np.sqrt(n) * mean, factor, log_diagonal)


def cholesky(
    matrix: Float[Array, "d d R"], rank: int
) -> tuple[Float[Array, "d d R"], Float[Array, "d R"]]:
    """Factor positive semidefinite matrices, lineages last; return L and its log diagonal.

    Columns from ``rank`` on are zero: the first ``rank`` leading minors must be positive. By
    columns, without LAPACK, whose batched calls would each transpose their batch, and can wait
    for one another for ever on a CPU.
    """
    d = matrix.shape[0]
    rows = jnp.arange(d)[:, None]

    def column(j, state):
        rest, factor, log_diagonal = state
        pivot = jax.lax.dynamic_index_in_dim(rest[j], j, keepdims=False)
        # log of rounding's negative zero would be NaN
        pivot = jnp.maximum(pivot, 0.0)
        new = jnp.where(rows >= j, rest[:, j], 0.0) * jnp.where(
            pivot > 0, jax.lax.rsqrt(jnp.where(pivot > 0, pivot, 1.0)), 0.0
        )
        rest = rest - new[:, None] * new[None]
        return rest, factor.at[:, j].set(new), log_diagonal.at[j].set(0.5 * jnp.log(pivot))

    start = (matrix, jnp.zeros_like(matrix), jnp.full(matrix.shape[1:], -jnp.inf))
    _, factor, log_diagonal = jax.lax.fori_loop(0, rank, column, start)
    return factor, log_diagonal
