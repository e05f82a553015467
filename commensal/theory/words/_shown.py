"""What a sample of a model's texts shows of the words that humans use, generation by generation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.theory.words import _arguments

MEMORIES = (*_arguments.MEMORIES, "accumulate_subsample")


@float64
def rare_retention(
    generations: Any,
    sample: Any = 1.0,
    human_share: Any = 0.0,
    memory: str = "replace",
    copies: Any = 1.0,
    kept: int = 0,
) -> AnyArray:
    r"""Return the share of rare words that a sample of generation t still shows.

    Parameters
    ----------
    generations : Int[ArrayLike, "..."]
        Generation t >= 0 of the model that writes the sample. Generation 0 writes by the human law;
        model t is fitted to the t-th corpus, the first of which generation 0 has written.
    sample : Float[ArrayLike, "..."]
        Tokens m of the sample over tokens n of one corpus, above 0. All arguments but ``memory``
        are broadcast against each other.
    human_share : Float[ArrayLike, "..."]
        Share h in [0, 1] of each corpus that humans wrote.
    memory : {"replace", "accumulate", "accumulate_subsample"}
        Whether each model is fitted to the last corpus, to all so far, or to n tokens drawn from
        all so far.
    copies : Float[ArrayLike, "..."]
        Mean number a >= 0 of copies that a model makes of a rare word's token of its corpus, in n
        tokens of its own. A model that repeats its corpus makes one; one that prefers frequent
        words makes fewer.
    kept : int
        Number of human corpora of n tokens that are among "all so far" from the start.

    Returns
    -------
    Float[Array, "..."]
        Retention R_t, float64: a word that humans use λ times in m tokens is in the sample with
        probability 1 - exp(-λ R_t), so R_t is the share kept of words with small λ. At most 1
        where ``copies`` is.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The sample's count of a word is Poisson, with mean a m/n times its count in the corpus. With
    w_0 = 1 - exp(-a m/n) in place of 1, the recursion of :func:`exchange_rate` gives, for t >= 1,

    .. math:: R_t = \frac nm \Big(w_{t-1} + h \sum_{k<t-1} w_k\Big), \qquad
        w_{k+1} = 1 - e^{-a (1-h) w_k},

    and R_0 = 1. The smaller the sample, the less luck it sees: R_t → a^t as m/n → 0, h = 0, where
    only the expected frequency counts. So samples of two sizes tell what chance takes, which
    larger corpora prevent, from what the models' preference takes, which they do not.

    "Accumulate": θ_t = a m/(nt), θ_{s-1} = θ_s + g(1 - exp(-θ_s))/(s-1) with g(x) = a(1-h)x, and
    R_t = (n/m) (1 - exp(-θ_1) + h Σ_{1<s<=t} (1 - exp(-θ_s))). With a subsample, 1 - exp(-g) in
    place of g, and θ_t = (1 - exp(-a m/n))/t. With c corpora ``kept``, c + t and c + s - 1 are in
    the places of t and s - 1, and the first term is 1 + c times as large. New here.

    Examples
    --------
    >>> rare_retention([0, 1, 5, 20]).round(3)
    array([1.   , 0.632, 0.268, 0.088])
    >>> rare_retention(20, [0.01, 0.1, 1.0, 10.0]).round(3)  # the smaller, the less luck it sees
    array([0.909, 0.497, 0.088, 0.009])
    >>> rare_retention(20, human_share=[0.01, 0.1, 0.5]).round(3)
    array([0.118, 0.312, 0.576])
    >>> rare_retention(5, 1e-9, copies=0.9).round(3)  # 0.9 to the fifth
    np.float64(0.59)
    """
    times = np.asarray(generations, np.float64)
    if ((times < 0) | (times != np.floor(times)) | ~np.isfinite(times)).any():
        raise ValueError("generations must be integers of at least 0")
    r = _arguments.at_least(sample, "sample", np.finfo(np.float64).tiny)
    h = _arguments.share(human_share)
    a = _arguments.at_least(copies, "copies", 0)
    if memory not in MEMORIES:
        raise ValueError(f"memory must be one of {', '.join(MEMORIES)}, got {memory!r}")
    if kept < 0 or (kept and memory == "replace"):
        raise ValueError(f"kept must be at least 0, and is for memories that keep, got {kept}")
    shape = np.broadcast_shapes(times.shape, r.shape, h.shape, a.shape)
    r, h, a = (jnp.broadcast_to(x, shape) for x in (r, h, a))
    times = np.broadcast_to(times, shape)
    given = jnp.asarray(times), int(times.max(initial=1))
    if memory == "replace":
        return _replaced(h, r, a, *given)
    return _accumulated(h, r, a, memory == "accumulate_subsample", float(kept), *given)


@compiled
def _replaced(h: Any, r: Any, a: Any, times: Any, last: Any) -> Any:
    def step(k: Any, carry: Any) -> Any:
        w, total, found = carry
        found = jnp.where(times == k, (w + h * total) / r, found)
        return -jnp.expm1(-a * (1 - h) * w), total + w, found

    start = -jnp.expm1(-a * r), jnp.zeros_like(r), jnp.ones_like(r)
    return jax.lax.fori_loop(1, last + 1, step, start)[2]


@compiled
def _accumulated(h: Any, r: Any, a: Any, subsample: Any, kept: Any, times: Any, last: Any) -> Any:
    def drawn(x: Any) -> Any:
        return jnp.where(subsample, -jnp.expm1(-x), x)

    def step(k: Any, carry: Any) -> Any:
        theta, human = carry
        s = (last - k + 1).astype(theta.dtype)
        there = (s <= times) & (s > 1)
        new = -jnp.expm1(-theta)
        before = theta + drawn(a * (1 - h) * new) / jnp.maximum(s - 1 + kept, 1)
        return jnp.where(there, before, theta), jnp.where(there, human + new, human)

    start = drawn(a * r) / jnp.maximum(times + kept, 1), jnp.zeros_like(r)
    theta, human = jax.lax.fori_loop(1, last + 1, step, start)
    return jnp.where(times == 0, 1.0, (h * human - (1 + kept) * jnp.expm1(-theta)) / r)
