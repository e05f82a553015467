"""How much real data a model should reuse, when many models share the web."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import designs, plots
from commensal.theory import regression

FAMILIES = {"Gaussian, d = 15, rank 5": 5, "Gaussian, d = 15, rank 15": 15}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer and smaller systems")
    args = parser.parse_args()

    sizes = [4] if args.quick else [4, 8, 16, 32, 64, 128]
    seeds = range(1 if args.quick else 3)
    shape = (len(FAMILIES), len(sizes), len(seeds))
    axes = ("family", "models", "seed")
    found = xr.Dataset(
        {name: (axes, np.full(shape, np.nan)) for name in ("reuse", "efficiency", "at_half")},
        {"family": list(FAMILIES), "models": sizes, "seed": list(seeds)},
    )
    for family, rank in FAMILIES.items():
        for k in sizes:
            for seed in seeds:
                grams = designs.gaussian(k, 15, rank, seed).grams()
                best = regression.optimal_mix(
                    regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5)
                )
                at = {"family": family, "models": k, "seed": seed}
                found.reuse.loc[at] = 1 - best.alpha
                found.efficiency.loc[at] = best.relative_efficiency.mean()
                found.at_half.loc[at] = best.half_relative_efficiency.mean()
    every = np.unique(np.geomspace(2, 1000, 60).round().astype(int))
    isotropic = [1 - regression.isotropic_mix(int(k))[0] for k in every]
    plots.optimal_mix(found, xr.DataArray(isotropic, {"models": every})).savefig(args.out)

    mean = found.mean("seed").isel(family=0)
    rows = (
        f"{float(mean.reuse.sel(models=k)):.2f} at K = {k} "
        f"(isotropic: {1 - regression.isotropic_mix(k)[0]:.2f})"
        for k in sizes
    )
    last = mean.isel(models=-1)
    tell(
        args.out,
        "The best share of reused real data, 1 - alpha, falls as models are added: "
        + ", ".join(rows)
        + f", for large K as (4K)^(-1/3); at K = {sizes[-1]} the paper's (0.5, 0.5) has a mean "
        f"efficiency of {float(last.at_half):.3f} where {float(last.efficiency):.3f} is possible "
        f"(d = 15, rank 5, {len(seeds)} designs).",
    )


if __name__ == "__main__":
    main()
