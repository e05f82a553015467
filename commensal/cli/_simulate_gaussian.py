"""`commensal simulate gaussian`: single lineages, or populations that select and cross over."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from commensal.cli._options import Out, Overwrite, Plot, Yes, configured
from commensal.cli._parts import Ray, Shard
from commensal.cli._simulate import simulate, simulate_app, some_generations
from commensal.saving import save_figure

_ROWS = 12  # generations in the table: it should fit a small terminal
_POINTS = 60  # generations of a theory's curve in the figure


@configured(
    simulate_app,
    "gaussian",
    "commensal.sims.gaussian",
    "GaussianConfig",
    "PopulationConfig",
    switch="population",
)
def simulate_gaussian(
    settings: dict[str, Any],
    out: Out = None,
    plot: Plot = False,
    overwrite: Overwrite = False,
    yes: Yes = False,
    shard: Shard = None,
    ray: Ray = None,
) -> None:
    """Draw points, refit a Gaussian, draw from it, refit: one lineage, or a population.

    Single lineages are laid beside their closed form. With --population there are populations of
    models in their place, which select, mutate and cross over.

    commensal simulate gaussian --samples 20 --generations 200 --plot
    commensal simulate gaussian --memory accumulate --replicates 10000 --out lineages.nc
    commensal simulate gaussian --population 16 --signal validation --generations 200 --plot
    """
    from commensal.sims import gaussian

    populations = "population" in settings
    kind = gaussian.PopulationConfig if populations else gaussian.GaussianConfig
    _refuse_others(settings, kind, populations)
    wanted: Any = kind(**settings)
    kept = len(wanted.record or ()) if populations else len(wanted.recorded())
    # what one recorded generation of one run leaves; on the way also its factor, d × d
    each = 9 if populations else 4 + (wanted.dim**2 if wanted.dim > 1 else 0)
    numbers = 1.0 * wanted.replicates * kept * each
    if populations:
        numbers += 4.0 * min(wanted.replicates, wanted.chunk) * wanted.population
    elif wanted.resolved_method == "samples":
        numbers += 2.0 * min(wanted.replicates, 64) * wanted.samples * wanted.dim
    run = gaussian.simulate_populations if populations else gaussian.simulate
    simulate(
        "gaussian",
        "pollination",
        wanted.replicates,
        "populations" if populations else "lineages",
        numbers,
        run=partial(run, wanted),
        table=_population_table if populations else partial(_lineage_table, wanted),
        draw=draw,
        out=out,
        plot=plot,
        overwrite=overwrite,
        yes=yes,
        shard=shard,
        ray=ray,
    )


def _refuse_others(settings: dict[str, Any], kind: Any, populations: bool) -> None:
    """Refuse settings that belong to the other of the two kinds of run."""
    for name in settings:
        if name not in kind.model_fields and populations:
            raise ValueError(f"{name} is for single lineages, and population asks for others")
        if name not in kind.model_fields:
            raise ValueError(f"{name} is for populations: give population, their number of models")


def _lineage_table(config: Any, runs: Any) -> Table:
    """Build a table of medians and mean logarithms, as sample means of σ² do not converge."""
    import numpy as np

    table = Table(title=f"{config.memory}, {config.estimator}: n = {config.samples}")
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
    """Compute the curves of the closed forms, NaN where there is none."""
    import numpy as np
    import xarray as xr

    from commensal.theory import gaussian as theory

    t, n, kind = np.asarray(generations), config.samples, (config.memory, config.estimator)
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


def draw(runs: Any, path: Path) -> None:
    """Draw the course of lineages, with the closed forms in one dimension, or of populations."""
    from commensal import plots
    from commensal.sims.gaussian import GaussianConfig, PopulationConfig

    settings = runs.attrs["config"]
    if "w2_best" in runs:
        config = PopulationConfig.model_validate_json(settings)
        label = f"population of {config.population}, signal: {config.signal}"
        save_figure(plots.populations_over_time({label: runs}, {label: 0}), path)
        return
    config = GaussianConfig.model_validate_json(settings)
    # a quantile of an accumulating lineage is a third of a second's work
    points = _POINTS if config.memory == "replace" else _ROWS
    at = some_generations(runs["generation"].values, points)
    curves = _theory(config, at) if config.dim == 1 else None
    save_figure(plots.lineages(runs, curves), path)
