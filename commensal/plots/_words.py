"""Figures of models that repeat words: how many are left over generations, and which."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from commensal.plots._style import (
    LAW,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    draw_curve,
    mark,
    new_figure,
    shared_legend,
)

_LEAST = 30  # observations of words that a point in the right panel stands for, at least


def vocabulary(runs: xr.Dataset, theory: xr.Dataset | None = None) -> Figure:
    """Plot how many words are left over the generations, and which of them at last.

    Parameters
    ----------
    runs : xarray.Dataset
        Runs, as :func:`commensal.sims.words.simulate` gives them. Optional ``expected`` (word): how
        often each word is expected in the first corpus; without it the right panel is over
        ``law``.
    theory : xarray.Dataset or None
        Expected number of words, ``richness`` (generation), and ``survival`` (word), the
        probability that each is in the last text.

    Returns
    -------
    matplotlib.figure.Figure
        Left: numbers of words, mean and 5 to 95 % of runs. Right: share of words that are alive in
        the last generation, by how often they were expected in the first corpus.
    """
    fig, (left, right) = new_figure(2)
    found = runs["richness"]
    t = found["generation"].values
    low, high = found.quantile([0.05, 0.95], "replicate").values
    left.fill_between(t, low, high, color=PALETTE[0], alpha=0.2, lw=0)
    draw_curve(left, t, found.mean("replicate"), color=PALETTE[0], lw=1.6)
    known: list[Any] = [
        Line2D([], [], color=PALETTE[0], lw=1.6, label="words left, mean of runs"),
        Patch(color=PALETTE[0], alpha=0.2, lw=0, label="5 to 95 % of runs"),
    ]
    left.set_ylim(bottom=0)
    left.set_xlabel("generation", fontsize=TEXT_SIZE)
    left.set_ylabel("number of words in the text", fontsize=TEXT_SIZE)
    left.set_title(f"vocabulary of {found.sizes['replicate']:,} runs", fontsize=TITLE_SIZE)
    law = runs["law"].mean("model") if "model" in runs["law"].dims else runs["law"]
    counted = "expected" in runs
    x = runs.get("expected", law).values
    centres, share, error = _binned(x, runs["survivors"].values)
    right.errorbar(centres, share, error, **mark("o", PALETTE[0], 4.5))
    look = mark("o", PALETTE[0], 4.5)
    known.append(Line2D([], [], label="words that are left, ± 2 standard errors", **look))
    if theory is not None:
        left.plot(theory["generation"], theory["richness"], **LAW)
        order = np.argsort(x)
        order = order[x[order] > 0]
        right.plot(x[order], theory["survival"].values[order], **LAW)
        known.append(Line2D([], [], label="theory", **LAW))
    right.set(xscale="log", ylim=(-0.02, 1.05))
    right.set_xlabel(
        "how often a word is expected in the first corpus" if counted else "frequency of a word",
        fontsize=TEXT_SIZE,
    )
    right.set_ylabel("share of words that are left", fontsize=TEXT_SIZE)
    right.set_title(f"after {int(t[-1])} generations, by frequency", fontsize=TITLE_SIZE)
    shared_legend(fig, known)
    return fig


def words_retention(curves: pd.DataFrame) -> Figure:
    """Plot how many rare words a lineage of language models still shows, beside the law.

    Parameters
    ----------
    curves : pandas.DataFrame
        A row per ``remedy``, ``sample`` (number of words in a sample), ``replicate`` and
        ``generation``: what was measured, ``relative``, and what the law says with one number,
        ``chance``, and with two, ``law``.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per remedy; colours tell the size of the samples. Marks: means over replicates,
        with all replicates as thin lines; lines: the law; dashed: chance alone.
    """
    remedies = list(dict.fromkeys(curves["remedy"]))
    sizes = sorted(curves["sample"].unique(), reverse=True)
    colors = dict(zip(sizes, PALETTE, strict=False))
    fig, axes = new_figure(len(remedies))
    data: Any = curves
    for ax, remedy in zip(axes, remedies, strict=True):
        here = data.loc[data["remedy"] == remedy]
        for size, part in here.groupby("sample"):
            color = colors[size]
            for _, one in part.groupby("replicate"):
                ax.plot(one["generation"], one["relative"], color=color, lw=0.6, alpha=0.4)
            mean = part.groupby("generation")[["relative", "law", "chance"]].mean()
            ax.plot(mean.index, mean["relative"], **mark("o", color, 5))
            ax.plot(mean.index, mean["law"], color=color, lw=1.8)
            ax.plot(mean.index, mean["chance"], color=color, lw=1.2, ls="--")
        ax.set_ylim(bottom=0)
        ax.set_title(remedy, fontsize=TITLE_SIZE)
        ax.set_xlabel("generation", fontsize=TEXT_SIZE)
        ax.set_ylabel("rare words shown, of generation 0's", fontsize=TEXT_SIZE)
    known = [
        Line2D([], [], label=f"samples of {size:,} words", **mark("o", color, 5))
        for size, color in colors.items()
    ]
    known.append(Line2D([], [], color="black", lw=1.8, label="law: chance, and copies"))
    known.append(Line2D([], [], color="black", lw=1.2, ls="--", label="law: chance alone"))
    shared_legend(fig, known)
    return fig


def _binned(x: np.ndarray, alive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group words of like frequency, and return their centres, shares alive and two errors."""
    order = np.argsort(x)[np.sort(x) > 0]
    steps = np.floor(2 * np.log2(x[order])).astype(int)  # half octaves
    runs, groups = len(alive), []
    for step in np.unique(steps):
        words = order[steps == step]
        if groups and groups[-1].size * runs < _LEAST:
            groups[-1] = np.concatenate([groups[-1], words])
        else:
            groups.append(words)
    centres = np.array([np.exp(np.log(x[g]).mean()) for g in groups])
    share = np.array([alive[:, g].mean() for g in groups])
    count = np.array([g.size * runs for g in groups])
    # within the frame: shares are no more than all
    room = np.minimum(1.02 - share, share + 0.01)
    error = np.minimum(2 * np.sqrt(share * (1 - share) / count), room)
    return centres, share, error
