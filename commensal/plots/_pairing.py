"""Figure of the theory laid over measured losses."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from commensal.plots._style import (
    ALPHAS,
    DPI,
    GREY,
    MARKS,
    PALETTE,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    constant_bands,
    mark,
    new_figure,
    plain,
    shared_legend,
)

_CONSTANT = 0.1


def published_pairing(pairing: Any, models: int | None = None) -> Figure:
    """Plot predicted against published changes of losses, in a panel for each fit and table.

    Parameters
    ----------
    pairing : object
        Pairing, as :func:`commensal.pairing.pair_published` gives it.
    models : int or None
        Number of models of the tables that are shown; None for two panels per fit, which are the
        other architecture with K = 2 and with K = 3: none of the points was fitted to.

    Returns
    -------
    matplotlib.figure.Figure
        Colours tell α, marks own task from others'; bars are the middle 95 % of designs; grey
        bands hold the changes that count as none.

    Raises
    ------
    ValueError
        If no table has so many models.
    """
    panels = list(_panels(pairing, models))
    if not panels:
        known = sorted({int(k) for k in pairing.rows.models})
        raise ValueError(f"models must be one of {known}, got {models}")
    fig, axes = new_figure(len(panels))
    drawn: list[Any] = []
    for ax, judged in zip(axes, panels, strict=True):
        rows = pairing.rows
        here = (rows.fitted_to == judged.fitted_to) & (rows.judged_on == judged.judged_on)
        drawn = _points(ax, rows.loc[here])
        rank, _, sign, r_squared = (s.value for s in judged.agreement.prediction)
        ax.set_title(
            f"{judged.judged_on}; fitted to {judged.fitted_to}\n"
            f"rank correlation {rank:.2f}, right sign {sign:.0%}, R² {r_squared:.2f}\n"
            f"table of means: {_scored(judged.baselines['table_of_means'])}",
            fontsize=TITLE_SIZE - 1,
        )
        ax.set_xlabel("predicted change of loss (nats per token)", fontsize=TEXT_SIZE)
        ax.set_ylabel("published change of loss (nats per token)", fontsize=TEXT_SIZE)
    known: list[Any] = [
        Line2D([], [], label=f"α = {a:g}", **mark("o", color, 6.0)) for a, color in ALPHAS.items()
    ]
    known += [
        Line2D([], [], label=label, **mark(m, "0.4", 6.0, mfc=fill))
        for label, m, fill in (("own task", MARKS[1], "0.4"), ("another's task", "o", "white"))
    ]
    known.append(Line2D([], [], color="0.5", lw=0.8, label="bars: 95 % of random designs"))
    known += drawn
    shared_legend(fig, known, 3)
    return fig


def pairing_beside(together: pd.DataFrame) -> Figure:
    """Plot how well a theory and its baselines agree with what was measured, in a panel a measure.

    Parameters
    ----------
    together : pandas.DataFrame
        ``beside`` of a pairing: ``scope``, ``baseline``, ``measure``, ``theory``, ``other`` and
        ``verdict``; of published tables ``fitted_to`` and ``judged_on`` too.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each table or scope. A ring marks baselines that the theory is told apart from,
        after correction for the number of comparisons.

    Examples
    --------
    >>> import pandas as pd
    >>> one = {"scope": "later", "baseline": "rule", "measure": "rank", "theory": 0.9, "other": 0.8}
    >>> len(pairing_beside(pd.DataFrame([one | {"verdict": "cannot be told"}])).axes)
    1
    """
    where = [name for name in ("fitted_to", "judged_on", "scope") if name in together]
    names = together[where].agg(_heading, axis=1)
    rows, measures = list(dict.fromkeys(names)), list(dict.fromkeys(together["measure"]))
    looks = {
        name: mark(m, color, 6.0, mfc="none", mew=1.4)
        for name, m, color in zip(
            dict.fromkeys(together["baseline"]), "s^DvP", PALETTE[1:], strict=False
        )
    }
    fig = Figure(figsize=(WIDTH, 0.42 * len(rows) + 1.4), dpi=DPI, layout="constrained")
    axes = fig.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    for ax, measure in zip(axes, measures, strict=True):
        plain(ax)
        for row, part in together.loc[together["measure"] == measure].groupby(names):
            y = rows.index(str(row))
            ends = [*part["theory"], *part["other"]]
            ax.plot([min(ends), max(ends)], [y, y], color=GREY, lw=3, zorder=0)
            ax.plot(part["theory"], [y] * len(part), **mark("o", PALETTE[0], 7.0))
            for baseline, x, verdict in zip(
                part["baseline"], part["other"], part["verdict"], strict=True
            ):
                ax.plot(x, y, **looks[baseline])
                if verdict in ("ahead", "behind"):
                    ax.plot(x, y, **mark("o", "black", 13.0, mfc="none"))
        ax.set_xlabel(_MEASURES.get(str(measure), str(measure)))
        ax.set_yticks(range(len(rows)), rows, fontsize=TEXT_SIZE - 1)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)  # the first on top
    known = [Line2D([], [], label="theory", **mark("o", PALETTE[0], 7.0))]
    known += [Line2D([], [], label=name.replace("_", " "), **look) for name, look in looks.items()]
    known.append(Line2D([], [], label="told apart", **mark("o", "black", 11.0, mfc="none")))
    shared_legend(fig, known, len(known))
    return fig


_MEASURES = {
    "rank": "rank correlation\nwithin cells",
    "directions": "share of\nright directions",
    "rmse": "RMSE (nats per token):\nless is better",
}


_SCOPES = {
    "between": "left out: grid points\nbetween those fitted to",
    "beyond": "left out: grid points\nbeyond those fitted to",
    "later": "later generations\nthan those fitted to",
}


def _heading(row: pd.Series) -> str:
    """Return the label of a comparison; one table left out of its own fit needs no second name."""
    source, table, scope = (str(row.get(name, "")) for name in ("fitted_to", "judged_on", "scope"))
    if not source:
        return _SCOPES.get(scope, scope)
    return (
        f"{source}: {scope}"
        if table.startswith(source) and "left out" in scope
        else (
            f"{source} → {table.removesuffix(', T = 15').removesuffix(', T = 8')}"
            + ", new rows" * (scope == "new rows")
        )
    )


def _scored(scores: Any) -> str:
    rank, _, sign, r_squared = (s.value for s in scores)
    return f"{rank:.2f}, {sign:.0%}, {r_squared:.2f}"


def _panels(pairing: Any, models: int | None):
    for judged in pairing.judged:
        own = judged.judged_on.startswith(judged.fitted_to)
        if models is not None:
            if f"K = {models}," in judged.judged_on:
                yield judged
        elif not own and "3B" not in judged.judged_on:
            yield judged


def _points(ax: Axes, rows: pd.DataFrame) -> list[Any]:
    ends = rows[["observed", "low", "high"]].to_numpy()
    low, high = float(ends.min()) - 0.15, float(ends.max()) + 0.15
    drawn = constant_bands(ax, (low, high), _CONSTANT)
    for alpha, own in itertools.product(sorted(set(rows.alpha)), (False, True)):
        part = rows.loc[(rows.alpha == alpha) & ((rows.model == rows.task) == own)]
        color = ALPHAS.get(float(alpha), PALETTE[3])
        bars = np.stack([part.predicted - part.low, part.high - part.predicted]).clip(0)
        style = mark(MARKS[1] if own else "o", color, 5.0, mfc=color if own else "white")
        ax.errorbar(part.predicted, part.observed, xerr=bars, elinewidth=0.8, **style)
    return drawn
