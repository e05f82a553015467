"""Forecast of whole runs from a few planned pilots, beside all other choices and simple rules.

    python -m benchmarks.pilots RUN [RUN ...] [--count 3] [--out FILE.md]

Of every replicate whose settings have all come to the end, the planned pilots' losses until
generation 2 are read, and the final changes at all other settings forecast.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from commensal.llm import metrics
from commensal.llm.config import InteractiveConfig
from commensal.llm.records.results import config_of
from commensal.pairing import RunSystem
from commensal.pairing._grams import system_of
from commensal.pairing._pair_run import losses_of
from commensal.planning import forecast_pilots, plan_of
from commensal.planning.forecasts._pilots import training_ratio
from commensal.planning.forecasts._scalars import error_grid, fit_pilots

SEEN = 2


def kind(config: InteractiveConfig) -> str:
    """Return what a mean is over: rule 6 judges such runs apart."""
    beyond = config.human_share > 0 or config.remembers
    return "with human texts, or memory" if beyond else "as in the paper"


def replicates(config: InteractiveConfig, folder: Path) -> list[tuple[int, Any, Any, float]]:
    """Return number, theory's inputs, losses and training ratio of each finished replicate."""
    table, out = metrics(folder), []
    names = tuple(corpus.name for corpus in (*config.tasks, config.public))
    for replicate in range(config.replicates):
        points = [point for point in config.grid() if point.replicate == replicate]
        rows = table.loc[table["replicate"] == replicate]
        losses = losses_of(rows, points, names, config.generations)
        if np.isfinite(losses).all():
            system, _ = system_of(folder, config, points, dim=16, layer=-1, texts=1000)
            out.append((replicate, system, losses, training_ratio(config)))
    return out


def of_all(system: RunSystem, losses: np.ndarray, ratio: float, count: int) -> np.ndarray:
    """Return R² of final changes from each choice of pilots."""
    grid, out = error_grid(system, ratio), []
    for some in combinations(range(len(losses)), count):
        others = ~np.isin(np.arange(len(losses)), some)
        told = fit_pilots(grid, losses, some, SEEN).predicted
        change, guess = ((x[:, -1] - x[:, 0])[others] for x in (losses, told))
        out.append(1 - ((change - guess) ** 2).sum() / (change**2).sum())
    return np.array(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=2, help="of pilots")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if not given.runs:
        print("benchmarks.pilots: runs are not part of the project; see docs/how-to/forecast.md")
        return
    lines: list[str] = []
    scores: dict[str, list[list[float]]] = {}
    for folder in given.runs:
        config = config_of(folder, InteractiveConfig)
        for replicate, system, losses, ratio in replicates(config, folder):
            plan = plan_of(system, count=given.count, seen=SEEN, ratio=ratio)
            at = list(zip(system.alpha.tolist(), system.beta.tolist(), strict=True))
            names = [f"dataset {i}" for i in range(losses.shape[-1])]
            pilots = [at.index(place) for place in plan.pilots]
            found = forecast_pilots(system, losses, pilots, names, seen=SEEN, ratio=ratio)
            of = [found.answers[name].value for name in ("r_squared", "direction", "coverage")]
            every = of_all(system, losses, ratio, given.count)
            ends = float(np.median(every)), float(every.min()), float(every.max())
            scores.setdefault(kind(config), []).append([*of, *ends])
            told = " and ".join(f"({a:g}, {b:g})" for a, b in plan.pilots)
            values = " | ".join(f"{x:.2f}" for x in (*of, *ends))
            lines.append(f"| {folder.name} | {replicate + 1} | {told} | {values} |")
            for name in ("r_squared", "direction"):
                print(folder.name, replicate + 1, found.answers[name].sentence, flush=True)
    for name, rows in scores.items():
        means = " | ".join(f"**{x:.2f}**" for x in np.mean(rows, axis=0))
        lines.append(f"| mean, {name} | {len(rows)} replicates | | {means} |")
    text = "\n".join(
        [
            f"# Forecasts of whole runs from {given.count} pilots",
            "",
            describe(),
            "",
            f"Losses of planned settings until generation {SEEN} are read; judged are final "
            "changes of all losses at all other settings (80 % intervals). The last columns are R² "
            "from every choice of as many settings.",
            "",
            "| run | replicate | pilots (α, β) | R² | directions | coverage | median choice | "
            "worst choice | best choice |",
            "|---|---|---|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )
    print(text)
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
