"""Figures of interacting models: losses, changes, likeness and diversity."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogFormatter, MaxNLocator

from commensal.plots._style import (
    DPI,
    LINES,
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    alpha_colors,
    draw_curve,
    mark,
    plain,
    shared_legend,
)

_OWN = "0.955"  # background of a model's own task
_FLOOR: dict[str, Any] = {"color": "black", "ls": "--", "lw": 1.0}
_DIVERSITY = {
    "distinct_2": "distinct-2\n(share of 2-grams)",
    "entropy_2": "entropy of 2-grams\n(nats)",
    "rare_perplexity": "perplexity of\nrare tokens",
    "kl": "KL from the law\n(nats per word)",
}


def llm_losses(
    metrics: pd.DataFrame, datasets: Sequence[str], floors: Mapping[str, float] | None = None
) -> Figure:
    """Plot losses over the generations, in a row per model and a column per dataset.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives, or the part of one β.
    datasets : sequence of str
        The models' own tasks in the models' order, the public dataset last.
    floors : mapping, optional
        Entropy of the datasets whose law is known, nats per token.

    Returns
    -------
    matplotlib.figure.Figure
        Colours tell α (or the memory), line styles β where there are several; a model's own task
        is shaded.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(0.5, 0.5, t, 0, name, "loss", 3 - t) for t in (0, 1) for name in ("own", "web")]
    >>> names = ["alpha", "beta", "generation", "model", "dataset", "metric", "value"]
    >>> len(llm_losses(pd.DataFrame(rows, columns=names), ["own", "web"], {"own": 1.2}).axes)
    2
    """
    rows = _of(metrics, "loss")
    models = sorted({int(k) for k in rows["model"]})
    fig, axes = _panels(len(models), len(datasets))
    look = _Look(rows)
    for (i, k), (j, name) in itertools.product(enumerate(models), enumerate(datasets)):
        ax = axes[i, j]
        look.draw(ax, rows.loc[(rows["model"] == k) & (rows["dataset"] == name)])
        if floors and name in floors:
            ax.axhline(floors[name], **_FLOOR)
        if j == k:
            ax.set_facecolor(_OWN)
    sides = [f"model {k + 1}\nloss (nats per token)" for k in models]
    _label(axes, [f"on {name}" for name in datasets], sides)
    own = Patch(fc=_OWN, ec="0.8", label="own task")
    known = [*look.handles(), own]
    if floors:
        known.append(Line2D([], [], label="entropy of the law", **_FLOOR))
    shared_legend(fig, known, 6)
    return fig


def llm_changes(
    metrics: pd.DataFrame, datasets: Sequence[str], constant: float | int = 0.1
) -> Figure:
    """Map each loss's change from generation 0 to the last over (α, β), by model and dataset.

    Parameters
    ----------
    metrics : pandas.DataFrame
        With the columns ``alpha`` and ``beta``.
    datasets : sequence of str
        The models' own tasks in the models' order, the public dataset last.
    constant : float
        Changes up to this one count as none; their numbers are grey.

    Returns
    -------
    matplotlib.figure.Figure
        Blue: the loss falls; red: it rises.
    """
    rows = _of(metrics, "loss")
    models = sorted({int(k) for k in rows["model"]})
    alpha, beta = (sorted(rows[name].unique()) for name in ("alpha", "beta"))
    change = np.full((len(models), len(datasets), len(beta), len(alpha)), np.nan)
    for key, part in rows.groupby(["model", "dataset", "beta", "alpha"]):
        k, name, b, a = cast(tuple[Any, ...], key)
        if name in datasets and len(part) > 1:
            ordered = part.sort_values("generation")["value"].to_numpy()
            at = models.index(int(k)), list(datasets).index(name), beta.index(b), alpha.index(a)
            change[at] = ordered[-1] - ordered[0]
    finite = np.abs(change[np.isfinite(change)])
    most = max(float(finite.max()) if finite.size else 0.0, constant)
    norm = TwoSlopeNorm(0.0, -most, most)
    tall = 0.38 * max(len(beta), 2) + 0.4
    fig, axes = _panels(len(models), len(datasets), tall=tall, sharey=True)
    image = None
    for i, j in np.ndindex(*axes.shape):
        ax = cast(Axes, axes[i, j])
        image = ax.imshow(change[i, j], norm=norm, cmap="RdBu_r", origin="lower", aspect="auto")
        ax.set_xticks(range(len(alpha)), [f"{a:g}" for a in alpha])
        ax.set_yticks(range(len(beta)), [f"{b:g}" for b in beta])
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        if len(alpha) > 6:
            continue  # no room for numbers
        for b, a in np.ndindex(len(beta), len(alpha)):
            value = change[i, j, b, a]
            if np.isfinite(value):
                color = "white" if abs(value) > 0.6 * most else "black"
                if abs(value) <= constant:
                    color = "0.45"
                text = f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"
                text = text.replace("-", "\N{MINUS SIGN}")
                ax.text(a, b, text, ha="center", va="center", fontsize=8, color=color)
    titles = [f"on {name}" for name in datasets]
    _label(axes, titles, [f"model {k + 1}\nβ" for k in models], "α: weight of new data")
    if image is not None:
        bar = fig.colorbar(
            image, ax=axes, label="change of loss\n(nats per token)", aspect=30, pad=0.01
        )
        bar.ax.tick_params(labelsize=TEXT_SIZE)
    return fig


def llm_similarity(metrics: pd.DataFrame, datasets: Sequence[str]) -> Figure:
    """Plot the likeness of two models' texts over generations, a row per pair of models.

    Parameters
    ----------
    metrics : pandas.DataFrame
        With ``similarity`` among its metrics: mean cosine between the models' completions of the
        same prompts.
    datasets : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = _of(metrics, "similarity")
    pairs = sorted({(int(a), int(b)) for a, b in zip(rows["model"], rows["other"], strict=True)})
    fig, axes = _panels(len(pairs), len(datasets), sharey=True)
    look = _Look(rows)
    for (i, (a, b)), (j, name) in itertools.product(enumerate(pairs), enumerate(datasets)):
        pair = (rows["model"] == a) & (rows["other"] == b)
        look.draw(axes[i, j], rows.loc[pair & (rows["dataset"] == name)])
    titles = [f"on {name}" for name in datasets]
    _label(axes, titles, [f"models {a + 1} and {b + 1}\ncosine" for a, b in pairs])
    shared_legend(fig, look.handles(), 6)
    return fig


