"""The best number of models on a fixed budget of tokens, by three measures."""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots
from commensal.theory import ecosystem

MEASURES = ("perplexity", "chi_square", "squares")
MODELS = (1, 2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="a coarse grid of few numbers")
    args = parser.parse_args()
    points = 7 if args.quick else 46
    models = MODELS[::4] if args.quick else MODELS
    vocabulary = ecosystem.zipf()
    tokens, hold = np.geomspace(1e3, 1e6, points), np.geomspace(1e2, 1e6, points)
    every = np.geomspace(1e2, 1e6, 25 if args.quick else 400)

    best = np.stack(
        [
            ecosystem.best_models(vocabulary, tokens[:, None], hold, measure=m, candidates=models)
            for m in MEASURES
        ]
    )
    alone = np.stack(
        [
            every[
                ecosystem.mean_measure(vocabulary, tokens[:, None], 1, every, measure=m).argmin(1)
            ]
            for m in MEASURES
        ]
    )
    low, high = (np.full(best.shape[:2], np.nan) for _ in range(2))
    low[1], high[1] = ecosystem.paying_window(ecosystem.sums(vocabulary, MEASURES[1]), tokens)
    ds = xr.Dataset(
        {
            "best_models": (("measure", "tokens", "hold"), best),
            "best_hold": (("measure", "tokens"), alone),
            "window_low": (("measure", "tokens"), low),
            "window_high": (("measure", "tokens"), high),
        },
        {"measure": list(MEASURES), "tokens": tokens, "hold": hold},
        {"most_tried": max(models)},
    )
    plots.ecosystem_phases(ds).savefig(args.out)

    at = [int(ecosystem.best_models(vocabulary, 16_000, 5_000.0, measure=m)) for m in MEASURES]
    inside = ds.best_models.where((ds.best_models > 1) & (ds.best_models < max(models)))
    product = (inside * ds.hold / ds.best_hold).sel(measure="perplexity")
    quarter, three = (float(product.quantile(q)) for q in (0.25, 0.75))
    share = [float((ds.best_models.sel(measure=m) > 1).mean()) for m in MEASURES]
    tell(
        args.out,
        f"On 16,000 tokens with λ = 5,000 the best number of models is {at[0]} by perplexity, "
        f"{at[1]} by χ² and {at[2]} by squares, and more than one is better in {share[0]:.0%}, "
        f"{share[1]:.0%} and {share[2]:.0%} of the map. Where the best number by perplexity lies "
        f"between 1 and {max(models)}, it is typically {quarter:.2f} to {three:.2f} times λ*/λ, "
        f"with λ* that of the best single model.",
    )


if __name__ == "__main__":
    main()
