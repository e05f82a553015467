"""How much fresh human data keeps K models stable: for any data, and for the data at hand."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import designs, plots
from commensal.theory import regression

FAMILIES = (
    "needed: misaligned data (attain the bound)",
    "needed: Gaussian, fresh prompts, d = 15, rank 5",
    "needed: Gaussian, fresh prompts, d = 4K, rank 5",
)
PROMISED = "enough for these prompts, any real data, d = 15"


def needed(w: regression.RegressionWorkflow, alpha: np.ndarray, beta: np.ndarray) -> float:
    """Smallest share that makes every mix of a grid stable."""
    radius = regression.grid(w, alpha, beta, tasks=False).spectral_radius
    i, j = np.unravel_index(radius.argmax(), radius.shape)
    # the human data have the Gram matrix of what is published, so G_k does not depend on the
    # share and the spectral radius is proportional to 1 - share; both sides are tried below
    share = max(0.0, 1 - 1 / radius[i, j])
    worst = w.replace(alpha=alpha[i], beta=beta[j])
    assert regression.spectral_radius(worst.replace(human_share=share + 1e-6)) < 1
    assert share == 0 or regression.spectral_radius(worst.replace(human_share=share - 1e-6)) > 1
    return share


def system(family: str, models: int, seed: int) -> regression.RegressionWorkflow:
    if family == FAMILIES[0]:
        features = designs.misaligned(models)
    else:
        dim = 15 if family == FAMILIES[1] else 4 * models
        features = designs.gaussian(models, dim, 5, seed, prompts="fresh")
    return regression.RegressionWorkflow(**features.grams(), alpha=0.5, beta=0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer and smaller systems")
    args = parser.parse_args()

    sizes = [2] if args.quick else [2, 4, 8, 16, 32, 64]
    seeds = range(1 if args.quick else 5)
    mixes = np.linspace(0.05, 0.95, 5 if args.quick else 10)
    names = [*FAMILIES, PROMISED]
    shares = xr.DataArray(
        np.full((len(names), len(sizes), len(seeds)), np.nan),
        {"family": names, "models": sizes, "seed": list(seeds)},
    )
    for k in sizes:
        shares.loc[FAMILIES[0], k] = needed(system(FAMILIES[0], k, 0), mixes[::4], np.ones(1))
        for seed in seeds:
            for family in FAMILIES[1:]:
                if family == FAMILIES[1] or k <= 16:  # K = 32, d = 128 takes a minute per system
                    beta = np.append(mixes, 1)
                    shares.loc[family, k, seed] = needed(system(family, k, seed), mixes, beta)
            bound = regression.stability_bound(system(FAMILIES[1], k, seed).synthetic)
            shares.loc[PROMISED, k, seed] = 1 - 1 / float(bound)
    every = np.unique(np.geomspace(1, 1000, 200).round())
    guaranteed = xr.DataArray(regression.safe_human_share(every), {"models": every})
    plots.human_share(guaranteed, shares).savefig(args.out)

    safe = xr.DataArray(regression.safe_human_share(sizes), {"models": sizes})
    off = float(abs(shares.sel(family=FAMILIES[0]) - safe).max())
    most = shares.max(["models", "seed"])
    tell(
        args.out,
        "A fresh human share of "
        + ", ".join(f"{regression.safe_human_share(k):.3f} (K = {k})" for k in (2, 4, 9, 100, 1000))
        + f" is enough whatever the data look like; the attaining family needs it to within "
        f"{off:.1e} at K up to {sizes[-1]}, while Gaussian systems with fresh prompts "
        f"never needed more than {float(most.sel(family=FAMILIES[1])):.3f} (d = 15) and "
        f"{float(most.sel(family=FAMILIES[2])):.3f} (d = 4K) over {len(seeds)} designs of each "
        f"size, where the bound for their own prompts asks for up to "
        f"{float(most.sel(family=PROMISED)):.3f}.",
    )


if __name__ == "__main__":
    main()
