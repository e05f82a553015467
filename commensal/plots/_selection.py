"""Figure of models that learn from chosen data, over the generations."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from commensal.plots._style import (
    LAW,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    mark,
    new_figure,
    shared_legend,
)

_MOST = 40  # marks that can be told apart


def selection_course(
    runs: xr.DataArray, law: xr.DataArray | None = None, *, limit: float | None = None
) -> Figure:
    """Plot what runs measure in every generation, with the closed form.

    Parameters
    ----------
    runs : xarray.DataArray
        A variable of :func:`commensal.sims.selection.simulate` (replicate, generation), with its
        ``long_name``.
    law : xarray.DataArray or None
        Its expectation (generation).
    limit : float or None
        Expectation after very many generations.

    Returns
    -------
    matplotlib.figure.Figure
        Means over runs with two standard errors, the closed form, and its limit.
    """
    fig, (ax,) = new_figure(1)
    t, count = runs["generation"].values, runs.sizes["replicate"]
    at = np.unique(np.linspace(0, len(t) - 1, min(_MOST, len(t))).round().astype(int))
    here = runs.transpose("replicate", "generation").values[:, at]
    error = 2 * here.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(len(at))
    look = mark("o", PALETTE[0], 4.5)
    mean = here.mean(axis=0)
    # within the frame: nothing that is drawn is below 0
    ax.errorbar(t[at], mean, np.array([np.minimum(error, mean), error]), **look)
    known: list[Any] = [Line2D([], [], label="mean of runs, ± 2 standard errors", **look)]
    if law is not None:
        ax.plot(law["generation"], law, **LAW)
        known.append(Line2D([], [], label="theory", **LAW))
    if limit is not None:
        line = {"color": PALETTE[1], "lw": 1.2, "ls": "--"}
        ax.axhline(limit, **line)
        known.append(Line2D([], [], label="theory, in the limit", **line))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    ax.set_ylabel(str(runs.attrs.get("long_name", runs.name)), fontsize=TEXT_SIZE)
    ax.set_title(f"{count:,} runs", fontsize=TITLE_SIZE)
    shared_legend(fig, known)
    return fig
