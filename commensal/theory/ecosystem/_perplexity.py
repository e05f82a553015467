"""Expected log-perplexity, from the Laplace transform of the models' laws."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from commensal._blocks import at_once
from commensal._compiled import compiled
from commensal._precision import AnyArray, float64, is_concrete
from commensal.theory.ecosystem import _arguments
from commensal.theory.ecosystem._vocabulary import Vocabulary, checked, compressed

# ln θ of the trapezoidal rule: the integrand is analytic in |Im ln θ| < π/2, so that steps of a
# quarter are exact to rounding; it is negligible below, and above but for λ next to nothing.
_LOG = np.arange(-34.0, 72.0, 0.25)
# cells on a CPU, whatever the grid: memory, and numbers that do not depend on it
_AT_ONCE = 16


@float64
def expected_cross_entropy(
    vocabulary: Vocabulary,
    tokens: Any,
    models: Any,
    hold: Any,
    generations: int = 10,
    of: Literal["models", "pool"] = "models",
) -> AnyArray:
    r"""Expected cross-entropy -E Σ_v p_v ln q_v per generation, for M models on equal segments.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law. Where ln π is a polynomial of ln p, as :func:`zipf` makes it,
        they are compressed to 32 points first; others cost as much as they have types.
    tokens, models, hold : Float[ArrayLike, "..."]
        Budget N >= 2, number of models M in [1, N], and hold λ > 0, broadcast against each other. M
        need not be whole.
    generations : int
        Number of generations T.
    of : {"models", "pool"}
        Law whose cross-entropy it is: a model's, or the models' average law.

    Returns
    -------
    Float[Array, "... T"]
        Cross-entropy in nats. Perplexities of `diversity` eq. (3) are exp of it, but for half the
        variance of a model's cross-entropy between runs, which is of order 1/N.

    Raises
    ------
    ValueError
        If an argument is out of range, λ = 0 included, where types that are lost make it infinite.

    Notes
    -----
    New here. Let types be written independently, Poisson(n q^l_v) tokens by model l, each dealt to
    a model by chance; read against the total Σ_v q_v, that is the multinomial process up to
    relative errors of order 1/N. Then E exp(-Σ_m θ_m q^m_v) = exp(-U_t(θ) π_v - W_t(θ) p_v) with
    the same U and W for all types: the last fit gives, with n' = n + λ and
    G = Σ_m (1 - e^{-θ_m/n'}), U = w Σ θ_m and W = n G, and each one before it
    θ_l ← w θ_l + (n/M) G. Of (θ, 0, ..., 0) two values remain different, so two numbers are enough
    for any M. At last, by Frullani's integral,

    .. math:: E \ln q = \int_0^\infty \frac{e^{-\theta} - E e^{-\theta q}}{\theta} d\theta .

    Examples
    --------
    Mean perplexity over ten generations for M = 1, 2, 4, 16, 64 (claim
    ``commensal.proxy_u_shape``):

    >>> from commensal.theory.ecosystem import zipf
    >>> models = [1, 2, 4, 16, 64]
    >>> nats = expected_cross_entropy(zipf(), 16_000, models, 5_000.0)
    >>> np.exp(nats).mean(axis=-1).round(1)
    array([418.2, 345.1, 325.8, 337. , 347.6])
    """
    tokens, models, hold = _arguments.cells(tokens, models, hold)
    _positive(hold)
    _arguments.one_of(of, "of", ("models", "pool"))
    vocabulary = checked(vocabulary)
    generations = _arguments.generations(generations)
    points = _points(vocabulary)
    cells = jnp.broadcast_arrays(tokens, models, hold)
    flat = jnp.stack([c.ravel() for c in cells], axis=-1)
    found = _cells(points, flat, generations, of == "pool")
    return found.reshape(*cells[0].shape, generations)


@partial(compiled, heavy=True, static_argnames=("generations", "pool"))
def _cells(points: Any, cells: Any, generations: int, pool: bool) -> Any:
    def one(cell):
        tokens, models, hold = cell
        share = tokens / models
        keep = hold / (share + hold)
        theta = jnp.exp(_LOG)
        first = (theta / models, theta / models) if pool else (theta, jnp.zeros_like(theta))

        def step(state, _):
            x, y = state
            read = [-jnp.expm1(-z / (share + hold)) for z in state]
            total = read[0] + (models - 1) * read[1]
            u, w = keep * (x + (models - 1) * y), share * total
            written = total * share / models
            return (keep * x + written, keep * y + written), _nats(points, u, w)

        return jax.lax.scan(step, first, length=generations)[1]

    needed = 8.0 * _LOG.size * (8 + 6 * points[0].size)  # of a cell
    return jax.lax.map(one, cells, batch_size=at_once(len(cells), needed, _AT_ONCE))


def _nats(points: Any, u: Any, w: Any) -> Any:
    """Return -E Σ p ln(q / Σ q), given the exponents of the Laplace transform at all θ."""
    law, prior, weights = points
    theta = jnp.exp(_LOG)[:, None]
    exponent = u[:, None] * prior + w[:, None] * law
    # e^{-θ} - e^{-E} where both are near one
    gap = jnp.where(theta < 1e-3, jnp.expm1(-theta) - jnp.expm1(-exponent), 0.0)
    gap = jnp.where(theta < 1e-3, gap, jnp.exp(-theta) - jnp.exp(-exponent))
    mass = (jnp.expm1(-theta[:, 0]) - jnp.expm1(-u - w)).sum()
    return (mass - gap.sum(axis=0) @ weights) * (_LOG[1] - _LOG[0])


def _points(vocabulary: Vocabulary) -> Any:
    if is_concrete(vocabulary):
        return tuple(jnp.asarray(x) for x in compressed(vocabulary))
    return vocabulary.law, vocabulary.prior, vocabulary.law


def _positive(hold: Any) -> None:
    if is_concrete(hold) and (np.asarray(hold) <= 0).any():
        raise ValueError(
            "hold must be above 0: without it types that are lost make perplexity infinite"
        )


@float64
def segment_cross_entropies(
    vocabulary: Vocabulary, sizes: Any, hold: Any, generations: int = 10
) -> AnyArray:
    """Expected cross-entropy of each model per generation, for segments of any sizes.

    Parameters
    ----------
    vocabulary : Vocabulary
        True law and pretrained law.
    sizes : Float[ArrayLike, "M"]
        Tokens n_m of each segment, at least 1.
    hold : float
        Hold λ > 0: how many tokens a model's own law counts for in a fit.
    generations : int
        Number of generations T.

    Returns
    -------
    Float[Array, "T M"]
        Cross-entropies in nats.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    As :func:`expected_cross_entropy`, with θ_l ← w_l θ_l + (n_l/N) Σ_m n_m (1 - e^{-θ_m/(n_m+λ)}).

    Examples
    --------
    >>> from commensal.theory.ecosystem import zipf
    >>> nats = segment_cross_entropies(zipf(), [10_000, 4_000, 2_000], 5_000.0)
    >>> np.exp(nats).mean(axis=0).round(1)
    array([335.4, 327.5, 321. ])
    """
    sizes, hold = _arguments.segments(sizes), _arguments.at_least(hold, "hold", 0)
    _positive(hold)
    points = _points(checked(vocabulary))
    return _segments(points, sizes, hold, _arguments.generations(generations))


@partial(compiled, heavy=True, static_argnames="generations")
def _segments(points: Any, sizes: Any, hold: Any, generations: int) -> Any:
    keep, tokens = (hold / (sizes + hold))[:, None], sizes.sum()
    size = sizes[:, None]

    def one(m):
        first = jnp.where(jnp.arange(sizes.size)[:, None] == m, jnp.exp(_LOG), 0.0)

        def step(theta, _):
            read = (size * -jnp.expm1(-theta / (size + hold))).sum(axis=0)
            found = _nats(points, (keep * theta).sum(axis=0), read)
            return keep * theta + size / tokens * read, found

        return jax.lax.scan(step, first, length=generations)[1]

    return jax.lax.map(one, jnp.arange(sizes.size)).T
