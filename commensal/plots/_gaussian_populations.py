"""Figures of populations of Gaussian models: over generations, run by run, and by selection."""

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

from commensal.plots._style import (
    CLOSEST,
    DPI,
    HELD_OUT,
    LINEAGE,
    LINES,
    MARKS,
    NOBODY,
    NOISY_ORACLE,
    ORACLE,
    PALETTE,
    POPULATION,
    TEXT_SIZE,
    TITLE_SIZE,
    TRUTH,
    WIDTH,
    plain,
    shared_legend,
)

_BANDS = ((0.05, 0.95, 0.16), (0.25, 0.75, 0.30))  # quantiles, opacity
# Populations first, the lineage beside them second: apart also without colours.
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": POPULATION, "marker": "o"},
    {"color": LINEAGE, "marker": "s"},
)
_LABELS = {
    "mean_average": ("mean", "average μ (in units of the true σ)"),
    "std_average": ("standard deviation", "average σ (in units of the true one)"),
    "w2_median": ("squared W₂ distance to the truth", "W₂²"),
}
_WHO = {
    "nobody selects": NOBODY,
    "oracle selects": ORACLE,
    "held-out real points select": HELD_OUT,
    "100 held-out points select": HELD_OUT,
    "noisy oracle selects": NOISY_ORACLE,
}


def populations_over_time(runs: Mapping[str, xr.Dataset], shown: Mapping[str, int]) -> Figure:
    """Plot means and σ over the generations: one run of each kind, and bands of all runs.

    Parameters
    ----------
    runs : mapping from str to xarray.Dataset
        Runs, as :func:`commensal.sims.gaussian.simulate_populations` gives them, by the legend's
        name: populations, and single lineages (``population=1``), which have a colour of their own.
    shown : mapping from str to int
        Replicate of each that is drawn as a line.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 8, with the bands that it lacks: 5 to 95 % and 25 to 75 % of runs.
        Colours are those of :func:`populations_by_run`.
    """
    fig = Figure(figsize=(WIDTH, 0.42 * WIDTH), dpi=DPI, layout="constrained")
    axes = [plain(ax) for ax in fig.subplots(1, 2)]
    for ax, name in zip(axes, ("mean_average", "std_average"), strict=True):
        for n, (label, ds) in enumerate(runs.items()):
            color, t = _LOOKS[n % 2]["color"], ds["generation"].values
            for low, high, opacity in _BANDS:
                edges = ds[name].quantile([low, high], "replicate").values
                ax.fill_between(t, *edges, color=color, alpha=opacity, lw=0)
            one = ds[name].isel(replicate=shown[label])
            ax.plot(t, one, color=color, lw=1.1)
            some = np.linspace(0, t.size - 1, 15).astype(int)
            ax.plot(t[some], one[some], ms=4.5, mec="white", mew=0.5, ls="none", **_LOOKS[n % 2])
        _truth(ax, name)
        ax.set_xlabel("generation", fontsize=TEXT_SIZE)
        ax.set_ylabel(_LABELS[name][1], fontsize=TEXT_SIZE)
        ax.set_title(_LABELS[name][0], fontsize=TITLE_SIZE)
    handles: list[Any] = [
        Line2D([], [], ms=4.5, label=f"{label}: one run", **_LOOKS[n % 2])
        for n, label in enumerate(runs)
    ]
    handles.append(Patch(color="0.4", alpha=0.4, lw=0, label="bands: 50 and 90 % of all runs"))
    handles.append(Line2D([], [], label="the truth", **TRUTH))
    shared_legend(fig, handles)
    return fig


