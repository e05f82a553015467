"""Moments of the estimates, and the errors and efficiencies that follow from them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from commensal._compiled import compiled
from commensal._memory import check_memory
from commensal._precision import AnyArray, float64, is_concrete
from commensal.theory.regression import _factors, _linalg, _memory, _state, _training
from commensal.theory.regression._training import RegressionTraining
from commensal.theory.regression._workflow import RegressionWorkflow

# Compiled once for all that is asked of a system.
_system = compiled(_state.system_of)


class RegressionMoments(NamedTuple):
    """Mean and covariance of the estimates, for a given true parameter.

    Attributes
    ----------
    mean : Float[Array, "*T K d"]
        Mean E θ̂_tk of each model's estimate, in units of θ.
    covariance : Float[Array, "*T K d d"]
        Covariance Cov θ̂_tk of each model's estimate (cross-covariances are not kept), in squared
        units of θ.
    """

    mean: Float[Array, "*T K d"]
    covariance: Float[Array, "*T K d d"]


class Limit(NamedTuple):
    """Limit of the law of the estimates as t → ∞.

    Attributes
    ----------
    covariance : Float[Array, "K d d"]
        Limit of Cov θ̂_tk.
    mean_map : Float[Array, "K d d"]
        B_k with lim E θ̂_tk = B_k θ: the orthogonal projection on the range of G_k, which is
        the identity where G_k has full rank. (Theorem 3 asks for full rank; the limit
        exists without it.)
    spectral_radius : Float[Array, ""]
        Spectral radius ρ(Q).
    """

    covariance: Float[Array, "K d d"]
    mean_map: Float[Array, "K d d"]
    spectral_radius: Float[Array, ""]

    def moments(self, theta: Any) -> RegressionMoments:
        """Return mean and covariance in the limit, for the true parameter ``theta``, (d,)."""
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
        Addition of fresh human data to the mean, per θ; zero where ``human_share`` is 0.
    """

    map: Float[Array, "T+1 K K+1 d d"]
    covariance: Float[Array, "T+1 K K d d"]
    human_map: Float[Array, "T+1 K d d"]


class UnstableError(ValueError):
    """The spectral radius is one or more, so the limit asked for does not exist.

    Attributes
    ----------
    spectral_radius : float
        Spectral radius ρ(Q) of the system.
    """

    def __init__(self, spectral_radius: float) -> None:
        self.spectral_radius = spectral_radius
        super().__init__(
            f"the system has no limit: its spectral radius is {spectral_radius:.10g}, and it "
            f"must be below 1 (by more than {_linalg.STABILITY_MARGIN:g}); trajectory() works "
            "all the same"
        )


class UntrustedError(ValueError):
    """Rounding may have changed the numbers asked for by more than one part in a thousand.

    Attributes
    ----------
    rounding : float
        Estimated relative error; infinite where it cannot be told whether a small eigenvalue of a
        Gram matrix is data or rounding.
    """

    def __init__(self, rounding: float) -> None:
        self.rounding = rounding
        reason = (
            f"rounding may change these numbers by {rounding:.1g} of their size"
            if np.isfinite(rounding)
            else "it cannot be told whether a small eigenvalue of a Gram matrix is data or rounding"
        )
        super().__init__(
            f"{reason}; rescale the features, drop directions that hardly vary, or keep weights "
            "further from 0 and 1"
        )


