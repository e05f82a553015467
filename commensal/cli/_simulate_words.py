"""`commensal simulate words`: models that repeat words, compared with their closed forms."""

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


@configured(simulate_app, "words", "commensal.sims.words", "WordsConfig")
def simulate_words(
    settings: dict[str, Any],
    out: Out = None,
    plot: Plot = False,
    overwrite: Overwrite = False,
    yes: Yes = False,
    shard: Shard = None,
    ray: Ray = None,
) -> None:
    """Fit models to the words of a corpus, let them write the next; count the words that are left.

    Beside the runs: the closed form, where there is one. Dialects, and a reading network as a
    matrix, are settings of --config.

    commensal simulate words --tokens 2000 --words 500 --generations 100 --plot
    commensal simulate words --human-share 0.1 --out words.nc
    """
    from commensal.sims import words

    wanted = words.WordsConfig(**settings)
    kept = wanted.generations if wanted.memory == "accumulate" else 1
    each = wanted.models * (2.0 * wanted.words + 4.0 * wanted.tokens + 0.5 * wanted.tokens * kept)
    at_once = max(1, min(wanted.chunk, wanted.replicates, int(2**20 // max(each, 1))))
    simulate(
        "words",
        "commensal",
        wanted.replicates,
        "runs",
        1.0 * wanted.replicates * (wanted.generations * (4 + 2 * wanted.models) + wanted.words / 8)
        + 3 * at_once * each,
        run=partial(words.simulate, wanted),
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
    """Draw the vocabulary over the generations, and which words are left at last."""
    import xarray as xr

    from commensal import plots
    from commensal.sims.words import WordsConfig

    config = WordsConfig.model_validate_json(runs.attrs["config"])
    theory = None
    if config.dialects is None:
        runs = runs.assign(expected=config.models * config.tokens * runs["law"])
    if _known(config):
        from commensal.theory import words

        how = (config.human_share, config.memory)
        alive = words.survival(runs["expected"].values, config.generations, *how)
        at = some_generations(runs["generation"].values, 60)
        theory = xr.Dataset(
            {"richness": ("generation", _richness(config, at)), "survival": ("word", alive)},
            {"generation": at},
        )
    save_figure(plots.vocabulary(runs, theory), path)


def _known(config: Any) -> bool:
    """Return whether the vocabulary has a closed form: all read everything, in one language."""
    return config.network(config.models) is None and config.dialects is None


def _richness(config: Any, generations: Any) -> Any:
    from commensal.theory import words

    how = (config.human_share, config.memory, config.models)
    return words.expected_richness(config.laws[0], config.tokens, generations, *how)


def _heterozygosity(config: Any, generations: Any) -> Any:
    """Compute the expected heterozygosity, NaN where there is no closed form."""
    import numpy as np

    from commensal import networks
    from commensal.theory import words

    at = np.asarray(generations)
    if _known(config):
        if config.memory == "accumulate" and config.human_share:
            return np.full(at.shape, np.nan)
        how = (config.human_share, config.memory, config.models)
        return words.expected_heterozygosity(config.laws[0], config.tokens, at, *how)
    if config.memory == "accumulate":
        return np.full(at.shape, np.nan)
    network = config.network(config.models)
    reads = networks.uniform(config.models) if network is None else network
    laws = np.broadcast_to(config.laws, (config.models, config.words))
    last = int(at.max())
    path = words.network_heterozygosity(laws, config.tokens, last, reads, config.human_share)
    return path.mean(axis=(1, 2))[at - 1]


def _table(config: Any, runs: Any) -> Table:
    import numpy as np

    at = some_generations(runs["generation"].values, _ROWS)
    words = _richness(config, at) if _known(config) else np.full(at.shape, np.nan)
    columns = {"richness": words, "heterozygosity": _heterozygosity(config, at)}
    table = Table(title=f"{config.memory}, K n = {config.models * config.tokens:,} tokens")
    for name in ("generation", "words", "± s.e.", "theory", "heterozygosity", "± s.e.", "theory"):
        table.add_column(name, justify="right")
    count = runs.sizes["replicate"]
    for i, t in enumerate(at):
        row = [str(t)]
        for name, law in columns.items():
            values = runs[name].sel(generation=t).values
            error = values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
            row += [f"{values.mean():.5g}", f"{error:.2g}" if np.isfinite(error) else "-"]
            row.append(f"{float(law[i]):.5g}" if np.isfinite(law[i]) else "-")
        table.add_row(*row)
    return table
