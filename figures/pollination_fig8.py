"""Figure 8 of `pollination`: an evolving population and a single lineage, 1,000 generations."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots
from commensal.sims.gaussian import PopulationConfig, simulate_populations

SAMPLES, DRIFTED = 100, -2.5  # points per data set; where the paper's lineage gets to
# A lineage is a population of one, which nothing selects.
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
    generations, replicates = (100, 64) if args.quick else (1000, 1000)

    run: dict[str, Any] = {"samples": SAMPLES, "generations": generations, "replicates": replicates}
    record = tuple(range(0, generations + 1, max(1, generations // 500)))
    evolved = simulate_populations(PopulationConfig(**run, record=record))
    lineages = simulate_populations(PopulationConfig(**run, **LINEAGE, record=record))

    lowest = lineages.mean_average.min("generation")
    # the run that ends most like the paper's
    shown = int(np.argmin(np.abs(lineages.mean_average.values[:, -1] - DRIFTED)))
    names = (
        f"population, N = 16, best 4 by oracle, n = {SAMPLES}",
        f"single lineage, n = {SAMPLES}",
    )
    fig = plots.populations_over_time(
        dict(zip(names, (evolved, lineages), strict=True)),
        dict(zip(names, (0, shown), strict=True)),
    )
    fig.savefig(args.out)

    either_side = np.abs(lineages.mean_average).max("generation") > -DRIFTED
    widened = lineages.std_average.max("generation") > 1.5
    final = lineages.std_average.isel(generation=-1)
    tell(
        args.out,
        f"Over {replicates} runs of {generations} generations with n = {SAMPLES}, populations keep "
        f"their average mean {within(evolved.mean_average, 0)} and their average σ "
        f"{within(evolved.std_average, 1)}. Of single lineages {share(lowest < DRIFTED)} have had "
        f"a mean below {DRIFTED}, {share(either_side)} one beyond {-DRIFTED} on either side, "
        f"{share(widened)} a σ above 1.5; the median lineage ends with σ = {final.median():.2g}.",
    )


def within(values: xr.DataArray, truth: float) -> str:
    typical, worst = (float(f) for f in np.quantile(np.abs(values - truth), [0.5, 1.0]))
    return f"within {worst:.2f} of {truth} (typically {typical:.3f})"


def share(which: xr.DataArray) -> str:
    return f"{100 * float(which.mean()):.1f} %"


if __name__ == "__main__":
    main()
