"""Second moments of the models' laws: the island model of population genetics."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.theory.ecosystem import _arguments
from commensal.theory.ecosystem._vocabulary import Vocabulary, checked


class EcosystemMoments(NamedTuple):
    """Moments of M models on equal segments, after generations 1 to T."""

    mean: Float[AnyArray, " V"]
    """Mean E q_v of every word type, the same after every generation."""
    same: Float[AnyArray, "T V"]
    """Second moment F = E (q^m_v)² of one model."""
    across: Float[AnyArray, "T V"]
    """Product moment B_t = E q^m_v q^m'_v of two models; if M = 1, of a hypothetical second one."""


class SegmentMoments(NamedTuple):
    """Moments of models on segments of any sizes, after generations 1 to T."""

    mean: Float[AnyArray, "T M V"]
    """Mean E q^m_v of each model and word type."""
    second: Float[AnyArray, "T M M V"]
    """Product moments E q^m_v q^l_v of each two models, by word type."""


def island(
    same: Any, across: Any, mean: Any, keep: Any, share: Any, models: Any
) -> tuple[Any, Any]:
    r"""Compute the second moments F and B_t after one generation, by arithmetic on any arrays.

    F = E (q^m_v)² is of one model m and one type v, B_t = E q^m_v q^m'_v of two models, and
    m = E q^m_v. New here:

    .. math::
        F \leftarrow w^2 F + 2w(1-w) B + (1-w)^2 \left[\tfrac mn + (1 - \tfrac1n) J\right],
        \qquad B_t \leftarrow w^2 B_t + 2w(1-w) B + (1-w)^2 J,

    with :math:`J = aF + (1-a)B_t` and :math:`B = F/M + (1-1/M)B_t`.

    Parameters
    ----------
    same, across, mean : array
        Moments F and B_t, and the mean m.
    keep : float
        Weight w = λ/(n + λ) of what a model keeps.
    share : float
        Tokens n of each model.
    models : float
        Number of models M.

    Returns
    -------
    tuple of array
        Moments F and B_t after the next fit.

    Notes
    -----
    Two tokens of the shuffled pool are one model's with probability a = (n-1)/(N-1); a token of
    the pool is a given model's own with probability 1/M.

    Examples
    --------
    A type that is everywhere or nowhere stays so:

    >>> island(0.25, 0.25, 0.25, 0.5, 7, 3)
    (0.25, 0.25)
    """
    together = (share - 1) / (share * models - 1)
    pair = together * same + (1 - together) * across
    own = same / models + (1 - 1 / models) * across
    kept = 2 * keep * (1 - keep) * own
    counts = mean / share + (1 - 1 / share) * pair
    return (
        keep**2 * same + kept + (1 - keep) ** 2 * counts,
        keep**2 * across + kept + (1 - keep) ** 2 * pair,
    )


@float64
def second_moments(
    vocabulary: Vocabulary, tokens: Any, models: Any, hold: Any, generations: int = 10
) -> EcosystemMoments:
    """Exact moments F and B_t of every word type, for M models on equal segments, not sharpened.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law.
    tokens : float
        Number of tokens N > 1 of all models together.
    models : float
        Number of models M >= 1. Need not be whole: results are differentiable in it.
    hold : float
        Hold λ: how many tokens a model's own law counts for in a fit.
    generations : int
        Number of generations T, of which the first is fitted to N tokens drawn from the true law
        and dealt out.

    Returns
    -------
    EcosystemMoments
        Moments F and B_t of every word type.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The recursion of :func:`island`, from the first fit on, for every type.
    ``commensal check --id commensal.island_recursion`` checks it by enumeration.

    Examples
    --------
    >>> from commensal.theory.ecosystem import zipf
    >>> found = second_moments(zipf(100), 1_600, 4, 800.0)
    >>> found.same.shape
    (10, 100)
    """
    tokens, models, hold = _arguments.cells(tokens, models, hold)
    return _equal(checked(vocabulary), tokens, models, hold, _arguments.generations(generations))


