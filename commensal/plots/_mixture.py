"""Webs of interacting Gaussian mixtures: how far the models are apart, and when that falls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from commensal.plots._style import (
    DPI,
    LINES,
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    new_figure,
    plain,
    shared_legend,
)

_NORM = "‖D‖_F: how far the models are apart"
_LAW: dict[str, Any] = {"color": "black", "ls": "--", "lw": 1.6}


def disagreements(runs: xr.Dataset, theory: xr.DataArray | None = None, shown: int = 5) -> Figure:
    """‖D‖_F over the generations: some runs as the paper draws them, and their root mean square.

    Parameters
    ----------
    runs : xarray.Dataset
        What :func:`commensal.sims.mixture.simulate` gives.
    theory : xarray.DataArray or None
        Root mean square of ‖D‖_F over ``generation``, laid over the runs.
    shown : int
        How many runs are drawn one by one.

    Returns
    -------
    matplotlib.figure.Figure
        Left: linear scales, as `webdynamics` fig. 4. Right: logarithmic, with 5 to 95 % of runs.

    Examples
    --------
    >>> from commensal.sims import mixture
    >>> runs = mixture.simulate(mixture.Config(generations=10, replicates=8))
    >>> len(disagreements(runs).axes)
    2
    """
    norm = runs["disagreement"]
    t = norm["generation"].values
    fig, (left, right) = new_figure(2)
    for r in range(min(shown, norm.sizes["replicate"])):
        left.plot(t, norm.isel(replicate=r), lw=0.9, color=PALETTE[r % len(PALETTE)])
    left.set_ylim(bottom=0)
    left.set_title(f"{min(shown, norm.sizes['replicate'])} runs", fontsize=TITLE_SIZE)
    later = norm.sel(generation=slice(1, None))
    low, high = later.quantile([0.05, 0.95], "replicate").values
    rms = np.sqrt((later**2).mean("replicate"))
    at = later["generation"].values
    right.fill_between(at, low, high, color=PALETTE[0], alpha=0.2, lw=0)
    right.plot(at, rms, color=PALETTE[0], lw=1.6)
    right.set(xscale="log", yscale="log")
    right.set_title(f"{norm.sizes['replicate']:,} runs", fontsize=TITLE_SIZE)
    known: list[Any] = [
        Line2D([], [], color=PALETTE[0], lw=1.6, label="root mean square (band: 5 to 95 %)")
    ]
    if theory is not None:
        left.plot(theory["generation"], theory, **_LAW)
        positive = theory.sel(generation=slice(1, None))
        right.plot(positive["generation"], positive, **_LAW)
        known.append(Line2D([], [], label="root mean square, theory", **_LAW))
    for ax in (left, right):
        ax.set_xlabel("generation")
    left.set_ylabel(_NORM)
    shared_legend(fig, known)
    return fig


def mixture_histograms(points: xr.DataArray, densities: xr.DataArray) -> Figure:
    """What the models post, early and late: histograms, and the densities that they come from.

    Parameters
    ----------
    points : xarray.DataArray
        Points on a line, (generation, model, point).
    densities : xarray.DataArray
        (generation, model, x).

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
            ax.set_ylabel(f"t = {times[i]}", fontsize=TEXT_SIZE)
        if i == len(times) - 1:
            ax.set_xlabel("x", fontsize=TEXT_SIZE)
    return fig


def sudden_falls(
    runs: Mapping[str, xr.Dataset],
    shown: Mapping[str, int],
    theory: xr.DataArray,
    counts: xr.Dataset,
) -> Figure:
    """Why ‖D‖_F may fall at once: by the noise of what is drawn, or because a model was caught.

    Parameters
    ----------
    runs : mapping from str to xarray.Dataset
        Two sets of runs with ``weights``, by title: of separated and of overlapping components.
    shown : mapping from str to int
        Which run of each is drawn.
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
        ax.plot(norm["generation"], norm.isel(replicate=shown[title]), color=PALETTE[0], lw=1)
        median = norm.median("replicate")
        ax.plot(norm["generation"], median, color="0.55", lw=1, label="median of all runs")
        ax.plot(theory["generation"], theory, label="theory (separated)", **_LAW)
        ax.set(yscale="log", xlabel="generation", ylabel="‖D‖_F")
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
    fourth.set(yscale="log", xlabel="factor by which ‖D‖_F falls in one generation")
    fourth.set_ylabel("expected falls in a run")
    fourth.set_title("Falls by the noise of the draws alone", fontsize=TITLE_SIZE)
    fourth.legend(fontsize=TEXT_SIZE, frameon=False)
    for ax in (first, second, third, fourth):
        plain(ax)
    return fig


def _caught_weights(ax: Axes, run: xr.Dataset) -> None:
    """The component that one model has lost and the others have not, for longest."""
    weights = run["weights"]
    late = weights.isel(generation=slice(weights.sizes["generation"] // 2, None))
    logs = xr.apply_ufunc(np.log, late.clip(1e-300))
    apart = (logs.max("model") - logs.min("model")).mean("generation")
    component = int(np.argmax(apart.values))
    for k, model in enumerate(weights["model"].values):
        one = weights.sel(model=model).isel(component=component)
        ax.plot(
            one["generation"], one, color=PALETTE[k % len(PALETTE)], lw=1, label=f"model {k + 1}"
        )
    ax.set(yscale="log", xlabel="generation", ylabel="weight")
    ax.set_title(f"the same run: weights of component {component + 1}", fontsize=TITLE_SIZE)
    ax.legend(fontsize=TEXT_SIZE, frameon=False)
