"""Report of the workflow ``segmented``: ecosystems that share a fixed budget of data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from commensal.llm.config import SegmentedConfig
from commensal.llm.reports._contents import Chapter, Contents, grid
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._verdicts import Found, reproduced, signed
from commensal.llm.reports.findings_segmented import find, gains, summarise
from commensal.page import Table, picture

_SPLIT = "Gain over one model, and what it is made of"


def contents(run: Reading[SegmentedConfig]) -> Contents:
    """Return the contents of the page of a segmented run."""
    config = run.config
    summary = summarise(run.judged, config.generations)
    found, split = find(summary, config.generations), gains(summary)
    return Contents(
        subject=f"Ecosystems of {_ranged(config.models)} models that learn from all they write",
        leads=list(_leads(found, summary, split)),
        found=found,
        source=(
            "From Hodel, West, sec. 4. A perplexity is the mean over blocks of exp(mean loss in "
            "the block). Rates at the end are slopes through the later half of the iterations. "
            "Only finished ecosystems count."
        ),
        tables=list(_tables(summary, split)),
        tables_heading="Perplexities and the split of the gain",
        tables_text=(
            "Means over replicates, ± half of the 95% interval (Student's t) where there are two "
            "or more. μ_T is the mean over all iterations, t = 0 among them."
        ),
        changes=False,
        chapters=list(_chapters(run, config, summary, split)),
    )


def _ranged(models: Sequence[int]) -> str:
    return f"{models[0]}" if len(models) == 1 else f"{models[0]} to {models[-1]}"


def _leads(found: Sequence[Found], summary: pd.DataFrame, split: pd.DataFrame) -> Iterator[str]:
    yield from reproduced(found)
    if summary.empty:
        return
    pooled = summary.loc[summary["ecosystem"] == "pooled"]
    over = pooled.groupby(["M", "D"])["overall"].agg(lambda values: values.mean(skipna=False))
    if np.isfinite(over).all() and (over == over.min()).sum() == 1:
        m, d = over.idxmin()  # pyright: ignore[reportGeneralTypeIssues]
        text = f"Over all iterations M = {m:g}{'' if m == d else f' with D = {d:.3g}'} is best"
        yield text + f" ({over.min():.2f} of {', '.join(f'{v:.2f}' for v in over)})."
    if split.empty:
        return
    for m, part in split.groupby("M"):
        gain, less, pooling = (
            mean_of(part[c].to_numpy(float)) for c in ("gain", "moving_less", "pooling")
        )
        yield (
            f"{m:g} models against one: {_change(gain)} in ln μ_T, of which {_change(less)} come "
            f"with moving less (one model alone on N/{m:g}) and {_change(pooling)} with pooling."
        )


def _change(value: Mean) -> str:
    return signed(value.value) + ("" if math.isnan(value.half) else f" ± {value.half:.2f}")


def _value(values: np.ndarray) -> tuple[str, str]:
    found = mean_of(values)
    if math.isnan(found.value):
        return "—", ""
    return f"{found.value:.2f}" + ("" if math.isnan(found.half) else f" ± {found.half:.2f}"), ""


def _tables(summary: pd.DataFrame, split: pd.DataFrame) -> Iterator[Table]:
    if summary.empty:
        return
    columns = {"first": "μ at t = 0", "last": "at the end", "overall": "μ_T", "slope": "slope"}
    for ecosystem, caption in (
        ("pooled", "Pooled ecosystems"),
        ("alone", "Controls: one model alone"),
    ):
        part = summary.loc[summary["ecosystem"] == ecosystem]
        rows = []
        for (m, d), group in part.groupby(["M", "D"]):
            name = f"M = {m:g}" if m == d else f"M = {m:g}, D = {d:.2f}"
            if ecosystem == "alone":
                name = f"on N/{m:g}"
            rows.append((name, [_value(group[c].to_numpy()) for c in columns]))
        if rows:
            yield grid(caption, list(columns.values()), rows)
    if not split.empty:
        parts = {"gain": "gain in ln μ_T", "moving_less": "moving less", "pooling": "pooling"}
        rows = []
        for m, group in split.groupby("M"):
            found = [mean_of(group[c].to_numpy(float)) for c in parts]
            kinds = ["fall" if f.value > 0 else "rise" if f.value < 0 else "" for f in found]
            cells = [(_change(f), kind) for f, kind in zip(found, kinds, strict=True)]
            rows.append((f"M = {m:g} against M = 1", cells))
        yield grid(_SPLIT, list(parts.values()), rows)


def floor_of(config: SegmentedConfig) -> float | None:
    """Return the least perplexity that the law of the texts allows, if tokens are words.

    Of a stream of texts, the first word of each drawn afresh. No model's mean loss over many
    blocks is lower, and mean perplexities lie above the perplexity of the mean.
    """
    corpus = config.tasks[0]
    law = corpus.law()
    words = corpus.prompt_words + corpus.completion_words
    return None if law is None else math.exp(law.entropy(0, words))


def _chapters(
    run: Reading[SegmentedConfig],
    config: SegmentedConfig,
    summary: pd.DataFrame,
    split: pd.DataFrame,
) -> Iterator[Chapter]:
    """Draw the figures; matplotlib is loaded for them alone."""
    from commensal.llm.reports import plots_segmented as plots

    if run.measured.empty:
        return
    if not summary.empty:
        text = (
            "Perplexity over all iterations against the effective number of models, under one "
            "budget of data. One model alone on N/M shows what less data does by itself."
        )
        drawn = [picture(plots.segmented_optimum(summary), "")]
        yield Chapter("optimum-picture", "Perplexity over diversity", text, drawn, [])
    if not split.empty:
        text = (
            "What M pooled models gain over one model on all data: how much of it a single model "
            "gains that sees N/M only, and so moves less, and how much comes with pooling. In "
            "ln μ_T: 0.1 is a tenth less perplexity."
        )
        yield Chapter("split", _SPLIT, text, [picture(plots.segmented_split(split), "")], [])
    known = "kl" in set(run.measured["metric"])  # where tokens are words
    text = "On real test blocks; shaded from the least replicate to the largest."
    curves = plots.segmented_perplexity(run.measured, floor_of(config) if known else None)
    yield Chapter("curves", "Perplexity over the iterations", text, [picture(curves, "")], [])
    panels = _distributions(run, config)
    if panels:
        text = (
            "Of the real blocks that were dealt out, under every model of an ecosystem; triangles "
            "are means. First replicate."
        )
        drawn = [picture(plots.segmented_distributions(panels), "")]
        yield Chapter("distributions", "Distribution of perplexities", text, drawn, [])


def _distributions(
    run: Reading[SegmentedConfig], config: SegmentedConfig
) -> dict[str, dict[float, np.ndarray]]:
    """Return perplexities of the first replicate's equal ecosystems, at first and at last."""
    panels: dict[str, dict[float, np.ndarray]] = {}
    for point in run.chosen:
        m = float(point.coordinates["M"])
        if m != point.coordinates["D"]:
            continue
        for t, branch in ((0, point.start), (config.generations, point.name)):
            values = run.directory.branch(branch).array("train_perplexity", t)
            if values is not None:
                panels.setdefault(f"t = {t}", {})[m] = values
    return panels
