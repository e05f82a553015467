"""Figures 6 and 9 of `pollination`: populations of language models and single lineages."""

from typing import Any

from _runs import options, read, save
from _sentence import tell

from commensal.llm.reports import plots_evolution as plots
from commensal.llm.reports._populations import Populations
from commensal.llm.reports.evolution import _bounds, _rows_of, effect_means, effects_of


def main() -> None:
    args = options(__file__, __doc__)
    run = read("evolution")
    known = Populations(run.judged, run.config.generations)
    asked, task = run.config.questions[0].name, run.config.tasks[0].name
    rows: Any = run.measured.query("metric == 'accuracy' and dataset == @asked")
    chosen = known.selected()
    lots = [kind._replace(selection="random", questions="none") for kind in chosen]
    kinds = [kind for kind in [*chosen, *lots] if kind in known.kinds]
    panels = {k.label.replace(f" on {asked}", ""): _rows_of(rows, k) for k in kinds}
    alone = known.lineage()
    assert alone is not None
    law, chance = _bounds(run.config, asked)
    save(plots.llm_populations(panels, _rows_of(rows, alone), law=law, chance=chance), args.out)

    accuracies = ", ".join(
        f"{100 * known.last(kind, 'accuracy', asked).mean():.0f} % ({title})"
        for title, kind in zip([*panels, "single lineages"], [*kinds, alone], strict=True)
    )
    effects = effects_of(known)
    against = [
        f"{effect.name}: {mean.text()}"
        for effect, mean in zip(effects, effect_means(known, effects, "kl", task), strict=True)
        if "selection by accuracy against" in effect.name or "against one alone" in effect.name
    ]
    tell(
        args.out,
        f"After {run.config.generations} generations ({run.config.replicates} replicates) the "
        f"accuracy on the questions that select is {accuracies}, where the law has "
        f"{100 * (law or 0):.0f} %; differences of KL from the law, lower is better, with "
        f"intervals that hold together with 95 %: {'; '.join(against)}.",
    )


if __name__ == "__main__":
    main()
