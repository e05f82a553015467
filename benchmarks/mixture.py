"""Interacting mixtures against the same algorithm in NumPy, vectorised over replicates, in one run.

    python -m benchmarks.mixture [--quick] [--out FILE.md]

The NumPy version is one that a careful author would write: likelihoods are stored once, all models
and replicates are one array, draws are exchanges in place (Fisher and Yates) on flat indices, which
took less than half the time of ``rng.permuted`` and of sorting random keys, and updates write into
buffers. It runs on one core, as NumPy does; this project's uses those that there are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.machine import describe
from commensal.sims.mixture import MixtureConfig, simulate

POSTS, READ_SHARE, POINTS, MODELS = 3, 0.5, 20, 3


def numpy_disagreement(c: MixtureConfig, seed: int) -> np.ndarray:
    """‖D‖_F of all replicates in the end; components of variance one on a line."""
    rng = np.random.default_rng(seed)
    r, n, b, dtype = c.replicates, c.models, c.components, np.dtype(c.dtype)
    lanes, total = n * r, c.points + n * c.posts * c.generations
    means = np.array(c.means)[:, 0]
    weights = rng.dirichlet(np.ones(b), (n, r)).transpose(2, 0, 1).reshape(b, lanes).astype(dtype)
    table = np.empty((total, r, b), dtype)
    rows = table.reshape(-1, b)
    arrangement = np.repeat(np.arange(total, dtype=np.int32), lanes)
    lane = np.arange(lanes)
    replicate = lane % r

    def likelihood(x):
        log = -0.5 * (x[..., None] - means) ** 2
        return np.exp(log - log.max(axis=-1, keepdims=True))

    def posts_of(w, u):  # w (b, ...), u (...)
        return (u >= np.cumsum(w, axis=0)[:-1]).sum(axis=0)

    first = weights.reshape(b, n, r)[:, rng.integers(0, n, (c.points, r)), np.arange(r)]
    chosen = posts_of(first, rng.random((c.points, r)))
    table[: c.points] = likelihood(means[chosen] + rng.standard_normal(chosen.shape))
    joint, scale = np.empty_like(weights), np.empty(lanes, dtype)
    size = c.points
    for _ in range(c.generations):
        k = int(c.read_share * size)
        alpha, prior = 1 / k, 1 / (k * b**2)
        rate = alpha / (1 - b * prior)
        keep, shift = dtype.type(1 - alpha), dtype.type(rate * prior)
        shape = (c.posts, n, r)
        chosen = posts_of(weights.reshape(b, 1, n, r), rng.random(shape))
        posted = likelihood(means[chosen] + rng.standard_normal(shape)).reshape(-1, r, b)
        for p in range(k):
            place = rng.integers(p, size, lanes) * lanes + lane
            point = arrangement.take(place)
            here = arrangement[p * lanes : (p + 1) * lanes]
            arrangement[place] = here
            here[:] = point
            drawn = rows.take(point * r + replicate, axis=0).T
            np.multiply(weights, drawn, out=joint)
            np.divide(dtype.type(rate), np.sum(joint, axis=0, out=scale), out=scale)
            joint *= scale
            weights *= keep
            weights += joint
            weights -= shift
            if weights.min() <= 0:
                positive(weights, c.epsilon)
        table[size : size + len(posted)] = posted
        size += len(posted)
    w = weights.reshape(b, n, r)
    return np.sqrt(2 * n * ((w - w.mean(axis=1, keepdims=True)) ** 2).sum(axis=(0, 1)))


def positive(weights: np.ndarray, epsilon: float) -> None:
    """Only where something is to do."""
    (columns,) = np.nonzero(weights.min(axis=0) <= 0)
    part = weights[:, columns]
    for row in part:
        (low,) = np.nonzero(row <= 0)
        part[:, low] /= 1 + epsilon - row[low]
        row[low] = epsilon
    weights[:, columns] = part


def updates(c: MixtureConfig) -> int:
    """Points drawn by all models of all replicates."""
    size = c.points + c.models * c.posts * np.arange(c.generations)
    return int((c.read_share * size).astype(int).sum()) * c.models * c.replicates


def row(
    components: int, dtype: Literal["float32", "float64"], generations: int, replicates: int
) -> list[str]:
    config = MixtureConfig(
        models=MODELS,
        components=components,
        posts=POSTS,
        read_share=READ_SHARE,
        points=POINTS,
        generations=generations,
        replicates=replicates,
        dtype=dtype,
        keep="summary",
        record=(0, generations),
    )
    count = updates(config) * components
    start = time.perf_counter()
    theirs = numpy_disagreement(config, 1)
    reference = time.perf_counter() - start
    lines = []
    kernels: tuple[Literal["numba", "xla"], ...] = ("numba", "xla")
    for kernel in kernels:
        c = config.model_copy(update={"kernel": kernel})
        start = time.perf_counter()
        runs = simulate(c)
        first = time.perf_counter() - start
        times = []
        for _ in range(5 if kernel == "numba" else 1):
            start = time.perf_counter()
            simulate(c)
            times.append(time.perf_counter() - start)
        ours = min(times)
        rms = [float(np.sqrt(np.mean(x**2))) for x in (runs.disagreement[:, -1].values, theirs)]
        lines.append(
            f"| {components} | {dtype} | {kernel} | {reference:.1f} s | "
            f"{count / reference / 1e6:,.0f} M/s | {ours:.2f} s | {count / ours / 1e6:,.0f} M/s | "
            f"**{reference / ours:.1f}×** | 20× | {first - ours:.1f} s | "
            f"{rms[0]:.4f}, {rms[1]:.4f} |"
        )
    return lines


def memory(components: int, generations: int, replicates: int) -> str:
    """Time and largest resident memory of a long run, in a process of its own."""
    program = (
        "import resource, time\n"
        "from commensal.sims.mixture import MixtureConfig, simulate\n"
        f"c = MixtureConfig(models={MODELS}, posts={POSTS}, components={components}, "
        f"generations={generations}, replicates={replicates}, keep='summary')\n"
        "start = time.perf_counter()\n"
        "simulate(c)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "print(time.perf_counter() - start, used / 1e9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    seconds, used = map(float, done.stdout.split())
    return (
        f"Memory: T = {generations:,}, {replicates:,} replicates, B = {components}, float64: "
        f"**{used:.2f} GB** at most (asked: 4 GB), {seconds:.0f} s with compiling."
    )


def floor(generations: int) -> str:
    """What must be done at least, by operations and by memory touched out of order."""
    return (
        "Floor: a draw is one random word (threefry), two reads and two writes at random places "
        "of an arrangement (8 bytes), and one read of B likelihoods at a random place (8 B bytes "
        "in float64); an update is 6 B floating-point operations and one division, the positivity "
        "step, where one is due, a division and 2 B more. At "
        f"T = {generations} one replicate has "
        f"{3 * (POINTS + 9 * generations) * 2 / 1e3:.0f} kB of arrangements and "
        f"{(POINTS + 9 * generations) * 8 / 1e3:.0f} B kB of likelihoods."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    parser.add_argument("--out", type=Path, help="also write the table here, as Markdown")
    args = parser.parse_args()
    generations, replicates = (20, 128) if args.quick else (200, 1000)
    lines = [
        "# Interacting mixtures against NumPy, vectorised over replicates",
        "",
        describe(),
        "",
        f"n = {MODELS}, L = {POSTS}, β = {READ_SHARE}, |A0| = {POINTS}, T = {generations}, "
        f"{replicates:,} replicates; M/s are millions of component updates (draws × B) per second.",
        "",
        "| B | dtype | kernel | NumPy | | commensal | | ratio | asked | compiling, once | "
        "RMS ‖D‖ in the end, ours and NumPy's |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    dtypes: tuple[Literal["float32", "float64"], ...] = ("float32", "float64")
    for components in (2, 11):
        for dtype in dtypes:
            lines += row(components, dtype, generations, replicates)
            print("\n".join(lines[-2:]), flush=True)
    for components in (2, 11):
        lines += ["", memory(components, *((50, 128) if args.quick else (2000, 1000)))]
        print(lines[-1], flush=True)
    lines += ["", floor(generations)]
    print(lines[-1])
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
