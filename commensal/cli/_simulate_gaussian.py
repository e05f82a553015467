"""`commensal simulate gaussian`: single lineages, or populations that select and cross over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from commensal.cli._console import out_console, progress_bar
from commensal.cli._settings import ConfigFile, Seed, settings_of
from commensal.cli._simulate import check_folder, some_generations, write

_ROWS = 12  # generations in the table: it should fit a small terminal
_POINTS = 60  # generations of a theory's curve in the figure


def simulate_gaussian(
    out: Annotated[Path | None, typer.Option(help="NetCDF file for every run.")] = None,
    samples: Annotated[
        int | None, typer.Option(help="n, points per generation. (default: 100)")
    ] = None,
    dim: Annotated[int | None, typer.Option(help="d. (default: 1)")] = None,
    generations: Annotated[
        int | None, typer.Option(help="T. (default: 100; populations 1000)")
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(help="Independent lineages, or populations. (default: 1000; 100)"),
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option(help="replace, accumulate, or accumulate_subsample. (default: replace)"),
    ] = None,
    estimator: Annotated[
        str | None, typer.Option(help="unbiased, or mle. (default: unbiased)")
    ] = None,
    human_share: Annotated[
        float | None, typer.Option(help="Share of fresh real points (replace). (default: 0)")
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            help="gaussian, laplace, student_t, exponential, or uniform. (default: gaussian)"
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="statistics (cost free of n), samples, or auto. (default: auto)"),
    ] = None,
    mean: Annotated[float | None, typer.Option(help="Of the truth. (default: 0)")] = None,
    variance: Annotated[float | None, typer.Option(help="Of the truth. (default: 1)")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Of the draws: float32, or float64. (default: float32)")
    ] = None,
    population: Annotated[
        int | None, typer.Option(help="N, a square: populations in place of single lineages.")
    ] = None,
    parents: Annotated[
        int | None, typer.Option(help="k, how many are selected. (default: square root of N)")
    ] = None,
    crossover: Annotated[
        str | None,
        typer.Option(help="pairs (parameters of i, data of j), or none. (default: pairs)"),
    ] = None,
    inheritance: Annotated[
        float | None, typer.Option(help="Weight of inherited parameters. (default: 0.5)")
    ] = None,
    mutation: Annotated[
        float | None, typer.Option(help="Size of mutations, in σ. (default: 0.01)")
    ] = None,
    signal: Annotated[
        str | None,
        typer.Option(help="oracle, noisy_oracle, validation, or none. (default: oracle)"),
    ] = None,
    signal_noise: Annotated[
        float | None, typer.Option(help="Of the noisy oracle, in σ. (default: 0)")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option(help="Real points for validation. (default: 100)")
    ] = None,
    fresh_held_out: Annotated[
        bool | None,
        typer.Option("--fresh-held-out/--fixed-held-out", help="New ones each generation."),
    ] = None,
    seed: Seed = None,
    config: ConfigFile = None,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw the figure.")] = False,
) -> None:
    """Draw points, refit a Gaussian, draw from it, refit: one lineage, or a population.

    Single lineages are laid beside their closed form.
    """
    settings = settings_of(
        config,
        samples=samples,
        dim=dim,
        generations=generations,
        replicates=replicates,
        workflow=workflow,
        estimator=estimator,
        human_share=human_share,
        truth=truth,
        method=method,
        mean=mean,
        variance=variance,
        dtype=dtype,
        population=population,
        parents=parents,
        crossover=crossover,
        inheritance=inheritance,
        mutation=mutation,
        signal=signal,
        signal_noise=signal_noise,
        held_out=held_out,
        fresh_held_out=fresh_held_out,
        seed=seed,
    )
    from commensal.sims import gaussian

    check_folder(out)
    populations = "population" in settings
    kind = gaussian.PopulationConfig if populations else gaussian.Config
    _refuse_others(settings, kind, gaussian, populations)
    wanted = kind(**settings)
    run = gaussian.simulate_populations if populations else gaussian.simulate
    what = "populations" if populations else "lineages"
    with progress_bar(f"{wanted.replicates:,} {what}") as progress:
        runs = run(wanted, progress=progress)  # pyright: ignore[reportArgumentType]
    out_console.print(_population_table(runs) if populations else _lineage_table(wanted, runs))
    write(runs, out)
    if plot:
        path = Path("gaussian.png") if out is None else out.with_suffix(".png")
        draw = draw_populations if populations else draw_lineages
        draw(wanted, runs, path)
        out_console.print(f"wrote {path}", soft_wrap=True, highlight=False)


def _refuse_others(settings: dict[str, Any], kind: Any, gaussian: Any, populations: bool) -> None:
    """Say which of the two kinds of run a setting belongs to."""
    for name in settings:
        if name in kind.model_fields:
            continue
        if name in gaussian.Config.model_fields or name in gaussian.PopulationConfig.model_fields:
            if populations:
                raise ValueError(f"{name} is for single lineages, and population asks for others")
            raise ValueError(f"{name} is for populations: give population, their number of models")
        raise ValueError(f"unknown setting {name!r}")


def _lineage_table(config: Any, runs: Any) -> Table:
    """Medians and mean logarithms: what a sample of lineages can tell (means of σ² it cannot)."""
    import numpy as np

    table = Table(title=f"{config.workflow}, {config.estimator}: n = {config.samples}")
    at = some_generations(runs["generation"].values, _ROWS)
    if config.dim > 1:
        names = ("mean_squared_error", "log_trace", "log_determinant", "w2")
        names = tuple(name for name in names if name in runs)
        for name in ("t", *(f"median {n}" for n in names)):
            table.add_column(name, justify="right")
        median = runs[list(names)].sel(generation=at).median("replicate")
        for t in at:
            row = median.sel(generation=t)
            table.add_row(str(t), *(f"{float(row[name]):.4g}" for name in names))
        return table
    for name in ("t", "median σ", "theory", "mean log σ²", "theory", "|z|", "median W₂²"):
        table.add_column(name, justify="right", no_wrap=True)
    expected = _theory(config, at)
    for t in at:
        one = runs.sel(generation=t)
        log_variance = one["log_variance"].values
        error = (
            log_variance.std(ddof=1) / np.sqrt(log_variance.size) if log_variance.size > 1 else 0
        )
        law = expected.sel(generation=t)
        apart = abs(log_variance.mean() - float(law["log_variance"]))
        z = f"{apart / error:.1f}" if error > 0 and np.isfinite(apart) else "-"
        table.add_row(
            str(t),
            f"{float(np.exp(0.5 * np.median(log_variance))):.4g}",
            _shown(law["std_median"]),
            f"{log_variance.mean():.4f}",
            _shown(law["log_variance"]),
            z,
            f"{float(one['w2'].median()):.4g}",
        )
    return table


def _shown(value: Any) -> str:
    return "-" if value.isnull() else f"{float(value):.4g}"


def _theory(config: Any, generations: Any) -> Any:
    """Curves of the closed forms, NaN where there is none."""
    import numpy as np
    import xarray as xr

    from commensal.theory import gaussian as theory

    t, n, kind = np.asarray(generations), config.samples, (config.workflow, config.estimator)
    sigma = np.sqrt(config.variance)
    nothing = np.full(t.shape, np.nan)

    def law(function: Any, *args: Any, **more: Any) -> Any:
        try:
            return np.asarray(function(*args, **more), dtype=float)
        except theory.UnknownLawError:
            return nothing

    known = config.truth == "gaussian" and config.dim == 1
    plain = known and config.human_share == 0
    share = {"human_share": config.human_share}
    curves = {
        "std_median": sigma * law(theory.std_quantile, 0.5, t, n, *kind) if plain else nothing,
        "log_variance": np.log(config.variance) + law(theory.expected_log_variance, t, n, *kind)
        if plain
        else nothing,
        "mean_deviation": sigma * np.sqrt(law(theory.expected_squared_error, t, n, *kind, **share))
        if known
        else nothing,
        "w2_mean": law(theory.expected_w2, t, n, sigma, *kind) if plain else nothing,
    }
    return xr.Dataset({k: ("generation", v) for k, v in curves.items()}, {"generation": t})


def _population_table(runs: Any) -> Table:
    table = Table(title="Populations: medians over runs")
    names = {
        "mean_average": "mean",
        "std_average": "σ",
        "w2_best": "best W₂²",
        "w2_median": "median W₂²",
        "mean_between": "spread of means",
    }
    for name in ("t", *names.values()):
        table.add_column(name, justify="right", no_wrap=True)
    median = runs[list(names)].median("replicate")
    for t in some_generations(runs["generation"].values, _ROWS):
        row = median.sel(generation=t)
        table.add_row(str(t), *(f"{float(row[name]):.4g}" for name in names))
    return table


def draw_populations(config: Any, runs: Any, path: Path) -> None:
    from commensal import plots

    label = f"population of {config.population}, signal: {config.signal}"
    plots.populations_over_time({label: runs}, {label: 0}).savefig(path)


def draw_lineages(config: Any, runs: Any, path: Path) -> None:
    from commensal import plots

    # a quantile of an accumulating lineage is a third of a second's work
    points = _POINTS if config.workflow == "replace" else _ROWS
    at = some_generations(runs["generation"].values, points)
    curves = _theory(config, at) if config.dim == 1 else None
    plots.lineages(runs, curves).savefig(path)
