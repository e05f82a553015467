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
from commensal.llm.reports._says import amount, one_replicate, sign_in_words
from commensal.llm.reports._verdicts import Found, Instance, reproduced, signed
from commensal.llm.reports.findings_segmented import (
    KEYS,
    PARTS,
    advantages,
    by_community,
    find,
    gains,
    shrinking,
    summarise,
)
from commensal.page import Table, picture

_SPLIT = "Gain over one model, and what it is made of"
_COMMUNITIES = (
    " Each model is tested on the held-out texts of each community, and means count communities "
    "alike. The advantage on a community is ln of the perplexity of the other models, their mean, "
    "minus that of the model whose community it is: 0.1 is a tenth less perplexity. Its intervals "
    "hold together."
)
_KINDS = {
    "pooled": ("Pooled ecosystems", "M = {m:g}"),
    "alone": ("Control: M models, each alone on N/M", "{m:g} on N/{m:g}"),
    "fewer_steps": ("Control: one model on all data, with fewer steps", "steps of N/{m:g}"),
    "random": ("Control: the same texts, dealt out by lot", "M = {m:g}"),
}


def contents(run: Reading[SegmentedConfig]) -> Contents:
    """Return the contents of the page of a segmented run."""
    config = run.config
    summary = summarise(run.judged, config.generations)
    found, split = find(summary, config.generations), gains(summary)
    communities = by_community(run.judged, config.generations)
    return Contents(
        subject=f"Ecosystems of {_ranged(config.models)} models that learn from all they write",
        leads=[*_leads(found, summary, split), *_leads_of_communities(communities)],
        found=found,
        source=(
            "From Hodel, West, sec. 4. A perplexity is the mean over blocks of exp(mean loss in "
            "the block). Rates at the end are slopes through the later half of the iterations. "
            "Only finished ecosystems count."
        ),
        tables=[*_tables(summary, split), *_tables_of_communities(communities)],
        tables_heading="Perplexities and the split of the gain",
        tables_text=(
            "Means over replicates, ± half of the 95% interval (Student's t) where there are two "
            "or more; in the table of gains the intervals hold together, and only what leaves out "
            "zero has a colour. μ_T is the mean over all iterations, t = 0 among them."
            + (_COMMUNITIES if len(communities) else "")
        ),
        changes=False,
        chapters=list(_chapters(run, config, summary, split)),
        says=list(_says(split)),
    )


def _ranged(models: Sequence[int]) -> str:
    return f"{models[0]}" if len(models) == 1 else f"{models[0]} to {models[-1]}"


def _says(split: pd.DataFrame) -> Iterator[str]:
    """Say whether dividing the data among more models helps, and whether that is their merit."""
    if split.empty:
        return
    means = _split_means(split)
    known = {m: parts for m, parts in means.items() if math.isfinite(parts["gain"].value)}
    if not known:
        return
    m = max(known, key=lambda one: known[one]["gain"].value)
    parts = known[m]
    times = amount(_share(parts["gain"]))
    told = sign_in_words(
        parts["gain"], "lower beyond noise", "higher beyond noise", "which may be chance"
    )
    first = (
        f"Over all iterations {m:g} models that share the data have {times} times the mean "
        f"perplexity of one model on all of it, {told}"
    )
    controls = [
        (what, parts[name])
        for name, what in (
            ("segmenting", "one model that takes as few steps as one of them"),
            ("pooling", f"{m:g} models alone on N/{m:g} of the data each"),
        )
        if name in parts and math.isfinite(parts[name].value)
    ]
    against = [f"against {what} it is {_control(part)}" for what, part in controls]
    # how much is by moving less alone belongs to the answer
    yield "; ".join([first, *against[:1]]) + "."
    for more in against[1:]:
        yield f"{more[0].upper()}{more[1:]}."
    if not math.isfinite(parts["gain"].half):
        yield one_replicate("whether more models are better")


def _control(part: Mean) -> str:
    told = sign_in_words(part, "lower", "higher", "no difference can be told")
    return f"{amount(_share(part))} times ({told})"


def _share(gain: Mean) -> Mean:
    """Return the ratio of perplexities that a gain in their logarithm is."""
    return Mean(math.exp(-gain.value), math.exp(-gain.high), math.exp(-gain.low))


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
    for m, parts in _split_means(split).items():
        if math.isnan(parts["gain"].half):
            yield f"{m:g} models against one: {_change(parts['gain'])} in ln μ_T (one replicate)."
            continue
        told = [f"{PARTS[name]} {_change(of)}" for name, of in parts.items() if of.sign]
        untold = [PARTS[name] for name, of in parts.items() if not of.sign]
        text = f"{m:g} models against one, in ln μ_T: {', '.join(told) or 'nothing can be told'}"
        yield text + (f"; cannot be told: {', '.join(untold)}." if told and untold else ".")


