"""Figures 6 and 9 of `pollination`: populations of language models and single lineages."""

from _populations import drawn
from _runs import options
from _sentence import tell

from commensal.llm.reports._populations import Kind, Populations
from commensal.llm.reports.evolution import effect_means, effects_of


def selected_and_lots(known: Populations) -> list[Kind]:
    chosen = known.selected()
    return [*chosen, *(kind._replace(selection="random", questions="none") for kind in chosen)]


def main() -> None:
    args = options(__file__, __doc__)
    run, known, _, accuracies, law = drawn(args.out, selected_and_lots)
    effects = effects_of(known)
    means = effect_means(known, effects, "kl", run.config.tasks[0].name)
    against = [
        f"{effect.name}: {mean.text()}"
        for effect, mean in zip(effects, means, strict=True)
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
