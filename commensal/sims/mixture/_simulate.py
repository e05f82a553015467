"""Interacting mixtures over many generations, on noise that is drawn or given."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray

from commensal._cores import available_cores
from commensal.sims._keys import check_key
from commensal.sims.mixture import _draws, _full, _numba, _process
from commensal.sims.mixture._batches import WIDTH
from commensal.sims.mixture._config import Config
from commensal.sims.mixture._dataset import as_dataset
from commensal.sims.mixture._points import Posts, components
from commensal.sims.mixture._process import (
    BLOCK,
    Noise,
    Numbers,
    Rules,
    rules,
)
from commensal.sims.mixture._schedule import schedule


def simulate(
    config: Config,
    key: PRNGKeyArray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    r"""n mixtures that post on one web and update their weights from it (`webdynamics`, Alg. 3).

    Parameters
    ----------
    config : Config
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``.
    progress : callable or None
        Called as ``progress(done, total)`` after each chunk of replicates.

    Returns
    -------
    xarray.Dataset
        Float64, dimensions (replicate, generation, ...), generations as in ``config.record``.
        ``disagreement``: ‖D^(t)‖_F of eq. (4). ``consensus`` (..., component): the average of the
        models' weights. ``weights`` (..., model, component): Π_i^(t), with ``keep="weights"``.
        With ``update="full"`` also ``density_distance``, the root mean square over pairs of models
        of (∫ (g_i - g_j)²)^½; and, with ``keep="weights"``, ``means`` (..., model, component,
        dimension) and ``variances`` (..., model, component), or ``covariances`` where d > 1.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or numba is asked for where it cannot be.

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

    Replicates are drawn in batches of a fixed size, batch b from ``fold_in(key, b)``: no result
    depends on ``chunk``, on the number of cores, or on how many replicates follow, and the first
    generations of a longer run are those of a shorter one.

    Examples
    --------
    >>> runs = simulate(Config(generations=30, replicates=5))
    >>> dict(runs.sizes)
    {'replicate': 5, 'generation': 31, 'component': 2, 'model': 3}

    Models that differ at first soon do not:

    >>> fall = runs.disagreement.sel(generation=30) / runs.disagreement.sel(generation=0)
    >>> bool((fall < 0.5).all())
    True
    """
    key = check_key(config.seed, key)
    with jax.enable_x64(True):
        settings = rules(config), _numbers(config)
        law = jnp.asarray(config.concentration, jnp.float64)
        given = None if config.weights is None else jnp.asarray(np.array(config.weights))
        record = jnp.asarray(config.record)
    written, full = config.web is None, config.keep == "weights"
    starts = range(0, config.replicates, WIDTH)
    out: dict[str, np.ndarray] = {}
    compiled = _numba.batches(config, *settings, key, law, given) if _numba.chosen(config) else None

    def batch(start: int) -> None:
        # settings are the thread's own
        with jax.enable_x64(True), jax.threefry_partitionable(True):
            if compiled is not None:
                found = compiled(start // WIDTH, min(WIDTH, config.replicates - start))
            else:
                found = _draw_batch(
                    *settings, key, start // WIDTH, law, given, record, written=written, full=full
                )
            for name, values in found.items():
                _store(out, name, start, np.asarray(values), config.replicates)

    if compiled is None:
        batch(0)  # compiles; threads that start together would each compile
    per_chunk = -(-config.chunk // WIDTH)
    with ThreadPoolExecutor(available_cores()) as pool:
        for first in range(0, len(starts), per_chunk):
            chunk = starts[first : first + per_chunk]
            todo = chunk if compiled is not None else (start for start in chunk if start > 0)
            list(pool.map(batch, todo))
            if progress is not None:
                progress(min(chunk[-1] + WIDTH, config.replicates), config.replicates)
    return as_dataset(config, out, str(np.asarray(jax.random.key_data(key)).tolist()))


def replay(
    config: Config,
    weights: Float[np.ndarray, "R n B"],
    points: Float[np.ndarray, "R A d"],
    posts: Posts,
    words: Any,
) -> xr.Dataset:
    """The same on given noise: for tests, and to couple two processes.

    Parameters
    ----------
    config : Config
    weights : Float[np.ndarray, "R n B"]
        Π_i^(0).
    points : Float[np.ndarray, "R A d"]
        A^(0).
    posts : Posts
        Arrays (T, n, L, R) and (T, d, n, L, R).
    words : UInt32[np.ndarray, "T k n R"]
        Random bits of each draw, k at least the largest k_t.

    Returns
    -------
    xarray.Dataset
        As :func:`simulate`; its replicates are as many as the noise has.
    """
    missing = -words.shape[1] % BLOCK
    words = np.pad(words, ((0, 0), (0, missing), (0, 0), (0, 0)))
    with jax.enable_x64(True):
        found = _replay_batch(
            rules(config),
            _numbers(config),
            jnp.asarray(weights.T),
            jnp.asarray(np.moveaxis(points, (0, -1), (-1, 0))),
            jax.tree.map(jnp.asarray, posts),
            jnp.asarray(words),
            jnp.asarray(config.record),
            full=config.keep == "weights",
        )
        out: dict[str, np.ndarray] = {}
        for name, values in found.items():
            _store(out, name, 0, np.asarray(values), len(weights))
    return as_dataset(config, out, "given noise")


@partial(jax.jit, static_argnames=("rules", "written", "full"))
def _draw_batch(
    rules: Rules,
    numbers: Numbers,
    key: PRNGKeyArray,
    number: Any,
    concentration: Float[Array, ""],
    weights: Float[Array, "n B"] | None,
    record: Any,
    *,
    written: bool,
    full: bool,
) -> dict[str, Array]:
    key = jax.random.fold_in(key, number)
    start, points = _draws.start(rules, numbers, key, concentration, weights, written, WIDTH)
    process = _process_of(numbers)
    state = process.initial(rules, numbers, start, points)
    noise = _draws.noise(rules, key, WIDTH)
    return process.run(rules, numbers, noise, state, record, partial(_read, full=full))


@partial(jax.jit, static_argnames=("rules", "full"))
def _replay_batch(
    rules: Rules,
    numbers: Numbers,
    weights: Float[Array, "B n R"],
    points: Float[Array, "d A R"],
    posts: Posts,
    words: Any,
    record: Any,
    *,
    full: bool,
) -> dict[str, Array]:
    noise = Noise(
        lambda t: jax.tree.map(lambda x: x[t], posts),
        lambda t, block: jax.lax.dynamic_slice_in_dim(words[t], block * BLOCK, BLOCK),
    )
    process = _process_of(numbers)
    state = process.initial(rules, numbers, weights, points)
    return process.run(rules, numbers, noise, state, record, partial(_read, full=full))


def _process_of(numbers: Numbers) -> Any:
    """What has ``initial`` and ``run``: fixed components, or moving ones."""
    return _process if numbers.moving is None else _full


def _read(weights: Float[Array, "B n R"], *, full: bool) -> dict[str, Array]:
    weights = weights.astype(jnp.float64)
    consensus = jnp.mean(weights, axis=1)
    # eq. (4): Σ_ij |Π_i - Π_j|² = 2 n Σ_i |Π_i - average|²
    spread = jnp.sum((weights - consensus[:, None]) ** 2, axis=(0, 1))
    found = {
        "disagreement": jnp.sqrt(2 * weights.shape[1] * spread),
        "consensus": consensus.T,
    }
    if full:
        found["weights"] = jnp.moveaxis(weights, (0, 2), (2, 0))
    return found


def _numbers(config: Config) -> Numbers:
    uniform = [1 / config.components] * config.components
    return Numbers(
        parts=components(config),
        schedule=jax.tree.map(jnp.asarray, schedule(config)),
        web=jnp.asarray(config.web or uniform, jnp.float64),
        human_share=jnp.asarray(config.human_share, jnp.float64),
        epsilon=jnp.asarray(config.epsilon, jnp.float64),
        moving=_full.moving(config),
    )


def _store(
    out: dict[str, np.ndarray], name: str, start: int, values: np.ndarray, total: int
) -> None:
    """(generation, replicate, ...) of a batch, into (replicate, generation, ...) of all."""
    values = values.swapaxes(0, 1)[: total - start]
    whole = out.setdefault(name, np.empty((total, *values.shape[1:])))
    whole[start : start + len(values)] = values
