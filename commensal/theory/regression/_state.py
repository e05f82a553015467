r"""Reduction of K models to d dimensions: all that they know about each other.

Everything a model learns from the others arrives through one d-vector,
:math:`u_t = \tfrac1K \sum_j (S_{tj} \hatθ_{t-1,j} + X_{tj}^\top w_{tj})`, so that

.. math::
    \hatθ_{tk} = G_{tk}^+ \left[ p\,\tilde X_k^\top \tilde y_k + q\,X_*^\top y_* + r\,u_t
    + s\,X_h^\top y^h_t \right], \qquad
    p = \barαβ,\; q = \barα\barβ,\; r = α(1-φ),\; s = αφ.

Every Gram matrix is used through a factor, S = FᵀF (see :mod:`._factors`), and every response in
the coordinates of its factor: :math:`\tilde X_k^\top \tilde y_k = F_k^\top (F_k θ + e_k)` with e_k
of unit covariance, and :math:`u_t = F_{\underline S}^\top c_t`, with :math:`F_{\underline S}` the
factor of the mean synthetic Gram matrix. There is one map :math:`G^+ F^\top` for each of the four
kinds of data, and what happens between models happens in coordinates in which the web is the
identity. Everything is linear in e_k, e_*, θ and fresh noise, so a :class:`RegressionState` of a
few maps and one covariance, all d × d and for responses of unit variance, is the whole law of the
system; the paper's Kd × Kd matrices are read off it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from commensal.theory.regression import _factors
from commensal.theory.regression._factors import Factors
from commensal.theory.regression._linalg import solve_stein, spectral_radius
from commensal.theory.regression._workflow import (
    GenerationData,
    RegressionWorkflow,
    generations_of,
    initial_generation,
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
    web: Factors  # of the mean synthetic Gram matrix
    human: Float[Array, "d d"]  # factor of the fresh human data
    unbiased: Bool[Array, "K"]  # whether G_k has full rank

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
        """Derivative of θ̂_k in c_t."""
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
    from_private: Float[Array, "K d d"]  # c_t per e_j
    from_public: Float[Array, "d d"]  # c_t per e_*
    from_human: Float[Array, "d d"]  # mean of c_t through fresh human data, per θ
    noise: Float[Array, "d d"]  # Cov(c_t) given the real data


def system_of(w: RegressionWorkflow) -> tuple[FactoredWorkflow, Float[Array, ""]]:
    """Factor a workflow; return it with σ in the units in which its data are of order one.

    All eigendecompositions are one batched call, and all refits another.
    """
    w, root = in_units(w)
    rounds = jax.tree.map(
        lambda a, b: jnp.concatenate([a[None], b]), initial_generation(w), generations_of(w)
    )
    count, k, d = rounds.web_weight.shape[0], w.models, w.dim
    web = rounds.synthetic.mean(axis=-3)
    weights = jnp.stack(_weights(rounds), axis=-1)
    # Ranks are decided on data that all have the same size: no weight is too small to count.
    kinds = (w.private, w.public, web[:, None], rounds.human[:, None])
    grams = _factors.unit_grams(_by_kind(kinds, (count, k, d, d)))
    order = jnp.argsort(-weights, axis=-1)[:, None, :, None, None]
    grams = jnp.where((weights > 0)[:, None, :, None, None], grams, 0)
    grams = jax.lax.stop_gradient(jnp.take_along_axis(grams, order, axis=-3))
    together = jnp.cumsum(grams, axis=-3)
    # One batched eigendecomposition, which all others wait for (see _linalg).
    pooled = w.private.sum(axis=0) + w.public
    data = [w.private, jnp.stack([w.public, pooled]), web[1:], rounds.human[1:]]
    data = jnp.concatenate(data)
    n = data.shape[0]
    spectra = _factors.spectra(jnp.concatenate([data, together.reshape(-1, d, d)]))
    factors = _factors.factors(data, jax.tree.map(lambda x: x[:n], spectra))
    places = (slice(0, k), k, k + 1, slice(k + 2, k + 1 + count), slice(k + 1 + count, n))
    private, public, pooled, webs, human = (
        jax.tree.map(lambda x, at=at: x[at], factors) for at in places
    )
    webs, human = (jax.tree.map(lambda x: jnp.concatenate([x[:1], x]), f) for f in (webs, human))
    ordered = jax.tree.map(lambda x: x[n:].reshape(*grams.shape[:-2], *x.shape[1:]), spectra)
    basis = _factors.sorted_basis(grams, ordered)
    roots = (private.root, public.root, webs.root[:, None], human.root[:, None])
    roots = _by_kind(roots, (count, k, d, d))
    weights = jnp.broadcast_to(weights[:, None], roots.shape[:-2])
    estimate = _factors.least_squares(weights, roots, basis).estimate
    unbiased = (basis.level < roots.shape[-3]).all(axis=-1)
    from_private, from_public, from_web, from_human = jnp.split(estimate, 4, axis=-1)
    fits = Refit(
        rounds, from_private, from_public, from_web, from_human, webs, human.root, unbiased
    )
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


def _asked(fit: Refit) -> Float[Array, "K d d"]:
    """Derivative of c_t in θ̂_{t-1,j}: how model j's answers move the mean, in web coordinates."""
    return fit.web.coroot @ fit.generation.synthetic / fit.generation.synthetic.shape[0]


def _published(fit: Refit) -> Float[Array, "d d"]:
    """Covariance of the responses' own noise in c_t, σ²/K in every direction of the web."""
    seen = jnp.abs(fit.web.coroot).max(axis=-1) > 0
    return jnp.diag(seen / fit.generation.synthetic.shape[0])


