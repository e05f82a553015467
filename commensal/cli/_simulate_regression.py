"""`commensal simulate regression`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from commensal.cli._console import out_console, progress_bar
from commensal.cli._settings import (
    ConfigFile,
    DesignName,
    Dim,
    Noise,
    Prompts,
    PublicRank,
    Rank,
    Seed,
    settings_of,
)
from commensal.cli._simulate import check_folder, write


def simulate_regression(
    out: Annotated[
        Path | None, typer.Option(help="NetCDF file for means, covariances and errors.")
    ] = None,
    entities: Annotated[int | None, typer.Option(help="K. (default: 4)")] = None,
    dim: Dim = None,
    rank: Rank = None,
    public_rank: PublicRank = None,
    design: DesignName = None,
    prompts: Prompts = None,
    strength: Annotated[
        float | None, typer.Option(help="Size of private data, misaligned design.")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Weight of new data. (default: 0.5)")] = None,
    beta: Annotated[
        float | None, typer.Option(help="Weight of private data. (default: 0.5)")
    ] = None,
    initial_beta: Annotated[
        float | None, typer.Option(help="Weight of private data at t = 0. (default: as --beta)")
    ] = None,
    human_share: Annotated[
        float | None, typer.Option(help="Share of fresh human data in new data. (default: 0)")
    ] = None,
    noise: Noise = None,
    generations: Annotated[int | None, typer.Option(help="T. (default: 15)")] = None,
    replicates: Annotated[
        int | None, typer.Option(help="Independent runs. (default: 2000)")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
) -> None:
    """Draw responses, refit every model, publish, repeat; compare with the closed form."""
    settings = settings_of(
        config,
        entities=entities,
        dim=dim,
        rank=rank,
        public_rank=public_rank,
        design=design,
        prompts=prompts,
        strength=strength,
        alpha=alpha,
        beta=beta,
        initial_beta=initial_beta,
        human_share=human_share,
        noise=noise,
        generations=generations,
        replicates=replicates,
        seed=seed,
    )
    from commensal.sims import regression as sims

    check_folder(out)
    wanted = sims.Config(**settings)
    with progress_bar(f"{wanted.replicates:,} replicates") as progress:
        runs = sims.moments(wanted, progress=progress)
    out_console.print(_comparison(wanted, runs))
    write(runs, out)


def _comparison(config: Any, runs: Any) -> Table:
    """MSE per generation, simulated and in closed form."""
    import numpy as np

    from commensal import designs
    from commensal.sims import regression as sims
    from commensal.theory import regression as theory

    w = theory.Workflow(
        **sims.draw_designs(config).grams(),
        alpha=config.alpha,
        beta=config.beta,
        noise=config.noise,
        initial_beta=config.initial_beta,
        human_share=config.human_share,
    )
    theta = designs.truth(w.dim, config.seed)
    expected = theory.mse(theory.trajectory(w, theta, config.generations), theta)
    simulated, error = runs["mse"].values, runs["mse_standard_error"].values
    table = Table(title="Mean squared error of the models")
    for name in ("t", "simulated", "theory", "largest |z|"):
        table.add_column(name, justify="right", no_wrap=True)
    for t in range(config.generations + 1):
        # no noise, no error to compare with: a difference then is a difference
        apart = np.abs(simulated[t] - expected[t])
        z = np.where(error[t] > 0, apart / np.where(error[t] > 0, error[t], 1), apart)
        table.add_row(
            str(t), f"{simulated[t].mean():.5g}", f"{expected[t].mean():.5g}", f"{z.max():.1f}"
        )
    return table
