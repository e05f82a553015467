r"""Recursive EM for one batch, in which means and covariances move with the weights.

`webdynamics` fixes the components (sec. 3.2: "for simplicity") and leaves this open. The rule is
the one that its Algorithm 2 is taken from: Z. Zivkovic and F. van der Heijden, "Recursive
unsupervised learning of finite mixture models", IEEE Trans. PAMI 26 (5), 2004, 651-656. For one
point u, with o_b = π_b N(u; μ_b, Σ_b) / g(u) and δ = u - μ_b, all of before the point,

    w = α min(o_b / π_b, rate_cap), at most 1;  μ_b ← μ_b + w δ;  Σ_b ← Σ_b + w (δ δᵀ - Σ_b)

and the weights by lines 5 to 14. What differs from :mod:`._process`: each model has components of
its own, densities change, and so the web keeps points, not likelihoods.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from commensal.sims.mixture._config import MixtureConfig
from commensal.sims.mixture._points import Posts, post
from commensal.sims.mixture._process import (
    BLOCK,
    MixtureNoise,
    MixtureNumbers,
    MixtureRules,
    place_of,
)
from commensal.sims.mixture._update import as_array, as_carried, update

# rows of a lower triangle, row i of i + 1 arrays: linear algebra of d ≤ 4 is written out, since
# XLA's own would call LAPACK for each point
Triangle = tuple[tuple[Any, ...], ...]


class Moving(NamedTuple):
    """Bounds on the rates of components, and on their variances."""

    rate_cap: Float[Array, ""]
    least_variance: Float[Array, ""]


class Mixtures(NamedTuple):
    """Weights (B, n, R), means and covariances of the models, an array per coordinate or pair."""

    weights: Float[Array, "B n R"]
    means: tuple[Any, ...]
    covariances: Triangle


class FullMixtureState(NamedTuple):
    """Models, the arrangement of every lane (as in :mod:`._process`), and all points so far."""

    models: Mixtures
    arrangement: Any  # (P · n · R,)
    table: Float[Array, "P R d"]


def moving(config: MixtureConfig) -> Moving | None:
    """Return the bounds of moving components, None where components are fixed."""
    if config.update != "full":
        return None
    least = config.least_variance
    if least is None:
        least = 1e-6 * np.linalg.eigvalsh(config.covariances()).min()
    return Moving(jnp.asarray(config.rate_cap, jnp.float64), jnp.asarray(least, jnp.float64))


def initial(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    weights: Float[Array, "B n R"],
    points: Float[Array, "d A R"],
) -> FullMixtureState:
    """Make generation 0, in which every model has the components of the configuration."""
    size, d = weights.shape[-1], rules.dim
    index = jnp.int16 if rules.total < 2**15 else jnp.int32
    lanes = (rules.total, rules.models, size)
    arrangement = jnp.broadcast_to(numbers.schedule.identity[..., None], lanes).astype(index)
    table = jnp.zeros((rules.total, size, d), rules.dtype)
    first = jnp.moveaxis(points, 0, -1).astype(rules.dtype)
    table = jax.lax.dynamic_update_slice_in_dim(table, first, 0, 0)

    def everywhere(x: Float[Array, "B"]) -> Float[Array, "B n R"]:
        return jnp.broadcast_to(x[:, None, None], weights.shape).astype(rules.dtype)

    factors = numbers.parts.factors
    covariances = factors @ factors.mT
    models = Mixtures(
        weights.astype(rules.dtype),
        tuple(everywhere(numbers.parts.means[:, i]) for i in range(d)),
        tuple(tuple(everywhere(covariances[:, i, j]) for j in range(i + 1)) for i in range(d)),
    )
    return FullMixtureState(models, arrangement.reshape(-1), table)


def generation(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    noise: MixtureNoise,
    t: Any,
    state: FullMixtureState,
) -> FullMixtureState:
    """Step from t to t + 1: all models post, draw from the earlier points, and update."""
    posted = _posted(rules, numbers, noise.posts(t), state.models)
    models, arrangement = _learn(rules, numbers, noise, t, state)
    start = rules.points + rules.models * rules.posts * t
    rows = jnp.moveaxis(posted.reshape(rules.dim, -1, posted.shape[-1]), 0, -1)
    table = jax.lax.dynamic_update_slice_in_dim(state.table, rows.astype(rules.dtype), start, 0)
    return FullMixtureState(models, arrangement, table)


def _posted(
    rules: MixtureRules, numbers: MixtureNumbers, noise: Posts, models: Mixtures
) -> Float[Array, "d n L R"]:
    models = jax.tree.map(lambda x: x[:, :, None].astype(noise.component.dtype), models)
    upto = jnp.cumsum(models.weights, axis=0)
    chosen = jnp.sum(noise.component * upto[-1] >= upto[:-1], axis=0)

    def of_chosen(x: Float[Array, "B n 1 R"]) -> Float[Array, "n L R"]:
        return jnp.take_along_axis(x, chosen[None], axis=0)[0]

    factor = cholesky(jax.tree.map(of_chosen, models.covariances))
    points = jnp.stack(
        [
            of_chosen(mean) + sum(x * noise.normal[j] for j, x in enumerate(factor[i]))
            for i, mean in enumerate(models.means)
        ]
    )
    if rules.human:  # whose components stay what they were
        of_humans = jnp.broadcast_to(numbers.web[:, None, None, None], (len(upto), *chosen.shape))
        human = post(numbers.parts, of_humans, noise)
        points = jnp.where(noise.human < numbers.human_share, human, points)
    return points


def _learn(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    noise: MixtureNoise,
    t: Any,
    state: FullMixtureState,
) -> tuple[Any, Any]:
    n, size = state.models.weights.shape[1:]
    # everyone reads everything, so that all have the same rows and as many draws
    rows, draws, alpha, prior = (x[t, 0] for x in numbers.schedule[:4])
    alpha, prior = (jnp.broadcast_to(x, (n, size)).astype(rules.dtype) for x in (alpha, prior))
    epsilon = numbers.epsilon.astype(rules.dtype)
    bounds = jax.tree.map(lambda x: x.astype(rules.dtype), numbers.moving)
    lanes = jnp.arange(n * size, dtype=jnp.int32)
    flat = state.table.reshape(-1)
    coordinates = jnp.arange(rules.dim, dtype=jnp.int32)[:, None]

    def one(first, words, j, carry):
        models, arrangement = carry
        p = first + j
        if rules.replacement:
            place = place_of(words[j], rows).astype(jnp.int32).reshape(-1)
            point = arrangement.at[place * (n * size) + lanes].get(mode="promise_in_bounds")
        else:
            place = (p + place_of(words[j], rows - p)).astype(jnp.int32).reshape(-1)
            source = place * (n * size) + lanes
            target = p.astype(jnp.int32) * (n * size) + lanes
            both = arrangement.at[jnp.concatenate([source, target])].get(mode="promise_in_bounds")
            arrangement = arrangement.at[jnp.concatenate([target, source])].set(
                both, mode="promise_in_bounds"
            )
            point = both[: n * size]
        address = (point.astype(jnp.int32) * size + lanes % size) * rules.dim + coordinates
        u = flat.at[address].get(mode="promise_in_bounds").reshape(-1, n, size)
        return learn_point(models, u, alpha, prior, epsilon, bounds), arrangement

    def block(number, carry):
        first = number * BLOCK
        words = noise.words(t, number)
        count = jnp.minimum(BLOCK, draws - first)
        return jax.lax.fori_loop(0, count, partial(one, first, words), carry)

    blocks = (draws + BLOCK - 1) // BLOCK
    return jax.lax.fori_loop(0, blocks, block, (state.models, state.arrangement))


def learn_point(
    models: Mixtures,
    point: Float[Array, "d n R"],
    alpha: Float[Array, "n R"],
    prior: Float[Array, "n R"],
    epsilon: Float[Array, ""],
    bounds: Moving,
) -> Mixtures:
    """Update the models by one point of each lane; all terms use the models before the point."""
    d = len(models.means)
    gap = [point[i] - mean for i, mean in enumerate(models.means)]
    log = log_density(gap, cholesky(models.covariances))
    density = jnp.exp(log - jnp.max(log, axis=0))
    # never zero, or a point of a component that a model has given up (ε = 0) would be 0/0 to it
    density = jnp.maximum(density, jnp.finfo(density.dtype).tiny)
    # N_b / g is o_b / π_b also where π_b is 0
    relative = density / jnp.sum(models.weights * density, axis=0)
    rate = jnp.minimum(alpha * jnp.minimum(relative, bounds.rate_cap), 1)
    weights = as_array(update(as_carried(models.weights), density, alpha, prior, epsilon))
    covariances = tuple(
        tuple(s + rate * (gap[i] * gap[j] - s) for j, s in enumerate(row))
        for i, row in enumerate(models.covariances)
    )
    return Mixtures(
        weights,
        tuple(models.means[i] + rate * gap[i] for i in range(d)),
        at_least(covariances, bounds.least_variance),
    )


def at_least(covariances: Triangle, least: Any) -> Triangle:
    """Raise the squared diagonals of the covariances' Cholesky factors to at least ``least``.

    One variance is clipped. A matrix with a smaller pivot, which then has a smaller eigenvalue,
    gets ``least`` added to its diagonal: all its eigenvalues, and so its pivots, are above it.
    """
    if len(covariances) == 1:
        return ((jnp.maximum(covariances[0][0], least),),)
    factor = cholesky(covariances)
    lowest = factor[0][0]
    for i in range(1, len(factor)):
        lowest = jnp.minimum(lowest, factor[i][i])
    # a pivot that is not positive has a NaN for a root, and then the comparison is false
    added = jnp.where(lowest**2 >= least, 0, least)
    return tuple(
        tuple(s + added if i == j else s for j, s in enumerate(row))
        for i, row in enumerate(covariances)
    )


def cholesky(matrix: Triangle) -> Triangle:
    """Factor matrices row by row; NaN where there is no factor."""
    rows: list[tuple[Any, ...]] = []
    for i, entries in enumerate(matrix):
        row: list[Any] = []
        for j, entry in enumerate(entries):
            above = row if i == j else rows[j]
            rest = entry - sum(row[m] * above[m] for m in range(j))
            row.append(jnp.sqrt(rest) if i == j else rest / rows[j][j])
        rows.append(tuple(row))
    return tuple(rows)


def log_density(gap: list[Any], factor: Triangle) -> Any:
    """Compute the log density N(gap; 0, L Lᵀ), without the factors 2π."""
    white: list[Any] = []
    log: Any = 0.0
    for i, row in enumerate(factor):
        white.append((gap[i] - sum(row[m] * white[m] for m in range(i))) / row[i])
        log = log - 0.5 * white[i] ** 2 - jnp.log(row[i])
    return log


def weights_of(state: FullMixtureState) -> Float[Array, "B n R"]:
    """Return the models' weights."""
    return state.models.weights


