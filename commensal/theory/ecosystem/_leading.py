"""Leading order in 1/n of the distance, which shows where the best number of models comes from."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from commensal._precision import AnyArray, float64
from commensal.theory.ecosystem import _arguments
from commensal.theory.ecosystem._distance import expected_distance, mean_variance
from commensal.theory.ecosystem._vocabulary import VocabularySums


class Leading(NamedTuple):
    """Distance from the true law after every generation, as three terms that add up to it."""

    bias: Float[AnyArray, "... T"]
    """Error of the pretrained law that is left: it grows with the number of models."""
    drift: Float[AnyArray, "... T"]
    """Drift of the pool by resampling: it falls with the number of models, as they move less."""
    segments: Float[AnyArray, "... T"]
    """Noise of a model beside the pool's: zero for one model, and growing with their number."""


@float64
def leading(
    known: VocabularySums, tokens: Any, models: Any, hold: Any, generations: int = 10
) -> Leading:
    r"""Return the leading order in 1/n of :func:`expected_distance`, in elementary terms.

    Parameters
    ----------
    known : VocabularySums
        Sums of the vocabulary, from :func:`sums`.
    tokens, models, hold : Float[ArrayLike, "..."]
        Budget N, number of models M and hold λ, broadcast against each other.
    generations : int
        Number of generations T.

    Returns
    -------
    Leading
        Three terms, whose sum is the distance of a model; bias + drift is that of the pool.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    With w = λ/(n + λ), D_0 the pretrained law's distance and H = Σ a m (1 - m),

    .. math::
        D_t = w^2 D_0 + \frac HN \left[(1-w)^2\, t
        + (M-1) \frac{1-w}{1+w} (1 - w^{2t})\right] + O(H/n^2),

    where the noise of the first fit, to real text, has Σ a p (1 - p) in the place of H. Only Mλ
    enters bias and drift. So M models on N tokens are, but for the last term, which is never
    negative, one model on all N tokens that holds on to Mλ: a lower learning rate gives it for
    nothing. (Averaged over the generations that is a theorem, not to leading order only; a single
    fit can turn out otherwise after about N/(1-w)² of them: claim ``commensal.dealing_out``.) One
    model alone on n tokens has drift (H/n) (1-w)² t, which is at least the sum of the
    last two: pooling always helps one that is short of tokens. New here.

    Examples
    --------
    >>> from commensal.theory.ecosystem import sums, zipf
    >>> four = leading(sums(zipf()), 16_000, 4, 5_000.0)
    >>> [float(x.mean().round(3)) for x in four]
    [0.141, 0.201, 0.156]
    """
    tokens, models, hold = _arguments.cells(tokens, models, hold)
    t = jnp.arange(1.0, _arguments.generations(generations) + 1)
    cells = jnp.broadcast_arrays(tokens, models, hold)
    tokens, models, hold = (c[..., None] for c in cells)
    share = tokens / models
    keep = hold / (share + hold)
    off = known.prior_prior - 2 * known.law_prior + known.law_law
    later, first = mean_variance(known, keep), known.law - known.law_law
    drift = (1 - keep) ** 2 / tokens * (first + (t - 1) * later)
    left = keep ** (2 * (t - 1))
    apart = (1 - keep) ** 2 * first * left + (1 - keep) / (1 + keep) * later * (1 - left)
    return Leading(keep**2 * off + 0 * t, drift, (models - 1) / tokens * apart)


@float64
def best_hold(known: VocabularySums, generations: int = 10) -> AnyArray:
    r"""Best hold λ* of one model: it minimises the average distance over the generations.

    Parameters
    ----------
    known : VocabularySums
        Sums of the vocabulary, from :func:`sums`.
    generations : int
        Number of generations T.

    Returns
    -------
    Float[Array, ""]
        Best hold λ*, in tokens.

    Notes
    -----
    To leading order in 1/N and λ/N it does not depend on the number of tokens: with
    t̄ = (T + 1)/2, H_0 = Σ a p (1 - p) and H_1 the slope of Σ a m (1 - m) along m = p + w (π - p),

    .. math:: \lambda^* = \frac{2 \bar t H_0 - (\bar t - 1) H_1}{2 D_0}.

    M models that hold on to λ each are, but for what segments cost, one that holds on to Mλ: for
    λ well above N/(T + 1) their best number is near λ*/λ. New here.

    Examples
    --------
    >>> from commensal.theory.ecosystem import sums, zipf
    >>> round(float(best_hold(sums(zipf()))), -2)
    13600.0
    """
    off, _, pull = _terms(known, generations)
    return pull / (2 * off)


