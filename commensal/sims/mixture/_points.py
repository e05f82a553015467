"""Draw posted points, and compute their likelihoods up to a factor, which is all that is used.

Arrays have components first and replicates last. A table of posts has one row per point, and in
it all components of one replicate side by side: a draw then reads one stretch of memory.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal.sims.mixture._config import MixtureConfig


class Components(NamedTuple):
    """Fixed Gaussians: means, factors L with LLᵀ = Σ, their inverses, and log det L⁻¹."""

    means: Float[Array, "B d"]
    factors: Float[Array, "B d d"]
    whitening: Float[Array, "B d d"]
    log_volume: Float[Array, "B"]


class Posts(NamedTuple):
    """Randomness of some posts: two uniform numbers and d normal ones for each."""

    component: Float[Array, "*n"]
    human: Float[Array, "*n"]
    normal: Float[Array, "d *n"]


def components(config: MixtureConfig) -> Components:
    """Compute the factors of the configuration's components."""
    factors = np.linalg.cholesky(config.covariances())
    whitening = np.linalg.inv(factors)
    diagonal = np.diagonal(whitening, axis1=-2, axis2=-1)
    return Components(
        *map(jnp.asarray, (np.array(config.means), factors, whitening, np.log(diagonal).sum(-1)))
    )


def post(parts: Components, weights: Float[Array, "B *#n"], noise: Posts) -> Float[Array, "d *n"]:
    """Draw a point of the mixture with these weights; lanes are broadcast."""
    upto = jnp.cumsum(weights, axis=0)
    # relative to their sum, which the positivity step leaves at 1 + O(ε(ε + αc))
    chosen = jnp.sum(noise.component * upto[-1] >= upto[:-1], axis=0)
    mean = jnp.moveaxis(parts.means[chosen], -1, 0)
    factor = jnp.moveaxis(parts.factors[chosen], (-2, -1), (0, 1))
    return mean + jnp.sum(factor * noise.normal[None], axis=1)


def likelihoods(
    parts: Components, points: Float[Array, "d *n"], dtype: str
) -> Float[Array, "*n B"]:
    """Compute N(x; μ_b, Σ_b) relative to the largest of them, components last."""
    x = jnp.moveaxis(points, 0, -1)[..., None, :]
    white = jnp.sum(parts.whitening * (x - parts.means)[..., None, :], axis=-1)
    log = parts.log_volume - 0.5 * jnp.sum(white**2, axis=-1)
    ratio = jnp.exp(log - jnp.max(log, axis=-1, keepdims=True)).astype(dtype)
    # never zero, or a point of a component that a model has given up (ε = 0) would be 0/0 to it;
    # and well above the least number, since processors are slow with weights times less than that
    return jnp.maximum(ratio, float(jnp.finfo(ratio.dtype).tiny) ** 0.5)
