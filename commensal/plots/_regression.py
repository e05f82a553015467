"""Figures of interactive regression: efficiency, errors, human share and best mix as curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)

from commensal.plots._cells import (
    CROSS,
    argmax,
    cross_handle,
    efficiency_of_models,
    largest,
    mean_efficiency,
    of_models,
)
from commensal.plots._style import (
    ALPHA,
    BETA,
    DPI,
    LINES,
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    alpha_colors,
    draw_curve,
    mark,
    new_figure,
    number_ticks,
    plain,
    say,
    shared_legend,
)

FIG2_BETAS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Values of β of the panels of `interactive`, fig. 2."""


def efficiency_over_alpha(ds: xr.Dataset, models: int, others: Sequence[xr.Dataset] = ()) -> Figure:
    """Plot each model's relative efficiency over α, in a panel per β, and where the best mix lies.

    Parameters
    ----------
    ds : xarray.Dataset
        Sweep as for :func:`efficiency_map`. With ``optimal_alpha`` and ``optimal_beta`` (models,
        objective) the last panel shows them.
    models : int
        Number of models K, one of ``ds.models``.
    others : sequence of xarray.Dataset
        Sweeps of other designs, of which the mean over models and the optima are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Panels for the β of the grid that are nearest to 0.1, 0.25, 0.5, 0.75 and 0.9.

    Raises
    ------
    ValueError
        If a dataset has no such K.

    Notes
    -----
    `interactive`, fig. 2.
    """
    cells, *rest = (of_models(x, models) for x in (ds, *others))
    single, mean = efficiency_of_models(cells), mean_efficiency(cells)
    betas = np.unique(mean["beta"].sel(beta=list(FIG2_BETAS), method="nearest"))
    top = largest([single, *map(mean_efficiency, rest)])
    colours = PALETTE[:models] if models <= len(PALETTE) else [PALETTE[5]] * models
    # one kind of line where each model has no colour of its own
    dashes = LINES if models <= len(PALETTE) else LINES[:1]
    fig, axes = new_figure(betas.size + 1)
    for ax, beta in zip(axes[:-1], betas, strict=True):
        for other in rest:
            near = mean_efficiency(other).sel(beta=beta, method="nearest")
            draw_curve(ax, near["alpha"], near, color="0.75", lw=0.8)
        for k, colour in enumerate(colours):
            of = single.sel(beta=beta).isel(model=k)
            draw_curve(ax, single["alpha"], of, color=colour, ls=dashes[k % len(dashes)])
        draw_curve(ax, mean["alpha"], mean.sel(beta=beta), color="black", ls=(0, (2, 1)), lw=1.8)
        ax.axvline(0.5, color="0.5", lw=0.8, ls=":")
        ax.set(xlim=(0, 1), ylim=(0, 1.05 * top))
        ax.set_xlabel(ALPHA, fontsize=TEXT_SIZE)
        ax.set_ylabel("relative efficiency", fontsize=TEXT_SIZE)
        ax.set_title(f"β = {beta:.3g} (private data)", fontsize=TITLE_SIZE)
        if not np.isfinite(single.sel(beta=beta)).any():
            say(ax, "no unbiased limit\nat any α")
    known = [
        Line2D([], [], color=c, ls=dashes[k % len(dashes)], label=f"model {k + 1}")
        for k, c in enumerate(colours)
    ]
    if models > len(PALETTE):
        known = [Line2D([], [], color=colours[0], label="each model")]
    known.append(Line2D([], [], color="black", ls=(0, (2, 1)), lw=1.8, label="mean over models"))
    if rest:
        known.append(Line2D([], [], color="0.75", label=f"mean, {len(rest)} other designs"))
    known.append(Line2D([], [], color="0.5", lw=0.8, ls=":", label="α = 0.5, the paper's choice"))
    known += _optima(axes[-1], mean, [cells, *rest])
    shared_legend(fig, known)
    return fig