@float64
def paying_window(
    known: VocabularySums, tokens: Any, generations: int = 10
) -> tuple[AnyArray, AnyArray]:
    r"""Interval of λ in which more than one model is better than one, to leading order.

    Parameters
    ----------
    known : VocabularySums
        Sums of the vocabulary, from :func:`sums`.
    tokens : Float[ArrayLike, "..."]
        Budget of tokens N.
    generations : int
        Number of generations T.

    Returns
    -------
    tuple of Float[Array, "..."]
        Lowest and highest λ; NaN where there is none.

    Raises
    ------
    ValueError
        If there are fewer than two tokens.

    Notes
    -----
    With K = 2 D_0 λ*, the slope of the average distance in M at M = 1 is, for λ well below N,
    proportional to λ/λ* - 1 + N H_0/(K λ): the first term is bias, the second drift, the last
    the noise of segments. So segmenting pays only between about N H_0/K, near N/(T + 1), and λ*,
    and for no λ where N > K λ*/(4 H_0).

    Rough where λ is not small against N: for the default vocabulary and N = 8,000 the upper end
    comes out 12,200 where the exact slope turns at 27,600, and near the largest N with a window it
    is missed altogether. :func:`slope_at_one` is exact, and its sign is that of a first fraction of
    a model: two whole models pay up to 20,200 there. See the claim ``commensal.paying_window``.
    New here.

    Examples
    --------
    >>> from commensal.theory.ecosystem import sums, zipf
    >>> [float(x.round(-2)) for x in paying_window(sums(zipf()), 8_000)]
    [1400.0, 12200.0]
    """
    tokens = _arguments.at_least(tokens, "tokens", 2)
    off, alive, pull = _terms(known, generations)
    highest = pull / (2 * off)
    lowest = tokens * alive / pull
    inside = 1 - 4 * lowest / highest
    root = jnp.sqrt(jnp.where(inside >= 0, inside, jnp.nan))
    return highest / 2 * (1 - root), highest / 2 * (1 + root)


@float64
def slope_at_one(known: VocabularySums, tokens: Any, hold: Any, generations: int = 10) -> AnyArray:
    """Slope of the average distance in the number of models, at one; if negative, more models pay.

    Parameters
    ----------
    known : VocabularySums
        Sums of the vocabulary, from :func:`sums`.
    tokens, hold : Float[ArrayLike, "..."]
        Budget N and hold λ, broadcast against each other.
    generations : int
        Number of generations T.

    Returns
    -------
    Float[Array, "..."]
        Slope of :func:`expected_distance`, which is exact and defined between whole numbers.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from commensal.theory.ecosystem import sums, zipf
    >>> slope_at_one(sums(zipf()), 8_000, [500.0, 5_000.0, 50_000.0]).round(3)
    array([ 0.145, -0.195,  0.041])
    """
    tokens, _, hold = _arguments.cells(tokens, 1, hold)
    tokens, hold = jnp.broadcast_arrays(tokens, hold)

    def average(models):
        return expected_distance(known, tokens, models, hold, generations).mean(axis=-1)

    one = jnp.ones_like(tokens)
    return jax.jvp(average, (one,), (one,))[1]


def _terms(known: VocabularySums, generations: int) -> tuple[Any, Any, Any]:
    """Return D_0, H_0 and 2 t̄ H_0 - (t̄ - 1) H_1."""
    off = known.prior_prior - 2 * known.law_prior + known.law_law
    alive = known.law - known.law_law
    slope = known.prior - known.law - 2 * (known.law_prior - known.law_law)
    mean = (_arguments.generations(generations) + 1) / 2
    return off, alive, 2 * mean * alive - (mean - 1) * slope


@float64
def conserved(sizes: Any, hold: Any) -> AnyArray:
    r"""Weights ℓ_m = (n_m + λ)/(N + Mλ) of the models, for which E Σ_m ℓ_m q^m never changes.

    Parameters
    ----------
    sizes : Float[ArrayLike, "M"]
        Tokens n_m of each segment, at least 1.
    hold : float
        Hold λ: how many tokens a model's own law counts for in a fit.

    Returns
    -------
    Float[Array, "M"]
        Weight of each model; they sum to 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Σ_m (n_m + λ) q^m becomes the pool's counts and λ Σ_m q^m, whose expectation is
    Σ_m n_m q^m + λ Σ_m q^m again. Its variance per generation is that of the pool's counts, so
    that once models are alike a type's variance H is lost at the rate
    (1/N) (N/(N + Mλ))², whatever the segments' sizes: drift depends on how many models there are,
    not on their Hill-Shannon diversity. New here.

    Examples
    --------
    >>> conserved([3, 1], 2.0)
    array([0.625, 0.375])
    """
    sizes, hold = _arguments.segments(sizes), _arguments.at_least(hold, "hold", 0)
    return (sizes + hold) / (sizes + hold).sum()
