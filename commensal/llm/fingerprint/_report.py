"""Report on a comparison of fingerprints, as one self-contained HTML page."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import commensal
from commensal import page
from commensal.llm.fingerprint._analysis import FINE, Analysis, is_published
from commensal.llm.fingerprint._models import read_releases
from commensal.llm.fingerprint._published import DELTA, OVERLAP
from commensal.saving import write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from commensal.llm.fingerprint._influence import Asymmetry

UNITS = {"pair": "pairs", "model": "models", "family": "families"}
WEIGHTS = {
    "score": "scores of the profile",
    "log": "log(1 + score)",
    "rank": "1/rank",
    "equal": "every feature the same",
}


def write_report(
    found: Analysis, path: str | Path, title: str = "Fingerprints", note: str = ""
) -> Path:
    """Write the report's page and its figures.

    Parameters
    ----------
    found : Analysis
        Results of :func:`analyse`.
    path : str or Path
        Path of the HTML file; the figures are written beside it, as ``fig3_densities.png`` (where
        a family has two models), ``fig4_matrix.png`` and, with dates, ``fig5_influence.png``.
    title : str
        Title of the page.
    note : str
        Note at the head of the page, such as :func:`amounts_of` writes it.

    Returns
    -------
    Path
        Path of the page.
    """
    path = Path(path)
    models = found.comparison.models
    families = len(set(models.families))
    said = [
        f"{len(models.names)} models of {families} families",
        f"Jaccard similarity over {', '.join(found.kinds)}",
        f"{found.resamples} resamples, seed {found.seed}",
        f"commensal {commensal.__version__}.",
    ]
    subtitle = "; ".join(said) + (f" {note}" if note else "")
    parts: list[page.Part] = [page.Prose(lead, "lead") for lead in leads(found)]
    if len(found.intervals):
        parts.append(_statistics(found))
    if found.choices is not None:
        parts.append(_choices(found, found.choices))
    if found.asymmetry:
        parts.append(_influence(found))
    parts.append(page.Section("figures", "Figures", list(_pictures(found, path.parent))))
    if is_published(found.comparison):
        parts.append(_releases())
    write(path, page.render(title, parts, subtitle).encode())
    return path


def number(value: Any) -> str:
    """Write a number with three decimals and a true minus sign."""
    if not isinstance(value, float):
        return str(value)
    if not np.isfinite(value):
        return "–"
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def leads(found: Analysis) -> Iterator[str]:
    """Yield the main results as sentences."""
    yield from _of_families(found) if len(found.intervals) else _of_models(found)
    yield from _of_dates(found)


def _of_models(found: Analysis) -> Iterator[str]:
    """Say which models are alike, where no family has two."""
    names, pairs = found.comparison.models.names, found.pairs
    least, most = (
        f"{_short(names[pairs.first[at]])} and {_short(names[pairs.second[at]])} "
        f"({number(float(pairs.similarity[at]))})"
        for at in (0, -1)
    )
    yield (
        f"No family has two models, so only models are compared. Most alike are {most}, least "
        f"{least}, by the Jaccard similarity of what they over-use."
    )


def _of_families(found: Analysis) -> Iterator[str]:
    table = found.intervals.set_index(["statistic", "unit"])
    by_pair, by_model = (_row(table, "Cliff's δ", unit) for unit in ("pair", "model"))
    alike = "are not clearly more alike than"
    if by_model["high"] < 0:
        alike = "are more alike than"
    elif by_model["low"] > 0:
        alike = "are less alike than"
    yield (
        f"Models of one family {alike} models of different families: Cliff's δ = "
        f"{number(by_pair['value'])}, 95 % interval {_span(by_pair)} if pairs are resampled as "
        f"though they were independent, and {_span(by_model)} if models are."
    )
    overlap = _row(table, "OVL, KDE with Scott's bandwidth", "model")
    known = found.null.set_index("estimator").to_dict("index")
    smooth = known["OVL, KDE with Scott's bandwidth"]
    fine = known[f"OVL, histogram of {FINE} bins"]
    yield (
        f"Similarities within and across families overlap by {number(overlap['value'])} "
        f"(models resampled: {_span(overlap)}); with families in random order it would be "
        f"{smooth['mean']:.2f}. A histogram of {FINE} bins gives {fine['value']:.2f}, "
        f"but also only {fine['mean']:.2f} where families mean nothing."
    )


def _of_dates(found: Analysis) -> Iterator[str]:
    if "score" in found.asymmetry:
        one = found.asymmetry["score"]
        d = one.difference
        yield (
            f"Weighted by scores, newer models have {number(d.value)} more of older ones' "
            f"fingerprints than the reverse (models resampled: {number(d.low)} to "
            f"{number(d.high)}; p = {one.p_value:.3f} against dates in random order). "
            f"{_own_share(one)}"
        )
        models = found.comparison.heaviest
        few = models.loc[models["share"] > 0.5]
        if len(few):
            first = few.nlargest(3, "share").itertuples()
            words = ", ".join(f"“{row.word}” of {_short(row.model)}" for row in first)
            yield (
                f"Scores of single words decide over it: in {len(few)} of {len(models)} models one "
                f"word has more than half of the weight ({words}{' ...' * (len(few) > 3)})."
            )
    if "equal" in found.asymmetry:
        d = found.asymmetry["equal"].difference
        yield (
            f"With every feature counting the same the difference is {number(d.value)} "
            f"({number(d.low)} to {number(d.high)}): two fingerprints of one size share as many "
            "features either way, so that direction can only come from weights or sizes."
        )


def _short(name: Any) -> str:
    return str(name).rpartition("/")[2]


def _own_share(one: Asymmetry) -> str:
    if not one.p_value < 0.05:
        return ""
    return (
        f"A number for each model accounts for {100 * one.explained:.0f} % of it, without any tie "
        "between two of them; how common a model's heaviest words are is such a number."
    )


def _row(table: pd.DataFrame, statistic: str, unit: str) -> dict[str, float]:
    row = table.loc[[(statistic, unit)]].iloc[0]
    return {name: float(row[name]) for name in ("value", "low", "high")}


def _span(row: dict[str, float]) -> str:
    return f"[{number(row['low'])}, {number(row['high'])}]"


def _interval(low: float, high: float) -> str:
    return f"[{number(low)}, {number(high)}]"


def _statistics(found: Analysis) -> page.Section:
    """Table of the statistics, with an interval per resampled unit, and for shuffled families."""
    models = len(found.comparison.models.names)
    published = [DELTA, *[OVERLAP] * len(found.intervals)]
    columns = ["", "value", *(f"{unit} resampled" for unit in UNITS.values())]
    if is_published(found.comparison):
        columns.append("published")
    rows: list[list[str | page.Cell]] = []
    for (name, part), printed in zip(
        found.intervals.groupby("statistic", sort=False), published, strict=False
    ):
        of = part.set_index("unit").to_dict("index")
        row: list[str | page.Cell] = [str(name), number(float(part["value"].iloc[0]))]
        row += [_interval(of[unit]["low"], of[unit]["high"]) for unit in UNITS]
        if is_published(found.comparison):
            text = f"{number(printed.value)} {_interval(printed.low, printed.high)}"
            row.append(page.Cell(text, "printed"))
        rows.append(row)
    shuffled = [
        [r["estimator"], number(r["value"]), number(r["mean"]), _interval(r["low"], r["high"])]
        for r in found.null.to_dict("records")
    ]
    return page.Section(
        "statistics",
        "Within and across families",
        [
            page.Prose(
                f"95 % percentile intervals, by what is resampled. A model is in {models - 1} "
                "pairs, so pairs are not independent, and intervals from resampled pairs tend to "
                "be too narrow. Of models, those of one family are drawn with replacement; of "
                "families, whole ones."
            ),
            page.Table(columns, rows, numbers=range(1, len(columns))),
            page.Table(
                ["", "value", "shuffled, mean", "95 % of them"],
                shuffled,
                "Where families mean nothing",
                numbers=(1, 2, 3),
            ),
            page.Prose(
                "The same estimators with the models' families in random order. An overlap is to "
                "be read against this, not against 1: fine bins overlap little even then.",
                "soft",
            ),
        ],
        "Within and across",
    )


def _choices(found: Analysis, choices: pd.DataFrame) -> page.Section:
    """Table of the choices nearest to the paper, and of the usual rules for each similarity."""
    usual = choices.loc[choices["standard"]].drop_duplicates(["features", "similarity"])
    near = int(np.sum(choices["away"] < 0.02))
    printed = f"{number(OVERLAP.value)} {_interval(OVERLAP.low, OVERLAP.high)}"
    return page.Section(
        "choices",
        "Which choice gives the published overlap?",
        [
            page.Prose(
                f"The paper prints OVL = {printed} from kernel densities of one bandwidth, and "
                "says neither which bandwidth nor whether words alone count. Of "
                f"{len(choices)} combinations of features, similarity and estimator these come "
                f"nearest ({near} miss each of the three numbers by less than 0.02):"
            ),
            _of_choices(choices.head(6)),
            page.Prose(
                "Of the usual rules (Scott's and Silverman's bandwidths, histograms of up to 30 "
                "bins) the nearest for each similarity:"
            ),
            _of_choices(usual),
            page.Prose(
                page.joined(
                    " ",
                    [
                        "What the nearest have in common is that they smooth too little: about one "
                        "pair within families to a bin, or a bandwidth of a twentieth of Scott's. "
                        "The printed interval says so, too: its estimate lies close to its upper "
                        "end, because a resample repeats some pairs, lacks others, and so empties "
                        "bins still more. Full list:",
                        page.code("choices.csv"),
                    ],
                )
            ),
        ],
        "The published overlap",
    )


def _of_choices(choices: pd.DataFrame) -> page.Table:
    names = ["features", "similarity", "estimator", "OVL", "pairs resampled", "δ", "largest miss"]
    rows = [
        [
            *(str(row[name]) for name in names[:3]),
            number(row["value"]),
            _interval(row["low"], row["high"]),
            number(row["delta"]),
            number(row["away"]),
        ]
        for row in choices.to_dict("records")
    ]
    return page.Table(names, rows, numbers=range(3, 7))


def _influence(found: Analysis) -> page.Section:
    names = [
        "weights",
        "difference",
        "models resampled",
        "pairs resampled",
        "p, dates shuffled",
        "by single models",
    ]
    rows = [
        [
            WEIGHTS[name],
            number(one.difference.value),
            _interval(one.difference.low, one.difference.high),
            _interval(*one.pairs_interval),
            number(one.p_value),
            number(one.explained),
        ]
        for name, one in found.asymmetry.items()
    ]
    heaviest = [
        [str(row["model"]), str(row["word"]), number(row["share"]), f"{row['effective']:.1f}"]
        for row in found.comparison.heaviest.sort_values("effective").head(40).to_dict("records")
    ]
    bins = [
        page.Details(
            f"Bins of lags, weights: {WEIGHTS[name]}",
            [_bins(one, found.comparison.models.unit)],
        )
        for name, one in found.asymmetry.items()
    ]
    return page.Section(
        "influence",
        "Influence over dates",
        [
            page.Prose(
                "I(A → B) is the share of A's weight on features that B has, too. The difference "
                "is the mean of I(older → newer) − I(newer → older) over pairs of different "
                "families and dates. “By single models” is the share of it that a number for each "
                "model accounts for."
            ),
            page.Table(names, rows, numbers=range(1, 6)),
            page.Prose(
                "The weights lie on few words. Scores are ratios to a word's frequency elsewhere, "
                "and where that is next to nothing (invented names above all) a single word "
                "outweighs all others; “effective” is how many words of equal score would be as "
                "concentrated."
            ),
            page.Details(
                "Heaviest words",
                [
                    page.Table(
                        ["model", "heaviest word", "its share", "effective words"],
                        heaviest,
                        numbers=(2, 3),
                    )
                ],
            ),
            *bins,
        ],
        "Influence",
    )


def _bins(one: Asymmetry, unit: str) -> page.Table:
    rows = [
        [
            f"{b['low']:g} to {b['high']:g}",
            str(b["pairs"]),
            number(b["mean"]),
            _interval(b["low_pairs"], b["high_pairs"]),
            _interval(b["low_models"], b["high_models"]),
        ]
        for b in one.bins.to_dict("records")
    ]
    columns = [f"lag ({unit}s)", "pairs", "mean", "pairs independent", "models resampled"]
    return page.Table(columns, rows, numbers=range(5))


def _releases() -> page.Section:
    known = {
        "model": "model",
        "family": "family",
        "date": "month",
        "known_to": "known to",
        "other_date": "or",
        "source": "source",
    }
    rows = [[str(row[key]) for key in known] for row in read_releases().to_dict("records")]
    return page.Section(
        "releases",
        "Release dates",
        [
            page.Prose(
                "The package's own table, not necessarily the dates given with --families. Where a "
                "date is unsure the other candidate stands beside it.",
                "soft",
            ),
            page.Table(list(known.values()), rows),
        ],
    )


def _pictures(found: Analysis, folder: Path) -> Iterator[page.Part]:
    """Draw the figures; matplotlib is loaded for them alone."""
    from commensal.llm.fingerprint import _plots

    models = found.comparison.models
    if len(found.intervals):
        yield from _picture(
            "Similarity within families and across",
            "Left with a usual bandwidth: the shared area is grey. Right in bins so fine that most "
            "hold a pair or two; they overlap less because they are emptier.",
            _plots.similarity_densities(found.pairs, FINE),
            folder / "fig3_densities.png",
        )
    yield from _picture(
        "Who is like whom",
        "Each row relative to its mean without the diagonal; white lines part families.",
        _plots.similarity_matrix(found.similarity, models),
        folder / "fig4_matrix.png",
    )
    if found.asymmetry:
        shown = [name for name in ("score", "equal") if name in found.asymmetry]
        yield from _picture(
            "Influence over dates",
            "Points are ordered pairs of different families; bars are means of bins, with "
            "percentile intervals over resampled models.",
            _plots.influence_over_lags(found.comparison.influence, found.asymmetry, models, shown),
            folder / "fig5_influence.png",
        )


def _picture(heading: str, text: str, fig: Figure, path: Path) -> Iterator[page.Part]:
    """Put a figure on the page, and save it as a file beside it."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None})
    write(path, buffer.getvalue())
    yield page.picture(fig, heading)
    yield page.Prose(text, "soft")
