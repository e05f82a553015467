"""Expected quadratic distances from the true law, without a loop over the vocabulary."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.theory.ecosystem import _arguments
from commensal.theory.ecosystem._island import island, scan_segments
from commensal.theory.ecosystem._vocabulary import VocabularySums

Of = Literal["models", "pool"]


@float64
def expected_distance(
    known: VocabularySums,
    tokens: Any,
    models: Any,
    hold: Any,
    generations: int = 10,
    of: Of = "models",
) -> AnyArray:
    r"""Expected distance E Σ_v a_v (q_v - p_v)² per generation, exactly, for M equal segments.

    Parameters
    ----------
    known : VocabularySums
        Sums of the vocabulary for the distance, from :func:`commensal.theory.ecosystem.sums`.
    tokens, models, hold : Float[ArrayLike, "..."]
        Budget N >= 2, number of models M in [1, N] and hold λ, broadcast against each other. M need
        not be whole: the result is differentiable in all three.
    generations : int
        Number of generations T.
    of : {"models", "pool"}
        Law whose distance it is: a model's, as `diversity` eq. (3) averages it, or the models'
        average law, which is what they write together.

    Returns
    -------
    Float[Array, "... T"]
        Distance after each generation, float64.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The recursion of :func:`island` is linear and the same for all types, so weighted sums over
    types obey it, too: the vocabulary enters by five numbers, and a cell costs some hundred
    operations (new here). With m the mean, D_0 the distance of the pretrained law,
    H = Σ a m (1 - m): D = w² D_0 + f for a model, D = w² D_0 + b for the pool,
    b = f/M + (1 - 1/M) g, and

    .. math:: b \leftarrow b + (1-w)^2 (H - f) / N

    exactly. One model on N tokens that holds on to Mλ moves as little (the same w) and obeys the
    same with f = b; as f >= b, the pool is never further off than it (proved here).

    Examples
    --------
    The best number of models by χ², on average over ten generations:

    >>> from commensal.theory.ecosystem import sums, zipf
    >>> d = expected_distance(sums(zipf()), 16_000, [1, 2, 4, 8, 16], 5_000.0).mean(axis=-1)
    >>> d.round(3)
    array([0.507, 0.489, 0.498, 0.542, 0.585])
    """
    tokens, models, hold = _arguments.cells(tokens, models, hold)
    _arguments.one_of(of, "of", ("models", "pool"))
    cells = jnp.broadcast_arrays(tokens, models, hold)
    return _distance(known, *cells, _arguments.generations(generations), of == "pool")


@partial(compiled, heavy=True, static_argnames=("generations", "pool"))
def _distance(
    known: VocabularySums, tokens: Any, models: Any, hold: Any, generations: int, pool: bool
) -> Any:
    share = tokens / models
    keep = hold / (share + hold)
    bias = keep**2 * (known.prior_prior - 2 * known.law_prior + known.law_law)
    alive = mean_variance(known, keep)
    first = (1 - keep) ** 2 * (known.law - known.law_law) / share, jnp.zeros_like(share)

    def step(state, _):
        # what is left to lose, H - f and H - g, decays: the recursion without its constant term
        left = island(alive - state[0], alive - state[1], 0.0, keep, share, models)
        f, g = state
        return (alive - left[0], alive - left[1]), (
            f / models + (1 - 1 / models) * g if pool else f
        )

    _, found = jax.lax.scan(step, first, length=generations)
    return jnp.moveaxis(bias + found, 0, -1)


def mean_variance(known: VocabularySums, keep: Any) -> Any:
    """Sum H = Σ a m (1 - m) of m = w π + (1 - w) p: the largest distance that collapse can add."""
    return (
        keep * known.prior
        + (1 - keep) * known.law
        - keep**2 * known.prior_prior
        - 2 * keep * (1 - keep) * known.law_prior
        - (1 - keep) ** 2 * known.law_law
    )


@float64
def segment_distances(
    known: VocabularySums, sizes: Any, hold: Any, generations: int = 10, of: Of = "models"
) -> AnyArray:
    """Expected quadratic distance of each model, or of the pool, for segments of any sizes.

    Parameters
    ----------
    known : VocabularySums
        Sums of the vocabulary, from :func:`sums`.
    sizes : Float[ArrayLike, "M"]
        Tokens n_m of each segment, at least 1.
    hold : float
        Hold λ: how many tokens a model's own law counts for in a fit.
    generations : int
        Number of generations T.
    of : {"models", "pool"}
        Law whose distance it is: each model's, or Σ n_m q^m / N, the law of what they write
        together.

    Returns
    -------
    Float[Array, "T M"] or Float[Array, "T"]
        Distances of the models, or that of the pool.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from commensal.theory.ecosystem import sums, zipf
    >>> segment_distances(sums(zipf()), [8_000, 4_000, 4_000], 5_000.0)[-1].round(3)
    array([0.724, 0.724, 0.724])
    """
    sizes, hold = _arguments.segments(sizes), _arguments.at_least(hold, "hold", 0)
    _arguments.one_of(of, "of", ("models", "pool"))
    keep = hold / (sizes + hold)
    move = 1 - keep
    # two combinations of types ride through the recursion: Σ a q, and Σ a p q
    plain = keep * known.prior + move * known.law
    with_law = keep * known.law_prior + move * known.law_law
    second = (
        jnp.outer(keep, keep) * known.prior_prior
        + (jnp.outer(keep, move) + jnp.outer(move, keep)) * known.law_prior
        + jnp.outer(move, move) * known.law_law
        + jnp.diag(move**2 / sizes) * (known.law - known.law_law)
    )
    steps = _arguments.generations(generations)
    _, second = scan_segments(plain[:, None], second[..., None], sizes, keep, steps)
    # means alone
    zero = jnp.zeros((sizes.size, sizes.size, 1))
    with_law, _ = scan_segments(with_law[:, None], zero, sizes, keep, steps)
    second, with_law = second[..., 0], with_law[..., 0]
    if of == "models":
        own = jnp.diagonal(second, axis1=1, axis2=2)
        return own - 2 * with_law + known.law_law
    share = sizes / sizes.sum()
    pool = jnp.einsum("tkl,k,l->t", second, share, share)
    return pool - 2 * with_law @ share + known.law_law
