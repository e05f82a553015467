"""How fast errors grow if prompts are asked again and again, or drawn anew in each generation."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots
from commensal.sims.regression import RegressionConfig, growth_exponent
from commensal.theory import regression

NETWORKS = {"all read all alike": "uniform", "all read all others": "self:0"}
DRAWN = ("asked again", "drawn anew")
MODELS, RANK = 6, 5


def asked_again(config: RegressionConfig, prompts: int) -> float:
    """Return log ρ(Q) of one draw of prompts, that count as much as RANK of them."""
    rng = np.random.default_rng([config.seed, prompts])
    x = rng.standard_normal((MODELS, prompts, config.dim)) * np.sqrt(RANK / prompts)
    grams = config.gram_matrices(MODELS) | {"synthetic": x.swapaxes(1, 2) @ x}
    w = regression.RegressionWorkflow(
        **grams, alpha=config.alpha, beta=config.beta, reads=config.network(MODELS)
    )
    return float(np.log(regression.spectral_radius(w)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer designs, prompts, generations")
    args = parser.parse_args()
    seeds = list(range(2 if args.quick else 12))
    prompts = [2, 5] if args.quick else [2, 3, 4, 5, 7, 10, 15, 30, 60]
    replicates, generations, burn_in = (4, 30, 20) if args.quick else (8, 300, 100)

    growth = xr.DataArray(
        np.zeros((len(NETWORKS), 2, len(prompts), len(seeds))),
        {"network": list(NETWORKS), "drawn": list(DRAWN), "prompts": prompts, "seed": seeds},
    )
    widest = 0.0
    for count in prompts:
        for label, reads in NETWORKS.items():
            for seed in seeds:
                config = RegressionConfig(models=MODELS, rank=RANK, reads=reads, seed=seed)
                found = growth_exponent(
                    config,
                    count,
                    replicates=replicates,
                    generations=generations,
                    burn_in=burn_in,
                )
                widest = max(widest, (found.high - found.low) / 2 * (count > 2))
                growth.loc[label, :, count, seed] = [asked_again(config, count), found.exponent]
    plots.redrawn_prompts(growth).savefig(args.out)

    print(growth.median("seed").stack(row=("network", "drawn")).to_pandas().round(3))
    unstable = (growth > 0).mean("seed").sel(network="all read all others")
    few, thin = prompts[0], 5
    again, anew = (unstable.sel(drawn=x) for x in DRAWN)
    middle = growth.median("seed").sel(network="all read all others", drawn=DRAWN[1])
    tell(
        args.out,
        f"Of {len(seeds)} Gaussian designs (K = {MODELS}, d = 15, α = β = ½, all read all others) "
        f"errors grow in {float(again.sel(prompts=thin)):.0%} if the same {thin} prompts a model "
        f"are asked in every generation and in {float(anew.sel(prompts=thin)):.0%} if they are "
        f"drawn anew, but with {few} new prompts they grow in {float(anew.sel(prompts=few)):.0%}, "
        f"and the median exponent goes from {float(middle[0]):.2f} to {float(middle[-1]):.3f} at "
        f"{prompts[-1]} prompts (95 % intervals of ±{widest:.3f} at most beyond 2 prompts).",
    )


if __name__ == "__main__":
    main()
