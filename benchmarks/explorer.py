"""Time from a slider's move to the new map in the browser, and the size of a shared page.

    python -m benchmarks.explorer [--quick] [--out FILE.md]

Chromium moves the slider of the seed, which asks for a system that has not been
computed, and the page itself takes the time until there is a first map (of 9 × 9 cells), ρ of all
41 × 41 cells if that is shown, and all numbers of all cells.
Where a slider is moved back, the page has the map already. Beside the time on the clock stands the
processor time of the program that computes, all threads together: on a busy machine the first is
of the queue, and the second of the work.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from benchmarks.machine import describe
from commensal import explore, sweep
from commensal.theory import regression

MODELS = (4, 16, 32)
ASKED = 100  # milliseconds in which a change should answer
_FORGET = "() => { delete document.documentElement.dataset.whole; }"
_TIMES = "() => ['first', 'stability', 'whole'].map((one) => document.documentElement.dataset[one])"
_REDRAW = """async () => {
  const slider = document.querySelector("#models"), times = [];
  for (let i = 0; i < 40; i++) {
    const began = performance.now();
    slider.value = i % 2;
    slider.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - began);
  }
  return times;
}"""


def moved(page: Any, slider: str, key: str) -> tuple[float, ...]:
    """Press a key on a slider; return milliseconds to a first map, ρ, all numbers, and of CPU."""
    page.evaluate(_FORGET)
    page.focus(slider)
    busy = time.process_time()
    page.keyboard.press(key)
    page.wait_for_selector("html[data-whole]", timeout=300_000)
    times = (float(one or "nan") for one in page.evaluate(_TIMES))
    return *times, 1000 * (time.process_time() - busy)


def rows(page: Any, url: str, count: int) -> Iterator[str]:
    for k, shown in product(MODELS, ("spectral_radius", "efficiency")):
        page.goto("about:blank")
        page.goto(f"{url}#models={k}&prompts=fresh&show={shown}&seed={0 if shown[0] == 's' else 5}")
        page.wait_for_selector("html[data-whole]", timeout=300_000)
        page.wait_for_selector("#panel-map .charts section", timeout=300_000)
        times = np.array([moved(page, "#seed", "ArrowRight") for _ in range(count)])
        noise = moved(page, "#noise", "ArrowRight")[0]
        page.focus("#noise")
        page.keyboard.press("ArrowLeft")
        again = np.array([moved(page, "#seed", "ArrowLeft")[2] for _ in range(count)])
        cells = [
            "" if np.isnan(t).any() else f"{np.quantile(t, q):.0f} ms"
            for t in (*times[:, :3].T, again)
            for q in ((0.5, 0.95) if t is not again else (0.5,))
        ]
        told = "ρ" if shown[0] == "s" else shown
        work = f"{np.median(times[:, 3]):.0f} ms | {noise:.0f} ms"
        yield f"| {k} | {told} | {' | '.join(cells)} | {work} |"


def floors(count: int) -> Iterator[str]:
    """Time the numbers of a map alone, without a browser: least time on the clock and of CPU."""
    grid = tuple(i / 40 for i in range(41))
    for k in MODELS:
        config = sweep.RegressionSweep(alpha=grid, beta=grid, models=(k,), prompts="fresh")
        w = config.workflow(k)
        cells = []
        for make in (regression.grid_stability, regression.grid):
            make(w, grid, grid)
            found = []
            for _ in range(count):
                clock, busy = time.perf_counter(), time.process_time()
                make(w, grid, grid)
                found.append((time.perf_counter() - clock, time.process_time() - busy))
            cells += [f"{1000 * min(one):.0f} ms" for one in zip(*found, strict=True)]
        yield f"| {k} | {' | '.join(cells)} |"


def shared(browser: Any, folder: Path) -> str:
    """Describe a shared page: its size, and how soon it is drawn again."""
    grid = tuple(i / 40 for i in range(41))
    sweeps = [
        sweep.regression(alpha=grid, beta=grid, models=(2, 8), prompts="fresh", human_share=share)
        for share in (0.0, 0.2)
    ]
    path = folder / "page.html"
    path.write_text(explore.sweep_page(sweeps), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    times = page.evaluate(_REDRAW)
    middle, late = np.quantile(times, (0.5, 0.95))
    return (
        f"A shared page of {4 * 41 * 41:,} cells has {path.stat().st_size / 1e6:.2f} MB; a "
        f"slider's move is drawn after {middle:.0f} ms (p95 {late:.0f} ms)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three changes of each")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    began = time.strftime("%H:%M"), os.getloadavg()[0]
    with sync_playwright() as driver, explore.live_server() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        count = 3 if args.quick else 4
        table = list(rows(page, server.url, count))
        with tempfile.TemporaryDirectory() as folder:
            told = shared(browser, Path(folder))
        browser.close()
        server.shutdown()
    text = "\n".join(
        [
            "# How soon the explorer answers",
            "",
            f"{describe()}; load {began[1]:.1f} when it began (of a quiet machine: below 1)",
            "",
            f"From a slider's move to the drawn map, in Chromium; {ASKED} ms are asked for. "
            "d = 15; 41 × 41 cells. First: a map of 9 × 9 cells. ρ: of all cells, where that is "
            "shown. All: every number of every cell. CPU: processor "
            "time of all numbers, of the program's threads together, where the clock also "
            "counts the queue for a core.",
            "",
            "| K | shown | first, p50 | p95 | ρ, p50 | p95 | all, p50 | p95 | seen before, p50 | "
            "CPU of all | noise alone changed, first |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *table,
            "",
            "The numbers alone, without a browser, least of several. With two free cores the clock "
            "has half of the processor time, and then the browser needs what a map that was seen "
            "before needs:",
            "",
            "| K | ρ of all cells, clock | CPU | all numbers, clock | CPU |",
            "|---|---|---|---|---|",
            *floors(count),
            "",
            told,
            "",
        ]
    )
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
