"""Moments of the estimates, and the errors and efficiencies that follow from them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal._precision import AnyArray, float64, is_concrete
from commensal.theory.regression import _linalg, _state, _training
from commensal.theory.regression._training import Training
from commensal.theory.regression._workflow import (
    Generation,
    Workflow,
    generations_of,
    gram,
)


class Moments(NamedTuple):
    """Mean and covariance of the estimates, for a given true parameter.

    Attributes
    ----------
    mean : Float[Array, "*T K d"]
        E θ̂_tk, in the units of θ.
    covariance : Float[Array, "*T K d d"]
        Cov θ̂_tk of each entity (cross-covariances are not kept), in squared units of θ.
    """

    mean: Float[Array, "*T K d"]
    covariance: Float[Array, "*T K d d"]


class Limit(NamedTuple):
    """What the estimates tend to as t → ∞.

    Attributes
    ----------
    covariance : Float[Array, "K d d"]
        Limit of Cov θ̂_tk.
    mean_map : Float[Array, "K d d"]
        B_k with lim E θ̂_tk = B_k θ: the orthogonal projection on the range of G_k, which is
        the identity where G_k has full rank. (Theorem 3 asks for full rank; the limit
        exists without it.)
    spectral_radius : Float[Array, ""]
        ρ(Q).
    """

    covariance: Float[Array, "K d d"]
    mean_map: Float[Array, "K d d"]
    spectral_radius: Float[Array, ""]

    def moments(self, theta: Any) -> Moments:
        """Mean and covariance in the limit, for the true parameter ``theta`` of shape (d,)."""
        return _limit_moments(self, as_vector(theta, self.covariance.shape[-1]))


class Conditional(NamedTuple):
    """Law of the estimates given the real data (Theorem 1, with its last factor transposed).

    Attributes
    ----------
    map : Float[Array, "T+1 K K+1 d d"]
        Row blocks of M_t: E[θ̂_tk | D_0] = Σ_j map[t, k, j] z_j + human_map[t, k] θ, with z_j the
        least-squares estimate on private data j, and z_* (index K) on the public data.
    covariance : Float[Array, "T+1 K K d d"]
        Blocks of C_t: Cov[θ̂_tk, θ̂_tl | D_0].
    human_map : Float[Array, "T+1 K d d"]
        What fresh human data add to the mean, per θ; zero where ``human_share`` is 0.
    """

    map: Float[Array, "T+1 K K+1 d d"]
    covariance: Float[Array, "T+1 K K d d"]
    human_map: Float[Array, "T+1 K d d"]


class UnstableError(ValueError):
    """The spectral radius is one or more, so the limit asked for does not exist.

    Attributes
    ----------
    spectral_radius : float
        ρ(Q) of the system.
    """

    def __init__(self, spectral_radius: float) -> None:
        self.spectral_radius = spectral_radius
        super().__init__(
            f"the system has no limit: its spectral radius is {spectral_radius:.10g}, and it "
            f"must be below 1 (by more than {_linalg.STABILITY_MARGIN:g}); trajectory() works "
            "all the same"
        )


def trajectory(
    w: Workflow, theta: Any, generations: int, training: Training | None = None
) -> Moments:
    r"""Mean and covariance of every estimate at t = 0..T (Theorem 2 as corrected).

    Parameters
    ----------
    w : Workflow
        Constant, or with as many generations as are asked for.
    theta : array of shape (d,)
        True parameter, shared by all real data.
    generations : int
        T, the number of generations after the initial fit.
    training : Training or None
        How many gradient steps a generation trains; None for as many as it takes: every
        generation then ends at the (minimum-norm) minimiser, as the paper has it.

    Returns
    -------
    Moments
        ``mean`` (T+1, K, d) and ``covariance`` (T+1, K, d, d), unconditional: over real data,
        published data and fresh human data. Float64.

    Raises
    ------
    ValueError
        If ``theta`` has another dimension, ``generations`` is negative, or a time-varying
        workflow describes another number of generations, or the gradient steps diverge.

    Notes
    -----
    Holds for G_t of any rank (minimum-norm refits), where Theorem 2 asks for full rank from
    t = 1 on. Cost O(T K d³), by the d-dimensional reduction; the paper's form costs O(T K³ d³).
    `interactive`, sec. 5 and app. E.2, whose covariance lacks the factor σ² of the first term.
    With ``training`` (THEORY 1.4) a model also depends on where it stood, and the cost is
    O(T K³ d³).

    Examples
    --------
    Two models with one private direction each learn the other's through what it publishes:

    >>> import numpy as np
    >>> gram = np.stack([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    >>> w = Workflow(gram, np.zeros((2, 2)), gram, alpha=0.5, beta=1.0)
    >>> m = trajectory(w, theta=np.ones(2), generations=1)
    >>> m.mean[:, 0]
    array([[1., 0.],
           [1., 1.]])
    """
    generations = _check_generations(w, generations)
    theta = as_vector(theta, w.dim)
    if training is None:
        return _trajectory(w, theta, generations)
    _training.check(training, w)
    return _trained(w, training, theta, generations)


@float64
def _trained(w: Workflow, training: Training, theta: AnyArray, generations: int) -> Moments:
    return Moments(*_trained_jit(w, training, theta, generations))


_trained_jit = jax.jit(_training.trajectory, static_argnums=3)


@float64
def _trajectory(w: Workflow, theta: AnyArray, generations: int) -> Moments:
    return _trajectory_jit(w, theta, generations=generations)


def _trajectory_impl(w: Workflow, theta: Array, generations: int) -> Moments:
    def read(state: _state.State) -> Moments:
        return Moments(_state.mean_map(w, state) @ theta, _state.covariance(w, state))

    return _state.propagate(w, generations, read)


_trajectory_jit = jax.jit(_trajectory_impl, static_argnames="generations")


def conditional(w: Workflow, generations: int) -> Conditional:
    """Law of the estimates given the real data, t = 0..T (Theorem 1 as corrected).

    Parameters
    ----------
    w : Workflow
        Constant, or with as many generations as are asked for.
    generations : int
        T, the number of generations after the initial fit.

    Returns
    -------
    Conditional
        ``map`` (T+1, K, K+1, d, d), ``covariance`` (T+1, K, K, d, d) and ``human_map``
        (T+1, K, d, d). Float64. These are large; :func:`trajectory` does not form them.

    Raises
    ------
    ValueError
        As :func:`trajectory`.

    Notes
    -----
    `interactive`, Theorem 1: M_t = P_t + Q_t M_{t-1} and C_t = Q_t (σ² S_t⁺ + C_{t-1}) Q_tᵀ.
    C_t has rank at most d, because all entities read the same web.

    Examples
    --------
    >>> import numpy as np
    >>> w = Workflow(np.eye(1)[None], np.eye(1), np.eye(1)[None], alpha=0.5, beta=0.5)
    >>> conditional(w, 2).map[:, 0, :, 0, 0]
    array([[0.5, 0.5],
           [0.5, 0.5],
           [0.5, 0.5]])
    """
    return _conditional(w, _check_generations(w, generations))


@float64
def _conditional(w: Workflow, generations: int) -> Conditional:
    return _conditional_jit(w, generations=generations)


def _conditional_impl(w: Workflow, generations: int) -> Conditional:
    def read(state: _state.State) -> Conditional:
        return Conditional(
            _state.conditional_map(w, state),
            _state.conditional_covariance(state),
            state.gain @ (state.generation.web_weight * state.from_human),
        )

    return _state.propagate(w, generations, read)


_conditional_jit = jax.jit(_conditional_impl, static_argnames="generations")


def consensus_distance(w: Workflow, generations: int | None = None) -> Float[AnyArray, "*T"]:
    r"""How far the entities are from having one and the same mean: 0 is consensus.

    .. math::
        \left( \sum_k \lVert M_{tk} - \bar M_t \rVert_F^2 \Big/ \sum_k \lVert M_{tk} \rVert_F^2
        \right)^{1/2} \in [0, 1],

    M_tk the k-th row block of M_t and :math:`\bar M_t` their mean. (`interactive` names
    identical row blocks as homogenisation, sec. 5 after Theorem 1, without a number for it.)

    Parameters
    ----------
    w : Workflow
    generations : int or None
        T; ``None`` for the limit.

    Returns
    -------
    Float[Array, "T+1"] or Float[Array, ""]
        Distance per generation t = 0..T, or in the limit. Float64, dimensionless. It is a square
        root: what is exactly 0 comes out as up to 1e-8, or 1e-6 where a model hardly listens (α
        near 0) and its own data leave directions unseen.

    Raises
    ------
    UnstableError
        For the limit where ρ(Q) ≥ 1 (NaN under jit, vmap and grad).
    ValueError
        As :func:`trajectory`.

    Examples
    --------
    With α = 1 everybody trains on the same web and all agree after one generation:

    >>> import numpy as np
    >>> gram = np.stack([np.diag([2.0, 1.0]), np.diag([1.0, 2.0])])
    >>> w = Workflow(gram, np.eye(2), gram, alpha=1.0, beta=0.5)
    >>> np.round(consensus_distance(w, 2), 3)
    array([0.585, 0.   , 0.   ])
    """
    if generations is not None:
        return _consensus_distance(w, _check_generations(w, generations))
    _require_constant(w)
    distance, radius = _consensus_limit(w)
    _raise_if_unstable(radius)
    return distance


@float64
def _consensus_distance(w: Workflow, generations: int) -> Array:
    return _consensus_jit(w, generations=generations)


def _consensus_impl(w: Workflow, generations: int) -> Array:
    return _state.propagate(w, generations, lambda state: _state.row_distance(w, state))


_consensus_jit = jax.jit(_consensus_impl, static_argnames="generations")


@float64
@jax.jit
def _consensus_limit(w: Workflow) -> tuple[Array, Array]:
    state, radius = limit_state(w)
    return _nan_unless_stable(radius, _state.row_distance(w, state)), radius


def spectral_radius(w: Workflow) -> Float[AnyArray, ""]:
    r"""ρ(Q), the factor by which a disturbance grows per generation in the long run.

    Computed as the spectral radius of the d × d matrix
    :math:`A = (1-φ)\frac{α}{K} \sum_k S_k G_k^+`, whose nonzero eigenvalues are those of Q.

    Parameters
    ----------
    w : Workflow
        Constant in time.

    Returns
    -------
    Float[Array, ""]
        ρ(Q) ≥ 0. Below 1 the system settles; above, errors grow like ρ(Q)^t, and their variances
        like ρ(Q)^{2t}. Relative error about 1e-9. Float64.

    Raises
    ------
    ValueError
        If the workflow varies in time.

    Notes
    -----
    `interactive`, Theorem 3; reduction: THEORY 1.2. Differentiable where the dominant
    eigenvalue is simple.

    Examples
    --------
    >>> import numpy as np
    >>> gram = np.stack([np.eye(2), np.eye(2)])
    >>> w = Workflow(gram, np.eye(2), gram, alpha=0.25, beta=0.5)
    >>> print(round(float(spectral_radius(w)), 9))
    0.25
    """
    _require_constant(w)
    return _spectral_radius(w)


@float64
@jax.jit
def _spectral_radius(w: Workflow) -> Array:
    g = constant_generation(w)
    gain, _ = _linalg.pinv_and_rank(gram(w, g))
    return _linalg.spectral_radius(_state.coupling(g, gain, g.human_share))


def limit(w: Workflow) -> Limit:
    """Moments of the estimates as t → ∞ (Theorem 3, for G of any rank).

    Parameters
    ----------
    w : Workflow
        Constant in time. ``initial_beta`` has no influence on the limit.

    Returns
    -------
    Limit
        ``covariance`` (K, d, d), ``mean_map`` (K, d, d) and ``spectral_radius`` (). Float64. Under
        jit, vmap and grad everything but the spectral radius is NaN where ρ(Q) ≥ 1.

    Raises
    ------
    UnstableError
        If ρ(Q) is not below 1 by more than 1e-9 (outside of transformations).
    ValueError
        If the workflow varies in time.

    Notes
    -----
    Cost O(K d³) plus a d × d Stein equation by doubling. `interactive`, Theorem 3 and eq. (2), with
    Q S⁺ Qᵀ for the printed Q S⁺ Q. Differentiable.

    Examples
    --------
    One entity, d = 1, unit Gram matrices: half of the weight stays on the real data.

    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = Workflow(one[None], one, one[None], alpha=0.5, beta=1.0)
    >>> limit(w).covariance          # 1 from the real data + (1/4) / (1 - 1/4)
    array([[[1.33333333]]])
    """
    _require_constant(w)
    result = _limit(w)
    _raise_if_unstable(result.spectral_radius)
    return result


@float64
@jax.jit
def _limit(w: Workflow) -> Limit:
    state, radius = limit_state(w)
    found = (_state.covariance(w, state), state.gain @ gram(w, state.generation))
    covariance, mean_map = (_nan_unless_stable(radius, x) for x in found)
    return Limit(covariance, mean_map, radius)


@float64
def _limit_moments(limit: Limit, theta: AnyArray) -> Moments:
    return Moments(limit.mean_map @ theta, limit.covariance)


def limit_state(w: Workflow) -> tuple[_state.State, Float[Array, ""]]:
    """Fixed point and ρ(Q); the state is meaningless where ρ(Q) ≥ 1."""
    g = constant_generation(w)
    gain, rank = _linalg.pinv_and_rank(gram(w, g))
    state = _state.fixed_point(w, g, gain, rank)
    return state, _linalg.spectral_radius(_state.coupling(g, gain, g.human_share))


def mse(moments: Moments | Limit, theta: Any) -> Float[AnyArray, "*T K"]:
    """Mean squared error E‖θ̂_k - θ‖² of each entity: squared bias plus total variance.

    Parameters
    ----------
    moments : Moments
        From :func:`trajectory` or ``limit(w).moments(theta)``; a :class:`Limit` is also taken.
    theta : Float[Array, "d"]
        True parameter.

    Returns
    -------
    Float[Array, "*T K"]
        In squared units of θ. Float64.

    Notes
    -----
    `interactive`, sec. 5, "MSE and relative efficiency".

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = Workflow(one[None], one, one[None], alpha=0.5, beta=1.0)
    >>> mse(limit(w), np.ones(1))
    array([1.33333333])
    """
    return _mse(moments, as_vector(theta, moments.covariance.shape[-1]))


@float64
@jax.jit
def _mse(moments: Moments | Limit, theta: Array) -> Array:
    moments = _moments(moments, theta)
    bias = moments.mean - theta
    return jnp.sum(bias**2, axis=-1) + jnp.trace(moments.covariance, axis1=-2, axis2=-1)


def mspe(moments: Moments | Limit, theta: Any, private: Any) -> Float[AnyArray, "*T K M"]:
    """Mean squared prediction error E‖X̃_m (θ̂_k - θ)‖² of model k on task m.

    Parameters
    ----------
    moments : Moments
        From :func:`trajectory` or ``limit(w).moments(theta)``; a :class:`Limit` is also taken.
    theta : Float[Array, "d"]
        True parameter.
    private : Float[Array, "M d d"]
        Gram matrices X̃_mᵀX̃_m of the tasks, usually ``w.private``.

    Returns
    -------
    Float[Array, "*T K M"]
        Model along the last axis but one, task along the last; squared units of the responses,
        summed (not averaged) over the rows of X̃_m. Float64.

    Notes
    -----
    `interactive`, sec. 5, "MSE and relative efficiency".

    Examples
    --------
    >>> import numpy as np
    >>> gram = np.stack([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    >>> w = Workflow(gram, np.zeros((2, 2)), gram, alpha=0.5, beta=1.0)
    >>> np.round(mspe(trajectory(w, np.ones(2), 1), np.ones(2), w.private), 3)[0]
    array([[1., 1.],
           [1., 1.]])
    """
    return _mspe(moments, as_vector(theta, moments.covariance.shape[-1]), private)


@float64
@jax.jit
def _mspe(moments: Moments | Limit, theta: Array, private: Array) -> Array:
    moments = _moments(moments, theta)
    bias = moments.mean - theta
    second = moments.covariance + bias[..., :, None] * bias[..., None, :]
    return jnp.einsum("...kab,mab->...km", second, private)


def relative_efficiency(w: Workflow) -> Float[AnyArray, "K"]:
    r"""Smallest MSE that any unbiased estimator can have, over the entity's MSE (fig. 2).

    The numerator is :math:`σ^2 \operatorname{tr} (\sum_k \tilde S_k + S_*)^{-1}`: one party with
    all real data of all entities. The denominator is the limit of :func:`trajectory`.

    Parameters
    ----------
    w : Workflow
        Constant in time.

    Returns
    -------
    Float[Array, "K"]
        In (0, 1], 1 is optimal, for ``human_share`` = 0. (Fresh human data at every generation
        are not in the numerator, so with them the ratio may pass 1.) NaN where the limit is biased
        (some G_k is rank-deficient) or all real data together do not determine θ; and under
        jit, vmap and grad where ρ(Q) ≥ 1. Float64.

    Raises
    ------
    UnstableError
        If ρ(Q) is not below 1 (outside of transformations).
    ValueError
        If the workflow varies in time.

    Notes
    -----
    `interactive`, sec. 5 and fig. 2. Independent of σ and of θ.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = Workflow(one[None], one, one[None], alpha=0.5, beta=0.5)
    >>> relative_efficiency(w)       # (1/2) / (1/2 + 1/3)
    array([0.6])
    """
    _require_constant(w)
    efficiency, radius = _relative_efficiency(w)
    _raise_if_unstable(radius)
    return efficiency


@float64
@jax.jit
def _relative_efficiency(w: Workflow) -> tuple[Array, Array]:
    g = constant_generation(w)
    pooled = w.private.sum(axis=0) + w.public
    pinvs, ranks = _linalg.pinv_and_rank(jnp.concatenate([gram(w, g), pooled[None]]))
    state = _state.fixed_point(w, g, pinvs[:-1], ranks[:-1])
    radius = _linalg.spectral_radius(_state.coupling(g, pinvs[:-1], g.human_share))
    achieved = jnp.trace(_state.covariance(w, state), axis1=-2, axis2=-1)
    best = w.noise**2 * jnp.trace(pinvs[-1])
    unbiased = (ranks[:-1] == w.dim).all() & (ranks[-1] == w.dim)
    return jnp.where(unbiased, _nan_unless_stable(radius, best / achieved), jnp.nan), radius


def constant_generation(w: Workflow) -> Generation:
    """The generation that a time-constant workflow repeats."""
    return jax.tree.map(lambda x: x[0], generations_of(w))


def _nan_unless_stable(radius: Array, value: Array) -> Array:
    return jnp.where(radius < 1 - _linalg.STABILITY_MARGIN, value, jnp.nan)


def _moments(moments: Moments | Limit, theta: Array) -> Moments:
    return _limit_moments(moments, theta) if isinstance(moments, Limit) else moments


def _raise_if_unstable(radius: AnyArray) -> None:
    if is_concrete(radius) and not np.all(np.asarray(radius) < 1 - _linalg.STABILITY_MARGIN):
        raise UnstableError(float(np.asarray(radius)))


def _require_constant(w: Workflow) -> None:
    if w.schedule_length is not None:
        raise ValueError(
            "this needs a workflow that is constant in time; use trajectory() for a schedule"
        )


def _check_generations(w: Workflow, generations: int) -> int:
    if generations < 0:
        raise ValueError(f"generations must be >= 0, got {generations}")
    if w.schedule_length not in (None, generations):
        raise ValueError(
            f"the workflow describes {w.schedule_length} generations, "
            f"but {generations} were asked for"
        )
    return int(generations)


def as_vector(theta: Any, dim: int) -> AnyArray:
    """``theta`` as a float vector of length ``dim``, or a ValueError."""
    vector = theta if isinstance(theta, jax.Array) else np.asarray(theta, dtype=np.float64)
    if vector.shape != (dim,):
        raise ValueError(f"theta must have shape {(dim,)}, got {vector.shape}")
    return vector
