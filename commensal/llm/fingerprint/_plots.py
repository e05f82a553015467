"""Figures of fingerprints: similarity within and across families, the matrix, influence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from commensal.plots._style import (
    ACROSS,
    DPI,
    NEWER_FIRST,
    OLDER_FIRST,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    WITHIN,
    mark,
    plain,
    shared_legend,
)

if TYPE_CHECKING:
    from commensal.llm.fingerprint import Asymmetry, Models, Pairs

_POINTS = 3000  # directed pairs drawn at most


def similarity_densities(pairs: Pairs, fine: int = 60) -> Figure:
    """Plot densities of similarity within and across families, smooth and too finely binned.

    Parameters
    ----------
    pairs : commensal.llm.fingerprint.Pairs
    fine : int
        Bins of the second panel.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 3: with Scott's bandwidth, and as a histogram of ``fine`` bins; the
        area that both share is grey.
    """
    from commensal.llm.fingerprint._statistics import Density, Histogram

    fig = Figure(figsize=(WIDTH, 3.9), dpi=DPI, layout="constrained")
    left, right = (plain(ax) for ax in fig.subplots(1, 2))
    density = Density(pairs)
    within, cross = density.densities()
    low, high = np.quantile(density.grid, [0.1, 0.9])
    kept = (low <= density.grid) & (density.grid <= high)  # beyond, both are next to nothing
    x, within, cross = density.grid[kept], within[kept], cross[kept]
    left.fill_between(x, np.minimum(within, cross), color="0.8", lw=0)
    left.plot(x, within, color=WITHIN)
    left.plot(x, cross, color=ACROSS, ls="--")
    for values, color, at in (
        (pairs.similarity[pairs.within], WITHIN, -0.025),
        (pairs.similarity[~pairs.within], ACROSS, -0.055),
    ):
        shown = values[:: max(1, values.size // 1000)]
        height = np.full(shown.size, at * max(within.max(), cross.max()))
        left.plot(shown, height, "|", color=color, ms=5, mew=0.5, alpha=0.6)
    left.set_xlim(low, high)
    left.set_title(f"KDE, Scott's bandwidth: OVL = {density():.3f}", fontsize=TITLE_SIZE)
    edges = np.linspace(pairs.similarity[0], pairs.similarity[-1], fine + 1)
    for group, color in ((pairs.within, WITHIN), (~pairs.within, ACROSS)):
        height = np.histogram(pairs.similarity[group], edges, density=True)[0]
        right.stairs(height, edges, color=color, fill=True, alpha=0.25, lw=0)
        right.stairs(height, edges, color=color, lw=0.9, ls="-" if color == WITHIN else "--")
    overlap = Histogram(pairs, fine)()
    right.set_title(f"histogram, {fine} bins: OVL = {overlap:.3f}", fontsize=TITLE_SIZE)
    for ax in (left, right):
        ax.set_xlabel("similarity of two models (Jaccard)", fontsize=TEXT_SIZE)
        ax.set_ylabel("density", fontsize=TEXT_SIZE)
    left.set_yticks([tick for tick in left.get_yticks() if tick >= 0])  # ticks below 0 are pairs
    shared_legend(
        fig,
        [
            Line2D([], [], color=WITHIN, label="pairs within families"),
            Line2D([], [], color=ACROSS, ls="--", label="pairs across families"),
            Line2D([], [], label="one pair", **mark("|", "0.4", 6.0)),
            Patch(color="0.8", label="shared by both"),
        ],
    )
    return fig


def similarity_matrix(similarity: Float[np.ndarray, "N N"], models: Models) -> Figure:
    """Plot the row-normalised matrix, models sorted by family, without its diagonal.

    Parameters
    ----------
    similarity : Float[np.ndarray, "N N"]
    models : commensal.llm.fingerprint.Models

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 4, as multiples of what equal shares would be.
    """
    from commensal.llm.fingerprint._pairs import row_normalised

    codes = models.codes()
    dates = np.zeros(len(codes)) if models.dates is None else models.dates
    order = np.lexsort((dates, codes))
    n = len(order)
    ratio = row_normalised(similarity)[np.ix_(order, order)] * (n - 1)
    few = n <= 40
    fig = Figure(figsize=(8.6, 7.4) if few else (7.4, 6.2), dpi=DPI, layout="constrained")
    ax = fig.subplots()
    image = ax.imshow(ratio, cmap="viridis", interpolation="nearest")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    for at in starts[1:]:
        ax.axhline(at - 0.5, color="white", lw=1.4)
        ax.axvline(at - 0.5, color="white", lw=1.4)
    if few:
        names = [_short(models.names[i]) for i in order]
        ax.set_yticks(range(n), names)
        ax.set_xticks(range(n), names, rotation=90)
        ax.tick_params(labelsize=TEXT_SIZE - 1.5, length=0)
    else:
        ends = [*starts[1:], n]
        middles = [(a + b - 1) / 2 for a, b in zip(starts, ends, strict=True)]
        labels = [models.families[order[at]] for at in starts] if len(starts) <= 40 else []
        ax.set_yticks(middles[: len(labels)], labels)
        ax.set_xticks([])
    ax.spines[:].set_visible(False)
    ax.set_ylabel("models; white lines part families", fontsize=TEXT_SIZE)
    ax.set_xlabel("the same models; the diagonal is left out", fontsize=TEXT_SIZE)
    bar = fig.colorbar(image, ax=ax, shrink=0.8, pad=0.02)
    bar.set_label("similarity over the row's mean", fontsize=TEXT_SIZE)
    bar.ax.tick_params(labelsize=TEXT_SIZE)
    return fig


def influence_over_lags(
    influence: Mapping[str, Float[np.ndarray, "N N"]],
    found: Mapping[str, Asymmetry],
    models: Models,
    weights: Sequence[str] = ("score", "equal"),
) -> Figure:
    """Plot directed influence between families by lag: pairs as points, means of bins as bars.

    Parameters
    ----------
    influence : mapping of str to Float[np.ndarray, "N N"]
        Directed influence by weights.
    found : mapping of str to commensal.llm.fingerprint.Asymmetry
        Test of its direction by weights.
    models : commensal.llm.fingerprint.Models
        Models with dates.
    weights : sequence of str
        A panel for each.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 5. Error bars: models resampled. To the right of 0 the source is the
        older of the two.

    Raises
    ------
    ValueError
        If the models have no dates.
    """
    from commensal.llm.fingerprint._influence import directed_pairs

    if models.dates is None:
        raise ValueError("the models have no dates")
    fig = Figure(figsize=(WIDTH, 4.2), dpi=DPI, layout="constrained")
    axes = fig.subplots(1, len(weights), sharey=True, squeeze=False)[0]
    titles = {
        "score": "weighted by the source's scores",
        "log": "weighted by log scores",
        "rank": "weighted by 1/rank",
        "equal": "every feature counts the same",
    }
    for ax, name in zip(axes, weights, strict=True):
        plain(ax)
        pairs = directed_pairs(influence[name], models.codes(), models.dates)
        pairs = pairs.iloc[:: max(1, len(pairs) // _POINTS)]
        ax.plot(pairs["lag"], pairs["influence"], ".", color="0.7", ms=3, zorder=1)
        bins = found[name].bins
        sides = ((bins["middle"] < 0, NEWER_FIRST, "s"), (bins["middle"] > 0, OLDER_FIRST, "o"))
        for side, color, marker in sides:
            part = bins.loc[side]
            bars = [part["mean"] - part["low_models"], part["high_models"] - part["mean"]]
            bars = np.nan_to_num(np.maximum(bars, 0))
            look = {"color": color, "marker": marker, "ms": 4.5, "capsize": 2.5}
            ax.errorbar(part["middle"], part["mean"], bars, **look)
        ax.axvline(0, color="0.5", lw=0.8)
        one = found[name].difference
        title = f"{titles[name]}\nolder to newer minus newer to older: "
        told = f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]".replace("-", "−")
        ax.set_title(title + told, fontsize=TITLE_SIZE - 1)
        unit = "months" if models.unit == "month" else "generations"
        ax.set_xlabel(f"target's date minus source's ({unit})", fontsize=TEXT_SIZE)
        ax.set_ylabel("influence of source on target", fontsize=TEXT_SIZE)
    shared_legend(
        fig,
        [
            Line2D([], [], color=NEWER_FIRST, marker="s", ms=4.5, label="newer on older: mean"),
            Line2D([], [], color=OLDER_FIRST, marker="o", ms=4.5, label="older on newer: mean"),
            Line2D([], [], color="0.4", marker="|", ls="none", label="bars: 95 % over models"),
            Line2D([], [], label="one pair of models", **mark(".", "0.7", 5.0)),
        ],
    )
    return fig


def _short(name: str) -> str:
    return name.rpartition("/")[2].removesuffix("-instruct")
