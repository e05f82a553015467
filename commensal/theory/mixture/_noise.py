r"""Stationary distance between models: the noise law and its extensions.

Differences between models contract by :math:`q = (1-1/k)^k \to e^{-1}` per generation, and every
generation adds the variance of two samples (``_setup``). While the web grows slowly the variance V
of one model's weight around the others' is at rest, V = q² V + s² π(1-π). With α = 1/k,

.. math::
    \frac{s^2}{1-q^2} = \frac{N}{N-1}\Big[\frac{1}{2k-1} - \frac1N\,\frac{1-q}{1+q}\Big]
    \;\longrightarrow\; \frac{1}{2k}\Big[1 - 2β \tanh\tfrac12\Big],
    \qquad N = k/β,

because :math:`(1-e^{-1})/(1+e^{-1}) = \tanh(1/2)`. Each of the n(n-1) ordered pairs contributes
2V, summed over components. With replacement the term in β is absent.

*What follows for eq. (6).* The paper shows that E(π_i - π_j) contracts. For models that start from
the same law that mean is zero from the beginning, so it says little about π_i - π_j itself. The
recursion above does: V is O(1/k), so differences vanish in mean square; and in the norm of L⁴ they
obey the same contraction with noise O(k^{-1/2}), so their fourth moments are O(t^{-2}), which can
be summed: they vanish almost surely. All this for separated components; for overlapping ones the
positivity step can prevent it (``_trap``).

How good each law is, as the ratio of the root mean square ‖D‖_F of simulated runs (Algorithm 3,
positivity step included) to the law, is measured in ``tests/theory/test_mixture_laws.py``.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from commensal._precision import AnyArray, float64, is_concrete
from commensal.theory.mixture import _arguments
from commensal.theory.mixture._overlap import Overlap
from commensal.theory.mixture._setup import Setup


@float64
def contraction(draws: Any) -> AnyArray:
    """Return (1 - 1/k)^k, the part of a difference between models that one generation leaves.

    Parameters
    ----------
    draws : Int[Array, "..."]
        Number of draws k, at least 1.

    Returns
    -------
    Float[Array, "..."]
        Part that is left, which rises from 0 at k = 1 to 1/e.

    Raises
    ------
    ValueError
        If ``draws`` is not an integer >= 1.

    Notes
    -----
    `webdynamics` app. A.

    Examples
    --------
    >>> contraction([1, 2, 10, 1000]).round(4)
    array([0.    , 0.25  , 0.3487, 0.3677])
    """
    k = _arguments.draws(draws)
    return jnp.where(k > 1, jnp.exp(k * jnp.log1p(-1 / jnp.maximum(k, 2))), 0.0)


@float64
def disagreement(
    weights: Any,
    models: int,
    draws: Any,
    read_share: Any,
    *,
    replacement: bool = False,
    finite: bool = False,
    overlap: Overlap | None = None,
) -> AnyArray:
    r"""Return E‖D‖_F² at rest: the noise of sampling between models that agree in expectation.

    .. math::
        E\lVert D^{(t)}\rVert_F^2 \approx
        \frac{n(n-1)}{k_{t-1}} \Big[1 - 2β \tanh\tfrac12\Big] \sum_b π_b (1-π_b),

    and for overlapping components the sum over modes of
    :math:`[1 - 2β\tanh(λ_m/2)/λ_m]\,\lVert D^{1/2} v_m\rVert^2` in place of the last two factors.

    Parameters
    ----------
    weights : Float[Array, "... B"]
        Consensus weights π.
    models : int
        Number of models n, at least 2.
    draws : Int[Array, "..."]
        Draws :math:`k_{t-1}` per model in the generation before.
    read_share : Float[Array, "..."]
        Share β of the web that is read, in (0, 1].
    replacement : bool
        Whether draws are with replacement; then ``read_share`` does not matter.
    finite : bool
        Whether to use the bracket for k draws out of k/β points instead of its limit for large k.
    overlap : Overlap or None
        Overlap from :func:`overlap` at the same weights. None: well-separated components.

    Returns
    -------
    Float[Array, "..."]
        Mean squared disagreement; shapes of the arguments broadcast. Float64, differentiable in
        weights and read_share.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``overlap`` belongs to other weights.

    Notes
    -----
    New here; derivations at the head of ``_noise`` and ``_overlap``. `webdynamics` app. A shows
    that differences contract in expectation; the norm follows this law instead, ‖D‖_F ~ t^{-1/2}.
    Exact at every t, initial disagreement included, is :func:`second_moments`.

    Examples
    --------
    >>> float(disagreement([0.5, 0.5], 3, 100, 0.5).round(6))
    0.016136
    >>> float(disagreement([0.5, 0.5], 3, 100, 0.5, replacement=True))
    0.03
    """
    pi = _arguments.simplex(weights)
    n = _arguments.count(models, "models", 2)
    k, beta = _arguments.draws(draws), _arguments.read_share(read_share)
    share = jnp.zeros_like(beta) if replacement else beta
    if overlap is None:
        rates, sizes = jnp.ones(1), jnp.sum(pi * (1 - pi), axis=-1)[..., None]
    else:
        _check_same(overlap, pi)
        rates, sizes = jnp.asarray(overlap.rates), jnp.asarray(overlap.sizes)
    bracket = mode_variance(rates, k[..., None], share[..., None], finite)
    return n * (n - 1) * jnp.sum(2 * bracket * sizes, axis=-1)


@float64
def mode_variance(rates: Any, k: Any, share: Any, finite: bool) -> AnyArray:
    """Stationary variance V_m of a mode; ``share`` is k/N, 0 with replacement."""
    slow = rates < 1e-8  # tanh(x/2)/x -> 1/2
    safe = jnp.where(slow, 1.0, rates)
    if not finite:
        return (1 - 2 * share * jnp.where(slow, 0.5, jnp.tanh(safe / 2) / safe)) / (2 * k)
    # -k log(1 - λ/k), infinite at k = λ = 1, where tanh is 1
    per_draw = jnp.minimum(safe / k, 1 - 1e-16)
    pull = jnp.where(slow, 0.5, jnp.tanh(-k * jnp.log1p(-per_draw) / 2) / safe)
    few = k - share <= 0  # one draw out of one point: everybody draws the same
    correction = 1 / jnp.where(few, 1.0, 1 - share / k)  # N/(N-1), 1 with replacement
    return jnp.where(few, 0.0, correction * (1 / (2 * k - rates) - share / k * pull))


def disagreement_path(
    setup: Setup, weights: Any, generations: int, overlap: Overlap | None = None
) -> np.ndarray:
    """Return E‖D^{(t)}‖_F² for t = 0..T around a given consensus, from the initial disagreement on.

    Parameters
    ----------
    setup : Setup
        System; its initial weights give the disagreement at t = 0.
    weights : Float[Array, "B"]
        Consensus weights, all positive, held fixed.
    generations : int
        Number of generations T, at least 1.
    overlap : Overlap or None
        Overlap from :func:`overlap` at the same weights. None: well-separated components.

    Returns
    -------
    Float[np.ndarray, "T+1"]
        Mean squared disagreement at each generation, float64.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``overlap`` belongs to other weights.

    Notes
    -----
    New here. The noise law presumes that every mode is at rest; this recursion does not, so it is
    the one to use where components overlap much. It is linear in the disagreement, which at t = 0
    can be large. For separated components it is exact given the consensus.

    Examples
    --------
    >>> from commensal.theory import mixture
    >>> setup = Setup(3, 2, 3, 0.5, 20, web=[0.5, 0.5])
    >>> modes = mixture.overlap([0.0, 1.0], 1.0, [0.5, 0.5])
    >>> (disagreement_path(setup, [0.5, 0.5], 100, modes)[[1, 10, 100]] ** 0.5).round(3)
    array([1.226, 0.301, 0.058])
    """
    schedule = setup.schedule(generations)
    if overlap is None:
        overlap = separated(weights)
    else:
        _check_same(overlap, np.asarray(weights, dtype=np.float64))
    stretch = 1 - setup.components * schedule.prior
    gain = (schedule.learning_rate / stretch)[:, None]
    rates, k = overlap.rates, schedule.draws[:, None]
    # per point: 1 - α + α(1-λ)/(1-Bc); it can exceed 1 where λ < Bc, for a prior repels
    per_point = 1 - schedule.learning_rate[:, None] + gain * (1 - rates)
    kept = per_point**k
    still = np.isclose(per_point, 1, rtol=0, atol=1e-14)
    lost, lost_squares = (np.where(still, 1, 1 - per_point**p) for p in (1, 2))
    first = gain * np.where(still, k, (1 - kept) / lost)
    second = gain**2 * np.where(still, k, (1 - kept**2) / lost_squares)
    if not setup.replacement:
        points = schedule.points[:, None]
        second = (points * second - first**2) / np.maximum(points - 1, 1)
    noise = rates * second

    # coordinates y = V' D^{-1/2} δ of the spread of initial weights (between models, n - 1)
    start = setup.initial()
    weights_0, covariance = np.asarray(start.weights), np.asarray(start.covariance)
    centred = weights_0 - weights_0.mean(axis=0)
    spread = centred.T @ centred / (setup.models - 1)
    if setup.weights is None:
        law = setup.concentration / setup.concentration.sum()
        spread = spread + (np.diag(law) - np.outer(law, law)) * (
            covariance[0, 0, 0] / (law[0] * (1 - law[0]))
        )
    dual = overlap.modes / overlap.weights[:, None]
    state = dual.T @ spread @ dual
    metric = overlap.modes.T @ overlap.modes
    path = [np.sum(state * metric)]
    for r, fresh in zip(kept, noise, strict=True):
        state = np.outer(r, r) * state + np.diag(fresh)
        path.append(np.sum(state * metric))
    return 2 * setup.models * (setup.models - 1) * np.array(path)


def separated(weights: Any) -> Overlap:
    """Modes of well-separated components, with all rates equal to one."""
    pi = np.asarray(_positive(weights))
    root = np.sqrt(pi)
    basis = np.linalg.svd(np.eye(pi.size) - np.outer(root, root))[0][:, :-1]
    modes = root[:, None] * basis
    return Overlap(pi, np.ones(pi.size - 1), modes, (modes**2).sum(axis=0), 0.0)


@float64
def _positive(weights: Any) -> AnyArray:
    return jnp.maximum(_arguments.simplex(weights, axes="(B,)"), 1e-300)


def _check_same(overlap: Overlap, weights: Any) -> None:
    if weights.shape[-1:] != overlap.weights.shape:
        raise ValueError(
            f"overlap must have as many components as weights, {weights.shape[-1]}, "
            f"got {overlap.weights.size}"
        )
    if is_concrete(weights):
        away = np.abs(np.asarray(weights) - overlap.weights).max()
        if away > 1e-4:
            raise ValueError(f"overlap must be made for the same weights, got {away:g} off")
