"""Sweep interactive regression over α, β, K and more: `commensal sweep regression`."""

from __future__ import annotations

import hashlib
import inspect
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Literal, ParamSpec

import numpy as np
import xarray as xr

from commensal import _part, designs
from commensal._blocks import large_blocks
from commensal._checkpoint import Chunks, check_target, discard, fingerprint, finished, load
from commensal._cores import available_cores, host_cores
from commensal._memory import named_memory
from commensal.sweep._config import RegressionSweep
from commensal.sweep._dataset import Chunk, Layout, to_file, to_memory
from commensal.theory import regression as theory
from commensal.theory.regression._grid import ROWS, block_of

Grid = float | Sequence[float] | np.ndarray
Counts = int | Sequence[int] | np.ndarray
Matrix = Sequence[Sequence[float]] | np.ndarray
Reads = str | Matrix | Sequence[str | Matrix]
_Arguments = ParamSpec("_Arguments")
_DEFAULT = RegressionSweep()


def _signature(
    config: RegressionSweep | None = None,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[float, float], None] | None = None,
    alpha: Grid = _DEFAULT.alpha,
    beta: Grid = _DEFAULT.beta,
    models: Counts = (2, 4, 8),
    noise: float = 1.0,
    human_share: float = 0.0,
    reads: Reads = ("uniform",),
    memory: str | Sequence[str] = ("replace",),
    generations: int | None = None,
    tasks: bool = True,
    design: Literal["gaussian", "misaligned"] = "gaussian",
    dim: int = 15,
    rank: int = 5,
    public_rank: int | None = None,
    human_rank: int | None = None,
    human_data: Literal["shared", "own"] = "shared",
    prompts: Literal["private", "fresh"] = "private",
    strength: float = 1e4,
    public: float = 0.0,
    grams: str | Path | None = None,
    seed: int = 0,
) -> xr.Dataset: ...


def _signed(
    as_: Callable[_Arguments, xr.Dataset],
) -> Callable[[Callable[..., xr.Dataset]], Callable[_Arguments, xr.Dataset]]:
    """Show a signature in place of ``**settings``, which records what was given."""

    def decorate(function: Callable[..., xr.Dataset]) -> Callable[_Arguments, xr.Dataset]:
        function.__signature__ = inspect.signature(as_)  # pyright: ignore[reportFunctionMemberAccess]
        return function

    return decorate


