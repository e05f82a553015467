"""Interactive regression over α × β × K: `commensal sweep regression`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from commensal import designs
from commensal._cores import available_cores
from commensal.sweep._checkpoint import Chunks, check_target, discard, fingerprint, finished, load
from commensal.sweep._dataset import Chunk, Layout, to_file, to_memory
from commensal.theory import regression as theory
from commensal.theory.regression._grid import ROWS

Weight = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _axis(count: int) -> tuple[float, ...]:
    return tuple(float(x) for x in np.linspace(0, 1, count))


class RegressionSweep(BaseModel):
    """What to sweep. Every field has a default; bad values raise pydantic.ValidationError.

    Attributes
    ----------
    alpha, beta : sequence of float
        Grids of the weight of newly collected data and of private data, in [0, 1].
    entities : sequence of int
        Values of K, each at least 1, without repetition.
    dim, rank : int
        d, and the rank of every private design (Gaussian designs only).
    public_rank : int or None
        Rank of the public design; None for ``rank``.
    design : {"gaussian", "misaligned"}
        Which of :mod:`commensal.designs` makes the data; "misaligned" has d = K.
    prompts : {"private", "fresh"}
        What models are asked: their own private features, or others.
    strength, public : float
        Of the misaligned design.
    noise : float
        Standard deviation σ of all responses.
    human_share : float
        φ, the share of fresh human data in what is newly collected, in [0, 1].
    grams : Path or None
        An .npz file with Gram matrices ``private`` (K, d, d), ``public`` (d, d), ``synthetic``
        (K, d, d) and perhaps ``human`` (d, d), to be used instead of a design; it sets K and d.
    tasks : bool
        Whether to keep ``mspe``, model × task.
    seed : int
        Of designs and truth.

    Examples
    --------
    >>> RegressionSweep(alpha=(0.2, 0.4), beta=(0.5,), entities=(2, 4)).cells
    4
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: tuple[Weight, ...] = Field(default=_axis(51), min_length=1)
    beta: tuple[Weight, ...] = Field(default=_axis(51), min_length=1)
    entities: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(2, 4, 8), min_length=1)
    dim: int = Field(default=15, ge=1)
    rank: int = Field(default=5, ge=1)
    public_rank: int | None = Field(default=None, ge=0)
    design: Literal["gaussian", "misaligned"] = "gaussian"
    prompts: Literal["private", "fresh"] = "private"
    strength: Amount = 10.0
    public: Amount = 0.1
    noise: Amount = 1.0
    human_share: Weight = 0.0
    grams: Path | None = None
    tasks: bool = True
    seed: int = Field(default=0, ge=0)

    @field_validator("alpha", "beta", "entities")
    @classmethod
    def _no_repetition(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same value appears twice")
        return value

    @model_validator(mode="after")
    def _ranks_fit(self) -> RegressionSweep:
        if self.grams is None and self.design == "gaussian":
            for name in ("rank", "public_rank"):
                value = getattr(self, name)
                if value is not None and value > self.dim:
                    raise ValueError(f"{name} must not exceed dim = {self.dim}, got {value}")
        return self

    @property
    def cells(self) -> int:
        """Number of (K, α, β) cells."""
        return len(self.alpha) * len(self.beta) * len(self.entities)

    def workflow(self, entities: int) -> theory.Workflow:
        """The system of ``entities`` models that this sweep looks at (at α = β = 1/2).

        Raises
        ------
        ValueError
            If the file of Gram matrices is missing, malformed, or for another K.
        """
        if self.grams is not None:
            grams = read_grams(self.grams)
            found = grams["private"].shape[0]
            if entities != found:
                raise ValueError(f"{str(self.grams)!r} describes K = {found}, not {entities}")
        elif self.design == "misaligned":
            grams = designs.misaligned(entities, self.strength, self.public).grams()
        else:
            grams = designs.gaussian(
                entities,
                self.dim,
                self.rank,
                self.seed,
                public_rank=self.public_rank,
                prompts=self.prompts,
            ).grams()
        return theory.Workflow(
            **grams, alpha=0.5, beta=0.5, noise=self.noise, human_share=self.human_share
        )


def read_grams(path: Path) -> dict[str, np.ndarray]:
    """Gram matrices from an .npz file; ValueError in one line for anything else."""
    try:
        with np.load(path) as stored:
            grams = {name: np.asarray(stored[name], dtype=np.float64) for name in stored.files}
    except FileNotFoundError:
        raise ValueError(f"{str(path)!r} does not exist") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{str(path)!r} is not an .npz file of numbers") from error
    missing = {"private", "public", "synthetic"} - set(grams)
    unknown = set(grams) - {"private", "public", "synthetic", "human"}
    if missing:
        raise ValueError(f"{str(path)!r} lacks {', '.join(sorted(missing))}")
    if unknown:
        raise ValueError(f"{str(path)!r} has unknown arrays: {', '.join(sorted(unknown))}")
    return grams


def regression(
    config: RegressionSweep | None = None,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[float, float], None] | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Stability, errors, efficiency and homogenisation of interactive regression over α × β × K.

    Parameters
    ----------
    config : RegressionSweep or None
        What to sweep; or give its fields as keyword arguments.
    out : path or None
        A NetCDF file to write. With it the sweep is resumable: finished chunks wait in
        ``<out>.partial`` until all are done, and a finished file is opened, not recomputed.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.
    progress : callable or None
        Called as ``progress(done, total)`` in units of work, first with what was found on disk.

    Returns
    -------
    xarray.Dataset
        Dimensions entities, alpha, beta, model, task, feature and objective. Models and tasks
        beyond K are NaN, and so is everything but ``spectral_radius`` where ρ(Q) ≥ 1
        (``stable`` False). Read lazily from ``out`` where that is given.

    Raises
    ------
    pydantic.ValidationError
        If a setting is out of range.
    ValueError
        If Gram matrices from a file are malformed.
    SweepFileError
        If ``out`` cannot be written, or holds something else.

    Notes
    -----
    `interactive`, sec. 5: Theorem 3, fig. 2. The numbers do not depend on how many cores share
    the work, nor on interruptions.

    Examples
    --------
    >>> ds = regression(alpha=(0.2, 0.5, 1.0), beta=(0.25, 0.5), entities=(2, 4), dim=6, rank=3)
    >>> ds.relative_efficiency.dims
    ('entities', 'alpha', 'beta', 'model')
    >>> ds.stable.sel(entities=4, beta=0.5).values
    array([ True,  True, False])
    """
    if config is None:
        config = RegressionSweep(**settings)
    elif settings:
        config = RegressionSweep(**(config.model_dump() | settings))
    workflows = {k: config.workflow(k) for k in config.entities}
    described = _describe(config)
    identity = fingerprint(described)
    chunks = [
        Chunk(k, start, min(start + ROWS, len(config.beta)))
        for start in range(0, len(config.beta), ROWS)
        for k in config.entities
    ]
    layout = Layout(
        config=described,
        identity=identity,
        alpha=config.alpha,
        beta=config.beta,
        theta={k: designs.truth(w.dim, config.seed) for k, w in workflows.items()},
        tasks=config.tasks,
    )
    if out is None:
        memory = {c.name: a for c, a in _compute(config, workflows, chunks, chunks, progress)}
        return to_memory(layout, chunks, memory.pop)
    out = Path(out)
    check_target(out)
    if overwrite:
        discard(out)
    elif finished(out, identity):
        if progress:
            progress(1.0, 1.0)
        return load(out)
    stored = Chunks(out, described, identity)
    todo = [c for c in chunks if c.name not in stored]
    with closing(_compute(config, workflows, chunks, todo, progress)) as results:
        for chunk, arrays in results:
            stored.save(chunk.name, arrays)
    to_file(layout, chunks, stored.read, out)
    stored.remove()
    return load(out)


def _describe(config: RegressionSweep) -> dict[str, Any]:
    described = config.model_dump(mode="json")
    if config.grams is not None:
        described["grams"] = hashlib.sha256(config.grams.read_bytes()).hexdigest()
    return described


def _compute(
    config: RegressionSweep,
    workflows: dict[int, theory.Workflow],
    chunks: list[Chunk],
    todo: list[Chunk],
    progress: Callable[[float, float], None] | None,
) -> Generator[tuple[Chunk, dict[str, np.ndarray]]]:
    """Chunks of ``todo`` with their arrays, in the order in which they are done."""

    def cost(chunk: Chunk) -> float:
        # per cell: a part that is d × d, and a part per entity (measured, benchmarks/)
        return (chunk.stop - chunk.start) * (4.0 + chunk.entities)

    total, done = sum(map(cost, chunks)), sum(map(cost, chunks)) - sum(map(cost, todo))
    if progress:
        progress(done, total)
    alpha, beta = np.array(config.alpha), np.array(config.beta)
    stop = threading.Event()

    def solve(chunk: Chunk) -> dict[str, np.ndarray]:
        if stop.is_set():
            return {}
        w = workflows[chunk.entities]
        theta = designs.truth(w.dim, config.seed)
        cells = theory.grid(w, alpha, beta[chunk.start : chunk.stop], theta, tasks=config.tasks)
        return {
            "spectral_radius": cells.spectral_radius,
            "mse": cells.mse,
            "squared_bias": cells.squared_bias,
            "relative_efficiency": cells.relative_efficiency,
            "consensus_distance": cells.consensus_distance,
        } | ({"mspe": cells.mspe} if cells.mspe is not None else {})

    # `todo` goes through all K before it comes back to one, so that threads compile for
    # different K at the same time and never for the same one. A bounded queue keeps finished
    # chunks from piling up faster than they are written.
    cores = available_cores()
    waiting = iter(todo)
    with ThreadPoolExecutor(cores) as pool:
        running = {}
        try:
            while True:
                while len(running) < cores + 1 and (chunk := next(waiting, None)) is not None:
                    running[pool.submit(solve, chunk)] = chunk
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    chunk = running.pop(future)
                    yield chunk, future.result()
                    done += cost(chunk)
                    if progress:
                        progress(done, total)
        finally:
            stop.set()
