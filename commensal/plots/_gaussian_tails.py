"""Figure of the tail of a single Gaussian fit, its approximation and its bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from commensal.plots._style import (
    CLIPPED,
    DPI,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    plain,
    shared_legend,
)

_CURVES = {
    "approximation": ("paper's approximation", PALETTE[5], "-"),
    "printed": ("Chernoff, 2√e as printed", PALETTE[1], "--"),
    "tight": ("Chernoff, tight constant", PALETTE[4], "-"),
    "optimal": ("Chernoff, optimal t", PALETTE[0], "-."),
    "rigorous": ("rigorous for W itself", PALETTE[2], ":"),
}


def gaussian_tail_bounds(table: xr.Dataset) -> Figure:
    """Plot P(W >= δ) and its bounds; on the right of each row, as ratios to the exact value.

    Parameters
    ----------
    table : xarray.Dataset
        Table over ``n`` and ``scaled`` (nδ/σ²), as ``commensal.theory.gaussian.tail_table`` gives
        it. A row of panels for each n.

    Returns
    -------
    matplotlib.figure.Figure
        Figure, shaded on the right below 1, where a bound is none. Probabilities below 1e-30 and
        ratios outside 0.05 to 1e4 are cut off.

    Notes
    -----
    `pollination`, app. A.1.
    """
    sizes = table["n"].values
    # as new_figure makes them, but two columns however many rows
    fig = Figure(figsize=(WIDTH, 2.3 * len(sizes) + 0.9), dpi=DPI, layout="constrained")
    axes = [plain(ax) for ax in fig.subplots(len(sizes), 2, squeeze=False, sharex=True).flat]
    for row, n in enumerate(sizes):
        left, right = axes[2 * row : 2 * row + 2]
        cells = table.sel(n=n)
        x = cells["scaled"].values
        shown = cells["exact"].values > 0
        left.plot(x[shown], cells["exact"].values[shown], color="black", lw=2.2, gid=CLIPPED)
        for name, (_, colour, line) in _CURVES.items():
            # bounds beyond 1 say nothing
            value = np.where(cells[name].values <= 1.0, cells[name].values, np.nan)
            look = {"color": colour, "ls": line, "lw": 1.6, "gid": CLIPPED}
            left.plot(x, value, **look)
            right.plot(x, cells[f"{name}_ratio"].values, **look)
        low = float(cells["exact"].where(shown).min())
        left.set(yscale="log", ylim=(max(low, 1e-30), 2))
        right.set(yscale="log", ylim=(0.05, 1e4))
        right.axhspan(0.05, 1, color="0.9", zorder=0)
        right.axhline(1, color="black", lw=1)
        left.set_ylabel("P(W ≥ δ)", fontsize=TEXT_SIZE)
        right.set_ylabel("bound / exact probability", fontsize=TEXT_SIZE)
        left.set_title(f"n = {n}", fontsize=TITLE_SIZE)
        right.set_title(f"n = {n}: {_verdict(cells)}", fontsize=TITLE_SIZE)
        if row == len(sizes) - 1:
            for ax in (left, right):
                ax.set_xlabel("nδ/σ²: threshold on W, scaled", fontsize=TEXT_SIZE)
        for ax in (left, right):
            ax.set_xlim(0, x.max())
    known: list[Any] = [Line2D([], [], color="black", lw=2.2, label="exact")]
    known += [
        Line2D([], [], color=c, ls=ls, lw=1.6, label=text) for text, c, ls in _CURVES.values()
    ]
    known.append(Patch(color="0.9", label="below the exact one: no bound"))
    shared_legend(fig, known)
    fig.suptitle(
        "Probability that the distance W of one fit is δ or more, and bounds on it\n"
        "(curves end at the frame: probabilities below 10⁻³⁰, ratios outside 0.05 to 10⁴)",
        fontsize=TITLE_SIZE,
    )
    return fig


def _verdict(cells: xr.Dataset) -> str:
    """Return a sentence on which of the paper's bounds the exact probability exceeds, and where."""
    broken = []
    for name in ("printed", "tight", "optimal"):
        fails = cells["scaled"].values[cells[f"{name}_ratio"].values < 1 - 1e-9]
        if fails.size:
            broken.append(f"{name} fails from {fails.min() / float(cells['n']):.3g} σ²")
    return ", ".join(broken) or "all bounds hold here"