def growth(fit: Refit) -> Float[Array, ""]:
    """Spectral radius of the map c_{t-1} → c_t, which equals that of the paper's Q."""
    # α outside: the radius is linear in it at 0, where a matrix of zeros would have no slope
    return fit.share * spectral_radius((_asked(fit) @ fit.from_web).sum(axis=0))


def _first_state(fit: Refit) -> RegressionState:
    """Return the state at t = 0, when nothing has been published."""
    nothing = jnp.zeros_like(fit.human)
    return RegressionState(fit, jnp.zeros_like(fit.from_private), nothing, nothing, nothing)


def _advance(state: RegressionState, fit: Refit) -> RegressionState:
    """Advance one generation: models publish by ``state`` and are refitted by ``fit``."""
    before, asked = state.fit, _asked(fit)
    a = (asked @ before.heard).sum(axis=0)
    human = (asked @ before.told).sum(axis=0)
    return RegressionState(
        fit=fit,
        from_private=asked @ before.own + a @ state.from_private,
        from_public=(asked @ before.public).sum(axis=0) + a @ state.from_public,
        from_human=human @ before.human + a @ state.from_human,
        noise=a @ state.noise @ a.T + human @ human.T + _published(fit),
    )


def fixed_point(fit: Refit) -> RegressionState:
    """Return the state that a generation leaves unchanged; meaningful only if the radius is < 1."""
    asked = _asked(fit)
    a = (asked @ fit.heard).sum(axis=0)
    human = (asked @ fit.told).sum(axis=0)
    resolvent = jnp.linalg.inv(jnp.eye(a.shape[0]) - a)
    return RegressionState(
        fit=fit,
        from_private=resolvent @ (asked @ fit.own),
        from_public=resolvent @ (asked @ fit.public).sum(axis=0),
        from_human=resolvent @ human @ fit.human,
        noise=solve_stein(a, human @ human.T + _published(fit)),
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
    return real + fit.heard @ fit.web.root + fit.told @ fit.human


def mean_map(s: FactoredWorkflow, state: RegressionState) -> Float[Array, "K d d"]:
    """Return B_k with E θ̂_k = B_k θ (the identity where the estimate is unbiased)."""
    fit = state.fit
    shared = (state.from_private @ s.private.root).sum(axis=0)
    shared += state.from_public @ s.public.root + state.from_human
    alone = fit.own @ s.private.root + fit.public @ s.public.root + fit.told @ fit.human
    return alone + fit.heard @ shared


def covariance(state: RegressionState) -> Float[Array, "K d d"]:
    """Covariance of θ̂_k over real, published and fresh human data, for unit noise."""
    fit = state.fit
    # Sums of squares, so that no variance can come out negative.
    own = fit.own + fit.heard @ state.from_private
    public = fit.public + fit.heard @ state.from_public
    squares = state.from_private @ state.from_private.mT
    others = squares.sum(axis=0) - squares + state.noise
    found = fit.heard @ others @ fit.heard.mT
    found = (found + found.mT) / 2
    return found + own @ own.mT + public @ public.mT + fit.told @ fit.told.mT


def conditional_map(s: FactoredWorkflow, state: RegressionState) -> Float[Array, "K K+1 d d"]:
    """Row blocks of the paper's M_t: E[θ̂_k | real data] per z_1..z_K, z_* (Theorem 1)."""
    fit = state.fit
    from_private = fit.heard[:, None] @ (state.from_private @ s.private.root)[None]
    k = jnp.arange(from_private.shape[0])
    from_private = from_private.at[k, k].add(fit.own @ s.private.root)
    public = fit.public + fit.heard @ state.from_public
    return jnp.concatenate([from_private, (public @ s.public.root)[:, None]], axis=1)


def conditional_covariance(state: RegressionState) -> Float[Array, "K K d d"]:
    """Blocks of the paper's C_t: Cov[θ̂_k, θ̂_l | real data] (Theorem 1), for unit noise."""
    fit = state.fit
    heard = (fit.heard @ state.noise)[:, None] @ fit.heard.mT[None]
    return heard + fit.told[:, None] @ fit.told.mT[None]


def row_distance(s: FactoredWorkflow, state: RegressionState) -> Float[Array, ""]:
    """Relative distance of the row blocks of M_t from their mean, without forming M_t."""
    fit = state.fit
    k = fit.own.shape[0]
    own = fit.own @ s.private.root
    public = (fit.public + fit.heard @ state.from_public) @ s.public.root
    # M_kj = δ_kj own_k + heard_k shared_j for the private data of j; public_k for the public data
    shared = state.from_private @ s.private.root
    outer = jnp.einsum("jab,jcb->ac", shared, shared)

    def quadratic(heard, weight) -> Array:
        cross = 2 * jnp.sum(own * (heard @ shared))
        return weight * jnp.sum(own**2) + cross + jnp.sum((heard @ outer) * heard)

    apart = quadratic(fit.heard - fit.heard.mean(axis=0), 1 - 1 / k)
    apart += jnp.sum((public - public.mean(axis=0)) ** 2)
    size = quadratic(fit.heard, 1.0) + jnp.sum(public**2)
    # Below rounding there is consensus, where the distance has its smallest value and slope 0.
    told_apart = apart > _ROUNDING * size
    ratio = jnp.where(told_apart, apart, 1.0) / jnp.where(told_apart, size, 1.0)
    return jnp.where(told_apart, jnp.sqrt(ratio), 0.0)
