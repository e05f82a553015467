"""Forecast of later generations, beside persistence, a line and an exponential.

    python -m benchmarks.forecast CURVES.csv [--from 3] [--level 0.8] [--out FILE.md]

Each run that goes on is cut after generation 3 and forecast to its own last generation, 10 or 5,
from its values until then and from the other runs. All else, the law included, is chosen without
it. Runs that are one under two names are cut together.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.machine import describe
from commensal.planning import forecast, read_curves

RESAMPLES = 4000


def extrapolated(t: np.ndarray, x: np.ndarray, at: int) -> dict[str, float]:
    """Return what known values would be if they stayed, or went on as they began."""
    later = t > 0 if (t > 0).sum() > 1 else t >= 0
    line = np.polynomial.Polynomial.fit(t, x, 1)
    from_1 = np.polynomial.Polynomial.fit(t[later], x[later], 1)
    power = np.polynomial.Polynomial.fit(t, np.log(x), 1)
    power_1 = np.polynomial.Polynomial.fit(t[later], np.log(x[later]), 1)
    return {
        "persistence": float(x[-1]),
        "mean of generations 1 to 3": float(x[later].mean()),
        "line": float(line(at)),
        "line from generation 1": float(from_1(at)),
        "exponential": float(np.exp(power(at))),
        "exponential from generation 1": float(np.exp(power_1(at))),
    }


def held_out(rows: Any, cut: int, level: float) -> pd.DataFrame:
    """Forecast each run from its beginning and the other runs."""
    curves, out = read_curves(rows), []
    for i, run in enumerate(curves.runs):
        end = int(curves.last[i])
        if end <= cut:
            continue
        twins = {curves.runs[j] for j in np.flatnonzero(curves.twins[i])}
        names = rows["run"].astype(str)
        seen = rows.loc[~names.isin(twins) & ((names != run) | (rows["generation"] <= cut))]
        one = rows.loc[names == run].sort_values("generation")
        x = one[curves.quantity].to_numpy(float)
        found = forecast(seen, until=end, level=level)
        told = found.table.loc[found.table["run"] == run].iloc[-1]
        early = one["generation"].to_numpy() <= cut
        out.append(
            {
                "run": run,
                "generation": end,
                "measured": x[-1],
                "forecast": told["predicted"],
                "low": told["low"],
                "high": told["high"],
                "law": found.law,
                **extrapolated(one["generation"].to_numpy(float)[early], x[early], end),
            }
        )
    return pd.DataFrame(out)


def interval(values: np.ndarray) -> str:
    """Return a mean with its 95 % bootstrap interval over runs."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"


def table(found: Any, level: float) -> list[str]:
    """Write errors by last generation, and coverage."""
    ends = sorted(set(found["generation"]), reverse=True)
    groups = {"all": found} | {f"to generation {t}": found[found["generation"] == t] for t in ends}
    lines = ["| mean absolute error | " + " | ".join(groups) + " | behind the forecast by |"]
    lines += ["|---|" + "---|" * (len(groups) + 1)]
    skipped = ("run", "generation", "measured", "low", "high", "law")
    for name in [c for c in found if c not in skipped]:
        cells = [interval((g[name] - g["measured"]).abs().to_numpy()) for g in groups.values()]
        lead = (found[name] - found["measured"]).abs() - (
            found["forecast"] - found["measured"]
        ).abs()
        behind = "" if name == "forecast" else interval(lead.to_numpy())
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {behind} |")
    lines += ["", f"| {level:.0%} intervals | " + " | ".join(groups) + " |"]
    lines += ["|---|" + "---|" * len(groups)]
    inside = {
        k: (g["low"] <= g["measured"]) & (g["measured"] <= g["high"]) for k, g in groups.items()
    }
    lines.append(
        "| cover | " + " | ".join(f"{x.sum()} of {len(x)}" for x in inside.values()) + " |"
    )
    widths = [interval((g["high"] - g["low"]).to_numpy()) for g in groups.values()]
    lines.append("| width | " + " | ".join(widths) + " |")
    laws = found["law"].value_counts()
    lines += [
        "",
        "Law that was chosen: " + ", ".join(f"{k} ({n} runs)" for k, n in laws.items()) + ".",
    ]
    lines += [
        "",
        "| run | to | measured | forecast | interval | persistence | line | exponential |",
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r['run']} | {r['generation']} | {r['measured']:g} | {r['forecast']:.1f} | "
        f"{r['low']:.1f} to {r['high']:.1f} | {r['persistence']:g} | {r['line']:.1f} | "
        f"{r['exponential']:.1f} |"
        for _, r in found.iterrows()
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("curves", type=Path)
    parser.add_argument("--from", dest="cut", type=int, default=3)
    parser.add_argument("--level", type=float, default=0.8)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rows = pd.read_csv(given.curves)
    found = held_out(rows, given.cut, given.level)
    text = "\n".join(
        [
            "# Forecasts of later generations: errors on runs held out",
            "",
            describe(),
            "",
            f"`{given.curves.name}`, {rows['run'].nunique()} runs, of which {len(found)} go on "
            f"after generation {given.cut}. Each is forecast to its last generation from "
            f"generations 0 to {given.cut} of its own and from the other runs; the law, its "
            "shared numbers and the intervals are found without it. In brackets: 95 % bootstrap "
            "over runs.",
            "",
            *table(found, given.level),
            "",
        ]
    )
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