def trajectory(
    w: RegressionWorkflow,
    theta: Any,
    generations: int,
    training: RegressionTraining | None = None,
    memory: str = "replace",
    window: int | None = None,
) -> RegressionMoments:
    r"""Mean and covariance of every estimate at t = 0..T (Theorem 2 as corrected).

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant or with as many generations as are asked for.
    theta : array of shape (d,)
        True parameter, shared by all real data.
    generations : int
        Number of generations T after the initial fit.
    training : RegressionTraining or None
        Gradient steps of a generation; None for as many as it takes: every generation then ends at
        the (minimum-norm) minimiser, as the paper has it.
    memory : {"replace", "accumulate", "window"}
        Part of the web that is read: what was published last, as the paper has it; everything so
        far, each generation with weight α, so that the share of real data falls; or the last
        ``window`` generations, which have weight α together.
    window : int or None
        Generations that memory "window" keeps, at least 1; None for all of them.

    Returns
    -------
    RegressionMoments
        Moments ``mean`` (T+1, K, d) and ``covariance`` (T+1, K, d, d), unconditional: over real
        data, published data and fresh human data. Float64.

    Raises
    ------
    ValueError
        If ``theta`` has another dimension, ``generations`` is negative, or a time-varying
        workflow describes another number of generations, or the gradient steps diverge; for an
        unknown ``memory``, one other than "replace" under jit, vmap or grad, or with ``training``.
    UntrustedError
        If rounding may have changed the numbers by more than one part in a thousand (NaN under
        jit, vmap and grad).

    Notes
    -----
    Holds for G_t of any rank (minimum-norm refits), where Theorem 2 asks for full rank from
    t = 1 on. Cost O(T K d³), by the d-dimensional reduction; the paper's form costs O(T K³ d³).
    `interactive`, sec. 5 and app. E.2, whose covariance lacks the factor σ² of the first term.
    With ``training`` (:class:`RegressionTraining`) a model also depends on where it stood, and the
    cost is O(T K³ d³). With another ``memory`` than "replace" (new here) it is O(T K² d³) for
    models that read alike, and more for a window of m generations, whose state has m d numbers; α_t
    is the weight in generation t of all that is kept, and W and φ are those of the generation in
    which data were published. :mod:`commensal.theory.memory` has closed forms.

    Examples
    --------
    Two models with one private direction each learn the other's through what it publishes:

    >>> import numpy as np
    >>> gram = np.stack([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    >>> w = RegressionWorkflow(gram, np.zeros((2, 2)), gram, alpha=0.5, beta=1.0)
    >>> m = trajectory(w, theta=np.ones(2), generations=1)
    >>> m.mean[:, 0]
    array([[1., 0.],
           [1., 1.]])
    """
    generations = _check_generations(w, generations)
    theta = as_vector(theta, w.dim)
    check_memory(memory, window)
    if memory != "replace":
        if training is not None:
            raise ValueError(f"training needs memory 'replace', got {memory!r}")
        moments, rounding = _remembered(w, theta, generations, memory, window)
        _raise_if_untrusted(rounding)
        return moments
    if training is None:
        moments, rounding = _trajectory(w, theta, generations)
        _raise_if_untrusted(rounding)
        return moments
    _training.check(training, w)
    return _trained(w, training, theta, generations)


@float64
def _remembered(
    w: RegressionWorkflow, theta: AnyArray, generations: int, memory: str, window: int | None
) -> tuple[RegressionMoments, AnyArray]:
    *found, rounding = _memory.trajectory(w, theta, generations, memory, window)
    return RegressionMoments(*map(jnp.asarray, found)), jnp.asarray(rounding)


@float64
def _trained(
    w: RegressionWorkflow, training: RegressionTraining, theta: AnyArray, generations: int
) -> RegressionMoments:
    return RegressionMoments(*_trained_jit(w, training, theta, generations))


_trained_jit = compiled(_training.trajectory, static_argnums=3)


@float64
def _trajectory(
    w: RegressionWorkflow, theta: AnyArray, generations: int
) -> tuple[RegressionMoments, AnyArray]:
    return _trajectory_jit(*_system(w), theta, generations=generations)


def _trajectory_impl(
    system: _state.FactoredWorkflow, unit: Array, theta: Array, generations: int
) -> tuple[RegressionMoments, Array]:
    def read(state: _state.RegressionState) -> RegressionMoments:
        mean = _state.mean_map(system, state) @ theta
        return RegressionMoments(mean, unit**2 * _state.covariance(state))

    found = _state.propagate(system, generations, read)
    return _nan_unless(system.rounding() < _factors.TRUSTED, found), system.rounding()


_trajectory_jit = compiled(_trajectory_impl, static_argnames="generations")


