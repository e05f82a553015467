"""`commensal sweep` and `commensal figure`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from commensal.cli._console import err_console, out_console, progress_bar
from commensal.cli._settings import (
    ConfigFile,
    DesignName,
    Dim,
    Noise,
    Prompts,
    PublicRank,
    Rank,
    Seed,
    Strength,
    parse_counts,
    parse_grid,
    settings_of,
)

sweep_app = typer.Typer(help="Sweep a grid and keep it as named arrays.", no_args_is_help=True)


@sweep_app.command("regression")
def sweep_regression(
    out: Annotated[Path, typer.Option(help="NetCDF file to write.")] = Path("sweep.nc"),
    alpha: Annotated[
        str | None,
        typer.Option(help="Weights of new data: start:stop:count or a,b,c. (default: 0:1:51)"),
    ] = None,
    beta: Annotated[
        str | None, typer.Option(help="Weights of private data, likewise. (default: 0:1:51)")
    ] = None,
    entities: Annotated[
        str | None, typer.Option(help="Numbers of models K: a,b,c. (default: 2,4,8)")
    ] = None,
    dim: Dim = None,
    rank: Rank = None,
    public_rank: PublicRank = None,
    design: DesignName = None,
    prompts: Prompts = None,
    strength: Strength = None,
    noise: Noise = None,
    human_share: Annotated[
        float | None, typer.Option(help="Share of fresh human data in new data. (default: 0)")
    ] = None,
    grams: Annotated[
        Path | None,
        typer.Option(help="Gram matrices of your own (.npz: private, public, synthetic[, human])."),
    ] = None,
    tasks: Annotated[
        bool | None, typer.Option("--tasks/--no-tasks", help="Keep mspe, model by task.")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw the figures.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Discard what the output holds.")
    ] = False,
) -> None:
    """Stability, error and efficiency of K models that train on each other's output.

    Interrupted sweeps go on where they were when the same command is given again.
    """
    settings = settings_of(
        config,
        alpha=None if alpha is None else parse_grid(alpha),
        beta=None if beta is None else parse_grid(beta),
        entities=None if entities is None else parse_counts(entities),
        dim=dim,
        rank=rank,
        public_rank=public_rank,
        design=design,
        prompts=prompts,
        strength=strength,
        noise=noise,
        human_share=human_share,
        grams=grams,
        tasks=tasks,
        seed=seed,
    )
    from commensal import sweep

    if grams is not None and "entities" not in settings:
        settings["entities"] = (sweep.read_grams(grams)["private"].shape[0],)
    wanted = sweep.RegressionSweep(**settings)
    try:
        with progress_bar(f"{wanted.cells:,} cells") as progress:
            dataset = sweep.regression(wanted, out, overwrite=overwrite, progress=progress)
    except KeyboardInterrupt:
        err_console.print(
            "stopped; finished chunks are kept, the same command goes on from them",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None
    with dataset:
        out_console.print(_summary(dataset))
        written = [out]
        if plot:
            written += draw_maps(dataset, out)
    for path in written:
        out_console.print(f"wrote {path}", soft_wrap=True, highlight=False)


def _summary(dataset: Any) -> Table:
    """A line per K: how much of the grid is stable, and where it is best."""
    import numpy as np

    table = Table(title="Where errors are smallest on the grid (mean over models)")
    for name in ("K", "stable", "best α", "best β", "efficiency", "at (½, ½)", "consensus"):
        table.add_column(name, justify="right", no_wrap=True)
    half = dataset.sel(alpha=0.5, beta=0.5, method="nearest")
    near_half = abs(half.alpha - 0.5) < 0.01 and abs(half.beta - 0.5) < 0.01
    for i, k in enumerate(dataset.entities.values):
        of_k = dataset[["stable", "optimal_alpha", "optimal_beta"]].isel(entities=i)
        alpha, beta = (float(of_k[f"optimal_{n}"].sel(objective="mean")) for n in ("alpha", "beta"))
        best = dataset.isel(entities=i)
        row = [str(k), f"{float(of_k.stable.mean()):.0%}"]
        if np.isnan(alpha):
            table.add_row(*row, "-", "-", "-", "-", "-")
            continue
        best = best.sel(alpha=alpha, beta=beta)
        at_half = half.relative_efficiency.isel(entities=i).mean() if near_half else np.nan
        numbers = (best.relative_efficiency.mean(), at_half, best.consensus_distance)
        shown = ["-" if np.isnan(float(x)) else f"{float(x):.3f}" for x in numbers]
        table.add_row(*row, f"{alpha:.2f}", f"{beta:.2f}", *shown)
    return table


def draw_maps(dataset: Any, out: Path) -> list[Path]:
    from commensal import plots

    drawn = {
        "efficiency": plots.efficiency_map,
        "stability": plots.stability_map,
        "consensus": plots.consensus_map,
    }
    written = []
    for name, draw in drawn.items():
        path = out.with_name(f"{out.stem}_{name}.png")
        draw(dataset).savefig(path)
        written.append(path)
    return written
