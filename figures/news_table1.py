"""The table of `news`: rare words, 4-grams and KL of one lineage, with remedies beside."""

from _runs import options, read, save
from _sentence import tell

from commensal.llm.reports import plots_remedies as plots
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports.findings_remedies import curves

SHOWN = {
    "rare_perplexity": "perplexity of rare tokens",
    "distinct_4_count": "different 4-grams",
    "kl": "KL from the law\n(nats per word)",
}


def main() -> None:
    args = options(__file__, __doc__)
    run = read("remedies")
    nothing = next(remedy.name for remedy in run.config.remedies if remedy.nothing)
    task = run.config.tasks[0].name
    found = {name: curves(run.judged, name, task, nothing) for name in SHOWN}
    remedies = found["kl"].remedies
    fig = plots.llm_remedies({SHOWN[n]: of.values for n, of in found.items()}, remedies)
    save(fig, args.out)

    kl = found["kl"].values
    ends = {n: (of.values[0, :, 0].mean(), of.values[0, :, -1].mean()) for n, of in found.items()}
    against = ", ".join(
        f"{name} {mean_of(kl[at, :, -1] - kl[0, :, -1], len(remedies) - 1).text()}"
        for at, name in enumerate(remedies)
        if at
    )
    tell(
        args.out,
        f"Without remedy ({kl.shape[1]} lineages, {kl.shape[2] - 1} generations) "
        + ", ".join(
            f"{SHOWN[n].splitlines()[0]}: {first:.3g} → {last:.3g}"
            for n, (first, last) in ends.items()
        )
        + "; the last KL against no remedy, paired by seed, with intervals that hold together "
        f"with 95 %: {against}.",
    )


if __name__ == "__main__":
    main()
