"""One panel of a claim's evidence: theory as lines, simulated values as points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from commensal.plots._style import LINES, MARKS, PALETTE, TEXT_SIZE, mark, new_figure, number_ticks

if TYPE_CHECKING:
    from commensal.claims import Panel


def evidence(picture: Panel) -> Figure:
    """Draw the picture of a statistical claim.

    Parameters
    ----------
    picture : commensal.claims.Panel
        Error bars are two standard errors.

    Returns
    -------
    matplotlib.figure.Figure
    """
    fig, (ax,) = new_figure(1)
    fig.set_size_inches(5.6, 3.4)
    for i, (label, y) in enumerate(picture.lines):
        ax.plot(picture.x, y, LINES[i % len(LINES)], color=PALETTE[i % len(PALETTE)], label=label)
    for i, (label, y, error) in enumerate(picture.points):
        style = mark(MARKS[i % len(MARKS)], PALETTE[i % len(PALETTE)], 4)
        bars = 2 * np.asarray(error, float)
        ax.errorbar(picture.x, y, bars, capsize=2, label=label, **style)
    if "x" in picture.log:
        ax.set_xscale("log")
        number_ticks(ax.xaxis, min(picture.x), max(picture.x))
    if "y" in picture.log:
        ax.set_yscale("log")
    ax.set_xlabel(picture.xlabel, fontsize=TEXT_SIZE)
    ax.set_ylabel(picture.ylabel, fontsize=TEXT_SIZE)
    handles, _ = ax.get_legend_handles_labels()
    if picture.points:
        handles.append(Line2D([], [], label="bars: 2 standard errors", **mark("|", "0.4", 6)))
    ax.legend(handles=handles, fontsize=TEXT_SIZE - 1, frameon=False)
    return fig
