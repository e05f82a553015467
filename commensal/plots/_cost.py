"""Figure of seconds against size, with fitted power laws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from commensal.plots._style import (
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    mark,
    new_figure,
    number_ticks,
)


class PowerLaw(NamedTuple):
    """Power law y = factor · x^exponent."""

    factor: float
    exponent: float


def cost(*timings: xr.DataArray, machine: str = "") -> Figure:
    """Plot seconds against size on logarithmic axes, with fitted power laws.

    Parameters
    ----------
    *timings : xarray.DataArray
        Seconds, (program, size) with any name for the second dimension, NaN where not measured; a
        panel for each. The ``long_name`` of that coordinate is the axis's label, ``title`` among
        the attributes the panel's.
    machine : str
        Name of the machine on which the times were measured.

    Returns
    -------
    matplotlib.figure.Figure
        Figure whose dashed lines and exponents are those of :func:`power_law`.
    """
    fig, axes = new_figure(len(timings))
    for ax, seconds in zip(axes, timings, strict=True):
        size = str(next(d for d in seconds.dims if d != "program"))
        for n, program in enumerate(seconds["program"].values):
            measured = seconds.sel(program=program).dropna(size)
            label, style = str(program), mark(MARKS[n % 4], PALETTE[n % len(PALETTE)], 6.0)
            if (fit := power_law(measured)) is not None:
                x = _large(measured[size].values)
                label += f": exponent {fit.exponent:.2f}"
                ax.plot(x, fit.factor * x**fit.exponent, "--", lw=1, color=style["color"])
            ax.plot(measured[size], measured, label=label, **style)
        scale = "log" if seconds.notnull().any() else "linear"  # an empty log axis has no ticks
        ax.set(xscale="log", yscale=scale, ylabel="seconds per (α, β) cell")
        ax.set_xlabel(seconds[size].attrs.get("long_name", size))
        ax.set_title(seconds.attrs.get("title", ""), fontsize=TITLE_SIZE)
        sizes = seconds[size].values
        if sizes.size:
            number_ticks(ax.xaxis, sizes.min(), sizes.max())
        ax.grid(alpha=0.25, lw=0.5)
        handles, _ = ax.get_legend_handles_labels()
        if any(line.get_linestyle() == "--" for line in ax.lines):
            fitted = "dashed: power law of the largest sizes"
            handles.append(Line2D([], [], color="0.5", ls="--", lw=1, label=fitted))
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.1)}
        ax.legend(handles=handles, fontsize=TEXT_SIZE, frameon=False, **place)
    fig.suptitle(machine, fontsize=TEXT_SIZE)
    return fig


def power_law(measured: xr.DataArray) -> PowerLaw | None:
    """Fit a line on log-log scales to the sizes within a factor of 16 of the largest.

    Parameters
    ----------
    measured : xarray.DataArray
        Measurements over one dimension, positive, without NaN.

    Returns
    -------
    PowerLaw or None
        Fitted power law; None for fewer than two such sizes.

    Examples
    --------
    >>> size = np.array([1.0, 10.0, 100.0, 200.0])
    >>> power_law(xr.DataArray(3 * size**2, {"size": size}))
    PowerLaw(factor=3.0, exponent=2.0)
    """
    size = _large(measured[measured.dims[0]].values)
    if size.size < 2:
        return None
    seconds = measured.sel({measured.dims[0]: size}).values
    exponent, constant = np.polyfit(np.log(size), np.log(seconds), 1)
    return PowerLaw(float(np.exp(constant).round(12)), float(exponent.round(12)))


def _large(size: np.ndarray) -> np.ndarray:
    return size[size >= size.max(initial=0) / 16]