def _split_means(split: pd.DataFrame) -> dict[float, dict[str, Mean]]:
    """Return the parts of each M's gain that were measured; their intervals hold together."""
    names = [name for name in PARTS if name == "gain" or bool(split[name].notna().any())]
    groups = {float(m): part for m, part in split.groupby("M")}  # pyright: ignore[reportArgumentType]
    count = len(names) * len(groups)
    return {
        m: {name: mean_of(part[name].to_numpy(float), count) for name in names}
        for m, part in groups.items()
    }


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
    for ecosystem, (caption, shown) in _KINDS.items():
        part = summary.loc[summary["ecosystem"] == ecosystem]
        rows = []
        for (m, d), group in part.groupby(["M", "D"]):
            name = shown.format(m=m)
            if ecosystem == "pooled" and m != d:
                name += f", D = {d:.2f}"
            rows.append((name, [_value(group[c].to_numpy()) for c in columns]))
        if rows:
            yield grid(caption, list(columns.values()), rows)
    if not split.empty:
        means = _split_means(split)
        rows = [
            (
                f"M = {m:g} against M = 1",
                [(_change(of), ("", "fall", "rise")[of.sign]) for of in parts.values()],
            )
            for m, parts in means.items()
        ]
        yield grid(_SPLIT, [PARTS[name] for name in next(iter(means.values()))], rows)


def _leads_of_communities(communities: pd.DataFrame) -> Iterator[str]:
    told = [
        f"{_called(ecosystem, m)} {_ends(part)}, {_verdict(verdict)}"
        for ecosystem, m, _, part, verdict in shrinking(advantages(communities))
    ]
    if told:
        what = "Advantage of models on their own communities, in ln of perplexity"
        yield f"{what}: {'; '.join(told)}."


def _called(ecosystem: str, m: float) -> str:
    return f"{ecosystem}, M = {m:g}:"


def _ends(part: pd.DataFrame) -> str:
    return " → ".join(signed(float(part[end].to_numpy(float).mean())) for end in ("first", "last"))


def _verdict(one: Instance) -> str:
    if not one.told:
        return f"cannot be told whether it shrinks ({one.reason})"
    return "it shrinks" if one.holds else "it does not shrink"


def _tables_of_communities(communities: pd.DataFrame) -> Iterator[Table]:
    """Tabulate every model's perplexity of every community, and what its own ones are to it."""
    names = list(communities["dataset"].unique())
    for (ecosystem, m, d), part in communities.groupby(KEYS[:3], sort=False):  # pyright: ignore
        caption, shown = _KINDS[str(ecosystem)]
        rows = []
        for model, of_model in part.groupby("model"):
            cells = dict(iter(of_model.groupby("dataset", sort=False)))
            rows.append((f"model {int(model) + 1}", [(_cell(cells[name]), "") for name in names]))  # pyright: ignore
        where = shown.format(m=m) + (
            "" if m == d or ecosystem == "fewer_steps" else f", D = {d:.2f}"
        )
        yield grid(f"{caption}, {where}: perplexity by community (t = 0 → at the end)", names, rows)
    judged = shrinking(advantages(communities))
    if judged:
        columns = ["t = 0", "at the end", "change", ""]
        rows = []
        for ecosystem, m, d, part, verdict in judged:
            ends = [_value(part[end].to_numpy(float))[0] for end in ("first", "last")]
            name = _called(ecosystem, m).rstrip(":") + ("" if m == d else f", D = {d:.2f}")
            rows.append(
                (name, [(text, "") for text in (*ends, verdict.numbers, _verdict(verdict))])
            )
        yield grid("Advantage of models on their own communities (ln of perplexity)", columns, rows)


def _cell(rows: pd.DataFrame) -> str:
    """Write one model's perplexity of one community at both ends."""
    ends = [_value(rows[end].to_numpy(float))[0] for end in ("first", "last")]
    return " → ".join(ends) + (" (own)" if bool(rows["own"].to_numpy().all()) else "")


def floor_of(config: SegmentedConfig) -> float | None:
    """Return the least perplexity that the law of the texts allows, if tokens are words.

    Of a stream of texts, the first word of each drawn afresh. No model's mean loss over many
    blocks is lower, and mean perplexities lie above the perplexity of the mean. Of several
    communities it is the mean, as that of their perplexities is measured.
    """
    found = []
    for corpus in config.tasks:
        law = corpus.law()
        if law is None:
            return None
        words = corpus.prompt_words + corpus.completion_words
        found.append(math.exp(law.entropy(0, words)))
    return sum(found) / len(found)


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
            "budget of data. Models alone on N/M, and one model with fewer steps, show what moving "
            "less does by itself."
        )
        drawn = [picture(plots.segmented_optimum(summary), "")]
        yield Chapter("optimum-picture", "Perplexity over diversity", text, drawn, [])
    if not split.empty:
        text = (
            "What M pooled models gain over one model on all data, split in two ways. By models "
            "alone on N/M: fewer tokens, and pooling. By one model that takes as few steps as one "
            "of the M: moving less, and segmenting. In ln μ_T: 0.1 is a tenth less perplexity."
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
