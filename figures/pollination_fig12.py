"""Figure 12 of `pollination`: language models that inherit weights and texts, or texts alone."""

from typing import Any

from _runs import options, read, save
from _sentence import tell

from commensal.llm.reports import plots_evolution as plots
from commensal.llm.reports._intervals import Mean
from commensal.llm.reports._populations import Populations
from commensal.llm.reports.evolution import _bounds, _rows_of, effect_means, effects_of


def main() -> None:
    args = options(__file__, __doc__)
    run = read("evolution")
    known = Populations(run.judged, run.config.generations)
    asked, task = run.config.questions[0].name, run.config.tasks[0].name
    rows: Any = run.measured.query("metric == 'accuracy' and dataset == @asked")
    alone = known.lineage()
    assert alone is not None
    texts = known.selected("data")
    whole = [kind._replace(inheritance="full") for kind in texts]
    kinds = [kind for kind in [*whole, *texts] if kind in known.kinds]
    panels = {k.label.replace(f" on {asked}", ""): _rows_of(rows, k) for k in kinds}
    law, chance = _bounds(run.config, asked)
    save(plots.llm_populations(panels, _rows_of(rows, alone), law=law, chance=chance), args.out)

    accuracies = ", ".join(
        f"{100 * known.last(kind, 'accuracy', asked).mean():.0f} % ({title})"
        for title, kind in zip([*panels, "single lineages"], [*kinds, alone], strict=True)
    )
    effects = effects_of(known)
    at = next(n for n, effect in enumerate(effects) if "texts alone against" in effect.name)
    worse = effect_means(known, effects, "kl", task)[at]
    held_out = effect_means(known, effects, "accuracy_held_out", asked)[at]
    points = Mean(*(100 * value for value in held_out))
    tell(
        args.out,
        f"After {run.config.generations} generations ({run.config.replicates} replicates) the "
        f"accuracy on the questions that select is {accuracies}; inheriting texts alone changes "
        f"KL from the law by {worse.text()} and accuracy on held-out questions by "
        f"{points.text(1)} points.",
    )


if __name__ == "__main__":
    main()
