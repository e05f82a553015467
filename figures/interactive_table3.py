"""Table 3 of `interactive`: how alike two language models' texts become, by task and α."""

from typing import Any

from _runs import ends, options, read, save
from _sentence import tell

from commensal.llm.reports import plots_interactive as plots
from commensal.llm.reports._reading import over_replicates
from commensal.llm.reports._verdicts import arrow

BETA = 0.5  # of the published table


def main() -> None:
    args = options(__file__, __doc__)
    run = read("demo")
    metrics: Any = run.measured.query("beta == @BETA")
    fig = plots.llm_similarity(over_replicates(metrics), run.datasets)
    fig.set_figheight(1.4 * fig.get_figheight())  # one row of panels, with room to read off
    save(fig, args.out)

    rows: Any = metrics.query("metric == 'similarity'")
    alphas = sorted(rows["alpha"].unique())
    private = rows["dataset"] != run.datasets[-1]
    told = []
    for name, part in {"private": rows[private], "public": rows[~private]}.items():
        each = []
        for alpha in alphas:
            first, last, change = ends(part.query("alpha == @alpha"), 2 * len(alphas))
            each.append(f"{arrow(first, last)} ({change.text()}) at α = {alpha:g}")
        told.append(f"on {name} prompts {', '.join(each)}")
    tell(
        args.out,
        f"Mean cosine between two models' embedded texts, β = {BETA:g}, {run.config.replicates} "
        f"replicates, {run.config.generations} generations, intervals of the change that hold "
        f"together with 95 %: {'; '.join(told)}.",
    )


if __name__ == "__main__":
    main()
