"""Maps over (α, β), one panel per K."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from commensal.plots._cells import (
    CROSS,
    STAR,
    Best,
    argmax,
    at_half,
    cross_handle,
    each_map,
    largest,
    mean_efficiency,
    title_of,
)
from commensal.plots._style import GREY, TEXT_SIZE, new_figure, outermost, shared_legend

# six steps below 1 and six above (the last one is open), finer near 1
_GROWTH = (0, 0.25, 0.5, 0.75, 0.9, 0.98, 1, 1.01, 1.05, 1.2, 1.5, 2)
_ALPHA = "α: weight of new data"
_BETA = "β: weight of private data"
_NO_LIMIT: dict[str, Any] = {
    "hatch": "////",
    "facecolor": GREY,
    "edgecolor": "0.6",
    "linewidth": 0,
}


class _Panel(NamedTuple):
    title: str
    values: xr.DataArray
    unstable: xr.DataArray | None
    best: Best | None


def efficiency_map(ds: xr.Dataset) -> Figure:
    """Mean relative efficiency over (α, β): how much of all real data the models make use of.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``relative_efficiency`` (entities, alpha, beta, model) and ``stable`` (entities,
        alpha, beta), as :func:`commensal.sweep.regression` gives them.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per K. A star marks the best cell of the grid, a cross (0.5, 0.5).

    Notes
    -----
    `interactive`, fig. 2; 1 is optimal. A cell counts only where every model's efficiency is
    defined: there is a limit, and none of the models is biased in it.

    Examples
    --------
    >>> from commensal import sweep
    >>> ds = sweep.regression(alpha=(0.2, 0.5), beta=(0.3, 0.7), entities=(2,), dim=6, rank=3)
    >>> len(efficiency_map(ds).axes)  # one panel and the colour bar
    2
    """
    panels = []
    for cells in each_map(ds, "stable"):
        values = mean_efficiency(cells)
        best, half = argmax(values), at_half(values)
        text = "no efficiency is defined on this grid"
        if best is not None:
            text = f"best {best.value:.3f} at ({best.alpha:.3g}, {best.beta:.3g})"
            text += "" if half is None else f"\n{half:.3f} at (0.5, 0.5)"
        panels.append(_Panel(f"{title_of(cells)}\n{text}", values, ~cells["stable"], best))
    norm = Normalize(0, largest([p.values for p in panels]))
    return _maps(panels, "viridis", norm, "mean relative efficiency")


def consensus_map(ds: xr.Dataset) -> Figure:
    """How far apart the models end up over (α, β): 0 where they have become one model.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``consensus_distance`` and ``stable`` (entities, alpha, beta).

    Returns
    -------
    matplotlib.figure.Figure
        One panel per K; a cross marks (0.5, 0.5).

    Notes
    -----
    See :func:`commensal.theory.regression.consensus_distance`; `interactive` speaks of
    homogenisation (sec. 5, after Theorem 1).
    """
    panels = []
    for cells in each_map(ds, "stable"):
        values = cells["consensus_distance"]
        half = at_half(values)
        text = "" if half is None else f"\n{half:.3f} at (0.5, 0.5)"
        panels.append(_Panel(title_of(cells) + text, values, ~cells["stable"], None))
    norm = Normalize(0, largest([p.values for p in panels]))
    return _maps(panels, "cividis", norm, "consensus distance (0: all alike)")


def stability_map(ds: xr.Dataset) -> Figure:
    """Spectral radius over (α, β): the factor by which errors grow, or shrink, per generation.

    Parameters
    ----------
    ds : xarray.Dataset
        With ``spectral_radius`` over alpha, beta and one more dimension, a panel for each of its
        values: entities, or another, whose coordinate then has the panels' titles. A variable
        ``stability_bound`` along that dimension is told in the titles.

    Returns
    -------
    matplotlib.figure.Figure
        With a contour where ρ(Q) = 1; a cross marks (0.5, 0.5).

    Notes
    -----
    `interactive`, Theorem 3; bound: :func:`commensal.theory.regression.stability_bound`.
    """
    panels = []
    for cells in each_map(ds, "spectral_radius"):
        values = cells["spectral_radius"]
        worst, text = argmax(values), ""
        if worst is not None:
            text = f"\nlargest ρ = {worst.value:.3f}"
            if "stability_bound" in cells:
                text += f" (bound {float(cells['stability_bound']):.3f})"
        # rounded, or the edges where ρ is 1 up to rounding errors would be mottled
        panels.append(_Panel(title_of(cells) + text, values.round(9), None, None))
    norm = BoundaryNorm(_GROWTH, 256, extend="max")
    return _maps(panels, "RdBu_r", norm, "ρ: growth of errors in a generation", contour=1.0)


def _maps(
    panels: Sequence[_Panel],
    cmap: str,
    norm: Normalize,
    label: str,
    contour: float | None = None,
) -> Figure:
    fig, axes = new_figure(len(panels), square=True)
    known: dict[str, Any] = {}
    mesh = None
    for ax, panel in zip(axes, panels, strict=True):
        values = panel.values.transpose("beta", "alpha")
        alpha, beta = (_edges(values[d].values) for d in ("alpha", "beta"))
        mesh = ax.pcolormesh(alpha, beta, np.ma.masked_invalid(values), cmap=cmap, norm=norm)
        ax.set(xlim=alpha[[0, -1]], ylim=beta[[0, -1]])
        for axis, name in ((ax.xaxis, "alpha"), (ax.yaxis, "beta")):
            if values.sizes[name] == 1:
                axis.set_ticks(values[name].values)  # the cell's borders mean nothing then
        ax.set_title(panel.title, fontsize=TEXT_SIZE)
        if outermost(axes, ax, "bottom"):
            ax.set_xlabel(_ALPHA, fontsize=TEXT_SIZE)
        if outermost(axes, ax, "left"):
            ax.set_ylabel(_BETA, fontsize=TEXT_SIZE)
        unstable = np.zeros(values.shape, dtype=bool)
        if panel.unstable is not None:
            unstable = panel.unstable.transpose("beta", "alpha").values
            if unstable.any():
                style = _NO_LIMIT
                ax.add_patch(PathPatch(_outline(unstable, alpha, beta), **style))
                known["unstable"] = Patch(label="unstable (ρ ≥ 1): no limit", **style)
        if (np.isnan(values) & ~unstable).any():
            ax.set_facecolor(GREY)
            known["biased"] = Patch(color=GREY, label="some model is biased for ever")
        if contour is not None and values.min() < contour < values.max() and min(values.shape) > 1:
            # a hair above, or the edge α = 1, where ρ is 1 up to rounding, would be drawn as well
            ax.contour(values["alpha"], values["beta"], values, [contour + 1e-6], colors="black")
            known["contour"] = Line2D([], [], color="black", label="ρ = 1: stable on the blue side")
        if panel.best is not None:
            ax.plot(panel.best.alpha, panel.best.beta, clip_on=False, **STAR)
            known["best"] = Line2D([], [], label="best on the grid", **STAR)
        if alpha[0] <= 0.5 <= alpha[-1] and beta[0] <= 0.5 <= beta[-1]:
            ax.plot(0.5, 0.5, **CROSS)
            known["half"] = cross_handle()
    if mesh is not None:
        bar = fig.colorbar(mesh, ax=axes, label=label, shrink=0.9, pad=0.02)
        if isinstance(norm, BoundaryNorm):
            bar.set_ticks(list(norm.boundaries), labels=[f"{b:g}" for b in norm.boundaries])
    shared_legend(fig, list(known.values()))
    return fig


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders of the cells around grid points, within [0, 1]."""
    if centres.size == 1:
        return np.clip([centres[0] - 0.05, centres[0] + 0.05], 0, 1)
    inner = (centres[1:] + centres[:-1]) / 2
    outer = 2 * centres[[0, -1]] - inner[[0, -1]]
    return np.clip([outer[0], *inner, outer[1]], 0, 1)


def _outline(cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> Path:
    """One path around all true cells: a single hatch, without seams between the cells."""
    corners = []
    for row, low, high in zip(cells, y[:-1], y[1:], strict=True):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        for left, right in x[ends].reshape(-1, 2):
            corners += [(left, low), (right, low), (right, high), (left, high), (left, low)]
    box = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.array(corners), np.tile(box, len(corners) // 5))
