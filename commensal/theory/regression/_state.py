r"""Reduction of K models to d dimensions: all that they know about each other.

Everything a model learns from the others arrives through one d-vector, what it reads of the web,
:math:`u_{tk} = \sum_j W_{kj} (S_{tj} \hatθ_{t-1,j} + X_{tj}^\top w_{tj})`, so that

.. math::
    \hatθ_{tk} = G_{tk}^+ \left[ p\,\tilde X_k^\top \tilde y_k + q\,X_*^\top y_* + r\,u_{tk}
    + s\,X_h^\top y^h_t \right], \qquad
    p = \barαβ,\; q = \barα\barβ,\; r = α(1-φ),\; s = αφ.

Every Gram matrix is used through a factor, S = FᵀF (see :mod:`._factors`), and every response in
the coordinates of its factor: :math:`\tilde X_k^\top \tilde y_k = F_k^\top (F_k θ + e_k)` with e_k
of unit covariance, and :math:`u_{tk} = F_{M_k}^\top c_{tk}`, with :math:`F_{M_k}` the factor of
:math:`M_k = \sum_j W_{kj} S_{tj}`. There is one map :math:`G^+ F^\top` for each of the four
kinds of data, and what happens between models happens in coordinates in which the web is the
identity. Everything is linear in e_k, e_*, θ and fresh noise, so a :class:`RegressionState` of a
few maps and one covariance, for responses of unit variance, is the whole law of the system; the
paper's Kd × Kd matrices are read off it.

Models with equal rows of W hear the same: they share a channel. The c of all r channels, one below
the other, are the D = r d numbers in which the system moves; D = d where everybody reads the same,
as in the paper. :func:`_asked` (what reaches whom) and :func:`_heard_from` (who has heard it) are
all that knows of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from commensal.theory.regression import _factors
from commensal.theory.regression._factors import Factors
from commensal.theory.regression._linalg import solve_stein, spectral_radius
from commensal.theory.regression._workflow import (
    Channels,
    GenerationData,
    RegressionWorkflow,
    generations_of,
    initial_generation,
    pool,
)

T = TypeVar("T")

_ROUNDING = 1e-30  # of a squared relative distance


class Refit(NamedTuple):
    """One generation's refit of all models: G⁺Fᵀ of each of the four kinds of data."""

    generation: GenerationData
    from_private: Float[Array, "K d d"]
    from_public: Float[Array, "K d d"]
    from_web: Float[Array, "K d d"]
    from_human: Float[Array, "K d d"]
    web: Factors  # of what each channel reads, (r d d)
    human: Float[Array, "d d"]  # factor of the fresh human data
    unbiased: Bool[Array, "K"]  # whether G_k has full rank
    channels: Channels

    @property
    def own(self) -> Float[Array, "K d d"]:
        """Derivative of θ̂_k in e_k, without what comes back from the web."""
        return self.generation.private_weight * self.from_private

    @property
    def public(self) -> Float[Array, "K d d"]:
        """Derivative of θ̂_k in e_*, without what comes back from the web."""
        return self.generation.public_weight * self.from_public

    @property
    def heard(self) -> Float[Array, "K d d"]:
        """Derivative of θ̂_k in the c_t of its channel."""
        return self.share * self.from_web

    @property
    def told(self) -> Float[Array, "K d d"]:
        """Derivative of θ̂_k in a response of the fresh human data."""
        return self.generation.web_weight * self.generation.human_share * self.from_human

    @property
    def share(self) -> Float[Array, ""]:
        """Weight α (1-φ) of the data that models wrote."""
        return self.generation.web_weight * (1 - self.generation.human_share)


