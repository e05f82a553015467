"""Figures of plans: errors by generation, and how much each input changes an outcome."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from commensal.plots._style import (
    LAW,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    TRUTH,
    draw_curve,
    new_figure,
    say,
    shared_legend,
)

_TITLES = {
    "error": "error in the last generation",
    "vocabulary": "share of words that is left",
    "settled": "error in the long run",
}
_LOW, _HIGH = PALETTE[0], PALETTE[1]


def planned_errors(errors: xr.Dataset) -> Figure:
    """Plot the expected error by generation, its scatter, and the error that is asked for.

    Parameters
    ----------
    errors : xarray.Dataset
        ``mean``, ``low`` and ``high`` (generation), and ``best``, the mean with the best weights,
        in units of the error on human documents alone; ``settled`` and ``until``, one number each.
        What is not a number is not drawn.

    Returns
    -------
    matplotlib.figure.Figure
        One panel over the generations.

    Examples
    --------
    >>> t = np.arange(4)
    >>> names = ("mean", "low", "high", "best")
    >>> found = xr.Dataset({name: ("generation", 1.0 + t) for name in names})
    >>> len(planned_errors(found.assign(settled=5.0, until=2.0)).axes)
    1
    """
    fig, (ax,) = new_figure(1)
    t = np.arange(errors.sizes["generation"])
    ax.fill_between(t, errors["low"], errors["high"], color=PALETTE[0], alpha=0.2, lw=0)
    draw_curve(ax, t, errors["mean"], color=PALETTE[0], lw=1.8)
    ax.axhline(1, **TRUTH)
    until, settled = float(errors["until"]), float(errors["settled"])
    known = [
        Line2D([], [], color=PALETTE[0], lw=1.8, label="expected error"),
        Patch(color=PALETTE[0], alpha=0.2, lw=0, label="95 % of models"),
        Line2D([], [], label="human documents alone", **TRUTH),
        Line2D([], [], color=PALETTE[1], ls=":", lw=1.6, label="error that is asked for"),
    ]
    ax.axhline(until, color=PALETTE[1], ls=":", lw=1.6)
    if np.isfinite(errors["best"]).any():
        draw_curve(ax, t, errors["best"], color=PALETTE[2], ls="-.", lw=1.8)
        known.append(
            Line2D([], [], color=PALETTE[2], ls="-.", lw=1.8, label="expected with the best mix")
        )
    if np.isfinite(settled):
        ax.axhline(settled, **LAW)
        known.append(Line2D([], [], label="in the long run", **LAW))
    if np.isnan(errors["mean"]).all():
        say(ax, "the error cannot be told")
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    ax.set_ylabel("error, of that on human documents alone", fontsize=TEXT_SIZE)
    ax.set_title("Error by generation", fontsize=TITLE_SIZE)
    shared_legend(fig, known, most=3)
    return fig


def sensitivities(found: xr.Dataset) -> Figure:
    """Plot how much each input changes the outcomes of a plan: a tornado for each.

    Parameters
    ----------
    found : xarray.Dataset
        ``error``, ``settled`` and ``vocabulary`` (input, side), side "low" and "high"; ``value``
        (input, side) with those of the input; ``base`` (outcome).

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each outcome that is known, inputs that change it most on top.

    Examples
    --------
    >>> two = ("input", "side"), np.array([[0.9, 1.2], [1.0, 1.1]])
    >>> made = xr.Dataset(
    ...     {"error": two, "settled": two, "vocabulary": two, "value": two,
    ...      "base": ("outcome", [1.0, 1.0, 1.0])},
    ...     {"input": ["real", "models"], "side": ["low", "high"],
    ...      "outcome": ["error", "settled", "vocabulary"]},
    ... )
    >>> len(sensitivities(made).axes)
    3
    """
    base = {str(name): float(found["base"].sel(outcome=name)) for name in found["outcome"].values}
    names = [name for name in _TITLES if np.isfinite(base.get(name, np.nan))]
    fig, axes = new_figure(max(len(names), 1))
    if not names:
        say(axes[0], "no outcome can be told")
        axes[0].set(xlabel="outcome", ylabel="input")
    for ax, name in zip(axes, names, strict=False):
        _tornado(ax, found, name, base[name])
    known = [
        Patch(color=_LOW, label="with the input lower"),
        Patch(color=_HIGH, label="with the input higher"),
        Line2D([], [], label="as given", **TRUTH),
    ]
    shared_legend(fig, known)
    return fig


def _tornado(ax: Axes, found: xr.Dataset, name: str, base: float) -> None:
    values = found[name].values
    moved = np.nan_to_num(np.abs(values - base)).max(axis=1)
    order = np.argsort(moved, kind="stable")
    for place, at in enumerate(order):
        for side, color in ((0, _LOW), (1, _HIGH)):
            change = values[at, side] - base
            if np.isfinite(change):
                ax.barh(place, change, left=base, height=0.7 - 0.3 * side, color=color, lw=0)
    ax.axvline(base, **TRUTH)
    ax.set_yticks(range(len(order)), [str(found["input"].values[at]).replace("_", " ")
                                      for at in order])  # fmt: skip
    ax.set_xlabel(_TITLES[name], fontsize=TEXT_SIZE)
    ax.set_ylabel("input", fontsize=TEXT_SIZE)
    ax.set_title(_TITLES[name], fontsize=TITLE_SIZE)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4))