@partial(compiled, heavy=True, static_argnames="generations")
def _equal(
    vocabulary: Vocabulary, tokens: Any, models: Any, hold: Any, generations: int
) -> EcosystemMoments:
    law, prior = vocabulary
    share = tokens / models
    keep = hold / (share + hold)
    mean = keep * prior + (1 - keep) * law
    first = mean**2 + (1 - keep) ** 2 * law * (1 - law) / share, mean**2

    def step(state: Any, _: Any) -> Any:
        same, across = state
        return island(same, across, mean, keep, share, models), state

    _, (same, across) = jax.lax.scan(step, first, length=generations)
    return EcosystemMoments(mean, same, across)


@float64
def segment_moments(
    vocabulary: Vocabulary, sizes: Any, hold: Any, generations: int = 10
) -> SegmentMoments:
    r"""Exact moments of every word type for segments of any sizes, pooled and dealt out again.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law.
    sizes : Float[ArrayLike, "M"]
        Tokens n_m >= 1 that model m reads, and as many that it writes.
    hold : float
        Hold λ: how many tokens a model's own law counts for in a fit.
    generations : int
        Number of generations T.

    Returns
    -------
    SegmentMoments
        Means and product moments of every word type.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    With w_k = λ/(n_k + λ), s_m = n_m/N and C_kl = E q^k q^l,

    .. math::
        C_{kl} \leftarrow w_k w_l C_{kl} + w_k (1-w_l) b_k + w_l (1-w_k) b_l
        + (1-w_k)(1-w_l) \left[J + \delta_{kl} (\bar m - J)/n_k\right],

    b_k = Σ_l s_l C_kl, m̄ = Σ s_l E q^l, and J = Σ_kl n_k (n_l - δ_kl) C_kl / (N (N - 1)) that of
    two tokens of the pool. Means are constant only where segments are equal: E q^k becomes
    w_k E q^k + (1-w_k) m̄. New here.

    Examples
    --------
    >>> from commensal.theory.ecosystem import zipf
    >>> found = segment_moments(zipf(50), [400, 400, 800], 800.0)
    >>> found.second.shape
    (10, 3, 3, 50)
    """
    law, prior = checked(vocabulary)
    sizes, hold = _arguments.segments(sizes), _arguments.at_least(hold, "hold", 0)
    keep = hold / (sizes + hold)
    mean = keep[:, None] * prior + (1 - keep[:, None]) * law
    noise = (1 - keep) ** 2 / sizes
    second = mean[:, None] * mean + jnp.diag(noise)[..., None] * law * (1 - law)
    mean, second = scan_segments(mean, second, sizes, keep, _arguments.generations(generations))
    return SegmentMoments(mean, second)


@partial(compiled, heavy=True, static_argnames="generations")
def scan_segments(
    mean: Any, second: Any, sizes: Any, keep: Any, generations: int
) -> tuple[Any, Any]:
    """Iterate the moments (M, X) and (M, M, X), with X any linear combinations of word types."""
    tokens = sizes.sum()
    share, move = sizes / tokens, 1 - keep
    pairs = sizes[:, None] * (sizes - jnp.eye(sizes.size)) / (tokens * jnp.maximum(tokens - 1, 1))

    def step(state, _):
        mean, second = state
        pool = jnp.einsum("m,mx->x", share, mean)
        own = jnp.einsum("l,klx->kx", share, second)
        pair = jnp.einsum("kl,klx->x", pairs, second)
        cross = (keep[:, None] * move)[..., None] * own[:, None]
        repeat = jnp.diag(1 / sizes)[..., None] * (pool - pair)
        next_second = (
            (keep[:, None] * keep)[..., None] * second
            + cross
            + cross.swapaxes(0, 1)
            + (move[:, None] * move)[..., None] * (pair + repeat)
        )
        return (keep[:, None] * mean + move[:, None] * pool, next_second), state

    _, found = jax.lax.scan(step, (mean, second), length=generations)
    return found
