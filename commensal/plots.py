"""Figures as functions: datasets in, a matplotlib Figure out.

Nothing is shown, no backend is chosen and no global setting is changed; ``savefig`` is the
caller's. The maps take what :func:`commensal.sweep.regression` returns. Grids may have a single
point along an axis, and any part of them, or all, may be unstable (NaN). Colours are those of
Okabe and Ito (2008), and colour maps that keep their order for colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
FIG2_BETAS = (0.1, 0.25, 0.5, 0.75, 0.9)

_WIDTH, _DPI = 9.0, 140  # inches, dots per inch: still readable when shrunk to 900 pixels
_TITLE, _TEXT = 10.5, 9.0  # points
# six steps below 1 and six above (the last one is open), finer near 1
_GROWTH = (0, 0.25, 0.5, 0.75, 0.9, 0.98, 1, 1.01, 1.05, 1.2, 1.5, 2)
_LINES, _MARKS = ("-", "--", ":", "-."), ("o", "s", "^", "D")
_ALPHA = "α: weight of new data"
_BETA = "β: weight of private data"
_GREY = "0.88"
_NO_LIMIT: dict[str, Any] = {
    "hatch": "////",
    "facecolor": _GREY,
    "edgecolor": "0.6",
    "linewidth": 0,
}


# Maps over (α, β), one panel per K.


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
    for cells in _each(ds, "stable"):
        values = _mean_efficiency(cells)
        best, half = _argmax(values), _at_half(values)
        text = "no efficiency is defined on this grid"
        if best is not None:
            text = f"best {best.value:.3f} at ({best.alpha:.3g}, {best.beta:.3g})"
            text += "" if half is None else f"\n{half:.3f} at (0.5, 0.5)"
        panels.append(_Panel(f"{_title(cells)}\n{text}", values, ~cells["stable"], best))
    norm = Normalize(0, _largest([p.values for p in panels]))
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
    for cells in _each(ds, "stable"):
        values = cells["consensus_distance"]
        half = _at_half(values)
        text = "" if half is None else f"\n{half:.3f} at (0.5, 0.5)"
        panels.append(_Panel(_title(cells) + text, values, ~cells["stable"], None))
    norm = Normalize(0, _largest([p.values for p in panels]))
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
    for cells in _each(ds, "spectral_radius"):
        values = cells["spectral_radius"]
        worst, text = _argmax(values), ""
        if worst is not None:
            text = f"\nlargest ρ = {worst.value:.3f}"
            if "stability_bound" in cells:
                text += f" (bound {float(cells['stability_bound']):.3f})"
        # rounded, or the edges where ρ is 1 up to rounding errors would be mottled
        panels.append(_Panel(_title(cells) + text, values.round(9), None, None))
    norm = BoundaryNorm(_GROWTH, 256, extend="max")
    return _maps(panels, "RdBu_r", norm, "ρ: growth of errors in a generation", contour=1.0)


# Curves.


def efficiency_over_alpha(
    ds: xr.Dataset, entities: int, others: Sequence[xr.Dataset] = ()
) -> Figure:
    """Relative efficiency of each model over α, a panel per β, and where the best mix lies.

    Parameters
    ----------
    ds : xarray.Dataset
        As for :func:`efficiency_map`. With ``optimal_alpha`` and ``optimal_beta`` (entities,
        objective) the last panel shows them.
    entities : int
        K, one of ``ds.entities``.
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
    cells, *rest = (_of_entities(x, entities) for x in (ds, *others))
    models, mean = _models(cells), _mean_efficiency(cells)
    betas = np.unique(mean["beta"].sel(beta=list(FIG2_BETAS), method="nearest"))
    top = _largest([models, *map(_mean_efficiency, rest)])
    colours = PALETTE[:entities] if entities <= len(PALETTE) else [PALETTE[5]] * entities
    fig, axes = _figure(betas.size + 1)
    for ax, beta in zip(axes[:-1], betas, strict=True):
        for other in rest:
            near = _mean_efficiency(other).sel(beta=beta, method="nearest")
            _curve(ax, near["alpha"], near, color="0.75", lw=0.8)
        for k, colour in enumerate(colours):
            _curve(ax, models["alpha"], models.sel(beta=beta).isel(model=k), color=colour)
        _curve(ax, mean["alpha"], mean.sel(beta=beta), color="black", ls=(0, (2, 1)), lw=1.8)
        ax.axvline(0.5, color="0.5", lw=0.8, ls=":")
        ax.set(xlim=(0, 1), ylim=(0, 1.05 * top), xlabel="α")
        if _outermost(axes, ax, "left"):
            ax.set_ylabel("relative efficiency")
        ax.set_title(f"β = {beta:.3g}", fontsize=_TITLE)
        if not np.isfinite(models.sel(beta=beta)).any():
            _say(ax, "no unbiased limit\nat any α")
    known = [Line2D([], [], color=c, label=f"model {k + 1}") for k, c in enumerate(colours)]
    if entities > len(PALETTE):
        known = [Line2D([], [], color=colours[0], label="each model")]
    known.append(Line2D([], [], color="black", ls=(0, (2, 1)), lw=1.8, label="mean over models"))
    if rest:
        known.append(Line2D([], [], color="0.75", label=f"mean, {len(rest)} other designs"))
    known += _optima(axes[-1], mean, [cells, *rest])
    _legend(fig, known)
    return fig


