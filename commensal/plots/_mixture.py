"""Figures of webs of interacting Gaussian mixtures: how far apart the models are, and its falls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from commensal.plots._style import (
    DPI,
    LAW,
    LINES,
    MARKS,
    NORM,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    new_figure,
    plain,
    shared_legend,
)

_RUN: dict[str, Any] = {"color": "0.55", "lw": 0.8}


def disagreements(runs: xr.Dataset, theory: xr.DataArray | None = None, shown: int = 5) -> Figure:
    """Plot ‖D‖_F over the generations: some runs as the paper draws them, and their RMS.

    Parameters
    ----------
    runs : xarray.Dataset
        Runs, as :func:`commensal.sims.mixture.simulate` gives them.
    theory : xarray.DataArray or None
        Root mean square of ‖D‖_F over ``generation``, laid over the runs.
    shown : int
        Number of runs that are drawn one by one.

    Returns
    -------
    matplotlib.figure.Figure
        Left: linear scales, as `webdynamics` fig. 4. Right: logarithmic, with 5 to 95 % of runs.

    Examples
    --------
    >>> from commensal.sims import mixture
    >>> runs = mixture.simulate(mixture.MixtureConfig(generations=10, replicates=8))
    >>> len(disagreements(runs).axes)
    2
    """
    norm = runs["disagreement"]
    t = norm["generation"].values
    fig, (left, right) = new_figure(2)
    shown = min(shown, norm.sizes["replicate"])
    for r in range(shown):
        left.plot(t, norm.isel(replicate=r), **_RUN)
    left.set_ylim(bottom=0)
    left.set_title(f"{shown} runs, linear scales", fontsize=TITLE_SIZE)
    later = norm.sel(generation=slice(1, None))
    low, high = later.quantile([0.05, 0.95], "replicate").values
    rms = np.sqrt((later**2).mean("replicate"))
    at = later["generation"].values
    right.fill_between(at, low, high, color=PALETTE[0], alpha=0.2, lw=0)
    right.plot(at, rms, color=PALETTE[0], lw=1.6)
    right.set(xscale="log", yscale="log")
    count = f"{norm.sizes['replicate']:,} runs"
    right.set_title(f"{count}, logarithmic scales", fontsize=TITLE_SIZE)
    known: list[Any] = [
        Line2D([], [], label="one run", **_RUN),
        Line2D([], [], color=PALETTE[0], lw=1.6, label="root mean square of all runs"),
        Patch(color=PALETTE[0], alpha=0.2, lw=0, label="5 to 95 % of all runs"),
    ]
    if theory is not None:
        left.plot(theory["generation"], theory, **LAW)
        positive = theory.sel(generation=slice(1, None))
        right.plot(positive["generation"], positive, **LAW)
        known.append(Line2D([], [], label="root mean square, theory", **LAW))
    for ax in (left, right):
        ax.set_xlabel("generation", fontsize=TEXT_SIZE)
        ax.set_ylabel(NORM, fontsize=TEXT_SIZE)
    shared_legend(fig, known)
    return fig


def mixture_histograms(points: xr.DataArray, densities: xr.DataArray) -> Figure:
    """Plot histograms of the models' early and late posts, with the densities behind them.

    Parameters
    ----------
    points : xarray.DataArray
        Points on a line, (generation, model, point).
    densities : xarray.DataArray
        Densities of the models, (generation, model, x).

    Returns
    -------
    matplotlib.figure.Figure
        A row per generation, a column per model; `webdynamics` fig. 5.
    """
    times, models = densities["generation"].values, densities["model"].values
    fig = Figure(figsize=(WIDTH, 2.2 * len(times) + 0.5), dpi=DPI, layout="constrained")
    axes = fig.subplots(len(times), len(models), sharex=True, sharey=True, squeeze=False)
    x = densities["x"].values
    for (i, k), ax in np.ndenumerate(axes):
        plain(ax)
        at = {"generation": times[i], "model": models[k]}
        color = PALETTE[k % len(PALETTE)]
        ax.hist(points.sel(at), bins=60, range=(x[0], x[-1]), density=True, color=color, alpha=0.4)
        ax.plot(x, densities.sel(at), color=color, lw=1.2)
        if i == 0:
            ax.set_title(f"model {k + 1}", fontsize=TITLE_SIZE)
        if k == 0:
            ax.set_ylabel(f"t = {times[i]}\nprobability density", fontsize=TEXT_SIZE)
        if i == len(times) - 1:
            ax.set_xlabel("x: what a model writes", fontsize=TEXT_SIZE)
    count = points.sizes["point"]
    shared_legend(
        fig,
        [
            Patch(color="0.5", alpha=0.4, label=f"histogram of {count:,} points that it writes"),
            Line2D([], [], color="0.3", lw=1.2, label="density of its mixture"),
        ],
    )
    return fig


def sudden_falls(
    runs: Mapping[str, xr.Dataset],
    shown: Mapping[str, int],
    theory: xr.DataArray,
    counts: xr.Dataset,
) -> Figure:
    """Plot two causes of a sudden fall of ‖D‖_F: noise of the draws, or a model caught and freed.

    Parameters
    ----------
    runs : mapping from str to xarray.Dataset
        Two sets of runs with ``weights``, by title: of separated and of overlapping components.
    shown : mapping from str to int
        Run of each set that is drawn.
    theory : xarray.DataArray
        Root mean square of ‖D‖_F over ``generation``.
    counts : xarray.Dataset
        ``simulated`` and ``theory``, expected falls per run over ``factor``, each (kind, factor).

    Returns
    -------
    matplotlib.figure.Figure
        `webdynamics` fig. 6, examined: the two runs, the smallest weights of the second run's
        models, and how often ‖D‖_F falls by a factor within one generation.
    """
    fig = Figure(figsize=(WIDTH, 0.72 * WIDTH), dpi=DPI, layout="constrained")
    (first, second), (third, fourth) = fig.subplots(2, 2)
    for ax, (title, ds) in zip((first, second), runs.items(), strict=True):
        norm = ds["disagreement"]
        one = norm.isel(replicate=shown[title])
        ax.plot(norm["generation"], one, color=PALETTE[0], lw=1, label="one run")
        median = norm.median("replicate")
        ax.plot(norm["generation"], median, color="0.55", lw=1, label="median of all runs")
        ax.plot(theory["generation"], theory, label="theory (separated)", **LAW)
        ax.set(yscale="log", xlabel="generation", ylabel=NORM)
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.legend(fontsize=TEXT_SIZE, frameon=False)
    caught = list(runs)[1]
    _caught_weights(third, runs[caught].isel(replicate=shown[caught]))
    for n, kind in enumerate(counts["kind"].values.tolist()):
        color, one = PALETTE[n % len(PALETTE)], counts.sel(kind=kind)
        fourth.plot(
            one["factor"], one["theory"], color=color, ls=LINES[n % 4], label=f"{kind}: theory"
        )
        fourth.plot(
            one["factor"],
            one["simulated"],
            MARKS[n % 4],
            color=color,
            mfc="none",
            label=f"{kind}: simulated",
        )
    fourth.set(yscale="log", xlabel="factor by which ‖D‖$_F$ falls in one generation")
    fourth.set_ylabel("expected falls in a run")
    fourth.set_title("falls by the noise of the draws alone", fontsize=TITLE_SIZE)
    fourth.legend(fontsize=TEXT_SIZE, frameon=False)
    for ax in (first, second, third, fourth):
        plain(ax)
    return fig


def _caught_weights(ax: Axes, run: xr.Dataset) -> None:
    """Plot the weights of the component that a model loses by mid-run and regains by the end."""
    weights = run["weights"]
    # of ratios: a weight of 1e-10 beside 0.1 is caught, whatever the others' differences are
    ratio = weights.max("model") / weights.min("model")
    spread = xr.apply_ufunc(np.log, ratio)
    half = spread.sizes["generation"] // 2
    fell = spread.isel(generation=half) - spread.isel(generation=-1)
    component = int(np.argmax(fell.values))
    for k, model in enumerate(weights["model"].values):
        one = weights.sel(model=model).isel(component=component)
        look = {"color": PALETTE[k % len(PALETTE)], "ls": LINES[k % 4], "lw": 1.2}
        ax.plot(one["generation"], one, label=f"model {k + 1}", **look)
    ax.set(yscale="log", xlabel="generation", ylabel=f"weight of component {component + 1}")
    ax.set_title("the same run as above: a weight that is caught", fontsize=TITLE_SIZE)
    ax.legend(fontsize=TEXT_SIZE, frameon=False)
