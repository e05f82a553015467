"""Figure 2 of `interactive`: how efficient K = 4 models are over α, for several β."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots, sweep
from commensal.theory import regression


def optimum(seed: int) -> tuple[list[regression.Mix], xr.Dataset]:
    """Best mixes for the mean and the worst model, between the points of any grid."""
    w = sweep.RegressionSweep(seed=seed).workflow(4)
    mixes = [regression.optimal_mix(w, objective) for objective in ("mean", "worst")]
    found = {
        f"optimal_{name}": (("models", "objective"), [[getattr(mix, name) for mix in mixes]])
        for name in ("alpha", "beta")
    }
    return mixes, xr.Dataset(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer designs on a coarser grid")
    args = parser.parse_args()

    designs = 1 if args.quick else 10
    points = tuple(float(x) for x in np.linspace(0, 1, 21 if args.quick else 101))
    sweeps, mixes = [], []
    for seed in range(designs):
        ds = sweep.regression(alpha=points, beta=points, models=(4,), tasks=False, seed=seed)
        found, optima = optimum(seed)
        sweeps.append(ds.assign(optima))
        mixes.append(found)
    fig = plots.efficiency_over_alpha(sweeps[0], 4, others=sweeps[1:])
    fig.suptitle("Efficiency of K = 4 models in the limit (1: optimal), d = 15, rank 5")
    fig.savefig(args.out)

    best, worst = zip(*mixes, strict=True)
    at_best, at_half = (
        np.array([np.mean(getattr(mix, name)) for mix in best])
        for name in ("relative_efficiency", "half_relative_efficiency")
    )
    means = [ds.relative_efficiency.mean("model").isel(models=0) for ds in sweeps]
    at_nine = [float(mean.sel(beta=0.9, method="nearest").idxmax("alpha")) for mean in means]
    tell(
        args.out,
        f"Over {designs} Gaussian designs (K = 4, d = 15, rank 5) the mean error is smallest at "
        f"alpha {spread([mix.alpha for mix in best])}, beta {spread([mix.beta for mix in best])} "
        f"and the worst model's at alpha {spread([mix.alpha for mix in worst])}, beta "
        f"{spread([mix.beta for mix in worst])}, where the paper has (0.5, 0.5): mean relative "
        f"efficiency is {spread(at_best)} at the best mix and {spread(at_half)} at (0.5, 0.5), "
        f"{spread(at_best - at_half)} less in every design; at beta = 0.9 the best alpha is "
        f"{spread(at_nine)}.",
    )


def spread(values: list[float] | np.ndarray) -> str:
    return f"{np.mean(values):.3f} ({np.min(values):.3f} to {np.max(values):.3f})"


if __name__ == "__main__":
    main()
