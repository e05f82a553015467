"""How much of the resilience in fig. 8 of `pollination` is the oracle, the mixing, the number?

Populations of Gaussian models after 1,000 generations: what selects, what mixes, how many models,
how many points. Writes the table beside the figure as CSV.
"""

import argparse
import csv
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from _sentence import tell

from commensal import plots
from commensal.sims.gaussian import PopulationConfig, simulate_populations

N, SAMPLES = 16, 100
QUANTILES = (0.05, 0.5, 0.95)

ALONE = {"population": 1, "crossover": "none", "inheritance": 0.0, "mutation": 0.0}
LINEAGE = ALONE | {"signal": "none"}
UNMIXED = {"crossover": "none", "shared_data": False}
REFIT = {"inheritance": 0.0, "mutation": 0.0}
CHANCE = {"signal": "none"}


def settings() -> list[tuple[str, str, dict[str, Any]]]:
    """(family, name, settings) of the table. Pairs, h = 1/2 and shared data where not said."""
    nobody, oracle = "nobody selects", "oracle selects"
    real, noisy = "held-out real points select", "noisy oracle selects"
    rows: list[tuple[str, str, dict[str, Any]]] = [
        (nobody, "single lineage, n", LINEAGE),
        (nobody, "single lineage, 16 n", LINEAGE | {"samples": N * SAMPLES}),
        (nobody, "16 lineages apart", LINEAGE | {"population": N, "parents": N}),
        (nobody, "16, averaged at the end", LINEAGE | {"population": N, "parents": N}),
        (nobody, "random parents, unmixed, refit", UNMIXED | REFIT | CHANCE),
        (nobody, "random parents, pairs, refit", REFIT | CHANCE),
        (nobody, "random parents, unmixed, h = 1/2", UNMIXED | CHANCE),
        (nobody, "random parents, pairs, h = 1/2", CHANCE),
        (oracle, "one lineage, best of 4 refits", best_of(4)),
        (oracle, "one lineage, best of 16 refits", best_of(16)),
        (oracle, "16 models, unmixed, refit, own data", UNMIXED | REFIT),
        (oracle, "16 models, pairs, refit, own data", REFIT | {"shared_data": False}),
        (oracle, "16 models, pairs, refit, shared data", REFIT),
        (oracle, "16 models, unmixed, h = 1/2", {"crossover": "none"}),
        (oracle, "16 models, pairs, h = 1/2", {}),
        (oracle, "16 models, pairs, h = 1/2, own data", {"shared_data": False}),
    ]
    for m in (10, 30, 100, 300, 1000):
        for fresh in (False, True):
            name = f"m = {m:,}, {'new each generation' if fresh else 'the same for ever'}"
            rows.append((real, name, validation(m, fresh)))
    rows += [(noisy, f"noise {x:g} σ", noisy_oracle(x)) for x in (0.03, 0.1, 0.3, 1.0, 3.0)]
    return rows


def best_of(candidates: int) -> dict[str, Any]:
    """One parent, so many refits of it, the best is kept: K estimators as app. A.1 has them."""
    return ALONE | {"population": candidates, "parents": 1, "shared_data": False}


def validation(m: int, fresh: bool = False) -> dict[str, Any]:
    return {"signal": "validation", "held_out": m, "fresh_held_out": fresh}


def noisy_oracle(noise: float) -> dict[str, Any]:
    return {"signal": "noisy_oracle", "signal_noise": noise}


def final(replicates: int, **given: Any) -> xr.Dataset:
    """The last generation of populations with these settings; the same ones only once."""
    return _final(replicates, tuple(sorted(given.items())))


@cache
def _final(replicates: int, given: tuple[tuple[str, Any], ...]) -> xr.Dataset:
    run: dict[str, Any] = {"population": N, "samples": SAMPLES} | dict(given)
    config = PopulationConfig(**run, record=(run["generations"],), replicates=replicates)
    return simulate_populations(config).isel(generation=0)


def spread(values: xr.DataArray) -> dict[str, float]:
    low, middle, high = np.quantile(values, QUANTILES)
    return {"w2_low": low, "w2": middle, "w2_high": high}


def table(replicates: int, generations: int, quick: bool) -> list[dict[str, Any]]:
    rows = []
    for family, name, given in settings()[:: 8 if quick else 1]:
        ds = final(replicates, generations=generations, **given)
        w2 = ds.w2_median
        if "averaged" in name:
            w2 = ds.mean_average**2 + (ds.std_average - 1) ** 2
        log_std = np.log(ds.std_average) if "averaged" in name else ds.log_std_average
        rows.append(
            {"family": family, "setting": name}
            | spread(w2)
            | {
                "w2_closest": float(ds.w2_best.median()),
                "w2_pooled": float(ds.w2_mixture.median()),
                "abs_mean_average": float(np.abs(ds.mean_average).median()),
                "abs_log_std_average": float(np.abs(log_std).median()),
                "halved_std": float((log_std < np.log(0.5)).mean()),
            }
        )
    return rows


