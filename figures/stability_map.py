"""Where interaction amplifies errors: the family that attains the bound, and Gaussian data."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots, sweep
from commensal.theory import regression

MODELS, STRENGTH, PUBLIC = (2, 4, 16), 10.0, 1.0


def panel(title: str, ds: xr.Dataset, config: sweep.RegressionSweep) -> xr.Dataset:
    """Spectral radius of the only K of a sweep, with the bound that its synthetic data allow."""
    models = int(ds["models"].item())
    bound = regression.stability_bound(config.workflow(models).synthetic)
    cells = ds[["spectral_radius", "stable"]].isel(models=0, drop=True)
    return cells.assign(stability_bound=float(bound)).expand_dims(system=[title])


def inside(ds: xr.Dataset) -> float:
    """Share of unstable cells strictly inside the square."""
    return 1 - float(ds["stable"].isel(alpha=slice(1, -1), beta=slice(1, -1)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer designs on a coarser grid")
    args = parser.parse_args()

    points = tuple(float(x) for x in np.linspace(0, 1, 21 if args.quick else 101))
    grid = sweep.RegressionSweep(alpha=points, beta=points, models=(4,), tasks=False)
    misaligned = {"design": "misaligned", "strength": STRENGTH, "public": PUBLIC}
    panels = []
    models = MODELS[:2] if args.quick else MODELS
    for k in models:
        config = grid.model_copy(update={"models": (k,), **misaligned})
        panels.append(
            panel(f"each publishes where it knows least, K = {k}", sweep.regression(config), config)
        )
    fresh = [
        grid.model_copy(update={"prompts": "fresh", "seed": seed})
        for seed in range(1 if args.quick else 10)
    ]
    gaussian = [
        panel("Gaussian data, prompts drawn at random, K = 4", sweep.regression(c), c)
        for c in fresh
    ]
    ds = xr.concat([*panels, gaussian[0]], "system")
    plots.stability_map(ds).savefig(args.out)

    at_most = ", ".join(
        f"{float(p.spectral_radius.max()):.3f} for K = {k} (bound {p.stability_bound.item():.3f})"
        for k, p in zip(models, panels, strict=True)
    )
    radii = [float(p.spectral_radius.max()) for p in gaussian]
    shares = [inside(p) for p in gaussian]
    k4 = panels[models.index(4)]
    tell(
        args.out,
        f"With misaligned data (strength {STRENGTH:g}, public {PUBLIC:g}) errors grow per "
        f"generation by up to {at_most}, and in "
        f"{', '.join(f'{inside(p):.0%}' for p in panels)} of the square for these K (for K = 4 "
        f"they double every {np.log(2) / np.log(float(k4.spectral_radius.max())):.1f} generations "
        f"at worst); plain Gaussian data with fresh prompts (K = 4, d = 15, rank 5) are unstable "
        f"in {min(shares):.0%} to {max(shares):.0%} of the square over {len(fresh)} designs, with "
        f"growth of at most {min(radii):.3f} to {max(radii):.3f}.",
    )


if __name__ == "__main__":
    main()
