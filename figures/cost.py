"""Cost of a cell of an (α, β) grid against K and d, and that of the dense formulas."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from _sentence import tell

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import dense
from benchmarks.machine import describe
from benchmarks.sweep_regression import dense_cell
from commensal import designs, plots
from commensal.theory import regression

ALPHA, BETA = np.linspace(0.05, 0.95, 8), np.linspace(0.05, 0.95, 13)
PROGRAMS = ("commensal", "dense formulas")


def seconds(run: Callable[[], object]) -> float:
    """Least processor time of a call over a few; the first one, which compiles, does not count.

    It hardly depends on what else the machine does; on two cores a grid takes half of it by the
    clock.
    """
    run()
    times: list[float] = []
    while sum(times) < 0.3 or (len(times) < 3 and sum(times) < 3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def cell_seconds(models: int, dim: int, rank: int) -> tuple[float, float]:
    """Of one cell, by the package (on a grid, shared out) and by the dense formulas."""
    grams = designs.gaussian(models, dim, rank).grams()
    w = regression.RegressionWorkflow(**grams, alpha=0.5, beta=0.5)
    grid = seconds(lambda: regression.grid(w, ALPHA, BETA, tasks=False))
    reference = np.nan
    if models * dim <= 512:
        system = dense.DenseSystem(*grams.values(), alpha=0.5, beta=0.5)
        reference = seconds(lambda: dense_cell(system))
    return grid / (ALPHA.size * BETA.size), reference


def measured(name: str, label: str, title: str, cells: dict[int, tuple[float, float]]):
    sizes = xr.DataArray(list(cells), dims=name, attrs={"long_name": label})
    values = np.array(list(cells.values())).T
    return xr.DataArray(
        values, {"program": list(PROGRAMS), name: sizes}, ("program", name), attrs={"title": title}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="small sizes alone")
    args = parser.parse_args()

    models = (2, 4) if args.quick else (2, 4, 8, 16, 32, 128, 512, 1024, 4096)
    dims = (6, 15) if args.quick else (8, 16, 32, 64, 128)
    by_models = measured(
        "models",
        "K: number of models",
        "d = 15, rank 5",
        {k: cell_seconds(k, 15, 5) for k in models},
    )
    by_dim = measured(
        "dim",
        "d: number of features",
        "K = 4, rank d/3",
        {d: cell_seconds(4, d, d // 3) for d in dims},
    )
    machine = describe()
    cells = f"grids of {ALPHA.size} × {BETA.size} cells"
    what = f"Processor time of spectral radius, error and efficiency; {cells}"
    fig = plots.cost(by_models, by_dim, machine=f"{what}\n{machine}")
    fig.savefig(args.out)

    ours, theirs = by_models.values
    both = np.flatnonzero(np.isfinite(theirs))[-1]
    exponents = [
        "{:.2f} and {:.2f}".format(*(exponent(x.sel(program=p)) for p in PROGRAMS))
        for x in (by_models, by_dim)
    ]
    tell(
        args.out,
        f"A cell costs {ours[-1] * 1e3:.3g} ms of processor time for K = {models[-1]} models "
        f"(d = 15) and {float(by_dim[0, -1]) * 1e3:.3g} ms for d = {dims[-1]} (K = 4), with "
        f"exponents {exponents[0]} in K and {exponents[1]} in d for commensal and the dense "
        f"formulas, and at K = {models[both]} the dense ones take "
        f"{theirs[both] / ours[both]:,.0f} times as long, on {machine}.",
    )


def exponent(timings: xr.DataArray) -> float:
    fit = plots.power_law(timings.dropna(timings.dims[0]))
    return np.nan if fit is None else fit.exponent


if __name__ == "__main__":
    main()
