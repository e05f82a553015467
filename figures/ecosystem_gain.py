"""What several models gain over one on the same budget, split into moving less and pooling."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots
from commensal.sims import ecosystem
from commensal.theory import ecosystem as theory

TOKENS, HOLD = 16_000, 5_000.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer models and runs")
    args = parser.parse_args()
    models = (1, 4, 16) if args.quick else (1, 2, 4, 8, 16, 32, 64)
    replicates = 2 if args.quick else 48

    gain = theory.gain(theory.zipf(), TOKENS, np.array(models), HOLD)
    ds = xr.Dataset(
        {name: ("models", np.asarray(getattr(gain, name))) for name in gain._fields},
        {"models": list(models)},
        {"measure": "perplexity"},
    )
    for name in gain._fields:
        samples = []
        for i, m in enumerate(models):
            how = {
                "one": {"models": 1},
                "alone": {"models": 1, "tokens": TOKENS // m},
                "slower": {"models": 1, "hold": m * HOLD},
                "ecosystem": {"models": m},
            }[name]
            settings = {"tokens": TOKENS, "hold": HOLD, "seed": i} | how
            runs = ecosystem.simulate(ecosystem.EcosystemConfig(**settings, replicates=replicates))
            samples.append(runs.perplexity.mean("generation").values)
        ds[f"simulated_{name}"] = (("models", "replicate"), np.array(samples))
    plots.ecosystem_gain(ds).savefig(args.out)

    four = ds.sel(models=4)
    tell(
        args.out,
        f"Of the {float(four.one - four.ecosystem):.0f} that four models gain over one's "
        f"{float(four.one):.0f}, one model on a quarter of the tokens has "
        f"{float(four.one - four.alone):.0f} and pooling adds "
        f"{float(four.alone - four.ecosystem):.0f}, but one model on all tokens that moves as "
        f"little gains {float(four.one - four.slower):.0f}. Simulated, {replicates} runs each: "
        f"{float(four.simulated_ecosystem.mean()):.1f} for four models, "
        f"{float(four.simulated_slower.mean()):.1f} for the one that moves as little.",
    )


if __name__ == "__main__":
    main()
