"""Simulate interacting mixtures over many generations, on noise that is drawn or given."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from commensal._blocks import at_once
from commensal.sims._keys import check_key
from commensal.sims._simulate import Arrays, Plan, Progress, carry_out
from commensal.sims._stepping import of_batches, trajectory
from commensal.sims.mixture import _draws, _numba
from commensal.sims.mixture._config import MixtureConfig
from commensal.sims.mixture._dataset import as_dataset
from commensal.sims.mixture._points import Posts
from commensal.sims.mixture._process import (
    BLOCK,
    MixtureNoise,
    MixtureNumbers,
    MixtureRules,
    rules,
)
from commensal.sims.mixture._steps import (
    WIDTH,
    advance,
    drawn_first,
    first,
    first_weights,
    numbers,
    own_stream,
    read,
)


def simulate(
    config: MixtureConfig | None = None,
    key: PRNGKeyArray | None = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> xr.Dataset:
    r"""Run n mixtures that post on one web and learn from it (`webdynamics`, Alg. 3).

    Parameters
    ----------
    config : MixtureConfig or None
        Settings; None for the defaults.
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    progress : callable or None
        Called as ``progress(done, total)`` at the start and after each chunk of replicates.
    out : path or None
        A NetCDF file to write. With it the simulation is resumable: finished chunks wait in
        ``<out>.partial`` until all are done, and a finished file is read, not computed anew.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.

    Returns
    -------
    xarray.Dataset
        Runs, float64, dimensions (replicate, generation, ...), generations as in ``config.record``.
        ``disagreement``: ‖D^(t)‖_F of eq. (4). ``consensus`` (..., component): the average of the
        models' weights. ``weights`` (..., model, component): Π_i^(t), with ``keep="weights"``. With
        ``update="full"`` also ``density_distance``, the root mean square over pairs of models of (∫
        (g_i - g_j)²)^½; and, with ``keep="weights"``, ``means`` (..., model, component, dimension)
        and ``variances`` (..., model, component), or ``covariances`` where d > 1.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or numba is asked for where it cannot be.
    OutputFileError
        If ``out`` cannot be written, or holds something else. It is a ValueError.

    Notes
    -----
    At t every model posts L points of its mixture Π_i^(t), draws k_t points of A^(t) (what was
    there before these posts), uniformly, without replacement and in uniform order, and takes them
    one by one through Algorithm 2; then A^(t+1) = A^(t) and the posts. The positivity step is as
    printed, and leaves Σ_b π_b at 1 + O(ε(ε + αc)).

    *Draws.* Each model of each replicate keeps its points in an arrangement of its own. For
    p = 1..k the point in place p changes places with one that is uniform among places p..N. Given
    any arrangement to begin with, the p-th point is then uniform among those not drawn yet, so
    that the first k places are a uniform sample in uniform order, independently of all draws
    before. It does not matter that the arrangement is what the last generation left. A place comes
    from 32 random bits: none is favoured by more than N/2³².

    *Moving components*, ``update="full"``. For one point u, with o_b and δ = u - μ_b of before it,
    w = α min(o_b/π_b, ``rate_cap``), at most 1, moves μ_b by w δ and Σ_b by w (δ δᵀ - Σ_b): all of
    the recursive EM of Zivkovic and van der Heijden (IEEE Trans. PAMI 26, 2004, 651-656), which
    the paper leaves open. All models start from the components of ``config``, which remain those
    of A^(0) and of human posts.

    *Likelihoods* of a point under the B components are computed once, when it is posted.

    Replicates are drawn in batches of a fixed size, each from a key of its own that follows from
    ``key``, the batch's number and ``config.update``: no result depends on ``chunk``, on the number
    of cores, or on how many replicates follow, and the first generations of a longer run are those
    of a shorter one.

    Examples
    --------
    >>> runs = simulate(MixtureConfig(generations=30, replicates=5))
    >>> dict(runs.sizes)
    {'replicate': 5, 'generation': 31, 'component': 2, 'model': 3}

    Models that differ at first soon do not:

    >>> fall = runs.disagreement.sel(generation=30) / runs.disagreement.sel(generation=0)
    >>> bool((fall < 0.5).all())
    True
    """
    config = config or MixtureConfig()
    key = check_key(config.seed, key)
    own, written = own_stream(config.update == "full", key), config.web is None
    with jax.enable_x64(True):
        settings = rules(config), numbers(config)
        law, given = first_weights(config)
        record = jnp.asarray(config.record)
    compiled = _numba.batches(config, *settings, own, law, given) if _numba.chosen(config) else None

    batches = -(-config.replicates // WIDTH)
    together = 1 if compiled else at_once(batches, bytes_of_batch(config), on_cpu=1)

    def run(start: int) -> Arrays:
        batch = start // WIDTH
        # settings are the thread's own
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            if compiled is not None:
                found = compiled(batch, min(WIDTH, config.replicates - start))
            else:
                which, full = batch + np.arange(together), config.keep == "weights"
                found = _draw_batches(*settings, own, law, given, which, record, written, full)
        return _replicates_first(found)

    dataset = partial(as_dataset, config, key)
    width = WIDTH * together
    plan = Plan("mixture", config, key, width, run, dataset, compiles=compiled is None)
    return carry_out(plan, progress, out, overwrite)


def replay(
    config: MixtureConfig,
    weights: Float[np.ndarray, "R n B"],
    points: Float[np.ndarray, "R A d"],
    posts: Posts,
    words: Any,
) -> xr.Dataset:
    """Run mixtures on given noise: for tests, and to couple two processes.

    Parameters
    ----------
    config : MixtureConfig
        Settings of the mixtures.
    weights : Float[np.ndarray, "R n B"]
        Initial weights Π_i^(0).
    points : Float[np.ndarray, "R A d"]
        Points A^(0).
    posts : Posts
        Noise of all posts, arrays (T, n, L, R) and (T, d, n, L, R).
    words : UInt32[np.ndarray, "T k n R"]
        Random bits of each draw, k at least the largest k_t.

    Returns
    -------
    xarray.Dataset
        Runs, as :func:`simulate` gives them; as many replicates as the noise has.
    """
    missing = -words.shape[1] % BLOCK
    words = np.pad(words, ((0, 0), (0, missing), (0, 0), (0, 0)))
    with jax.enable_x64(True):
        found = _replay_batch(
            rules(config),
            numbers(config),
            jnp.asarray(weights.T),
            jnp.asarray(np.moveaxis(points, (0, -1), (-1, 0))),
            jax.tree.map(jnp.asarray, posts),
            jnp.asarray(words),
            jnp.asarray(config.record),
            full=config.keep == "weights",
        )
    return as_dataset(config, None, _replicates_first(found))


@partial(jax.jit, static_argnums=(0, 7, 8))
def _draw_batches(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    own: PRNGKeyArray,
    concentration: Float[Array, ""],
    given: Float[Array, "n B"] | None,
    batches: Any,
    record: Any,
    written: bool,
    all_weights: bool,
) -> dict[str, Array]:
    def one(batch: Any) -> dict[str, Array]:
        key = jax.random.fold_in(own, batch)
        state = drawn_first(rules, numbers, key, concentration, given, batch, written)
        noise = _draws.noise(rules, key, WIDTH)
        observe = partial(read, all_weights=all_weights)
        return trajectory(state, partial(advance, noise=noise), observe, record)

    return of_batches(one, batches)


def bytes_of_batch(config: MixtureConfig) -> float:
    """Count the bytes that a batch needs on the device, with what is recorded of it."""
    of = rules(config)
    likelihoods = of.dim if config.update == "full" else of.components
    index = 2 if of.total < 2**15 else 4
    # read and written: the points, and every lane's arrangement of them
    points = 2.5 * of.total * (np.dtype(of.dtype).itemsize * likelihoods + index * of.models)
    weights = of.models * of.components * (1 + of.dim * (of.dim + 1) * (config.update == "full"))
    drawn = of.models * of.posts * (4 + 2 * of.dim) + of.points * (6 + of.components + of.dim)
    recorded = 1 + of.components + weights * (config.keep == "weights")
    return WIDTH * (points + 8.0 * (8 * weights + 4 * drawn + 2 * recorded * len(config.record)))


@partial(jax.jit, static_argnames=("rules", "full"))
def _replay_batch(
    rules: MixtureRules,
    numbers: MixtureNumbers,
    weights: Float[Array, "B n R"],
    points: Float[Array, "d A R"],
    posts: Posts,
    words: Any,
    record: Any,
    *,
    full: bool,
) -> dict[str, Array]:
    noise = MixtureNoise(
        lambda t: jax.tree.map(lambda x: x[t], posts),
        lambda t, block: jax.lax.dynamic_slice_in_dim(words[t], block * BLOCK, BLOCK),
    )
    state = first(rules, numbers, weights, points)
    observe = partial(read, all_weights=full)
    return trajectory(state, partial(advance, noise=noise), observe, record)


def _replicates_first(found: dict[str, Any]) -> Arrays:
    """Turn (generation, replicate, ...) into (replicate, generation, ...)."""
    return {name: np.asarray(values).swapaxes(0, 1) for name, values in found.items()}
