"""Report of the workflow ``evolution``: populations that evolve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from commensal.llm.config import EvolutionConfig
from commensal.llm.measures.ngrams import amounts
from commensal.llm.multiple_choice import (
    accuracy_of_law,
    load_questions,
)
from commensal.llm.reports._contents import Chapter, Contents, grid
from commensal.llm.reports._populations import Kind, Populations, kind_of
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._verdicts import Found, reproduced, signed
from commensal.llm.reports.findings_evolution import find
from commensal.llm.seeds import seed_of
from commensal.page import Table, picture

_SHOWN_PROMPTS = 8  # colours that can be told apart


def contents(run: Reading[EvolutionConfig]) -> Contents:
    """Return the contents of the page of an evolution run."""
    config = run.config
    task = config.tasks[0].name
    names = [asked.name for asked in config.questions]
    found = find(run.judged, names, task, config.generations)
    known = Populations(run.judged, config.generations)
    effects = effects_of(known, config)
    tables = list(_tables(known, config, effects))
    return Contents(
        subject="Populations of language models that evolve on their own texts",
        leads=[*_leads(found), *_leads_of_effects(known, config, effects)],
        found=found,
        source=(
            "From Xie et al., sec. 5 and 6, app. F, whose figures give no numbers. Means over the "
            "models of a population, on the questions that it is selected by; a change of at most "
            "two points counts as none. Only finished populations count."
        ),
        tables=tables,
        tables_heading="What each part does",
        tables_text=(
            f"Generation 0 → {config.generations}. Means over models and replicates, and the "
            "range of the replicates. Selected: on the questions that select; held out: on those "
            "that select no one. Differences are between populations from the same seeds; blue: "
            f"every replicate is better for it, red: every one is worse.{_error(run.metrics)}"
            f"{_amounts(run)}"
        ),
        changes=False,
        chapters=list(_chapters(run, known, config)),
    )


def effects_of(known: Populations, config: EvolutionConfig) -> list[tuple[str, Kind, Kind]]:
    """List comparisons that tell selection, crossing and pooling apart: name, with, without."""
    alone = known.lineage()
    first = config.questions[0].name
    found = []
    for n in sorted({k.population for k in known.kinds if k.population > 1}):
        here = {
            k.selection: k
            for k in known.kinds
            if (k.population, k.inheritance, k.noise) == (n, "full", 0)
            and k.questions in ("none", first)
        }
        lots, pooled = here.get("random"), here.get("none")
        for selection, name in (("accuracy", "by accuracy"), ("loss", "by loss")):
            if selection in here and lots:
                found.append((f"selection {name} against lots", here[selection], lots))
        if lots and alone:
            found.append(("crossing by lot against one alone", lots, alone))
        if pooled and alone:
            found.append(("pooling against one alone", pooled, alone))
        if "accuracy" in here and alone:
            found.append(("all together against one alone", here["accuracy"], alone))
    return [(f"N = {one.population}: {name}", one, other) for name, one, other in found]


def _short(kind: Kind, config: EvolutionConfig) -> str:
    """Return a kind's display name, without the questions if there is one set of them."""
    several = len(config.questions) > 1
    return kind.label if several else kind.label.replace(f" on {kind.questions}", "")


def _columns(config: EvolutionConfig) -> list[tuple[str, str, str]]:
    """List heading, metric and dataset of each column."""
    task = config.tasks[0].name
    found = []
    for asked in config.questions:
        by = "" if len(config.questions) == 1 else f" ({asked.name})"
        found.append((f"selected{by}", "accuracy", asked.name))
        if config.held_out_questions:
            found.append((f"held out{by}", "accuracy_held_out", asked.name))
    found.append(
        ("KL from the law" if config.known else "loss", "kl" if config.known else "loss", task)
    )
    if config.measurement.prompts:
        found.append(("distinct-2", "distinct_2", task))
    return found


def _amounts(run: Reading[EvolutionConfig]) -> str:
    """Return a note on the amount of text behind measures of variety, if they are shown."""
    known = set() if run.metrics.empty else set(run.metrics["metric"])
    return f" {amounts(known)}" if "distinct_2" in known else ""


def _numbers(metric: str, *values: float) -> list[str]:
    """Format accuracies in percent, without the sign, and unknown numbers as a dash."""
    scale, digits = (100, 1) if metric.startswith("accuracy") else (1, 2)
    digits = 3 if metric.startswith("distinct") else digits
    return [f"{scale * v:.{digits}f}" if math.isfinite(v) else "\N{EN DASH}" for v in values]


