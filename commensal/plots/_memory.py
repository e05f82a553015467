"""Figure of memory: errors, the noise of the web, and growth, by what is kept of past data."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from commensal.plots._style import (
    LINES,
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    draw_curve,
    mark,
    new_figure,
    number_ticks,
    shared_legend,
)


def memories(errors: xr.Dataset, noise: xr.Dataset, growth: xr.Dataset) -> Figure:
    """Plot what memory does: to errors, to the noise of the web, and where data amplify errors.

    Parameters
    ----------
    errors, noise, growth : xarray.Dataset
        Each ``theory`` (memory, generation), ``simulated`` and ``standard_error`` of the same
        shape, not a number where nothing was simulated; ``memory`` has the names. In units of the
        error of all real data together, of the noise of one generation's web, and of the error in
        the first generation shown. Curves end where they are not a number.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels over the generations, both axes logarithmic; one colour and one mark for each
        name, whatever the panel. Bars are ± 2 standard errors.

    Notes
    -----
    New here; docs/explanation/memory.md.

    Examples
    --------
    >>> dims, values = ("memory", "generation"), np.array([[1.0, 2.0, 3.0]])
    >>> names = {"theory": values, "simulated": values, "standard_error": 0.1 * values}
    >>> coords = {"memory": ["the last generation"], "generation": [1, 2, 3]}
    >>> one = xr.Dataset({name: (dims, value) for name, value in names.items()}, coords)
    >>> len(memories(one, one, one).axes)
    3
    """
    fig, axes = new_figure(3)
    every = [str(name) for one in (errors, noise, growth) for name in one["memory"].values]
    place = {name: n for n, name in enumerate(dict.fromkeys(every))}
    panels = (
        (errors, "Errors, everybody alike", "error, of that of all real data"),
        (noise, "Everything kept: the web's noise", "variance, of one generation's noise"),
        (growth, "Data that amplify errors", "error, of that in generation 1"),
    )
    for ax, (of, title, label) in zip(axes, panels, strict=True):
        for name in of["memory"].values:
            _draw(ax, of.sel(memory=name), place[str(name)])
        ax.set(xscale="log", yscale="log", xlabel="n: generation")
        ax.set_ylabel(label, fontsize=TEXT_SIZE)
        ax.set_title(title, fontsize=TITLE_SIZE)
        t, known = of["generation"].values, of["theory"].values
        number_ticks(ax.xaxis, t.min(), t.max())
        number_ticks(ax.yaxis, np.nanmin(known), np.nanmax(known))
    handles = [Line2D([], [], label=name, **_look(n), ms=4.0) for name, n in place.items()]
    shared_legend(fig, handles, most=3)
    return fig


def _look(n: int) -> dict[str, Any]:
    color, line = PALETTE[n % len(PALETTE)], LINES[n // len(PALETTE) % len(LINES)]
    return {"color": color, "marker": MARKS[n % len(MARKS)], "ls": line}


def _draw(ax: Axes, of: xr.Dataset, n: int) -> None:
    look, t = _look(n), of["generation"].values
    draw_curve(ax, t, of["theory"], color=look["color"], ls=look["ls"], lw=1.6)
    error = 2 * of["standard_error"].values
    ax.errorbar(t, of["simulated"].values, error, **mark(look["marker"], look["color"], 4.0))