def llm_diversity(metrics: pd.DataFrame, datasets: Sequence[str]) -> Figure:
    """Plot variety and rare words over the generations, in a row per available measure.

    Parameters
    ----------
    metrics : pandas.DataFrame
    datasets : sequence of str
        The models' own tasks in the models' order, the public dataset last.

    Returns
    -------
    matplotlib.figure.Figure
        Columns: own task, others' tasks, public; means over the models and tasks.
    """
    measures = [name for name in _DIVERSITY if len(_of(metrics, name))]
    models = sorted({int(k) for k in metrics["model"]})
    cells: dict[str, list[tuple[int, str]]] = {"own task": [], "others' tasks": [], "public": []}
    for k, (j, name) in itertools.product(models, enumerate(datasets)):
        public = j == len(datasets) - 1
        role = "public" if public else "own task" if j == k else "others' tasks"
        cells[role].append((k, name))
    cells = {role: pairs for role, pairs in cells.items() if pairs}
    fig, axes = _panels(len(measures), len(cells), sharey="row")
    look = _Look(metrics)
    for (i, name), (j, pairs) in itertools.product(enumerate(measures), enumerate(cells.values())):
        rows = _of(metrics, name)
        here = [pair in pairs for pair in zip(rows["model"], rows["dataset"], strict=True)]
        by = [*look.columns, "generation"]
        look.draw(axes[i, j], rows.loc[here].groupby(by, as_index=False)["value"].mean())
        if name == "rare_perplexity":
            axes[i, j].set_yscale("log")
            axes[i, j].yaxis.set_major_formatter("{x:g}")
            axes[i, j].yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    _label(axes, list(cells), [_DIVERSITY[name] for name in measures])
    shared_legend(fig, look.handles(), 6)
    return fig


