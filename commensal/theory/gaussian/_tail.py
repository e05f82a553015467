"""Distance of one fit of n points from the truth: P(W >= δ), exact and by the paper's formula.

W = (μ - μ̂)² + (σ - σ̂)² is the squared Wasserstein-2 distance of N(μ̂, σ̂²) to N(μ, σ²), with the
unbiased variance, so that W/σ² = Z²/n + (s - 1)² for independent Z ~ N(0, 1) and
s = χ_{n-1}/√(n-1). Everything depends on n and x = δ/σ².
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from commensal._compiled import compiled
from commensal._precision import float64, is_concrete
from commensal.theory.gaussian._arguments import numbers, samples
from commensal.theory.gaussian._gamma import stirling_error

_FALL = 45.0  # e^-45 of the largest value is beneath rounding
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2


def w2_survival(delta: Any, n: Any, sigma: Any = 1.0) -> Any:
    r"""P(W >= δ) for the squared W₂ distance W of one unbiased fit of n points to the truth.

    .. math::
        P(W < δ) = E\left[1\{|s-1| < \sqrt{x}\}\,
        \Big(2Φ\big(\sqrt{n(x - (s-1)^2)}\big) - 1\Big)\right],
        \quad x = δ/σ^2,\; s = χ_{n-1}/\sqrt{n-1}

    Parameters
    ----------
    delta : float or array
        Threshold δ in squared units of the data; at or below 0 the answer is 1, at inf 0.
    n : int or array
        Points per fit, >= 2; broadcast against delta and sigma.
    sigma : float or array
        True standard deviation, > 0.

    Returns
    -------
    Float[Array, "..."]
        Probability. Float64, differentiable in ``delta`` and ``sigma``. The relative error is
        about 1e-12 down to 1e-300; below, use :func:`log_w2_survival`.

    Raises
    ------
    ValueError
        If n or sigma is out of range, or delta is NaN.

    Notes
    -----
    `pollination`, app. A.1, where W is approximated by :func:`w2_survival_approximation`. The
    integral is taken over θ with s = 1 + √x sin θ, which removes the square root at both ends;
    for δ > σ² it begins at s = 0. What lies outside
    :math:`\lvert s - 1 \rvert < \sqrt{x}` is added by itself.

    Examples
    --------
    >>> float(w2_survival(0.05, 100).round(6))
    0.040239
    """
    return _survival(*_ratio(delta, n, sigma))


def log_w2_survival(delta: Any, n: Any, sigma: Any = 1.0) -> Any:
    """Log of :func:`w2_survival`, accurate where that underflows and where it is nearly 1.

    Parameters
    ----------
    delta, n, sigma
        Threshold, points and true standard deviation, as for :func:`w2_survival`.

    Returns
    -------
    Float[Array, "..."]
        Logarithm of the probability. Float64, differentiable in ``delta`` and ``sigma``; relative
        error about 1e-12.

    Raises
    ------
    ValueError
        Under the conditions of :func:`w2_survival`.

    Examples
    --------
    >>> float(log_w2_survival(1.0, 10_000).round(2))
    -5004.48
    """
    return _log_survival(*_ratio(delta, n, sigma))


def w2_survival_approximation(delta: Any, n: Any, sigma: Any = 1.0) -> Any:
    r"""P(A >= δ) for the paper's stand-in :math:`A = (σ^2/n) X + (σ^2/2n) Y`, X, Y ~ χ²₁.

    Parameters
    ----------
    delta, n, sigma
        Threshold, points and true standard deviation, as for :func:`w2_survival`.

    Returns
    -------
    Float[Array, "..."]
        Probability, exact for A. Float64, differentiable in ``delta`` and ``sigma``.

    Raises
    ------
    ValueError
        Under the conditions of :func:`w2_survival`.

    Notes
    -----
    `pollination`, app. A.1. In polar coordinates of the two normals, with a = nδ/σ²,

    .. math::
        P(A \geq δ) = \frac{2\sqrt 2}{π}\, e^{-a/2}
        \int_0^{π/2} \frac{e^{-(a/2) \sin^2 ψ}}{1 + \sin^2 ψ}\, dψ .

    Examples
    --------
    >>> float(w2_survival_approximation(0.05, 100).round(6))
    0.040055
    """
    return _approximation(*_ratio(delta, n, sigma))


def best_of_survival(delta: Any, n: Any, population: Any, sigma: Any = 1.0) -> Any:
    """P(min W >= δ) for the best of K independent fits: P(W >= δ)^K.

    Parameters
    ----------
    delta, n, sigma
        Threshold, points and true standard deviation, as for :func:`w2_survival`.
    population : int or array
        Number of fits K, at least 1; broadcast against the rest.

    Returns
    -------
    Float[Array, "..."]
        Probability. Float64, differentiable in ``delta`` and ``sigma``; relative error about
        1e-12 times the log of the result.

    Raises
    ------
    ValueError
        If n, sigma or the population is out of range.

    Notes
    -----
    `pollination`, app. A.1, "Population-Based Analysis". K log P is taken from
    :func:`log_w2_survival`, and so is right for 10⁶ fits that each have a minute chance.

    Examples
    --------
    >>> float(best_of_survival(0.001, 100, 64).round(6))
    0.011257
    """
    size = np.asarray(population, dtype=np.float64)
    if not np.all((size >= 1) & (size == np.floor(size))):
        raise ValueError(f"population must be an integer >= 1, got {population}")
    return _power(*_ratio(delta, n, sigma), size)


def _ratio(delta: Any, n: Any, sigma: Any) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Return (delta, sigma) unchanged, n checked, and Stirling's remainder at (n-1)/2."""
    delta, sigma, n = numbers(delta), numbers(sigma), samples(n)
    if is_concrete(sigma):
        known = np.asarray(sigma)
        if not np.all((known > 0) & np.isfinite(known)):
            raise ValueError(f"sigma must be a standard deviation > 0, got {sigma}")
    if is_concrete(delta) and np.isnan(np.asarray(delta)).any():
        raise ValueError("delta must be a number, got nan")
    return delta, sigma, n, stirling_error((n - 1) / 2)


