"""Figure of an audit: how many words survive, and by how much each index differs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from commensal.plots._style import (
    LAW,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    TRUTH,
    mark,
    new_figure,
    shared_legend,
)

_COLORS = {
    "narrower": PALETTE[1],
    "wider": PALETTE[0],
    "different": PALETTE[3],
    "cannot be told": "0.6",
}
_MARKERS = {"narrower": "v", "wider": "^", "different": "D", "cannot be told": "o"}


def corpus_audit(table: pd.DataFrame, survival: pd.DataFrame) -> Figure:
    """Plot an audit: words that survive by their frequency, and all indices with intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        Row per index: ``index``, ``reference``, ``difference``, ``low``, ``high``, ``verdict``, as
        in ``Audit.table``.
    survival : pandas.DataFrame
        Row per class of words: ``above``, ``up_to``, ``generated``, ``human``, ``law``; may be
        empty.

    Returns
    -------
    matplotlib.figure.Figure
        Left: shares of human words that are used, by their frequency. Right: differences from the
        reference, each in units of half the width of its interval, so that all beyond ± 1 are told
        apart from none.
    """
    fig, (left, right) = new_figure(2)
    known: list[Any] = []
    if len(survival):
        x = np.arange(len(survival))
        for name, marker, color in (("human", "s", PALETTE[0]), ("generated", "o", PALETTE[1])):
            look = mark(marker, color, 5)
            left.plot(x, survival[name], **look)
            label = "another human sample" if name == "human" else "audited corpus"
            known.append(Line2D([], [], label=label, **look))
        left.plot(x, survival["law"], **LAW)
        known.append(Line2D([], [], label="survival law, one number fitted", **LAW))
        counts = zip(survival["above"], survival["up_to"], strict=True)
        left.set_xticks(x, [f"{low:g}–{high:g}" if low else f"≤ {high:g}" for low, high in counts])
    left.set_ylim(-0.03, 1.05)
    left.set_xlabel("count of a word in a human sample of this size", fontsize=TEXT_SIZE)
    left.set_ylabel("share of these words that are used", fontsize=TEXT_SIZE)
    left.set_title("which words survive", fontsize=TITLE_SIZE)
    half = (table["high"] - table["low"]) / 2
    told = table[(half > 0) & table["difference"].notna()]
    scaled = np.asarray(told["difference"] / half[told.index])
    y = np.arange(len(told))[::-1]
    shown = np.sign(scaled) * np.log1p(np.abs(scaled)) / np.log(2)
    for verdict, color in _COLORS.items():
        here = (told["verdict"] == verdict).to_numpy()
        if here.any():
            look = mark(_MARKERS[verdict], color, 6)
            right.plot(shown[here], y[here], **look)
            known.append(Line2D([], [], label=verdict, **look))
    right.axvspan(-1, 1, color="0.93", lw=0, zorder=0)
    right.axvline(0, **TRUTH)
    most = max(np.abs(shown).max(initial=1.5) * 1.08, 2.0)
    right.set_xlim(-most, most)
    ticks = [t for t in (1, 3, 7, 15, 31, 63, 127) if np.log2(1 + t) <= most]
    right.set_xticks(
        [*(-np.log2(1 + np.array(ticks[::-1]))), 0, *np.log2(1 + np.array(ticks))],
        [*(f"−{t}" for t in ticks[::-1]), "0", *(f"{t}" for t in ticks)],
    )
    right.set_yticks(y, told["index"], fontsize=TEXT_SIZE - 1)
    right.set_ylim(-0.8, len(told) - 0.2)
    right.set_xlabel("difference over half the width of its interval", fontsize=TEXT_SIZE)
    right.set_title("audited minus human, all indices", fontsize=TITLE_SIZE)
    shared_legend(fig, known)
    return fig
