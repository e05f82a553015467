"""`commensal simulate mixture`: a web of Gaussian mixtures, compared with its exact moments."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from commensal.cli._options import Out, Overwrite, Plot, Yes, configured
from commensal.cli._parts import Ray, Shard
from commensal.cli._simulate import simulate, simulate_app, some_generations
from commensal.saving import save_figure

_ROWS = 12  # generations in the table: it should fit a small terminal


@configured(simulate_app, "mixture", "commensal.sims.mixture", "MixtureConfig")
def simulate_mixture(
    settings: dict[str, Any],
    spacing: Annotated[
        float | None,
        typer.Option(
            metavar="FLOAT",
            rich_help_panel="System",
            help="Distance of neighbouring means on a line, at least 0. (default: 10)",
        ),
    ] = None,
    out: Out = None,
    plot: Plot = False,
    overwrite: Overwrite = False,
    yes: Yes = False,
    shard: Shard = None,
    ray: Ray = None,
) -> None:
    """Post points, draw from the web, update the weights; measure how far the models stay apart.

    Means, covariance matrices, initial weights and graphs are settings of --config.

    commensal simulate mixture --models 3 --components 2 --generations 100 --plot
    commensal simulate mixture --read-share 0.2 --posts 5 --out mixture.nc
    """
    from commensal.sims import mixture

    if spacing is not None:
        if "means" in settings:
            raise ValueError("spacing and means both say where the components are: give one")
        if not spacing >= 0:
            raise ValueError(f"spacing must be at least 0, got {spacing:g}")
        count = settings.get("components", mixture.MixtureConfig.model_fields["components"].default)
        settings["means"] = [spacing * (b - (count - 1) / 2) for b in range(min(count, 65_535))]
    wanted = mixture.MixtureConfig(**settings)
    each = len(wanted.record) * (1 + wanted.components)
    if wanted.keep == "weights":
        each += len(wanted.record) * wanted.models * wanted.components
    # the web at the end, of the replicates that are under way
    web = wanted.points + wanted.generations * wanted.models * wanted.posts
    at_once = min(wanted.replicates, 64) * (wanted.components + wanted.models)
    simulate(
        "mixture",
        "webdynamics",
        wanted.replicates,
        "runs",
        1.0 * wanted.replicates * each + 1.0 * web * at_once,
        run=partial(mixture.simulate, wanted),
        table=lambda runs: _table(runs, _theory(wanted)),
        draw=draw,
        out=out,
        plot=plot,
        overwrite=overwrite,
        yes=yes,
        shard=shard,
        ray=ray,
    )


def draw(runs: Any, path: Path) -> None:
    """Draw the models' disagreement over the generations."""
    from commensal import plots
    from commensal.sims.mixture import MixtureConfig

    config = MixtureConfig.model_validate_json(runs.attrs["config"])
    save_figure(plots.disagreements(runs, _theory(config)), path)


def _theory(config: Any) -> Any:
    """Compute the root mean square of ‖D‖_F for separated components; None outside the theory."""
    import numpy as np
    import xarray as xr

    from commensal.theory import mixture as theory

    if config.graph is not None or config.human_share > 0:
        return None
    setup = theory.Setup(
        config.models,
        config.components,
        config.posts,
        config.read_share,
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


def _table(runs: Any, law: Any) -> Table:
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