def _optima(ax: Axes, mean: xr.DataArray, found: Sequence[xr.Dataset]) -> list[Any]:
    """Draw where the best mixes lie, on contours of the first design's mean efficiency."""
    best = argmax(mean)
    if best is not None and min(mean.shape) > 1:
        levels = best.value - np.array([0.2, 0.1, 0.05, 0.02, 0.005])
        levels = levels[levels > float(mean.min())]  # a level outside the data is a warning
        if levels.size:
            values = mean.transpose("beta", "alpha")
            lines = ax.contour(
                mean["alpha"], mean["beta"], values, levels, colors="0.5", linewidths=0.9
            )
            _inner_labels(ax, lines)
    known = []
    for objective, marker, colour in (("worst", "^", PALETTE[5]), ("mean", "o", PALETTE[0])):
        for ds in found:
            if "optimal_alpha" in ds and objective in ds["objective"]:
                at = ds.sel(objective=objective)
                style = mark(marker, colour, 7.0, mec="white", mew=0.6)
                ax.plot(at["optimal_alpha"], at["optimal_beta"], **style)
                label = f"smallest {'mean' if objective == 'mean' else 'worst-model'} error"
                known += [Line2D([], [], label=label, **style)] if ds is found[0] else []
    ax.plot(0.5, 0.5, **CROSS)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_xlabel(ALPHA, fontsize=TEXT_SIZE)
    ax.set_ylabel(BETA, fontsize=TEXT_SIZE)
    title = "best mix of each design" if len(found) > 1 else "best mix"
    ax.set_title(f"{title}\n(contours: mean efficiency)", fontsize=TEXT_SIZE)
    return [*known, cross_handle()]


def _inner_labels(ax: Axes, lines: Any) -> None:
    """Put a number on each contour where it is farthest from the frame, which would cut it."""
    places = []
    for paths in lines.get_paths():
        if len(paths.vertices):
            room = np.minimum(paths.vertices, 1 - paths.vertices).min(axis=1)
            places.append(tuple(paths.vertices[int(np.argmax(room))]))
    ax.clabel(lines, fmt="%.2f", fontsize=8, manual=places)


def trajectories(theory: xr.Dataset, sims: xr.Dataset | None = None) -> Figure:
    """Plot errors over generations: a row per variable, a column per β, a colour per α.

    Parameters
    ----------
    theory : xarray.Dataset
        Variables (alpha, beta, generation, model), each with a ``long_name``, drawn as lines on a
        logarithmic scale.
    sims : xarray.Dataset or None
        Simulated values of the same variables, drawn as points; ``<name>_standard_error``, where
        present, gives bars of two standard errors.

    Returns
    -------
    matplotlib.figure.Figure
        Line styles and markers tell the models apart.

    Notes
    -----
    `interactive`, fig. 4.
    """
    alphas, betas, models = (theory[d].values for d in ("alpha", "beta", "model"))
    rows, colours = list(theory.data_vars), alpha_colors(alphas.tolist())
    fig = Figure(figsize=(WIDTH, 2.3 * len(rows) + 0.9), dpi=DPI, layout="constrained")
    axes = fig.subplots(len(rows), len(betas), sharex=True, sharey="row", squeeze=False)
    for (i, j), ax in np.ndenumerate(axes):
        name = rows[i]
        plain(ax)
        for n, alpha in enumerate(alphas):
            for k, model in enumerate(models):
                at = {"alpha": alpha, "beta": betas[j], "model": model}
                colour, curve = colours[float(alpha)], theory[name].sel(at)
                # narrower and narrower, so that curves which coincide are all seen
                width = max(2.6 - 0.7 * n, 1.0)
                draw_curve(ax, curve["generation"], curve, color=colour, ls=LINES[k % 4], lw=width)
                if sims is not None:
                    style = mark(MARKS[k % 4], colour, 3.5, mfc="none", elinewidth=0.8)
                    points, error = sims[name].sel(at), f"{name}_standard_error"
                    bars = 2 * sims[error].sel(at) if error in sims else None
                    ax.errorbar(points["generation"], points, bars, **style)
        if (theory[name] > 0).any():
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        if i == 0:
            ax.set_title(f"β = {betas[j]:.3g} (private data)", fontsize=TITLE_SIZE)
        if i == len(rows) - 1:
            ax.set_xlabel("generation t", fontsize=TEXT_SIZE)
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if j == 0:
            ax.set_ylabel(theory[name].attrs.get("long_name", name), fontsize=TEXT_SIZE)
    known: list[Any] = [
        Patch(color=colour, label=f"α = {alpha:.3g} (new data)")
        for alpha, colour in colours.items()
    ]
    known += [
        Line2D([], [], color="0.3", ls=LINES[k % 4], label=f"model {k + 1}, theory")
        for k in range(len(models))
    ]
    if sims is not None:
        known += [
            Line2D(
                [],
                [],
                label=f"model {k + 1}, simulated",
                **mark(MARKS[k % 4], "0.3", 5.0, mfc="none"),
            )
            for k in range(len(models))
        ]
    shared_legend(fig, known)
    return fig


