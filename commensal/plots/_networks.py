"""Figure of reading networks: stability, agreement, and how many prompts make a system safe."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, PercentFormatter

from commensal.plots._style import (
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    draw_curve,
    mark,
    new_figure,
    shared_legend,
)


def reading_networks(
    stability: xr.DataArray, agreement: xr.Dataset, safety: xr.DataArray
) -> Figure:
    """Plot what a reading network does: stability, agreement, and the prompts that make it safe.

    Parameters
    ----------
    stability : xarray.DataArray
        Spectral radius ρ, over (regime, self_share, seed); ``regime`` has the names.
    agreement : xarray.Dataset
        ``consensus_distance`` and ``relative_efficiency`` (mean over models), over (network, seed);
        ``sources`` (network), the models that a model effectively reads.
    safety : xarray.DataArray
        Share of fresh human data that is enough for given prompts, over (prompts, seed).

    Returns
    -------
    matplotlib.figure.Figure
        Curves and points are medians over designs, bands and bars reach from least to most.

    Notes
    -----
    New here; docs/explanation/networks.md.

    Examples
    --------
    >>> share = xr.DataArray([[0.3], [0.1]], {"prompts": [5, 50], "seed": [0]}, ("prompts", "seed"))
    >>> rho = share.rename(prompts="self_share").expand_dims(regime=["private prompts"])
    >>> both = xr.Dataset(
    ...     {"consensus_distance": share, "relative_efficiency": share}
    ... ).rename(prompts="network").assign(sources=("network", [1.0, 4.0]))
    >>> len(reading_networks(rho, both, share).axes)
    4
    """
    fig, (left, middle, right) = new_figure(3)
    for n, regime in enumerate(stability["regime"].values):
        of = stability.sel(regime=regime)
        color = PALETTE[n % len(PALETTE)]
        draw_curve(left, of["self_share"], of.median("seed"), color=color, lw=2, label=str(regime))
        _band(left, of, "self_share", color)
    left.axhline(1, color="0.3", lw=1, ls=":")
    left.set(xlabel="s: share that a model reads of itself", ylabel="ρ: growth of errors")
    left.set_title("Stability", fontsize=TITLE_SIZE)

    order = agreement["sources"].values.argsort()
    sources = agreement["sources"].values[order]
    apart, good = (
        agreement[name].isel(network=order)
        for name in ("consensus_distance", "relative_efficiency")
    )
    color, other = PALETTE[0], PALETTE[1]
    _bars(middle, sources, apart, 0, color)
    middle.set(xlabel="n: models that a model effectively reads")
    middle.set_ylabel("distance between models", color=color, fontsize=TEXT_SIZE)
    twin = middle.twinx()
    twin.tick_params(labelbottom=False)  # the same numbers, in the same place
    _bars(twin, sources, good, 1, other)
    twin.set_ylabel("relative efficiency", color=other, fontsize=TEXT_SIZE)
    middle.set_title("Agreement and efficiency", fontsize=TITLE_SIZE)

    draw_curve(right, safety["prompts"], safety.median("seed"), color="black", lw=2)
    _band(right, safety, "prompts", "black")
    right.set(xscale="log", xlabel="T: different prompts of a model")
    right.set_ylabel("φ: human share that is enough", fontsize=TEXT_SIZE)
    right.set_ylim(bottom=0)
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    right.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    right.yaxis.set_major_formatter(PercentFormatter(1))
    right.set_title("Safe for any real data", fontsize=TITLE_SIZE)
    shared_legend(fig, left.get_legend_handles_labels()[0])
    return fig


def _band(ax: Axes, values: xr.DataArray, over: str, color: str) -> None:
    low, high = (values.quantile(q, "seed").values for q in (0, 1))
    ax.fill_between(values[over].values, low, high, color=color, alpha=0.15, lw=0)


def _bars(ax: Axes, x: np.ndarray, y: xr.DataArray, n: int, color: str) -> None:
    low, middle, high = (y.quantile(q, "seed").values for q in (0, 0.5, 1))
    style = mark(MARKS[n], color, 6.0)
    ax.errorbar(x, middle, np.array([middle - low, high - middle]), **style)


def redrawn_prompts(growth: xr.DataArray) -> Figure:
    """Plot how fast errors grow over the number of prompts, asked again or drawn anew.

    Parameters
    ----------
    growth : xarray.DataArray
        Logarithmic growth of errors per generation, over (network, drawn, prompts, seed): log ρ(Q)
        or a Lyapunov exponent. ``network`` and ``drawn`` have the names.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each network. Curves are medians over designs, bands reach from least to most;
        the scale is linear up to 0.1 and logarithmic beyond.

    Notes
    -----
    New here; docs/explanation/networks.md.

    Examples
    --------
    >>> names = {"network": ["uniform"], "drawn": ["asked again", "drawn anew"]}
    >>> values = np.array([0.3, -0.1, -0.06])[None, None, :, None] * np.ones((1, 2, 1, 2))
    >>> growth = xr.DataArray(values, {**names, "prompts": [2, 5, 60], "seed": [0, 1]})
    >>> len(redrawn_prompts(growth).axes)
    1
    """
    fig, axes = new_figure(growth.sizes["network"])
    for ax, network in zip(axes, growth["network"].values, strict=True):
        for n, drawn in enumerate(growth["drawn"].values):
            of = growth.sel(network=network, drawn=drawn)
            color = PALETTE[n % len(PALETTE)]
            draw_curve(ax, of["prompts"], of.median("seed"), color=color, lw=2, label=str(drawn))
            _band(ax, of, "prompts", color)
        ax.axhline(0, color="0.3", lw=1, ls=":")
        ax.set(xscale="log", xlabel="prompts of a model in each generation")
        ax.set_yscale("symlog", linthresh=0.1)
        ax.set_ylim(float(growth.min()), float(growth.max()) * 1.1)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_locator(FixedLocator([-1, -0.5, -0.1, -0.05, 0, 0.05, 0.1, 0.5, 1]))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(FuncFormatter(lambda *_: ""))
        ax.set_ylabel("logarithmic growth of errors", fontsize=TEXT_SIZE)
        ax.set_title(str(network), fontsize=TITLE_SIZE)
    shared_legend(fig, axes[0].get_legend_handles_labels()[0])
    return fig
