"""Figure of errors of simulated regressions over the generations, beside the theory's curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from commensal.plots._style import (
    PALETTE,
    TITLE_SIZE,
    draw_curve,
    mark,
    new_figure,
    say,
    shared_legend,
)

_DECADE = 10  # errors that differ by more are seen on a logarithmic scale only


def regression_errors(runs: xr.Dataset) -> Figure:
    """Plot mean squared error and efficiency of each model over the generations.

    Parameters
    ----------
    runs : xarray.Dataset
        Runs, as :func:`commensal.sims.regression.moments` or ``simulate`` returns them: ``mse``
        (generation, model) with ``mse_standard_error``, or ``squared_error`` with a dimension
        ``replicate``. Where present, ``mse_theory`` (generation, model) is drawn as lines, and
        ``pooled_mse``, the error of one party with all real data, gives the panel of efficiencies.

    Returns
    -------
    matplotlib.figure.Figure
        Simulations are points, with bars of two standard errors; curves are the theory's.

    Raises
    ------
    ValueError
        If the dataset has no errors.

    Notes
    -----
    `interactive`, sec. 5: Theorem 2 for the curves, fig. 2 for the efficiency.
    """
    mse, error = _errors(runs)
    theory = runs.get("mse_theory")
    pooled = float(runs["pooled_mse"]) if "pooled_mse" in runs else np.nan
    with_efficiency = bool(np.isfinite(pooled) and pooled > 0)
    fig, axes = new_figure(1 + with_efficiency)
    _draw(axes[0], mse, error, theory)
    axes[0].set(xlabel="generation t", ylabel="mean squared error")
    axes[0].set_title("Error of each model", fontsize=TITLE_SIZE)
    shown = np.concatenate([x.values.ravel() for x in (mse, theory) if x is not None])
    shown = shown[np.isfinite(shown)]
    if shown.size and shown.min() > 0 and shown.max() > _DECADE * shown.min():
        axes[0].set_yscale("log")
    else:
        axes[0].set_ylim(bottom=0)
    if with_efficiency:
        efficiency = pooled / mse
        law = None if theory is None else pooled / theory
        _draw(axes[1], efficiency, error * efficiency / mse, law)  # delta method
        axes[1].set(xlabel="generation t", ylabel="error of all real data together / error")
        axes[1].set_ylim(bottom=0)
        axes[1].set_title("Efficiency of each model", fontsize=TITLE_SIZE)
    shared_legend(fig, _legend(mse.sizes["model"], theory is not None))
    return fig


def _errors(runs: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
    """Return mean squared errors and their standard errors, as (generation, model)."""
    if "mse" in runs:
        return runs["mse"], runs["mse_standard_error"]
    if "squared_error" not in runs:
        raise ValueError("a picture of errors needs mse or squared_error, and there is neither")
    each = runs["squared_error"]
    count = each.sizes["replicate"]
    # one replicate has no spread
    spread = each.std("replicate", ddof=1) if count > 1 else xr.zeros_like(each.isel(replicate=0))
    return each.mean("replicate"), spread / np.sqrt(count)


def _draw(ax: Axes, points: xr.DataArray, error: xr.DataArray, law: xr.DataArray | None) -> None:
    t = points["generation"].values
    if not np.isfinite(points).any():
        say(ax, "no finite error")
    for k in range(points.sizes["model"]):
        at, off = (x.isel(model=k).values for x in (points, error))
        seen = np.isfinite(at)
        bars = 2 * np.where(np.isfinite(off), off, 0)
        style = mark("o", _colour(k), 3.5, mfc="none", elinewidth=0.8)
        ax.errorbar(t[seen], at[seen], bars[seen], **style)
        if law is not None:
            draw_curve(ax, law["generation"], law.isel(model=k), color=_colour(k), lw=1.3)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _colour(k: int) -> str:
    return PALETTE[k % len(PALETTE)]


def _legend(models: int, theory: bool) -> list[Any]:
    few = models <= len(PALETTE)
    known: list[Any] = [
        Line2D([], [], color=_colour(k), lw=4, label=f"model {k + 1}") for k in range(models * few)
    ]
    known.append(Line2D([], [], label="simulated", **mark("o", "0.3", 5.0, mfc="none")))
    if theory:
        known.append(Line2D([], [], color="0.3", label="theory"))
    return known
