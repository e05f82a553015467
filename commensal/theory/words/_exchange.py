"""The vocabulary that generation t still shows, as part of a human corpus."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64, is_concrete
from commensal.theory.words import _arguments

ACCUMULATED = 0.5337355392336346717
"""Exchange rate of memory "accumulate" without human data, in the limit of many generations."""

_TERMS = 400  # of the series, summed one by one; then u <= 2/400, and its tail is known to 1e-13
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


@float64
def exchange_rate(
    human_share: Any = 0.0, generations: Any = np.inf, memory: str = "replace"
) -> AnyArray:
    r"""Return the size of the human corpus that shows as many words as generation t, in n tokens.

    Parameters
    ----------
    human_share : Float[ArrayLike, "..."]
        Share h in [0, 1] of each later corpus that humans wrote, by the same law as the first.
    generations : Int[ArrayLike, "..."]
        Generation t >= 1, at which the corpus is looked at, or infinity for the limit. Broadcast
        against ``human_share``. Generation 1 is a human corpus.
    memory : {"replace", "accumulate"}
        Whether each model is fitted to the last corpus, or to all so far.

    Returns
    -------
    Float[Array, "..."]
        Exchange rate C_t(h) in [0, 1], float64: a word that is expected λ times in the first
        corpus is in that of generation t with probability 1 - exp(-λ C_t).
        Differentiable in ``human_share``; in reverse, the limit only.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Counts of a rare word are Poisson given those before. "Replace": with u_0 = 1 and
    u_{k+1} = 1 - exp(-(1-h) u_k), their generating function is exp(-λ C_t) at 0 for

    .. math:: C_t = u_{t-1} + h \sum_{k<t-1} u_k, \qquad C_\infty = h \sum_{k \ge 0} u_k .

    Without human data C_t = u_{t-1}, a little below 2/(t+1). C_∞ is
    about 2h [ln(1/2h) + 0.1] for small h, and x ln(1/x)/(1-h)² with x = h(2-h) within 3 %: a human
    token saves the vocabulary of far more than one. The first 400 terms are summed; the rest is
    Euler and Maclaurin's sum of the flow of u, of which u ↦ 1 - exp(-(1-h)u) is the unit of time,
    so that no h is too small.

    "Accumulate": generation t is written from all t - 1 corpora before it. With θ_{t-1} =
    (1-h)/(t-1) and θ_{s-1} = θ_s + (1-h)(1 - exp(-θ_s))/(s-1),

    .. math:: C_t = h + h \sum_{1<s<t} (1 - e^{-\theta_s}) + 1 - e^{-\theta_1},

    which without human data falls to 0.5337 and no further; with any h > 0 it comes back to one:
    what is lacking falls as t^{-2h} for h < 1/2. New here; extends Suresh et al., arXiv 2412.17646,
    which was read as an abstract.

    Examples
    --------
    >>> exchange_rate(0.0, [1, 2, 10, 100]).round(4)
    array([1.    , 0.6321, 0.1723, 0.0195])
    >>> exchange_rate([0.01, 0.1, 1.0]).round(4)
    array([0.0813, 0.3997, 1.    ])
    >>> exchange_rate(0.0, [2, 10, np.inf], "accumulate").round(4)
    array([0.6321, 0.5483, 0.5337])
    """
    times = _arguments.generations(generations)
    h = _arguments.share(human_share)
    memory_ = _arguments.memory(memory)
    shape = np.broadcast_shapes(times.shape, h.shape)
    times, h = np.broadcast_to(times, shape), jnp.broadcast_to(h, shape)
    finite = np.isfinite(times)
    last = int(times[finite].max(initial=1))
    at = jnp.asarray(np.where(finite, times, 1.0))
    path, end = {"replace": (_replaced, _limit), "accumulate": (_accumulated, _settled)}[memory_]
    if finite.all():
        return path(h, at, last)
    limit = end(h)  # by itself, it can be differentiated both ways
    return jnp.where(jnp.asarray(finite), path(h, at, last), limit) if finite.any() else limit


@compiled
def _replaced(h: Any, times: Any, last: Any) -> Any:
    def step(k: Any, carry: Any) -> Any:
        u, total, found = carry
        found = jnp.where(times == k, u + h * total, found)
        return -jnp.expm1(-(1 - h) * u), total + u, found

    start = jnp.ones_like(h), jnp.zeros_like(h), jnp.ones_like(h)
    return jax.lax.fori_loop(1, last + 1, step, start)[2]


@compiled
def _accumulated(h: Any, times: Any, last: Any) -> Any:
    pooled = jnp.maximum(times - 1, 1)  # corpora that generation t is written from

    def step(k: Any, carry: Any) -> Any:
        theta, human = carry
        s = (last - k).astype(theta.dtype)
        new = -jnp.expm1(-theta)
        there = (s <= pooled) & (s > 1)
        theta = jnp.where(there, theta + (1 - h) * new / jnp.maximum(s - 1, 1), theta)
        return theta, jnp.where(there, human + new, human)

    start = (1 - h) / pooled, jnp.zeros_like(h)
    theta, human = jax.lax.fori_loop(1, last, step, start)
    return jnp.where(times == 1, 1.0, h * (1 + human) - jnp.expm1(-theta))


def _settled(h: Any) -> Any:
    return jnp.where(h > 0, 1.0, ACCUMULATED)


@compiled
def _limit(h: Any) -> Any:
    def step(_: Any, carry: Any) -> Any:
        u, total = carry
        return -jnp.expm1(-(1 - h) * u), total + u

    u, total = jax.lax.fori_loop(0, _TERMS, step, (jnp.ones_like(h), jnp.zeros_like(h)))
    # above one half nothing is left; at zero there is no limit but zero
    inside = (h > 0) & (h < 0.5)
    rest = _tail(jnp.where(inside, h, 0.25), jnp.where(inside, u, 0.0))
    return h * (total + jnp.where(inside, rest, 0.0))


def _tail(h: Any, u: Any) -> Any:
    """Sum u, f(u), f(f(u)), ... of f(u) = 1 - exp(-(1-h) u), for u below about 0.005.

    f is the flow du/ds = -L (h u + R_2 u² + ...) after one unit of time, with L = -ln(1-h)/h: the
    R follow from the equation of Julia, j(f(u)) = f'(u) j(u), order by order (SymPy).
    """
    m = 1 - h
    three, four, five = 1 + m + m**2, 1 + m**2, 1 + m + m**2 + m**3 + m**4
    r2 = m / 2
    r3 = m**2 / (6 * (1 + m))
    r4 = m**3 * (2 * m + 1) / (24 * (1 + m) * three)
    r5 = m**4 * (6 * m**2 + m + 1) / (120 * (1 + m) * four * three)
    r6 = m**5 * (24 * m**5 + 22 * m**4 + 9 * m**3 - 4 * m**2 + 3 * m + 1)
    r6 = r6 / (720 * (1 + m) * four * three * five)
    unit = -jnp.log1p(-h) / h

    def beyond(w: Any) -> Any:
        return w**2 * (r3 + w * (r4 + w * (r5 + w * r6)))

    # ∫ w dw/(...) in y = ln(1 + R_2 w/h), in which the integrand is smooth whatever h is; all but
    # the last 40 of y are nothing but y
    top = jnp.log1p(r2 * u / h)
    low = jnp.maximum(top - 40, 0)
    y = low[..., None] + (top - low)[..., None] * (_NODES + 1) / 2
    w = (h / r2)[..., None] * jnp.expm1(y)
    slow = r2[..., None], h[..., None]
    part = jax.vmap(beyond, in_axes=-1, out_axes=-1)(w) / (slow[1] + slow[0] * w)
    inner = (_WEIGHTS / 2 / (1 + part)).sum(axis=-1) * (top - low)
    speed = unit * u * (h + r2 * u + beyond(u))
    return (low + inner) / (unit * r2) + u / 2 + speed / 12


@float64
def survival(
    expected: Any, generations: Any, human_share: Any = 0.0, memory: str = "replace"
) -> AnyArray:
    r"""Return the probability that a word is in the corpus of generation t.

    Parameters
    ----------
    expected : Float[ArrayLike, "..."]
        Expected count λ >= 0 of the word in one corpus that humans write. For models that are
        fitted to a corpus of n tokens that is there already, and write n: its count in it.
    generations, human_share, memory
        Settings of :func:`exchange_rate`, broadcast against ``expected``.

    Returns
    -------
    Float[Array, "..."]
        Probability 1 - exp(-λ C_t), float64.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Exact in the Poisson limit: many tokens, and a word that is a small part of them. The bound
    1 - exp(-λ/t) of Suresh et al. (arXiv 2412.17646, read as an abstract and summaries of it) is
    equal at t = 1, and by a factor two below for large t.

    Examples
    --------
    Half of the words that are used once are gone after one more generation, nearly:

    >>> survival(1.0, [1, 2, 3]).round(3)
    array([0.632, 0.469, 0.374])
    """
    return -jnp.expm1(
        -_arguments.at_least(expected, "expected", 0)
        * exchange_rate(human_share, generations, memory)
    )


@float64
def expected_richness(
    law: Any,
    tokens: Any,
    generations: Any,
    human_share: Any = 0.0,
    memory: str = "replace",
    models: Any = 1,
) -> AnyArray:
    """Return the expected number of words in the corpus of generation t.

    Parameters
    ----------
    law : Float[ArrayLike, "V"]
        Human frequencies of words, or counts: they are normalised.
    tokens : Float[ArrayLike, "..."]
        Number of tokens n >= 1 that each model writes in a generation.
    generations, human_share, memory
        Settings of :func:`exchange_rate`.
    models : Float[ArrayLike, "..."]
        Number of models K >= 1 that all read what all write: K models on n tokens each are one on
        n K. All but ``law`` are broadcast against each other.

    Returns
    -------
    Float[Array, "..."]
        Expected number of words, float64.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The sum of :func:`survival` over words, λ = K n p. In the Poisson limit: off by about one part
    in n.

    Examples
    --------
    >>> from commensal.theory.words import zipf
    >>> expected_richness(zipf(500), 2_000, [1, 5, 10, 30, 100]).round(1)
    array([359.1, 202.3, 139.6,  68.5,  27.7])
    """
    p = _arguments.frequencies(law)
    size = _arguments.at_least(tokens, "tokens", 1) * _arguments.at_least(models, "models", 1)
    worth = jnp.asarray(size * exchange_rate(human_share, generations, memory))
    if is_concrete((p, worth)):  # one setting at a time: a vocabulary may have millions of words
        return _richness(p, worth)
    return -jnp.expm1(-worth[..., None] * p).sum(axis=-1)


@compiled
def _richness(p: Any, worth: Any) -> Any:
    flat = jax.lax.map(lambda one: -jnp.expm1(-one * p).sum(), worth.ravel())
    return flat.reshape(worth.shape)
