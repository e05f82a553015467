"""Matrix functions of the reduction: spectral radius, Stein equation.

Written for batches on few cores and on GPUs: both use matrix products only. Batched LAPACK calls
elsewhere in the package wait for each other. (XLA:CPU, jax 0.10.2, two cores: a program with
several *independent* batched LAPACK calls can wait for ever.)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# 2^36 powers: the condition number c of the dominant eigenvalue enters the spectral
# radius as log(c) / 2^36, below 1e-9 for every c that float64 can tell from infinity.
SQUARINGS = 36

STABILITY_MARGIN = 1e-9
"""Smallest distance of the spectral radius from one at which a limit is given.

The radius is known to about 1e-10: closer to one, a finite limit cannot be told from an infinite
one.
"""

_MAX_DOUBLINGS = 64


def rank_tolerance(dim: int) -> float:
    """Share of the largest eigenvalue of a Gram matrix below which eigenvalues are rounding."""
    return 10 * dim * float(jnp.finfo(jnp.float64).eps)


def rank_cutoff(eigenvalues: Float[Array, "*b d"]) -> Float[Array, "*b"]:
    """Return the largest eigenvalue times :func:`rank_tolerance`."""
    return rank_tolerance(eigenvalues.shape[-1]) * abs(eigenvalues).max(axis=-1)


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
    r"""Solve :math:`W = A W A^\top + N`, the discrete Lyapunov (Stein) equation, for W.

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
    """Return the Frobenius norm, with a zero (not NaN) gradient at zero."""
    squared = jnp.sum(x * x, axis=(-2, -1))
    return jnp.where(squared > 0, jnp.sqrt(_or_one(squared)), 0.0)


def _or_one(x: Array) -> Array:
    return jnp.where(x > 0, x, 1.0)
