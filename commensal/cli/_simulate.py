"""`commensal simulate`: what its commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from commensal.cli._console import out_console

simulate_app = typer.Typer(
    help="Run the stochastic process itself, beside what the theory says.", no_args_is_help=True
)


def check_folder(out: Path | None) -> None:
    """Before hours of work rather than after."""
    if out is not None and not out.parent.is_dir():
        raise ValueError(f"output folder {str(out.parent)!r} does not exist")


def some_generations(generations: Any, most: int) -> Any:
    """At most so many of the recorded generations, the first and the last among them."""
    import numpy as np

    at = np.unique(np.linspace(0, len(generations) - 1, min(most, len(generations))).round())
    return np.asarray(generations)[at.astype(int)]


def write(runs: Any, out: Path | None) -> None:
    if out is not None:
        runs.to_netcdf(out, engine="h5netcdf")
        out_console.print(f"wrote {out}", soft_wrap=True, highlight=False)
