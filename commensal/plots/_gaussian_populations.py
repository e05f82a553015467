"""Populations of Gaussian models: over the generations, run by run, and by what selects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from commensal.plots._style import DPI, MARKS, PALETTE, TEXT_SIZE, TITLE_SIZE, WIDTH, plain

_BANDS = ((0.05, 0.95, 0.16), (0.25, 0.75, 0.30))  # quantiles, opacity
_TRUTH: dict[str, Any] = {"color": "0.35", "lw": 0.8, "ls": "--", "zorder": 1}


def populations_over_time(runs: Mapping[str, xr.Dataset], shown: Mapping[str, int]) -> Figure:
    """Means and σ over the generations: one run of each kind, and bands of all of them.

    Parameters
    ----------
    runs : mapping from str to xarray.Dataset
        What :func:`commensal.sims.gaussian.simulate_populations` gives, by the legend's name.
    shown : mapping from str to int
        Which replicate of each is drawn as a line.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 8, with the bands that it lacks: 5 to 95 % and 25 to 75 % of runs.
    """
    fig = Figure(figsize=(WIDTH, 0.42 * WIDTH), dpi=DPI, layout="constrained")
    axes = [plain(ax) for ax in fig.subplots(1, 2)]
    for ax, name in zip(axes, ("mean_average", "std_average"), strict=True):
        for n, (label, ds) in enumerate(runs.items()):
            color, t = PALETTE[-n % 2], ds["generation"].values
            for low, high, opacity in _BANDS:
                edges = ds[name].quantile([low, high], "replicate").values
                ax.fill_between(t, *edges, color=color, alpha=opacity, lw=0)
            one = ds[name].isel(replicate=shown[label])
            ax.plot(t, one, color=color, lw=1.1)
            some = np.linspace(0, t.size - 1, 15).astype(int)
            marker = "o" if name == "mean_average" else "s"
            ax.plot(t[some], one[some], marker, color=color, ms=4)
        _truth(ax, name)
        ax.set_xlabel("generation")
    axes[0].set_title("average of the models' means μ", fontsize=TITLE_SIZE)
    axes[1].set_title("average of the models' σ", fontsize=TITLE_SIZE)
    handles: list[Any] = [
        Line2D([], [], color=PALETTE[-n % 2], marker="o", ms=4, label=f"{label}: one run")
        for n, label in enumerate(runs)
    ]
    handles.append(Patch(color="0.4", alpha=0.4, lw=0, label="5, 25, 75, 95 % of all runs"))
    handles.append(Line2D([], [], label="the truth", **_TRUTH))
    fig.legend(
        handles=handles,
        loc="outside lower center",
        ncols=2,
        fontsize=TEXT_SIZE,
        frameon=False,
    )
    return fig


def populations_by_run(
    evolved: xr.Dataset, lineages: xr.Dataset, replicates: Sequence[int]
) -> Figure:
    """Mean, σ and W₂² over the generations, a row for each of some independent runs.

    Parameters
    ----------
    evolved, lineages : xarray.Dataset
        What :func:`commensal.sims.gaussian.simulate_populations` gives, for populations and for
        single lineages (``population=1``).
    replicates : sequence of int
        Which are drawn, one in a row.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 11. Of a population's distances both the closest model's and the
        median model's are drawn.
    """
    height = 1.45 * len(replicates) + 0.9
    fig = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    grid = fig.subplots(len(replicates), 3, squeeze=False, sharex=True, sharey="col")
    names = ("mean_average", "std_average", "w2_median")
    red, blue = PALETTE[1], PALETTE[0]
    for axes, r in zip(grid, replicates, strict=True):
        for ax, name in zip(axes, names, strict=True):
            plain(ax)
            for ds, color in ((lineages, blue), (evolved, red)):
                ax.plot(ds["generation"], ds[name].isel(replicate=r), color=color, lw=0.9)
            if name == "w2_median":
                best = evolved["w2_best"].isel(replicate=r)
                ax.plot(evolved["generation"], best, color=PALETTE[4], lw=0.6, zorder=1)
                ax.set_yscale("log")
                least = evolved["w2_best"].isel(
                    replicate=list(replicates), generation=slice(1, None)
                )
                ax.set_ylim(bottom=float(least.quantile(0.01)))
            _truth(ax, name)
        axes[0].set_ylabel(f"run {r}", fontsize=TEXT_SIZE)
    titles = ("mean", "standard deviation", "squared W₂ distance to the truth")
    for ax, title in zip(grid[0], titles, strict=True):
        ax.set_title(title, fontsize=TITLE_SIZE)
    for ax in grid[-1]:
        ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    fig.legend(
        handles=[
            Line2D([], [], color=red, label="population (average; median model's distance)"),
            Line2D([], [], color=PALETTE[4], label="its closest model"),
            Line2D([], [], color=blue, label="single lineage"),
            Line2D([], [], label="the truth", **_TRUTH),
        ],
        loc="outside lower center",
        ncols=4,
        fontsize=TEXT_SIZE,
        frameon=False,
    )
    return fig


def selection_ablation(
    settings: xr.Dataset, curves: Mapping[str, xr.Dataset], levels: Mapping[str, Any]
) -> Figure:
    """How far populations end up from the truth, by what selects, mixes and teaches them.

    Parameters
    ----------
    settings : xarray.Dataset
        Dimension ``setting`` (its coordinate has the names), in the order of reading: ``w2``, its
        quantiles ``w2_low`` and ``w2_high``, and ``family``, which names the colour.
    curves : mapping from str to xarray.Dataset
        A panel for each, titled by its key: ``w2``, ``w2_low``, ``w2_high`` over (curve, x), with
        ``x`` a positive coordinate whose ``long_name`` is the axis's label.
    levels : mapping from str to mapping from str to pair
        For a panel's key, lines of reference by name, as (x values, y values).

    Returns
    -------
    matplotlib.figure.Figure
        Points are medians over populations, bars and bands their 5 to 95 % quantiles.
    """
    rows = -(-len(curves) // 2)
    heights = 0.19 * settings.sizes["setting"] + 0.9, 3.0 * rows
    fig = Figure(figsize=(WIDTH, sum(heights)), dpi=DPI, layout="constrained")
    # apart, because long names of settings need no room beside the panels
    parts: Any = fig.subfigures(2, 1, height_ratios=heights)
    above, below = parts
    _dots(plain(above.subplots()), settings)
    axes = list(below.subplots(rows, 2, squeeze=False).flat)
    for ax in axes[len(curves) :]:
        ax.remove()
    for ax, (name, ds) in zip(axes, curves.items(), strict=False):
        _levels(plain(ax), ds, levels.get(name, {}))
        ax.set_title(name, fontsize=TITLE_SIZE)
    below.supylabel("squared W₂ distance of the median model", fontsize=TEXT_SIZE)
    return fig


def _dots(ax: Axes, settings: xr.Dataset) -> None:
    families = list(dict.fromkeys(settings["family"].values.tolist()))
    at = np.arange(settings.sizes["setting"])[::-1]
    for n, family in enumerate(families):
        of = settings["family"].values == family
        w2, low, high = (settings[x].values[of] for x in ("w2", "w2_low", "w2_high"))
        color = PALETTE[n % len(PALETTE)]
        ax.hlines(at[of], low, high, color=color, lw=3, alpha=0.35)
        ax.plot(w2, at[of], MARKS[n % 4], color=color, ms=5, label=family)
        for y, value in zip(at[of], w2, strict=True):
            ax.annotate(
                f"{value:.2g}",
                (1.005, y),
                xycoords=("axes fraction", "data"),
                fontsize=TEXT_SIZE - 1,
                va="center",
                color=color,
            )
    ax.set_yticks(at, settings["setting"].values.tolist(), fontsize=TEXT_SIZE - 0.5)
    ax.set(xscale="log", ylim=(-0.7, at.size - 0.3))
    ax.set_xlabel("squared W₂ distance of the median model (at right: median over populations)")
    ax.grid(axis="x", alpha=0.3, lw=0.5)
    ax.legend(fontsize=TEXT_SIZE, loc="upper left", framealpha=0.9)


def _levels(ax: Axes, ds: xr.Dataset, levels: Mapping[str, Any]) -> None:
    x = ds["x"].values
    for n, curve in enumerate(ds["curve"].values.tolist()):
        one, color = ds.sel(curve=curve), PALETTE[n % len(PALETTE)]
        ax.fill_between(x, one["w2_low"], one["w2_high"], color=color, alpha=0.15, lw=0)
        ax.plot(x, one["w2"], marker=MARKS[n % 4], color=color, ms=4, lw=1.2, label=curve)
    for style, (label, (at, value)) in zip((":", "--", "-."), levels.items(), strict=False):
        ax.plot(at, value, style, color="0.2", lw=1, label=label)
    ax.set(xscale="log", yscale="log", xlabel=ds["x"].attrs.get("long_name", "x"))
    near = x.max() < 100 * x.min()
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if near else (1,)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(alpha=0.25, lw=0.5)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * (high / low) ** 0.4)  # room for the legend above the curves
    ax.legend(fontsize=TEXT_SIZE - 1, framealpha=0.8, loc="upper center", ncols=2)


def _truth(ax: Axes, name: str) -> None:
    if name != "w2_median":
        ax.axhline({"mean_average": 0, "std_average": 1}[name], **_TRUTH)
