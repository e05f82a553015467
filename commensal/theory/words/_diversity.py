"""Heterozygosity, the chance that two tokens are different words, and shares that settle."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from commensal._precision import AnyArray, float64
from commensal.theory.words import _arguments


@float64
def expected_heterozygosity(
    law: Any,
    tokens: Any,
    generations: Any,
    human_share: Any = 0.0,
    memory: str = "replace",
    models: Any = 1,
    of: str = "text",
) -> AnyArray:
    r"""Return the expected heterozygosity E[1 - Σ p²] of the words of generation t, exactly.

    Parameters
    ----------
    law : Float[ArrayLike, "V"]
        Human frequencies of words, or counts: they are normalised.
    tokens, models : Float[ArrayLike, "..."]
        Number of tokens n that each model writes, and number of models K that read everything: only
        N = K n enters.
    generations : Int[ArrayLike, "..."]
        Generation t >= 1, or infinity for the limit.
    human_share : Float[ArrayLike, "..."]
        Share h of each later corpus that humans wrote; with memory "accumulate" only 0. All but
        ``law`` are broadcast against each other.
    memory : {"replace", "accumulate"}
        Whether each model is fitted to the last corpus, or to all so far.
    of : {"text", "pool"}
        Text that is measured: the corpus of generation t, or all that the next model is fitted to.
        They differ where past corpora are kept.

    Returns
    -------
    Float[Array, "..."]
        Expected heterozygosity, float64.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Multinomial counts, exact for every N. With H_0 = 1 - Σ p² of the law and x = h(2-h),

    .. math:: H_1 = (1 - 1/N) H_0, \qquad H_{t+1} = (1 - 1/N) [(1-x) H_t + x H_0],

    so that H_t = (1 - 1/N)^t H_0 without human data. If all is kept, that of the pool is H_0 times
    the product of 1 - 1/(N i²) up to t, with the limit sin(π/√N)/(π/√N), and that of generation
    t + 1's text 1 - 1/N of it. (The former is the classical drift of population genetics, the
    latter Kazdan et al.'s product for variances.)

    Examples
    --------
    >>> from commensal.theory.words import zipf
    >>> expected_heterozygosity(zipf(500), 2_000, [1, 2_000]).round(4)
    array([0.9639, 0.3547])
    >>> float(expected_heterozygosity(zipf(500), 2_000, np.inf, memory="accumulate", of="pool"))
    0.9636...
    """
    p = _arguments.frequencies(law)
    size = _arguments.at_least(tokens, "tokens", 1) * _arguments.at_least(models, "models", 1)
    times, h = _arguments.generations(generations), _arguments.share(human_share)
    if of not in ("text", "pool"):
        raise ValueError(f"of must be one of text, pool, got {of!r}")
    if _arguments.memory(memory) == "accumulate":
        if np.any(np.asarray(human_share) != 0):
            raise ValueError(
                'human_share must be 0 with memory "accumulate", for which no closed form of '
                "heterozygosity is known: simulate it"
            )
        return (1 - (p**2).sum()) * _accumulated(size, times, of)
    first = 1 - 1 / size
    mixed = h * (2 - h)
    # (1 - 1/N)(1 - x), and one minus it, of which no digit is lost for large N and small h
    kept, lost = first * (1 - mixed), mixed + (1 - mixed) / size
    settled = first * mixed / lost
    left = jnp.exp((times - 1) * jnp.log1p(-lost))
    # lost is one where h is, and then nothing is left after the first
    left = jnp.where(kept > 0, left, jnp.where(jnp.asarray(times == 1), 1.0, 0.0))
    return (1 - (p**2).sum()) * (settled + (first - settled) * left)


def _accumulated(size: Any, times: Any, of: str) -> Any:
    pooled = times if of == "pool" else times - 1
    x = 1 / jnp.sqrt(size)
    finite = np.isfinite(pooled)
    many = jnp.asarray(np.where(finite, pooled, 1.0)) + 1
    log_gamma = jax.scipy.special.gammaln
    # Γ(t+1-x) Γ(t+1+x)/Γ(t+1)² over its limit; t is small enough for the differences
    path = jnp.exp(log_gamma(many - x) + log_gamma(many + x) - 2 * log_gamma(many))
    limit = jnp.sinc(x)
    product = jnp.where(jnp.asarray(finite), path, 1.0) * limit
    return product if of == "pool" else (1 - 1 / size) * product


@float64
def share_variance(count: Any, generations: Any = np.inf) -> AnyArray:
    r"""Return the variance of a word's share of everything kept, if past corpora are kept.

    Parameters
    ----------
    count : Float[ArrayLike, "..."]
        Count c of the word in the first corpus.
    generations : Int[ArrayLike, "..."]
        Number t of corpora that are in the pool, or infinity for the limit.

    Returns
    -------
    Float[Array, "..."]
        Variance of the pool's mean count per corpus, whose mean is c: c (π²/6 - 1) in the limit.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The mean count W_t is a martingale: W_{t+1} - W_t = (X - W_t)/(t+1) for X the Poisson count of
    the next corpus, so its variance grows by c/(t+1)². Memory "accumulate" without human data, in
    the limit of many tokens (for a word of share p multiply by 1 - p). New here.

    Examples
    --------
    >>> share_variance(10.0, [1, 2, np.inf]).round(3)
    array([0.   , 2.5  , 6.449])
    """
    c, times = _arguments.at_least(count, "count", 0), _arguments.generations(generations)
    finite = np.isfinite(times)
    beyond = jax.scipy.special.polygamma(1, jnp.asarray(np.where(finite, times, 1.0)) + 1)
    left = jnp.where(jnp.asarray(finite), beyond, 0.0)
    return c * jnp.maximum(np.pi**2 / 6 - 1 - left, 0.0)  # of one corpus it is none, but rounding