def read(state: FullMixtureState, moments: bool) -> dict[str, Array]:
    """Measure what is recorded beside the weights, replicates first."""
    found = {"density_distance": density_distance(state.models)}
    return found | _moments(state.models) if moments else found


def density_distance(models: Mixtures) -> Float[Array, "R"]:
    r"""Compute the root mean square over pairs of models of (∫ (g_i - g_j)²)^½.

    From ∫ N(x; a, S) N(x; b, T) dx = N(a - b; 0, S + T). With Q_ij = ∫ g_i g_j, the sum over
    pairs is n Σ_i Q_ii - Σ_ij Q_ij. It is a difference, so that densities closer than 1e-8 of
    their own norm are not told apart.
    """
    models = jax.tree.map(lambda x: x.astype(jnp.float64), models)
    n, d = models.weights.shape[1], len(models.means)

    def overlaps(i: Any) -> tuple[Any, Any]:
        # one model against all: (B of it, B of theirs, n, R)
        mine = jax.tree.map(lambda x: x[:, i][:, None, None], models)
        gap = [a - b for a, b in zip(mine.means, models.means, strict=True)]
        factor = cholesky(jax.tree.map(jnp.add, mine.covariances, models.covariances))
        scale = mine.weights * models.weights / (2 * jnp.pi) ** (d / 2)
        each = jnp.sum(scale * jnp.exp(log_density(gap, factor)), axis=(0, 1))
        return each[i], jnp.sum(each, axis=0)

    own, all_of_it = (jnp.sum(x, axis=0) for x in jax.lax.map(overlaps, jnp.arange(n)))
    pairs = n * (n - 1) / 2
    return jnp.sqrt(jnp.maximum(n * own - all_of_it, 0) / pairs)


def _moments(models: Mixtures) -> dict[str, Array]:
    """Return means and covariances; axes replicate, model, component, dimensions."""
    models = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1).astype(jnp.float64), models)
    d = len(models.means)
    means = jnp.moveaxis(jnp.stack(models.means, axis=-1), 1, 0)
    if d == 1:
        return {"means": means, "variances": models.covariances[0][0].swapaxes(0, 1)}
    rows = [
        jnp.stack([models.covariances[max(i, j)][min(i, j)] for j in range(d)], axis=-1)
        for i in range(d)
    ]
    return {"means": means, "covariances": jnp.moveaxis(jnp.stack(rows, axis=-2), 1, 0)}
