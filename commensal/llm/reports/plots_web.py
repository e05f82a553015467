"""Figures of webs of language models: their distances, and where their responses lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from commensal.plots._style import (
    LINES,
    MARKS,
    NORM,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    draw_curve,
    mark,
    new_figure,
    plain,
    shared_legend,
)

_FLOOR: dict[str, Any] = {"color": "black", "ls": "--", "lw": 1.0}


def llm_web_disagreement(distances: pd.DataFrame) -> Figure:
    """Plot ‖D‖_F over the generations (`webdynamics` fig. 2).

    Parameters
    ----------
    distances : pandas.DataFrame
        What :func:`commensal.llm.web.distances` gives.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per number of models; colours tell β; thin lines are replicates, thick ones their
        mean. Dashed: what the sampling of L responses alone would give.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(0.5, t, 3.0 / (t + 1), 0.5) for t in range(4)]
    >>> names = ["read_share", "generation", "disagreement", "sampling"]
    >>> len(llm_web_disagreement(pd.DataFrame(rows, columns=names)).axes)
    1
    """
    data: Any = distances
    counts = sorted(data["models"].unique()) if "models" in data else [None]
    several = "replicate" in data and data["replicate"].nunique() > 1
    fig, axes = new_figure(len(counts))
    shares = sorted(data["read_share"].unique())
    colors = {b: PALETTE[i % len(PALETTE)] for i, b in enumerate(shares)}
    for ax, count in zip(axes, counts, strict=True):
        here = data if count is None else data.loc[data["models"] == count]
        for read_share, part in here.groupby("read_share"):
            color = colors[read_share]
            if several:
                for _, one in part.groupby("replicate"):
                    ax.plot(one["generation"], one["disagreement"], color=color, lw=0.7, alpha=0.5)
            # where it is not known of one replicate, the mean is not known
            mean = part.groupby("generation")["disagreement"].agg(lambda v: v.mean(skipna=False))
            draw_curve(ax, mean.index, mean.to_numpy(), color=color, lw=1.8, ms=4)
        floor = here.groupby("generation")["sampling"].mean()
        ax.plot(floor.index, floor.to_numpy(), **_FLOOR)
        ax.set_ylim(bottom=0)
        ax.set_ylabel(NORM, fontsize=TEXT_SIZE)
        _generations(ax)
        if count is not None:
            ax.set_title(f"n = {count:g} models", fontsize=TITLE_SIZE)
    known = [Line2D([], [], color=c, lw=1.8, label=f"β = {b:g}") for b, c in colors.items()]
    known.append(Line2D([], [], label="sampling of L responses alone", **_FLOOR))
    if several:
        known.append(Line2D([], [], color="0.5", lw=0.7, label="thin: one replicate"))
    shared_legend(fig, known)
    return fig


def llm_web_responses(
    panels: Mapping[str, Float[np.ndarray, "n L 2"]], names: Sequence[str]
) -> Figure:
    """Plot all responses as points of the plane, early and late (`webdynamics` fig. 3).

    Parameters
    ----------
    panels : mapping from str to array
        Coordinates by title: model, response, axis. All panels have the same scale.
    names : sequence of str
        Of the models.

    Returns
    -------
    matplotlib.figure.Figure
        Crosses are the models' means.
    """
    fig, axes = new_figure(len(panels), square=True)
    for ax, (title, points) in zip(axes, panels.items(), strict=True):
        for i, cloud in enumerate(points):
            color = PALETTE[i % len(PALETTE)]
            style = mark(MARKS[i % len(MARKS)], color, 5.0)
            ax.plot(*cloud.T, alpha=0.5, mec="white", mew=0.4, **style)
        for i, cloud in enumerate(points):
            color = PALETTE[i % len(PALETTE)]
            known = cloud[~np.isnan(cloud).any(axis=1)]  # the others were left out
            if len(known):
                ax.plot(*known.mean(axis=0), marker="P", ms=11, color=color, mec="black", ls="none")
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.set_aspect("equal", adjustable="box")
        _no_units(ax)
    crosses = mark("P", "0.4", 9.0, mec="black")
    shared_legend(fig, [*_models(names), Line2D([], [], label="mean of a model", **crosses)])
    return fig


def llm_web_paths(paths: Float[np.ndarray, "T n 2"], names: Sequence[str]) -> Figure:
    """Plot the path of each model's mean response (a data kernel perspective space).

    Parameters
    ----------
    paths : array
        Coordinates: generation, model, axis.
    names : sequence of str
        Of the models.

    Returns
    -------
    matplotlib.figure.Figure
        Lines grow darker with time; a ring is the start, a disc the end. Helm et al. (2024).
    """
    fig, (ax,) = new_figure(1)
    last = max(len(paths) - 1, 1)
    for i in range(paths.shape[1]):
        color = np.array(to_rgb(PALETTE[i % len(PALETTE)]))
        for t in range(len(paths) - 1):
            faded = 1 - (1 - color) * (0.25 + 0.75 * t / last)
            ax.plot(*paths[t : t + 2, i].T, color=tuple(faded), lw=1.3)
        style = mark("o", PALETTE[i % len(PALETTE)], 8.0)
        ax.plot(*paths[0, i], mfc="white", mew=1.8, **style)
        ax.plot(*paths[-1, i], mec="black", **style)
    ax.set_aspect("equal", adjustable="datalim")
    _no_units(ax)
    ends = [
        Line2D([], [], mfc="white", mew=1.8, label="start", **mark("o", "0.3", 8.0)),
        Line2D([], [], mec="black", label="end", **mark("o", "0.3", 8.0)),
    ]
    shared_legend(fig, [*_models(names, "o"), *ends])
    return fig


def llm_web_variety(metrics: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Plot how varied each model is by itself, and how much of its reading models wrote.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives, or the part of one β.
    names : sequence of str
        Of the models.

    Returns
    -------
    matplotlib.figure.Figure
        Means over replicates.
    """
    fig, axes = new_figure(2)
    for ax, metric, label in zip(
        axes,
        ("spread", "synthetic_share"),
        ("spread of a model's responses (rms distance)", "synthetic share of what is read"),
        strict=True,
    ):
        rows: Any = metrics.loc[metrics["metric"] == metric]
        parts = rows.groupby(["model", "generation"])["value"]
        mean = parts.agg(lambda v: v.mean(skipna=False))  # unknown where one replicate's is
        for i in range(len(names)):
            if i in mean.index.get_level_values(0):
                one = mean.loc[i]
                look = {"color": PALETTE[i % len(PALETTE)], "ls": LINES[i % 4], "lw": 1.5, "ms": 4}
                draw_curve(ax, one.index.to_numpy(), one.to_numpy(), **look)
        ax.set_ylim(bottom=0)
        ax.set_ylabel(label, fontsize=TEXT_SIZE)
        _generations(ax)
    known = [
        Line2D([], [], color=PALETTE[i % len(PALETTE)], ls=LINES[i % 4], lw=1.8, label=name)
        for i, name in enumerate(names)
    ]
    shared_legend(fig, known)
    return fig


