"""`commensal simulate selection`: models that learn from chosen data, beside closed forms."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from commensal.cli._console import note
from commensal.cli._options import Out, Overwrite, Plot, Yes, configured
from commensal.cli._parts import Ray, Shard
from commensal.cli._simulate import simulate, simulate_app, some_generations
from commensal.saving import save_figure

_ROWS = 12  # generations in the table: it should fit a small terminal
_CELLS = 4000  # of the rewards' law
_FEW = 30  # answers near the highest reward, below which they are not many


@configured(simulate_app, "selection", "commensal.sims.selection", "SelectionConfig")
def simulate_selection(
    settings: dict[str, Any],
    out: Out = None,
    plot: Plot = False,
    overwrite: Overwrite = False,
    yes: Yes = False,
    shard: Shard = None,
    ray: Ray = None,
) -> None:
    """Let models learn from what a verifier accepts, a reward favours or a filter lets pass.

    Beside the runs: the closed form, whose premises are said where the settings do not meet them.

    commensal simulate selection --reach 1 --bias 0.1 --samples 1000 --initial 50 --plot
    commensal simulate selection --by reward --human-share 0.1 --samples 20000 --generations 200
    commensal simulate selection --by filter --right 0.55 --false-positive 0.5 --samples 2000
    """
    from commensal.sims import selection

    wanted = selection.SelectionConfig(**settings)
    # a run of many samples is a batch by itself
    one = float(wanted.samples * (wanted.dim if wanted.by == "filter" else 1))
    simulate(
        "selection",
        "commensal",
        wanted.replicates,
        "runs",
        3.0 * wanted.replicates * (wanted.generations + 1) + 4.0 * max(2**20, one),
        run=partial(selection.simulate, wanted),
        table=partial(_table, wanted),
        draw=draw,
        out=out,
        plot=plot,
        overwrite=overwrite,
        yes=yes,
        shard=shard,
        ray=ray,
    )
    if (said := unlike(wanted)) is not None:
        note(said)


def draw(runs: Any, path: Path) -> None:
    """Draw what is measured over the generations, and the closed form."""
    import xarray as xr

    from commensal import plots
    from commensal.sims.selection import SelectionConfig

    config = SelectionConfig.model_validate_json(runs.attrs["config"])
    law = xr.DataArray(expected(config), {"generation": runs["generation"]})
    save_figure(plots.selection_course(runs[measure(config)], law, limit=limit(config)), path)


def measure(config: Any) -> str:
    """Return the variable that the closed form is of."""
    return {"verifier": "squared_error", "reward": "top", "filter": "accuracy"}[config.by]


def expected(config: Any) -> Any:
    """Compute the closed form in every generation; NaN where there is none."""
    import numpy as np

    from commensal.theory import selection

    t = np.arange(config.generations + 1)
    if config.by == "verifier":
        sizes = {"samples": config.samples, "initial": config.initial}
        return selection.verified(t, reach=config.reach, bias=config.bias, **sizes).error
    if config.by == "reward":
        rewards, law = _answers(config)
        near = rewards > -config.near
        return selection.curation_course(rewards, law, config.human_share, len(t) - 1) @ near
    found = [config.right]
    for _ in t[1:]:
        try:
            found.append(
                selection.filtered_accuracy(
                    config.samples,
                    config.dim,
                    min(max(found[-1], 0.0), 1.0),
                    true_positive=config.true_positive,
                    false_positive=config.false_positive,
                )
            )
        except ValueError:  # too few labels pass, or there was no number before
            found.append(np.nan)
    return np.array(found)


def limit(config: Any) -> float | None:
    """Return the mass near the highest reward in the limit of many generations, for a reward."""
    if config.by != "reward" or not config.human_share:
        return None
    from commensal.theory import selection

    rewards, law = _answers(config)
    found = selection.curated(rewards, law, 0.0, config.human_share)
    return float(found.law[rewards > -config.near].sum() + found.condensed)


def unlike(config: Any) -> str | None:
    """Say which premise of the closed form the settings do not meet, if any."""
    if config.by == "verifier" and (config.reach > 2 or abs(config.bias) > 0.5):
        return "the closed form is good for a reach up to 2 and a bias between -0.5 and 0.5"
    found = config.samples * min(1.0, config.near / config.span) ** (1 + config.exponent)
    if config.by == "reward" and found < _FEW:
        return (
            f"of {config.samples:,} human answers {found:.2g} are expected within near of the "
            "highest reward, and the closed form is for many: raise samples or near"
        )
    if config.by == "filter" and config.errors == "model":
        return "the closed form takes wrong labels for independent of their features"
    return None


def _answers(config: Any) -> tuple[Any, Any]:
    """Return rewards, less the highest one, and their probabilities among humans, on a grid."""
    import numpy as np

    # cells of the cumulated law near the top are small, where most is decided
    ends = config.span * np.linspace(0, 1, _CELLS + 1) ** 2
    law = np.diff((ends / config.span) ** (1 + config.exponent))
    return -(ends[1:] + ends[:-1]) / 2, law


def _table(config: Any, runs: Any) -> Table:
    import numpy as np

    name = measure(config)
    at = some_generations(runs["generation"].values, _ROWS)
    law, values = expected(config), runs[name]
    end = limit(config)
    title = f"by {config.by}, n = {config.samples:,}"
    table = Table(title=title if end is None else f"{title}; limit {end:.4g}")
    for column in ("generation", name.replace("_", " "), "± s.e.", "theory"):
        table.add_column(column, justify="right")
    count = runs.sizes["replicate"]
    for t in at:
        here = values.sel(generation=t).values
        error = here.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
        error = 0.0 if error < 1e-12 else error  # of what is the same in all runs
        numbers = here.mean(), error, float(law[t])
        digits = (".5g", ".2g", ".5g")
        told = [f"{x:{f}}" if np.isfinite(x) else "-" for x, f in zip(numbers, digits, strict=True)]
        table.add_row(str(t), *told)
    return table
