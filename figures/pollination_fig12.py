"""Figure 12 of `pollination`: language models that inherit weights and texts, or texts alone."""

from _populations import drawn
from _runs import options
from _sentence import tell

from commensal.llm.reports._intervals import Mean
from commensal.llm.reports._populations import Kind, Populations
from commensal.llm.reports.evolution import effect_means, effects_of


def whole_and_texts(known: Populations) -> list[Kind]:
    texts = known.selected("data")
    return [*(kind._replace(inheritance="full") for kind in texts), *texts]


def main() -> None:
    args = options(__file__, __doc__)
    run, known, asked, accuracies, _ = drawn(args.out, whole_and_texts)
    effects = effects_of(known)
    at = next(n for n, effect in enumerate(effects) if "texts alone against" in effect.name)
    worse = effect_means(known, effects, "kl", run.config.tasks[0].name)[at]
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
