"""Figure 6 of `webdynamics`: eleven components, and what a sudden fall of ‖D‖_F can be."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots
from commensal.sims import mixture as sims
from commensal.theory import mixture as theory

SETTINGS: dict[str, Any] = {
    "models": 3,
    "components": 11,
    "posts": 3,
    "read_share": 0.5,
    "points": 20,
}
# The paper gives neither means nor ε: far apart, and close with a small ε, where a weight that
# is lifted to ε may be caught there.
APART, CLOSE = (10.0, 1e-6), (3.0, 1e-10)
FACTORS = np.array([1.25, 1.5, 2.0, 2.5, 3.0])
WINDOW = 8  # generations that are averaged before and after a fall that lasts


def simulate(spacing: float, epsilon: float, components: int, **run: Any) -> xr.Dataset:
    means = spacing * (np.arange(components) - (components - 1) / 2)
    given: dict[str, Any] = SETTINGS | run
    given |= {"components": components, "means": means, "epsilon": epsilon}
    given["record"] = np.arange(run["generations"] + 1)
    return sims.simulate(sims.MixtureConfig(**given))


def logarithms(norm: xr.DataArray) -> np.ndarray:
    # exactly 0 where all models have come to rest at ε in the same component
    return np.log(np.maximum(norm.transpose("replicate", "generation").values, 1e-12))


def lasting_fall(norm: xr.DataArray) -> np.ndarray:
    """(replicate, t): by what factor the average around t exceeds the one half a window later."""
    logs = logarithms(norm)
    total = np.cumsum(np.pad(logs, ((0, 0), (1, 0))), axis=1)
    average = (total[:, WINDOW:] - total[:, :-WINDOW]) / WINDOW
    gap = WINDOW + WINDOW // 2
    return np.exp(average[:, :-gap] - average[:, gap:])


def falls_per_run(norm: xr.DataArray) -> np.ndarray:
    """How often ‖D‖_F falls by each factor or more in one generation, from t = 20 on."""
    logs = logarithms(norm.sel(generation=slice(20, None)))
    falls = logs[:, :-1] - logs[:, 1:]
    return np.array([(falls >= np.log(f)).sum(axis=1).mean() for f in FACTORS])


def expected(runs: xr.Dataset) -> np.ndarray:
    """The same in theory, at rest: averaged over what some of the runs have agreed on."""
    last = runs["consensus"].isel(generation=-1, replicate=slice(0, 40)).values
    generations = runs.sizes["generation"] - 21
    found = [
        [theory.expected_falls(float(f), p / p.sum(), 3, 0.5, generations) for f in FACTORS]
        for p in last
    ]
    return np.mean(found, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer runs and generations")
    args = parser.parse_args()
    generations, replicates = (60, 16) if args.quick else (200, 1024)

    run = {"generations": generations, "replicates": replicates}
    apart = simulate(*APART, 11, **run)
    # an escape that shows is seen in one run of some thousands
    close = simulate(*CLOSE, 11, **run | {"replicates": 4 * replicates})
    two = simulate(*APART, 2, **run)
    moments = theory.second_moments(theory.Setup(**SETTINGS), generations)
    law = xr.DataArray(np.sqrt(moments.disagreement), {"generation": np.arange(generations + 1)})

    half = generations // 2
    lasting = {n: lasting_fall(x["disagreement"])[:, half:] for n, x in enumerate((apart, close))}
    largest = {n: fall.max(axis=1) for n, fall in lasting.items()}
    chosen = {n: int(fall.argmax()) for n, fall in largest.items()}
    titles = (
        "far apart (10 σ)",
        f"close ({CLOSE[0]:g} σ, ε = {CLOSE[1]:g}): the run that falls most",
    )
    counts = xr.Dataset(
        {
            "theory": (("kind", "factor"), [expected(two), expected(apart)]),
            "simulated": (
                ("kind", "factor"),
                [falls_per_run(x["disagreement"]) for x in (two, apart)],
            ),
        },
        {"kind": ["B = 2", "B = 11"], "factor": FACTORS},
    )
    fig = plots.sudden_falls(
        dict(zip(titles, (apart, close), strict=True)),
        {title: chosen[n] for n, title in enumerate(titles)},
        law,
        counts,
    )
    fig.savefig(args.out)
    halved = counts.sel(factor=2.0)
    shares = [100 * float((fall > 3).mean()) for fall in largest.values()]
    tell(
        args.out,
        f"‖D‖_F falls to half or less within one generation {float(halved.simulated[1]):.2f} times "
        f"per run of {generations - 20} generations with 11 components far apart (theory "
        f"{float(halved.theory[1]):.2f}) and {float(halved.simulated[0]):.1f} times with two "
        f"({float(halved.theory[0]):.1f}), and comes back; a fall by more than 3 that lasts, after "
        f"t = {half}, is seen in {shares[0]:.2f} % of {replicates} runs far apart and "
        f"{shares[1]:.2f} % of {4 * replicates} at {CLOSE[0]:g} σ, where a weight caught at "
        f"ε = {CLOSE[1]:g} escapes (the largest: {largest[1].max():.1f} times).",
    )


if __name__ == "__main__":
    main()
