r"""Draw normal and chi-square variables in bulk: exact in law, without rejection or branches.

*Normals* come in pairs by the transform of Box and Muller (1958), from all the bits of one
threefry block (float32) or two (float64): one logarithm and one square root for two normals,
where ``jax.random.normal`` takes a logarithm and the inverse error function, in two branches, for
each, and in float32 throws half the generator's bits away.

*Chi-square* at a fixed number of degrees of freedom is a smooth increasing function of one
standard normal, :math:`\log χ^2_ν = \log F_ν^{-1}(Φ(z))`. The function is tabulated on the host
as a Chebyshev polynomial in z: the more degrees of freedom the fewer terms (float32: 51 at ν = 2,
9 at ν = 99, 5 at ν = 10⁴), since log χ² is more and more normal. ``jax.random.chisquare`` loops
until every lane of a batch has been accepted.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.special
from jaxtyping import Array, Float, UInt32

from commensal.sims._threefry import Key, bits

# |z| of a pair is at most √(-2 log of the smallest uniform): 2⁻³³ in float32, 2⁻⁵³ in float64
LARGEST_NORMAL = {"float32": 6.7638, "float64": 8.5719}
# where the chi-square transform is tabulated; beyond, z is taken for the end point
_RANGE = {"float32": 7.0, "float64": 9.0}
_NODES = 256  # enough for ν = 1, where 122 terms are needed


def normal_pairs(key: Key, shape: tuple[int, ...], dtype: Any) -> Float[Array, "2 *n"]:
    """Draw independent standard normals, two by two. To be called where 64-bit is on.

    Parameters
    ----------
    key : PRNGKeyArray or its two words
        One threefry key.
    shape : tuple of int
        Shape of either half.
    dtype : {"float32", "float64"}
        Float32: from 32 random bits each, and never beyond 6.77, where the law has 1.4e-11 of
        its mass. Float64: from 52 bits, never beyond 8.58 (1e-17). Neither is ever zero.

    Returns
    -------
    Float[Array, "2 *shape"]
    """
    return normals(key, 2, int(np.prod(shape)), dtype).reshape(2, *shape)


def normals(key: Key, rows: int, size: int, dtype: Any) -> Float[Array, "rows size"]:
    """Draw independent standard normals; column c depends on ``key``, ``rows`` and c alone.

    So fewer columns are the first ones of more. Otherwise as :func:`normal_pairs`.
    """
    halves = normal_halves(key, (rows + 1) // 2, size, dtype)
    # joined only when computed: a kernel that asks for each number which half it is of is not
    # vectorised, and ten times slower
    first, second = jax.lax.optimization_barrier(halves)
    return jnp.concatenate([first, second])[:rows]


def normal_halves(
    key: Key, rows: int, size: int, dtype: Any
) -> tuple[Float[Array, "rows size"], Float[Array, "rows size"]]:
    """Draw two independent arrays as :func:`normals` does, for kernels that use one by itself."""
    row = np.arange(rows)
    first = bits(key, size, row)
    if np.dtype(dtype) == np.float32:
        return _pair_float32(*first)
    return _pair_float64(first, bits(key, size, row + rows))


def _pair_float32(first: UInt32[Array, "*n"], second: UInt32[Array, "*n"]) -> tuple[Array, Array]:
    # the conversion keeps the leading 24 bits, so the tail is as fine as 2⁻³³; not one, because
    # that would give two zeros
    uniform = first.astype(jnp.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
    uniform = jnp.minimum(uniform, np.float32(1 - 2.0**-24))
    signed = jax.lax.bitcast_convert_type(second, jnp.int32)
    steps = (signed >> 2).astype(jnp.float32) + np.float32(0.5)
    return _box_muller(uniform, steps * np.float32(np.pi / 4 * 2.0**-29), second)


def _pair_float64(
    first: tuple[UInt32[Array, "*n"], UInt32[Array, "*n"]],
    second: tuple[UInt32[Array, "*n"], UInt32[Array, "*n"]],
) -> tuple[Array, Array]:
    # the leading 32 bits and 20 more, and a half: conversions of 32 bits are vectorised
    above = first[0].astype(jnp.float64) + (first[1] >> 12).astype(jnp.float64) * 2.0**-20
    uniform = above * 2.0**-32 + 2.0**-53
    signed = jax.lax.bitcast_convert_type(second[0], jnp.int32).astype(jnp.float64)
    steps = signed + (second[1] >> 12).astype(jnp.float64) * 2.0**-20 + 2.0**-21
    return _box_muller(uniform, steps * (np.pi / 4 * 2.0**-31), second[1])


def _box_muller(
    uniform: Float[Array, "*n"], angle: Float[Array, "*n"], spare: Array
) -> tuple[Array, Array]:
    radius = jnp.sqrt(-2 * jnp.log(uniform))
    # a point of the quarter circle around (1, 0), then one of four quarters by two bits: no
    # range reduction, which is most of what a library's sine does
    sine, cosine = _sine_cosine(angle)
    swap, flip = (spare & 1) == 1, (spare & 2) == 2
    cosine = jnp.where(flip, -cosine, cosine)
    return radius * jnp.where(swap, sine, cosine), radius * jnp.where(swap, cosine, sine)


def _sine_cosine(angle: Float[Array, "*n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
    """Compute sine and cosine on [-π/4, π/4], to rounding."""
    # Taylor: at π/4 the first term left out is below a quarter of a unit in the last place
    terms = 5 if angle.dtype == jnp.float32 else 9
    square = angle * angle
    factorials = np.cumprod([1.0, *range(1, 2 * terms + 1)])
    signs = (-1.0) ** np.arange(terms)
    sine = _horner(square, signs / factorials[1 : 2 * terms : 2]) * angle
    cosine = _horner(square, signs / factorials[0 : 2 * terms - 1 : 2])
    return sine, cosine


def _horner(x: Float[Array, "*n"], ascending: np.ndarray) -> Float[Array, "*n"]:
    total = jnp.full_like(x, ascending[-1])
    for c in ascending[-2::-1]:
        total = total * x + jnp.asarray(c, x.dtype)
    return total


class ChiSquare(NamedTuple):
    """Chi-square variables as a function of standard normals, for fixed degrees of freedom.

    Made by :func:`chi_square`; constants of a compiled program.

    Attributes
    ----------
    df : Float[np.ndarray, "*v"]
        Degrees of freedom ν.
    coefficients : Float[np.ndarray, "terms *v"]
        Coefficients of log(χ²/ν) in Chebyshev polynomials of z / limit.
    limit : float
        |z| up to which the table reaches.
    """

    df: Float[np.ndarray, "*v"]
    coefficients: Float[np.ndarray, "terms *v"]
    limit: float

    def log_ratio(self, z: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """Compute log(χ²_ν / ν) at the quantile where a standard normal has ``z``.

        ``df`` must broadcast to the shape of ``z``: give it trailing axes of length one where
        replicates come last.
        """
        if self.df.size == 1 and float(self.df.reshape(-1)[0]) == 1.0:
            # exact and cheap; of |z|, not of the quantile: as good for a draw
            tiny = jnp.asarray(1e-18, z.dtype)
            return 2 * jnp.log(jnp.maximum(jnp.abs(z), tiny))
        coefficients = jnp.asarray(self.coefficients, z.dtype)
        x = jnp.clip(z * (1 / self.limit), -1, 1)
        if len(coefficients) == 1:
            return jnp.broadcast_to(coefficients[0], z.shape)
        twice = 2 * x
        after, last = coefficients[-1], jnp.zeros((), z.dtype)
        for c in coefficients[-2:0:-1]:
            after, last = c + twice * after - last, after
        return coefficients[0] + x * after - last

    def log(self, z: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """Compute log χ²_ν at the quantile where a standard normal has ``z``."""
        return self.log_ratio(z) + jnp.asarray(np.log(self.df), z.dtype)


def chi_square(df: Any, dtype: Any = "float64") -> ChiSquare:
    """Make the transform from a standard normal to log χ² for these degrees of freedom.

    Parameters
    ----------
    df : number or array of numbers
        Degrees of freedom ν ≥ 1, up to 10⁶ at least.
    dtype : {"float32", "float64"}
        Precision that it must have; it must reach |z| ≤ 7 or 9.

    Returns
    -------
    ChiSquare

    Raises
    ------
    ValueError
        If a number of degrees of freedom is below 1.
    """
    df = np.asarray(df, dtype=float)
    if not np.all((df >= 1) & np.isfinite(df)):
        raise ValueError(f"df must be at least 1, got {df.min():g}")
    name = np.dtype(dtype).name
    tables = [_table(float(v), name) for v in df.reshape(-1)]
    coefficients = np.zeros((max(map(len, tables)), df.size))
    for column, table in enumerate(tables):
        coefficients[: len(table), column] = table
    return ChiSquare(df, coefficients.reshape(-1, *df.shape), _RANGE[name])


@functools.lru_cache(maxsize=4096)
def _table(df: float, dtype: str) -> tuple[float, ...]:
    """Compute Chebyshev coefficients of log(χ²/ν), as many as the dtype can use."""
    nodes = np.cos((np.arange(_NODES) + 0.5) * np.pi / _NODES)
    c = np.asarray(scipy.fft.dct(_log_quantile(_RANGE[dtype] * nodes, df))) / _NODES
    c[0] /= 2
    # What the last coefficients have is the rounding of scipy's quantiles. In float32, rounding
    # of the terms themselves, which shrink with the variable's spread.
    wanted = 2e-15 if dtype == "float64" else 2e-8 * np.sqrt(2 / df)
    threshold = max(wanted, 4 * np.abs(c[-_NODES // 8 :]).max())
    return tuple(c[: np.flatnonzero(np.abs(c) > threshold)[-1] + 1].tolist())


def _log_quantile(z: np.ndarray, df: float) -> np.ndarray:
    # from the nearer tail, so that neither probability rounds to one
    below = scipy.special.gammaincinv(df / 2, scipy.special.ndtr(np.minimum(z, 0)))
    above = scipy.special.gammainccinv(df / 2, scipy.special.ndtr(-np.maximum(z, 0)))
    return np.log(np.where(z < 0, below, above) / (df / 2))
