"""Ecosystems on segmented data: cells per second, closed form and simulation, beside NumPy.

    python -m benchmarks.ecosystem [--quick] [--out FILE.md]

The NumPy version draws counts by ``rng.multinomial``, and shuffles the text to deal it out
(commensal.claims.ours._ecosystem). It runs on one core; this project's uses those that there are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.machine import describe
from commensal.claims.ours._ecosystem import Proxy, perplexities
from commensal.sims.ecosystem import EcosystemConfig, grid, simulate
from commensal.theory import ecosystem


class Times(NamedTuple):
    compiling: float
    """Seconds that the first call took longer."""
    wall: float
    """Seconds, the better of two more calls."""
    core: float
    """Seconds of all cores: what counts where others use the machine."""


def timed(function: Callable[[], object]) -> Times:
    walls, cores = [], []
    for _ in range(3):
        start = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - start[0])
        cores.append(time.process_time() - start[1])
    return Times(walls[0] - min(walls[1:]), min(walls[1:]), min(cores[1:]))


def row(what: str, models: object, cells: int, found: Times, theirs: str = "-") -> str:
    return (
        f"| {what} | {models} | {cells:,} | {found.wall:.2f} s | **{cells / found.wall:,.0f}** | "
        f"{cells / found.core:,.0f} | {theirs} | {found.compiling:.1f} s |"
    )


def theory(count: int) -> list[str]:
    vocabulary = ecosystem.zipf()
    tokens, models = np.geomspace(1e3, 1e6, count)[:, None, None], 2.0 ** np.arange(7)
    hold = np.geomspace(1e2, 1e6, count)[:, None]
    cells, lines = count * count * models.size, []
    measures: tuple[Literal["perplexity", "chi_square"], ...] = ("perplexity", "chi_square")
    for measure in measures:
        found = timed(
            partial(ecosystem.mean_measure, vocabulary, tokens, models, hold, measure=measure)
        )
        lines.append(row(f"closed form, {measure}", "1 to 64", cells, found))
    return lines


def simulation(models: int, replicates: int) -> str:
    config = EcosystemConfig(models=models, replicates=replicates)
    found = timed(lambda: simulate(config))
    few = max(2, replicates // 6)
    start = time.process_time()
    perplexities(Proxy(), models, np.random.default_rng(0), few)
    theirs = few / (time.process_time() - start)
    ratio = replicates / found.core / theirs
    return row("simulated", models, replicates, found, f"{theirs:,.0f} ({ratio:.1f}×)")


def mixed(points: int) -> str:
    config = EcosystemConfig(replicates=1)
    hold = np.geomspace(500, 50_000, points).tolist()
    axes = {"models": (1, 4, 16), "tokens": (4_000, 16_000), "sharpening": (1.0, 1.1)}
    found = timed(lambda: grid(config, hold=hold, **axes))
    return row("simulated grid, half of it sharpened", "1, 4, 16", 12 * points, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--out", type=Path, help="also write the table here, as Markdown")
    args = parser.parse_args()
    replicates = 8 if args.quick else 96
    lines = [
        "# Ecosystems on segmented data: cells per second",
        "",
        describe(),
        "",
        "V = 2,000 types, N = 16,000 tokens, ten generations, λ = 5,000 unless swept; a cell is "
        "one run, or one setting in closed form.",
        "",
        "| what | M | cells | time | cells/s | per core-second | NumPy, per core-second "
        "| compiling, once |",
        "|---|---|---|---|---|---|---|---|",
        *theory(4 if args.quick else 20),
    ]
    print("\n".join(lines), flush=True)
    for models in (1, 4, 16, 64):
        lines.append(simulation(models, replicates))
        print(lines[-1], flush=True)
    lines.append(mixed(2 if args.quick else 20))
    print(lines[-1])
    lines += [
        "",
        "Floor: a run is N × T tokens, each of two random words of 64 bits (threefry, about 5 ns), "
        "⌈log2 V⌉ reads of a cumulated law (about 10 ns) and one addition to a count (2 ns), that "
        "is about 3 ms; where M > 1 also its share of a sort of N words of 64 bits (30 ns), 5 ms; "
        "and M V T logarithms and sums (2 ns), 2.6 ms at M = 64.",
    ]
    print("\n".join(lines[-2:]))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
