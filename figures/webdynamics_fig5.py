"""Figure 5 of `webdynamics`: what three two-component mixtures post at t = 1 and at the end."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from _sentence import tell
from scipy.stats import norm

from commensal import plots
from commensal.sims import mixture as sims

MEANS, POINTS = np.array([-5.0, 5.0]), 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer generations")
    args = parser.parse_args()
    generations = 20 if args.quick else 200

    record = (1, generations)
    run: dict[str, Any] = {"means": MEANS, "generations": generations, "record": record}
    config = sims.MixtureConfig(**run, replicates=1, seed=1)
    weights = sims.simulate(config)["weights"].isel(replicate=0)
    x = np.linspace(-10, 10, 401)
    components = xr.DataArray(
        norm.pdf(x - MEANS[:, None]), dims=("component", "x"), coords={"x": x}
    )
    densities = weights.dot(components, "component")
    rng = np.random.default_rng(0)
    shares = weights / weights.sum("component")
    which = np.array([[rng.choice(2, POINTS, p=model) for model in t] for t in shares.values])
    points = xr.DataArray(
        MEANS[which] + rng.standard_normal(which.shape),
        {"generation": weights["generation"], "model": weights["model"]},
        ("generation", "model", "point"),
    )
    plots.mixture_histograms(points, densities).savefig(args.out)
    early, late = (", ".join(f"{w:.3f}" for w in t[:, 0]) for t in weights.values)
    tell(
        args.out,
        f"Weights of the left component are {early} in the three models at t = 1 and {late} at "
        f"t = {generations}: they agree, on a value that is this run's own.",
    )


if __name__ == "__main__":
    main()