@_signed(_signature)
def regression(
    config: RegressionSweep | None = None,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[float, float], None] | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Compute stability, errors, efficiency and homogenisation over the grid α × β × K.

    Parameters
    ----------
    config : RegressionSweep or None
        Settings of the sweep; None for the defaults.
    out : path or None
        A NetCDF file to write. With it the sweep is resumable: finished chunks wait in
        ``<out>.partial`` until all are done, and a finished file is opened, not recomputed.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.
    progress : callable or None
        Called as ``progress(done, total)`` in units of work, first with what was found on disk.
    **settings
        Fields of :class:`RegressionSweep`, in place of ``config`` or to change some of its. A
        number stands for a grid of one.

    Returns
    -------
    xarray.Dataset
        The sweep, with dimensions models, alpha, beta, model, task, feature and objective; where
        several networks are asked for, all but ``theta`` has the first dimension reads, and so for
        several memories memory. Models and tasks beyond K are NaN, and so is everything but
        ``spectral_radius`` where ρ(Q) ≥ 1 (``stable`` False), unless ``generations`` are given, and
        everything where rounding may have spoilt it (``trusted`` False).
        ``optimal_*`` are of the best mix on the grid: the smallest error (mean over models, or the
        worst model's) among the mixes whose limit is unbiased, or least biased if none is. Read
        lazily from ``out`` where that is given.

    Raises
    ------
    pydantic.ValidationError
        If a setting is out of range.
    ValueError
        If Gram matrices from a file are malformed.
    OutputFileError
        If ``out`` cannot be written, or holds something else.

    Notes
    -----
    `interactive`, sec. 5: Theorem 3, fig. 2. The numbers do not depend on how many cores share
    the work, nor on interruptions. What is told of one generation, and of memories, stands in
    :func:`commensal.theory.regression.grid`.

    Examples
    --------
    >>> ds = regression(alpha=(0.2, 0.5, 1.0), beta=(0.25, 0.5), models=(2, 4), dim=6, rank=3)
    >>> ds.relative_efficiency.dims
    ('models', 'alpha', 'beta', 'model')
    >>> ds.stable.sel(models=4, beta=0.5).values
    array([ True,  True, False])
    >>> float(regression(alpha=0.5, beta=0.5, models=4).spectral_radius.round(3).squeeze())
    0.528
    >>> of_networks = regression(alpha=0.5, beta=0.5, models=4, reads=["isolated", "ring:0.5"])
    >>> of_networks.spectral_radius.sel(reads="ring:0.5").round(3).item()
    0.5

    What memory does to the error after 50 generations:

    >>> kept = regression(alpha=0.5, beta=0.5, models=4, memory="replace,window:3,accumulate",
    ...                   generations=50)
    >>> kept.mse.mean("model").squeeze().values.round(2)
    array([2.97, 2.34, 2.54])
    >>> kept.spectral_radius.squeeze().values.round(3), kept.growth_exponent.squeeze().values
    (array([0.528, 0.738, 1.   ]), array([nan, nan,  0.]))
    """
    if config is None:
        config = RegressionSweep(**settings)
    elif settings:
        config = RegressionSweep(**(config.model_dump(exclude_unset=True) | settings))
    systems = list(product(range(len(config.reads)), config.models))
    workflows = {system: config.workflow(system[1], system[0]) for system in systems}
    described = _describe(config)
    identity = fingerprint(described)
    chunks = [
        Chunk(which, memory, k, start, min(start + ROWS, len(config.beta)))
        for start in range(0, len(config.beta), ROWS)
        for memory in range(len(config.memory))
        for which, k in systems
    ]
    layout = Layout(
        config=described,
        identity=identity,
        reads=config.networks,
        memory=config.memory,
        generations=config.told,
        alpha=config.alpha,
        beta=config.beta,
        theta={k: designs.truth(w.dim, config.seed) for (_, k), w in workflows.items()},
        tasks=config.tasks,
    )
    if out is None:
        memory = {c.name: a for c, a in _compute(config, workflows, chunks, chunks, progress)}
        return to_memory(layout, chunks, memory.pop)
    out = Path(out)
    check_target(out)
    if overwrite:
        discard(out)
    elif finished(out, identity, described):
        if progress:
            progress(1.0, 1.0)
        return load(out)
    stored = Chunks(out, described, identity)
    names = set(stored.mine([c.name for c in chunks]))
    mine = [c for c in chunks if c.name in names]
    todo = [c for c in mine if c.name not in stored]
    with closing(_compute(config, workflows, mine, todo, progress)) as results:
        for chunk, arrays in results:
            stored.save(chunk.name, arrays)
    _part.leave_part()
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
    workflows: dict[tuple[int, int], theory.RegressionWorkflow],
    chunks: list[Chunk],
    todo: list[Chunk],
    progress: Callable[[float, float], None] | None,
) -> Generator[tuple[Chunk, dict[str, np.ndarray]]]:
    """Yield chunks of ``todo`` with their arrays, in the order in which they are done."""

    def cost(chunk: Chunk) -> float:
        # per cell: a part that is d × d, and a part per model (measured, benchmarks/)
        of_limit = (chunk.stop - chunk.start) * (4.0 + chunk.models)
        return of_limit * config.effort(chunk.memory)

    total, done = sum(map(cost, chunks)), sum(map(cost, chunks)) - sum(map(cost, todo))
    if progress:
        progress(done, total)
    alpha, beta = np.array(config.alpha), np.array(config.beta)
    stop = threading.Event()

    def solve(group: list[Chunk]) -> list[dict[str, np.ndarray]]:
        if stop.is_set():
            return []
        chunk = group[0]
        w = workflows[chunk.which, chunk.models]
        theta = designs.truth(w.dim, config.seed)
        told: dict[str, Any] = {}
        if config.told is not None:
            memory, window = named_memory(config.memory[chunk.memory])
            told = {"generations": config.told, "memory": memory, "window": window}
        rows = np.concatenate([beta[c.start : c.stop] for c in group])
        cells = theory.grid(w, alpha, rows, theta, tasks=config.tasks, **told)
        others = {"mspe": cells.mspe, "growth_exponent": cells.growth_exponent}
        found = {
            "spectral_radius": cells.spectral_radius,
            "stable": cells.stable,
            "trusted": cells.trusted,
            "mse": cells.mse,
            "squared_bias": cells.squared_bias,
            "relative_efficiency": cells.relative_efficiency,
            "consensus_distance": cells.consensus_distance,
        } | {name: values for name, values in others.items() if values is not None}
        ends = np.cumsum([c.stop - c.start for c in group])[:-1]
        parts = {name: np.split(values, ends, axis=1) for name, values in found.items()}
        return [{name: x[i] for name, x in parts.items()} for i in range(len(group))]

    groups = _groups(config, workflows, todo)
    # `todo` goes through all systems before it comes back to one, so that threads compile for
    # different ones at the same time and never for the same one. A bounded queue keeps finished
    # chunks from piling up faster than they are written.
    # On an accelerator the host prepares one system while the device works on another.
    cores = host_cores() if config.told is not None else available_cores() + large_blocks()
    waiting = iter(groups)
    with ThreadPoolExecutor(cores) as pool:
        running = {}
        try:
            while True:
                while len(running) < cores + 1 and (group := next(waiting, None)) is not None:
                    running[pool.submit(solve, group)] = group
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    for chunk, arrays in zip(running.pop(future), future.result(), strict=True):
                        yield chunk, arrays
                        done += cost(chunk)
                        if progress:
                            progress(done, total)
        finally:
            stop.set()


def _groups(
    config: RegressionSweep,
    workflows: dict[tuple[int, int], theory.RegressionWorkflow],
    todo: list[Chunk],
) -> list[list[Chunk]]:
    """Put chunks together that are solved in one call: on an accelerator what its memory holds."""
    if not large_blocks() or config.told is not None:
        return [[chunk] for chunk in todo]
    of_systems: dict[tuple[int, int], list[Chunk]] = {}
    for chunk in todo:
        of_systems.setdefault((chunk.which, chunk.models), []).append(chunk)
    groups = []
    for system, members in of_systems.items():
        betas = sum(c.stop - c.start for c in members)
        _, rows = block_of(workflows[system], len(config.alpha), betas, config.tasks)
        most = max(1, rows // ROWS) if rows < betas else len(members)
        groups += [members[i : i + most] for i in range(0, len(members), most)]
    return groups
