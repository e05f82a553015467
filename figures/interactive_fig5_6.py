"""Figures 5 and 6 of `interactive`: losses of two language models over the generations."""

from typing import Any

from _runs import ends, options, read, save
from _sentence import tell

from commensal.llm.reports import plots_interactive as plots
from commensal.llm.reports._reading import floors, over_replicates

BETA = 0.5  # of which the sentence tells


def main() -> None:
    args = options(__file__, __doc__)
    run = read("demo")
    fig = plots.llm_losses(over_replicates(run.measured), run.datasets, floors(run))
    save(fig, args.out)

    losses: Any = run.measured.query("metric == 'loss'")
    public = run.datasets[-1]
    own = losses["dataset"] == losses["model"].map(dict(enumerate(run.datasets)))
    of_task = {"own": losses[own], "other's": losses[~own & (losses["dataset"] != public)]}
    alphas = sorted(losses["alpha"].unique())
    told = []
    for alpha in alphas:
        parts = []
        for name, rows in of_task.items():
            at = rows[(rows["alpha"] == alpha) & (rows["beta"] == BETA)]
            first, last, change = ends(at, len(alphas) * len(of_task))
            parts.append(f"{name} {first:.2f} → {last:.2f} ({change.text()})")
        told.append(f"α = {alpha:g}: {', '.join(parts)}")
    tell(
        args.out,
        f"Two models, {run.config.replicates} replicates, {run.config.generations} generations, "
        f"β = {BETA:g}; loss in nats per token on the own task and on the other's, with intervals "
        f"of the change that hold together with 95 %: {'; '.join(told)}.",
    )


if __name__ == "__main__":
    main()
