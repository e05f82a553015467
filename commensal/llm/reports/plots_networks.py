"""Figure of reading networks: losses and likeness over the generations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from commensal.plots._style import LINES, PALETTE, TEXT_SIZE, draw_curve, new_figure, shared_legend


def llm_networks(
    courses: Mapping[str, Float[np.ndarray, "networks replicates time"]], networks: Sequence[str]
) -> Figure:
    """Plot quantities over the generations, in a panel each and a line per reading network.

    Parameters
    ----------
    courses : mapping of str to Float[numpy.ndarray, "networks replicates time"]
        By the panels' titles, units included.
    networks : sequence of str
        Names of the first axis.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over replicates; bands go from the least to the largest.

    Examples
    --------
    >>> import numpy as np
    >>> falling = np.linspace([[1.0], [1.0]], [[0.5], [0.8]], 4, axis=-1)[:, None, 0]
    >>> len(llm_networks({"loss": falling}, ["uniform", "ring:0"]).axes)
    1
    """
    fig, axes = new_figure(len(courses))
    colors = dict(zip(networks, itertools.cycle(PALETTE), strict=False))
    styles = dict(zip(networks, itertools.cycle(LINES), strict=False))
    for ax, (title, found) in zip(axes, courses.items(), strict=True):
        for name, values in zip(networks, found, strict=True):
            times = np.arange(values.shape[-1])
            low, high = values.min(axis=0), values.max(axis=0)
            ax.fill_between(times, low, high, color=colors[name], alpha=0.12, lw=0)
            draw_curve(ax, times, values.mean(axis=0), color=colors[name], ls=styles[name], lw=1.8)
        ax.set_ylabel(title, fontsize=TEXT_SIZE)
        ax.set_xlabel("generation", fontsize=TEXT_SIZE)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    shared_legend(
        fig,
        [
            Line2D([], [], color=colors[name], ls=styles[name], lw=1.8, label=name)
            for name in networks
        ],
    )
    return fig
