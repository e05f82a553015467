"""Models that repeat words: a generation of a million words, beside NumPy's multinomial.

    python -m benchmarks.words [--quick] [--out FILE.md]

The NumPy version draws the counts of every generation by ``rng.multinomial`` from the frequencies
of the last one, and counts words and pairs. It runs on one core; this project's uses those that
there are, so it is the core-seconds that are compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.machine import describe
from commensal.sims.words import WordsConfig, simulate

TARGET = 1.0  # seconds for a million words and as many tokens over 100 generations


class Times(NamedTuple):
    wall: float
    core: float
    """Seconds of all cores: what counts where others use the machine."""


def timed(function: Callable[[], object]) -> Times:
    start = time.perf_counter(), time.process_time()
    function()
    return Times(time.perf_counter() - start[0], time.process_time() - start[1])


def multinomial(law: np.ndarray, tokens: int, generations: int, human: float) -> list[int]:
    """Counts by NumPy, and the number of words in each generation."""
    rng, richness, p = np.random.default_rng(0), [], law
    for _ in range(generations):
        counts = rng.multinomial(tokens, p)
        richness.append(int((counts > 0).sum()))
        float((counts.astype(float) ** 2).sum())
        p = (1 - human) * (counts / tokens) + human * law
        p /= p.sum()
    return richness


def row(words: int, tokens: int, generations: int, human: float, replicates: int) -> str:
    config = WordsConfig(
        words=words,
        tokens=tokens,
        generations=generations,
        human_share=human,
        replicates=replicates,
        chunk=1,
    )
    first = timed(lambda: simulate(config))
    ours = min((timed(lambda: simulate(config)) for _ in range(2)), key=lambda t: t.core)
    law = config.laws[0]
    theirs = timed(lambda: multinomial(law, tokens, generations, human))
    wall, core = ours.wall / replicates, ours.core / replicates
    met = "yes" if core <= TARGET else "no"
    least = floor(tokens, generations, human)
    goal = f"{met} (wall: {'yes' if wall <= TARGET else 'no'})" if words == 1_000_000 else "-"
    return (
        f"| {words:,} | {tokens:,} | {human:g} | {wall:.2f} s | **{core:.2f} s** | "
        f"{theirs.core:.2f} s | **{theirs.core / core:.1f}×** | {least:.2f} s | "
        f"{goal} | {first.wall - ours.wall:.1f} s |"
    )


def floor(tokens: int, generations: int, human: float) -> float:
    """Seconds on one core that the memory and the random words need; see the text below."""
    each = 2.5 + 2 + 2 + (2.5 + human * (2.5 + 3 * 2) if human else 0)
    return 1e-9 * each * tokens * generations


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--out", type=Path, help="also write the table here, as Markdown")
    args = parser.parse_args()
    generations = 10 if args.quick else 100
    million = 10_000 if args.quick else 1_000_000
    lines = [
        "# Models that repeat words: seconds of one run",
        "",
        describe(),
        "",
        f'Zipf\'s law, {generations} generations, memory "replace"; a run gives the number of '
        "words and heterozygosity of each generation. Target: a million words, as many tokens and "
        "100 generations in less than a second.",
        "",
        "| words | tokens | human share | a run | core-seconds | NumPy, core-seconds | ratio "
        "| floor | target met, in core-seconds | compiling, once |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for words, tokens, human, runs in (
        (500, 2_000, 0.0, 200),
        (million, million, 0.0, 2),
        (million, million, 0.1, 2),
    ):
        lines.append(row(words, tokens, generations, human, runs))
        print(lines[-1], flush=True)
    lines += [
        "",
        "Floor: a token is one random word of 64 bits (threefry, 2.5 ns), one read of the last "
        "text at a random place (2 ns) and one addition to a count (2 ns); with a human share one "
        "more random word, and for each human token another and three reads of the guide and the "
        "cumulated law. NumPy draws one "
        "binomial number for each word that is left, and passes by those that are gone: it gains "
        "where tokens are many times the words.",
    ]
    print("\n".join(lines[-2:]))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
