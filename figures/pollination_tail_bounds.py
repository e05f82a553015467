"""How far a single fit of n points is from the truth: the exact tail, and the bounds on it."""

import argparse
from pathlib import Path

import numpy as np
from _sentence import tell

from commensal import plots
from commensal.theory import gaussian

BOUNDS = ("printed", "tight", "optimal", "rigorous")


def rows(sizes: list[int], scaled: list[float]) -> str:
    """The table that --table prints: every curve over the exact probability."""
    named = ("approximation", *BOUNDS)
    lines = [
        "Each column over the exact P(W >= δ); a bound holds where it is at least 1.",
        f"{'n':>6} {'nδ/σ²':>7} {'exact':>10} " + " ".join(f"{x:>13}" for x in named),
    ]
    table = gaussian.tail_table(sizes, scaled=scaled)
    for n in sizes:
        for x in scaled:
            cell = table.sel(n=n, scaled=x)
            ratios = " ".join(f"{float(cell[f'{name}_ratio']):13.4g}" for name in named)
            lines.append(f"{n:6d} {x:7.4g} {float(cell['exact']):10.3e} {ratios}")
    return "\n".join(lines)


def fails_from(n: int, name: str) -> float:
    """Smallest δ/σ² of a fine grid, P > 1e-300, at which a bound is exceeded; inf for none."""
    scaled = np.concatenate([np.geomspace(1e-4, 1, 400), np.linspace(1, 1380, 3000)])
    table = gaussian.tail_table([n], scaled=scaled).isel(n=0)
    seen = (table["exact"].values > 1e-300) & (table[name].values > 1e-300)
    broken = seen & (table[f"{name}_ratio"].values < 1 - 1e-10)
    return float(scaled[broken].min() / n) if broken.any() else np.inf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="fewer n and fewer δ")
    parser.add_argument("--table", action="store_true", help="print the table as well")
    args = parser.parse_args()

    drawn = [2, 4, 100]
    scaled = np.linspace(0, 60 if args.quick else 200, 61 if args.quick else 401)[1:]
    plots.gaussian_tail_bounds(gaussian.tail_table(drawn, scaled=scaled)).savefig(args.out)

    sizes = [2, 4, 100] if args.quick else [2, 3, 4, 5, 6, 8, 10, 30, 100, 1000, 10_000]
    if args.table:
        print(rows(sizes, [0.1, 0.5, 1.5, 3, 5, 10, 20, 50, 100, 300, 600]))
    first = {name: {n: fails_from(n, name) for n in sizes} for name in BOUNDS}
    found = "; ".join(
        f"{name} " + (", ".join(f"from {d:.4g} σ² at n = {n}" for n, d in where) or "nowhere")
        for name in BOUNDS
        for where in [[(n, d) for n, d in first[name].items() if np.isfinite(d)]]
    )
    exact = float(gaussian.w2_survival(0.05, 100))
    printed, tight = (
        float(gaussian.chernoff_bound(0.05, 100, 1.0, name)) for name in ("printed", "tight")
    )
    tell(
        args.out,
        f"At n = 100 and δ = 0.05 σ² the exact tail is {exact:.4f}, the tight bound {tight:.3f} "
        f"and the printed one {printed:.3f}, and over n = {sizes[0]} to {sizes[-1]} and "
        f"P > 1e-300 the exact tail exceeds these bounds: {found}.",
    )


if __name__ == "__main__":
    main()
