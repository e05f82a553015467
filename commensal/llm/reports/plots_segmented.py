"""Figures of segmented runs: perplexity over diversity and iterations, and its distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatter, MaxNLocator, NullLocator

from commensal.plots._style import (
    ALONE,
    DPI,
    GREY,
    MARKS,
    PALETTE,
    POOLED,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    draw_curve,
    mark,
    number_ticks,
    plain,
    shared_legend,
)

_POINTS = 200


def segmented_optimum(summary: pd.DataFrame) -> Figure:
    """Plot μ_T over the Hill-Shannon diversity D, with controls at the same data.

    Parameters
    ----------
    summary : pandas.DataFrame
        Of :func:`commensal.llm.reports.findings_segmented.summarise`.

    Returns
    -------
    matplotlib.figure.Figure
        Paper ``diversity``, fig. 3. Filled: means over replicates of pooled ecosystems; small
        marks: each replicate; hollow: the controls, drawn above M.

    Examples
    --------
    >>> rows = [("pooled", 1.0, 1.0, 0.0, 9.0), ("pooled", 2.0, 2.0, 0.0, 8.0)]
    >>> columns = ["ecosystem", "M", "D", "replicate", "overall"]
    >>> segmented_optimum(pd.DataFrame(rows, columns=columns)).axes[0].get_xlabel()[:9]
    'diversity'
    """
    fig, (ax,) = _panels(1)
    pooled = summary.loc[summary["ecosystem"] == "pooled"]
    equal = pooled.loc[pooled["M"] == pooled["D"]]
    # a single model is its own control
    alone = summary.loc[(summary["ecosystem"] == "alone") | (summary["M"] == 1)]
    brief = summary.loc[(summary["ecosystem"] == "fewer_steps") | (summary["M"] == 1)]
    known: list[Any] = []

    def draw(rows: pd.DataFrame, at: str, label: str, line: str, **look: Any) -> None:
        ax.plot(rows[at], rows["overall"], alpha=0.45, **{**look, "ms": 4, "ls": "none"})
        means: Any = rows.groupby(at)["overall"].mean()
        ax.plot(means.index, means.to_numpy(), **{**look, "ls": line, "lw": 1.5})
        known.append(Line2D([], [], label=label, **{**look, "ls": line, "lw": 1.5}))

    draw(equal, "D", "M models, pooled", "-", **mark("o", POOLED, 8.0))
    if set(alone["ecosystem"]) > {"pooled"}:
        look = mark("s", ALONE, 7.0)
        draw(alone, "M", "M models, each alone on N/M", "--", mfc="white", **look)
    if set(brief["ecosystem"]) > {"pooled"}:
        draw(brief, "M", "one model, fewer steps", ":", mfc="white", **mark("^", PALETTE[3], 7.0))
    unequal = pooled.loc[pooled["M"] != pooled["D"]]
    if len(unequal):
        draw(unequal, "D", "unequal segments", "none", **mark("D", PALETTE[2], 7.0))
        for d, part in unequal.groupby("D"):
            place = float(d), float(part["overall"].mean())  # pyright: ignore[reportArgumentType]
            text = f"M = {part['M'].iloc[0]:g}"
            ax.annotate(text, place, (7, 5), textcoords="offset points", fontsize=TEXT_SIZE)
    ax.set_xscale("log", base=2)
    ticks = sorted(set(equal["D"]) | set(alone["M"]))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("diversity D: effective number of models (controls: M)", fontsize=TEXT_SIZE)
    ax.set_ylabel("perplexity μ$_T$ over all iterations", fontsize=TEXT_SIZE)
    _logarithmic(ax)
    top = 2 * float(pooled["overall"].max())
    if (
        alone["overall"].max() > top
    ):  # a lineage that has collapsed would leave no room for the rest
        ax.set_ylim(top=top)
        for m, part in alone.groupby("M"):
            if part["overall"].max() > top:
                text = f"up to {part['overall'].max():.3g} ↑"
                ax.annotate(
                    text,
                    (float(m), top),
                    (-4, -12),
                    textcoords="offset points",  # pyright: ignore
                    ha="right",
                    fontsize=TEXT_SIZE,
                    color=ALONE,
                )
    known.append(Line2D([], [], label="small: one replicate", **mark("o", "0.6", 4.0)))
    shared_legend(fig, known)
    return fig


def segmented_perplexity(metrics: pd.DataFrame, floor: float | None = None) -> Figure:
    """Plot μ_t over the iterations, of pooled ecosystems and of the controls beside them.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the segmented workflow.
    floor : float, optional
        Least perplexity that a model can have where the law is known.

    Returns
    -------
    matplotlib.figure.Figure
        Paper ``diversity``, fig. 4. Lines: means over replicates; shaded: from the least to the
        largest of them. Grey: the models before any training.
    """
    rows = metrics.loc[metrics["metric"] == "mu"]
    pooled = rows.loc[(rows["ecosystem"] == "pooled")]
    panels = {"M models, pooled": pooled}
    alone = rows.loc[rows["ecosystem"] == "alone"]
    if len(alone):
        panels["M models, each alone on N/M"] = pd.concat([pooled.loc[pooled["M"] == 1], alone])
    colors = _colors(rows["M"])
    fig, axes = _panels(len(panels))
    for ax, (title, part) in zip(axes, panels.items(), strict=True):
        for (m, d), curve in part.groupby(["M", "D"]):
            over = curve.groupby("generation")["value"].agg(["mean", "min", "max"])
            x, dashed = over.index.to_numpy(float), m != d and title == "M models, pooled"
            look = {"color": colors[float(m)], "ls": "--" if dashed else "-", "lw": 1.6}
            draw_curve(ax, x, over["mean"].to_numpy(float), **look)
            ax.fill_between(x, over["min"], over["max"], color=look["color"], alpha=0.15, lw=0)
        base = metrics.loc[metrics["metric"] == "base_mu", "value"]
        if len(base) and base.mean() < 1.5 * rows["value"].max():
            ax.axhline(base.mean(), color="0.5", ls=":", lw=1.2)
        if floor is not None:
            ax.axhline(floor, color="black", ls="--", lw=1.0)
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.set_xlabel("iteration t", fontsize=TEXT_SIZE)
        ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axes[0].set_ylabel("perplexity μ$_t$ on real test blocks", fontsize=TEXT_SIZE)
    _logarithmic(axes[0])  # the others share it
    top = 2 * float(pooled["value"].max())
    if rows["value"].max() > top:
        axes[0].set_ylim(top=top)
        axes[-1].annotate(
            f"up to {rows['value'].max():,.0f} ↑",
            (1, 1),
            (-4, -10),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            fontsize=TEXT_SIZE,
        )
    known: list[Any] = [
        Line2D([], [], color=c, lw=1.8, label=f"M = {m:g}") for m, c in colors.items()
    ]
    if (pooled["M"] != pooled["D"]).any():
        known.append(Line2D([], [], color="0.3", ls="--", label="unequal segments"))
    known.append(Line2D([], [], color="0.5", ls=":", label="before any training"))
    known.append(Patch(color="0.5", alpha=0.3, lw=0, label="bands: least to most of replicates"))
    if floor is not None:
        known.append(Line2D([], [], color="black", ls="--", lw=1.0, label="the law itself"))
    shared_legend(fig, known)
    return fig


def segmented_distributions(
    panels: Mapping[str, Mapping[float, np.ndarray]],
) -> Figure:
    """Plot perplexities of the real training blocks under all models of each ecosystem.

    Parameters
    ----------
    panels : mapping
        By title, such as ``"t = 0"``, and by M: perplexities, of any shape.

    Returns
    -------
    matplotlib.figure.Figure
        Paper ``diversity``, fig. 5: Gaussian kernel estimates over the logarithm. Triangles tell
        the means.
    """
    from scipy.stats import gaussian_kde

    fig, axes = _panels(len(panels), sharex=True)
    every = np.concatenate([v.ravel() for part in panels.values() for v in part.values()])
    low, high = np.quantile(every, [0.002, 0.998])
    points = np.linspace(np.log(0.6 * low), np.log(1.7 * high), _POINTS)
    colors = _colors([m for part in panels.values() for m in part])
    for ax, (title, part) in zip(axes, panels.items(), strict=True):
        for m, values in sorted(part.items()):
            logs = np.log(values.ravel().astype(float))
            if len(logs) > 1 and logs.std() > 0:
                density = gaussian_kde(logs)(points)
                ax.plot(np.exp(points), density, color=colors[m], lw=1.6)
                ax.fill_between(np.exp(points), 0, density, color=colors[m], alpha=0.08, lw=0)
            look = mark("^", colors[m], 7.0)
            ax.plot(values.mean(), 0, clip_on=False, zorder=5, mec="white", mew=0.5, **look)
        ax.set_ylim(bottom=0)
        ax.set_xscale("log")
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.set_xlabel("perplexity of a block", fontsize=TEXT_SIZE)
        number_ticks(ax.xaxis, low, high)
        ax.set_xlim(np.exp(points[0]), np.exp(points[-1]))
    axes[0].set_ylabel("density over ln(perplexity)", fontsize=TEXT_SIZE)
    known: list[Any] = [Patch(fc=c, alpha=0.7, label=f"M = {m:g}") for m, c in colors.items()]
    known.append(Line2D([], [], label="mean", **mark("^", "0.4", 6.0)))
    shared_legend(fig, known)
    return fig


def segmented_split(gains: pd.DataFrame) -> Figure:
    """Plot the gain of M pooled models over one, and its parts by either control.

    Parameters
    ----------
    gains : pandas.DataFrame
        Of :func:`commensal.llm.reports.findings_segmented.gains`.

    Returns
    -------
    matplotlib.figure.Figure
        Bars: means over replicates; marks: each replicate. Above zero perplexity falls.
    """
    fig, (ax,) = _panels(1)
    sizes = sorted(gains["M"].unique())
    known = {"gain": "0.55", "fewer_tokens": PALETTE[1], "pooling": PALETTE[2]}
    known |= {"moving_less": PALETTE[3], "segmenting": PALETTE[4]}
    parts = {name: color for name, color in known.items() if bool(gains[name].notna().any())}
    width = 0.8 / len(parts)
    for at, (name, color) in enumerate(parts.items()):
        for place, m in enumerate(sizes):
            values = gains.loc[gains["M"] == m, name]
            x = place + width * (at - (len(parts) - 1) / 2)
            ax.bar(x, values.mean(), 0.93 * width, color=color, alpha=0.75)
            ax.plot([x] * len(values), values, **mark(MARKS[at % len(MARKS)], "0.15", 3.5))
    if gains[list(parts)].abs().to_numpy().max() > 1:  # a collapsed control beside tenths
        ax.set_yscale("symlog", linthresh=0.1)
        ax.yaxis.set_major_formatter("{x:g}")
    ax.axhline(0, color="black", lw=0.8)
    ax.set_xticks(range(len(sizes)), [f"{m:g}" for m in sizes])
    ax.set_xlabel("M: number of models", fontsize=TEXT_SIZE)
    ax.set_ylabel("gain in ln μ$_T$ over one model (above 0: better)", fontsize=TEXT_SIZE)
    ax.grid(axis="y", color=GREY, lw=0.7)
    ax.set_axisbelow(True)
    handles: list[Any] = [
        Patch(fc=c, alpha=0.75, label=name.replace("_", " ")) for name, c in parts.items()
    ]
    handles.append(Line2D([], [], label="marks: one replicate", **mark("o", "0.15", 3.5)))
    shared_legend(fig, handles)
    return fig


def _logarithmic(ax: Axes) -> None:
    """Set a logarithmic axis of perplexities, with numbers also within less than a decade."""
    ax.set_yscale("log")
    formatter = LogFormatter(minor_thresholds=(2, 0.5))
    ax.yaxis.set_major_formatter(formatter)
    ax.yaxis.set_minor_formatter(formatter)


def _colors(models: Sequence[float] | pd.Series) -> dict[float, str]:
    known = sorted({float(m) for m in models})
    return {m: PALETTE[at % len(PALETTE)] for at, m in enumerate(known)}


def _panels(count: int, *, sharex: bool = False) -> tuple[Figure, list[Any]]:
    width = WIDTH if count > 1 else 0.72 * WIDTH
    fig = Figure(figsize=(width, 3.9), dpi=DPI, layout="constrained")
    axes = fig.subplots(1, count, squeeze=False, sharex=sharex, sharey=True)
    return fig, [plain(ax) for ax in axes.flat]
