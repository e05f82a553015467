"""Figure of a forecast: measured curves as points, what is to come as a line with a band."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from commensal.plots._style import (
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    mark,
    new_figure,
    outermost,
    shared_legend,
)

MOST = 12
"""Most panels of a figure of forecasts."""


def forecast_curves(
    measured: pd.DataFrame, forecast: pd.DataFrame, *, quantity: str = "value", level: float = 0.8
) -> Figure:
    """Plot measured curves and their forecasts, one panel per run.

    Parameters
    ----------
    measured : pandas.DataFrame
        ``run``, ``generation`` and ``value``.
    forecast : pandas.DataFrame
        ``run``, ``generation``, ``predicted``, ``low`` and ``high``. At most 12 runs are drawn:
        those that are forecast to change most, in the table's order.
    quantity : str
        Label of the vertical axis.
    level : float
        Probability with which the band covers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    ends = measured.sort_values("generation").groupby("run")["value"].last()
    last = forecast.sort_values("generation").groupby("run")["predicted"].last()
    change: Any = (last - ends[last.index]).abs()
    change = change.sort_values(ascending=False, kind="stable")
    runs = [run for run in dict.fromkeys(forecast["run"]) if run in set(change.index[:MOST])]
    fig, axes = new_figure(len(runs))
    for ax, run in zip(axes, runs, strict=True):
        seen = measured.loc[measured["run"] == run].sort_values("generation")
        told = forecast.loc[forecast["run"] == run].sort_values("generation")
        start = seen.loc[seen["generation"] < told["generation"].min()].iloc[-1]
        t = [start["generation"], *told["generation"]]
        low, high, middle = ([start["value"], *told[name]] for name in ("low", "high", "predicted"))
        ax.fill_between(t, low, high, color=PALETTE[0], alpha=0.2, lw=0)
        ax.plot(t, middle, color=PALETTE[0], lw=1.6)
        ax.plot(seen["generation"], seen["value"], **mark("o", "black", 4))
        ax.set_title(_short(str(run)), fontsize=TITLE_SIZE)
        if outermost(axes, ax, "left"):
            ax.set_ylabel(quantity, fontsize=TEXT_SIZE)
        if outermost(axes, ax, "bottom"):
            ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    drawn = measured["run"].isin(runs) & measured["value"].notna()
    told = forecast.loc[forecast["run"].isin(runs)]
    every = [measured.loc[drawn, "value"], told["low"], told["high"]]
    bottom = min(float(np.min(x)) for x in every)
    top = max(float(np.max(x)) for x in every)
    pad = 0.05 * (top - bottom) or 1.0
    for ax in axes[1:]:
        ax.sharex(axes[0])
        ax.sharey(axes[0])
    axes[0].xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes[0].set_ylim(bottom - pad, top + pad)
    shared_legend(
        fig,
        [
            Line2D([], [], label="measured", **mark("o", "black", 4)),
            Line2D([], [], color=PALETTE[0], lw=1.6, label="forecast, median"),
            Patch(color=PALETTE[0], alpha=0.2, lw=0, label=f"{level:.0%} interval"),
        ],
    )
    return fig


def _short(name: str, letters: int = 30) -> str:
    """Shorten a name in its middle, where names of runs differ least."""
    if len(name) <= letters:
        return name
    half = (letters - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
