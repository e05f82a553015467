"""Figures of ecosystems on segmented data: the best number of models, its gain, the models."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import NullLocator

from commensal.plots._style import (
    ALONE,
    MARKS,
    PALETTE,
    POOLED,
    SLOWER,
    TEXT_SIZE,
    TITLE_SIZE,
    draw_curve,
    mark,
    new_figure,
    shared_legend,
)

_TITLES = {
    "perplexity": "perplexity",
    "chi_square": "χ² distance",
    "squares": "sum of squares",
}
# white on the dark map, and seen on white paper, too
_BEST: dict[str, Any] = {
    "color": "white",
    "lw": 1.6,
    "path_effects": [Stroke(linewidth=3.2, foreground="black"), Normal()],
}
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def ecosystem_phases(ds: xr.Dataset) -> Figure:
    """Map the best number of models over the hold λ of a model and the budget of tokens.

    Parameters
    ----------
    ds : xarray.Dataset
        Table of ``best_models`` (measure, tokens, hold), tokens and hold rising and above 0.
        Optional: ``best_hold`` (measure, tokens), the λ at which one model does best;
        ``window_low`` and ``window_high`` (measure, tokens), between which more than one are said
        to be better. NaN is left out. An attribute ``most_tried`` says which number of models was
        the largest.

    Returns
    -------
    matplotlib.figure.Figure
        Figure with a panel per measure.
    """
    names = [str(name) for name in ds["measure"].values]
    fig, axes = new_figure(len(names))
    most = int(ds["best_models"].max())
    # a step between two numbers belongs to the lower one
    low = [step for step in _STEPS if step <= most] or [1]
    edges = [0.5, *(step - 0.5 for step in low[1:]), most + 0.5]
    colors = colormaps["viridis"].resampled(max(len(edges) - 1, 2))
    norm = (
        BoundaryNorm(edges, len(edges) - 1) if len(edges) > 2 else BoundaryNorm([0.5, 1.5, 2.5], 2)
    )
    mesh: Any = None
    known: dict[str, Any] = {}
    for ax, name in zip(axes, names, strict=True):
        of = ds.sel(measure=name)
        x, y = of["hold"].values, of["tokens"].values
        values = of["best_models"].transpose("tokens", "hold").values
        mesh = ax.pcolormesh(_edges(x), _edges(y), values, cmap=colors, norm=norm)
        ax.set(xscale="log", yscale="log", xlim=_edges(x)[[0, -1]], ylim=_edges(y)[[0, -1]])
        if "best_hold" in of and not np.isnan(of["best_hold"]).all():
            ax.plot(of["best_hold"].values, y, **_BEST)
            known["best"] = Line2D([], [], label="the λ at which one model does best", **_BEST)
        for side in ("window_low", "window_high"):
            if side in of and not np.isnan(of[side]).all():
                look: dict[str, Any] = {"color": PALETTE[1], "lw": 1.4, "ls": "--"}
                ax.plot(of[side].values, y, **look)
                label = "between these several are better (leading order)"
                known["window"] = Line2D([], [], label=label, **look)
        ax.set_title(f"by {_TITLES.get(name, name)}", fontsize=TITLE_SIZE)
        ax.set_xlabel("λ: tokens a model holds on to", fontsize=TEXT_SIZE)
    axes[0].set_ylabel("N: tokens of all models together", fontsize=TEXT_SIZE)
    bar = fig.colorbar(mesh, ax=axes, label="best number of models M", pad=0.02)
    bar.set_ticks([(a + b) / 2 for a, b in pairwise(edges)])
    steps = [_step(a, b) for a, b in pairwise(edges)]
    if most == ds.attrs.get("most_tried"):
        steps[-1] += " or more"
    bar.set_ticklabels(steps)
    bar.ax.minorticks_off()
    shared_legend(fig, list(known.values()))
    return fig


def ecosystem_gain(ds: xr.Dataset) -> Figure:
    """Plot the gain of M models over one, split in two ways, each with its control.

    Parameters
    ----------
    ds : xarray.Dataset
        Means over generations ``one``, ``alone``, ``slower`` and ``ecosystem`` (models), see
        :class:`commensal.theory.ecosystem.Gain`. Optional: ``simulated_ecosystem`` and so on
        (models, replicate). Its attribute ``measure`` names the axis.

    Returns
    -------
    matplotlib.figure.Figure
        On the left the measures themselves, on the right the two splits of the gain. Lines are
        the closed form; points, where there are simulated runs, their mean and two standard errors.
    """
    fig, axes = new_figure(2)
    models = ds["models"].values
    curves = (
        ("one", "one model on N tokens", "0.35"),
        ("alone", "one model on N/M tokens", ALONE),
        ("slower", "one on N tokens that moves as little (hold Mλ)", SLOWER),
        ("ecosystem", "M models on N/M tokens that pool", POOLED),
    )
    measure = ds.attrs.get("measure", "perplexity")
    for (name, label, color), marker in zip(curves, MARKS, strict=True):
        draw_curve(axes[0], models, ds[name].values, color=color, lw=1.6)
        sample, look = f"simulated_{name}", mark(marker, color, 4.5)
        if sample in ds:
            _with_errors(axes[0], models, ds[sample], look)
        axes[0].plot([], [], label=label, **look | {"ls": "-", "lw": 1.6})
    simulated = any(f"simulated_{name}" in ds for name, _, _ in curves)
    if simulated:
        axes[0].errorbar(
            [], [], [], label="points: simulated, ± 2 standard errors", **mark("o", "0.5", 4.5)
        )
    axes[0].set_ylabel(f"mean {measure} over the generations (lower is better)", fontsize=TEXT_SIZE)
    axes[0].set_title("an ecosystem and what to compare it with", fontsize=TITLE_SIZE)
    parts = (
        (ds["one"] - ds["alone"], "fewer tokens: moving less, noisier text", ALONE, "-"),
        (ds["alone"] - ds["ecosystem"], "+ pooling", ALONE, "--"),
        (ds["one"] - ds["slower"], "moving less, on the same text", SLOWER, "-"),
        (ds["slower"] - ds["ecosystem"], "+ dealing out to many", SLOWER, "--"),
        (ds["one"] - ds["ecosystem"], "= gain of M models (either sum)", POOLED, "-"),
    )
    for values, label, color, dashes in parts:
        wide = 2.6 if color == POOLED else 1.6
        draw_curve(axes[1], models, values.values, color=color, ls=dashes, lw=wide, label=label)
    axes[1].axhline(0, color="0.35", lw=0.8)
    axes[1].set_ylabel(f"gain over one model on N tokens (in {measure})", fontsize=TEXT_SIZE)
    axes[1].set_title("two ways to split the gain: solid + dashed", fontsize=TITLE_SIZE)
    for ax in axes:
        _log_models(ax, models)
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.11), fontsize=TEXT_SIZE - 1, frameon=False
        )
    return fig


def ecosystem_perplexities(
    runs: Mapping[str, xr.Dataset], generations: tuple[int, ...] = ()
) -> Figure:
    """Plot the distribution of the models' perplexities, within and between runs.

    Parameters
    ----------
    runs : mapping from str to xarray.Dataset
        Runs, as :func:`commensal.sims.ecosystem.simulate` gives them, by the legend's name.
    generations : sequence of int
        Generations that are drawn, a panel each; none: the first and the last.

    Returns
    -------
    matplotlib.figure.Figure
        `diversity` fig. 5, of models instead of texts: quantiles of all models of all runs, and
        as a bar the perplexity of what the models write together.
    """
    first = next(iter(runs.values()))
    shown = generations or tuple(
        dict.fromkeys((int(first["generation"][0]), int(first["generation"][-1])))
    )
    fig, axes = new_figure(len(shown))
    for ax, fit in zip(axes, shown, strict=True):
        for i, ds in enumerate(runs.values()):
            color = PALETTE[i % len(PALETTE)]
            values = ds["model_perplexity"].sel(generation=fit).values.ravel()
            values = values[np.isfinite(values)]
            if not values.size:
                continue  # each has lost a type: nothing to draw
            if np.unique(values).size > 2:  # fewer have no density
                parts: Any = ax.violinplot([values], [i], widths=0.8, showextrema=False)
                parts["bodies"][0].set(facecolor=color, alpha=0.45, lw=0)
            low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
            ax.vlines(i, low, high, color=color, lw=1.6)
            ax.plot(i, middle, **mark("o", color, 5.0))
            pool = float(ds["pool_perplexity"].sel(generation=fit).mean())
            ax.hlines(pool if np.isfinite(pool) else np.nan, i - 0.38, i + 0.38, color="0.2")
        ax.set_xticks(range(len(runs)), list(runs), fontsize=TEXT_SIZE)
        ax.set_title(f"after fit {fit}", fontsize=TITLE_SIZE)
        ax.set_ylabel("perplexity on the true law", fontsize=TEXT_SIZE)
    shared_legend(
        fig,
        [
            Line2D(
                [], [], color="0.4", marker="o", ms=5, label="models: density, median, 5 to 95 %"
            ),
            Line2D([], [], color="0.2", label="what they write together"),
        ],
    )
    return fig


def _with_errors(ax: Axes, models: np.ndarray, sample: xr.DataArray, look: dict[str, Any]) -> None:
    count = sample.sizes["replicate"]
    error = 2 * sample.std("replicate", ddof=1) / np.sqrt(count) if count > 1 else None
    where: Any = None if error is None else error.values
    ax.errorbar(models, sample.mean("replicate").values, where, **look)


def _log_models(ax: Axes, models: np.ndarray) -> None:
    ax.set_xscale("log", base=2)
    powers = [m for m in models if m & (m - 1) == 0]
    ax.set_xticks(powers, [str(m) for m in powers])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("M: number of models", fontsize=TEXT_SIZE)


def _step(low: float, high: float) -> str:
    first, last = int(low + 0.5), int(high - 0.5)
    return str(first) if first == last else f"{first} to {last}"


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the borders of the cells around the points of a logarithmic grid."""
    logs = np.log(np.asarray(centres, dtype=float))
    if logs.size == 1:
        return np.exp([logs[0] - 0.1, logs[0] + 0.1])
    inner = (logs[1:] + logs[:-1]) / 2
    return np.exp([1.5 * logs[0] - 0.5 * logs[1], *inner, 1.5 * logs[-1] - 0.5 * logs[-2]])
