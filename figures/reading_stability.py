"""How much of its own output may a model read again? Stability in four regimes of prompts."""

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


def grams(models: int, regime: dict, seed: int) -> dict[str, np.ndarray]:
    """Gram matrices of Gaussian designs in 15 dimensions, of 5 rows a model."""
    asked = regime.get("prompts", "private")
    found = designs.gaussian(models, 15, 5, seed, prompts=asked).grams()
    if rows := regime.get("prompt_rank"):
        x = np.random.default_rng([seed, rows]).standard_normal((models, rows, 15)) / np.sqrt(rows)
        # as much as five rows say, over more directions
        found["synthetic"] = 5 * x.swapaxes(1, 2) @ x
    return found


def radius(w: regression.RegressionWorkflow) -> float:
    """ρ(Q), not a number where rounding would decide it (one system of 1,680)."""
    try:
        return float(regression.spectral_radius(w))
    except regression.UntrustedError:
        return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer designs and shares")
    args = parser.parse_args()
    k, seeds = 6, list(range(2 if args.quick else 20))
    shares = np.linspace(0, 1, 3 if args.quick else 21)

    stability = xr.DataArray(
        np.zeros((len(REGIMES), shares.size, len(seeds))),
        {"regime": list(REGIMES), "self_share": shares, "seed": seeds},
    )
    for regime, options in REGIMES.items():
        for seed in seeds:
            real = grams(k, options, seed)
            for share in shares:
                reads = networks.self_share(k, share)
                w = regression.RegressionWorkflow(**real, alpha=0.5, beta=0.5, reads=reads)
                stability.loc[regime, share, seed] = radius(w)
    plots.reading_stability(stability).savefig(args.out)

    middle, unstable = stability.median("seed"), (stability > 1 + 1e-9).mean("seed")
    print(middle.to_series().unstack().iloc[:, [0, shares.size // 2, -1]].round(3))
    private, thin, full, many = (middle.sel(regime=name) for name in REGIMES)
    of_thin = unstable.sel(regime=list(REGIMES)[1])
    safe = shares[(of_thin <= 0.5) & (thin < 1)]
    tell(
        args.out,
        f"If models answer prompts of their own, let them read themselves as little as possible "
        f"(ρ falls from {float(private[-1]):.2f} at s = 1 to {float(private[0]):.2f} at s = 0, "
        f"median of {len(seeds)} Gaussian designs, K = {k}, d = 15, α = β = ½), but if prompts "
        f"come from elsewhere and are few, never leave their own output out: "
        f"{float(of_thin[0]):.0%} of designs are unstable at s = 0, and the median is stable from "
        f"s = {safe.min():.2f} on, where as many prompts in all directions, or 60, have "
        f"ρ = {float(full[0]):.2f} and {float(many[0]):.2f} at s = 0 already.",
    )


if __name__ == "__main__":
    main()
