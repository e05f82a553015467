"""One panel of a claim's evidence: theory as lines, what was drawn as points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from commensal.plots._style import LINES, MARKS, PALETTE, TEXT_SIZE, mark, new_figure

if TYPE_CHECKING:
    from commensal.claims import Picture


def evidence(picture: Picture) -> Figure:
    """Draw the picture of a statistical claim.

    Parameters
    ----------
    picture : commensal.claims.Picture
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
    if "y" in picture.log:
        ax.set_yscale("log")
    ax.set_xlabel(picture.xlabel, fontsize=TEXT_SIZE)
    ax.set_ylabel(picture.ylabel, fontsize=TEXT_SIZE)
    if len(picture.lines) + len(picture.points) > 1:
        ax.legend(fontsize=TEXT_SIZE - 1, frameon=False)
    return fig