class FactoredWorkflow(NamedTuple):
    """A workflow in factors: its data and its refits."""

    private: Factors  # (K d d)
    public: Factors
    pooled: Factors  # all real data of all models together
    first: Refit  # t = 0
    later: Refit  # t = 1, 2, ..., with a leading axis, of length 1 where nothing varies
    condition: Float[Array, ""]  # of the data; infinite if a rank is undecided
    reach: Float[Array, ""]  # largest over smallest weight

    def rounding(self, gap: Any = 1.0) -> Float[Array, ""]:
        """Estimated relative error of variances; see :func:`._factors.rounding`."""
        return _factors.rounding(self.condition, self.reach, gap)


class RegressionState(NamedTuple):
    """Law of the estimates of one generation, for responses of unit variance."""

    fit: Refit
    from_private: Float[Array, "K D d"]  # c_t per e_j
    from_public: Float[Array, "D d"]  # c_t per e_*
    from_human: Float[Array, "D d"]  # mean of c_t through fresh human data, per θ
    noise: Float[Array, "D D"]  # Cov(c_t) given the real data


def system_of(w: RegressionWorkflow) -> tuple[FactoredWorkflow, Float[Array, ""]]:
    """Factor a workflow; return it with σ in the units in which its data are of order one.

    All eigendecompositions are one batched call, and all refits another.
    """
    w, root = in_units(w)
    rounds = jax.tree.map(
        lambda a, b: jnp.concatenate([a[None], b]), initial_generation(w), generations_of(w)
    )
    count, k, d = rounds.web_weight.shape[0], w.models, w.dim
    web = pool(rounds, rounds.synthetic)  # (count r d d)
    weights = jnp.stack(_weights(rounds), axis=-1)
    # Ranks are decided on data that all have the same size: no weight is too small to count.
    of_models = w.channels.to_models
    kinds = (w.private, w.public, of_models(web, axis=1), rounds.human[:, None])
    grams = _factors.unit_grams(_by_kind(kinds, (count, k, d, d)))
    order = jnp.argsort(-weights, axis=-1)[:, None, :, None, None]
    grams = jnp.where((weights > 0)[:, None, :, None, None], grams, 0)
    grams = jax.lax.stop_gradient(jnp.take_along_axis(grams, order, axis=-3))
    together = jnp.cumsum(grams, axis=-3)
    # One batched eigendecomposition, which all others wait for (see _linalg).
    pooled = w.private.sum(axis=0) + w.public
    later, r = count - 1, w.channels.count
    webs = web[1:].reshape(-1, d, d)
    data = [w.private, jnp.stack([w.public, pooled]), webs, rounds.human[1:]]
    data = jnp.concatenate(data)
    n = data.shape[0]
    spectra = _factors.spectra(jnp.concatenate([data, together.reshape(-1, d, d)]))
    factors = _factors.factors(data, jax.tree.map(lambda x: x[:n], spectra))
    last = n - later
    places = (slice(0, k), k, k + 1, slice(k + 2, last), slice(last, n))
    private, public, pooled, webs, human = (
        jax.tree.map(lambda x, at=at: x[at], factors) for at in places
    )
    webs = jax.tree.map(lambda x: x.reshape(later, r, d, d), webs)
    webs, human = (jax.tree.map(lambda x: jnp.concatenate([x[:1], x]), f) for f in (webs, human))
    ordered = jax.tree.map(lambda x: x[n:].reshape(*grams.shape[:-2], *x.shape[1:]), spectra)
    basis = _factors.sorted_basis(grams, ordered)
    roots = (private.root, public.root, of_models(webs.root, axis=1), human.root[:, None])
    roots = _by_kind(roots, (count, k, d, d))
    weights = jnp.broadcast_to(weights[:, None], roots.shape[:-2])
    estimate = _factors.least_squares(weights, roots, basis).estimate
    unbiased = (basis.level < roots.shape[-3]).all(axis=-1)
    from_private, from_public, from_web, from_human = jnp.split(estimate, 4, axis=-1)
    estimates = (from_private, from_public, from_web, from_human)
    fits = Refit(rounds, *estimates, webs, human.root, unbiased, w.channels)
    system = FactoredWorkflow(
        private,
        public,
        pooled,
        first=jax.tree.map(lambda x: x[0], fits),
        later=jax.tree.map(lambda x: x[1:], fits),
        condition=_factors.condition_of(spectra.values).max(),
        reach=_factors.reach_of(weights).max(),
    )
    return system, w.noise / root


