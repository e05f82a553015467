"""Figures of remedies against collapse: measures over time, and final differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from commensal.plots._style import (
    DPI,
    GREY,
    LINES,
    PALETTE,
    TEXT_SIZE,
    WIDTH,
    draw_curve,
    new_figure,
    plain,
    shared_legend,
)


def llm_remedies(
    values: Mapping[str, Float[np.ndarray, "remedies lineages generations"]],
    remedies: Sequence[str],
) -> Figure:
    """Plot measures over the generations, in a panel per metric and a line per remedy.

    Parameters
    ----------
    values : mapping of str to Float[numpy.ndarray, "remedies lineages generations"]
        By the panels' titles, units included; NaN where a lineage has not come so far.
    remedies : sequence of str
        Their names; the one that does nothing first, drawn black.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over lineages; the band, of the first alone, goes from the least to the
        largest.

    Examples
    --------
    >>> import numpy as np
    >>> falling = np.linspace([[1.0], [1.0]], [[0.5], [0.8]], 4, axis=-1)
    >>> len(llm_remedies({"distinct-4": falling}, ["none", "human"]).axes)
    1
    """
    fig, axes = new_figure(len(values))
    for ax, (title, found) in zip(axes, values.items(), strict=True):
        times = np.arange(found.shape[-1])
        low, high = found[0].min(axis=0), found[0].max(axis=0)
        ax.fill_between(times, low, high, color=GREY, lw=0)
        for i, of_remedy in enumerate(found):
            draw_curve(ax, times, of_remedy.mean(axis=0), **_line(i), label=remedies[i])
        ax.set_ylabel(title, fontsize=TEXT_SIZE)
        ax.set_xlabel("generation", fontsize=TEXT_SIZE)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, _ = axes[0].get_legend_handles_labels()
    handles.append(Patch(color=GREY, label=f"{remedies[0]}: least to most of lineages"))
    shared_legend(fig, handles)
    return fig


def llm_remedies_forest(
    differences: Mapping[str, Sequence[tuple[float, float, float]]], remedies: Sequence[str]
) -> Figure:
    """Plot how far each remedy ends from no remedy, with intervals.

    Parameters
    ----------
    differences : mapping of str to sequence of (float, float, float)
        By the panels' titles: difference, lower and upper end, of each remedy; the ends are NaN
        where there is no interval.
    remedies : sequence of str
        Their names.

    Returns
    -------
    matplotlib.figure.Figure
    """
    tall = 0.3 * len(remedies) + 1.5
    fig = Figure(figsize=(WIDTH, tall), dpi=DPI, layout="constrained")
    axes = fig.subplots(1, len(differences), squeeze=False, sharey=True)[0]
    for ax, (title, found) in zip(axes, differences.items(), strict=True):
        plain(ax).axvline(0.0, color="0.6", lw=0.8)
        for row, (value, low, high) in enumerate(found):
            color = PALETTE[0] if low > 0 or high < 0 else "0.45"
            ax.plot([low, high], [row, row], color=color, lw=1.6)
            ax.plot([value], [row], "o", color=color, ms=4.5)
        ax.set_xlabel(f"difference of\n{title}", fontsize=TEXT_SIZE)
        ax.xaxis.set_major_locator(MaxNLocator(4))
    axes[0].set_yticks(range(len(remedies)), list(remedies), fontsize=TEXT_SIZE)
    axes[0].set_ylim(len(remedies) - 0.5, -0.5)
    clear, unclear = (
        Line2D([], [], color=color, marker="o", ms=4.5, lw=1.6, label=label)
        for color, label in (
            (PALETTE[0], "differs from no remedy (intervals hold together with 95 %)"),
            ("0.45", "not told apart from no remedy"),
        )
    )
    shared_legend(fig, [clear, unclear])
    return fig


def _line(i: int) -> dict[str, object]:
    if i == 0:
        return {"color": "black", "lw": 2.0}
    style = LINES[(i - 1) % len(LINES)]
    return {"color": PALETTE[(i - 1) % len(PALETTE)], "lw": 1.4, "ls": style}
