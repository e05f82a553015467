"""Sweeps of interactive regression against the dense formulas, on the same cells in one run.

    python -m benchmarks.sweep_regression [--quick] [--out FILE.md]

Dense means what a careful reader of the paper would write: NumPy's eigenvalues of Q, a solve for
M and SciPy's bilinear Lyapunov solver, O((Kd)³), for C (its direct method is O((Kd)⁶)), then the
same errors as the project's. Both are timed on 101 × 101 cells at d = 15, rank 5; the dense form on
a random sample of the cells, since it would take an hour. Memories are timed against trajectories
that invert every Gram matrix in every generation, on a sample too; by processor time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import dense
from benchmarks.machine import describe
from commensal import designs
from commensal.theory import regression

ASKED = {4: 50, 8: 700, 32: 2000}
DIM, RANK = 15, 5


def project_seconds(
    w: regression.RegressionWorkflow, axis: np.ndarray, repeats: int
) -> tuple[float, float]:
    """Best and first (with compilation) time of a whole grid."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        regression.grid(w, axis, axis)
        times.append(time.perf_counter() - start)
    return min(times[1:]), times[0]


def dense_cell(s: dense.DenseSystem) -> tuple[float, np.ndarray, np.ndarray]:
    """Spectral radius, mse and mspe of one cell, from the Kd × Kd matrices."""
    k = s.k
    m = dense.matrices(s)
    rho = float(np.abs(np.linalg.eigvals(m.Q)).max())
    if rho >= 1 - regression.STABILITY_MARGIN:
        return rho, np.full(k, np.nan), np.full((k, k), np.nan)
    covariance = dense.limit_covariance(s, matrices_of=m)
    mspe = np.einsum("kij,mij->km", covariance, s.private)
    return rho, np.trace(covariance, axis1=1, axis2=2), mspe


def dense_seconds(
    s: dense.DenseSystem, cells: np.ndarray, seconds: float
) -> tuple[float, list[tuple[float, float, np.ndarray]]]:
    """Median time of a cell, over as many of ``cells`` as fit in ``seconds``; and what it got."""
    times, results = [], []
    for alpha, beta in cells:
        start = time.perf_counter()
        _, mse, _ = dense_cell(s._replace(alpha=alpha, beta=beta))
        times.append(time.perf_counter() - start)
        results.append((alpha, beta, mse))
        if sum(times) > seconds and len(times) >= 5:
            break
    return float(np.median(times)), results


def compare(models: tuple[int, ...], count: int, seconds: float, repeats: int) -> list[str]:
    """Rows of the table."""
    rng = np.random.default_rng(0)
    axis = np.linspace(0, 1, count)
    # interior cells: at the edges there is less to compute
    sample = axis[rng.integers(1, count - 1, size=(10_000, 2))]
    rows = []
    for k in models:
        grams = designs.gaussian(k, DIM, RANK).grams()
        w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5)
        total, first = project_seconds(w, axis, repeats)
        reference, results = dense_seconds(
            dense.DenseSystem(
                grams["private"], grams["public"], grams["synthetic"], alpha=0, beta=0
            ),
            sample,
            seconds,
        )
        worst = max(
            np.abs(regression.grid(w, [a], [b], tasks=False).mse[0, 0] / mse - 1).max()
            for a, b, mse in results[:5]
        )
        per_cell = total / count**2
        asked = f"{ASKED[k]:,}×" if k in ASKED else "-"
        rows.append(
            f"| {k} | {reference * 1e3:,.2f} ms | {per_cell * 1e6:,.1f} µs | "
            f"**{reference / per_cell:,.0f}×** | {asked} | {total:.2f} s | {first - total:.1f} s | "
            f"{worst:.0e} |"
        )
        print(rows[-1], flush=True)
    return rows


