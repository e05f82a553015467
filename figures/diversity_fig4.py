"""Figures 4 and 7 of `diversity`: perplexity of language models over the iterations."""

from typing import Any

from _runs import options, read, save
from _sentence import tell

from commensal.llm.reports import plots_segmented as plots
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports.findings_segmented import summarise
from commensal.llm.reports.segmented import floor_of


def main() -> None:
    args = options(__file__, __doc__)
    run = read("segmented")
    save(plots.segmented_perplexity(run.measured, floor_of(run.config)), args.out)

    summary: Any = summarise(run.judged, run.config.generations)
    pooled: Any = summary.query("ecosystem == 'pooled' and M == D")
    told = []
    for m, part in pooled.groupby("M"):
        rate = mean_of(part["slope"].to_numpy(float), pooled["M"].nunique())
        told.append(
            f"M = {m:g} {part['first'].mean():.2f} → {part['last'].mean():.2f} ({rate.text()})"
        )
    base: Any = run.measured.query("metric == 'base_mu'")["value"].mean()
    tell(
        args.out,
        f"Perplexity μ_t at t = 0 and t = {run.config.generations}, mean of "
        f"{run.config.replicates} replicates, and in brackets its slope per iteration at the end "
        f"with intervals that hold together with 95 %: {', '.join(told)}; {base:.3g} before any "
        f"training.",
    )


if __name__ == "__main__":
    main()
