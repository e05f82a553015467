"""Try the measurement of texts: do its intervals cover, and what does a file of many GB need?

    python -m benchmarks.measure [--trials 25] [--each 25 50 200] [--tails normal heavy]
        [--gigabytes 1] [--out FILE.md]

Intervals: documents are drawn from laws whose Gram matrices are known, so that every number of the
theory is. Reading: a .txt of made-up paragraphs is written to a temporary folder, read once, and
removed.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.machine import describe
from commensal.texts._sampling import sample
from commensal.texts.measuring._answers import told
from commensal.texts.measuring._system import Sizes, numbers, redrawn, system_of

LABS, DIM, RESAMPLES = 3, 8, 30
SIZES = Sizes(np.ones(LABS + 1), LABS, "private")
TOLD = ("radius", "alpha", "beta", "efficiency", "gain")
COVERAGE = (
    f"{LABS} labs and public texts, {DIM} directions, whose Gram matrices are known. Shares of "
    f"trials in which the interval of 95 % ({RESAMPLES} resamples) holds the truth; of {{trials}} "
    "trials a share of 0.95 is found between {low:.2f} and {high:.2f} with 95 %."
)


def documents(count: int, tails: str, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return Gram matrices of four laws, and documents drawn from them."""
    roots = np.random.default_rng(0).standard_normal((LABS + 1, DIM, DIM)) / np.sqrt(DIM)
    rng = np.random.default_rng([seed, 1])
    rows = []
    for root in roots:
        z = rng.standard_normal((count, DIM))
        if tails == "heavy":  # Student's t with 5 degrees, of variance 1
            z *= np.sqrt(3 / rng.chisquare(5, (count, 1)))
        rows.append(z @ root.T)
    return roots @ roots.swapaxes(-1, -2), rows


def coverage(each: int, tails: str, trials: int) -> str:
    """Return a row: how often the intervals hold the truth, and their mean widths."""
    grams, _ = documents(1, tails, 0)
    known = {"private": grams[:LABS], "public": grams[LABS], "synthetic": grams[:LABS]}
    truth = numbers(known, bound=False)
    held = {name: [] for name in TOLD}
    wide = {name: [] for name in TOLD}
    for seed in range(trials):
        _, rows = documents(each * DIM, tails, seed)
        found = numbers(system_of(rows, SIZES)[0], bound=False)
        again = [
            numbers(system_of(one, SIZES)[0], bound=False) for one in redrawn(rows, RESAMPLES, seed)
        ]
        for name in TOLD:
            one = told(name, found[name], np.array([draw[name] for draw in again]))
            held[name].append(one.low <= truth[name] <= one.high)
            wide[name].append(one.high - one.low)
    cells = " | ".join(f"{np.mean(held[n]):.2f} ({np.nanmean(wide[n]):.3f})" for n in TOLD)
    print(each, tails, cells, flush=True)
    return f"| {each} | {tails} | {cells} |"


def paragraphs(size: float) -> Iterator[str]:
    """Yield paragraphs of made-up words until they have so many bytes."""
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(50_000)])
    block = "\n\n".join(" ".join(rng.choice(words, 80)) for _ in range(20_000)) + "\n\n"
    done = 0
    while done < size:
        yield block
        done += len(block)


def reading(gigabytes: float) -> str:
    """Write a file, sample it, and say how long that took and what memory it needed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.txt")
        with path.open("w") as file:
            file.writelines(paragraphs(gigabytes * 1e9))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, busy = time.perf_counter(), time.process_time()
        found = sample(path, 2000, np.random.default_rng(0))
        took, worked = time.perf_counter() - start, time.process_time() - busy
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        return (
            f"{path.stat().st_size / 1e9:.1f} GB in {found.documents:,} paragraphs are read once "
            f"in {took:.0f} s ({worked:.0f} s of processor time); {len(found.texts):,} are kept, "
            f"and the largest amount of memory grows by {max(more, 0) / 1000:.0f} MB."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--each", type=int, nargs="+", default=[25, 50, 200])
    parser.add_argument("--tails", nargs="+", default=["normal", "heavy"])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    read = reading(given.gigabytes)
    print(read, flush=True)
    rows = [coverage(each, tails, given.trials) for tails in given.tails for each in given.each]
    chance = 1.96 * np.sqrt(0.95 * 0.05 / given.trials)
    about = COVERAGE.format(trials=given.trials, low=0.95 - chance, high=min(0.95 + chance, 1))
    head = (
        "| documents for each direction | tails | "
        + " | ".join(f"{name} (mean width)" for name in TOLD)
        + " |\n|"
        + "---|" * (len(TOLD) + 2)
    )
    text = "\n".join(
        [
            "# Measuring texts: intervals and large files",
            "",
            describe(),
            "",
            "## Do intervals cover?",
            "",
            about,
            "",
            head,
            *rows,
            "",
            "## A large file",
            "",
            read,
            "",
        ]
    )
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