def whole_command(models: str, count: int) -> str:
    """The issue's command, from start to file, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "commensal.cli", "sweep", "regression"),
            *("--alpha", f"0:1:{count}", "--beta", f"0:1:{count}", "--models", models),
            *("--dim", str(DIM), "--rank", str(RANK), "--seed", "0"),
            *("--out", str(Path(folder) / "sweep.nc")),
        ]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - start
        size = (Path(folder) / "sweep.nc").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    return (
        f"`commensal sweep regression --alpha 0:1:{count} --beta 0:1:{count} --models "
        f"{models} --dim {DIM} --rank {RANK} --seed 0`: {seconds:.1f} s from start to file "
        f"({size / 1e6:.0f} MB), peak memory {peak:.2f} GiB."
    )


def memories(count: int, generations: int, seconds: float) -> list[str]:
    """Rows of the table of memories, K = 4."""
    w = regression.RegressionWorkflow(**designs.gaussian(4, DIM, RANK).grams(), alpha=0.5, beta=0.5)
    axis, theta, rng = np.linspace(0, 1, count), designs.truth(DIM), np.random.default_rng(0)
    rows = []
    for memory, window in (("window", 3), ("window", 10), ("window", None), ("accumulate", None)):
        kept = {"memory": memory, "window": window}
        regression.grid(w, axis[:2], axis[:2], theta, generations=3, **kept)
        start = time.process_time()
        found = regression.grid(w, axis, axis, theta, generations=generations, **kept)
        total = time.process_time() - start
        times, worst = [], 0.0
        while sum(times) < seconds or len(times) < 5:
            i, j = rng.integers(1, count - 1, size=2)
            start = time.process_time()
            slow = regression.trajectory(
                w.replace(alpha=axis[i], beta=axis[j]), theta, generations, **kept
            )
            times.append(time.process_time() - start)
            worst = max(worst, np.abs(found.mse[i, j] / regression.mse(slow, theta)[-1] - 1).max())
        slow_cell, cell = float(np.median(times)), total / count**2
        name = f"{memory}:{window}" if window else memory
        rows.append(
            f"| {name} | {slow_cell * 1e3:,.1f} ms | {cell * 1e3:.2f} ms | "
            f"**{slow_cell / cell:,.0f}×** | {total:.1f} s | {worst:.0e} |"
        )
        print(rows[-1], flush=True)
    return rows


def floor(k: int) -> str:
    """What a cell costs at least, in products of matrices alone."""
    d, r = DIM, RANK
    per_model = 2 * (3 * d**3 + d**3 + 6 * d * d * r + k * d * d)
    per_cell = 2 * d**3 * 4 * 8  # 8 doublings of 4 products
    flops = k * per_model + per_cell
    left = np.random.default_rng(0).standard_normal((4000, d, d))
    start = time.perf_counter()
    for _ in range(5):
        np.matmul(left, left)
    rate = 5 * 4000 * 2 * d**3 / (time.perf_counter() - start)
    return (
        f"K = {k}: about {flops / 1e3:,.0f} kflop per cell; at the {rate / 1e9:.0f} GFLOP/s that "
        f"NumPy reaches on one core for batches of {d} × {d} products that is "
        f"{flops / rate / 2 * 1e6:.0f} µs on two cores."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small grid, to see that it runs")
    parser.add_argument("--out", type=Path, help="also write the table here, as Markdown")
    args = parser.parse_args()
    count, seconds, repeats = (11, 1.0, 1) if args.quick else (101, 20.0, 5)
    models = (2, 4, 8, 16, 32)
    lines = [
        "# Sweep of interactive regression against the dense formulas",
        "",
        describe(),
        "",
        f"d = {DIM}, rank {RANK}, {count} × {count} cells (α, β); mse, mspe, efficiency, spectral "
        "radius and consensus distance against eigenvalues, mse and mspe.",
        "",
        "| K | dense, per cell | commensal, per cell | ratio | asked | grid | compiling, once | "
        "largest difference of mse |",
        "|---|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    lines += compare(models, count, seconds, repeats)
    closing = [
        "",
        whole_command(",".join(map(str, models)), count),
        "",
        "Floor: " + " ".join(floor(k) for k in (4, 32)),
    ]
    print("\n".join(closing))
    last = 10 if args.quick else 100
    table = [
        "",
        f"Memories, K = 4, errors of generation {last} in the same cells; processor time of all "
        "cores together:",
        "",
        "| memory | one trajectory | commensal, per cell | ratio | grid | difference of mse |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(table), flush=True)
    closing += table + memories(count, last, seconds)
    if args.out:
        args.out.write_text("\n".join(lines + closing) + "\n")


if __name__ == "__main__":
    main()
