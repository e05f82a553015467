"""Hill numbers: the number of equally common models to which an ecosystem amounts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from commensal._precision import AnyArray, float64, is_concrete


def hill_number(weights: Any, order: float | int = 1) -> AnyArray:
    r"""Return Hill's number of an order: (Σ w^q)^{1/(1-q)}, and exp(-Σ w ln w) for q = 1.

    Parameters
    ----------
    weights : Float[ArrayLike, "... M"]
        Numbers >= 0, segment sizes for example: they are normalised.
    order : float
        Order q >= 0. 0 counts the models, 1 is Hill and Shannon's, 2 the inverse of Simpson's
        index, infinity the inverse of the largest share.

    Returns
    -------
    Float[Array, "..."]
        Effective number of models, between 1 and M. Float64, to about 1e-14 relative for every
        order; differentiable in ``weights``, but at zeros.

    Raises
    ------
    ValueError
        If a weight is negative or all are zero, or the order is negative.

    References
    ----------
    `diversity` eq. (1), with w_m = 1/M eq. (2). Hill, Ecology 54 (1973) 427-432.

    Examples
    --------
    >>> [round(float(hill_number([8, 4, 2, 2], q)), 3) for q in (0, 1, 2)]
    [4.0, 3.364, 2.909]
    """
    if not order >= 0:
        raise ValueError(f"order must be at least 0, got {order}")
    return _of_order(order)(weights)


def _of_order(order: float | int) -> Callable[[Any], AnyArray]:
    # a branch is taken by it: it stays a number
    return float64(partial(_hill, order))


def _hill(order: float | int, weights: Any) -> AnyArray:
    w = jnp.asarray(weights, dtype=jnp.float64)
    if w.ndim < 1 or w.shape[-1] < 1:
        raise ValueError(f"weights must have shape (..., M) with M >= 1, got {w.shape}")
    some, log = _logs(w)
    log = log - jnp.log(jnp.where(some, jnp.exp(log), 0.0).sum(axis=-1, keepdims=True))
    log = jnp.where(some, log, 0.0)  # of one: keeps gradients finite at zero
    w = jnp.where(some, jnp.exp(log), 0.0)
    if order == 1:
        return jnp.exp(-(w * log).sum(axis=-1))
    largest = jnp.where(some, log, -jnp.inf).max(axis=-1)
    if np.isinf(order):
        return jnp.exp(-largest)
    # Σ w^q - 1 = Σ w (w^(q-1) - 1), term by term: near q = 1 the difference of the sums is rounding
    power = (order - 1) * log
    near = jnp.abs(power) < 1
    change = jnp.where(near, w * jnp.expm1(jnp.where(near, power, 0.0)), jnp.exp(order * log) - w)
    change = jnp.where(some, change, 0.0).sum(axis=-1)
    # the logarithm of a small sum relative to its largest term, which would underflow for large q
    small = change < -0.5
    close = jnp.log1p(jnp.where(small, 0.0, change)) / (1 - order)
    largest = jax.lax.stop_gradient(largest)
    powers = jnp.where(some, jnp.exp(order * (log - largest[..., None])), 0.0).sum(axis=-1)
    far = order / (1 - order) * largest + jnp.log(powers) / (1 - order)
    return jnp.exp(jnp.where(small, far, close))


def _logs(w: Any) -> tuple[Any, Any]:
    """Return which weights are above zero, and the logs of all relative to the largest."""
    if is_concrete(w):
        # by NumPy: XLA takes weights below 2.3e-308 for zero
        known = np.asarray(w)
        if not (np.isfinite(known) & (known >= 0)).all() or not (known > 0).any(axis=-1).all():
            raise ValueError("weights must be finite, not negative, and not all zero")
        some, largest = known > 0, known.max(axis=-1, keepdims=True)
        ratio, normal = known / largest, known / largest >= np.finfo(float).tiny
        apart = np.log(np.where(some, known, 1.0)) - np.log(largest)
        return some, np.where(normal, np.log(np.where(normal, ratio, 1.0)), apart)
    some, root = w > 0, jax.lax.stop_gradient(jnp.sqrt(w.max(axis=-1, keepdims=True)))
    # twice the root: XLA multiplies by a reciprocal, and that of the root is in range
    return some, jnp.log(jnp.where(some, w / root / root, 1.0))


def hill_shannon(weights: Any) -> AnyArray:
    """Return the Hill-Shannon diversity of `diversity` eq. (1): :func:`hill_number` of order one.

    Parameters
    ----------
    weights : Float[ArrayLike, "... M"]
        Shares of the models, or sizes of their segments.

    Returns
    -------
    Float[Array, "..."]
        Effective number of models, between 1 and M. Float64.

    Examples
    --------
    >>> float(hill_shannon([1, 1, 1, 1]))
    4.0
    """
    return hill_number(weights, 1)
