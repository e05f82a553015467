"""Figures of evolving populations: accuracies, effects of each part, texts as points."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from commensal.plots._style import (
    DPI,
    LINES,
    PALETTE,
    POPULATION,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    draw_curve,
    mark,
    new_figure,
    outermost,
    plain,
    say,
    shared_legend,
)

_ALONE = "0.35"
_FEW = 6  # kinds whose replicates can still be told apart
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")


def llm_populations(
    panels: Mapping[str, pd.DataFrame],
    lineages: pd.DataFrame,
    *,
    law: float | None = None,
    chance: float | None = None,
) -> Figure:
    """Plot the accuracy of every model over the generations, in a panel per kind of population.

    Parameters
    ----------
    panels : mapping
        By title: columns ``generation``, ``value``, a row for each model.
    lineages : pandas.DataFrame
        Columns ``replicate``, ``generation``, ``value``.
    law : float, optional
        What a model reaches that has learnt the law.
    chance : float, optional
        What guessing reaches; drawn where it is near.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 6, 9 and 12.

    Examples
    --------
    >>> rows = pd.DataFrame({"replicate": 0, "generation": [0, 0, 1, 1], "value": [0.5, 0.6] * 2})
    >>> len(llm_populations({"N = 2": rows}, rows.iloc[::2]).axes)
    1
    """
    fig, axes = new_figure(max(len(panels), 1))
    values = [part["value"] for part in (*panels.values(), lineages) if len(part)]
    known_values = np.concatenate([v.to_numpy(float) for v in values])
    low, high = float(known_values.min()), float(known_values.max())
    if law is not None:
        high = max(high, law)
    near = chance is not None and low - chance < high - low
    if chance is not None and near:
        low = min(low, chance)
    room = 0.06 * (high - low or 0.1)
    named = [*panels.items()] or [("", lineages.iloc[:0])]
    for ax, (title, rows) in zip(axes, named, strict=True):
        _violins(ax, rows, POPULATION)
        for _, part in lineages.groupby("replicate"):
            part = part.sort_values("generation")
            x, y = part["generation"].to_numpy(), part["value"].to_numpy(float)
            draw_curve(ax, x, y, color=_ALONE, ls="--", lw=1.0)
        if law is not None:
            ax.axhline(law, color="black", ls=":", lw=1.0)
        if chance is not None and near:
            ax.axhline(chance, color="black", ls="-.", lw=0.8)
        ax.set_ylim(low - room, high + room)
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        _percent(ax)
        ax.set_ylabel("accuracy", fontsize=TEXT_SIZE)
        if outermost(axes, ax, "below"):
            ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    known = [
        Line2D([], [], label="one model of a population", **mark("o", POPULATION, 4.0)),
        Line2D([], [], color="black", lw=1.2, label="their mean"),
    ]
    if len(lineages):
        known.append(Line2D([], [], color=_ALONE, ls="--", label="single lineages"))
    if law is not None:
        known.append(Line2D([], [], color="black", ls=":", label="a model that knows the law"))
    if near:
        known.append(Line2D([], [], color="black", ls="-.", label="guessing"))
    shared_legend(fig, known)
    return fig


def _violins(ax: Axes, rows: pd.DataFrame, color: str) -> None:
    """Draw a violin where models differ, and every model as a dot, equal ones side by side."""
    for t, part in rows.groupby("generation"):
        values = np.sort(part["value"].to_numpy(float))
        place = float(t)  # pyright: ignore[reportArgumentType]
        if len(values) > 3 and np.ptp(values) > 0:
            drawn = ax.violinplot(values, [place], widths=0.8, showextrema=False)
            for body in drawn["bodies"]:  # pyright: ignore[reportGeneralTypeIssues]
                body.set(facecolor=color, edgecolor=color, alpha=0.3)
        _, where, count = np.unique(values, return_inverse=True, return_counts=True)
        order = np.arange(len(values)) - np.concatenate([[0], np.cumsum(count)])[where]
        step = min(0.07, 0.7 / max(count.max(), 1))
        x = place + step * (order - (count[where] - 1) / 2)
        ax.plot(x, values, mec="white", mew=0.3, **mark("o", color, 3.2))
        ax.plot([place - 0.3, place + 0.3], [values.mean()] * 2, color="black", lw=1.2)


def _percent(ax: Axes) -> None:
    low, high = ax.get_ylim()
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if high - low > 0.08 else 1))


def llm_evolution(
    curves: pd.DataFrame, measures: Mapping[str, tuple[str, str]], alone: str = "single lineage"
) -> Figure:
    """Plot kinds of populations against each other, in a panel for each measure.

    Parameters
    ----------
    curves : pandas.DataFrame
        Columns ``label``, ``replicate``, ``generation``, ``metric``, ``dataset``, ``value``.
    measures : mapping
        By title: metric and dataset.
    alone : str
        The label that is drawn in grey.

    Returns
    -------
    matplotlib.figure.Figure
        Bold: means over the replicates; of few kinds also each replicate.
    """
    fig, axes = new_figure(len(measures))
    labels = list(dict.fromkeys(curves["label"]))
    few = len(labels) <= _FEW
    styles = itertools.cycle(itertools.product(LINES, PALETTE))
    looks = {label: ("-", _ALONE) if label == alone else next(styles) for label in labels}
    for ax, (title, (metric, dataset)) in zip(axes, measures.items(), strict=True):
        rows = curves.loc[(curves["metric"] == metric) & (curves["dataset"] == dataset)]
        for label, part in rows.groupby("label"):
            style, color = looks[str(label)]
            for _, one in part.groupby("replicate") if few else ():
                x, y = one["generation"].to_numpy(), one["value"].to_numpy(float)
                draw_curve(ax, x, y, color=color, ls=style, lw=0.6, alpha=0.45)
            mean = part.groupby("generation")["value"].mean()
            x, y = mean.index.to_numpy(), mean.to_numpy(float)
            draw_curve(ax, x, y, color=color, ls=style, lw=1.9)
        if rows.empty:
            say(ax, "not measured")
        if metric.startswith("accuracy"):
            _percent(ax)
            ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        what = "accuracy" if metric.startswith("accuracy") else title
        ax.set_title(f"accuracy, {title}" if what != title else title, fontsize=TITLE_SIZE)
        ax.set_ylabel(what, fontsize=TEXT_SIZE)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        if outermost(axes, ax, "below"):
            ax.set_xlabel("generation", fontsize=TEXT_SIZE)
    known = [
        Line2D([], [], color=color, ls=style, lw=1.9, label=label)
        for label, (style, color) in looks.items()
    ]
    if few:
        known.append(Line2D([], [], color="0.5", lw=0.6, label="thin: one replicate"))
    shared_legend(fig, known, 3)
    return fig


def llm_texts(
    panels: Mapping[str, Mapping[str, Float[np.ndarray, "models prompts D"]]],
) -> Figure:
    """Plot models' texts as points of a plane, by t-SNE of all panels together.

    Parameters
    ----------
    panels : mapping
        Embedded completions by the titles of rows and columns; ten texts or more.

    Returns
    -------
    matplotlib.figure.Figure
        `pollination`, fig. 10. Colours tell prompts, marks models. Only who is near whom means
        something, so the axes have no numbers.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    flat = [(r, c, values) for r, row in panels.items() for c, values in row.items()]
    points = np.concatenate([v.reshape(-1, v.shape[-1]) for _, _, v in flat]).astype(float)
    perplexity = min(30.0, (len(points) - 1) / 3)
    with threadpool_limits(1):  # or the picture depends on how many cores there are
        found = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(points)
    columns = list(dict.fromkeys(c for _, c, _ in flat))
    fig = Figure(figsize=(WIDTH, 2.9 * len(panels) + 0.3), dpi=DPI, layout="constrained")
    axes = fig.subplots(len(panels), len(columns), squeeze=False, sharex=True, sharey=True)
    rows = list(panels)
    at = 0
    for r, c, values in flat:
        ax = plain(axes[rows.index(r), columns.index(c)])
        models, prompts = values.shape[:2]
        plane = found[at : at + models * prompts].reshape(models, prompts, 2)
        at += models * prompts
        for model, prompt in np.ndindex(models, prompts):
            style = mark(_MARKS[model % len(_MARKS)], _prompt(prompt), 5.0)
            ax.plot(*plane[model, prompt], alpha=0.8, mec="white", mew=0.4, **style)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(True)
        ax.spines[:].set_color("0.85")
        if r == rows[0]:
            ax.set_title(c, fontsize=TITLE_SIZE)
        if c == columns[0]:
            ax.set_ylabel(f"{r}\nsecond t-SNE coordinate", fontsize=TEXT_SIZE)
        if r == rows[-1]:
            ax.set_xlabel("first t-SNE coordinate", fontsize=TEXT_SIZE)
    most = max(values.shape[0] for _, _, values in flat)
    prompts = max(values.shape[1] for _, _, values in flat)
    known = [
        Line2D([], [], label=f"model {i + 1}", **mark(_MARKS[i % len(_MARKS)], "0.4", 5.0))
        for i in range(min(most, len(_MARKS)))
    ]
    known += [
        Line2D([], [], label=f"prompt {i + 1}", **mark("o", _prompt(i), 6.0))
        for i in range(prompts)
    ]
    shared_legend(fig, known, 6)
    return fig


def _prompt(at: int) -> str:
    return to_hex(mpl.colormaps["tab10"](at % 10))