def human_share(guaranteed: xr.DataArray, needed: xr.DataArray) -> Figure:
    """Plot the share of fresh human data that keeps a system of K models stable.

    Parameters
    ----------
    guaranteed : xarray.DataArray
        Share that is enough whatever the data look like, over models.
    needed : xarray.DataArray
        Smallest share that makes given systems stable, (family, models, seed), NaN where there is
        none to show. Its ``family`` coordinate has the names.

    Returns
    -------
    matplotlib.figure.Figure
        Points are medians over seeds, bars reach from the least to the most.

    Notes
    -----
    New here: a share above (√K - 1)/(√K + 1) is enough whatever the data look like, if human data
    are as rich as the web; :func:`commensal.theory.regression.safe_human_share`.
    """
    fig, (ax,) = new_figure(1)
    draw_curve(
        ax, guaranteed["models"], guaranteed, color="black", lw=2, label="enough for any data"
    )
    for n, family in enumerate(needed["family"].values):
        shares = needed.sel(family=family).dropna("models", how="all")
        if shares.size == 0:
            continue
        low, middle, high = (shares.quantile(q, "seed").values for q in (0, 0.5, 1))
        # hollow, so that families which coincide are all seen
        style = mark(MARKS[n % 4], PALETTE[n % len(PALETTE)], 9.0, mfc="none", mew=1.8)
        bars = np.array([middle - low, high - middle])
        ax.errorbar(shares["models"], middle, bars, label=str(family), **style)
    ax.set(xscale="log", xlabel="K: number of models")
    ax.set_ylabel("φ: human share of newly collected data", fontsize=TEXT_SIZE)
    ax.set_ylim(-0.03, 1)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_title("Fresh human data that keep K models stable", fontsize=TITLE_SIZE)
    handles, _ = ax.get_legend_handles_labels()
    bars = Line2D([], [], color="0.5", label="bars: least to most of several designs")
    shared_legend(fig, [*handles, bars], 2)
    return fig


def optimal_mix(found: xr.Dataset, isotropic: xr.DataArray) -> Figure:
    """Plot the best share of reused real data against K, and what the paper's choice costs.

    Parameters
    ----------
    found : xarray.Dataset
        ``reuse`` (1 - α at the optimum), ``efficiency`` there and ``at_half`` (efficiency at
        α = β = 0.5), each (family, models, seed). The ``family`` coordinate has the names.
    isotropic : xarray.DataArray
        1 - α at the optimum of the isotropic system, over models.

    Returns
    -------
    matplotlib.figure.Figure
        Points are means over seeds.

    Notes
    -----
    :func:`commensal.theory.regression.optimal_mix`,
    :func:`commensal.theory.regression.isotropic_mix`.
    """
    fig, (left, right) = new_figure(2)
    k = isotropic["models"]
    left.plot(k, isotropic, color="black", lw=2, label="isotropic system, closed form")
    left.plot(k, (4.0 * k) ** (-1 / 3), ":", color="0.4", label="(4K)$^{−1/3}$, its limit")
    mean = found.mean("seed")
    for n, family in enumerate(found["family"].values):
        color, marker = PALETTE[n % len(PALETTE)], MARKS[n % 4]
        of = mean.sel(family=family)
        left.plot(of["models"], of["reuse"], label=str(family), **mark(marker, color, 7.0))
        style = mark(marker, color, 7.0)
        right.plot(of["models"], of["efficiency"], label=f"best mix: {family}", **style)
        hollow = style | {"mfc": "none", "mew": 1.8}
        right.plot(of["models"], of["at_half"], label=f"(0.5, 0.5): {family}", **hollow)
    for ax in (left, right):
        ax.set(xscale="log", xlabel="K: number of models")
        number_ticks(ax.xaxis, *ax.get_xlim())
        ax.legend(fontsize=TEXT_SIZE, frameon=False)
    left.set(ylabel="1 − α: weight of reused real data", ylim=(0, 1))
    right.set(ylabel="relative efficiency, mean over models", ylim=(0, 1))
    left.set_title("best share of real data to reuse", fontsize=TITLE_SIZE)
    right.set_title("what it gains over (0.5, 0.5), the paper's choice", fontsize=TITLE_SIZE)
    return fig
