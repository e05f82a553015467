"""`commensal simulate regression`: interactive regression, compared with its closed form."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

from rich.table import Table

from commensal.cli._options import Out, Overwrite, Plot, Yes, configured
from commensal.cli._parts import Ray, Shard
from commensal.cli._simulate import simulate, simulate_app


@configured(simulate_app, "regression", "commensal.sims.regression", "RegressionConfig")
def simulate_regression(
    settings: dict[str, Any],
    out: Out = None,
    plot: Plot = False,
    overwrite: Overwrite = False,
    yes: Yes = False,
    shard: Shard = None,
    ray: Ray = None,
) -> None:
    """Draw responses, refit every model, publish, repeat; compare with the closed form.

    commensal simulate regression --models 4 --alpha 0.4 --beta 0.7 --plot
    commensal simulate regression --alpha 0.5,0.6,0.7 --generations 3 --out regression.nc
    commensal simulate regression --memory window --window 5
    commensal simulate regression --grams grams.npz
    """
    from commensal.sims import regression as sims

    wanted = sims.RegressionConfig(**settings)
    k, d = float(wanted.models), wanted.dim
    rows = wanted.rank if wanted.design == "gaussian" and wanted.grams is None else d
    features = cache(lambda: sims.draw_designs(wanted))
    # generations whose responses are held apart, and operators on them
    apart = wanted.kept if wanted.window or isinstance(wanted.human_share, tuple) else 1
    operators = 1 if wanted.memory == "replace" else wanted.generations + 1
    simulate(
        "regression",
        "interactive",
        wanted.replicates,
        "replicates",
        # moments of each generation, and what turns a model's responses into its estimate
        k * d * (4 * d * (wanted.generations + 1) + operators * rows * (2 + k * apart)),
        prepare=features,
        run=partial(_beside_theory, wanted, features),
        table=_comparison,
        draw=draw,
        out=out,
        plot=plot,
        overwrite=overwrite,
        yes=yes,
        shard=shard,
        ray=ray,
    )


def draw(runs: Any, path: Path) -> None:
    """Draw the errors of the runs over the generations."""
    from commensal import plots

    plots.regression_errors(runs).savefig(path)


def _beside_theory(config: Any, features: Any, out: Path | None, **options: Any) -> Any:
    """Run the replicates, and add to them the errors that the closed form predicts."""
    import numpy as np

    from commensal import designs
    from commensal.sims import regression as sims
    from commensal.sims._simulate import write_netcdf
    from commensal.theory import regression as theory

    runs = sims.moments(config, out=out, **options)
    if "mse_theory" in runs:  # a finished file, which is only read
        return runs
    w = theory.RegressionWorkflow(
        **features().grams(),
        alpha=config.alpha,
        beta=config.beta,
        noise=config.noise,
        initial_beta=config.initial_beta,
        human_share=config.human_share,
        human_data=config.human_data,
        reads=config.network(config.models),
    )
    theta = designs.truth(w.dim, config.seed)
    past = {"memory": config.memory, "window": config.window}
    expected = theory.mse(theory.trajectory(w, theta, config.generations, **past), theta)
    pooled = np.asarray(w.private).sum(axis=0) + np.asarray(w.public)
    known = np.linalg.matrix_rank(pooled, hermitian=True) == w.dim
    best = config.noise**2 * np.trace(np.linalg.inv(pooled)) if known else np.nan
    units = runs["mse"].attrs
    runs = runs.assign(
        mse_theory=(runs["mse"].dims, np.asarray(expected), units),
        pooled_mse=((), best, units),
    )
    if out is not None:
        write_netcdf(runs, out)
    return runs


def _comparison(runs: Any) -> Table:
    """Build a table of the mean squared error per generation, simulated and in closed form."""
    import numpy as np

    simulated, error = runs["mse"].values, runs["mse_standard_error"].values
    expected = runs["mse_theory"].values
    table = Table(title="Mean squared error of the models")
    for name in ("t", "simulated", "theory", "largest |z|"):
        table.add_column(name, justify="right", no_wrap=True)
    for t in range(len(simulated)):
        # no noise, no error to compare with: a difference then is a difference
        apart = np.abs(simulated[t] - expected[t])
        z = np.where(error[t] > 0, apart / np.where(error[t] > 0, error[t], 1), apart)
        table.add_row(
            str(t), f"{simulated[t].mean():.5g}", f"{expected[t].mean():.5g}", f"{z.max():.1f}"
        )
    return table
