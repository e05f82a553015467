"""Lineages on sufficient statistics against the plain NumPy loop that redraws n points.

    python -m benchmarks.gaussian_lineages [--quick] [--out FILE]

Both run in this process, one after the other, and the ratio is of lineage-generations per second.
The NumPy loop is given in two forms: one lineage at a time, as it is usually written, and with
thousands of lineages in one array, its fastest form. The ratio is to the fastest one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.machine import describe
from commensal.sims.gaussian import GaussianConfig, simulate

# at d = 10 the loop's covariances are singular to rounding after a few hundred generations
RESTART = 50
CASES = ((100, 1, 300), (316, 1, 600), (100, 10, None))


def best(run: Callable[[], Any], repeats: int) -> float:
    run()  # compiles, and fills caches
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def one_at_a_time(n: int, d: int, generations: int) -> None:
    rng = np.random.default_rng(0)
    mean, std, factor = np.zeros(d), 1.0, np.eye(d)
    for t in range(generations):
        if t % RESTART == 0:
            mean, std, factor = np.zeros(d), 1.0, np.eye(d)
        if d == 1:
            points = rng.normal(mean[0], std, n)
            mean = np.array([np.mean(points)])
            std = np.sqrt(np.var(points, ddof=1))
        else:
            points = mean + rng.standard_normal((n, d)) @ factor.T
            mean = np.mean(points, axis=0)
            factor = np.linalg.cholesky(np.cov(points, rowvar=False))


def many_at_a_time(n: int, d: int, generations: int, lineages: int) -> None:
    rng = np.random.default_rng(0)
    if d == 1:
        mean, std = np.zeros((lineages, 1)), np.ones((lineages, 1))
        for _ in range(generations):
            points = mean + std * rng.standard_normal((lineages, n))
            mean = np.mean(points, axis=1, keepdims=True)
            std = np.sqrt(np.var(points, axis=1, ddof=1, keepdims=True))
        return
    mean, factor = np.zeros((lineages, 1, d)), np.broadcast_to(np.eye(d), (lineages, d, d))
    for t in range(generations):
        if t % RESTART == 0:
            mean, factor = np.zeros_like(mean), np.broadcast_to(np.eye(d), factor.shape)
        points = mean + rng.standard_normal((lineages, n, d)) @ factor.swapaxes(1, 2)
        mean = np.mean(points, axis=1, keepdims=True)
        centred = points - mean
        factor = np.linalg.cholesky(centred.swapaxes(1, 2) @ centred / (n - 1))


def numpy_rates(n: int, d: int, seconds: float, repeats: int) -> tuple[float, float]:
    """Lineage-generations per second, one lineage at a time and many."""
    rates = {1: 0.0, 100: 0.0, 1000: 0.0}
    for lineages in rates:

        def run(generations: int, lineages: int = lineages) -> None:
            if lineages == 1:
                one_at_a_time(n, d, generations)
            else:
                many_at_a_time(n, d, generations, lineages)

        generations = max(3, int(seconds / (best(lambda run=run: run(3), 1) / 3)))
        took = best(lambda run=run, g=generations: run(g), repeats)
        rates[lineages] = lineages * generations / took
    return rates[1], max(rates[100], rates[1000])


Draws = Literal["float32", "float64"]
DTYPES: tuple[Draws, ...] = ("float32", "float64")


def project_rate(n: int, d: int, dtype: Draws, lineages: int, repeats: int) -> float:
    generations = 500 if d == 1 else 50
    config = GaussianConfig(
        samples=n, dim=d, generations=generations, replicates=lineages, dtype=dtype,
        record=(generations,), w2=False,
    )  # fmt: skip
    return lineages * generations / best(lambda: simulate(config), repeats)


def normal_rates(dtype: str, repeats: int) -> tuple[float, float]:
    """Draws per second of jax.random.normal: one large jitted call, and one per core."""
    size = 2**22
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1

    def call(seed: int) -> None:
        with jax.enable_x64(True):
            jax.block_until_ready(draw(jax.random.key(seed)))

    draw = jax.jit(lambda key: jax.random.normal(key, (size,), jnp.dtype(dtype)))
    alone = size / best(lambda: call(0), repeats)
    with ThreadPoolExecutor(cores) as pool:
        together = best(lambda: list(pool.map(call, range(cores))), repeats)
    return alone, max(alone, cores * size / together)


def lines_of_results(seconds: float, lineages: int, repeats: int) -> list[str]:
    rows = []
    rates: dict[tuple[int, int, str], float] = {}
    for n, d, wanted in CASES:
        alone, many = numpy_rates(n, d, seconds, repeats)
        for dtype in DTYPES:
            ours = project_rate(n, d, dtype, lineages if d == 1 else lineages // 16, repeats)
            rates[n, d, dtype] = ours
            rows.append(
                f"| {n} | {d} | {dtype} | {alone:,.0f} | {many:,.0f} | {ours:,.0f} | "
                f"**{ours / max(alone, many):,.0f}×** | {ours / alone:,.0f}× | "
                f"{'-' if wanted is None else f'{wanted}×'} |"
            )
            print(rows[-1], flush=True)
    rows += [
        "",
        "Against the random numbers alone (two normals per lineage-generation at d = 1):",
        "",
    ]
    for dtype in DTYPES:
        alone, together = normal_rates(dtype, repeats)
        drawn = 2 * rates[100, 1, dtype]
        rows.append(
            f"- {dtype}: jax.random.normal makes {alone / 1e6:,.0f} million draws a second in one "
            f"jitted call, {together / 1e6:,.0f} million on all cores; the simulator uses "
            f"{drawn / 1e6:,.0f} million, which is {drawn / together:.2f} of the latter."
        )
        print(rows[-1], flush=True)
    return rows


def floor() -> str:
    """What a lineage-generation costs at least, at d = 1, n = 100, float32."""
    return (
        "Floor at d = 1, n = 100, float32, per lineage-generation: one block of threefry 2x32 "
        "(20 rounds of an addition, a rotation and an exclusive or, and 5 key injections: about "
        "110 integer operations), 14 operations for angle and radius, a logarithm (about 20), a "
        "root, 10 for sine and cosine, 17 for the chi-square polynomial (9 terms), an exponential "
        "(about 15): some 190 operations, 110 of them the generator's. Memory: 8 bytes of random "
        "words, 4 of the radius and 16 of the state, each written and read, within the second-"
        "level cache; none of it reaches main memory but what is recorded."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="little of each, to see that it runs")
    parser.add_argument("--out", type=Path, help="also write the table here, as Markdown")
    args = parser.parse_args()
    seconds, lineages, repeats = (0.05, 2**14, 1) if args.quick else (0.5, 2**19, 5)
    lines = [
        "# Gaussian lineages against the loop that redraws the points",
        "",
        describe() + f"; load before {os.getloadavg()[0]:.1f}",
        "",
        "Lineage-generations per second.",
        "",
        "| n | d | draws in | NumPy, one lineage | NumPy, many at once | commensal | "
        "ratio to the faster | to one lineage | asked |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    lines += lines_of_results(seconds, lineages, repeats)
    lines += ["", floor(), "", f"Load after: {os.getloadavg()[0]:.1f}."]
    print("\n".join(lines[-3:]))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
