"""`commensal simulate ecosystem`: models on segmented data, compared with their closed forms."""

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


@configured(simulate_app, "ecosystem", "commensal.sims.ecosystem", "EcosystemConfig")
def simulate_ecosystem(
    settings: dict[str, Any],
    out: Out = None,
    plot: Plot = False,
    overwrite: Overwrite = False,
    yes: Yes = False,
    shard: Shard = None,
    ray: Ray = None,
) -> None:
    """Write, pool, shuffle, deal out and refit; compare numbers of models.

    Beside the runs: the closed form, and in closed form one model on N/M tokens, and one on all
    tokens that moves as little.

    commensal simulate ecosystem --models 4 --tokens 16000 --hold 5000
    commensal simulate ecosystem --sizes 8000,4000,4000 --plot --out ecosystem.nc
    """
    from commensal.sims import ecosystem

    wanted = ecosystem.EcosystemConfig(**settings)
    at_once = min(wanted.chunk, wanted.replicates) * (wanted.models * wanted.types + wanted.tokens)
    simulate(
        "ecosystem",
        "diversity",
        wanted.replicates,
        "runs",
        1.0 * wanted.replicates * wanted.generations * (wanted.models + 4) + 3 * at_once,
        run=partial(ecosystem.simulate, wanted),
        table=partial(_table, wanted),
        draw=draw,
        out=out,
        plot=plot,
        overwrite=overwrite,
        yes=yes,
        shard=shard,
        ray=ray,
    )


def draw(runs: Any, path: Path) -> None:
    """Draw the perplexities of a run over the generations."""
    from commensal import plots

    label = f"M = {runs.sizes['model']}"
    save_figure(plots.ecosystem_perplexities({label: runs}), path)


def _theory(config: Any) -> dict[str, Any]:
    """Compute the perplexities after each fit; empty where there is no closed form."""
    import numpy as np

    from commensal.theory import ecosystem as theory

    if config.sharpening != 1 or config.hold == 0:
        return {}
    vocabulary = theory.Vocabulary(*config.laws)
    each = theory.segment_cross_entropies(vocabulary, config.sizes, config.hold, config.generations)
    found = {"theory": np.exp(each).mean(axis=1)}
    equal = len(set(config.sizes)) == 1
    if config.models > 1 and equal:
        share, held = config.tokens / config.models, config.hold * config.models
        controls = {"one, N/M tokens": (share, config.hold), "one, hold Mλ": (config.tokens, held)}
        for name, (n, h) in controls.items():
            if n >= 2:
                nats = theory.expected_cross_entropy(vocabulary, n, 1, h, config.generations)
                found[name] = np.exp(nats)
    return found


def _table(config: Any, runs: Any) -> Table:
    import numpy as np

    laws = _theory(config)
    diversity = float(runs["hill_shannon"])
    table = Table(
        title=f"Mean perplexity of {config.models} models, Hill-Shannon diversity {diversity:.3g}"
    )
    for name in ("generation", "simulated", "± s.e.", "pool", *laws):
        table.add_column(name, justify="right")
    count = runs.sizes["replicate"]
    rows = [
        (str(t), runs.sel(generation=t), t - 1)
        for t in some_generations(runs["generation"].values, _ROWS)
    ]
    rows.append(("mean", runs.mean("generation"), slice(None)))
    for name, part, at in rows:
        values = part["perplexity"].values
        error = values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
        table.add_row(
            name,
            f"{values.mean():.5g}",
            f"{error:.2g}" if np.isfinite(error) else "-",
            f"{part['pool_perplexity'].values.mean():.5g}",
            *(f"{law[at].mean():.5g}" for law in laws.values()),
        )
    return table
