"""`commensal simulate mixture`: a web of Gaussian mixtures, beside its moments in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from commensal.cli._console import out_console, progress_bar
from commensal.cli._settings import ConfigFile, Seed, settings_of
from commensal.cli._simulate import check_folder, some_generations, write

_ROWS = 12  # generations in the table: it should fit a small terminal


def simulate_mixture(
    out: Annotated[Path | None, typer.Option(help="NetCDF file for every run.")] = None,
    models: Annotated[int | None, typer.Option(help="n. (default: 3)")] = None,
    components: Annotated[int | None, typer.Option(help="B. (default: 2)")] = None,
    spacing: Annotated[
        float | None, typer.Option(help="Between neighbouring means on a line. (default: 10)")
    ] = None,
    covariance: Annotated[
        float | None, typer.Option(help="Variance of every component. (default: 1)")
    ] = None,
    posts: Annotated[
        int | None, typer.Option(help="L, points per model and generation. (default: 3)")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="β, share of the web that a model draws. (default: 0.5)")
    ] = None,
    points: Annotated[
        int | None, typer.Option(help="Points on the web before anyone posts. (default: 20)")
    ] = None,
    concentration: Annotated[
        float | None, typer.Option(help="Of the initial weights' Dirichlet law. (default: 1)")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="α, constant. (default: 1/k_t)")
    ] = None,
    prior: Annotated[float | None, typer.Option(help="c, constant. (default: 1/(k_t B²))")] = None,
    epsilon: Annotated[
        float | None, typer.Option(help="ε of the positivity step. (default: 1e-6)")
    ] = None,
    replacement: Annotated[
        bool | None, typer.Option("--replacement/--no-replacement", help="How points are drawn.")
    ] = None,
    generations: Annotated[int | None, typer.Option(help="T. (default: 200)")] = None,
    replicates: Annotated[int | None, typer.Option(help="Independent runs. (default: 100)")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float64, or float32. (default: float64)")
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw the figure.")] = False,
) -> None:
    """Post points, draw from the web, update the weights; see how far apart the models stay.

    Means, covariances, initial weights, graphs and human posts are settings of --config.
    """
    settings = settings_of(
        config,
        models=models,
        components=components,
        covariance=covariance,
        posts=posts,
        fraction=fraction,
        points=points,
        concentration=concentration,
        learning_rate=learning_rate,
        prior=prior,
        epsilon=epsilon,
        replacement=replacement,
        generations=generations,
        replicates=replicates,
        dtype=dtype,
        seed=seed,
    )
    from commensal.sims import mixture

    check_folder(out)
    for name in settings:
        if name not in mixture.Config.model_fields:
            raise ValueError(f"unknown setting {name!r}")
    if spacing is not None:
        if "means" in settings:
            raise ValueError("spacing and means both say where the components are: give one")
        if not spacing >= 0:
            raise ValueError(f"spacing must be at least 0, got {spacing:g}")
        count = settings.get("components", mixture.Config.model_fields["components"].default)
        settings["means"] = [spacing * (b - (count - 1) / 2) for b in range(count)]
    wanted = mixture.Config(**settings)
    with progress_bar(f"{wanted.replicates:,} runs") as progress:
        runs = mixture.simulate(wanted, progress=progress)
    law = _theory(wanted)
    out_console.print(_table(wanted, runs, law))
    write(runs, out)
    if plot:
        path = Path("mixture.png") if out is None else out.with_suffix(".png")
        draw_disagreements(wanted, runs, path)
        out_console.print(f"wrote {path}", soft_wrap=True, highlight=False)


def draw_disagreements(config: Any, runs: Any, path: Path) -> None:
    from commensal import plots

    plots.disagreements(runs, _theory(config)).savefig(path)


def _theory(config: Any) -> Any:
    """Root mean square of ‖D‖_F for separated components; None where the theory has no law."""
    import numpy as np
    import xarray as xr

    from commensal.theory import mixture as theory

    if config.graph is not None or config.human_share > 0:
        return None
    setup = theory.Setup(
        config.models,
        config.components,
        config.posts,
        config.fraction,
        config.points,
        weights=None if config.weights is None else np.array(config.weights),
        concentration=config.concentration,
        web=None if config.web is None else np.array(config.web),
        web_sampled=config.web is not None,
        replacement=config.replacement,
        learning_rate=config.learning_rate,
        prior=config.prior,
    )
    moments = theory.second_moments(setup, config.generations)
    t = np.arange(config.generations + 1)
    return xr.DataArray(np.sqrt(moments.disagreement), {"generation": t})


def _table(config: Any, runs: Any, law: Any) -> Table:
    import numpy as np

    table = Table(title="Root mean square of ‖D‖_F; theory: separated components")
    for name in ("t", "simulated", "± s.e.", "theory", "s.d. of consensus"):
        table.add_column(name, justify="right", no_wrap=True)
    norm, consensus = runs["disagreement"], runs["consensus"]
    count = norm.sizes["replicate"]
    for t in some_generations(norm["generation"].values, _ROWS):
        square = norm.sel(generation=t).values ** 2
        rms = np.sqrt(square.mean())
        # delta method; one run has none
        error = square.std(ddof=1) / np.sqrt(count) / (2 * rms) if count > 1 and rms > 0 else np.nan
        spread = consensus.sel(generation=t).values.std(axis=0, ddof=1) if count > 1 else [np.nan]
        table.add_row(
            str(t),
            f"{rms:.4g}",
            "-" if np.isnan(error) else f"{error:.2g}",
            "-" if law is None else f"{float(law.sel(generation=t)):.4g}",
            "-" if np.isnan(spread).any() else f"{np.mean(spread):.3g}",
        )
    return table