def _optima(ax: Axes, mean: xr.DataArray, found: Sequence[xr.Dataset]) -> list[Any]:
    """Draw where the best mixes lie, on contours of the first design's mean efficiency."""
    best = _argmax(mean)
    if best is not None and min(mean.shape) > 1:
        levels = best.value - np.array([0.2, 0.1, 0.05, 0.02, 0.005])
        levels = levels[levels > float(mean.min())]  # a level outside the data is a warning
        if levels.size:
            values = mean.transpose("beta", "alpha")
            lines = ax.contour(
                mean["alpha"], mean["beta"], values, levels, colors="0.5", linewidths=0.9
            )
            ax.clabel(lines, fmt="%.2f", fontsize=8)
    known = []
    for objective, marker, colour in (("worst", "^", PALETTE[5]), ("mean", "o", PALETTE[0])):
        for ds in found:
            if "optimal_alpha" in ds and objective in ds["objective"]:
                at = ds.sel(objective=objective)
                style = _mark(marker, colour, 7.0, mec="white", mew=0.6)
                ax.plot(at["optimal_alpha"], at["optimal_beta"], **style)
                label = f"smallest {'mean' if objective == 'mean' else 'worst-model'} error"
                known += [Line2D([], [], label=label, **style)] if ds is found[0] else []
    ax.plot(0.5, 0.5, **_CROSS)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="α", ylabel="β")
    title = "best mix of each design" if len(found) > 1 else "best mix"
    ax.set_title(f"{title}\n(contours: mean efficiency)", fontsize=_TEXT)
    return [*known, _cross_handle()]


