"""Figures of reading networks: stability, agreement, and how many prompts make a system safe."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, PercentFormatter

from commensal.plots._style import (
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    draw_curve,
    mark,
    new_figure,
    shared_legend,
)

_UNSTABLE: dict[str, Any] = {"color": PALETTE[1], "lw": 1.2, "marker": "o", "ms": 3}
_MARKS = (*MARKS, "v", "P")  # one for each kind of network
_KINDS = {
    "self": "self, and all others alike",
    "blocs": "two blocs",
    "shares": "one leader",
    "uniform": "all alike",
}


def reading_stability(stability: xr.DataArray) -> Figure:
    """Plot growth of errors over the share that a model reads of itself, by regime of prompts.

    Parameters
    ----------
    stability : xarray.DataArray
        Spectral radius ρ, over (regime, self_share, seed); ``regime`` has the names.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each regime: every design as a thin line, with points where it is unstable,
        the median as a thick one.

    Notes
    -----
    New here; docs/explanation/networks.md.

    Examples
    --------
    >>> names = {"regime": ["private prompts", "fresh"], "self_share": [0.0, 1.0], "seed": [0]}
    >>> len(reading_stability(xr.DataArray(np.ones((2, 2, 1)), names)).axes)
    2
    """
    fig, axes = new_figure(stability.sizes["regime"])
    if len(axes) == 4:  # what is looked at runs from left to right
        fig.set_size_inches(WIDTH, 0.72 * WIDTH)
    low, high = float(stability.min()), max(1.05, float(stability.max()))
    room = 0.04 * (high - low)
    known: list[Any] = [
        Line2D([], [], color="black", lw=2, label="median"),
        Line2D([], [], color=PALETTE[0], lw=0.8, label="one design"),
        Line2D([], [], **_UNSTABLE, label="unstable"),
    ]
    for ax, regime in zip(axes, stability["regime"].values, strict=True):
        of = stability.sel(regime=regime).transpose("seed", "self_share")
        x = of["self_share"].values
        for y in of.values:
            ax.plot(x, y, color=PALETTE[0], lw=0.8, alpha=0.5)
            ax.plot(x, np.where(y > 1 + 1e-9, y, np.nan), **_UNSTABLE)
        draw_curve(ax, x, of.median("seed"), color="black", lw=2)
        ax.axhline(1, color="0.3", lw=1, ls=":")
        ax.set_ylim(low - room, high + room)
        ax.set_xlabel("s: share that a model reads of itself", fontsize=TEXT_SIZE)
        ax.set_ylabel("ρ: growth of errors", fontsize=TEXT_SIZE)
        ax.set_title(str(regime), fontsize=TITLE_SIZE)
    shared_legend(fig, known)
    return fig


def reading_agreement(agreement: xr.Dataset) -> Figure:
    """Plot distance between models, and efficiency, over the models that one effectively reads.

    Parameters
    ----------
    agreement : xarray.Dataset
        ``consensus_distance`` and ``relative_efficiency`` (mean over models), over (network, seed);
        ``sources`` (network), the models that a model effectively reads.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each; points are medians over designs, bars reach from least to most. The kind
        of network is told by marks.

    Notes
    -----
    New here; docs/explanation/networks.md.

    Examples
    --------
    >>> share = xr.DataArray([[0.3], [0.1]], {"network": ["ring", "star"], "seed": [0]})
    >>> both = xr.Dataset({"consensus_distance": share, "relative_efficiency": share})
    >>> len(reading_agreement(both.assign(sources=("network", [1.0, 4.0]))).axes)
    2
    """
    fig, axes = new_figure(2)
    kinds = [str(name).partition(":")[0] for name in agreement["network"].values]
    known: list[Any] = []
    titles = {
        "consensus_distance": ("distance between models", "Homogenisation"),
        "relative_efficiency": ("relative efficiency", "Efficiency"),
    }
    for n, kind in enumerate(dict.fromkeys(kinds)):
        here = [i for i, other in enumerate(kinds) if other == kind]
        style = mark(_MARKS[n % len(_MARKS)], PALETTE[n % len(PALETTE)], 7.0)
        known.append(Line2D([], [], label=_KINDS.get(kind, kind), **style))
        for ax, name in zip(axes, titles, strict=True):
            part = agreement.isel(network=here)
            least, middle, most = (part[name].quantile(q, "seed").values for q in (0, 0.5, 1))
            ends = np.array([middle - least, most - middle])
            ax.errorbar(part["sources"].values, middle, ends, **style)
    for ax, (label, title) in zip(axes, titles.values(), strict=True):
        ax.set_xlabel("models that a model effectively reads", fontsize=TEXT_SIZE)
        ax.set_ylabel(label, fontsize=TEXT_SIZE)
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.set_ylim(bottom=0)
    shared_legend(fig, known)
    return fig


def prompts_safety(safety: xr.DataArray, any_prompts: xr.DataArray) -> Figure:
    """Plot the human share that is enough over the number of different prompts.

    Parameters
    ----------
    safety : xarray.DataArray
        Share of fresh human data that is enough for given prompts and any real data, over (models,
        prompts, seed).
    any_prompts : xarray.DataArray
        Share that is enough whatever the prompts are too, over (models).

    Returns
    -------
    matplotlib.figure.Figure
        Curves are medians over draws of prompts, bands reach from least to most.

    Notes
    -----
    New here; docs/explanation/networks.md.

    Examples
    --------
    >>> names = {"models": [2], "prompts": [5, 50], "seed": [0, 1]}
    >>> share = xr.DataArray([[[0.15, 0.17], [0.05, 0.06]]], names)
    >>> len(prompts_safety(share, xr.DataArray([0.172], {"models": [2]})).axes)
    1
    """
    fig, (ax,) = new_figure(1)
    fig.set_size_inches(WIDTH, 0.6 * WIDTH)
    for n, k in enumerate(safety["models"].values):
        of, color = safety.sel(models=k), PALETTE[n % len(PALETTE)]
        label = f"K = {k} models"
        draw_curve(ax, of["prompts"], of.median("seed"), color=color, lw=2, label=label)
        _band(ax, of, "prompts", color)
        ax.axhline(float(any_prompts.sel(models=k)), color=color, lw=1.2, ls="--")
    handles = [
        *ax.get_legend_handles_labels()[0],
        Line2D([], [], color="black", lw=1.2, ls="--", label="enough for any prompts"),
    ]
    ax.set(xscale="log")
    ax.set_xlabel("different prompts of each model", fontsize=TEXT_SIZE)
    ax.set_ylabel("human share that is enough", fontsize=TEXT_SIZE)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_title("Safe whatever the real data are", fontsize=TITLE_SIZE)
    shared_legend(fig, handles)
    return fig


def _band(ax: Axes, values: xr.DataArray, over: str, color: str) -> None:
    low, high = (values.quantile(q, "seed").values for q in (0, 1))
    ax.fill_between(values[over].values, low, high, color=color, alpha=0.15, lw=0)


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
