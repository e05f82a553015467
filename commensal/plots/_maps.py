"""Figures that map a quantity over (α, β), one panel per K."""

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
    best_mix,
    cross_handle,
    each_map,
    largest,
    mean_efficiency,
    title_of,
)
from commensal.plots._style import (
    ALPHA,
    BETA,
    GREY,
    TEXT_SIZE,
    new_figure,
    outermost,
    shared_legend,
)

# six steps below 1 and six above (the last one is open), finer near 1
_GROWTH = (0, 0.25, 0.5, 0.75, 0.9, 0.98, 1, 1.01, 1.05, 1.2, 1.5, 2)
_PLAIN: dict[str, Any] = {"facecolor": GREY, "edgecolor": "0.6", "linewidth": 0}
_WITHOUT: dict[str, dict[str, Any]] = {
    "unstable": _PLAIN | {"hatch": "////", "label": "unstable (ρ ≥ 1): no limit"},
    "untrusted": _PLAIN | {"hatch": "xxxx", "label": "spoilt by rounding: not known"},
}


class _Panel(NamedTuple):
    title: str
    values: xr.DataArray
    without: dict[str, xr.DataArray | None]  # cells without a value, by reason
    best: Best | None
    biased: str = "some model is biased for ever"


def efficiency_map(ds: xr.Dataset) -> Figure:
    """Map the mean relative efficiency over (α, β): the share of all real data that models use.

    Parameters
    ----------
    ds : xarray.Dataset
        Sweep with ``relative_efficiency`` (models, alpha, beta, model) and ``stable`` (models,
        alpha, beta), as :func:`commensal.sweep.regression` gives them.

    Returns
    -------
    matplotlib.figure.Figure
        Figure with a panel per K. A star marks the mix with the smallest mean error (the sweep's
        ``optimal_alpha`` and ``optimal_beta``; without these the largest efficiency), a cross (0.5,
        0.5).

    Notes
    -----
    `interactive`, fig. 2; 1 is optimal. A cell counts only where every model's efficiency is
    defined: there is a limit, and none of the models is biased in it.

    Examples
    --------
    >>> from commensal import sweep
    >>> ds = sweep.regression(alpha=(0.2, 0.5), beta=(0.3, 0.7), models=(2,), dim=6, rank=3)
    >>> len(efficiency_map(ds).axes)  # one panel and the colour bar
    2
    """
    panels = []
    for cells in each_map(ds, "stable"):
        values = mean_efficiency(cells)
        best, half = best_mix(cells), at_half(values)
        text = "no efficiency is defined on this grid"
        if best is not None:
            text = f"best {best.value:.3f} at ({best.alpha:.3g}, {best.beta:.3g})"
            text += "" if half is None else f"\n{half:.3f} at (0.5, 0.5)"
        panel = _Panel(f"{title_of(cells)}\n{text}", values, _without(cells), best)
        if "generations" in ds.attrs:
            panel = panel._replace(biased="bias is above 1/1000 of a model's error")
        panels.append(panel)
    norm = Normalize(0, largest([p.values for p in panels]))
    return _maps(panels, "viridis", norm, "mean relative efficiency")


