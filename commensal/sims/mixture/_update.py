"""Update of Algorithm 2, one point at a time and for all models and replicates at once.

Weights are carried as a tuple of B arrays where B is small, so that a step is one elementwise
kernel, and as one array (B, n, R) where it is not: B outputs of one kernel would each compute all
of it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_SEPARATE = 4  # components up to which they are arrays of their own
_UNROLLED = 16  # and up to which the positivity step is one kernel


def as_carried(weights: Float[Array, "B *n"]) -> Any:
    """Split the weights into one array per component where there are few."""
    return tuple(weights) if len(weights) <= _SEPARATE else weights


def as_array(carried: Any) -> Float[Array, "B *n"]:
    """Stack the weights that :func:`as_carried` has split."""
    return jnp.stack(carried) if isinstance(carried, tuple) else carried


def update(
    carried: Any,
    likelihood: Float[Array, "B *n"],
    alpha: Float[Array, "*n"],
    prior: Float[Array, "*n"],
    epsilon: Float[Array, ""],
) -> Any:
    """Apply lines 3 to 14 of Algorithm 2 for one point of each lane.

    ``likelihood`` may be scaled by any number per point: an ownership is a ratio.
    """
    b = len(carried)
    # line 5 with o_b = π_b l_b / Σ π l, in two multiplications and additions per component
    rate = alpha / (1 - b * prior)
    keep, shift = 1 - alpha, rate * prior
    if isinstance(carried, tuple):
        joint = [w * x for w, x in zip(carried, likelihood, strict=True)]
        scale = rate / sum(joint[1:], joint[0])
        moved = [w * keep + (scale * x - shift) for w, x in zip(carried, joint, strict=True)]
        return tuple(positive(moved, epsilon))
    scale = rate / jnp.sum(carried * likelihood, axis=0)
    moved = carried * (keep + scale * likelihood) - shift
    # first over components, which is one pass over contiguous lanes
    lowest = jnp.min(jnp.min(moved, axis=0))
    return jax.lax.cond(lowest <= 0, _positive_array, lambda w, _: w, moved, epsilon)


def positive(
    weights: Sequence[Float[Array, "*n"]], epsilon: Float[Array, ""]
) -> list[Float[Array, "*n"]]:
    r"""Apply lines 7 to 14, as printed, in order b = 1..B.

    A weight that is not positive divides all others by 1 + ε - π_b and becomes ε. With D the
    product of all divisors so far, and weights before any division, π_b / D is what the line sees,
    and D (1 + ε - π_b / D) = (1 + ε) D - π_b: one division at the end does for all.
    """
    divisor = jnp.ones_like(weights[0])
    out = []
    for w in weights:
        low = w <= 0
        divisor = jnp.where(low, (1 + epsilon) * divisor - w, divisor)
        out.append(jnp.where(low, epsilon * divisor, w))  # ε once all is divided
    scale = 1 / divisor
    return [w * scale for w in out]


def _positive_array(weights: Float[Array, "B *n"], epsilon: Any) -> Float[Array, "B *n"]:
    b = len(weights)
    if b > _UNROLLED:
        return _positive_in_turn(weights, epsilon)
    # divisors of all components at once, those below the turn left alone: B times the work of
    # one, in one kernel, where a loop starts several for each component
    place = jnp.arange(b).reshape(-1, *(1,) * (weights.ndim - 1))
    divisor, last = jnp.ones_like(weights), jnp.ones_like(weights[0])
    for turn, w in enumerate(weights):
        divisor = jnp.where((w <= 0) & (place >= turn), (1 + epsilon) * divisor - w, divisor)
        last = jnp.where(w <= 0, (1 + epsilon) * last - w, last)
    return jnp.where(weights <= 0, epsilon * divisor, weights) / last


def _positive_in_turn(weights: Float[Array, "B *n"], epsilon: Any) -> Float[Array, "B *n"]:
    def one(b: Any, state: Any) -> Any:
        w, divisor = state
        row = w[b]
        low = row <= 0
        divisor = jnp.where(low, (1 + epsilon) * divisor - row, divisor)
        return w.at[b].set(jnp.where(low, epsilon * divisor, row)), divisor

    out, divisor = jax.lax.fori_loop(0, len(weights), one, (weights, jnp.ones_like(weights[0])))
    return out / divisor