def llm_embeddings(
    panels: Mapping[str, Float[np.ndarray, "K datasets N D"]], datasets: Sequence[str]
) -> Figure:
    """Plot models' texts as points on two principal components of all panels together.

    Parameters
    ----------
    panels : mapping
        Embedded completions by title; NaN where a dataset has fewer prompts than another.
    datasets : sequence of str
        Names of the second axis.

    Returns
    -------
    matplotlib.figure.Figure
        `interactive`, fig. 3. Colours tell models, marks datasets.

    Raises
    ------
    ValueError
        If there are fewer than two texts or dimensions.
    """
    from sklearn.decomposition import PCA

    rows = np.concatenate([value.reshape(-1, value.shape[-1]) for value in panels.values()])
    rows = rows[np.isfinite(rows).all(axis=1)]
    if min(rows.shape) < 2:
        raise ValueError(f"a plane needs two texts and two dimensions, got {rows.shape}")
    pca = PCA(n_components=2, svd_solver="full").fit(rows.astype(float))
    columns = min(len(panels), 2)
    fig, grid = _panels(-(-len(panels) // columns), columns, tall=3.1, sharey=True)
    axes = list(grid.flat)
    for ax in axes[len(panels) :]:
        ax.remove()
    models = next(iter(panels.values())).shape[0]
    for ax, (title, values) in zip(axes, panels.items(), strict=False):
        for k, j in itertools.product(range(models), range(len(datasets))):
            points = values[k, j][np.isfinite(values[k, j]).all(axis=1)].astype(float)
            if len(points):
                x, y = pca.transform(points).T
                style = mark(MARKS[j % len(MARKS)], PALETTE[k % len(PALETTE)], 4.5)
                ax.plot(x, y, alpha=0.6, mec="white", mew=0.4, **style)
        ax.set_title(title, fontsize=TITLE_SIZE)
    share = 100 * pca.explained_variance_ratio_
    for at, ax in enumerate(axes[: len(panels)]):
        if at % columns == 0:
            ax.set_ylabel(f"second component ({share[1]:.0f} %)", fontsize=TEXT_SIZE)
        if at + columns >= len(panels):  # also above an empty place
            ax.xaxis.set_tick_params(labelbottom=True)
            ax.set_xlabel(f"first component ({share[0]:.0f} % of the variance)", fontsize=TEXT_SIZE)
    known = [
        Line2D([], [], label=f"model {k + 1}", **mark("o", PALETTE[k % len(PALETTE)], 6.0))
        for k in range(models)
    ]
    known += [
        Line2D([], [], label=f"on {name}", **mark(MARKS[j % len(MARKS)], "0.4", 6.0))
        for j, name in enumerate(datasets)
    ]
    shared_legend(fig, known, 6)
    return fig


def _of(metrics: pd.DataFrame, name: str) -> pd.DataFrame:
    return metrics.loc[metrics["metric"] == name]


class _Look:
    """Style of curves: colour for the network, α or the memory, dashes for what else varies."""

    def __init__(self, metrics: pd.DataFrame) -> None:
        known = [c for c in ("alpha", "memory", "beta") if c in metrics]
        if "reads" in metrics and len(set(metrics["reads"])) > 1:
            known = ["reads", *known]
        several = [c for c in known[1:] if len(set(metrics[c])) > 1]
        self.columns = [*known[:1], *several[:1]]
        self.colors = alpha_colors(self._values(metrics, self.columns[0]))
        second = self._values(metrics, self.columns[1]) if len(self.columns) > 1 else []
        self.styles = dict(zip(second, itertools.cycle(LINES), strict=False))

    @staticmethod
    def _values(metrics: pd.DataFrame, column: str) -> list[Any]:
        values = metrics[column].unique().tolist()
        return values if column == "reads" else sorted(values)  # networks in the settings' order

    def draw(self, ax: Axes, rows: pd.DataFrame) -> None:
        for key, part in rows.groupby(self.columns):
            key = cast(tuple[Any, ...], key)
            part = part.sort_values("generation")
            style = self.styles[key[1]] if self.styles else "-"
            x, y = part["generation"].to_numpy(), part["value"].to_numpy(float)
            draw_curve(ax, x, y, color=self.colors[key[0]], ls=style, lw=1.5, ms=4)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))

    def handles(self) -> list[Any]:
        known = [
            Line2D([], [], color=color, lw=1.8, label=_label_of(self.columns[0], value))
            for value, color in self.colors.items()
        ]
        return known + [
            Line2D([], [], color="0.3", ls=style, label=_label_of(self.columns[1], value))
            for value, style in self.styles.items()
        ]


def _label_of(column: str, value: Any) -> str:
    sign = {"alpha": "α", "beta": "β"}.get(column)
    return str(value) if sign is None else f"{sign} = {value:g}"


def _panels(
    rows: int, columns: int, *, tall: float = 1.75, sharey: bool | Literal["col", "row"] = "col"
) -> tuple[Figure, np.ndarray]:
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    height = max(tall * rows + 0.9, 2.6)  # room for the label of a colour bar
    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=sharey)
    for ax in axes.flat:
        plain(ax)
    return fig, axes


def _label(
    axes: np.ndarray, titles: Sequence[str], sides: Sequence[str], below: str = "generation"
) -> None:
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=TITLE_SIZE)
    for ax, side in zip(axes[:, 0], sides, strict=True):
        ax.set_ylabel(side, fontsize=TEXT_SIZE)
    for ax in axes[-1]:
        ax.set_xlabel(below, fontsize=TEXT_SIZE)
