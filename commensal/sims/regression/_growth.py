r"""Growth of errors where every generation is asked prompts of its own.

With fixed prompts errors grow by ρ(Q). If prompts are drawn anew, Q_t is random and what counts is

.. math:: γ = \lim_{t \to \infty} \frac1t \log \lVert Q_t \cdots Q_1 \rVert,

the largest Lyapunov exponent: errors die out if and only if γ < 0. One vector is followed, and
brought back to unit length in each generation; the logarithms of what it grew by are averaged.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from commensal import networks
from commensal._compiled import compiled
from commensal._precision import float64
from commensal.designs import Designs
from commensal.sims._keys import check_key, stream
from commensal.sims.regression._config import RegressionConfig
from commensal.sims.regression._designs import given_or_drawn


class GrowthExponent(NamedTuple):
    """Growth rate of errors per generation, on a logarithmic scale.

    Attributes
    ----------
    exponent : float
        Lyapunov exponent γ, the mean over replicates.
    low, high : float
        95 % interval of γ, by Student's t over replicates.
    replicates : Float[np.ndarray, "R"]
        Mean logarithmic growth of each replicate.
    """

    exponent: float
    low: float
    high: float
    replicates: Float[np.ndarray, "R"]


def growth_exponent(
    config: RegressionConfig | None = None,
    prompts: int | None = None,
    key: PRNGKeyArray | None = None,
    designs: Designs | None = None,
    *,
    replicates: int = 16,
    generations: int = 400,
    burn_in: int = 100,
) -> GrowthExponent:
    r"""Estimate the growth rate of errors when each generation is asked new Gaussian prompts.

    Parameters
    ----------
    config : RegressionConfig or None
        System: private and public data, α, β, human share and reading network. Its prompts,
        ``replicates`` and ``generations`` are not used. None: the defaults.
    prompts : int or None
        Number of prompts that each model is asked per generation. They are drawn N(0, I) anew, and
        count as much as ``config.rank`` of them whatever their number. None: ``config.rank``.
    key : PRNGKeyArray or None
        Key of the prompts; None: made of ``config.seed``.
    designs : Designs or None
        Private and public features in the place of those that the config describes.
    replicates : int
        Number of independent runs R, at least 2.
    generations : int
        Number of generations that are averaged over in each.
    burn_in : int
        Number of generations before them, in which the error turns to where it grows most.

    Returns
    -------
    GrowthExponent
        Exponent γ with its interval; errors die out if γ < 0. For fixed prompts e^γ is ρ(Q).

    Raises
    ------
    ValueError
        If a number is out of range, a weight varies in time, or some model's data do not fix all
        directions.

    Notes
    -----
    New here. All replicates see the same real data. Fresh human data, where there are any, answer
    all models' prompts of the generation.

    References
    ----------
    H. Furstenberg, H. Kesten, Products of random matrices, Ann. Math. Statist. 31 (1960).

    Examples
    --------
    Five prompts in 15 dimensions, to six models that read all but themselves. Asked again and
    again they make this system diverge; drawn anew they do not:

    >>> from commensal.theory import regression
    >>> config = RegressionConfig(models=6, rank=5, reads="self:0", prompts="fresh", seed=3)
    >>> fixed = regression.RegressionWorkflow(
    ...     **config.gram_matrices(6), alpha=0.5, beta=0.5, reads=config.network(6)
    ... )
    >>> found = growth_exponent(config, replicates=4, generations=100)
    >>> bool(regression.spectral_radius(fixed) > 1), found.high < 0
    (True, True)
    """
    config = RegressionConfig() if config is None else config
    alpha, beta, share = (_constant(config, x) for x in ("alpha", "beta", "human_share"))
    rows = config.rank if prompts is None else prompts
    counts = {"prompts": (rows, 1), "replicates": (replicates, 2), "generations": (generations, 1)}
    for name, (value, least) in (counts | {"burn_in": (burn_in, 0)}).items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    features, _ = given_or_drawn(config, designs, None)
    private, public = (np.swapaxes(x, -1, -2) @ x for x in features[:2])
    real = (1 - alpha) * (beta * private + (1 - beta) * public)
    k, d = real.shape[:2]
    network = config.network(k)
    reads = networks.uniform(k) if network is None else network
    rank = np.linalg.matrix_rank(real, hermitian=True).min()
    heard = (reads > 0).sum(axis=1).min() * rows * (alpha > 0)
    if rank + heard < d:
        raise ValueError(
            f"some model has {rank} directions of real data and {heard} prompts for {d} "
            "directions: give more"
        )
    logs = _logs(
        stream(check_key(config.seed, key), "growth"),
        real,
        reads,
        alpha,
        share,
        np.float64(np.sqrt(config.rank / rows)),
        rows=rows,
        replicates=replicates,
        generations=burn_in + generations,
    )
    each = np.asarray(logs)[burn_in:].mean(axis=0)
    half = stats.t.ppf(0.975, replicates - 1) * each.std(ddof=1) / np.sqrt(replicates)
    middle = float(each.mean())
    return GrowthExponent(middle, middle - float(half), middle + float(half), each)


def _constant(config: RegressionConfig, name: str) -> np.float64:
    value = getattr(config, name)
    if not isinstance(value, float):
        raise ValueError(f"{name} must not vary in time, got {value}")
    return np.float64(value)


def _grams(key: PRNGKeyArray, rows: int, shape: tuple[int, ...], d: int) -> Float[Array, "R K d d"]:
    """Draw Gram matrices of ``rows`` standard normal prompts, by Bartlett if that is less."""
    if rows < d:
        x = jax.random.normal(key, (*shape, rows, d), jnp.float64)
        return x.mT @ x
    below, sizes = jax.random.split(key)
    lower = jnp.tril(jax.random.normal(below, (*shape, d, d), jnp.float64), -1)
    freedom = jnp.asarray(rows - np.arange(d), jnp.float64)
    squares = jax.random.chisquare(sizes, freedom, (*shape, d), jnp.float64)
    lower += jnp.sqrt(squares)[..., None] * jnp.eye(d)
    return lower @ lower.mT


def _run(
    key: PRNGKeyArray,
    real: Float[Array, "K d d"],
    reads: Float[Array, "K K"],
    alpha: Float[Array, ""],
    share: Float[Array, ""],
    scale: Float[Array, ""],
    *,
    rows: int,
    replicates: int,
    generations: int,
) -> Float[Array, "T R"]:
    """Return what the error's length is multiplied by in each generation, as logarithms."""
    k, d, _ = real.shape

    def step(error: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
        asked = scale**2 * _grams(key, rows, (replicates, k), d)
        read = jnp.einsum("kj,rjab->rkab", reads, asked)
        human = asked.mean(axis=1, keepdims=True)
        gram = real + alpha * ((1 - share) * read + share * human)
        heard = jnp.einsum("kj,rjab,rjb->rka", alpha * (1 - share) * reads, asked, error)
        error = jnp.linalg.solve(gram, heard[..., None])[..., 0]
        size = jnp.linalg.norm(error, axis=(1, 2))
        return error / size[:, None, None], jnp.log(size)

    start, rest = jax.random.split(key)
    error = jax.random.normal(start, (replicates, k, d), jnp.float64)
    error /= jnp.linalg.norm(error, axis=(1, 2), keepdims=True)
    return jax.lax.scan(step, error, jax.random.split(rest, generations))[1]


_logs = float64(compiled(_run, static_argnames=("rows", "replicates", "generations")))
