r"""Interactive linear regression as it happens: responses are drawn, models are refitted.

The process of `interactive`, sec. 5, for thousands of replicates at once. At each generation
every model answers its prompts, :math:`y_{tj} = X_{tj}\hat\theta_{t-1,j} + w_{tj}`, all answers
are pooled, and every entity refits by weighted least squares (of minimum norm where deficient) on

.. math::
    \big[\sqrt{\bar\alpha\beta}\,\tilde X_k;\ \sqrt{\bar\alpha\bar\beta}\,X_*;\
    \sqrt{\alpha(1-\varphi)/K}\,X_{t1};\dots;\sqrt{\alpha(1-\varphi)/K}\,X_{tK};\
    \sqrt{\alpha\varphi}\,X^h\big].

Features are the same for all replicates and responses differ, so the pseudo-inverse of that
matrix is taken once, on the host, and refitting all replicates is one product with it. No Gram
matrix, recursion of moments or other formula of :mod:`commensal.theory` is used: each is the
other's check.

:func:`simulate` keeps every estimate; :func:`moments` keeps means, covariances and their
standard errors, however many replicates there are; :func:`replay` runs on noise of your own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, PRNGKeyArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

import commensal
from commensal.designs import Designs, gaussian, misaligned, truth


class Config(BaseModel):
    r"""One system and how often to run it.

    Attributes
    ----------
    entities : int
        K, the number of models.
    dim : int
        d, the number of features; for ``design="misaligned"`` it is K.
    rank : int
        Rows of every private and synthetic design (Gaussian designs only).
    public_rank : int or None
        Rows of the public design; None for ``rank`` (Gaussian designs only).
    design : {"gaussian", "misaligned"}
        Which of :mod:`commensal.designs` makes the features.
    prompts : {"private", "fresh"}
        What models are asked: their private features, or others (Gaussian designs only).
    strength : float
        Size of the private Gram matrices (misaligned designs only).
    human_rank : int or None
        Rows of the fresh human design (Gaussian designs only). None: humans answer as if on the
        mean synthetic design, which has the Gram matrix :math:`\frac1K \sum_j S_{tj}`.
    human_share : float or sequence
        φ in [0, 1], the fraction of the newly collected data that is human.
    alpha : float or sequence
        Weight of newly collected data, in [0, 1].
    beta : float or sequence
        Weight of *private* data within the real data, in [0, 1].
    initial_beta : float or None
        β at t = 0; None for ``beta`` (its first value where it varies).
    noise : float
        Standard deviation σ of all responses.
    generations : int
        T, the number of generations after the initial fit. A sequence for ``alpha``, ``beta`` or
        ``human_share`` has one value for each of t = 1..T.
    replicates : int
        Independent runs of the process; all have the same features and truth.
    seed : int
        Of the designs, the truth and, where no key is given, the noise.
    chunk : int
        Replicates on the device at a time, rounded up to whole batches of a fixed size (256 on a
        CPU, 8192 elsewhere). It bounds memory and sets how often progress is reported; no
        result depends on it.

    Raises
    ------
    pydantic.ValidationError
        For a value out of range or a name that does not exist. It is a ValueError.

    Examples
    --------
    >>> Config(entities=2, alpha=(0.5, 0.9), generations=2).alpha
    (0.5, 0.9)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entities: int = Field(default=4, ge=1)
    dim: int = Field(default=15, ge=1)
    rank: int = Field(default=5, ge=1)
    public_rank: int | None = Field(default=None, ge=0)
    design: Literal["gaussian", "misaligned"] = "gaussian"
    prompts: Literal["private", "fresh"] = "private"
    strength: float = Field(default=1e4, ge=0, allow_inf_nan=False)
    human_rank: int | None = Field(default=None, ge=0)
    human_share: float | tuple[float, ...] = 0.0
    alpha: float | tuple[float, ...] = 0.5
    beta: float | tuple[float, ...] = 0.5
    initial_beta: float | None = Field(default=None, ge=0, le=1)
    noise: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    generations: int = Field(default=15, ge=0)
    replicates: int = Field(default=2000, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    chunk: int = Field(default=4096, ge=1)

    @field_validator("alpha", "beta", "human_share", mode="before")
    @classmethod
    def _weight(cls, value: Any) -> float | tuple[float, ...]:
        # by hand, because pydantic reports a bad member of a union once per alternative
        try:
            weights = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(f"must be a number or a sequence of numbers, got {value!r}") from None
        if weights.ndim > 1:
            raise ValueError(f"must be one number or one per generation, got {weights.ndim} axes")
        bad = weights[~((weights >= 0) & (weights <= 1))]
        if bad.size:
            raise ValueError(f"must lie in [0, 1], got {bad.flat[0]:g}")
        return tuple(weights.tolist()) if weights.ndim else float(weights)

    @model_validator(mode="before")
    @classmethod
    def _misaligned_dim(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("design") == "misaligned":
            return {"dim": values.get("entities", cls.model_fields["entities"].default)} | values
        return values

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for name in ("alpha", "beta", "human_share"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.generations:
                raise ValueError(
                    f"{name} needs one value per generation, got {len(value)} for "
                    f"generations = {self.generations}"
                )
        if self.design == "gaussian":
            for name in ("rank", "public_rank", "human_rank"):
                if (getattr(self, name) or 0) > self.dim:
                    raise ValueError(
                        f"{name} must be at most dim = {self.dim}, got {getattr(self, name)}"
                    )
            return self
        if self.dim != self.entities:
            raise ValueError(
                f"design 'misaligned' has dim = entities = {self.entities}, got dim = {self.dim}"
            )
        for name, default in (("public_rank", None), ("human_rank", None), ("prompts", "private")):
            if getattr(self, name) != default:
                raise ValueError(f"design 'misaligned' does not take {name}")
        return self


class Noise(NamedTuple):
    """Standard normal draws that drive the process; responses carry them times σ.

    Attributes
    ----------
    private : Float[np.ndarray, "R K n"]
        Of the private responses, drawn once.
    public : Float[np.ndarray, "R m"]
        Of the public responses, drawn once and the same for all entities.
    synthetic : Float[np.ndarray, "R T K s"]
        Of what each model publishes, t = 1..T.
    human : Float[np.ndarray, "R T h"]
        Of the fresh human responses, t = 1..T; h = 0 where ``human_share`` is 0 throughout.
    """

    private: Float[np.ndarray, "R K n"]
    public: Float[np.ndarray, "R m"]
    synthetic: Float[np.ndarray, "R T K s"]
    human: Float[np.ndarray, "R T h"]


def draw_designs(config: Config) -> Designs:
    """Features that a config describes, to hand on to the theory or to change and give back.

    Parameters
    ----------
    config : Config

    Returns
    -------
    Designs
        Float64. With human features wherever ``human_share`` is positive.

    Examples
    --------
    >>> from commensal.theory import regression
    >>> config = Config(entities=2, dim=6, rank=3, human_share=0.2)
    >>> grams = draw_designs(config).grams()
    >>> w = regression.Workflow(
    ...     **grams, alpha=config.alpha, beta=config.beta, human_share=config.human_share
    ... )
    >>> regression.trajectory(w, truth(6), generations=3).mean.shape
    (4, 2, 6)
    """
    if config.design == "misaligned":
        designs = misaligned(config.entities, config.strength)
    else:
        designs = gaussian(
            config.entities,
            config.dim,
            config.rank,
            config.seed,
            public_rank=config.public_rank,
            prompts=config.prompts,
            human_rank=config.human_rank,
        )
    return _with_human(config, designs)


def simulate(
    config: Config,
    key: PRNGKeyArray | None = None,
    designs: Designs | None = None,
    theta: Any = None,
) -> xr.Dataset:
    """Every estimate of every replicate.

    Parameters
    ----------
    config : Config
    key : PRNGKeyArray or None
        One threefry key; None for ``jax.random.key(config.seed)``. Replicate r draws from
        ``fold_in(key, r)`` alone, so the first replicates of a longer run are those of a
        shorter one.
    designs : Designs or None
        Features to use in place of those of ``config`` (with their own K and d); synthetic
        features with a leading axis of length T are asked one set per generation.
    theta : Float[np.ndarray, "d"] or None
        True parameter; None for ``designs.truth(d, config.seed)``.

    Returns
    -------
    xarray.Dataset
        ``estimate`` (replicate, generation 0..T, entity, feature) in units of θ,
        ``squared_error`` (replicate, generation, entity), ‖θ̂ - θ‖² in squared units of θ, and
        ``theta`` (feature). Float64.

    Raises
    ------
    ValueError
        If ``key`` is not one threefry key, or ``designs`` or ``theta`` do not fit together.

    Notes
    -----
    `interactive`, sec. 5 (training workflow) and app. E. The same config, key and machine give
    the same bits; another processor may round differently.

    Examples
    --------
    >>> runs = simulate(Config(entities=2, dim=6, rank=3, generations=4, replicates=100))
    >>> dict(runs.sizes)
    {'replicate': 100, 'generation': 5, 'entity': 2, 'feature': 6}
    >>> runs.squared_error.median("replicate").dims
    ('generation', 'entity')
    """
    designs, theta = _given_or_drawn(config, designs, theta)
    key = _check_key(config, key)
    out = np.empty((config.replicates, config.generations + 1, designs.entities, designs.dim))
    with jax.enable_x64(True):
        system = _system(config, designs, theta)
        size = _batch_size()
        for first, stop, _ in _chunks(config, size):
            # dispatched together, collected afterwards: the device need not wait for the host
            batches = [
                (n * size, _draw_estimates(system, key, n * size, size=size))
                for n in range(first, stop)
            ]
            for start, batch in batches:
                part = np.moveaxis(np.asarray(batch), -1, 0)
                out[start : start + size] = part[: config.replicates - start]
    return _estimates_dataset(config, key, theta, out)


def replay(
    config: Config, noise: Noise, designs: Designs | None = None, theta: Any = None
) -> xr.Dataset:
    """Every estimate, on noise that is given: to couple two systems, or to check by hand.

    Parameters
    ----------
    config : Config
        Its ``replicates`` and ``chunk`` do not matter: there are as many as in ``noise``.
    noise : Noise
    designs, theta
        As for :func:`simulate`.

    Returns
    -------
    xarray.Dataset
        As for :func:`simulate`.

    Raises
    ------
    ValueError
        If an array of ``noise`` has another shape than the system needs.

    Examples
    --------
    Without noise a model that has seen every direction is right at once:

    >>> config = Config(entities=1, dim=2, rank=2, generations=1)
    >>> silent = Noise(
    ...     np.zeros((1, 1, 2)), np.zeros((1, 2)), np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 0))
    ... )
    >>> bool(replay(config, silent).squared_error.max() < 1e-20)
    True
    """
    designs, theta = _given_or_drawn(config, designs, theta)
    noise = Noise(*(np.asarray(values, dtype=float) for values in noise))
    with jax.enable_x64(True):
        system = _system(config, designs, theta)
        replicates = noise.private.shape[:1]
        for name, values, shape in zip(Noise._fields, noise, _noise_shapes(system), strict=True):
            if values.shape != replicates + shape:
                raise ValueError(
                    f"noise.{name} must have shape {replicates + shape}, got {values.shape}"
                )
        out = np.moveaxis(np.asarray(_replay_estimates(system, noise)), -1, 0)
    return _estimates_dataset(config, None, theta, out)


def moments(
    config: Config,
    key: PRNGKeyArray | None = None,
    designs: Designs | None = None,
    theta: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    r"""Monte-Carlo mean and covariance of every estimate, with their standard errors.

    Parameters
    ----------
    config : Config
        At least two replicates; there is no limit to how many, since none is kept.
    key, designs, theta
        As for :func:`simulate`; the replicates are the same ones.
    progress : callable or None
        Called as ``progress(done, total)`` after each chunk of replicates.

    Returns
    -------
    xarray.Dataset
        ``mean`` (generation 0..T, entity, feature) and ``covariance`` (generation, entity,
        feature, feature\_), in units of θ and their square; ``mse`` (generation, entity), the
        mean of ‖θ̂ - θ‖²; ``mean_standard_error``, ``covariance_standard_error`` and
        ``mse_standard_error`` of the same shapes; ``theta`` (feature). Float64. (Read the mean
        as ``runs["mean"]``: ``runs.mean`` is a method of xarray.)

    Raises
    ------
    ValueError
        As :func:`simulate`, or for fewer than two replicates.

    Notes
    -----
    The standard error of a covariance comes from fourth moments of the sample itself, so it
    does not assume that estimates are Gaussian:

    .. math::
        \widehat{\mathrm{Var}}(c_{ab}) = \frac{m_{aabb} - c_{ab}^2}{R}
        + \frac{c_{aa}c_{bb} + c_{ab}^2}{R(R-1)},

    with :math:`m_{aabb}` the sample mean of :math:`(x_a - \bar x_a)^2 (x_b - \bar x_b)^2`.
    Power sums are taken of estimates centred and scaled, per generation, by the mean and
    standard deviation of the first replicates; so neither cancellation nor range is a
    concern while the estimates themselves stay below about 1e75, growing variances included.

    Examples
    --------
    >>> runs = moments(Config(entities=2, dim=4, rank=4, generations=3, replicates=1000))
    >>> runs.covariance.dims
    ('generation', 'entity', 'feature', 'feature_')
    """
    if config.replicates < 2:
        raise ValueError("a covariance needs at least 2 replicates, got 1")
    designs, theta = _given_or_drawn(config, designs, theta)
    key = _check_key(config, key)
    with jax.enable_x64(True):
        system = _system(config, designs, theta)
        size = _batch_size()
        pilot = _unit_pilot(system)
        for _ in range(2):  # the first batch gives a centre, then a scale about that centre
            trial = min(size, config.replicates)
            trial_sums = _add_batches(system, key, pilot, _no_sums(pilot), 0, 1, trial, size=size)
            pilot = _better_pilot(pilot, trial_sums, trial)
        sums = _no_sums(pilot)
        for first, stop, done in _chunks(config, size):
            sums = _add_batches(system, key, pilot, sums, first, stop, config.replicates, size=size)
            if progress is not None:
                jax.block_until_ready(sums)  # or the report would run ahead of the device
                progress(done, config.replicates)
        sums = _Sums(*map(np.asarray, sums))
    return _moments_dataset(config, key, theta, pilot, sums)


# The process. Inside, replicates are the last axis: every product is then one of a small matrix
# with a wide one, and no array is transposed on the way. Axis t of an annotation runs over 0..T.


class _System(NamedTuple):
    """What all replicates share. ``at[t]``: which of the G, S, H sets generation t uses."""

    own_operator: Float[Array, "G K d n"]  # estimate of k per response in its private data
    shared_operator: Float[Array, "G Kd N"]  # ... per public, published, human response
    operator_at: Int[Array, "t"]
    prompts: Float[Array, "S K s d"]
    prompts_at: Int[Array, "t"]
    human_signal: Float[Array, "H h"]  # X^h θ
    human_at: Int[Array, "t"]
    private_signal: Float[Array, "K n"]
    public_signal: Float[Array, "m"]
    theta: Float[Array, "d"]
    noise: Float[Array, ""]


def _run(
    system: _System,
    real_noise: tuple[Float[Array, "K n R"], Float[Array, "m R"]],
    web_noise: Callable[[Any], tuple[Float[Array, "K s R"], Float[Array, "h R"]]],
    read: Callable[[Any, Float[Array, "K d R"]], Any],
) -> Any:
    """``read(t, estimates)`` of t = 0..T, stacked: all that happens, happens here."""
    private = system.private_signal[..., None] + system.noise * real_noise[0]
    public = system.public_signal[..., None] + system.noise * real_noise[1]
    k, _, replicates = private.shape

    def generation(before, t):
        published_noise, human_noise = web_noise(t)
        published = system.prompts[system.prompts_at[t]] @ before + system.noise * published_noise
        human = system.human_signal[system.human_at[t]][:, None] + system.noise * human_noise
        shared = jnp.concatenate([public, published.reshape(-1, replicates), human])
        at = system.operator_at[t]
        from_shared = (system.shared_operator[at] @ shared).reshape(k, -1, replicates)
        after = system.own_operator[at] @ private + from_shared
        return after, read(t, after)

    # t = 0 needs no case of its own: what nobody has published yet has weight zero there, and so
    # has its noise
    nothing = jnp.zeros((k, system.theta.size, replicates))
    return jax.lax.scan(generation, nothing, jnp.arange(system.operator_at.size))[1]


def _drawn(
    system: _System, key: PRNGKeyArray, first: Any, size: int, read: Callable[..., Any]
) -> Any:
    """:func:`_run` on the noise of replicates ``first`` .. ``first + size - 1``."""
    keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(first + jnp.arange(size))

    def draw(t, *shapes) -> Any:
        # one call for all parties, by replicate and generation: nothing else enters
        counts = [int(np.prod(shape)) for shape in shapes]
        flat = jax.vmap(
            lambda k: jax.random.normal(jax.random.fold_in(k, t), (sum(counts),), jnp.float64),
            out_axes=1,
        )(keys)
        parts = jnp.split(flat, np.cumsum(counts)[:-1])
        return tuple(p.reshape(*shape, size) for p, shape in zip(parts, shapes, strict=True))

    real = system.private_signal.shape, system.public_signal.shape
    web = system.prompts.shape[1:3], system.human_signal.shape[1:]
    return _run(system, draw(0, *real), lambda t: draw(t, *web), read)


@partial(jax.jit, static_argnames="size")
def _draw_estimates(
    system: _System, key: PRNGKeyArray, first: Any, *, size: int
) -> Float[Array, "t K d R"]:
    return _drawn(system, key, first, size, lambda t, estimate: estimate)


@jax.jit
def _replay_estimates(system: _System, noise: Noise) -> Float[Array, "t K d R"]:
    private, public, synthetic, human = (jnp.moveaxis(values, 0, -1) for values in noise)
    return _run(
        system,
        (private, public),
        lambda t: (synthetic[t - 1], human[t - 1]),
        lambda t, estimate: estimate,
    )


def _noise_shapes(system: _System) -> tuple[tuple[int, ...], ...]:
    t = system.operator_at.size - 1
    return (
        system.private_signal.shape,
        system.public_signal.shape,
        (t, *system.prompts.shape[1:3]),
        (t, *system.human_signal.shape[1:]),
    )


# Batches and chunks. The rounding of a matrix product depends on how wide it is and on where in
# it a column stands. So the width is fixed, replicate r always has place r mod width, and a
# chunk is no more than how many such batches are in flight.


def _batch_size() -> int:
    # measured on 2 cores: at 256 a batch stays in cache. An accelerator wants more columns.
    return 256 if jax.default_backend() == "cpu" else 8192


def _chunks(config: Config, size: int) -> Iterator[tuple[int, int, int]]:
    """(first batch, batch to stop before, replicates done by then) of each chunk."""
    batches, per_chunk = -(-config.replicates // size), -(-config.chunk // size)
    for first in range(0, batches, per_chunk):
        stop = min(first + per_chunk, batches)
        yield first, stop, min(stop * size, config.replicates)


# Moments, streamed.

_Either = Array | np.ndarray  # NumPy on the host, JAX on the device


class _Pilot(NamedTuple):
    """Mean and standard deviation of the first replicates: a scale to count in."""

    centre: Float[_Either, "t K d"]
    scale: Float[_Either, "t K d"]
    error_centre: Float[_Either, "t K"]
    error_scale: Float[_Either, "t K"]


class _Sums(NamedTuple):
    """Sums over replicates of z = (estimate - centre) / scale, and of squared errors alike."""

    first: Float[_Either, "t K d"]
    products: Float[_Either, "t K 2d 2d"]  # of [z; z²] with itself: powers two, three and four
    error: Float[_Either, "t K"]
    error_squared: Float[_Either, "t K"]


def _no_sums(pilot: _Pilot) -> _Sums:
    *rest, d = pilot.centre.shape
    nothing = np.zeros_like(pilot.error_centre)
    return _Sums(np.zeros_like(pilot.centre), np.zeros((*rest, 2 * d, 2 * d)), nothing, nothing)


def _squared_error(system: _System, estimate: Float[_Either, "K d R"]) -> Float[_Either, "K R"]:
    return jnp.sum((estimate - system.theta[:, None]) ** 2, axis=1)


# The pilot is worked out in NumPy: its few small operations would each be compiled otherwise.


def _unit_pilot(system: _System) -> _Pilot:
    shape = system.operator_at.size, *system.own_operator.shape[1:3]
    return _Pilot(np.zeros(shape), np.ones(shape), np.zeros(shape[:-1]), np.ones(shape[:-1]))


def _better_pilot(pilot: _Pilot, sums: _Sums, replicates: int) -> _Pilot:
    """Mean and standard deviation of what was summed, as ``pilot`` for what is to be summed."""
    sums = _Sums(*map(np.asarray, sums))
    squares = np.diagonal(sums.products, axis1=-2, axis2=-1)

    def better(centre, scale, total, total_squared) -> tuple[np.ndarray, np.ndarray]:
        mean = total / replicates
        deviation = scale * np.sqrt(np.maximum(total_squared / replicates - mean**2, 0))
        usable = (deviation > 0) & np.isfinite(deviation)
        return centre + scale * mean, np.where(usable, deviation, 1.0)

    return _Pilot(
        *better(pilot.centre, pilot.scale, sums.first, squares[..., : sums.first.shape[-1]]),
        *better(pilot.error_centre, pilot.error_scale, sums.error, sums.error_squared),
    )


def _sums_of_batch(
    system: _System, key: PRNGKeyArray, pilot: _Pilot, batch: Any, replicates: Any, size: int
) -> _Sums:
    # the last batch may reach beyond the replicates asked for
    real = batch * size + jnp.arange(size) < replicates

    def read(t, estimate) -> _Sums:
        z = (estimate - pilot.centre[t, ..., None]) / pilot.scale[t, ..., None]
        z = jnp.where(real, z, 0.0)
        error = _squared_error(system, estimate) - pilot.error_centre[t, :, None]
        error = jnp.where(real, error / pilot.error_scale[t, :, None], 0.0)
        powers = jnp.concatenate([z, z**2], axis=1)
        return _Sums(z.sum(-1), powers @ powers.mT, error.sum(-1), (error**2).sum(-1))

    return _drawn(system, key, batch * size, size, read)


@partial(jax.jit, static_argnames="size")
def _add_batches(
    system: _System,
    key: PRNGKeyArray,
    pilot: _Pilot,
    sums: _Sums,
    first: Any,
    stop: Any,
    replicates: Any,
    *,
    size: int,
) -> _Sums:
    # bounds are traced, so that one compiled loop, with one rounding, serves every chunk size
    def add(batch, sums):
        more = _sums_of_batch(system, key, pilot, batch, replicates, size)
        return jax.tree.map(jnp.add, sums, more)

    return jax.lax.fori_loop(first, stop, add, sums)


# On the host: what is drawn from, and what is handed back.


def _given_or_drawn(
    config: Config, designs: Designs | None, theta: Any
) -> tuple[Designs, Float[np.ndarray, "d"]]:
    if designs is None:
        designs = draw_designs(config)
    else:
        designs = _with_human(config, _checked_designs(config, designs))
    theta = np.asarray(truth(designs.dim, config.seed) if theta is None else theta, dtype=float)
    if theta.shape != (designs.dim,):
        raise ValueError(f"theta must have shape {(designs.dim,)}, got {theta.shape}")
    if not np.all(np.isfinite(theta)):
        raise ValueError("theta has entries that are not finite")
    return designs, theta


def _with_human(config: Config, designs: Designs) -> Designs:
    """``designs`` with human features where a share of the data is human and none are given."""
    if designs.human is not None or not np.any(np.asarray(config.human_share) > 0):
        return designs
    *_, k, _, d = designs.synthetic.shape
    # all prompts, each at 1/√K: their Gram matrix is the mean synthetic one
    stacked = designs.synthetic.reshape(*designs.synthetic.shape[:-3], -1, d) / np.sqrt(k)
    return designs._replace(human=stacked)


def _system(config: Config, designs: Designs, theta: Float[np.ndarray, "d"]) -> _System:
    """Operators and signals, computed in NumPy. To be called where 64-bit is on."""
    private, public, synthetic, human = designs
    k, _, d = private.shape
    generations = config.generations
    if human is None or not np.any(np.asarray(config.human_share) > 0):
        human = np.zeros((0, d))  # of no weight: not worth drawing
    synthetic = synthetic if synthetic.ndim == 4 else synthetic[None]
    human = human if human.ndim == 3 else human[None]

    def schedule(value: Any, initial: float) -> Float[np.ndarray, "t"]:
        return np.concatenate([[initial], np.broadcast_to(value, generations)])

    def position(sets: np.ndarray) -> Int[np.ndarray, "t"]:
        return np.maximum(np.arange(generations + 1) - 1, 0) * (len(sets) > 1)

    beta0 = config.initial_beta
    if beta0 is None:
        beta0 = float(np.ravel(config.beta)[0]) if np.size(config.beta) else 1.0
    alpha = schedule(config.alpha, 0.0)
    beta = schedule(config.beta, beta0)
    share = schedule(config.human_share, 0.0)
    # of a row of private, public, published and human data
    real = (1 - alpha) * beta, (1 - alpha) * (1 - beta)
    weights = np.stack([*real, alpha * (1 - share) / k, alpha * share], axis=1)
    prompts_at, human_at = position(synthetic), position(human)

    # one set of operators per distinct generation, not per generation
    found: dict[tuple[float, ...], int] = {}
    operators, operator_at = [], []
    for t in range(generations + 1):
        signature = (*weights[t], prompts_at[t], human_at[t])
        if signature not in found:
            found[signature] = len(operators)
            asked = synthetic[prompts_at[t]].reshape(-1, d)
            parts = (public, asked, human[human_at[t]])
            operators.append(_operators(private, parts, weights[t]))
        operator_at.append(found[signature])
    n = private.shape[1]
    every = np.stack(operators)
    system = {
        "own_operator": every[..., :n],
        "shared_operator": every[..., n:].reshape(len(every), k * d, -1),
        "operator_at": np.array(operator_at),
        "prompts": synthetic,
        "prompts_at": prompts_at,
        "human_signal": human @ theta,
        "human_at": human_at,
        "private_signal": private @ theta,
        "public_signal": public @ theta,
        "theta": theta,
        "noise": np.float64(config.noise),
    }
    return _System(**{name: jnp.asarray(value) for name, value in system.items()})


def _operators(
    private: Float[np.ndarray, "K n d"],
    shared: tuple[Float[np.ndarray, "_ d"], ...],
    weights: Float[np.ndarray, "4"],
) -> Float[np.ndarray, "K d N"]:
    """Estimate of each entity per response, for one weight per part: private, then shared."""
    k, n, _ = private.shape
    rows = np.concatenate([private, *(np.broadcast_to(x, (k, *x.shape)) for x in shared)], axis=1)
    root = np.sqrt(np.repeat(weights, [n, *(len(x) for x in shared)]))
    # rows of weight zero are zero rows here, and zero columns of the pseudo-inverse
    tolerance = max(rows.shape[1:]) * np.finfo(float).eps
    return np.linalg.pinv(root[:, None] * rows, rtol=tolerance) * root


def _checked_designs(config: Config, designs: Designs) -> Designs:
    """``designs`` in float64, if their shapes and values make sense together."""
    given: dict[str, Any] = {
        name: None if features is None else np.asarray(features, dtype=float)
        for name, features in designs._asdict().items()
    }
    if given["private"].ndim != 3 or 0 in given["private"].shape:
        raise ValueError(f"designs.private must have shape (K, n, d), got {given['private'].shape}")
    k, _, d = given["private"].shape
    for name, entities, may_vary in (
        ("private", (k,), False),
        ("public", (), False),
        ("synthetic", (k,), True),
        ("human", (), True),
    ):
        features = given[name]
        if features is None:
            continue
        *leading, _, last = features.shape if features.ndim > 1 else (None, None)
        once, varying = tuple(leading) == entities, may_vary and tuple(leading[1:]) == entities
        if last != d or not (once or varying):
            shape = ", ".join(map(str, (*entities, "n", d)))
            wanted = f"({shape}) or (T, {shape})" if may_vary else f"({shape})"
            raise ValueError(f"designs.{name} must have shape {wanted}, got {features.shape}")
        if not once and leading[0] != max(config.generations, 1):
            raise ValueError(
                f"designs.{name} describes {leading[0]} generations, "
                f"but generations = {config.generations}"
            )
        if not np.all(np.isfinite(features)):
            raise ValueError(f"designs.{name} has entries that are not finite")
    return Designs(**given)


def _check_key(config: Config, key: PRNGKeyArray | None) -> PRNGKeyArray:
    # by name: the session's default may be another
    default = jax.random.key(config.seed, impl="threefry2x32")
    if key is None:
        return default
    typed = jnp.asarray(key)
    if not jnp.issubdtype(typed.dtype, jax.dtypes.prng_key):
        typed = jax.random.wrap_key_data(typed)
    # under vmap an rbg key draws for the whole batch at once, not for each replicate
    if typed.shape != () or typed.dtype != default.dtype:
        raise ValueError(
            f"key must be one threefry key, as jax.random.key(0) makes it, got {typed.dtype} "
            f"of shape {typed.shape}"
        )
    return typed


def _attrs(config: Config, key: PRNGKeyArray | None) -> dict[str, Any]:
    drawn = "given noise" if key is None else str(np.asarray(jax.random.key_data(key)).tolist())
    return {
        "paper": "interactive, sec. 5 and app. E",
        "config": config.model_dump_json(),
        "seed": config.seed,
        "key": drawn,
        "versions": f"commensal {commensal.__version__}, jax {jax.__version__}, "
        f"numpy {np.__version__}",
    }


_ESTIMATE = {"units": "units of theta"}
_SQUARED = {"units": "squared units of theta"}


def _coords(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    generations, entities, dim = shape
    return {
        "generation": np.arange(generations),
        "entity": np.arange(entities),
        "feature": np.arange(dim),
    }


def _estimates_dataset(
    config: Config,
    key: PRNGKeyArray | None,
    theta: Float[np.ndarray, "d"],
    estimate: Float[np.ndarray, "R t K d"],
) -> xr.Dataset:
    dims = ("replicate", "generation", "entity", "feature")
    squared_error = np.sum((estimate - theta) ** 2, axis=-1)
    return xr.Dataset(
        {
            "estimate": (dims, estimate, _ESTIMATE),
            "squared_error": (dims[:-1], squared_error, _SQUARED),
            "theta": ("feature", theta, _ESTIMATE),
        },
        {"replicate": np.arange(len(estimate))} | _coords(estimate.shape[1:]),
        _attrs(config, key),
    )


def _moments_dataset(
    config: Config,
    key: PRNGKeyArray,
    theta: Float[np.ndarray, "d"],
    pilot: _Pilot,
    sums: _Sums,
) -> xr.Dataset:
    r, d = config.replicates, theta.size
    shift = sums.first / r
    second, third, fourth = (
        block / r
        for block in (
            sums.products[..., :d, :d],
            sums.products[..., d:, :d],  # of z_a² z_b
            sums.products[..., d:, d:],
        )
    )
    a, b = shift[..., :, None], shift[..., None, :]
    square = np.diagonal(second, axis1=-2, axis2=-1)
    central = second - a * b
    # E (z_a - a)² (z_b - b)², expanded
    central_fourth = (
        fourth
        - 2 * b * third
        - 2 * a * third.swapaxes(-1, -2)
        + b**2 * square[..., :, None]
        + a**2 * square[..., None, :]
        + 4 * a * b * second
        - 3 * a**2 * b**2
    )
    covariance = central * (r / (r - 1))
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    of_covariance = np.maximum(central_fourth - central**2, 0) / r + (
        variance[..., :, None] * variance[..., None, :] + covariance**2
    ) / (r * (r - 1))
    scales = pilot.scale[..., :, None] * pilot.scale[..., None, :]
    error = sums.error / r
    error_variance = np.maximum(sums.error_squared / r - error**2, 0) * (r / (r - 1))

    dims = ("generation", "entity", "feature", "feature_")
    data = {
        "mean": (dims[:3], pilot.centre + pilot.scale * shift, _ESTIMATE),
        "covariance": (dims, scales * covariance, _SQUARED),
        "mse": (dims[:2], pilot.error_centre + pilot.error_scale * error, _SQUARED),
        "mean_standard_error": (dims[:3], pilot.scale * np.sqrt(variance / r), _ESTIMATE),
        "covariance_standard_error": (dims, scales * np.sqrt(of_covariance), _SQUARED),
        "mse_standard_error": (
            dims[:2],
            pilot.error_scale * np.sqrt(error_variance / r),
            _SQUARED,
        ),
        "theta": ("feature", theta, _ESTIMATE),
    }
    coords = _coords(shift.shape)
    coords["feature_"] = coords["feature"]
    return xr.Dataset(data, coords, _attrs(config, key) | {"replicates": r})