def conditional(w: RegressionWorkflow, generations: int) -> Conditional:
    """Law of the estimates given the real data, t = 0..T (Theorem 1 as corrected).

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant or with as many generations as are asked for.
    generations : int
        Number of generations T after the initial fit.

    Returns
    -------
    Conditional
        Law of the estimates: ``map`` (T+1, K, K+1, d, d), ``covariance`` (T+1, K, K, d, d) and
        ``human_map`` (T+1, K, d, d), float64. These are large; :func:`trajectory` does not form
        them.

    Raises
    ------
    ValueError
        Under the conditions of :func:`trajectory`.

    Notes
    -----
    `interactive`, Theorem 1: M_t = P_t + Q_t M_{t-1} and C_t = Q_t (σ² S_t⁺ + C_{t-1}) Q_tᵀ.
    C_t has rank at most d, because all models read the same web.

    Examples
    --------
    >>> import numpy as np
    >>> w = RegressionWorkflow(np.eye(1)[None], np.eye(1), np.eye(1)[None], alpha=0.5, beta=0.5)
    >>> conditional(w, 2).map[:, 0, :, 0, 0]
    array([[0.5, 0.5],
           [0.5, 0.5],
           [0.5, 0.5]])
    """
    law, rounding = _conditional(w, _check_generations(w, generations))
    _raise_if_untrusted(rounding)
    return law


@float64
def _conditional(w: RegressionWorkflow, generations: int) -> tuple[Conditional, AnyArray]:
    return _conditional_jit(*_system(w), generations=generations)


def _conditional_impl(
    system: _state.FactoredWorkflow, unit: Array, generations: int
) -> tuple[Conditional, Array]:
    def read(state: _state.RegressionState) -> Conditional:
        return Conditional(
            _state.conditional_map(system, state),
            unit**2 * _state.conditional_covariance(state),
            _state.human_map(state),
        )

    found = _state.propagate(system, generations, read)
    return _nan_unless(system.rounding() < _factors.TRUSTED, found), system.rounding()


_conditional_jit = compiled(_conditional_impl, static_argnames="generations")


def consensus_distance(
    w: RegressionWorkflow, generations: int | None = None
) -> Float[AnyArray, "*T"]:
    r"""Relative distance of the models' mean estimates from each other; 0 is consensus.

    .. math::
        \left( \sum_k \lVert M_{tk} - \bar M_t \rVert_F^2 \Big/ \sum_k \lVert M_{tk} \rVert_F^2
        \right)^{1/2} \in [0, 1],

    M_tk the k-th row block of M_t and :math:`\bar M_t` their mean. (`interactive` names
    identical row blocks as homogenisation, sec. 5 after Theorem 1, without a number for it.)

    Parameters
    ----------
    w : RegressionWorkflow
        System of models.
    generations : int or None
        Number of generations T; None for the limit.

    Returns
    -------
    Float[Array, "T+1"] or Float[Array, ""]
        Distance per generation t = 0..T, or in the limit. Float64, dimensionless. Distances below
        1e-15 are rounding, and come out as 0, with slope 0.

    Raises
    ------
    UnstableError
        For the limit where ρ(Q) ≥ 1 (NaN under jit, vmap and grad).
    UntrustedError
        Under the condition of :func:`trajectory`.
    ValueError
        Under the conditions of :func:`trajectory`.

    Examples
    --------
    With α = 1 everybody trains on the same web and all agree after one generation:

    >>> import numpy as np
    >>> gram = np.stack([np.diag([2.0, 1.0]), np.diag([1.0, 2.0])])
    >>> w = RegressionWorkflow(gram, np.eye(2), gram, alpha=1.0, beta=0.5)
    >>> np.round(consensus_distance(w, 2), 3)
    array([0.585, 0.   , 0.   ])
    """
    if generations is not None:
        distances, rounding = _consensus_distance(w, _check_generations(w, generations))
        _raise_if_untrusted(rounding)
        return distances
    require_constant(w)
    distance, radius, rounding = _consensus_limit(w)
    _raise_if_no_limit(radius, rounding)
    return distance


@float64
def _consensus_distance(w: RegressionWorkflow, generations: int) -> tuple[AnyArray, AnyArray]:
    return _consensus_jit(_system(w)[0], generations=generations)


def _consensus_impl(system: _state.FactoredWorkflow, generations: int) -> tuple[Array, Array]:
    found = _state.propagate(system, generations, lambda state: _state.row_distance(system, state))
    return _nan_unless(system.rounding() < _factors.TRUSTED, found), system.rounding()


