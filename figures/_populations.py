"""Accuracies of populations of language models, drawn for figures 6, 9 and 12 of `pollination`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from _runs import read, save

from commensal.llm.reports import plots_evolution as plots
from commensal.llm.reports._populations import Kind, Populations
from commensal.llm.reports.evolution import bounds_of, rows_of


class Drawn(NamedTuple):
    run: Any
    known: Populations
    asked: str
    """Name of the questions that select."""
    accuracies: str
    """Accuracy of each kind of population at the end, in words."""
    law: float | None
    """Accuracy of a model that knows the law."""


def drawn(out: Path, choose: Callable[[Populations], list[Kind]]) -> Drawn:
    """Draw a panel for each kind of population that the run has of those chosen."""
    run = read("evolution")
    known = Populations(run.judged, run.config.generations)
    asked = run.config.questions[0].name
    rows: Any = run.measured.query("metric == 'accuracy' and dataset == @asked")
    kinds = [kind for kind in choose(known) if kind in known.kinds]
    panels = {k.label.replace(f" on {asked}", ""): rows_of(rows, k) for k in kinds}
    alone = known.lineage()
    assert alone is not None
    law, chance = bounds_of(run.config, asked)
    save(plots.llm_populations(panels, rows_of(rows, alone), law=law, chance=chance), out)
    accuracies = ", ".join(
        f"{100 * known.last(kind, 'accuracy', asked).mean():.0f} % ({title})"
        for title, kind in zip([*panels, "single lineages"], [*kinds, alone], strict=True)
    )
    return Drawn(run, known, asked, accuracies, law)
