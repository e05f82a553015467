"""Matrix functions of the reduction: pseudo-inverse, spectral radius, Stein equation.

Written for batches on few cores and on GPUs: the spectral radius and the Stein
equation use matrix products only, and every public function of the package makes one
batched LAPACK call whose results feed everything after it. (XLA:CPU, jax 0.10.2, two
cores: a program with several *independent* batched LAPACK calls can wait for ever.)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# 2^36 powers: the condition number c of the dominant eigenvalue enters the spectral
# radius as log(c) / 2^36, below 1e-9 for every c that float64 can tell from infinity.
SQUARINGS = 36

# The spectral radius is known to about 1e-10; closer to one than this, a finite limit
# cannot be told from an infinite one and is not given.
STABILITY_MARGIN = 1e-9

_MAX_DOUBLINGS = 64


def rank_tolerance(dim: int) -> float:
    """Eigenvalues of a Gram matrix below this share of the largest are rounding, not signal."""
    return 10 * dim * float(jnp.finfo(jnp.float64).eps)


def rank_cutoff(eigenvalues: Float[Array, "*b d"]) -> Float[Array, "*b"]:
    """The largest eigenvalue times :func:`rank_tolerance`."""
    return rank_tolerance(eigenvalues.shape[-1]) * abs(eigenvalues).max(axis=-1)


@jax.custom_jvp
def _pinv_and_rank(
    gram: Float[Array, "*b d d"],
) -> tuple[Float[Array, "*b d d"], Float[Array, "*b"]]:
    eigenvalues, vectors = jnp.linalg.eigh(gram, symmetrize_input=True)
    keep = eigenvalues > rank_cutoff(eigenvalues)[..., None]
    inverse = jnp.where(keep, 1 / jnp.where(keep, eigenvalues, 1), 0)
    return (vectors * inverse[..., None, :]) @ vectors.mT, keep.sum(axis=-1).astype(gram.dtype)


@_pinv_and_rank.defjvp
def _pinv_and_rank_jvp(primals, tangents):
    (gram,), (dgram,) = primals, tangents
    pinv, rank = _pinv_and_rank(gram)
    # Golub and Pereyra's derivative at constant rank; unlike eigh's it has no poles
    # at repeated eigenvalues.
    off_range = jnp.eye(gram.shape[-1], dtype=gram.dtype) - pinv @ gram
    outward = pinv @ pinv @ dgram @ off_range.mT
    return (pinv, rank), (-pinv @ dgram @ pinv + outward + outward.mT, jnp.zeros_like(rank))


def pinv_and_rank(
    gram: Float[Array, "*b d d"],
) -> tuple[Float[Array, "*b d d"], Float[Array, "*b"]]:
    """Pseudo-inverse and rank (as a float) of positive semidefinite matrices.

    Differentiable where the rank does not change.
    """
    return _pinv_and_rank(gram)


def spectral_radius(matrix: Float[Array, "*b d d"]) -> Float[Array, "*b"]:
    r"""Largest modulus of an eigenvalue, :math:`\lim \lVert A^n \rVert^{1/n}` (Gelfand).

    By :data:`SQUARINGS` normalised squarings, so n = 2^36. Differentiable where the
    dominant eigenvalue is simple.
    """
    scale = _norm(matrix)
    unit = matrix / _or_one(scale)[..., None, None]

    def square(carry, _):
        power, log_scale, weight, nilpotent = carry
        power = power @ power
        norm = _norm(power)
        nilpotent = nilpotent | (norm == 0)
        power = power / _or_one(norm)[..., None, None]
        weight = weight / 2
        return (power, log_scale + weight * jnp.log(_or_one(norm)), weight, nilpotent), None

    start = (unit, jnp.log(_or_one(scale)), jnp.ones((), matrix.dtype), scale == 0)
    (_, log_radius, _, nilpotent), _ = jax.lax.scan(square, start, length=SQUARINGS)
    return jnp.where(nilpotent, 0.0, jnp.exp(log_radius))


def solve_stein(matrix: Float[Array, "d d"], source: Float[Array, "d d"]) -> Float[Array, "d d"]:
    r"""W with :math:`W = A W A^\top + N`: the discrete Lyapunov (Stein) equation.

    Meaningful only where the spectral radius of A is below one. Squared Smith
    iteration: m doublings sum 2^m terms of the Neumann series. Differentiable in both modes by
    the implicit function theorem, at the cost of one more solve.
    """

    def residual(w):
        return w - matrix @ w @ matrix.T

    def solve(_, n):
        return _double(matrix, n)

    def solve_transpose(_, n):
        return _double(matrix.T, n)

    return jax.lax.custom_linear_solve(residual, source, solve, solve_transpose)


def _double(matrix: Float[Array, "d d"], source: Float[Array, "d d"]) -> Float[Array, "d d"]:
    def unfinished(carry) -> Bool[Array, ""]:
        _, _, step, done = carry
        return (~done) & (step < _MAX_DOUBLINGS)

    def double(carry):
        power, total, step, _ = carry
        increment = power @ total @ power.T
        after = total + increment
        # Increments shrink quadratically once they shrink: below one rounding of the
        # total nothing that follows can be seen. A divergent sum ends at infinity.
        done = _norm(increment) <= jnp.finfo(total.dtype).eps * _norm(after)
        return power @ power, after, step + 1, done | ~jnp.isfinite(_norm(after))

    start = (matrix, source, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    return jax.lax.while_loop(unfinished, double, start)[1]


def _norm(x: Float[Array, "*b d d"]) -> Float[Array, "*b"]:
    """Frobenius norm, with a zero (not NaN) gradient at zero."""
    squared = jnp.sum(x * x, axis=(-2, -1))
    return jnp.where(squared > 0, jnp.sqrt(_or_one(squared)), 0.0)


def _or_one(x: Array) -> Array:
    return jnp.where(x > 0, x, 1.0)