def trajectories(theory: xr.Dataset, sims: xr.Dataset | None = None) -> Figure:
    """Errors over the generations: a row per variable, a column per β, a colour per α.

    Parameters
    ----------
    theory : xarray.Dataset
        Variables (alpha, beta, generation, model), each with a ``long_name``, drawn as lines on a
        logarithmic scale.
    sims : xarray.Dataset or None
        The same variables from a simulation, drawn as points; ``<name>_standard_error``, where
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
    rows = list(theory.data_vars)
    fig = Figure(figsize=(_WIDTH, 2.3 * len(rows) + 0.9), dpi=_DPI, layout="constrained")
    axes = fig.subplots(len(rows), len(betas), sharex=True, sharey="row", squeeze=False)
    for (i, j), ax in np.ndenumerate(axes):
        name = rows[i]
        _plain(ax)
        for n, alpha in enumerate(alphas):
            for k, model in enumerate(models):
                at = {"alpha": alpha, "beta": betas[j], "model": model}
                colour, curve = PALETTE[n % len(PALETTE)], theory[name].sel(at)
                # narrower and narrower, so that curves which coincide are all seen
                width = max(2.6 - 0.7 * n, 1.0)
                _curve(ax, curve["generation"], curve, color=colour, ls=_LINES[k % 4], lw=width)
                if sims is not None:
                    style = _mark(_MARKS[k % 4], colour, 3.5, mfc="none", elinewidth=0.8)
                    points, error = sims[name].sel(at), f"{name}_standard_error"
                    bars = 2 * sims[error].sel(at) if error in sims else None
                    ax.errorbar(points["generation"], points, bars, **style)
        if (theory[name] > 0).any():
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        if i == 0:
            ax.set_title(f"β = {betas[j]:.3g}", fontsize=_TITLE)
        if i == len(rows) - 1:
            ax.set_xlabel("generation t")
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if j == 0:
            ax.set_ylabel(theory[name].attrs.get("long_name", name), fontsize=_TEXT)
    known: list[Any] = [
        Patch(color=PALETTE[n % len(PALETTE)], label=f"α = {alpha:.3g}")
        for n, alpha in enumerate(alphas)
    ]
    known += [
        Line2D([], [], color="0.3", ls=_LINES[k % 4], label=f"model {k + 1}, theory")
        for k in range(len(models))
    ]
    if sims is not None:
        known += [
            Line2D(
                [],
                [],
                label=f"model {k + 1}, simulated",
                **_mark(_MARKS[k % 4], "0.3", 5.0, mfc="none"),
            )
            for k in range(len(models))
        ]
    _legend(fig, known)
    return fig


def human_share(guaranteed: xr.DataArray, needed: xr.DataArray) -> Figure:
    """Share of fresh human data that keeps a system of K models stable.

    Parameters
    ----------
    guaranteed : xarray.DataArray
        The share that is enough whatever the data look like, over entities.
    needed : xarray.DataArray
        The smallest share that makes given systems stable, (family, entities, seed), NaN where
        there is none to show. Its ``family`` coordinate has the names.

    Returns
    -------
    matplotlib.figure.Figure
        Points are medians over seeds, bars reach from the least to the most.

    Notes
    -----
    THEORY 1.3; :func:`commensal.theory.regression.safe_human_share`.
    """
    fig, (ax,) = _figure(1)
    _curve(ax, guaranteed["entities"], guaranteed, color="black", lw=2, label="enough for any data")
    for n, family in enumerate(needed["family"].values):
        shares = needed.sel(family=family).dropna("entities", how="all")
        if shares.size == 0:
            continue
        low, middle, high = (shares.quantile(q, "seed").values for q in (0, 0.5, 1))
        # hollow, so that families which coincide are all seen
        style = _mark(_MARKS[n % 4], PALETTE[n % len(PALETTE)], 9.0, mfc="none", mew=1.8)
        bars = np.array([middle - low, high - middle])
        ax.errorbar(shares["entities"], middle, bars, label=str(family), **style)
    ax.set(xscale="log", xlabel="K: number of models", ylabel="share of newly collected data")
    ax.set_ylim(-0.03, 1)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.set_title(
        "Fresh human data on what models publish about: share for stability", fontsize=_TITLE
    )
    ax.legend(loc="upper left", fontsize=_TEXT, frameon=False)
    return fig


def optimal_mix(found: xr.Dataset, isotropic: xr.DataArray) -> Figure:
    """Best share of reused real data against K, and what the paper's choice costs.

    Parameters
    ----------
    found : xarray.Dataset
        ``reuse`` (1 - α at the optimum), ``efficiency`` there and ``at_half`` (efficiency at
        α = β = 0.5), each (family, entities, seed). The ``family`` coordinate has the names.
    isotropic : xarray.DataArray
        1 - α at the optimum of the isotropic system, over entities.

    Returns
    -------
    matplotlib.figure.Figure
        Points are means over seeds.

    Notes
    -----
    :func:`commensal.theory.regression.optimal_mix`,
    :func:`commensal.theory.regression.isotropic_mix`.
    """
    fig, (left, right) = _figure(2)
    k = isotropic["entities"]
    left.plot(k, isotropic, color="black", lw=2, label="isotropic system, closed form")
    left.plot(k, (4.0 * k) ** (-1 / 3), ":", color="0.4", label="(4K)^(-1/3), its limit")
    mean = found.mean("seed")
    for n, family in enumerate(found["family"].values):
        color, marker = PALETTE[n % len(PALETTE)], _MARKS[n % 4]
        of = mean.sel(family=family)
        left.plot(of["entities"], of["reuse"], label=str(family), **_mark(marker, color, 7.0))
        style = _mark(marker, color, 7.0)
        right.plot(of["entities"], of["efficiency"], label=f"best mix: {family}", **style)
        hollow = style | {"mfc": "none", "mew": 1.8}
        right.plot(of["entities"], of["at_half"], label=f"(0.5, 0.5): {family}", **hollow)
    for ax in (left, right):
        ax.set(xscale="log", xlabel="K: number of models")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_ylim(bottom=0)
        ax.legend(fontsize=_TEXT, frameon=False)
    left.set(ylabel="1 - α: weight of reused real data", ylim=(0, 1))
    right.set(ylabel="relative efficiency, mean over models", ylim=(0, 1))
    left.set_title("Best share of real data to reuse", fontsize=_TITLE)
    right.set_title("What it gains over (0.5, 0.5)", fontsize=_TITLE)
    return fig


def cost(*timings: xr.DataArray, machine: str = "") -> Figure:
    """Seconds against size, log-log, with fitted power laws.

    Parameters
    ----------
    *timings : xarray.DataArray
        Seconds, (program, size) with any name for the second dimension, NaN where not measured; a
        panel for each. The ``long_name`` of that coordinate is the axis's label, ``title`` among
        the attributes the panel's.
    machine : str
        Where they were measured.

    Returns
    -------
    matplotlib.figure.Figure
        Dashed lines and exponents are those of :func:`power_law`.
    """
    fig, axes = _figure(len(timings))
    for ax, seconds in zip(axes, timings, strict=True):
        size = str(next(d for d in seconds.dims if d != "program"))
        for n, program in enumerate(seconds["program"].values):
            measured = seconds.sel(program=program).dropna(size)
            label, style = str(program), _mark(_MARKS[n % 4], PALETTE[n % len(PALETTE)], 6.0)
            if (fit := power_law(measured)) is not None:
                x = _large(measured[size].values)
                label += f": exponent {fit.exponent:.2f}"
                ax.plot(x, fit.factor * x**fit.exponent, "--", lw=1, color=style["color"])
            ax.plot(measured[size], measured, label=label, **style)
        scale = "log" if seconds.notnull().any() else "linear"  # an empty log axis has no ticks
        ax.set(xscale="log", yscale=scale, ylabel="seconds per (α, β) cell")
        ax.set_xlabel(seconds[size].attrs.get("long_name", size))
        ax.set_title(seconds.attrs.get("title", ""), fontsize=_TITLE)
        sizes = seconds[size].values
        near = sizes.size > 0 and sizes.max() < 100 * sizes.min()
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if near else (1,)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(alpha=0.25, lw=0.5)
        ax.legend(loc="lower right", fontsize=_TEXT)
    fig.suptitle(machine, fontsize=_TEXT)
    return fig


class PowerLaw(NamedTuple):
    """y = factor · x^exponent."""

    factor: float
    exponent: float


def power_law(measured: xr.DataArray) -> PowerLaw | None:
    """Least-squares line on log-log scales, over the sizes within a factor of 16 of the largest.

    Parameters
    ----------
    measured : xarray.DataArray
        One-dimensional, positive, without NaN.

    Returns
    -------
    PowerLaw or None
        None for fewer than two such sizes.

    Examples
    --------
    >>> size = np.array([1.0, 10.0, 100.0, 200.0])
    >>> power_law(xr.DataArray(3 * size**2, {"size": size}))
    PowerLaw(factor=3.0, exponent=2.0)
    """
    size = _large(measured[measured.dims[0]].values)
    if size.size < 2:
        return None
    seconds = measured.sel({measured.dims[0]: size}).values
    exponent, constant = np.polyfit(np.log(size), np.log(seconds), 1)
    return PowerLaw(float(np.exp(constant).round(12)), float(exponent.round(12)))


def _large(size: np.ndarray) -> np.ndarray:
    return size[size >= size.max(initial=0) / 16]


# What the figures are made of.


class _Panel(NamedTuple):
    title: str
    values: xr.DataArray
    unstable: xr.DataArray | None
    best: _Best | None


class _Best(NamedTuple):
    value: float
    alpha: float
    beta: float


def _mark(marker: str, color: str, ms: float, **more: Any) -> dict[str, Any]:
    return {"marker": marker, "color": color, "ms": ms, "ls": "none", **more}


_STAR = _mark("*", "white", 14.0, mec="black")
_CROSS = _mark("X", "#D55E00", 9.0, mec="white")


def _cross_handle() -> Line2D:
    return Line2D([], [], label="(0.5, 0.5), the paper's choice", **_CROSS)


def _each(ds: xr.Dataset, name: str) -> Iterator[xr.Dataset]:
    """The α × β slices of variable ``name``, in order along both axes."""
    ds = ds.sortby(["alpha", "beta"])
    extra = [d for d in ds[name].dims if d not in ("alpha", "beta")]
    if len(extra) > 1:
        raise ValueError(f"a map has one dimension beside alpha and beta, got {extra}")
    if not extra:
        yield ds
        return
    for i in range(ds.sizes[extra[0]]):
        yield ds.isel({extra[0]: i}).assign_attrs(panels=extra[0])


def _title(cells: xr.Dataset) -> str:
    name = cells.attrs.get("panels", "entities")
    if name not in cells.coords:
        return ""
    value = cells[name].item()
    return f"K = {value}" if name == "entities" else str(value)


def _of_entities(ds: xr.Dataset, entities: int) -> xr.Dataset:
    if entities not in np.atleast_1d(ds["entities"]):
        raise ValueError(
            f"entities must be one of {ds['entities'].values.tolist()}, got {entities}"
        )
    ds = ds.sortby(["alpha", "beta"])
    return ds.sel(entities=entities) if "entities" in ds.dims else ds


def _models(cells: xr.Dataset) -> xr.DataArray:
    """Relative efficiency of the models that exist: K of one slice, not the largest K."""
    return cells["relative_efficiency"].isel(model=slice(0, int(cells["entities"])))


def _mean_efficiency(cells: xr.Dataset) -> xr.DataArray:
    # a mean over some of the models would flatter cells in which others have no efficiency
    return _models(cells).mean("model", skipna=False)


def _argmax(values: xr.DataArray) -> _Best | None:
    if not np.isfinite(values).any():
        return None
    at = values.isel(values.argmax(["alpha", "beta"]))  # NaN are skipped
    return _Best(float(at), float(at["alpha"]), float(at["beta"]))


def _at_half(values: xr.DataArray) -> float | None:
    """Value at (0.5, 0.5), where that is a cell of the grid and has one."""
    rows, columns = (np.flatnonzero(np.isclose(values[d], 0.5)) for d in ("alpha", "beta"))
    if not (rows.size and columns.size):
        return None
    value = float(values.isel(alpha=rows[0], beta=columns[0]))
    return value if np.isfinite(value) else None


def _largest(arrays: Sequence[xr.DataArray]) -> float:
    """Largest finite value; 1 where there is none above 0, so that a scale has a length."""
    finite = [a.values[np.isfinite(a.values)] for a in arrays]
    return float(np.concatenate([*finite, [0.0]]).max()) or 1.0


def _edges(centres: np.ndarray) -> np.ndarray:
    """Borders of the cells around grid points, within [0, 1]."""
    if centres.size == 1:
        return np.clip([centres[0] - 0.05, centres[0] + 0.05], 0, 1)
    inner = (centres[1:] + centres[:-1]) / 2
    outer = 2 * centres[[0, -1]] - inner[[0, -1]]
    return np.clip([outer[0], *inner, outer[1]], 0, 1)


def _maps(
    panels: Sequence[_Panel],
    cmap: str,
    norm: Normalize,
    label: str,
    contour: float | None = None,
) -> Figure:
    fig, axes = _figure(len(panels), square=True)
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
        ax.set_title(panel.title, fontsize=_TEXT)
        if _outermost(axes, ax, "bottom"):
            ax.set_xlabel(_ALPHA, fontsize=_TEXT)
        if _outermost(axes, ax, "left"):
            ax.set_ylabel(_BETA, fontsize=_TEXT)
        unstable = np.zeros(values.shape, dtype=bool)
        if panel.unstable is not None:
            unstable = panel.unstable.transpose("beta", "alpha").values
            if unstable.any():
                style = _NO_LIMIT
                ax.add_patch(PathPatch(_outline(unstable, alpha, beta), **style))
                known["unstable"] = Patch(label="unstable (ρ ≥ 1): no limit", **style)
        if (np.isnan(values) & ~unstable).any():
            ax.set_facecolor(_GREY)
            known["biased"] = Patch(color=_GREY, label="some model is biased for ever")
        if contour is not None and values.min() < contour < values.max() and min(values.shape) > 1:
            # a hair above, or the edge α = 1, where ρ is 1 up to rounding, would be drawn as well
            ax.contour(values["alpha"], values["beta"], values, [contour + 1e-6], colors="black")
            known["contour"] = Line2D([], [], color="black", label="ρ = 1: stable on the blue side")
        if panel.best is not None:
            ax.plot(panel.best.alpha, panel.best.beta, clip_on=False, **_STAR)
            known["best"] = Line2D([], [], label="best on the grid", **_STAR)
        if alpha[0] <= 0.5 <= alpha[-1] and beta[0] <= 0.5 <= beta[-1]:
            ax.plot(0.5, 0.5, **_CROSS)
            known["half"] = _cross_handle()
    if mesh is not None:
        bar = fig.colorbar(mesh, ax=axes, label=label, shrink=0.9, pad=0.02)
        if isinstance(norm, BoundaryNorm):
            bar.set_ticks(list(norm.boundaries), labels=[f"{b:g}" for b in norm.boundaries])
    _legend(fig, list(known.values()))
    return fig


def _outline(cells: np.ndarray, x: np.ndarray, y: np.ndarray) -> Path:
    """One path around all true cells: a single hatch, without seams between the cells."""
    corners = []
    for row, low, high in zip(cells, y[:-1], y[1:], strict=True):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        for left, right in x[ends].reshape(-1, 2):
            corners += [(left, low), (right, low), (right, high), (left, high), (left, low)]
    box = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.array(corners), np.tile(box, len(corners) // 5))


def _figure(panels: int, *, square: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, and their axes in reading order."""
    columns = _columns(panels)
    rows = max(1, -(-panels // columns))
    width = _WIDTH if columns > 1 else 0.72 * _WIDTH
    # a map has the legend below and the colour bar beside it
    height = rows * (width - square) * {1: 0.8, 2: 0.5, 3: 0.37}[columns] + (1 if square else 0.6)
    fig = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    axes = list(fig.subplots(rows, columns, squeeze=False, sharex=square, sharey=square).flat)
    for ax in axes[panels:]:
        ax.remove()
    if square:
        for ax in axes[max(panels - columns, 0) : panels]:
            ax.xaxis.set_tick_params(labelbottom=True)  # also above an empty place
    return fig, [_plain(ax) for ax in axes[:panels]]


def _columns(panels: int) -> int:
    return {1: 1, 2: 2, 4: 2}.get(panels, 3)


def _outermost(axes: Sequence[Axes], ax: Axes, side: str) -> bool:
    """Whether no panel lies to the left of this one, or below it."""
    place, columns = list(axes).index(ax), _columns(len(axes))
    return place % columns == 0 if side == "left" else place + columns >= len(axes)


def _plain(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=_TEXT)
    return ax


def _curve(ax: Axes, x: Any, y: Any, **style: Any) -> None:
    """A line; where there are no two neighbours to join, a point."""
    finite = np.isfinite(np.asarray(y))
    joined = (finite[1:] & finite[:-1]).any()
    ax.plot(np.asarray(x), np.asarray(y), marker=None if joined else "o", **style)


def _say(ax: Axes, text: str) -> None:
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=_TEXT)


def _legend(fig: Figure, known: Sequence[Any]) -> None:
    if known:
        fig.legend(
            handles=list(known),
            loc="outside lower center",
            ncols=min(len(known), 4 if fig.get_figwidth() >= _WIDTH else 2),
            fontsize=_TEXT,
            frameon=False,
        )
