"""Driver of every process: batches on all cores, progress, chunks on disk, one dataset."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
import xarray as xr
from jaxtyping import PRNGKeyArray

import commensal
from commensal import _part
from commensal._checkpoint import (
    FORMAT,
    Chunks,
    check_target,
    discard,
    fingerprint,
    finished,
    read_netcdf,
)
from commensal._cores import available_cores
from commensal.saving import whole

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]
T = TypeVar("T")


class Plan(NamedTuple):
    """Description of a process for the driver.

    Attributes
    ----------
    process : str
        Name of the process, for what is stored.
    config : pydantic.BaseModel
        Settings with ``seed``, ``replicates`` and ``chunk``.
    key : PRNGKeyArray
        Key that the user gave, or that of the seed.
    width : int
        Replicates of a batch.
    run : callable
        Function from the first replicate of a batch to named arrays, replicates first; those beyond
        ``config.replicates`` are cut off.
    dataset : callable
        Function from arrays of all replicates to the dataset.
    compiles : bool
        Whether ``run`` compiles when it is called first.
    given : sequence of arrays
        Other arrays that decide the numbers.
    """

    process: str
    config: Any
    key: PRNGKeyArray
    width: int
    run: Callable[[int], Arrays]
    dataset: Callable[[Arrays], xr.Dataset]
    compiles: bool = True
    given: Sequence[np.ndarray | None] = ()


def carry_out(
    plan: Plan, progress: Progress | None, out: str | Path | None, overwrite: bool
) -> xr.Dataset:
    """Run a process, or resume a run that was interrupted.

    Parameters
    ----------
    plan : Plan
    progress : callable or None
        Called as ``progress(done, total)``, first with what was found on disk, then after each
        chunk of replicates.
    out : path or None
        A NetCDF file to write. Finished chunks wait in ``<out>.partial`` until all are done; a
        finished file is read, not computed anew.
    overwrite : bool
        Discard what ``out`` and ``<out>.partial`` hold.

    Raises
    ------
    OutputFileError
        If ``out`` cannot be written, or holds something else.
    """
    c = plan.config

    def compute(chunks: Chunks | None) -> xr.Dataset:
        found = of_all_replicates(
            plan.run, c.replicates, plan.width, c.chunk, plan.compiles, progress, chunks
        )
        return plan.dataset(found)

    identity = identity_of(plan.process, c, plan.key, plan.given)
    return in_file(compute, identity, c.replicates, progress, out, overwrite)


def identity_of(
    process: str, config: Any, key: PRNGKeyArray, given: Sequence[np.ndarray | None]
) -> dict[str, Any]:
    """Describe all that decides the numbers of a run, for the file that holds them."""
    return config.model_dump(mode="json", exclude={"chunk"}) | {
        "process": process,
        "key": key_text(key),
        "given": _digest(given),
    }


def in_file(
    compute: Callable[[Chunks | None], xr.Dataset],
    described: dict[str, Any],
    replicates: int,
    progress: Progress | None,
    out: str | Path | None,
    overwrite: bool,
) -> xr.Dataset:
    """Compute a dataset and write it to ``out``, or read it where ``out`` holds it already.

    ``compute`` is handed the place for finished chunks, which is removed once ``out`` is written.
    """
    if out is None:
        return compute(None)
    out = Path(out)
    check_target(out)
    identity = fingerprint(described)
    if overwrite:
        discard(out)
    elif finished(out, identity, described, "simulation"):
        if progress is not None:
            progress(replicates, replicates)
        return read_netcdf(out)
    chunks = Chunks(out, described, identity, "simulation")
    runs = compute(chunks).assign_attrs(
        format=FORMAT,
        fingerprint=identity,
        commensal_version=commensal.__version__,
        process=described["process"],
        given=described["given"],
    )
    write_netcdf(runs, out)
    chunks.remove()
    return runs


def write_netcdf(runs: xr.Dataset, out: Path) -> None:
    """Write a dataset as NetCDF; a kill leaves the file that was there before, or the new one."""
    with whole(out) as temporary:
        runs.to_netcdf(temporary, engine="h5netcdf")


def of_all_replicates(
    run: Callable[[int], Arrays],
    replicates: int,
    width: int,
    chunk: int,
    compiles: bool = True,
    progress: Progress | None = None,
    chunks: Chunks | None = None,
) -> Arrays:
    """Collect arrays of all replicates; read the chunks that are on disk and write the others."""
    out: Arrays = {}
    done = total = 0

    def place(start: int, part: Arrays) -> None:
        for name, values in part.items():
            kept = values[: replicates - start]
            if name not in out:
                out[name] = np.empty((replicates, *kept.shape[1:]), kept.dtype)
            out[name][start : start + len(kept)] = kept

    ends, starts = chunk_ends(replicates, width, chunk), []
    names = {_name(start, stop): (start, stop) for start, stop in ends.values()}
    for name in names if chunks is None else chunks.mine(list(names)):
        start, stop = names[name]
        total += stop - start
        if chunks is not None and name in chunks:
            place(start, chunks.read(name))
            done += stop - start
        else:
            starts += range(start, stop, width)
    if progress is not None:
        progress(done, total)
    for start, part in in_batches(run, starts, compiles):
        place(start, part)
        if start in ends:
            first, stop = ends[start]
            if chunks is not None:
                chunks.save(_name(first, stop), {k: v[first:stop] for k, v in out.items()})
            done += stop - first
            if progress is not None:
                progress(done, total)
    if chunks is not None:
        _part.leave_part()
    return out


def chunk_ends(replicates: int, width: int, chunk: int) -> dict[int, tuple[int, int]]:
    """Map the start of each chunk's last batch to (first replicate, replicate to stop before)."""
    size = -(-chunk // width) * width
    ends = {}
    for start in range(0, replicates, size):
        stop = min(start + size, replicates)
        ends[range(start, stop, width)[-1]] = start, stop
    return ends


def in_batches(
    run: Callable[[int], T], starts: Sequence[int], compiles: bool = True
) -> Iterator[tuple[int, T]]:
    """Yield ``(start, run(start))`` in order, computed on all cores, few ahead of the reader."""
    starts = deque(starts)
    if compiles and starts:  # threads that start together would each compile
        yield (first := starts.popleft()), run(first)
    # with one more on the way a core, or an accelerator, need not wait for the host
    ahead = available_cores() + 1
    running = deque()
    with ThreadPoolExecutor(ahead) as pool:
        while starts or running:
            while starts and len(running) < ahead:
                running.append((starts[0], pool.submit(run, starts.popleft())))
            start, result = running.popleft()
            yield start, result.result()


def key_text(key: PRNGKeyArray) -> str:
    """Write the two words of a key, as the attributes of datasets have them."""
    return str(np.asarray(jax.random.key_data(key)).tolist())


def origin(paper: str, config: Any, key: PRNGKeyArray | None) -> dict[str, Any]:
    """Describe the origin of a dataset; without a key the noise was given by the caller."""
    return {
        "process": type(config).__module__.split(".")[2],  # the package that it is from
        "paper": paper,
        "config": config.model_dump_json(),
        "seed": config.seed,
        "key": "given noise" if key is None else key_text(key),
        "versions": f"commensal {commensal.__version__}, jax {jax.__version__}, "
        f"numpy {np.__version__}",
    }


def _name(start: int, stop: int) -> str:
    return f"replicates{start}-{stop}"


def _digest(given: Sequence[np.ndarray | None]) -> str:
    """Hash arrays into a short name, empty where there are none."""
    if all(x is None for x in given):
        return ""
    told = hashlib.sha256()
    for x in given:
        told.update(repr(None if x is None else (x.shape, x.dtype.str)).encode())
        told.update(b"" if x is None else np.ascontiguousarray(x).tobytes())
    return told.hexdigest()[:16]