def in_units(w: RegressionWorkflow) -> tuple[RegressionWorkflow, Float[Array, ""]]:
    """Return the workflow scaled so that its data are of order one, and its features' unit."""
    grams = (w.private, w.public, w.synthetic, w.human)
    size = jnp.stack([jnp.abs(x).max() for x in grams if x is not None]).max()
    exponent = jnp.frexp(jax.lax.stop_gradient(size))[1] // 2
    # a power of two, in two steps, so that nothing is rounded and 4^m does not overflow
    root = jnp.ldexp(jnp.ones(()), exponent)
    scaled = [None if x is None else x / root / root for x in grams]
    fields = dict(zip(("private", "public", "synthetic", "human"), scaled, strict=True))
    return w.replace(**fields), root


def _by_kind(kinds: tuple[Array, ...], shape: tuple[int, ...]) -> Float[Array, "T K kinds d d"]:
    return jnp.stack([jnp.broadcast_to(x, shape) for x in kinds], axis=-3)


def _weights(g: GenerationData) -> tuple[Array, Array, Array, Array]:
    """Return the weights of private, public, synthetic and fresh human data."""
    written = g.web_weight * (1 - g.human_share)
    return g.private_weight, g.public_weight, written, g.web_weight * g.human_share


def constant_fit(s: FactoredWorkflow) -> Refit:
    """Return the refit that a time-constant workflow repeats."""
    return jax.tree.map(lambda x: x[0], s.later)


def _asked(fit: Refit) -> Float[Array, "K D d"]:
    """Derivative of c_t in θ̂_{t-1,j}: what model j's answers add to each channel, in its basis."""
    synthetic, reads = fit.generation.synthetic, fit.generation.reads
    k, d, _ = synthetic.shape
    if reads is None:
        return fit.web.coroot @ synthetic / k
    asked = reads[:, :, None, None] * (fit.web.coroot[:, None] @ synthetic)
    return asked.swapaxes(0, 1).reshape(k, -1, d)


def _heard_from(fit: Refit, answers: Float[Array, "K D d"]) -> Float[Array, "D D"]:
    """Sum over models, by what they have heard: columns of model k belong to its channel."""
    channels = fit.channels
    if channels.count == 1:
        return answers.sum(axis=0)
    found = jax.ops.segment_sum(answers, jnp.array(channels.of), channels.count)
    return jnp.concatenate(list(found), axis=-1)


def _of_models(fit: Refit, told: Float[Array, "*b D e"]) -> Float[Array, "*b #K d e"]:
    """Return the rows of each model's channel."""
    blocks = told.reshape(*told.shape[:-2], fit.channels.count, -1, told.shape[-1])
    return fit.channels.to_models(blocks, axis=-3)


def _published(fit: Refit) -> Float[Array, "D D"]:
    """Covariance of the responses' own noise in c_t; 1/K in all directions of a uniform web."""
    synthetic, reads = fit.generation.synthetic, fit.generation.reads
    k, d, _ = synthetic.shape
    coroot = fit.web.coroot
    if reads is None:
        return jnp.diag((jnp.abs(coroot[0]).max(axis=-1) > 0) / k)
    # one channel's product with another's, Σ_j W_ij W_lj F_i⁺ᵀ S_j F_l⁺
    both = jnp.einsum("ij,lj,jab->ilab", reads, reads, synthetic)
    found = coroot[:, None] @ both @ coroot.mT[None]
    return found.swapaxes(1, 2).reshape(reads.shape[0] * d, -1)


def growth(fit: Refit) -> Float[Array, ""]:
    """Spectral radius of the map c_{t-1} → c_t, which equals that of the paper's Q."""
    # α outside: the radius is linear in it at 0, where a matrix of zeros would have no slope
    return fit.share * spectral_radius(_heard_from(fit, _asked(fit) @ fit.from_web))