def _change(metric: str, value: float) -> str:
    if metric.startswith("accuracy"):
        return signed(100 * value)
    if metric.startswith("distinct") and np.isfinite(value):
        return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
    return signed(value)


def _tables(
    known: Populations, config: EvolutionConfig, effects: Sequence[tuple[str, Kind, Kind]]
) -> Iterator[Table]:
    columns = _columns(config)
    if not known.kinds:
        return
    rows = []
    for kind in known.kinds:
        cells = []
        for _, metric, name in columns:
            table = known.of(kind, metric, name)
            cells.append((_cell(metric, table), "") if len(table) else ("—", ""))
        rows.append((_short(kind, config), cells))
    yield grid("Populations", [heading for heading, _, _ in columns], rows)
    if not effects:
        return
    rows = []
    for name, one, other in effects:
        cells = []
        for _, metric, dataset in columns:
            change = differences(known, one, other, metric, dataset)
            text = _with_range(metric, change) if len(change) else "—"
            cells.append((text, _kind(metric, change)))
        rows.append((name, cells))
    yield grid("Differences at the end (accuracies in points)", [h for h, _, _ in columns], rows)


def _cell(metric: str, table: pd.DataFrame) -> str:
    ends = table.to_numpy(float)[:, [0, -1]]
    first, last = _numbers(metric, *ends.mean(axis=0))
    text = f"{first} → {last}" + (" %" if metric.startswith("accuracy") else "")
    if len(ends) > 1:
        low, high = _numbers(metric, ends[:, 1].min(), ends[:, 1].max())
        text += f" ({low} to {high})"
    return text


def _kind(metric: str, change: pd.Series) -> str:
    """Return the colour of a change: blue if every replicate gains, red if every one loses."""
    gain = change if metric.startswith(("accuracy", "distinct")) else -change
    if len(change) < 2 or not np.isfinite(gain).all() or (gain.min() <= 0 <= gain.max()):
        return ""
    return "fall" if gain.min() > 0 else "rise"


def differences(known: Populations, one: Kind, other: Kind, metric: str, dataset: str) -> pd.Series:
    """Return final differences between populations that start from the same seeds."""
    here, there = known.last(one, metric, dataset), known.last(other, metric, dataset)
    both = here.index.intersection(there.index)
    return here.loc[both] - there.loc[both]


def _error(metrics: pd.DataFrame) -> str:
    """Return a note on the standard error of accuracies on so few questions."""
    if metrics.empty:
        return ""
    error = 100 * float(metrics.loc[metrics["metric"] == "accuracy_error", "value"].mean())
    return (
        f" One accuracy has a standard error of about {error:.1f} points; a difference on the same "
        "questions has less."
    )


def _leads(found: Sequence[Found]) -> Iterator[str]:
    yield from reproduced(found)


def _leads_of_effects(
    known: Populations, config: EvolutionConfig, effects: Sequence[tuple[str, Kind, Kind]]
) -> Iterator[str]:
    """Yield sentences on what selection and pooling do, at one size of population."""
    far, task = "kl" if config.known else "loss", config.tasks[0].name
    what = "KL from the law" if config.known else "loss"
    asked = config.questions[0].name
    alone = known.lineage()
    if alone is not None and len(known.of(alone, far, task)):
        right = _cell("accuracy", known.of(alone, "accuracy", asked))
        yield f"Single lineages: accuracy {right}, {what} {_cell(far, known.of(alone, far, task))}."
    sizes = [one.population for _, one, _ in effects]
    apart = [one.population for _, one, _ in effects if one.selection in ("random", "none")]
    held = "accuracy_held_out" if config.held_out_questions else "accuracy"
    which = "on held-out questions" if config.held_out_questions else "on the questions"
    for metric, dataset, told in (
        (far, task, f"{what} at the end, lower is better"),
        (held, asked, f"accuracy at the end {which}, in points"),
    ):
        texts = []
        for name, one, other in effects:
            change = differences(known, one, other, metric, dataset)
            if one.population == min(apart or sizes) and len(change):
                texts.append(f"{name.partition(': ')[2]} {_with_range(metric, change)}")
        if texts:
            yield f"N = {min(apart or sizes)}, {told}: {'; '.join(texts)}."


def _with_range(metric: str, change: pd.Series) -> str:
    text = _change(metric, float(change.mean(skipna=False)))
    if len(change) > 1:
        low, high = (_change(metric, float(v)) for v in (change.min(), change.max()))
        text += f" ({low} to {high})"
    return text


