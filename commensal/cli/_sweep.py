"""`commensal sweep`: evaluate the theory on grids of settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from commensal._memory import named_memory
from commensal.cli._console import note, out_console, progress_bar, say_next, stopped, wrote
from commensal.cli._help import Group
from commensal.cli._options import Overwrite, Plot, Yes, configured
from commensal.cli._parts import Ray, Shard, in_parts
from commensal.cli._size import size_of
from commensal.saving import save_figure

_ROWS = 16  # β rows that are solved together, about
_MAPS = ("efficiency", "stability", "consensus")

sweep_app = typer.Typer(
    cls=Group, help="Sweep a grid and keep it as named arrays.", no_args_is_help=True
)


@configured(sweep_app, "regression", "commensal.sweep", "RegressionSweep")
def sweep_regression(
    settings: dict[str, Any],
    out: Annotated[
        Path, typer.Option(metavar="FILE", rich_help_panel="Output", help="NetCDF file to write.")
    ] = Path("sweep.nc"),
    plot: Plot = False,
    overwrite: Overwrite = False,
    yes: Yes = False,
    shard: Shard = None,
    ray: Ray = None,
) -> None:
    """Stability, error and efficiency of K models that train on each other's output.

    A GRID is start:stop:count, both ends included, or numbers separated by commas. Interrupted
    sweeps go on where they were when the same command is given again.

    commensal sweep regression --alpha 0:1:101 --beta 0:1:101 --models 2,4,8 --plot
    commensal sweep regression --alpha 0.5 --human-share 0.1 --out half.nc
    commensal sweep regression --models 4 --reads "isolated ring:0.5 uniform" --out reads.nc
    commensal sweep regression --models 4 --memory replace,window:3,accumulate --out memory.nc
    commensal sweep regression --grams grams.npz --out grams.nc
    """
    from commensal import sweep
    from commensal._checkpoint import check_target

    wanted = sweep.RegressionSweep(**settings)
    check_target(out)
    if plot:
        for picture in pictures(out, maps_of(wanted.models, wanted.networks, wanted.memory)):
            check_target(picture, (".png",))
    size = _size(wanted, out, plot, yes)

    def compute(overwrite: bool) -> Any:
        with progress_bar(_cells(wanted), waiting="compiling") as progress:

            def started(done: float, total: float) -> None:
                nonlocal size
                if size and done < total:  # what is wrong with the output was found before
                    note(size)
                size = ""
                progress(done, total)

            return sweep.regression(wanted, out, overwrite=overwrite, progress=started)

    try:
        dataset = in_parts(compute, out, shard, ray, overwrite)
    except KeyboardInterrupt:
        stopped(kept=True)
    if dataset is None:
        return
    with dataset:
        out_console.print(_summary(dataset))
        out_console.print(_legend(wanted.told), highlight=False)
        for path in [out, *(draw_maps(dataset, out) if plot else ())]:
            wrote(path)
        if plot:
            say_next(*_best_cell(wanted, dataset))
        else:
            say_next("figure", out)


def _size(wanted: Any, out: Path, plot: bool, yes: bool) -> str:
    """Describe a sweep's size in words; raise ValueError where the machine is too small for it."""
    from commensal._cores import available_cores

    cores, systems = available_cores(), len(wanted.reads) * len(wanted.memory)
    each = len(wanted.alpha) * len(wanted.beta) * systems
    effort = sum(map(wanted.effort, range(len(wanted.memory)))) / len(wanted.memory)
    numbers, in_flight, seconds = 0.0, 0.0, 0.0
    for k in wanted.models:
        d = k if wanted.design == "misaligned" else wanted.dim
        per_cell = 3 + 3 * k + (k * k if wanted.tasks else 0)
        numbers += per_cell * each
        in_flight = max(in_flight, per_cell * len(wanted.alpha) * min(_ROWS, len(wanted.beta)))
        # about what benchmarks/sweep_regression.py measures on two cores for d = 15
        seconds += 2.7e-6 * (4 + k) * (max(d, 5) / 15) ** 2.5 * each * 2 / cores * effort
    largest = max(wanted.models)
    memory = 8 * (each * largest + 2 * (cores + 2) * in_flight) + 2**29
    if plot:
        memory += 8 * each * len(wanted.models) * (3 + 2 * largest)
    disk = 2 * 8 * numbers  # finished chunks, and the file that they become
    compiled = 0 if wanted.told else -(-len(wanted.models) * systems // cores)
    time = seconds + 10 * compiled  # to compile, for each
    return size_of(
        _cells(wanted), memory=memory, seconds=time, disk=disk, folder=out.parent, yes=yes
    )


def _cells(wanted: Any) -> str:
    return f"{wanted.cells:,} cell{'s' * (wanted.cells != 1)}"


def _best_cell(wanted: Any, dataset: Any) -> list[Any]:
    """Return the command that simulates the best mix of the most models, or else the first cell."""
    k = max(wanted.models)
    best = dataset.sel(models=k, objective="mean")
    at = best["optimal_relative_efficiency"].fillna(-1).argmax(...)
    best = best.isel(at)
    reads, memory = (
        getattr(wanted, name)[int(at[name]) if name in at else 0] for name in ("reads", "memory")
    )
    found = float(best["optimal_alpha"]), float(best["optimal_beta"])
    alpha, beta = found if found[0] == found[0] else (wanted.alpha[0], wanted.beta[0])
    grid = {"alpha", "beta", "models", "tasks", "reads", "memory", "generations"}
    given = wanted.model_dump(mode="json", exclude_unset=True, exclude=grid)
    options = {"models": k, "alpha": alpha, "beta": beta} | given
    if reads != "uniform" and isinstance(reads, str):  # a matrix stands in a file of settings
        options["reads"] = reads
    if wanted.told:
        options["generations"] = wanted.told
    if memory != "replace":
        options["memory"], options["window"] = named_memory(memory)
    flags = [(f"--{n.replace('_', '-')}", v) for n, v in options.items() if v is not None]
    return ["simulate", "regression", *(part for flag in flags for part in flag)]


def _legend(generation: int | None) -> str:
    """Explain the columns, of a limit or of one generation."""
    unbiased, stable = (
        "leave no model biased for ever (if there is none, among the least biased)",
        "errors shrink (ρ < 1); only these have a limit",
    )
    if generation is not None:
        unbiased = "make bias less than a thousandth of every error (if there is one)"
        stable = f"errors stay bounded for ever; all have an error in generation {generation}"
    return (
        "best: the mix with the smallest error, mean over models, among those that "
        f"{unbiased}. stable: share of the grid's cells where {stable}. "
        "efficiency: 1 would be what all real data together give, at (½, ½) in the paper's mix. "
        "consensus: how far apart the models end (0: all alike). -: not defined, as no such cell "
        "is on the grid, or some model has no unbiased limit there."
    )


def _summary(dataset: Any) -> Table:
    """Print a line per K and network: the stable share of the grid, and its best point."""
    several = {name: text for name, text in _SEVERAL.items() if name in dataset.dims}
    table = Table(
        title=f"The best mix of each {' and '.join(('K', *several.values()))} on the grid",
        box=SIMPLE_HEAD,
        padding=0,  # 60 columns hold it
    )
    for name in several:
        table.add_column(name, overflow="fold")
    for name in ("K", "stable", "best α", "best β", "efficiency", "at (½, ½)", "consensus"):
        table.add_column(name, justify="right", overflow="fold")
    for i, k in enumerate(dataset.models.values):
        for which in product(*(range(dataset.sizes[name]) for name in several)):
            cells = dataset.isel(models=i, **dict(zip(several, which, strict=True)))
            table.add_row(*(cells[name].item() for name in several), *_row(cells, int(k)))
    return table


_SEVERAL = {"reads": "network", "memory": "memory"}


def _row(cells: Any, k: int) -> list[str]:
    """Write the numbers of one system."""
    import numpy as np

    alpha, beta = (float(cells[f"optimal_{n}"].sel(objective="mean")) for n in ("alpha", "beta"))
    row = [str(k), f"{float(cells.stable.mean()):.0%}"]
    if np.isnan(alpha):
        return [*row, "-", "-", "-", "-", "-"]
    half = cells.sel(alpha=0.5, beta=0.5, method="nearest")
    at_half = np.nan
    if abs(half.alpha - 0.5) < 0.01 and abs(half.beta - 0.5) < 0.01:
        at_half = half.relative_efficiency.isel(model=slice(0, k)).mean(skipna=False)
    efficiency = cells.optimal_relative_efficiency.sel(objective="mean")
    numbers = (efficiency, at_half, cells.sel(alpha=alpha, beta=beta).consensus_distance)
    shown = ["-" if np.isnan(float(x)) else f"{float(x):.3f}" for x in numbers]
    return [*row, f"{alpha:.2f}", f"{beta:.2f}", *shown]


def maps_of(
    models: Sequence[int], reads: Sequence[str] = (), memory: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """Return the parts of a sweep that have maps of their own, by what their files' names end in.

    A map has a panel for each memory, or else for each network, or else for each K.
    """
    if max(len(reads), len(memory)) < 2:
        return {"": {}}
    apart = reads if min(len(reads), len(memory)) > 1 else (None,)
    found = {}
    for k, name in product(models, apart):
        end = f"_K{k}" if len(models) > 1 else ""
        end += "" if name is None else "_" + re.sub(r"[^\w.]+", "-", name)
        found[end] = {"models": k} | ({} if name is None else {"reads": name})
    return found


def maps_in(dataset: Any) -> dict[str, dict[str, Any]]:
    """Return the same of a finished sweep."""
    values = (dataset[n].values.tolist() if n in dataset.dims else () for n in ("reads", "memory"))
    return maps_of(dataset.models.values.tolist(), *values)


def pictures(out: Path, parts: Mapping[str, Any]) -> list[Path]:
    """Return the paths of the maps of a sweep that is written to ``out``."""
    return [out.with_name(f"{out.stem}_{name}{end}.png") for end in parts for name in _MAPS]


def draw_maps(dataset: Any, out: Path) -> list[Path]:
    """Draw the maps of a sweep beside its file, and return their paths."""
    from commensal import plots

    parts = maps_in(dataset)
    drawn = pictures(out, parts)
    for (where, name), path in zip(product(parts.values(), _MAPS), drawn, strict=True):
        save_figure(getattr(plots, f"{name}_map")(dataset.sel(where)), path)
    return drawn