def _fresh(fit: Refit, told: Float[Array, "K D d"]) -> Float[Array, "D D"]:
    """Covariance that ``told``, derivatives of c_t in fresh human responses, add to it."""
    if fit.generation.human_data.own:
        return (told @ told.mT).sum(axis=0)
    together = told.sum(axis=0)
    return together @ together.T


def _first_state(fit: Refit) -> RegressionState:
    """Return the state at t = 0, when nothing has been published."""
    k, d, _ = fit.from_private.shape
    size = fit.channels.count * d
    nothing = jnp.zeros((size, d))
    return RegressionState(fit, jnp.zeros((k, size, d)), nothing, nothing, jnp.zeros((size, size)))


def _advance(state: RegressionState, fit: Refit) -> RegressionState:
    """Advance one generation: models publish by ``state`` and are refitted by ``fit``."""
    before, asked = state.fit, _asked(fit)
    a = _heard_from(fit, asked @ before.heard)
    told = asked @ before.told
    return RegressionState(
        fit=fit,
        from_private=asked @ before.own + a @ state.from_private,
        from_public=(asked @ before.public).sum(axis=0) + a @ state.from_public,
        from_human=told.sum(axis=0) @ before.human + a @ state.from_human,
        noise=a @ state.noise @ a.T + _fresh(fit, told) + _published(fit),
    )


def fixed_point(fit: Refit) -> RegressionState:
    """Return the state that a generation leaves unchanged; meaningful only if the radius is < 1."""
    asked = _asked(fit)
    a = _heard_from(fit, asked @ fit.heard)
    told = asked @ fit.told
    resolvent = jnp.linalg.inv(jnp.eye(a.shape[0]) - a)
    return RegressionState(
        fit=fit,
        from_private=resolvent @ (asked @ fit.own),
        from_public=resolvent @ (asked @ fit.public).sum(axis=0),
        from_human=resolvent @ told.sum(axis=0) @ fit.human,
        noise=solve_stein(a, _fresh(fit, told) + _published(fit)),
    )


def propagate(s: FactoredWorkflow, generations: int, read: Callable[[RegressionState], T]) -> T:
    """Stack ``read`` of the states t = 0..generations along a new leading axis."""
    length = s.later.unbiased.shape[0]
    start = _first_state(s.first)

    def step(state: RegressionState, t):
        state = _advance(state, jax.tree.map(lambda x: x[jnp.minimum(t, length - 1)], s.later))
        return state, read(state)

    _, rest = jax.lax.scan(step, start, jnp.arange(generations))
    return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), read(start), rest)


# What a state says about the estimates.


def projection(s: FactoredWorkflow, fit: Refit) -> Float[Array, "K d d"]:
    """Projection G_k⁺G_k on the directions that model k's data cover."""
    real = fit.own @ s.private.root + fit.public @ s.public.root
    web = fit.channels.to_models(fit.web.root, axis=0)
    return real + fit.heard @ web + fit.told @ fit.human


def mean_map(s: FactoredWorkflow, state: RegressionState) -> Float[Array, "K d d"]:
    """Return B_k with E θ̂_k = B_k θ (the identity where the estimate is unbiased)."""
    fit = state.fit
    shared = (state.from_private @ s.private.root).sum(axis=0)
    shared += state.from_public @ s.public.root + state.from_human
    alone = fit.own @ s.private.root + fit.public @ s.public.root + fit.told @ fit.human
    return alone + fit.heard @ _of_models(fit, shared)