def times_inverse_square(delta: Any, sigma: Any) -> Any:
    """Return δ/σ², also where the square of σ alone overflows or underflows."""
    inverse = 1 / sigma
    return delta * inverse * inverse


def scaled(delta: Any, sigma: Any) -> tuple[Any, Any, Any]:
    """Return x = δ/σ² (1 unless finite and positive), where it is so, and where it is infinite.

    Where it is not, derivatives with respect to δ and σ are 0 and not NaN.
    """
    known = jax.lax.stop_gradient(times_inverse_square(delta, sigma))
    possible = (known > 0) & (known < jnp.inf)
    x = times_inverse_square(jnp.where(possible, delta, 1.0), jnp.where(possible, sigma, 1.0))
    return x, possible, known == jnp.inf


@float64
def _survival(delta: Any, sigma: Any, n: Any, remainder: Any) -> Any:
    return jnp.exp(_either_log(*_logs(delta, sigma, n, remainder)))


@float64
def _log_survival(delta: Any, sigma: Any, n: Any, remainder: Any) -> Any:
    return _either_log(*_logs(delta, sigma, n, remainder))


@float64
def _power(delta: Any, sigma: Any, n: Any, remainder: Any, size: Any) -> Any:
    return jnp.exp(size * _either_log(*_logs(delta, sigma, n, remainder)))


def _either_log(survival: Any, below: Any) -> Any:
    """Return log P, from 1 - P where P is nearly 1 and 1 - P the more accurate of the two."""
    near = below < 0.5
    return jnp.where(near, jnp.log1p(-jnp.where(near, below, 0.0)), survival)


# one compiled program, and one derivative, for all that is made of it
@partial(compiled, heavy=True)
def _logs(delta: Any, sigma: Any, n: Any, remainder: Any) -> tuple[Any, Any]:
    """Return (log P(W >= δ), P(W < δ))."""
    x, possible, beyond = scaled(delta, sigma)
    x, possible, beyond, n, remainder = jnp.broadcast_arrays(x, possible, beyond, n, remainder)
    x = x[..., None]
    root, n, k = jnp.sqrt(x), n[..., None], (n[..., None] - 1) / 2
    log_outer, log_inner, below = _parts(root, n, k, remainder[..., None])
    survival = jnp.logaddexp(log_outer, log_inner)
    return (
        jnp.where(possible, survival, jnp.where(beyond, -jnp.inf, 0.0)),
        jnp.where(possible, below, jnp.where(beyond, 1.0, 0.0)),
    )


def _log_density(s: Any, k: Any, remainder: Any) -> Any:
    """Log density of χ_{2k}/√(2k), without the cancellation of its normalising constant."""
    u = s - 1
    # (s²)^k e^(-k s²) over its value at s = 1, where all is of order 1
    shape = 2 * k * (jnp.log(s) - u - u * u / 2)
    return jnp.log(2.0) + jnp.log(k / (2 * jnp.pi)) / 2 - remainder + shape - jnp.log(s)