_consensus_jit = compiled(_consensus_impl, static_argnames="generations")


@float64
def _consensus_limit(w: RegressionWorkflow) -> tuple[AnyArray, AnyArray, AnyArray]:
    return _consensus_limit_jit(*_system(w))


@compiled
def _consensus_limit_jit(
    system: _state.FactoredWorkflow, unit: Array
) -> tuple[Array, Array, Array]:
    s = _settled(system, unit)
    distance = _state.row_distance(s.system, s.state)
    return _nan_unless(s.exists, distance), s.radius, s.rounding


def spectral_radius(w: RegressionWorkflow) -> Float[AnyArray, ""]:
    r"""ρ(Q), the factor by which a disturbance grows per generation in the long run.

    Computed as the spectral radius of the d × d matrix
    :math:`A = (1-φ)\frac{α}{K} \sum_k S_k G_k^+`, whose nonzero eigenvalues are those of Q.

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant in time.

    Returns
    -------
    Float[Array, ""]
        Spectral radius ρ(Q) ≥ 0. Below 1 the system settles; above, errors grow like ρ(Q)^t, and
        their variances like ρ(Q)^{2t}. Absolute error below 1e-9 times max(1, ρ). Float64.

    Raises
    ------
    UntrustedError
        Under the condition of :func:`trajectory`.
    ValueError
        If the workflow varies in time.

    Notes
    -----
    `interactive`, Theorem 3; the reduction to d × d matrices is new here (claim
    ``commensal.reduction_spectrum``). Differentiable where the dominant eigenvalue is simple.

    Examples
    --------
    >>> import numpy as np
    >>> gram = np.stack([np.eye(2), np.eye(2)])
    >>> w = RegressionWorkflow(gram, np.eye(2), gram, alpha=0.25, beta=0.5)
    >>> print(round(float(spectral_radius(w)), 9))
    0.25
    """
    require_constant(w)
    radius, rounding = _spectral_radius(w)
    _raise_if_untrusted(rounding)
    return radius


@float64
def _spectral_radius(w: RegressionWorkflow) -> tuple[AnyArray, AnyArray]:
    return _spectral_radius_jit(_system(w)[0])


@compiled
def _spectral_radius_jit(system: _state.FactoredWorkflow) -> tuple[Array, Array]:
    radius = _state.growth(_state.constant_fit(system))
    return _nan_unless(system.rounding() < _factors.TRUSTED, radius), system.rounding()


def limit(w: RegressionWorkflow) -> Limit:
    """Moments of the estimates as t → ∞ (Theorem 3, for G of any rank).

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant in time. ``initial_beta`` has no influence on the limit.

    Returns
    -------
    Limit
        Moments: ``covariance`` (K, d, d), ``mean_map`` (K, d, d) and ``spectral_radius`` (),
        float64. Under jit, vmap and grad everything but the spectral radius is NaN where ρ(Q) ≥ 1.

    Raises
    ------
    UnstableError
        If ρ(Q) is not below 1 by more than 1e-9 (outside of transformations).
    UntrustedError
        Under the condition of :func:`trajectory`.
    ValueError
        If the workflow varies in time.

    Notes
    -----
    Cost O(K d³) plus a d × d Stein equation by doubling. `interactive`, Theorem 3 and eq. (2), with
    Q S⁺ Qᵀ for the printed Q S⁺ Q. Differentiable.

    Examples
    --------
    One model, d = 1, unit Gram matrices: half of the weight stays on the real data.

    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = RegressionWorkflow(one[None], one, one[None], alpha=0.5, beta=1.0)
    >>> limit(w).covariance          # 1 from the real data + (1/4) / (1 - 1/4)
    array([[[1.33333333]]])
    """
    require_constant(w)
    result, rounding = _limit(w)
    _raise_if_no_limit(result.spectral_radius, rounding)
    return result


@float64
def _limit(w: RegressionWorkflow) -> tuple[Limit, AnyArray]:
    return _limit_jit(*_system(w))


@compiled
def _limit_jit(system: _state.FactoredWorkflow, unit: Array) -> tuple[Limit, Array]:
    s = _settled(system, unit)
    covariance = s.unit**2 * _state.covariance(s.state)
    mean_map = _state.projection(s.system, s.state.fit)
    covariance, mean_map = _nan_unless(s.exists, (covariance, mean_map))
    return Limit(covariance, mean_map, s.radius), s.rounding


