r"""The reduction: what K models know about each other fits in d dimensions (THEORY 1.2).

Everything an entity learns from the others arrives through one d-vector,

.. math::
    c_t = (1-φ)\Big[\tfrac1K \sum_j S_{tj} \hatθ_{t-1,j} + n_t\Big] + φ X_h^\top y^h_t ,
    \qquad \hatθ_{tk} = G_{tk}^+ \left[ p\,ζ_k + q\,ζ_* + α\,c_t \right],

with :math:`p = \barαβ,\ q = \barα\barβ`, the sufficient statistics
:math:`ζ_k = \tilde X_k^\top \tilde y_k` and :math:`ζ_* = X_*^\top y_*` of the real data, and
:math:`\mathrm{Cov}(n_t) = σ^2 K^{-2} \sum_j S_{tj}`. Both are linear in the real data, the truth
and fresh noise, so a :class:`State` of K + 2 maps and one covariance, all d × d, is the whole
law of the system; the paper's Kd × Kd matrices are read off it. (Working with ζ instead of
the least-squares estimates :math:`z_k = \tilde S_k^+ ζ_k` needs no pseudo-inverse of the data.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from commensal.theory.regression._linalg import pinv_and_rank, solve_stein
from commensal.theory.regression._workflow import (
    Generation,
    Workflow,
    generations_of,
    gram,
    initial_generation,
)

T = TypeVar("T")


class State(NamedTuple):
    """Law of the estimates of one generation, as maps from the real data and the truth."""

    generation: Generation
    gain: Float[Array, "K d d"]  # G_tk⁺
    rank: Float[Array, "K"]  # rank of G_tk
    from_private: Float[Array, "K d d"]  # c_t per ζ_j
    from_public: Float[Array, "d d"]  # c_t per ζ_*
    from_human: Float[Array, "d d"]  # mean of c_t through fresh human data, per θ
    shared_noise: Float[Array, "d d"]  # Cov(c_t) given the real data


def coupling(g: Generation, gain: Float[Array, "K d d"], human_share) -> Float[Array, "d d"]:
    """A = (1-φ) (α/K) Σ S_k G_k⁺; its spectral radius is that of the paper's Q."""
    return (1 - human_share) * g.web_weight * (g.synthetic @ gain).mean(axis=0)


def fresh_noise(w: Workflow, g: Generation) -> Float[Array, "d d"]:
    """Covariance that one generation's new responses add to c_t."""
    k = w.entities
    published = g.synthetic.sum(axis=0) / k**2
    return w.noise**2 * ((1 - g.human_share) ** 2 * published + g.human_share**2 * g.human)


def first_state(w: Workflow, g: Generation, gain, rank) -> State:
    """t = 0: nothing has been published."""
    nothing = jnp.zeros_like(w.public)
    return State(g, gain, rank, jnp.zeros_like(w.private), nothing, nothing, nothing)


def advance(w: Workflow, state: State, g: Generation, gain, rank) -> State:
    """One generation: everybody publishes by ``state``, everybody refits under ``g``."""
    before = state.generation
    answered = g.synthetic @ state.gain  # S_tj G_{t-1,j}⁺
    share = 1 - g.human_share
    a = share * before.web_weight * answered.mean(axis=0)
    return State(
        generation=g,
        gain=gain,
        rank=rank,
        from_private=share * before.private_weight * answered / w.entities + a @ state.from_private,
        from_public=share * before.public_weight * answered.mean(axis=0) + a @ state.from_public,
        from_human=a @ state.from_human + g.human_share * g.human,
        shared_noise=a @ state.shared_noise @ a.T + fresh_noise(w, g),
    )


def fixed_point(w: Workflow, g: Generation, gain, rank) -> State:
    """The state that :func:`advance` leaves as it is. Meaningful only where ρ < 1."""
    answered = g.synthetic @ gain
    share = 1 - g.human_share
    a = coupling(g, gain, g.human_share)
    resolvent = jnp.linalg.inv(jnp.eye(w.dim) - a)
    return State(
        generation=g,
        gain=gain,
        rank=rank,
        from_private=resolvent @ (share * g.private_weight * answered / w.entities),
        from_public=resolvent @ (share * g.public_weight * answered.mean(axis=0)),
        from_human=resolvent @ (g.human_share * g.human),
        shared_noise=solve_stein(a, fresh_noise(w, g)),
    )


