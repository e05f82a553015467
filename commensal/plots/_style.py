"""The look that all figures share: colours, sizes, panels, legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatterMathtext, LogLocator, NullFormatter

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of the figures, those of Okabe and Ito (2008)."""
_BLUE, _ORANGE, _GREEN, _PINK, _YELLOW, _SKY = PALETTE
# What a colour means, wherever that thing is drawn. Lines of models, remedies and other lists that
# have no roles take PALETTE in order, with a mark or dashes of their own.
POPULATION, LINEAGE, CLOSEST = _BLUE, _ORANGE, _SKY  # `pollination` fig. 8; its fig. 11 swaps them
NOBODY, ORACLE, HELD_OUT, NOISY_ORACLE = LINEAGE, POPULATION, _GREEN, _PINK  # who selects
WITHIN, ACROSS = _BLUE, _ORANGE  # families, `pollination` fig. 3
OLDER_FIRST, NEWER_FIRST = _GREEN, _PINK  # which of the two is the source
CHOICE = _ORANGE  # (0.5, 0.5), the paper's choice
ALPHAS = {0.0: _ORANGE, 0.5: _GREEN, 1.0: _BLUE}
POOLED, ALONE, SLOWER = _BLUE, _ORANGE, _GREEN  # an ecosystem and its controls
LAW: dict[str, Any] = {"color": "black", "ls": "--", "lw": 1.6}
TRUTH: dict[str, Any] = {"color": "0.35", "lw": 0.8, "ls": "--", "zorder": 1}
CLIPPED = "leaves the frame on purpose"  # gid of such artists; the figure says where it ends
ALPHA, BETA = "α: weight of new data", "β: weight of private data"
NORM = "‖D‖$_F$: how far the models are apart"
WIDTH, DPI = 9.0, 140  # inches, dots per inch: still readable when shrunk to 900 pixels
TITLE_SIZE, TEXT_SIZE = 10.5, 9.0  # points
LINES, MARKS = ("-", "--", ":", "-."), ("o", "s", "^", "D")
GREY = "0.88"


def mark(marker: str, color: str, ms: float | int, **more: Any) -> dict[str, Any]:
    """Return the keywords by which ``plot`` draws markers alone."""
    return {"marker": marker, "color": color, "ms": ms, "ls": "none", **more}


def new_figure(panels: int, *, square: bool = False) -> tuple[Figure, list[Axes]]:
    """Make a figure with a number of panels; return it and its axes in reading order."""
    columns = _columns(panels)
    rows = max(1, -(-panels // columns))
    width = WIDTH if columns > 1 else 0.72 * WIDTH
    # a map has the legend below and the colour bar beside it
    height = rows * (width - square) * {1: 0.8, 2: 0.5, 3: 0.37}[columns] + (1 if square else 0.6)
    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = list(fig.subplots(rows, columns, squeeze=False, sharex=square, sharey=square).flat)
    for ax in axes[panels:]:
        ax.remove()
    if square:
        for ax in axes[max(panels - columns, 0) : panels]:
            ax.xaxis.set_tick_params(labelbottom=True)  # also above an empty place
    return fig, [plain(ax) for ax in axes[:panels]]


def _columns(panels: int) -> int:
    return {1: 1, 2: 2, 4: 2}.get(panels, 3)


def outermost(axes: Sequence[Axes], ax: Axes, side: str) -> bool:
    """Return whether a panel is the leftmost of its row, or the lowest of its column."""
    place, columns = list(axes).index(ax), _columns(len(axes))
    return place % columns == 0 if side == "left" else place + columns >= len(axes)


def plain(ax: Axes) -> Axes:
    """Hide the top and right spines, and set the size of tick labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=TEXT_SIZE)
    return ax


def alpha_colors(values: Sequence[Any]) -> dict[Any, str]:
    """Return a colour for each α: that of ALPHAS, else one of PALETTE or a shade."""
    if set(values) <= set(ALPHAS):
        return {a: ALPHAS[a] for a in values}
    if len(values) <= len(PALETTE):
        return dict(zip(values, PALETTE, strict=False))
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.92, len(values)))
    return {a: to_hex(s) for a, s in zip(values, shades, strict=True)}


def constant_bands(ax: Axes, ends: tuple[float, float], constant: float) -> list[Any]:
    """Draw the diagonal, and bands of changes that count as none, on predicted against measured.

    Returns
    -------
    list
        Handles of the bands for the legend.
    """
    look: dict[str, Any] = {"color": "0.6", "lw": 0.8, "ls": "--"}
    ax.axhspan(-constant, constant, color=GREY, lw=0)
    ax.axvspan(-constant, constant, color=GREY, lw=0)
    ax.plot(ends, ends, **look)
    ax.set(xlim=ends, ylim=ends)
    return [
        Patch(color=GREY, label=f"within ±{constant:g}: counts as none"),
        Line2D([], [], label="prediction = measurement", **look),
    ]


def number_ticks(axis: Axis, low: Any, high: Any) -> None:
    """Label a logarithmic axis with plain numbers (2, not 2 × 10⁰), and not too many of them."""
    narrow = high < 100 * low
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=8))
    plain_numbers = low >= 1e-3 and high < 1e5
    axis.set_major_formatter("{x:g}" if plain_numbers else LogFormatterMathtext())
    axis.set_minor_formatter(NullFormatter())


def draw_curve(ax: Axes, x: Any, y: Any, **style: Any) -> None:
    """Draw a line, or points if no two neighbours can be joined."""
    finite = np.isfinite(np.asarray(y))
    joined = (finite[1:] & finite[:-1]).any()
    ax.plot(np.asarray(x), np.asarray(y), marker=None if joined else "o", **style)


def say(ax: Axes, text: str) -> None:
    """Write a text in the middle of an empty panel."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=TEXT_SIZE)


def shared_legend(fig: Figure, known: Sequence[Any], most: int = 4) -> None:
    """Put a legend below the panels, in at most ``most`` columns and as many as fit."""
    if not known:
        return
    letters = max(len(str(handle.get_label())) for handle in known)
    column = 0.55 * letters * TEXT_SIZE / 72 + 0.5  # inches: words, handle and gap
    fig.legend(
        handles=list(known),
        loc="outside lower center",
        ncols=max(1, min(len(known), most, int(fig.get_figwidth() / column))),
        fontsize=TEXT_SIZE,
        frameon=False,
    )