def covariance(state: RegressionState) -> Float[Array, "K d d"]:
    """Covariance of θ̂_k over real, published and fresh human data, for unit noise."""
    fit = state.fit
    # Sums of squares, so that no variance can come out negative.
    k, d, _ = fit.own.shape
    r = fit.channels.count
    by_channel = state.from_private.reshape(k, r, d, d)
    noise = jnp.einsum("iaib->iab", state.noise.reshape(r, d, r, d))
    channel = np.array(fit.channels.of)

    def mine(x: Array) -> Array:  # of each model in its own channel
        return x[:, 0] if r == 1 else x[jnp.arange(k), channel]

    own = fit.own + fit.heard @ mine(by_channel)
    public = fit.public + fit.heard @ _of_models(fit, state.from_public)
    squares = by_channel @ by_channel.mT
    others = fit.channels.to_models(squares.sum(axis=0) + noise, axis=0) - mine(squares)
    found = fit.heard @ others @ fit.heard.mT
    found = (found + found.mT) / 2
    return found + own @ own.mT + public @ public.mT + fit.told @ fit.told.mT


def conditional_map(s: FactoredWorkflow, state: RegressionState) -> Float[Array, "K K+1 d d"]:
    """Row blocks of the paper's M_t: E[θ̂_k | real data] per z_1..z_K, z_* (Theorem 1)."""
    fit = state.fit
    # (models that hear, models that said it)
    shared = _of_models(fit, state.from_private @ s.private.root).swapaxes(0, 1)
    from_private = fit.heard[:, None] @ shared
    k = jnp.arange(from_private.shape[0])
    from_private = from_private.at[k, k].add(fit.own @ s.private.root)
    public = fit.public + fit.heard @ _of_models(fit, state.from_public)
    return jnp.concatenate([from_private, (public @ s.public.root)[:, None]], axis=1)


def human_map(state: RegressionState) -> Float[Array, "K d d"]:
    """Addition of fresh human data to E[θ̂_k | real data], per θ."""
    fit = state.fit
    return fit.heard @ _of_models(fit, state.from_human) + fit.told @ fit.human


def conditional_covariance(state: RegressionState) -> Float[Array, "K K d d"]:
    """Blocks of the paper's C_t: Cov[θ̂_k, θ̂_l | real data] (Theorem 1), for unit noise."""
    fit = state.fit
    r, d = fit.channels.count, fit.heard.shape[-1]
    noise = state.noise.reshape(r, d, r, d).swapaxes(1, 2)  # by pairs of channels
    noise = fit.channels.to_models(fit.channels.to_models(noise, axis=0), axis=1)
    heard = fit.heard[:, None] @ noise @ fit.heard.mT[None]
    if fit.generation.human_data.own:
        k = jnp.arange(fit.told.shape[0])
        return heard.at[k, k].add(fit.told @ fit.told.mT)
    return heard + fit.told[:, None] @ fit.told.mT[None]


def row_distance(s: FactoredWorkflow, state: RegressionState) -> Float[Array, ""]:
    """Relative distance of the row blocks of M_t from their mean, without forming M_t."""
    fit = state.fit
    k = fit.own.shape[0]
    own = fit.own @ s.private.root
    heard = fit.channels.widened(fit.heard)
    public = (fit.public + heard @ state.from_public) @ s.public.root
    # M_kj = δ_kj own_k + heard_k shared_j for the private data of j; public_k for the public data
    shared = state.from_private @ s.private.root
    outer = jnp.einsum("jab,jcb->ac", shared, shared)

    def quadratic(heard, weight) -> Array:
        cross = 2 * jnp.sum(own * (heard @ shared))
        return weight * jnp.sum(own**2) + cross + jnp.sum((heard @ outer) * heard)

    apart = quadratic(heard - heard.mean(axis=0), 1 - 1 / k)
    apart += jnp.sum((public - public.mean(axis=0)) ** 2)
    size = quadratic(heard, 1.0) + jnp.sum(public**2)
    # Below rounding there is consensus, where the distance has its smallest value and slope 0.
    told_apart = apart > _ROUNDING * size
    ratio = jnp.where(told_apart, apart, 1.0) / jnp.where(told_apart, size, 1.0)
    return jnp.where(told_apart, jnp.sqrt(ratio), 0.0)
