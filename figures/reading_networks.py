"""Who reads whom: stability, agreement, and how many different prompts make a system safe."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import designs, networks, plots
from commensal.theory import regression

REGIMES = {
    "private prompts": {},
    "fresh prompts, 5 of 15 directions": {"prompts": "fresh"},
    "fresh prompts, all 15 directions": {"prompts": "fresh", "prompt_rank": 15},
    "fresh prompts, 60 a model": {"prompts": "fresh", "prompt_rank": 60},
}
NAMED = ("ring", "ring:0.25", "ring:0.5", "ring:0.75", "self:0.5", "self:0.7", "self:0.85")
NAMED = (*NAMED, "blocs:0.1", "blocs:0.3", "star:0.3", "star:0.5", "shares:9,1,1,1,1,1", "uniform")


def grams(models: int, regime: dict, seed: int) -> dict[str, np.ndarray]:
    """Gram matrices of Gaussian designs in 15 dimensions, by default of 5 rows a model."""
    rank, asked = regime.get("rank", 5), regime.get("prompts", "private")
    found = designs.gaussian(models, 15, rank, seed, prompts=asked).grams()
    if rows := regime.get("prompt_rank"):
        x = np.random.default_rng([seed, rows]).standard_normal((models, rows, 15)) / np.sqrt(rows)
        # as much as five rows say, over more directions
        found["synthetic"] = 5 * x.swapaxes(1, 2) @ x
    return found


def workflow(models: int, regime: dict, seed: int, reads: np.ndarray):
    return regression.RegressionWorkflow(
        **grams(models, regime, seed), alpha=0.5, beta=0.5, reads=reads
    )


def radius(w: regression.RegressionWorkflow) -> float:
    """ρ(Q), not a number where rounding would decide it (one system of 1,680)."""
    try:
        return float(regression.spectral_radius(w))
    except regression.UntrustedError:
        return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer designs, networks and prompts")
    args = parser.parse_args()
    k, seeds = 6, list(range(2 if args.quick else 20))
    shares = np.linspace(0, 1, 3 if args.quick else 21)
    named = NAMED[::4] if args.quick else NAMED
    prompts = [5, 50] if args.quick else [5, 8, 12, 20, 30, 50, 100, 200, 300]

    stability = xr.DataArray(
        np.zeros((len(REGIMES), shares.size, len(seeds))),
        {"regime": list(REGIMES), "self_share": shares, "seed": seeds},
    )
    for regime, options in REGIMES.items():
        for share in shares:
            reads = networks.self_share(k, share)
            stability.loc[regime, share] = [
                radius(workflow(k, options, seed, reads)) for seed in seeds
            ]
    of_networks = [networks.named(name, k) for name in named]
    distance, efficiency = np.zeros((2, len(named), len(seeds)))
    for i, reads in enumerate(of_networks):
        for j, seed in enumerate(seeds):
            # 10 rows, so that a model on a ring sees every direction well: only who is read differs
            w = workflow(k, {"rank": 10}, seed, reads)
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
    safety = xr.DataArray(np.zeros((len(prompts), len(seeds))), {"prompts": prompts, "seed": seeds})
    for rows in prompts:
        for seed in seeds:
            x = np.random.default_rng([seed, rows]).standard_normal((4, rows, 15))
            bound = regression.design_bound(x.swapaxes(1, 2) @ x).bound
            safety.loc[rows, seed] = 1 - 1 / bound
    plots.reading_networks(stability, agreement, safety).savefig(args.out)

    print(stability.median("seed").to_series().unstack().iloc[:, [0, shares.size // 2, -1]])
    print(agreement.median("seed").to_dataframe().sort_values("sources").round(3))
    middle = stability.median("seed")
    least, most = middle.isel(self_share=0), middle.isel(self_share=-1)
    unstable = (stability.isel(self_share=0) > 1).mean("seed")
    thin = "fresh prompts, 5 of 15 directions"
    tell(
        args.out,
        f"Of {len(seeds)} Gaussian designs (K = 6, d = 15, α = β = ½) a model that reads itself "
        f"alone has ρ = {float(most.sel(regime='private prompts')):.2f} in the median with "
        f"private prompts, and {float(least.sel(regime='private prompts')):.2f} if it reads all "
        f"but itself; with thin fresh prompts the latter is {float(least.sel(regime=thin)):.2f} "
        f"and {float(unstable.sel(regime=thin)):.0%} of designs are unstable. From "
        f"{sources.min():.0f} to {sources.max():.0f} models read, the distance between models "
        f"falls from {distance[sources.argmin()].mean():.2f} to "
        f"{distance[sources.argmax()].mean():.2f} and the mean relative efficiency goes from "
        f"{efficiency[sources.argmin()].mean():.2f} to {efficiency[sources.argmax()].mean():.2f}, "
        f"and with {prompts[0]} to {prompts[-1]} different prompts a model (K = 4) the human "
        f"share that is enough falls from {float(safety[0].median()):.2f} to "
        f"{float(safety[-1].median()):.3f}.",
    )


if __name__ == "__main__":
    main()