def propagate(w: Workflow, generations: int, read: Callable[[State], T]) -> T:
    """``read`` of the states t = 0..generations, stacked along a new leading axis."""
    initial, later = initial_generation(w), generations_of(w)
    length = later.web_weight.shape[0]
    grams = jnp.concatenate([gram(w, initial)[None], gram(w, later)])
    gains, ranks = pinv_and_rank(grams)  # one batched call for all generations
    start = first_state(w, initial, gains[0], ranks[0])

    def step(state: State, t):
        at = jnp.minimum(t, length - 1)
        g = jax.tree.map(lambda x: x[at], later)
        state = advance(w, state, g, gains[1 + at], ranks[1 + at])
        return state, read(state)

    _, rest = jax.lax.scan(step, start, jnp.arange(generations))
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), read(start), rest)


# What a state says about the estimates.


def mean_map(w: Workflow, state: State) -> Float[Array, "K d d"]:
    """B_k with E θ̂_k = B_k θ (the identity where the estimate is unbiased)."""
    g = state.generation
    shared = (
        jnp.sum(state.from_private @ w.private, axis=0)
        + state.from_public @ w.public
        + state.from_human
    )
    return state.gain @ (
        g.private_weight * w.private + g.public_weight * w.public + g.web_weight * shared
    )


def covariance(w: Workflow, state: State) -> Float[Array, "K d d"]:
    """Cov θ̂_k over real data, published data and fresh human data."""
    g = state.generation
    p, q, alpha = g.private_weight, g.public_weight, g.web_weight
    shared = (
        jnp.sum(state.from_private @ w.private @ state.from_private.mT, axis=0)
        + state.from_public @ w.public @ state.from_public.T
    )
    with_public = state.from_public @ w.public
    common = (
        w.noise**2 * (alpha**2 * shared + q**2 * w.public)
        + w.noise**2 * alpha * q * (with_public + with_public.T)
        + alpha**2 * state.shared_noise
    )
    # half the symmetric form, so that one transposition completes it
    half = common / 2 + w.noise**2 * (
        p**2 / 2 * w.private + alpha * p * state.from_private @ w.private
    )
    half = state.gain @ half @ state.gain
    return half + half.mT


def conditional_map(w: Workflow, state: State) -> Float[Array, "K K+1 d d"]:
    """Row blocks of the paper's M_t: E[θ̂_k | real data] per z_1..z_K, z_* (Theorem 1)."""
    g = state.generation
    own = state.gain @ (g.private_weight * w.private)
    from_private = state.gain[:, None] @ (g.web_weight * state.from_private @ w.private)[None]
    k = jnp.arange(w.entities)
    from_private = from_private.at[k, k].add(own)
    from_public = state.gain @ (
        g.public_weight * w.public + g.web_weight * state.from_public @ w.public
    )
    return jnp.concatenate([from_private, from_public[:, None]], axis=1)


def conditional_covariance(state: State) -> Float[Array, "K K d d"]:
    """Blocks of the paper's C_t: Cov[θ̂_k, θ̂_l | real data] (Theorem 1)."""
    left = state.gain @ (state.generation.web_weight**2 * state.shared_noise)
    return left[:, None] @ state.gain[None]


def row_distance(w: Workflow, state: State) -> Float[Array, ""]:
    """Relative distance of the row blocks of M_t from their mean, without forming M_t."""
    g = state.generation
    own = state.gain @ (g.private_weight * w.private)
    # M_kj = δ_kj own_k + gain_k shared_j ; j runs over the K private sets and the public one
    shared = g.web_weight * state.from_private @ w.private
    public = g.public_weight * w.public + g.web_weight * state.from_public @ w.public
    outer = jnp.einsum("jab,jcb->ac", shared, shared) + public @ public.T
    centred = state.gain - state.gain.mean(axis=0)

    def quadratic(gain, weight) -> Array:
        return (
            weight * jnp.sum(own**2)
            + 2 * jnp.sum(own * (gain @ shared))
            + jnp.sum((gain @ outer) * gain)
        )

    apart = quadratic(centred, 1 - 1 / w.entities)
    size = quadratic(state.gain, 1.0)
    return jnp.where(size > 0, jnp.sqrt(jnp.maximum(apart, 0) / jnp.where(size > 0, size, 1)), 0.0)
