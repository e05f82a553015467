"""Figures of the theory laid over a run of language models."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from commensal.plots._style import (
    DPI,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    alpha_colors,
    constant_bands,
    mark,
    plain,
    shared_legend,
)

_OWN = "0.955"  # background of a model's own task
_MINIMISER: dict[str, Any] = {"ls": ":", "lw": 1.3}
_CONSTANT = 0.1


def pairing_curves(
    rows: pd.DataFrame,
    datasets: Sequence[str],
    beta: float,
    predicted: str = "finite",
    other: str | None = "minimiser",
) -> Figure:
    """Plot predicted and measured losses over the generations, in panels of models × datasets.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a pairing: ``alpha``, ``beta``, ``generation``, ``model`` (from 1), ``dataset``, the
        ``observed`` loss and those of predictions.
    datasets : sequence of str
        Names of the models' own tasks in the models' order, the public dataset last.
    beta : float
        β of the grid points that are drawn.
    predicted, other : str
        Columns of predicted losses, drawn as lines and as dotted lines; no dotted ones with None.

    Returns
    -------
    matplotlib.figure.Figure
        Points are language models, colours tell α, a model's own task is shaded.

    Raises
    ------
    ValueError
        If no grid point has this β.

    Examples
    --------
    >>> import pandas as pd
    >>> point = {"alpha": 0.5, "beta": 1.0, "model": 0, "dataset": "a"}
    >>> points = [point | {"generation": t, "observed": 3 - t, "finite": 2.9 - t} for t in (0, 1)]
    >>> len(pairing_curves(pd.DataFrame(points), ["a"], 1.0, other=None).axes)
    1
    """
    here = rows.loc[rows["beta"] == beta]
    if here.empty:
        known = sorted({float(b) for b in rows["beta"]})
        raise ValueError(f"beta must be one of {known}, got {beta}")
    colors = alpha_colors(sorted({float(a) for a in rows["alpha"]}))
    models = sorted({int(k) for k in rows["model"]})
    fig, axes = _grid(len(models), len(datasets), 1.85, sharey=False)
    for (i, k), (j, name) in itertools.product(enumerate(models), enumerate(datasets)):
        ax = cast(Axes, axes[i, j])
        cell = here.loc[(here["model"] == k) & (here["dataset"] == name)]
        for alpha, part in cell.groupby("alpha"):
            ordered = part.sort_values("generation")
            color, t = colors[float(cast(Any, alpha))], ordered["generation"]
            ax.plot(t, ordered[predicted], color=color, lw=1.6)
            if other is not None:
                ax.plot(t, ordered[other], color=color, **_MINIMISER)
            ax.plot(t, ordered["observed"], zorder=3, **mark("o", color, 4.5, mec="white", mew=0.4))
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        if name == datasets[k] and j < len(datasets) - 1:
            ax.set_facecolor(_OWN)
        if i == 0:
            ax.set_title(f"on {name}", fontsize=TITLE_SIZE)
        if i == len(models) - 1:
            ax.set_xlabel("generation", fontsize=TEXT_SIZE)
        if j == 0:
            ax.set_ylabel(f"model {k + 1}\nloss (nats per token)", fontsize=TEXT_SIZE)
    known: list[Any] = [
        Line2D([], [], color=color, lw=1.8, label=f"α = {a:g}") for a, color in colors.items()
    ]
    known += [
        Line2D([], [], label="language model", **mark("o", "0.3", 5.0)),
        Line2D([], [], label="theory: finite training", color="0.3", lw=1.6),
    ]
    if other is not None:
        known.append(Line2D([], [], label="theory: minimiser", color="0.3", **_MINIMISER))
    shared_legend(fig, [*known, Patch(fc=_OWN, ec="0.8", label="own task")])
    return fig


def pairing_changes(
    rows: pd.DataFrame, datasets: Sequence[str], predicted: str = "finite_held_out"
) -> Figure:
    """Map measured and predicted changes of losses over (α, β), side by side.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a pairing, as in :func:`pairing_curves`.
    datasets : sequence of str
        Names of the models' own tasks in the models' order, the public dataset last.
    predicted : str
        Column of predicted losses.

    Returns
    -------
    matplotlib.figure.Figure
        A row per model; for each dataset what was measured (left) and predicted (right) from
        t = 0 to t = T. Blue: the loss falls; red: it rises; numbers in grey count as none.

    Examples
    --------
    >>> import pandas as pd
    >>> point = {"alpha": 0.5, "beta": 1.0, "model": 0, "dataset": "a"}
    >>> points = [point | {"generation": t, "observed": 3 - t, "finite": 2.9 - t} for t in (0, 1)]
    >>> len(pairing_changes(pd.DataFrame(points), ["a"], "finite").axes)  # with the colour bar
    3
    """
    models = sorted({int(k) for k in rows["model"]})
    alpha, beta = (sorted({float(x) for x in rows[name]}) for name in ("alpha", "beta"))
    changes = _changes(rows, models, datasets, alpha, beta, ("observed", predicted))
    most = max(float(np.abs(changes).max()), _CONSTANT)
    tall = 0.36 * max(len(beta), 2) + 0.5
    fig, axes = _grid(len(models), 2 * len(datasets), tall, sharey=True)
    image = None
    for i, j, side in np.ndindex(len(models), len(datasets), 2):
        ax, values = cast(Axes, axes[i, 2 * j + side]), changes[i, j, side]
        norm = TwoSlopeNorm(0.0, -most, most)
        image = ax.imshow(values, norm=norm, cmap="RdBu_r", origin="lower", aspect="auto")
        ax.set_xticks(range(len(alpha)), [f"{a:g}" for a in alpha])
        ax.set_yticks(range(len(beta)), [f"{b:g}" for b in beta])
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
        if len(alpha) * len(datasets) <= 12:  # else there is no room
            _numbers(ax, values, most, 7.5 - (len(datasets) > 3))
        if i == 0:
            where = ("measured", "predicted")[side]
            size = TEXT_SIZE - 2 * (len(datasets) > 3)
            ax.set_title(f"{datasets[j]}\n{where}", fontsize=size)
        if i == len(models) - 1:
            ax.set_xlabel("α", fontsize=TEXT_SIZE)
        if j == side == 0:
            ax.set_ylabel(f"model {models[i] + 1}\nβ", fontsize=TEXT_SIZE)
    if image is not None:
        label = "change of loss\n(nats per token)"
        bar = fig.colorbar(image, ax=axes, label=label, aspect=30, pad=0.01)
        bar.ax.tick_params(labelsize=TEXT_SIZE)
    return fig


def pairing_points(
    rows: pd.DataFrame, datasets: Sequence[str], predictions: dict[str, str]
) -> Figure:
    """Plot measured against predicted changes of losses, in a panel per prediction.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of a pairing, as in :func:`pairing_curves`.
    datasets : sequence of str
        Names of the models' own tasks in the models' order, the public dataset last.
    predictions : dict of str
        Columns of predicted losses, and the panels' titles.

    Returns
    -------
    matplotlib.figure.Figure
        Colours tell α, marks whose task it is; grey bands hold the changes that count as none.

    Examples
    --------
    >>> import pandas as pd
    >>> point = {"alpha": 0.5, "beta": 1.0, "model": 0, "dataset": "a"}
    >>> points = [point | {"generation": t, "observed": 3 - t, "finite": 2.9 - t} for t in (0, 1)]
    >>> len(pairing_points(pd.DataFrame(points), ["a", "web"], {"finite": "theory"}).axes)
    1
    """
    alphas = sorted({float(a) for a in rows["alpha"]})
    colors, last = alpha_colors(alphas), rows["generation"].max()
    where = [c for c in ("alpha", "beta", "reads", "model", "dataset") if c in rows]
    ends = [rows.loc[rows["generation"] == t].set_index(where) for t in (0, last)]
    change = (ends[1] - ends[0])[["observed", *predictions]].reset_index()
    role = [
        2 if name == datasets[-1] else int(name != datasets[k])
        for k, name in zip(change["model"], change["dataset"], strict=True)
    ]
    values = change[["observed", *predictions]].to_numpy()
    low, high = float(values.min()) - 0.15, float(values.max()) + 0.15
    fig, axes = _grid(1, len(predictions), 3.8, sharey=True)
    drawn: list[Any] = []
    for ax, (name, title) in zip(axes[0], predictions.items(), strict=True):
        drawn = constant_bands(ax, (low, high), _CONSTANT)
        for alpha, r in itertools.product(alphas, range(3)):
            part = change.loc[(change["alpha"] == alpha) & (np.array(role) == r)]
            style = mark(("s", "o", "^")[r], colors[alpha], 5.0, mfc=_fill(r, colors[alpha]))
            ax.plot(part[name], part["observed"], **style)
        ax.set_title(title, fontsize=TITLE_SIZE)
        ax.set_xlabel("predicted change of loss (nats per token)", fontsize=TEXT_SIZE)
    axes[0, 0].set_ylabel("measured change of loss (nats per token)", fontsize=TEXT_SIZE)
    known: list[Any] = [
        Line2D([], [], label=f"α = {a:g}", **mark("o", color, 6.0)) for a, color in colors.items()
    ]
    known += [
        Line2D([], [], label=label, **mark(("s", "o", "^")[r], "0.4", 6.0, mfc=_fill(r, "0.4")))
        for r, label in enumerate(("own task", "another's task", "public data"))
    ]
    shared_legend(fig, [*known, *drawn])
    return fig


def _fill(role: int, color: str) -> str:
    return "white" if role == 1 else color


def _changes(
    rows: pd.DataFrame,
    models: Sequence[int],
    datasets: Sequence[str],
    alpha: Sequence[float],
    beta: Sequence[float],
    columns: Sequence[str],
) -> np.ndarray:
    """Return changes as model × dataset × column × β × α; NaN where a grid point is missing."""
    shape = (len(models), len(datasets), len(columns), len(beta), len(alpha))
    out = np.full(shape, np.nan)
    last = rows["generation"].max()
    for t, sign in ((0, -1), (last, 1)):
        part = rows.loc[rows["generation"] == t]
        keys = zip(*(part[c] for c in ("model", "dataset", "beta", "alpha")), strict=True)
        for (k, name, b, a), values in zip(keys, part[list(columns)].to_numpy(float), strict=True):
            at = models.index(k), list(datasets).index(name), slice(None)
            at = (*at, beta.index(b), alpha.index(a))
            out[at] = np.where(np.isnan(out[at]), 0.0, out[at]) + sign * values
    return np.ma.masked_invalid(out)


def _numbers(ax: Axes, values: np.ndarray, most: float, size: float) -> None:
    for b, a in np.ndindex(*values.shape):
        value = values[b, a]
        if np.ma.is_masked(value):
            continue
        color = "white" if abs(value) > 0.6 * most else "black"
        text = f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
        if abs(value) <= _CONSTANT:
            color, text = "0.45", "0"
        ax.text(a, b, text, ha="center", va="center", fontsize=size, color=color)


def _grid(rows: int, columns: int, tall: float, sharey: Any) -> tuple[Figure, np.ndarray]:
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    fig = Figure(figsize=(width, max(tall * rows + 0.9, 2.6)), dpi=DPI, layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False, sharex=True, sharey=sharey)
    for ax in axes.flat:
        plain(ax)
    return fig, axes
