"""Runs of language models that the repository keeps in ``runs/``: read, and drawn small."""

import argparse
import io
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from commensal.llm.presets import read_config
from commensal.llm.records.directory import RunDirectory
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._reading import Reading

RUNS = Path(__file__).resolve().parents[1] / "runs"
COLORS = 256  # enough for lines, bands and their smooth edges


def options(script: str, description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, default=Path(script).with_suffix(".png"))
    parser.add_argument("--quick", action="store_true", help="the same: the run is there already")
    return parser.parse_args()


def read(name: str) -> Reading[Any]:
    """Read a finished run of which settings and metrics were kept, but no weights and samples."""
    folder = RUNS / name
    config = read_config(folder / "config.yaml")
    points = config.grid()
    return Reading(
        RunDirectory(folder),
        config,
        points,
        pd.read_parquet(folder / "metrics.parquet"),
        {point.name: config.generations for point in points},
    )


def ends(rows: Any, comparisons: int = 1) -> tuple[float, float, Mean]:
    """Return means at the first and the last generation, and the change over replicates."""
    table = rows.groupby(["replicate", "generation"])["value"].mean().unstack("generation")
    first, last = table[min(table)], table[max(table)]
    change = mean_of((last - first).to_numpy(float), comparisons)
    return float(first.mean()), float(last.mean()), change


def save(fig: Figure, out: Path) -> None:
    """Write a picture with few colours, a third as large as with all."""
    whole = io.BytesIO()
    fig.savefig(whole, format="png")
    with Image.open(whole) as image:
        image.convert("RGB").quantize(COLORS).save(out, optimize=True)
