"""Draw all randomness of one batch from its key."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

from commensal.sims._threefry import bits
from commensal.sims.mixture._points import Posts, post
from commensal.sims.mixture._process import BLOCK, MixtureNoise, MixtureNumbers, MixtureRules

# parts of a key; generation t has key fold_in(fold_in(key, part), t)
_WEIGHTS, _WEB, _POSTS, _WORDS = range(4)


def noise(rules: MixtureRules, key: PRNGKeyArray, size: int) -> MixtureNoise:
    """Make the sources of randomness of a batch of ``size`` replicates."""
    n, lanes = rules.models, (rules.models, rules.posts, size)

    def words(t: Any, block: Any) -> UInt32[Array, "block n R"]:
        # a run of the generator gives two words: draws 2j and 2j + 1 of lane l have counter (j, l)
        pairs = block * (BLOCK // 2) + jnp.arange(BLOCK // 2)
        both = bits(word_key(key, t), n * size, pairs)
        return jnp.stack(both, axis=1).reshape(BLOCK, n, size)

    return MixtureNoise(lambda t: posts(post_key(key, t), rules.dim, lanes), words)


def post_key(key: PRNGKeyArray, t: Any) -> PRNGKeyArray:
    """Derive the key of the posts of generation t."""
    return _key(key, _POSTS, t)


def word_key(key: PRNGKeyArray, t: Any) -> PRNGKeyArray:
    """Derive the key of the draws of generation t."""
    return _key(key, _WORDS, t)


def posts(key: PRNGKeyArray, dim: int, lanes: tuple[int, ...]) -> Posts:
    """Draw the randomness of posts."""
    of_component, of_human, of_point = jax.random.split(key, 3)
    return Posts(
        jax.random.uniform(of_component, lanes, jnp.float64),
        jax.random.uniform(of_human, lanes, jnp.float64),
        jax.random.normal(of_point, (dim, *lanes), jnp.float64),
    )


def start(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    key: PRNGKeyArray,
    concentration: Float[Array, ""],
    weights: Float[Array, "n B"] | None,
    written: bool,
    size: int,
) -> tuple[Float[Array, "B n R"], Float[Array, "d A R"]]:
    """Return the weights of generation 0, given or drawn, and the points A^(0)."""
    if weights is None:
        first = initial_weights(rules, key, concentration, size)
    else:
        first = jnp.broadcast_to(weights.T[..., None], (*weights.T.shape, size))
    return first, initial_points(rules, numbers, key, first, written)


def initial_weights(
    rules: MixtureRules, key: PRNGKeyArray, concentration: Float[Array, ""], size: int
) -> Float[Array, "B n R"]:
    """Draw the initial weights from Dirichlet(a, ..., a), independently."""
    each = jnp.broadcast_to(concentration, (rules.components,))
    drawn = jax.random.dirichlet(
        jax.random.fold_in(key, _WEIGHTS), each, (rules.models, size), jnp.float64
    )
    return jnp.moveaxis(drawn, -1, 0)


def initial_points(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    key: PRNGKeyArray,
    weights: Float[Array, "B n R"],
    written: bool,
) -> Float[Array, "d A R"]:
    """Draw A^(0) from the web's law, or each point from one of the models."""
    size = weights.shape[-1]
    of_points, of_author = jax.random.split(jax.random.fold_in(key, _WEB))
    law = numbers.web[:, None, None]
    if written:
        author = jax.random.randint(of_author, (rules.points, size), 0, rules.models)
        law = jnp.take_along_axis(weights, author[None], axis=1)
    return post(numbers.parts, law, posts(of_points, rules.dim, (rules.points, size)))


def _key(key: PRNGKeyArray, part: int, t: Any) -> PRNGKeyArray:
    return jax.random.fold_in(jax.random.fold_in(key, part), t)