@float64
def _limit_moments(limit: Limit, theta: AnyArray) -> RegressionMoments:
    return RegressionMoments(limit.mean_map @ theta, limit.covariance)


class _Settled(NamedTuple):
    """Fixed point of a system, with its radius, its rounding, and whether it exists."""

    system: _state.FactoredWorkflow
    unit: Float[Array, ""]  # standard deviation of one response, in the system's units
    state: _state.RegressionState  # meaningless unless `exists`
    radius: Float[Array, ""]
    rounding: Float[Array, ""]  # estimated relative error of variances
    exists: Bool[Array, ""]


def _settled(system: _state.FactoredWorkflow, unit: Array) -> _Settled:
    fit = _state.constant_fit(system)
    known = system.rounding() < _factors.TRUSTED
    radius = _nan_unless(known, _state.growth(fit))
    stable = radius < 1 - _linalg.STABILITY_MARGIN
    rounding = system.rounding(jnp.where(stable, 1 - radius, 1))
    exists = stable & (rounding < _factors.TRUSTED)
    return _Settled(system, unit, _state.fixed_point(fit), radius, rounding, exists)


@float64
def cell(w: RegressionWorkflow, tasks: Any) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return ρ(Q), traces (K, M) of the limit's covariance with ``tasks``, and consensus distance.

    For responses of unit variance, in units in which the data are of order one.
    """
    return _cell_jit(*_system(w), tasks)


@compiled
def _cell_jit(
    system: _state.FactoredWorkflow, unit: Array, tasks: Array
) -> tuple[Array, Array, Array]:
    s = _settled(system, unit)
    traces = jnp.einsum("kij,mij->km", _state.covariance(s.state), tasks)
    return s.radius, traces, _state.row_distance(system, s.state)


def mse(moments: RegressionMoments | Limit, theta: Any) -> Float[AnyArray, "*T K"]:
    """Mean squared error E‖θ̂_k - θ‖² of each model: squared bias plus total variance.

    Parameters
    ----------
    moments : RegressionMoments
        Moments from :func:`trajectory` or ``limit(w).moments(theta)``; a :class:`Limit` is also
        taken.
    theta : Float[Array, "d"]
        True parameter.

    Returns
    -------
    Float[Array, "*T K"]
        Mean squared errors, in squared units of θ, float64.

    Notes
    -----
    `interactive`, sec. 5, "MSE and relative efficiency".

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = RegressionWorkflow(one[None], one, one[None], alpha=0.5, beta=1.0)
    >>> mse(limit(w), np.ones(1))
    array([1.33333333])
    """
    return _mse(moments, as_vector(theta, moments.covariance.shape[-1]))


@float64
@compiled
def _mse(moments: RegressionMoments | Limit, theta: Array) -> Array:
    moments = _moments(moments, theta)
    bias = moments.mean - theta
    return jnp.sum(bias**2, axis=-1) + jnp.trace(moments.covariance, axis1=-2, axis2=-1)


def mspe(moments: RegressionMoments | Limit, theta: Any, private: Any) -> Float[AnyArray, "*T K M"]:
    """Mean squared prediction error E‖X̃_m (θ̂_k - θ)‖² of model k on task m.

    Parameters
    ----------
    moments : RegressionMoments
        Moments from :func:`trajectory` or ``limit(w).moments(theta)``; a :class:`Limit` is also
        taken.
    theta : Float[Array, "d"]
        True parameter.
    private : Float[Array, "M d d"]
        Gram matrices X̃_mᵀX̃_m of the tasks, usually ``w.private``.

    Returns
    -------
    Float[Array, "*T K M"]
        Errors, with the model along the last axis but one and the task along the last; in squared
        units of the responses, summed (not averaged) over the rows of X̃_m. Float64.

    Notes
    -----
    `interactive`, sec. 5, "MSE and relative efficiency".

    Examples
    --------
    >>> import numpy as np
    >>> gram = np.stack([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    >>> w = RegressionWorkflow(gram, np.zeros((2, 2)), gram, alpha=0.5, beta=1.0)
    >>> np.round(mspe(trajectory(w, np.ones(2), 1), np.ones(2), w.private), 3)[0]
    array([[1., 1.],
           [1., 1.]])
    """
    return _mspe(moments, as_vector(theta, moments.covariance.shape[-1]), private)


@float64
@compiled
def _mspe(moments: RegressionMoments | Limit, theta: Array, private: Array) -> Array:
    moments = _moments(moments, theta)
    bias = moments.mean - theta
    second = moments.covariance + bias[..., :, None] * bias[..., None, :]
    return jnp.einsum("...kab,mab->...km", second, private)


def relative_efficiency(w: RegressionWorkflow) -> Float[AnyArray, "K"]:
    r"""Smallest MSE that any unbiased estimator can have, over the model's MSE (fig. 2).

    The numerator is :math:`σ^2 \operatorname{tr} (\sum_k \tilde S_k + S_*)^{-1}`: one party with
    all real data of all models. The denominator is the limit of :func:`trajectory`.

    Parameters
    ----------
    w : RegressionWorkflow
        System of models, constant in time.

    Returns
    -------
    Float[Array, "K"]
        Efficiency of each model in (0, 1], where 1 is optimal, for ``human_share`` = 0. (Fresh
        human data at every generation are not in the numerator, so with them the ratio may pass 1.)
        NaN where the limit is biased (some G_k is rank-deficient) or all real data together do not
        determine θ; and under jit, vmap and grad where ρ(Q) ≥ 1. Float64.

    Raises
    ------
    UnstableError
        If ρ(Q) is not below 1 (outside of transformations).
    UntrustedError
        Under the condition of :func:`trajectory`.
    ValueError
        If the workflow varies in time.

    Notes
    -----
    `interactive`, sec. 5 and fig. 2. Independent of σ and of θ.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.eye(1)
    >>> w = RegressionWorkflow(one[None], one, one[None], alpha=0.5, beta=0.5)
    >>> relative_efficiency(w)       # (1/2) / (1/2 + 1/3)
    array([0.6])
    """
    require_constant(w)
    efficiency, radius, rounding = _relative_efficiency(w)
    _raise_if_no_limit(radius, rounding)
    return efficiency


@float64
def _relative_efficiency(w: RegressionWorkflow) -> tuple[AnyArray, AnyArray, AnyArray]:
    return _relative_efficiency_jit(*_system(w))


@compiled
def _relative_efficiency_jit(
    system: _state.FactoredWorkflow, unit: Array
) -> tuple[Array, Array, Array]:
    s = _settled(system, unit)
    achieved = jnp.trace(_state.covariance(s.state), axis1=-2, axis2=-1)
    coroot = s.system.pooled.coroot
    determined = (jnp.abs(coroot).max(axis=-1) > 0).all()
    best = jnp.sum(coroot**2)  # the trace of the inverse
    unbiased = s.state.fit.unbiased.all() & determined
    return _nan_unless(s.exists & unbiased, best / achieved), s.radius, s.rounding


def _nan_unless(known: Array, values: Any) -> Any:
    return jax.tree.map(lambda x: jnp.where(known, x, jnp.nan), values)


def _moments(moments: RegressionMoments | Limit, theta: Array) -> RegressionMoments:
    return _limit_moments(moments, theta) if isinstance(moments, Limit) else moments


def _raise_if_untrusted(rounding: AnyArray) -> None:
    if is_concrete(rounding) and not np.all(np.asarray(rounding) < _factors.TRUSTED):
        raise UntrustedError(float(np.asarray(rounding)))


def _raise_if_no_limit(radius: AnyArray, rounding: AnyArray) -> None:
    if not is_concrete((radius, rounding)):
        return
    if np.asarray(radius) >= 1 - _linalg.STABILITY_MARGIN:
        raise UnstableError(float(np.asarray(radius)))
    _raise_if_untrusted(rounding)


def require_constant(w: RegressionWorkflow) -> None:
    """Raise a ValueError if the workflow varies in time."""
    if w.schedule_length is not None:
        raise ValueError(
            "this needs a workflow that is constant in time; use trajectory() for a schedule"
        )


def _check_generations(w: RegressionWorkflow, generations: int) -> int:
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