def populations_by_run(
    evolved: xr.Dataset, lineages: xr.Dataset, replicates: Sequence[int]
) -> Figure:
    """Plot mean, σ and W₂² over the generations, in one row for each of some independent runs.

    Parameters
    ----------
    evolved, lineages : xarray.Dataset
        Runs of populations and of single lineages (``population=1``), as
        :func:`commensal.sims.gaussian.simulate_populations` gives them.
    replicates : sequence of int
        Replicates that are drawn, one in a row.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 11, in the colours of its fig. 8 (its fig. 11 has the lineage blue and
        the population red). Of a population's distances both the closest model's and the median
        model's are drawn.
    """
    height = 1.45 * len(replicates) + 0.9
    fig = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    grid = fig.subplots(len(replicates), 3, squeeze=False, sharex=True, sharey="col")
    names = ("mean_average", "std_average", "w2_median")
    alone: dict[str, Any] = {"color": LINEAGE, "lw": 1.3, "ls": (0, (5, 1))}
    for axes, r in zip(grid, replicates, strict=True):
        for ax, name in zip(axes, names, strict=True):
            plain(ax)
            if name == "w2_median":
                best = _positive(evolved["w2_best"].isel(replicate=r))
                ax.plot(evolved["generation"], best, color=CLOSEST, lw=0.6, zorder=1)
                ax.set_yscale("log")
                ax.yaxis.set_major_locator(LogLocator(numticks=5))
                ax.yaxis.set_minor_formatter(NullFormatter())
            for ds, look in ((lineages, alone), (evolved, {"color": POPULATION, "lw": 0.9})):
                values = ds[name].isel(replicate=r)
                ax.plot(ds["generation"], _positive(values) if name in _LOG else values, **look)
            _truth(ax, name)
        for ax, symbol in zip(axes, ("average μ", "average σ", "W₂²"), strict=True):
            ax.set_ylabel(symbol, fontsize=TEXT_SIZE)
        axes[0].set_ylabel(f"run {r + 1}\naverage μ", fontsize=TEXT_SIZE)
    for ax, name in zip(grid[0], names, strict=True):
        ax.set_title(_LABELS[name][0], fontsize=TITLE_SIZE)
    for ax in grid[-1]:
        ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    shared_legend(
        fig,
        [
            Line2D([], [], color=POPULATION, label="population (average; W₂²: median model)"),
            Line2D([], [], color=CLOSEST, label="its closest model"),
            Line2D([], [], label="single lineage", **alone),
            Line2D([], [], label="the truth", **TRUTH),
        ],
    )
    return fig


_LOG = ("w2_median",)


def _positive(values: xr.DataArray) -> xr.DataArray:
    """Drop distances of 0, as at the start, which a logarithmic axis cannot show."""
    return values.where(values > 0)


def selection_ablation(
    settings: xr.Dataset, curves: Mapping[str, xr.Dataset], levels: Mapping[str, Any]
) -> Figure:
    """Plot how far populations end up from the truth, by selection, mixing and teaching.

    Parameters
    ----------
    settings : xarray.Dataset
        Dimension ``setting`` (its coordinate has the names), in the order of reading: ``w2``, its
        quantiles ``w2_low`` and ``w2_high``, and ``family``, which names the colour.
    curves : mapping from str to xarray.Dataset
        A panel for each, titled by its key: ``w2``, ``w2_low``, ``w2_high`` over (curve, x), with
        ``x`` a positive coordinate whose ``long_name`` is the axis's label. An attribute
        ``family`` says that one and the same kind selects in all curves.
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
        color = _WHO.get(family, PALETTE[n % len(PALETTE)])
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
    ax.set_xlabel(
        "squared W₂ distance of the median model (at right: median over populations)",
        fontsize=TEXT_SIZE,
    )
    ax.grid(axis="x", alpha=0.3, lw=0.5)
    ax.legend(
        fontsize=TEXT_SIZE, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False
    )


def _levels(ax: Axes, ds: xr.Dataset, levels: Mapping[str, Any]) -> None:
    x, family = ds["x"].values, ds.attrs.get("family")
    for n, curve in enumerate(ds["curve"].values.tolist()):
        one, color = ds.sel(curve=curve), _WHO.get(family or curve, PALETTE[n % len(PALETTE)])
        ax.fill_between(x, one["w2_low"], one["w2_high"], color=color, alpha=0.15, lw=0)
        look: dict[str, Any] = {"color": color, "marker": MARKS[n % 4], "ms": 4, "lw": 1.2}
        if family:  # marks and dashes alone tell them apart
            look |= {"ls": LINES[n % 4], "mfc": (color, "white", "white", "white")[n % 4]}
        ax.plot(x, one["w2"], label=curve, **look)
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
        ax.axhline({"mean_average": 0, "std_average": 1}[name], **TRUTH)
