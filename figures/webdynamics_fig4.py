"""Figure 4 of `webdynamics`: how far three two-component mixtures are apart, and the law of it."""

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
    "components": 2,
    "posts": 3,
    "read_share": 0.5,
    "points": 20,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer runs and generations")
    args = parser.parse_args()
    generations, replicates = (40, 32) if args.quick else (500, 4096)

    record = tuple(range(generations + 1))
    run: dict[str, Any] = {"generations": generations, "replicates": replicates, "record": record}
    runs = sims.simulate(sims.MixtureConfig(**SETTINGS, **run, keep="summary"))
    moments = theory.second_moments(theory.Setup(**SETTINGS), generations)
    law = xr.DataArray(np.sqrt(moments.disagreement), {"generation": np.array(record)})
    plots.disagreements(runs, law).savefig(args.out)

    rms = (runs["disagreement"] ** 2).mean("replicate") ** 0.5
    ratio = (rms / law).sel(generation=slice(5, None))
    tail = slice(generations // 4, None)
    slope, expected = (
        np.polyfit(np.log(x["generation"].sel(generation=tail)), np.log(x.sel(generation=tail)), 1)[
            0
        ]
        for x in (rms, law)
    )
    variance = float(runs["consensus"].isel(generation=-1, component=0).var("replicate"))
    limit = theory.consensus_limit(theory.Setup(**SETTINGS))
    tell(
        args.out,
        f"Over {replicates} runs the root mean square of ‖D‖_F is {float(rms[0]):.2f} at t = 0 and "
        f"{float(rms[-1]):.4f} at t = {generations}, {float(ratio.min()):.3f} to "
        f"{float(ratio.max()):.3f} times the theory's from t = 5 on, and falls as t to the power "
        f"{slope:.3f} in the last three quarters (theory: {expected:.3f}), not geometrically; the "
        f"consensus weight has variance {variance:.4f} over runs (theory, for ever: "
        f"{float(limit.variance[0]):.4f}).",
    )


if __name__ == "__main__":
    main()
