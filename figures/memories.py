"""What memory does to models that train on each other's output: errors, noise, growth."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import designs, plots
from commensal.sims import regression as sims
from commensal.theory import memory, regression

MODELS, DIM, WINDOW = 4, 10, 5
NAMES = {
    "replace": "the last generation",
    "window": f"the last {WINDOW} generations",
    "accumulate": "everything, real data keep their weight",
    0.75: "everything, real share ¾",
    0.5: "everything, real share ½",
    0.25: "everything, real share ¼",
}
LARGEST = 1e8  # beyond it a curve leaves the picture


def alike() -> designs.Designs:
    """All data alike in every direction, as much private as published."""
    each = np.tile(np.eye(DIM), (MODELS, 1, 1))
    return designs.from_grams({"private": each, "public": np.eye(DIM), "synthetic": each})


def simulated(generations: np.ndarray, replicates: int, only_web: bool, **settings):
    """Mean squared error and its standard error; ``only_web``: real data without noise."""
    last = int(generations.max())
    config = sims.RegressionConfig(
        models=MODELS, beta=1.0, generations=last, replicates=replicates, **settings
    )
    if not only_web:
        runs = sims.simulate(config, designs=alike())
    else:
        rng = np.random.default_rng(config.seed)
        noise = sims.RegressionNoise(
            np.zeros((replicates, MODELS, DIM)),
            np.zeros((replicates, DIM)),
            rng.standard_normal((replicates, last, MODELS, DIM)),
            np.zeros((replicates, last, 0)),
        )
        runs = sims.replay(config, noise, designs=alike())
    error = runs.squared_error.mean("model").sel(generation=generations).values
    return error.mean(axis=0), error.std(axis=0, ddof=1) / np.sqrt(replicates)


def dataset(n: np.ndarray, theory: dict, points: dict) -> xr.Dataset:
    values = np.full((3, len(theory), n.size), np.nan)
    for i, name in enumerate(theory):
        values[0, i] = np.where(theory[name] < LARGEST, theory[name], np.nan)
        if name in points:
            at, mean, error = points[name]
            values[1:, i, np.isin(n, at)] = mean, error
    names = ("theory", "simulated", "standard_error")
    coords = {"memory": [NAMES[name] for name in theory], "generation": n}
    dims = ("memory", "generation")
    return xr.Dataset({k: (dims, v) for k, v in zip(names, values, strict=True)}, coords)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer replicates and generations")
    args = parser.parse_args()
    replicates, far, last = (200, 1_000, 40) if args.quick else (2_000, 100_000, 200)
    at = np.array([t for t in (1, 2, 4, 8, 16, 32, 64, 128, 200) if t <= last])

    # errors, in units of what all real data together leave
    unit, n = DIM / MODELS, np.arange(1, last + 1)
    how = {
        "replace": {"memory": "replace", "alpha": 1.0},
        "window": {"memory": "window", "window": WINDOW, "alpha": 1.0},
        "accumulate": {"memory": "accumulate", "alpha": 0.5},
    }
    theory, points = {}, {}
    for name, settings in how.items():
        theory[name] = memory.isotropic_errors(n, MODELS, dim=DIM, **settings).mse / unit
        mean, error = simulated(at, replicates, False, **settings)
        points[name] = at, mean / unit, error / unit
    errors = dataset(n, theory, points)

    # what noise leaves in the mean of the web, of a share of real data that stays
    long = np.unique(np.concatenate([at, np.geomspace(1, far, 120).round()])).astype(int)
    theory, points = {}, {}
    for share in (0.75, 0.5, 0.25):
        theory[share] = memory.web_noise(long, share)
        scale = unit * (1 - share) ** 2
        mean, error = simulated(at, replicates, True, memory="window", alpha=1 - share)
        points[share] = at, mean / scale, error / scale
    noise = dataset(long, theory, points)
    slopes = [np.log(v[-1] / v[-20]) / np.log(long[-1] / long[-20]) for v in theory.values()]

    # data that come close to the bound on growth
    grams = designs.misaligned(MODELS, 20.0).grams()
    w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=1.0)
    rate, theta = float(regression.spectral_radius(w)), np.ones(MODELS)
    theory = {}
    for name, kind, window in (
        ("replace", "replace", None),
        ("window", "window", WINDOW),
        (0.5, "window", None),
        ("accumulate", "accumulate", None),
    ):
        path = regression.trajectory(w, theta, last, memory=kind, window=window)
        found = regression.mse(path, theta).mean(axis=1)
        theory[name] = found[1:] / found[1]
    growth = dataset(n, theory, {})
    plots.memories(errors, noise, growth).savefig(args.out)

    gap = (errors.simulated - errors.theory) / errors.standard_error
    more = (noise.simulated - noise.theory) / noise.standard_error
    worst = max(float(abs(z).max()) for z in (gap, more))
    tell(
        args.out,
        f"After {last} generations the error of four models that read only each other is "
        f"{errors.theory.values[0, -1]:.0f} times that of all real data, "
        f"{errors.theory.values[1, -1]:.1f} times with a window of {WINDOW} generations, and "
        f"{errors.theory.values[2, -1]:.2f} times if everything is kept (the limit is 1.64); the "
        f"web's noise falls as n to the power {slopes[0]:.2f}, {slopes[1]:.2f} and "
        f"{slopes[2]:.2f} for real shares of ¾, ½ and ¼, and where errors grow by {rate:.2f} a "
        f"generation under replace, a window of {WINDOW} makes that "
        f"{memory.window_growth(rate, WINDOW):.2f}, everything at a fixed share a power of n, and "
        f"a fixed weight {theory['accumulate'][-1]:.1f} times in all. Simulated points are at most "
        f"{worst:.1f} standard errors away.",
    )


if __name__ == "__main__":
    main()
