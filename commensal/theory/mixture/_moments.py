r"""Means and variances over runs, exact at every generation for well-separated components.

The law of one generation (see ``_setup``) is linear in weights and web plus a noise whose variance
is quadratic, p(1-p); so are the posts. First and second moments therefore obey closed linear
recursions, component by component: nothing is assumed slow, large or small. With
:math:`q = \barα^k`, :math:`g = S_1/(1-Bc)`, :math:`f = N/(N+nL)`, :math:`h = L/(N+nL)` and
x_i = π_{i,b}, a = a_b,

.. math::
    x_i' &= q x_i + g (a - c) + \text{noise}, &
        \mathrm{Var}(\text{noise}) &= \tfrac{s^2}{(1-Bc)^2}\, E[a(1-a)], \\
    a' &= f a + h \textstyle\sum_j x_j + \text{noise}, &
        \mathrm{Var}(\text{noise}) &= \tfrac{L}{(N+nL)^2} \textstyle\sum_j E[x_j(1-x_j)],

all noises uncorrelated, and :math:`E[p(1-p)] = m(1-m) - \mathrm{Var}\,p`.

*Disagreement.* In :math:`x_i - x_j` the web cancels: it contracts by q_t and gets fresh noise,
whatever the consensus does,

.. math:: E(x_i - x_j)^2 \leftarrow q_t^2\,E(x_i - x_j)^2 + 2\,\mathrm{Var}(\text{noise}_t).

*Drift of the consensus.* As :math:`(a - c)/(1-Bc) - 1/B = (a - 1/B)/(1-Bc)`, the prior c stretches
deviations from uniform weights, all by the same factor. Models follow the web in about one
generation; the web follows the models at the rate 1/t: it moves by O(c_t/t) = O(t^{-2}) per
generation, which can be summed. So does the variance that posts add, and the consensus settles at
a random limit, elsewhere in every run.

*What is left out.* The positivity step. It acts on components that are all but extinct
(``positivity_probability``); where c = 0 it never acts and the recursion is exact.

*The noise law beside it.* ``disagreement`` leaves out that the web grows and that k is finite. With
n = 3, L = 3, β = 1/2 and 20 points to start from, the exact root mean square ‖D‖_F exceeds its by
6.4% at t = 5, 3.5% at t = 10 and 0.7% at t = 50 (β = 0.2, n = 5, L = 2: 8.6%, 4.4%, 0.9%).
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from commensal._compiled import compiled
from commensal._precision import AnyArray, float64
from commensal.theory.mixture._setup import Setup

_LONGEST = 2**15


class MixtureMoments(NamedTuple):
    """Means and variances over runs at t = 0..T, for n models and B components.

    Attributes
    ----------
    weights : Float[Array, "T+1 n B"]
        Expected weights E π_i of each model.
    web : Float[Array, "T+1 B"]
        Expected composition E a of A^{(t)}.
    variance : Float[Array, "T+1 n B"]
        Variance of the weights, Var π_i, over runs.
    web_variance : Float[Array, "T+1 B"]
        Variance of the composition, Var a, over runs.
    consensus_variance : Float[Array, "T+1 B"]
        Variance over runs of the mean of all models' weights.
    disagreement : Float[Array, "T+1"]
        Mean squared disagreement E‖D^{(t)}‖_F², D of eq. (4).
    heterogeneity : Float[Array, "T+1"]
        Sum Σ_b E[p_b(1-p_b)] of the consensus p, which the noise law multiplies.
    """

    weights: Float[AnyArray, "S n B"]
    web: Float[AnyArray, "S B"]
    variance: Float[AnyArray, "S n B"]
    web_variance: Float[AnyArray, "S B"]
    consensus_variance: Float[AnyArray, "S B"]
    disagreement: Float[AnyArray, "S"]
    heterogeneity: Float[AnyArray, "S"]


class ConsensusLimit(NamedTuple):
    """Moments over runs of the weights on which all models agree as t → ∞.

    Attributes
    ----------
    weights : Float[Array, "B"]
        Mean weights over runs.
    variance : Float[Array, "B"]
        Variance of the weights over runs.
    error : Float[Array, ""]
        Largest change that the last step of the extrapolation made to either.
    """

    weights: Float[AnyArray, "B"]
    variance: Float[AnyArray, "B"]
    error: Float[AnyArray, ""]


@float64
def second_moments(setup: Setup, generations: int) -> MixtureMoments:
    """Exact means, variances and E‖D‖_F² at t = 0..T, for well-separated components.

    Parameters
    ----------
    setup : Setup
        System of mixtures.
    generations : int
        Number of generations T, at least 1.

    Returns
    -------
    MixtureMoments
        Moments, as float64 arrays; entry t is D^{(t)} before the update of generation t, as in
        Algorithm 3.

    Raises
    ------
    ValueError
        If ``generations`` is below 1.

    Notes
    -----
    `webdynamics` sec. 3.2 and eq. (7)-(10), without the approximations below (10). New here: the
    second moments. Differentiable in initial weights and web. O(T n² B).

    Examples
    --------
    >>> setup = Setup(3, 2, 3, 0.5, 20, web=[0.5, 0.5])
    >>> moments = second_moments(setup, 200)
    >>> (moments.disagreement[[0, 10, 200]] ** 0.5).round(4)
    array([1.4142, 0.1826, 0.0415])
    """
    return _moments(setup, generations)


def _moments(setup: Setup, generations: int) -> MixtureMoments:
    schedule = setup.schedule(generations)
    n, b, posts = setup.models, setup.components, setup.posts
    stretch = 1 - b * schedule.prior
    gain = (1 - schedule.contraction) / stretch
    after = schedule.points + n * posts
    rows = (
        schedule.contraction,
        gain,
        -gain * schedule.prior,
        schedule.noise,
        schedule.points / after,
        posts / after,
        posts / after**2.0,
    )
    rows = tuple(jnp.asarray(row, dtype=jnp.float64) for row in rows)
    return _recursion(tuple(setup.initial()), rows)


@partial(compiled, heavy=True)
def _recursion(start: Any, rows: Any) -> MixtureMoments:
    n = start[0].shape[0]
    diagonal = jnp.eye(n)[:, :, None]

    def step(state, row):
        kept, gain, shift, noise, old, new, post_noise = row
        x, a, covariance, cross, spread = state
        mixed = jnp.einsum("iib->ib", x * (1 - x) * diagonal) - jnp.einsum("iib->ib", covariance)
        a_mixed = a * (1 - a) - spread
        shared = kept * gain * (cross[:, None] + cross[None]) + gain**2 * spread
        state = (
            kept * x + gain * a + shift,
            old * a + new * x.sum(axis=0),
            kept**2 * covariance + shared + diagonal * noise * a_mixed,
            kept * (old * cross + new * covariance.sum(axis=1))
            + gain * (old * spread + new * cross.sum(axis=0)),
            old**2 * spread
            + 2 * old * new * cross.sum(axis=0)
            + new**2 * covariance.sum(axis=(0, 1))
            + post_noise * mixed.sum(axis=0),
        )
        return state, read(state)

    def read(state):
        x, a, covariance, _, spread = state
        variance = jnp.einsum("iib->ib", covariance)
        consensus = covariance.mean(axis=(0, 1))
        # Σ_ij E|π_i - π_j|² = 2n Σ_i E|π_i - mean|²
        apart = jnp.sum((x - x.mean(axis=0)) ** 2) + jnp.sum(variance) - n * jnp.sum(consensus)
        mean = x.mean(axis=0)
        mixed = jnp.sum(mean * (1 - mean) - consensus)
        return MixtureMoments(x, a, variance, spread, consensus, 2 * n * apart, mixed)

    _, later = jax.lax.scan(step, start, rows)
    return jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest]), read(start), later
    )


def consensus_limit(setup: Setup, generations: int = _LONGEST) -> ConsensusLimit:
    r"""Mean and variance over runs of the weights that all models finally share.

    Parameters
    ----------
    setup : Setup
        System with the paper's c_t = 1/(k_t B²), or with prior 0: a constant c > 0 never lets the
        weights settle.
    generations : int
        Number of generations for which the recursion is run before it is extrapolated; rounded up
        to a multiple of 8.

    Returns
    -------
    ConsensusLimit
        Named arrays, with an estimate of the error.

    Raises
    ------
    ValueError
        If the prior is a positive constant.

    Notes
    -----
    New here. What is missing at T has an expansion in 1/N_T (up to logarithms from the second
    order on), so the values at T/4, T/2 and T are extrapolated twice (Richardson).

    Examples
    --------
    >>> setup = Setup(3, 2, 3, 0.5, 20, web=[0.75, 0.25])
    >>> end = consensus_limit(setup)
    >>> end.weights.round(4), end.variance.round(5)
    (array([0.6767, 0.3233]), array([0.00909, 0.00909]))
    """
    if setup.prior:
        raise ValueError(f"prior must be None or 0 for a limit to exist, got {setup.prior:g}")
    top = 8 * -(-generations // 8)
    moments: Any = second_moments(setup, top)
    at = np.array([top // 4, top // 2, top])
    points = setup.points + setup.models * setup.posts * at
    values = np.stack([moments.web[at], moments.web_variance[at]])  # (2, 3, B)

    def extrapolate(values, order):
        ratio = ((points[-values.shape[1] + 1 :] / points[-values.shape[1] : -1]) ** order)[:, None]
        return (ratio * values[:, 1:] - values[:, :-1]) / (ratio - 1)

    first = extrapolate(values, 1)
    second = extrapolate(first, 2)[:, 0]
    error = np.abs(second - first[:, -1]).max()
    return ConsensusLimit(second[0], second[1], np.asarray(error))
