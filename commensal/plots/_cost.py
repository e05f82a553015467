"""Seconds against size, with fitted power laws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    NullFormatter,
)

from commensal.plots._style import MARKS, PALETTE, TEXT_SIZE, TITLE_SIZE, mark, new_figure


class PowerLaw(NamedTuple):
    """y = factor · x^exponent."""

    factor: float
    exponent: float


def cost(*timings: xr.DataArray, machine: str = "") -> Figure:
    """Seconds against size, log-log, with fitted power laws.

    Parameters
    ----------
    *timings : xarray.DataArray
        Seconds, (program, size) with any name for the second dimension, NaN where not measured; a
        panel for each. The ``long_name`` of that coordinate is the axis's label, ``title`` among
        the attributes the panel's.
    machine : str
        Where they were measured.

    Returns
    -------
    matplotlib.figure.Figure
        Dashed lines and exponents are those of :func:`power_law`.
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
        near = sizes.size > 0 and sizes.max() < 100 * sizes.min()
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if near else (1,)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(alpha=0.25, lw=0.5)
        ax.legend(loc="lower right", fontsize=TEXT_SIZE)
    fig.suptitle(machine, fontsize=TEXT_SIZE)
    return fig


def power_law(measured: xr.DataArray) -> PowerLaw | None:
    """Least-squares line on log-log scales, over the sizes within a factor of 16 of the largest.

    Parameters
    ----------
    measured : xarray.DataArray
        One-dimensional, positive, without NaN.

    Returns
    -------
    PowerLaw or None
        None for fewer than two such sizes.

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
