"""The look that all figures share: colours, sizes, panels, legends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
WIDTH, DPI = 9.0, 140  # inches, dots per inch: still readable when shrunk to 900 pixels
TITLE_SIZE, TEXT_SIZE = 10.5, 9.0  # points
LINES, MARKS = ("-", "--", ":", "-."), ("o", "s", "^", "D")
GREY = "0.88"


def mark(marker: str, color: str, ms: float, **more: Any) -> dict[str, Any]:
    return {"marker": marker, "color": color, "ms": ms, "ls": "none", **more}


def new_figure(panels: int, *, square: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, and their axes in reading order."""
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
    """Whether no panel lies to the left of this one, or below it."""
    place, columns = list(axes).index(ax), _columns(len(axes))
    return place % columns == 0 if side == "left" else place + columns >= len(axes)


def plain(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=TEXT_SIZE)
    return ax


def draw_curve(ax: Axes, x: Any, y: Any, **style: Any) -> None:
    """A line; where there are no two neighbours to join, a point."""
    finite = np.isfinite(np.asarray(y))
    joined = (finite[1:] & finite[:-1]).any()
    ax.plot(np.asarray(x), np.asarray(y), marker=None if joined else "o", **style)


def say(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=TEXT_SIZE)


def shared_legend(fig: Figure, known: Sequence[Any]) -> None:
    if known:
        fig.legend(
            handles=list(known),
            loc="outside lower center",
            ncols=min(len(known), 4 if fig.get_figwidth() >= WIDTH else 2),
            fontsize=TEXT_SIZE,
            frameon=False,
        )