def _chapters(
    run: Reading[EvolutionConfig], known: Populations, config: EvolutionConfig
) -> Iterator[Chapter]:
    """Draw the figures; matplotlib is loaded for them alone."""
    from commensal.llm.reports import plots_evolution as plots

    metrics = run.measured
    if metrics.empty:
        return
    task = config.tasks[0].name
    drawn = []
    for asked in config.questions:
        rows = metrics.loc[(metrics["metric"] == "accuracy") & (metrics["dataset"] == asked.name)]
        panels: dict[str, pd.DataFrame] = {}
        for point in run.points:
            kind = kind_of(point.coordinates)
            if kind.population > 1 and kind.questions in ("none", asked.name):
                part = _rows_of(rows, kind)
                if len(part):
                    panels[kind.label.replace(f" on {asked.name}", "")] = part
        lineages = rows.loc[(rows["population"] == 1) & (rows["inheritance"] == "full")]
        law, chance = _bounds(config, asked.name)
        if panels or len(lineages):
            figure = plots.llm_populations(panels, lineages, law=law, chance=chance)
            drawn.append(picture(figure, asked.name))
    if drawn:
        yield Chapter(
            "accuracy",
            "Accuracy over the generations",
            "Each dot is a model, each violin a generation of a population (all replicates); "
            "dashed: single lineages. On the questions that select. As figures 6, 9 and 12 of the "
            "paper.",
            drawn,
            [],
        )
    curves = _curves(known, config)
    if len(curves):
        columns = {heading: (metric, name) for heading, metric, name in _columns(config)}
        figure = plots.llm_evolution(curves, columns)
        yield Chapter(
            "effects",
            "Selection, lots, pooling",
            "Means over the models of a population; thin: each replicate.",
            [picture(figure, "")],
            [],
        )
    shown = _embeddings(run, task)
    if shown:
        yield Chapter(
            "embeddings",
            "What the models write, as points",
            "t-SNE of the embedded completions, all panels together; a colour for each prompt, a "
            "mark for each model (fig. 10 of the paper). Above a population, below the single "
            "lineages.",
            [picture(plots.llm_texts(shown), "")],
            [],
        )


def _rows_of(rows: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    for name, value in kind._asdict().items():
        rows = rows.loc[rows[name] == value]
    return rows


def _bounds(config: EvolutionConfig, name: str) -> tuple[float | None, float | None]:
    """Return the accuracy of the law and of guessing, if known without reading anything."""
    task = config.tasks[0]
    law = task.law()
    for asked in config.questions:
        if asked.name == name and asked.about_law and law is not None:
            seed = seed_of(config.seed, "questions", name)
            questions = load_questions(asked, task, seed, config.held_out_questions)
            return accuracy_of_law(law, questions.asked), questions.chance
    return None, None


def _curves(known: Populations, config: EvolutionConfig) -> pd.DataFrame:
    """Return curves as rows of label, replicate, generation, metric, dataset and value."""
    found = []
    for kind in known.kinds:
        for _, metric, name in _columns(config):
            table = known.of(kind, metric, name)
            if len(table):
                long = table.reset_index().melt("replicate", var_name="generation")
                label = _short(kind, config)
                found.append(long.assign(label=label, metric=metric, dataset=name))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _embeddings(run: Reading[EvolutionConfig], task: str) -> dict[str, dict[str, np.ndarray]]:
    """Return embeddings (model, prompt, dimension) at some generations, by panel.

    The population with most models under selection, and the lineages side by side.
    """
    config = run.config
    at = run.datasets.index(task)
    finished = [s for s in run.points if run.reached.get(s.name) == config.generations]
    chosen = [
        s
        for s in finished
        if kind_of(s.coordinates).selection == "accuracy" and s.coordinates["replicate"] == 0
    ]
    alone = [s for s in finished if kind_of(s.coordinates).population == 1]
    groups: dict[str, list] = {}
    if chosen:
        most = max(chosen, key=lambda s: kind_of(s.coordinates).population)
        groups[kind_of(most.coordinates).label] = [most]
    if alone:
        groups["single lineages"] = alone
    times = sorted({0, config.generations // 2, config.generations})
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, points in groups.items():
        for t in times:
            parts = [run.directory.branch(s.name if t else s.start).embeddings(t) for s in points]
            if any(part is None for part in parts):
                return {}
            joined = np.concatenate([part[:, at, :_SHOWN_PROMPTS] for part in parts])  # pyright: ignore[reportOptionalSubscript]
            joined = joined[:, np.isfinite(joined).all(axis=(0, 2))]
            found.setdefault(name, {})[f"t = {t}"] = joined
    sizes = [panel.shape[0] * panel.shape[1] for row in found.values() for panel in row.values()]
    return found if sum(sizes) > 9 else {}