def _log_two_sided(z: Any) -> Any:
    """Return log P(|Z| >= z) for z >= 0; jax's log_ndtr is good to 1e-9 only beyond z = 20."""
    far = z > 20
    near_z, far_z = jnp.where(far, 1.0, z), jnp.where(far, z, 21.0)
    series, term = 1.0, 1.0
    for j in range(10):  # asymptotic, exact to rounding from z = 20 on
        term = -term * (2 * j + 1) / far_z**2
        series = series + term
    tail = jnp.log(series / far_z) - far_z**2 / 2 - jnp.log(2 * jnp.pi) / 2
    return jnp.log(2.0) + jnp.where(far, tail, jnp.log(ndtr(-near_z)))


def _arcsin_up_to_1(y: Any) -> Any:
    """Return arcsin(min(y, 1)) for y > 0, with derivative 0 instead of NaN from y = 1 on."""
    below = y < 1
    return jnp.where(below, jnp.arcsin(jnp.where(below, y, 0.5)), jnp.pi / 2)


def _parts(root: Any, n: Any, k: Any, remainder: Any) -> tuple[Any, Any, Any]:
    """Return the log mass of |s - 1| >= √x, that of the rest of W >= x, and P(W < x)."""

    def log_sum(values: Any, width: Any) -> Any:
        tiny = jnp.finfo(values.dtype).tiny
        terms = values + jnp.log(_WEIGHTS) + jnp.log(jnp.maximum(width, tiny))
        return jnp.where(width[..., 0] > 0, jax.nn.logsumexp(terms, axis=-1), -jnp.inf)

    def outer(edge: Any, sign: int) -> Any:
        # from the edge outwards: the log density falls at least as slope·d + k d²
        slope = jnp.abs((2 * k - 1) / edge - 2 * k * edge)
        width = jnp.minimum(jnp.sqrt(_FALL / k), _FALL / jnp.maximum(slope, 1e-12))
        width = width if sign > 0 else jnp.minimum(width, edge)
        return log_sum(_log_density(edge + sign * width * _NODES, k, remainder), width)

    inside = root < 1
    lower = outer(jnp.where(inside, 1 - root, 0.5), -1)
    log_outer = jnp.logaddexp(outer(1 + root, 1), jnp.where(inside[..., 0], lower, -jnp.inf))

    # s = 1 + √x sin θ; three panels, the middle one around the bulk of s
    bulk = jnp.sqrt(2 * _FALL / (2 * k + 1))
    first = -_arcsin_up_to_1(1 / root)
    middle = _arcsin_up_to_1(bulk / root)
    edges = jnp.stack(
        [first, jnp.maximum(first, -middle), middle, jnp.full_like(middle, jnp.pi / 2)], axis=-2
    )
    left, width = edges[..., :-1, :], edges[..., 1:, :] - edges[..., :-1, :]
    root, n, k, remainder = (v[..., None] for v in (root, n, k, remainder))
    theta = left + width * _NODES
    # where s or cos θ is 0 up to rounding, its log would not be finite
    s = jnp.maximum(1 + root * jnp.sin(theta), 1e-300)
    cosine = jnp.maximum(jnp.cos(theta), 1e-300)
    z = root * jnp.sqrt(n) * cosine
    density = _log_density(s, k, remainder) + jnp.log(root * cosine)
    log_inner = jax.nn.logsumexp(log_sum(density + _log_two_sided(z), width), axis=-1)
    inner = jnp.exp(density) * jax.scipy.special.erf(z / jnp.sqrt(2.0))
    below = (width * _WEIGHTS * inner).sum(axis=(-1, -2))
    return log_outer, log_inner, below


@float64
@partial(compiled, heavy=True)
def _approximation(delta: Any, sigma: Any, n: Any, remainder: Any) -> Any:
    del remainder
    x, possible, beyond = scaled(delta, sigma)
    a = (n * x)[..., None]
    # no further than where the exponential counts
    inside = a > 2 * _FALL
    end = jnp.arcsin(jnp.sqrt(jnp.where(inside, 2 * _FALL / jnp.where(inside, a, 1.0), 1.0)))
    sine = jnp.sin(end * _NODES) ** 2
    integral = (end * _WEIGHTS * jnp.exp(-a / 2 * sine) / (1 + sine)).sum(axis=-1)
    value = 2 * jnp.sqrt(2.0) / jnp.pi * jnp.exp(-a[..., 0] / 2) * integral
    return jnp.where(possible, value, jnp.where(beyond, 0.0, 1.0))
