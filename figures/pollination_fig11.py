"""Figure 11 of `pollination`: mean, σ and W₂² of independent runs, populations and lineages."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from _sentence import tell

from commensal import plots
from commensal.sims.gaussian import PopulationConfig, simulate_populations

SAMPLES = 100
LINEAGE: dict[str, Any] = {
    "population": 1,
    "crossover": "none",
    "signal": "none",
    "inheritance": 0.0,
    "mutation": 0.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer runs and generations")
    args = parser.parse_args()
    generations, rows, replicates = (100, 2, 16) if args.quick else (1000, 5, 1000)

    run: dict[str, Any] = {"samples": SAMPLES, "generations": generations, "replicates": replicates}
    record = tuple(range(0, generations + 1, max(1, generations // 500)))
    evolved = simulate_populations(PopulationConfig(**run, record=record))
    lineages = simulate_populations(PopulationConfig(**run, **LINEAGE, record=record))
    # the first ones, not chosen
    fig = plots.populations_by_run(evolved, lineages, range(rows))
    fig.suptitle(f"The first {rows} runs: N = 16 models, best 4 by oracle; n = {SAMPLES}")
    fig.savefig(args.out)

    later = evolved.sel(generation=slice(generations // 10, None))
    best, median = (float(later[f"w2_{name}"].median()) for name in ("best", "median"))
    worst = float(later.w2_best.max())
    alone = lineages.w2_median
    tenth, last = (
        float(alone.sel(generation=t, method="nearest").median())
        for t in (generations // 10, generations)
    )
    grown = np.mean(alone.isel(generation=-1) > alone.sel(generation=generations // 10))
    tell(
        args.out,
        f"Squared W2 distance over {replicates} populations, from generation {generations // 10} "
        f"on: closest model {best:.2g} (never above {worst:.2g}), median model {median:.2g}; "
        f"single lineages: median {tenth:.2g} at generation {generations // 10}, {last:.2g} at "
        f"{generations}, larger than before in {100 * float(grown):.0f} % of runs.",
    )


if __name__ == "__main__":
    main()