def curves(replicates: int, generations: int, quick: bool) -> dict[str, xr.Dataset]:
    """W₂² of the median model over m, noise, N and n."""

    def over(
        label: str, xs: tuple[Any, ...], kinds: dict[str, Any], family: str | None = None
    ) -> xr.Dataset:
        # those that the table has anyway
        xs = tuple(x for x in xs if x in (N, SAMPLES, 0.3)) if quick else xs
        found = [
            [
                spread(final(replicates, **({"generations": generations} | given(x))).w2_median)
                for x in xs
            ]
            for given in kinds.values()
        ]
        return xr.Dataset(
            {
                name: (("curve", "x"), [[one[name] for one in row] for row in found])
                for name in ("w2", "w2_low", "w2_high")
            },
            {"curve": list(kinds), "x": ("x", np.array(xs, dtype=float), {"long_name": label})},
            {"family": family} if family else {},
        )

    return {
        "held-out points that select": over(
            "m: real points held out",
            (10, 30, 100, 300, 1000, 3000),
            {
                "the same for ever": lambda m: validation(m),
                "new each generation": lambda m: validation(m, fresh=True),
            },
            "held-out real points select",
        ),
        "noise of the oracle, T = 10 n": over(
            "standard deviation of its noise, in σ",
            (0.03, 0.1, 0.2, 0.3, 0.6, 1.0, 3.0),
            {
                f"n = {n}": lambda x, n=n: (
                    noisy_oracle(x) | {"samples": n, "generations": generations * n // SAMPLES}
                )
                for n in (30, 100, 300)
            },
            "noisy oracle selects",
        ),
        "number of models": over(
            "N: models",
            (4, 16, 64, 256),
            {
                "nobody selects": lambda size: {"population": size} | CHANCE,
                "oracle selects": lambda size: {"population": size},
                "100 held-out points select": lambda size: {"population": size} | validation(100),
            },
        ),
        "points per data set": over(
            "n: points",
            (10, 30, 100, 300, 1000, 3000, 10_000),
            {
                "nobody selects": lambda n: {"samples": n} | CHANCE,
                "oracle selects": lambda n: {"samples": n},
            },
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer settings, runs, generations")
    args = parser.parse_args()
    generations, replicates = (50, 32) if args.quick else (1000, 512)

    rows = table(replicates, generations, args.quick)
    with args.out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
    print("Family, setting: squared W2 of the median model (5 to 95 %), |average mean|,")
    print("|average log σ| (medians over populations), share of populations with σ below 1/2")
    for row in rows:
        print(
            f"{row['family']:32} {row['setting']:36} {row['w2']:8.2g} "
            f"({row['w2_low']:.2g} to {row['w2_high']:.2g}){'':6}"
            f"{row['abs_mean_average']:8.3f} {row['abs_log_std_average']:8.3f} "
            f"{100 * row['halved_std']:6.1f} %"
        )

    of_settings = xr.Dataset(
        {
            name: ("setting", [row[name] for row in rows])
            for name in ("family", "w2", "w2_low", "w2_high")
        },
        {"setting": [row["setting"] for row in rows]},
    )
    panels = curves(replicates, generations, args.quick)
    oracle = float(final(replicates, generations=generations).w2_median.median())
    m = panels["held-out points that select"]["x"].values
    n = panels["points per data set"]["x"].values
    ends = panels["number of models"]["x"].values[[0, -1]]

    def alone(samples: float) -> float:
        given = LINEAGE | {"samples": int(samples)}
        return float(final(replicates, generations=generations, **given).w2_median.median())

    lineages = np.array([alone(x) for x in n])
    fig = plots.selection_ablation(
        of_settings,
        panels,
        {
            "held-out points that select": {
                "oracle's level + 1/m": (m, oracle + 1 / m),
                "oracle's level": (m[[0, -1]], np.full(2, oracle)),
            },
            "number of models": {"single lineage": (ends, np.full(2, alone(SAMPLES)))},
            "points per data set": {
                "single lineage": (n, lineages),
                "oracle's level ∝ 1/n": (n, oracle * SAMPLES / n),
            },
        },
    )
    fig.suptitle(
        f"Gaussian models after {generations:,} generations of n = {SAMPLES} points: median and "
        f"5 to 95 % of {replicates} populations"
    )
    fig.savefig(args.out)
    print(
        "single lineages over n:",
        " ".join(f"{x:g}: {w:.2g}" for x, w in zip(n, lineages, strict=True)),
    )
    for name, ds in panels.items():
        print(f"{name}:")
        for curve in ds["curve"].values:
            values = " ".join(
                f"{x:g}: {w2:.2g}"
                for x, w2 in zip(ds["x"].values, ds.w2.sel(curve=curve).values, strict=True)
            )
            print(f"  {curve}: {values}")
    by_name = {row["setting"]: row["w2"] for row in rows}
    lineage = next(iter(by_name.values()))
    chosen = {name: w2 for name, w2 in by_name.items() if name.startswith("one lineage")}
    best, selected = next(iter(chosen.items()))
    tell(
        args.out,
        f"After {generations:,} generations of n = {SAMPLES} points the squared W2 distance is "
        f"{lineage:.2g} for a single lineage, {selected:.2g} for {best.replace(',', ' with the')} "
        f"by oracle, {oracle:.2g} for {N} models with oracle, crossover and inheritance, and "
        f"{panels['held-out points that select'].w2.values.min():.2g} at best where held-out real "
        "points take the oracle's place.",
    )


if __name__ == "__main__":
    main()