def consensus_map(ds: xr.Dataset) -> Figure:
    """Map how far apart the models end up over (α, β); at 0 they have become one model.

    Parameters
    ----------
    ds : xarray.Dataset
        Sweep with ``consensus_distance`` and ``stable`` (models, alpha, beta).

    Returns
    -------
    matplotlib.figure.Figure
        Figure with a panel per K; a cross marks (0.5, 0.5).

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
        panels.append(_Panel(title_of(cells) + text, values, _without(cells), None))
    norm = Normalize(0, largest([p.values for p in panels]))
    return _maps(panels, "cividis", norm, "consensus distance (0: all alike)")


def stability_map(ds: xr.Dataset) -> Figure:
    """Map the spectral radius over (α, β), the growth factor of errors per generation.

    Parameters
    ----------
    ds : xarray.Dataset
        Sweep with ``spectral_radius`` over alpha, beta and one more dimension, a panel for each of
        its values: models, or another, whose coordinate then has the panels' titles. A variable
        ``stability_bound`` along that dimension is told in the titles.

    Returns
    -------
    matplotlib.figure.Figure
        Figure with a contour where ρ(Q) = 1; a cross marks (0.5, 0.5).

    Notes
    -----
    `interactive`, Theorem 3; bound: :func:`commensal.theory.regression.stability_bound`. Where a
    memory keeps everything errors change as a power n^p of the generation (``growth_exponent``),
    which the title tells: blue where they stay bounded.
    """
    panels = []
    for cells in each_map(ds, "spectral_radius"):
        values = cells["spectral_radius"]
        worst, text = argmax(values), ""
        if worst is not None:
            text = f"\nlargest ρ = {worst.value:.3f}"
            if (power := _power(cells)) is not None:
                text = f"\nerrors change as $n^p$, p up to {float(power.max()):.3g}"
                values = values.where(~cells["stable"], 1 - 1e-6)
            if "stability_bound" in cells:
                text += f" (bound {float(cells['stability_bound']):.3f})"
        # rounded, or the edges where ρ is 1 up to rounding errors would be mottled
        panels.append(
            _Panel(
                title_of(cells) + text, values.round(9), _without(cells) | {"unstable": None}, None
            )
        )
    norm = BoundaryNorm(_GROWTH, 256, extend="max")
    note = "bound: of ρ whatever the private and public data" if "stability_bound" in ds else ""
    label = "growth of errors per generation, ρ"
    return _maps(panels, "RdBu_r", norm, label, contour=1.0, note=note)


def _power(cells: xr.Dataset) -> xr.DataArray | None:
    """Return p where everything is kept and errors change as n^p; None elsewhere."""
    power = cells.get("growth_exponent")
    return power if power is not None and np.isfinite(power).any() else None


def _without(cells: xr.Dataset) -> dict[str, xr.DataArray | None]:
    untrusted = ~cells["trusted"] if "trusted" in cells else None
    if "stable" not in cells or "generations" in cells.attrs:  # which has errors where they grow
        return {"unstable": None, "untrusted": untrusted}
    unstable = ~cells["stable"]
    return {
        "unstable": unstable if untrusted is None else unstable & ~untrusted,
        "untrusted": untrusted,
    }


def _maps(
    panels: Sequence[_Panel],
    cmap: str,
    norm: Normalize,
    label: str,
    contour: float | None = None,
    note: str = "",
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
            axis.set_major_formatter("{x:g}")  # "0" and "1" of neighbours do not run into another
        ax.set_title(panel.title, fontsize=TEXT_SIZE)
        if outermost(axes, ax, "bottom"):
            ax.set_xlabel(ALPHA, fontsize=TEXT_SIZE)
        if outermost(axes, ax, "left"):
            ax.set_ylabel(BETA, fontsize=TEXT_SIZE)
        blank = np.isnan(values.values)
        for name, cells in panel.without.items():
            if cells is None or not cells.any():
                continue
            where = cells.transpose("beta", "alpha").values
            style = _WITHOUT[name]
            ax.add_patch(PathPatch(_outline(where, alpha, beta), **style))
            known[name] = Patch(**style)
            blank &= ~where
        if blank.any():
            ax.set_facecolor(GREY)
            known["biased"] = Patch(color=GREY, label=panel.biased)
        if contour is not None and values.min() < contour < values.max() and min(values.shape) > 1:
            # a hair above, or the edge α = 1, where ρ is 1 up to rounding, would be drawn as well
            ax.contour(values["alpha"], values["beta"], values, [contour + 1e-6], colors="black")
            told = "ρ = 1: stable on the blue side, errors grow on the red one"
            known["contour"] = Line2D([], [], color="black", label=told)
        if panel.best is not None:
            ax.plot(panel.best.alpha, panel.best.beta, clip_on=False, **STAR)
            known["best"] = Line2D([], [], label="smallest mean error", **STAR)
        if alpha[0] <= 0.5 <= alpha[-1] and beta[0] <= 0.5 <= beta[-1]:
            ax.plot(0.5, 0.5, **CROSS)
            known["half"] = cross_handle()
    if mesh is not None:
        bar = fig.colorbar(mesh, ax=axes, label=label, shrink=0.9, pad=0.02)
        if isinstance(norm, BoundaryNorm):
            bar.set_ticks(list(norm.boundaries), labels=[f"{b:g}" for b in norm.boundaries])
    if note:
        known["note"] = Line2D([], [], ls="none", label=note)
    shared_legend(fig, list(known.values()))
    return fig


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the borders of the cells around grid points, within [0, 1]."""
    if centres.size == 1:
        return np.clip([centres[0] - 0.05, centres[0] + 0.05], 0, 1)
    inner = (centres[1:] + centres[:-1]) / 2
    outer = 2 * centres[[0, -1]] - inner[[0, -1]]
    return np.clip([outer[0], *inner, outer[1]], 0, 1)


def _outline(cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> Path:
    """Trace one path around all true cells, so that one hatch fills them without seams."""
    corners = []
    for row, low, high in zip(cells, y[:-1], y[1:], strict=True):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        for left, right in x[ends].reshape(-1, 2):
            corners += [(left, low), (right, low), (right, high), (left, high), (left, low)]
    box = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.array(corners), np.tile(box, len(corners) // 5))