def llm_web_pairing(table: pd.DataFrame) -> Figure:
    """Plot the mixture law and the retrieval law over measurements of a web.

    Parameters
    ----------
    table : pandas.DataFrame
        ``table`` of :func:`commensal.pairing.pair_web`.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per grid point: ‖D‖_F over the generations.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("β = 0.5", t, 2.0, 0.5, 1.9, 1.8) for t in range(3)]
    >>> names = ["point", "generation", "measured", "sampling", "mixture", "retrieval"]
    >>> len(llm_web_pairing(pd.DataFrame(rows, columns=names)).axes)
    1
    """
    data: Any = table
    points = list(dict.fromkeys(data["point"]))
    fig, axes = new_figure(len(points))
    looks: dict[str, dict[str, Any]] = {
        "mixture": {"color": PALETTE[0], "lw": 1.8, "label": "mixture law"},
        "retrieval": {"color": PALETTE[1], "lw": 1.8, "ls": "--", "label": "retrieval law"},
        "sampling": {**_FLOOR, "ls": ":", "label": "sampling of L responses alone"},
    }
    dots = {"label": "language models", **mark("o", "0.25", 4.0)}
    for ax, point in zip(axes, points, strict=True):
        part = data.loc[data["point"] == point]
        ax.plot(part["generation"], part["measured"], **dots)
        for name, look in looks.items():
            ax.plot(part["generation"], part[name], **look)
        ax.set_ylim(bottom=0)
        ax.set_title(str(point), fontsize=TITLE_SIZE)
        ax.set_ylabel(NORM, fontsize=TEXT_SIZE)
        _generations(ax)
    shared_legend(fig, [Line2D([], [], **look) for look in (dots, *looks.values())])
    return fig


def llm_web_law(table: pd.DataFrame) -> Figure:
    """Plot ‖D‖_F of language shares beside the known law of taught models.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``point``, ``generation``, ``measured``, ``noise`` and, NaN where the law is not
        known, ``law`` with the band from ``low`` to ``high``.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per grid point.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [("β = 0.5", t, 2.0, 0.5, 1.9, 1.5, 2.3) for t in range(3)]
    >>> names = ["point", "generation", "measured", "noise", "law", "low", "high"]
    >>> len(llm_web_law(pd.DataFrame(rows, columns=names)).axes)
    1
    """
    data: Any = table
    points = list(dict.fromkeys(data["point"]))
    fig, axes = new_figure(len(points))
    dots = {"label": "language models", **mark("o", "0.25", 4.0)}
    line = {"color": PALETTE[0], "lw": 1.8, "label": "their law, simulated"}
    floor = {**_FLOOR, "label": "sampling of L responses alone"}
    shade = {"color": PALETTE[0], "alpha": 0.2, "lw": 0}
    for ax, point in zip(axes, points, strict=True):
        part = data.loc[data["point"] == point]
        ax.fill_between(
            part["generation"], part["low"], part["high"], color=PALETTE[0], alpha=0.2, lw=0
        )
        ax.plot(part["generation"], part["law"], **line)
        ax.plot(part["generation"], part["measured"], **dots)
        ax.plot(part["generation"], part["noise"], **floor)
        ax.set_ylim(bottom=0)
        ax.set_title(str(point), fontsize=TITLE_SIZE)
        ax.set_ylabel(f"{NORM} of language shares", fontsize=TEXT_SIZE)
        _generations(ax)
    band = Patch(label="95 % of runs of the law", **shade)
    shared_legend(fig, [*(Line2D([], [], **look) for look in (dots, line, floor)), band])
    return fig


def _models(names: Sequence[str], marker: str | None = None) -> list[Any]:
    return [
        Line2D([], [], label=name, **mark(marker or MARKS[i % 4], PALETTE[i % len(PALETTE)], 6.0))
        for i, name in enumerate(names)
    ]


def _generations(ax: Axes) -> None:
    plain(ax)
    ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))


def _no_units(ax: Axes) -> None:
    """Label the axes of scaled coordinates, in which only distances have a meaning."""
    plain(ax)
    ax.set_xlabel("first coordinate", fontsize=TEXT_SIZE)
    ax.set_ylabel("second coordinate", fontsize=TEXT_SIZE)
