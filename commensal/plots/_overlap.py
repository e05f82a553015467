"""Figure of texts: how the sources overlap, and where their documents lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib import colormaps
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
    mark,
    plain,
    shared_legend,
)

_SHADES = colormaps["cividis"]
_SHOWN = 150  # documents of each source
_MANY = 8  # sources above which cells have no room for intervals


def overlap(ds: xr.Dataset) -> Figure:
    """Map how alike sources of texts are, and show their documents in the two main directions.

    Parameters
    ----------
    ds : xarray.Dataset
        ``overlap`` (source, other) in [0, 1], perhaps ``overlap_low`` and ``overlap_high``; and
        perhaps ``point`` (document, direction) with ``whose`` (document), the place of a
        document's source, as :attr:`commensal.texts.Measurement.dataset` has them.

    Returns
    -------
    matplotlib.figure.Figure
        The map, with a number in each cell and its interval in small letters; beside it, where
        there are points, the documents with an ellipse for each source: its mean and one standard
        deviation in every direction.

    Notes
    -----
    New here; docs/how-to/measure.md.

    Examples
    --------
    >>> names = ["a", "b"]
    >>> alike = (("source", "other"), [[1.0, 0.3], [0.3, 1.0]])
    >>> fig = overlap(xr.Dataset({"overlap": alike}, {"source": names, "other": names}))
    >>> [ax.get_title() for ax in fig.axes[:1]]
    ['How alike the sources are']
    """
    both = "point" in ds
    width, height = (1.25 * WIDTH, 0.62 * WIDTH) if both else (0.8 * WIDTH, 0.62 * WIDTH)
    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = fig.subplots(1, 1 + both, squeeze=False)[0]
    _map(fig, plain(axes[0]), ds)
    if both:
        _documents(plain(axes[1]), ds)
        names = [str(name) for name in ds["source"].values]
        looks: list[dict[str, Any]] = [
            {**_dots(n, 5.0), "ls": _line(n), "lw": 1.8, "label": name}
            for n, name in enumerate(names)
        ]
        known = [Line2D([], [], **look) for look in looks]
        shared_legend(fig, known, most=6)
    return fig


def _map(fig: Figure, ax: Axes, ds: xr.Dataset) -> None:
    values = ds["overlap"].values
    names, count = [str(name) for name in ds["source"].values], len(values)
    mesh = ax.pcolormesh(
        np.arange(count + 1), np.arange(count + 1), values, cmap=_SHADES, vmin=0, vmax=1
    )
    ax.set_aspect("equal")
    middle = np.arange(count) + 0.5
    turn = 35 if count <= _MANY else 90
    ax.set_xticks(middle, names, rotation=turn, ha="right", va="center", rotation_mode="anchor")
    ax.set_yticks(middle, names)
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    size = min(TEXT_SIZE + 1, 52 / count)
    for (i, j), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        red, green, blue, _ = _SHADES(value)
        ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        told = "overlap_low" in ds and i != j and count <= _MANY
        look: dict[str, Any] = {"ha": "center", "color": ink}
        ax.text(
            j + 0.5, i + (0.44 if told else 0.5), f"{value:.2f}", va="center", size=size, **look
        )
        if told:
            low, high = (float(ds[f"overlap_{end}"][i, j]) for end in ("low", "high"))
            span = f"{low:.2f}-{high:.2f}"
            ax.text(j + 0.5, i + 0.72, span, va="center", size=0.68 * size, **look)
    ax.set_title("How alike the sources are", fontsize=TITLE_SIZE)
    bar = fig.colorbar(mesh, ax=ax, shrink=0.75, pad=0.02)
    bar.set_label("overlap: 1 for two samples of one source", fontsize=TEXT_SIZE)


def _documents(ax: Axes, ds: xr.Dataset) -> None:
    points, whose = ds["point"].values[:, :2], ds["whose"].values
    for n in range(ds.sizes["source"]):
        of = points[whose == n]
        shown = of[:: max(1, len(of) // _SHOWN)]
        ax.plot(*shown.T, alpha=0.35, mew=0, zorder=1, **_dots(n, 3.0))
    for n in range(ds.sizes["source"]):
        of = points[whose == n]
        if len(of) > 1:
            ax.plot(*_ellipse(of), color=PALETTE[n % len(PALETTE)], ls=_line(n), lw=1.8, zorder=2)
    ax.set_xlabel("first main direction", fontsize=TEXT_SIZE)
    ax.set_ylabel("second main direction", fontsize=TEXT_SIZE)
    ax.set_title("Documents, and one standard deviation", fontsize=TITLE_SIZE)


def _ellipse(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "2 c"]:
    angle = np.linspace(0, 2 * np.pi, 100)
    values, vectors = np.linalg.eigh(np.cov(points.T))
    axes = vectors * np.sqrt(values.clip(0))
    return points.mean(axis=0)[:, None] + axes @ np.stack([np.cos(angle), np.sin(angle)])


def _dots(n: int, size: float) -> dict[str, Any]:
    turn = n // len(PALETTE)
    return mark(MARKS[(n + turn) % len(MARKS)], PALETTE[n % len(PALETTE)], size)


def _line(n: int) -> str:
    return LINES[n // len(PALETTE) % len(LINES)]
