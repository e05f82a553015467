"""Figure 3 of `diversity`: perplexity over the number of language models on one budget."""

from typing import Any

from _runs import options, read, save
from _sentence import tell

from commensal.llm.reports import plots_segmented as plots
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports.findings_segmented import PARTS, gains, summarise


def main() -> None:
    args = options(__file__, __doc__)
    run = read("segmented")
    summary: Any = summarise(run.judged, run.config.generations)
    save(plots.segmented_optimum(summary), args.out)

    pooled: Any = summary.query("ecosystem == 'pooled' and M == D").groupby("M")["overall"].mean()
    split: Any = gains(summary)
    most = max(pooled.index)
    parts = split[split["M"] == most]
    measured = [name for name in PARTS if bool(parts[name].notna().all())]
    count = len(measured) * split["M"].nunique()
    told = ", ".join(
        f"{PARTS[name]} {mean_of(parts[name].to_numpy(float), count).text()}" for name in measured
    )
    tell(
        args.out,
        f"Over {run.config.generations + 1} iterations and {run.config.replicates} replicates μ_T "
        f"is {', '.join(f'{mu:.2f} for M = {m:g}' for m, mu in pooled.items())}; of {most:g} "
        f"models against one, in ln μ_T, with intervals that hold together with 95 %: {told}.",
    )


if __name__ == "__main__":
    main()
