"""Bounds on P(W >= δ): the paper's, which bounds an approximation, and two rigorous ones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from commensal._compiled import compiled
from commensal._precision import float64
from commensal.theory.gaussian._arguments import check_choice, samples
from commensal.theory.gaussian._gamma import log_half_step, stirling_error
from commensal.theory.gaussian._tail import _ratio, scaled, times_inverse_square

TIGHT = 2 * np.sqrt(2 / 3)
PRINTED = 2 * np.exp(0.5)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_CONSTANTS = {"tight": TIGHT, "printed": PRINTED}


def chernoff_bound(delta: Any, n: Any, sigma: Any = 1.0, constant: str = "tight") -> Any:
    r"""The paper's Chernoff bound on the tail of its approximation to W.

    Parameters
    ----------
    delta, n, sigma
        Threshold, points and true standard deviation, as for :func:`w2_survival`.
    constant : {"tight", "printed", "optimal"}
        Constant of the bound. ``tight``: :math:`2\sqrt{2/3}\,e^{-nδ/4σ^2}`, the product of the two
        moment generating functions at the paper's t = n/(4σ²). ``printed``: :math:`2
        e^{1/2}\,e^{-nδ/4σ^2}`. ``optimal``: at the t that gives the smallest bound; 1 for nδ <=
        3σ²/2, the mean.

    Returns
    -------
    Float[Array, "..."]
        Bound on the probability. With ``tight`` and ``printed`` it exceeds 1, and then says
        nothing, for small δ. Float64, differentiable in ``delta`` and ``sigma``.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    `pollination`, app. A.1. All three are proved for :math:`A = (σ^2/n)X + (σ^2/2n)Y`. For W
    itself ``printed`` is a theorem all the same (see :func:`w2_bound`). ``tight`` is exceeded
    nowhere that :func:`tail_table` was tried (n from 2 to 10⁴, P > 1e-300). ``optimal`` fails
    far out for small n, where the tail of W is that of s, exp(-(n-1)δ/2σ²), and no longer that of
    the mean, exp(-nδ/2σ²): from δ = 17.2 σ² on at n = 2, 27.5 at 3, 42 at 4, 62 at 5, 88 at 6.

    With a = nδ/σ² and τ = σ²t/n the optimum solves 2aτ² + (2-3a)τ + a - 3/2 = 0, so
    τ = (3a - 2 - √(a²+4))/(4a).

    Examples
    --------
    >>> [round(float(chernoff_bound(0.1, 100, 1.0, c)), 5) for c in ("printed", "tight", "optimal")]
    [0.27067, 0.13404, 0.04727]
    """
    check_choice("constant", constant, (*_CONSTANTS, "optimal"))
    delta, sigma, n, _ = _ratio(delta, n, sigma)
    if constant == "optimal":
        return _optimal(delta, sigma, n)
    return _exponential(delta, sigma, n, np.asarray(_CONSTANTS[constant]))


def w2_bound(delta: Any, n: Any, sigma: Any = 1.0) -> Any:
    r"""A rigorous bound on P(W >= δ), valid for W itself and every n >= 2.

    The smaller of two. By Chernoff at the paper's t = n/(4σ²), but with W's own moment generating
    function,

    .. math::
        P(W \geq δ) \leq C_n\, e^{-nδ/4σ^2}, \quad
        C_n = \sqrt 2\; E\, e^{n(s-1)^2/4}, \quad C_2 = 2\sqrt{e/π} = 1.860,\;
        C_n \downarrow 2\sqrt{2/3};

    by concentration, for :math:`\sqrt{δ}/σ \geq m_n = \sqrt{1/n + 2(1 - c_4(n))}`,

    .. math::
        P(W \geq δ) \leq \exp\!\Big(-\frac{n-1}{2} \big(\sqrt δ/σ - m_n\big)^2\Big).

    Parameters
    ----------
    delta, n, sigma
        Threshold, points and true standard deviation, as for :func:`w2_survival`.

    Returns
    -------
    Float[Array, "..."]
        Bound on the probability, at most 1. Float64, differentiable in ``delta`` and ``sigma`` but
        at the kinks.

    Raises
    ------
    ValueError
        If n or sigma is out of range.

    Notes
    -----
    New here. *First:* Markov's inequality for exp(nW/4σ²); Z and s are independent, and
    E exp(Z²/4) = √2. C_n is computed by quadrature; that it falls with n is checked numerically
    and not proved, but only its value at the given n is used. At n = 2 the integral is elementary.
    *Second:* √W/σ is the distance of (Z/√n, ‖g‖/√(n-1)) from (0, 1), g standard normal in n-1
    dimensions, hence a (n-1)^{-1/2}-Lipschitz function of n independent standard normals: it
    exceeds its mean by r with probability at most exp(-(n-1)r²/2) (Tsirelson, Ibragimov and
    Sudakov), and its mean is at most (E W/σ²)^{1/2} = m_n.

    For C_n <= 2e^{1/2} = 3.297 the paper's printed bound is a theorem for W, though its proof
    is for an approximation: the generous constant pays for it.

    References
    ----------
    Boucheron, Lugosi and Massart (2013), *Concentration Inequalities*, Theorem 5.6.

    Examples
    --------
    >>> float(w2_bound(0.2, 100).round(9)), float(chernoff_bound(0.2, 100).round(9))
    (0.005438395, 0.011003021)
    """
    delta, sigma, n, _ = _ratio(delta, n, sigma)
    mean = 1 / n - 2 * np.expm1(log_half_step((n - 1) / 2))
    return _rigorous(delta, sigma, n, chernoff_constant(n), np.sqrt(mean))


def chernoff_constant(n: Any) -> Any:
    r"""The constant :math:`C_n = \sqrt 2\,E\,e^{n(s-1)^2/4}` of :func:`w2_bound`.

    Parameters
    ----------
    n : int or array
        Points per fit, >= 2.

    Returns
    -------
    array
        Constant, from 2√(e/π) = 1.8604 at n = 2 down to 2√(2/3) = 1.6330. Float64, by NumPy.

    Raises
    ------
    ValueError
        If n is out of range.

    Examples
    --------
    >>> chernoff_constant([2, 10, 100]).round(4)
    array([1.8604, 1.6571, 1.6352])
    """
    return np.vectorize(_constant, otypes=[float])(samples(n))


@lru_cache(maxsize=4096)
def _constant(n: float) -> float:
    # s^(n-2) exp(-(n-1)s²/2 + n(s-1)²/4): of curvature n/2 - 1 + (n-2)/s², which is 0 at n = 2
    if n == 2:
        return float(2 * np.sqrt(np.e / np.pi))
    k = (n - 1) / 2
    reach = 13 / np.sqrt(n / 2 - 1)
    low = max(0.0, 1 - reach)
    s = low + (1 + reach - low) * (_NODES + 1) / 2
    u = s - 1
    exponent = 2 * k * (np.log(s) - u - u * u / 2) - np.log(s) + n * u * u / 4
    scale = 2 * np.sqrt(k / (2 * np.pi)) * np.exp(-stirling_error(k))
    value = scale * (1 + reach - low) / 2 * (_WEIGHTS @ np.exp(exponent))
    return float(np.sqrt(2) * value)


@float64
@compiled
def _exponential(delta: Any, sigma: Any, n: Any, constant: Any) -> Any:
    infinite = jnp.isinf(delta)
    x = times_inverse_square(jnp.where(infinite, 1.0, delta), jnp.where(infinite, 1.0, sigma))
    return constant * jnp.exp(-n / 4 * jnp.where(infinite, delta, x))


@float64
@compiled
def _optimal(delta: Any, sigma: Any, n: Any) -> Any:
    x, possible, beyond = scaled(delta, sigma)
    a = n * x
    useful = a > 1.5
    a = jnp.where(useful, a, 2.0)
    root = jnp.hypot(a, 2.0)
    tau = (2 * a - 3) / (3 * a - 2 + root)  # (3a-2-root)/(4a), rationalised
    # 1-2τ = (2+root-a)/(2a) with root-a = 4/(root+a)
    log_first, log_second = jnp.log((1 + 2 / (root + a)) / a), jnp.log1p(-tau)
    value = jnp.exp(-tau * a - (log_first + log_second) / 2)
    return jnp.where(beyond, 0.0, jnp.where(useful & possible, value, 1.0))


@float64
@compiled
def _rigorous(delta: Any, sigma: Any, n: Any, constant: Any, mean: Any) -> Any:
    x, possible, beyond = scaled(delta, sigma)
    chernoff = constant * jnp.exp(-n * x / 4)
    above = x > mean**2
    further = jnp.sqrt(jnp.where(above, x, 1.0)) - mean
    concentration = jnp.where(above, jnp.exp(-(n - 1) / 2 * further**2), 1.0)
    value = jnp.minimum(1.0, jnp.minimum(chernoff, concentration))
    return jnp.where(possible, value, jnp.where(beyond, 0.0, 1.0))
