"""Figure of lineages of Gaussian estimation: bands over the generations, with theory's curves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from commensal.plots._style import (
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    new_figure,
    number_ticks,
    say,
    shared_legend,
)

_BANDS = ((0.05, 0.95, 0.16), (0.25, 0.75, 0.30))  # quantiles, opacity
_STYLES: dict[str, dict[str, Any]] = {
    "median": {"color": "black", "ls": "--", "label": "theory: median"},
    "mean": {"color": PALETTE[1], "ls": "-.", "label": "theory: mean"},
    "deviation": {"color": PALETTE[2], "ls": ":", "label": "theory: ± root mean square"},
}


class _Shown(NamedTuple):
    title: str
    symbol: str
    log: bool
    values: xr.DataArray


def lineages(runs: xr.Dataset, theory: xr.Dataset | None = None) -> Figure:
    """Plot the fitted variance, the fitted mean, and the distance from the truth over generations.

    Parameters
    ----------
    runs : xarray.Dataset
        Runs (replicate, generation), as :func:`commensal.sims.gaussian.simulate` gives them.
    theory : xarray.Dataset or None
        Curves over ``generation``, named by a panel and a statistic, such as ``std_median`` or
        ``w2_mean``: panels are ``std``, ``mean``, ``w2`` and, for more than one dimension,
        ``log_determinant``, ``log_trace``, ``mean_squared_error``; statistics ``median``, ``mean``
        and ``deviation``, which is drawn on both sides of the truth.

    Returns
    -------
    matplotlib.figure.Figure
        Bands hold 90 and 50 % of the lineages, the line is their median. No mean over lineages is
        drawn from the runs: that of σ² is carried by so few of them that none need be among those
        drawn (:func:`commensal.theory.gaussian.lineages_needed`).

    Examples
    --------
    >>> from commensal.sims import gaussian
    >>> runs = gaussian.simulate(gaussian.GaussianConfig(samples=20, generations=5, replicates=50))
    >>> len(lineages(runs).axes)
    3
    """
    panels = _panels(runs)
    fig, axes = new_figure(len(panels))
    drawn: set[str] = set()
    for ax, (name, shown) in zip(axes, panels.items(), strict=True):
        _bands(ax, shown)
        curves = {} if theory is None else {s: f"{name}_{s}" for s in _STYLES}
        for statistic, variable in curves.items():
            if theory is not None and variable in theory:
                at, style = theory[variable], _STYLES[statistic]
                at = (at.where(at > 0) if shown.log else at).dropna("generation")
                ax.plot(at["generation"], at, lw=1.4, **style)
                if statistic == "deviation":
                    ax.plot(at["generation"], -at, lw=1.4, **style)
                drawn.add(statistic)
        ax.set_title(shown.title, fontsize=TITLE_SIZE)
        ax.set_xlabel("generation t", fontsize=TEXT_SIZE)
        ax.set_ylabel(shown.symbol, fontsize=TEXT_SIZE)
    known: list[Any] = [
        Line2D([], [], color=PALETTE[0], label="simulated: median"),
        Patch(color=PALETTE[0], alpha=0.4, lw=0, label="bands: 50 and 90 % of lineages"),
    ]
    known += [Line2D([], [], lw=1.4, **_STYLES[s]) for s in _STYLES if s in drawn]
    shared_legend(fig, known)
    return fig


def _panels(runs: xr.Dataset) -> dict[str, _Shown]:
    if "log_variance" in runs:
        std = xr.apply_ufunc(np.exp, 0.5 * runs["log_variance"])
        return {
            "std": _Shown("standard deviation", "σ$_t$ / σ", True, std),
            "mean": _Shown("mean", "(μ$_t$ − μ) / σ", False, runs["mean"]),
            "w2": _Shown("squared W₂ distance to the truth", "W₂² / σ²", True, runs["w2"]),
        }
    titles = {
        "log_determinant": ("log determinant of the covariance", "ln |Σ$_t$|", False),
        "log_trace": ("log trace of the covariance", "ln tr Σ$_t$", False),
        "mean_squared_error": ("squared error of the mean", "‖μ$_t$ − μ‖²", True),
        "w2": ("squared W₂ distance to the truth", "W₂²", True),
    }
    return {
        name: _Shown(title, symbol, log, runs[name])
        for name, (title, symbol, log) in titles.items()
        if name in runs
    }


def _bands(ax: Axes, shown: _Shown) -> None:
    finite = shown.values.where(np.isfinite(shown.values))
    if shown.log:
        finite = finite.where(finite > 0)  # W₂ is 0 at the truth
    finite = finite.dropna("generation", how="all")
    t = finite["generation"].values
    if t.size == 0:
        say(ax, "nothing finite to show")
        return
    edges = (q for low, high, _ in _BANDS for q in (low, high))
    quantiles = finite.quantile([*edges, 0.5], "replicate")
    for low, high, opacity in _BANDS:
        bottom, top = (quantiles.sel(quantile=q).values for q in (low, high))
        ax.fill_between(t, bottom, top, color=PALETTE[0], alpha=opacity, lw=0)
    ax.plot(t, quantiles.sel(quantile=0.5), color=PALETTE[0], lw=1.4)
    ax.set_yscale("log" if shown.log else "linear")
    if shown.log:
        number_ticks(ax.yaxis, *ax.get_ylim())
    ax.set_xlim(float(t.min()), max(float(t.max()), float(t.min()) + 1))
