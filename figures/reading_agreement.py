"""How many others should a model read? Homogenisation and efficiency on thirteen networks."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import designs, networks, plots
from commensal.theory import regression

NAMED = ("ring", "ring:0.25", "ring:0.5", "ring:0.75", "self:0.5", "self:0.7", "self:0.85")
NAMED = (*NAMED, "blocs:0.1", "blocs:0.3", "star:0.3", "star:0.5", "shares:9,1,1,1,1,1", "uniform")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer designs and networks")
    args = parser.parse_args()
    k, seeds = 6, list(range(2 if args.quick else 20))
    named = NAMED[::4] if args.quick else NAMED
    of_networks = [networks.named(name, k) for name in named]
    distance, efficiency = np.zeros((2, len(named), len(seeds)))
    for j, seed in enumerate(seeds):
        # 10 rows, so that a model on a ring sees every direction well: only who is read differs
        grams = designs.gaussian(k, 15, 10, seed).grams()
        for i, reads in enumerate(of_networks):
            w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5, reads=reads)
            distance[i, j] = regression.consensus_distance(w)
            efficiency[i, j] = np.mean(regression.relative_efficiency(w))
    sources = np.array([regression.effective_sources(reads) for reads in of_networks])
    agreement = xr.Dataset(
        {
            "consensus_distance": (("network", "seed"), distance),
            "relative_efficiency": (("network", "seed"), efficiency),
            "sources": ("network", sources),
        },
        {"network": list(named), "seed": seeds},
    )
    plots.reading_agreement(agreement).savefig(args.out)

    print(agreement.median("seed").to_dataframe().sort_values("sources").round(3))
    apart, good = (np.median(x, axis=1) for x in (distance, efficiency))
    few, many = sources.argmin(), sources.argmax()
    rank = [np.corrcoef(np.argsort(np.argsort(sources)), np.argsort(np.argsort(x)))[0, 1]
            for x in (apart, good)]  # fmt: skip
    tell(
        args.out,
        f"Read many sources if accuracy counts and few if variety does: from {sources[few]:.0f} to "
        f"{sources[many]:.0f} models effectively read, relative efficiency goes from "
        f"{good[few]:.2f} to {good[many]:.2f} and the distance between models falls from "
        f"{apart[few]:.2f} to {apart[many]:.2f} (medians of {len(seeds)} Gaussian designs, "
        f"K = {k}, d = 15, α = β = ½; rank correlations {rank[1]:+.2f} and {rank[0]:+.2f} over "
        f"{len(named)} networks).",
    )


if __name__ == "__main__":
    main()
