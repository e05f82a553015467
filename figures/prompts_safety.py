"""How many different prompts make a system safe, and how much human data do they replace?"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots
from commensal.theory import regression

DIM = 15


def enough(prompts: np.ndarray) -> float:
    """Human share that is enough for these prompts (K T d), whatever the real data are."""
    bound = regression.design_bound(prompts.swapaxes(1, 2) @ prompts).bound
    return max(0.0, 1 - 1 / float(bound))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer designs, models and prompts")
    args = parser.parse_args()
    models = [2] if args.quick else [2, 4, 8]
    seeds = list(range(2 if args.quick else 10))
    counts = [5, 20, 50] if args.quick else [5, 8, 12, 20, 30, 50, 100, 200, 300, 1000]

    safety = xr.DataArray(
        np.zeros((len(models), len(counts), len(seeds))),
        {"models": models, "prompts": counts, "seed": seeds},
    )
    for k in models:
        for rows in counts:
            for seed in seeds:
                x = np.random.default_rng([seed, rows]).standard_normal((k, rows, DIM))
                safety.loc[k, rows, seed] = enough(x)
    any_prompts = xr.DataArray(regression.safe_human_share(models), {"models": models})
    plots.prompts_safety(safety, any_prompts).savefig(args.out)

    middle = safety.median("seed")
    print(middle.to_series().unstack().round(3))
    k = models[len(models) // 2]
    of = middle.sel(models=k)
    tell(
        args.out,
        f"Ask many different prompts before you pay for human data: {k} models that answer "
        f"{counts[0]}, {counts[len(counts) // 2]} or {counts[-1]} Gaussian prompts each in "
        f"{DIM} dimensions are safe with {float(of[0]):.2f}, {float(of[len(counts) // 2]):.3f} or "
        f"{float(of[-1]):.3f} of their new data human, whatever their real data are, where "
        f"{float(any_prompts.sel(models=k)):.2f} is needed if nothing is known of the prompts "
        f"(medians of {len(seeds)} draws).",
    )


if __name__ == "__main__":
    main()
