"""Report of the workflow ``evolution``: populations that evolve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from commensal.llm.config import EvolutionConfig
from commensal.llm.measures.ngrams import amounts
from commensal.llm.multiple_choice import (
    accuracy_of_law,
    load_questions,
)
from commensal.llm.reports._contents import Chapter, Contents, grid
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._populations import Kind, Populations, kind_of
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._says import one_replicate, sign_in_words
from commensal.llm.reports._verdicts import Found, arrow, reproduced, signed
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
    effects = effects_of(known)
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
            "that select no one. Differences are between populations from the same seeds, with "
            "intervals over replicates that hold together with 95 % for each column; blue: better, "
            f"red: worse, no colour: cannot be told.{_error(run.metrics)}{_amounts(run)}"
            f"{_judge(run)}"
        ),
        changes=False,
        chapters=list(_chapters(run, known, config)),
        says=list(_says(known, config, effects)),
    )


class Effect(NamedTuple):
    """Pairs of kinds of populations that differ in one thing alone, the same in all pairs."""

    name: str
    pairs: list[tuple[Kind, Kind]]

    def differences(self, known: Populations, metric: str, dataset: str) -> list[float]:
        """Return the mean over pairs of the last difference, in each replicate that has all."""
        each = [known.differences(one, other, metric, dataset) for one, other in self.pairs]
        table = pd.concat(each, axis=1, join="inner")
        return table.mean(axis=1, skipna=False).tolist()


def effects_of(known: Populations) -> list[Effect]:
    """List what one thing does by itself, all else equal: whom one selects, who writes, and so on.

    The other one of a pair is the plain one: selected by lot, trained on one writer's texts, of
    the selected alone, with inherited weights, without mutations, without noise. Where
    populations are crossed the effect is the mean over them, as of a factorial experiment. At
    last, all that the paper does together is held against single lineages.
    """
    found: dict[str, Effect] = {}
    several = _several_questions(known)
    for one, other in itertools.permutations([k for k in known.kinds if k.population > 1], 2):
        mine, its = _factors(one, several), _factors(other, several)
        differ = [name for name in mine if mine[name] != its[name]]
        if one.population == other.population and len(differ) == 1:
            (what,) = differ
            if _plain(other, what) and not _plain(one, what):
                name = f"N = {one.population}: {mine[what]} against {its[what]}"
                found.setdefault(name, Effect(name, [])).pairs.append((one, other))
    alone = known.lineage()
    for one in known.selected() if alone is not None else []:
        name = f"N = {one.population}: all together against one alone"
        found.setdefault(name, Effect(name, [])).pairs.append((one, alone))  # pyright: ignore[reportArgumentType]
    return [
        e._replace(name=f"{e.name} ({len(e.pairs)} crossings)") if len(e.pairs) > 1 else e
        for e in found.values()
    ]


def _several_questions(known: Populations) -> bool:
    return len({k.questions for k in known.kinds if k.selection == "accuracy"}) > 1


def _factors(kind: Kind, several: bool = True) -> dict[str, str]:
    """Say in words what a kind of population does, factor by factor."""
    how = {"random": "selection by lot", "none": "no selection", "oracle": "selection by an oracle"}
    selection = how.get(kind.selection, f"selection by {kind.selection}")
    if kind.selection not in ("random", "none"):
        selection += f" of {kind.selected}" * (kind.selected != math.isqrt(kind.population))
    if several and kind.selection == "accuracy":
        selection += f" on {kind.questions}"
    return {
        "selection": selection,
        "reads": "pooled texts" if kind.reads == "pooled" else "one writer's texts",
        "writers": "all write" if kind.writers == "all" else "the selected write",
        "inheritance": "texts alone" if kind.inheritance == "data" else "weights and texts",
        "mutation": f"mutation {kind.mutation:g}",
        "noise": f"noise {kind.noise:g}",
    }


def _plain(kind: Kind, what: str) -> bool:
    plain = {"selection": "random", "reads": "one", "writers": "selected", "inheritance": "full"}
    return getattr(kind, what) == plain.get(what, 0.0)


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
    if config.judge is not None:
        found.append(("reward", "reward", task))
    return found


def _judge(run: Reading[EvolutionConfig]) -> str:
    """Return a note on what the judge rewards, and on how often it errs, if there is one."""
    config = run.config
    if config.judge is None:
        return ""
    text = (
        f" Reward: what the judge prefers by ({config.judge.what()}). A higher one is not better "
        "by itself, and has no colour: likely texts get more than varied ones"
    )
    own = [_reward_of_law(config.of_replicate(r)) for r in _replicates(config)]
    known = [value for value in own if value is not None]
    if config.judge.knows_law and known:
        text += f", and texts of the law itself get {signed(float(np.mean(known)))} on average"
    upset, unjudged = (_mean(run, metric) for metric in ("upset", "unjudged"))
    if math.isfinite(upset):
        text += f". {upset:.0%} of all comparisons went to the lower reward"
    if unjudged > 0:
        text += f"; {unjudged:.1%} of the answers were none, lost, and have no reward"
    return text + "."


def _mean(run: Reading[EvolutionConfig], metric: str) -> float:
    """Return the mean of a metric over all that was measured; NaN of nothing."""
    rows = run.measured
    return math.nan if rows.empty else float(rows.loc[rows["metric"] == metric, "value"].mean())


def _reward_of_law(config: EvolutionConfig) -> float | None:
    """Return the expected reward of the law's own texts, as long as the task's."""
    (task,) = config.tasks
    law, first = task.law(), task.prompt_words
    return None if law is None else -law.entropy(first, first + task.completion_words)


def _replicates(config: EvolutionConfig) -> list[int]:
    """List the replicates that have texts and laws of their own."""
    return sorted({config.resources_of(point) for point in config.grid()})


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
    known: Populations, config: EvolutionConfig, effects: Sequence[Effect]
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
    if signal := _signal(known, config):
        yield signal
    if not effects:
        return
    means = {
        (metric, dataset): effect_means(known, effects, metric, dataset)
        for _, metric, dataset in columns
    }
    rows = [
        (
            name,
            [
                (_effect(metric, of), _kind(metric, of))
                for (metric, _), column in means.items()
                for of in (column[at],)
            ],
        )
        for at, (name, _) in enumerate(effects)
    ]
    yield grid("Differences at the end (accuracies in points)", [h for h, _, _ in columns], rows)


def effect_means(
    known: Populations, effects: Sequence[Effect], metric: str, dataset: str
) -> list[Mean]:
    """Return mean and interval of each effect on one measure; the intervals hold together."""
    return [mean_of(effect.differences(known, metric, dataset), len(effects)) for effect in effects]


def _signal(known: Populations, config: EvolutionConfig) -> Table | None:
    """Tabulate how much of the spread of the scores that select is real.

    Scores of few questions scatter by themselves. What two sets of questions agree on does not:
    the covariance over models of the scores that select and of those on held-out questions is the
    real variance, and the rest is error.
    """
    rows = []
    for kind in known.kinds:
        if kind.population == 1 or kind.selection != "accuracy" or "+" in kind.questions:
            continue
        found = known.covariance(kind, ("accuracy", "accuracy_held_out"), kind.questions)
        if found is None:
            continue
        whole, shared = found
        real, error = max(shared, 0.0), max(whole - max(shared, 0.0), 0.0)
        points = [f"{100 * math.sqrt(variance):.1f}" for variance in (whole, real, error)]
        share = f"{shared / whole:.0%}".replace("-", "\N{MINUS SIGN}") if whole else "—"
        rows.append((_short(kind, config), [(text, "") for text in (*points, share)]))
    if not rows:
        return None
    columns = [
        "spread between models",
        "real",
        "error of a score",
        "share of variance that is real",
    ]
    return grid("What selection can see (standard deviations in points)", columns, rows)


def _cell(metric: str, table: pd.DataFrame) -> str:
    ends = table.to_numpy(float)[:, [0, -1]]
    first, last = _numbers(metric, *ends.mean(axis=0))
    text = f"{first} → {last}" + (" %" if metric.startswith("accuracy") else "")
    if len(ends) > 1:
        low, high = _numbers(metric, ends[:, 1].min(), ends[:, 1].max())
        text += f" ({low} to {high})"
    return text


def _kind(metric: str, change: Mean) -> str:
    """Return the colour of a change: blue for what is better, red for worse, none if untold."""
    if metric == "reward":
        return ""
    gain = change.sign if metric.startswith(("accuracy", "distinct")) else -change.sign
    return ("", "fall", "rise")[gain]


def _effect(metric: str, change: Mean) -> str:
    if not math.isfinite(change.value):
        return "—"
    if metric.startswith("accuracy"):
        return Mean(*(100 * value for value in change)).text()
    return change.text(3 if metric.startswith("distinct") else 2)


def _error(metrics: pd.DataFrame) -> str:
    """Return a note on the standard error of accuracies on so few questions."""
    if metrics.empty:
        return ""
    error = 100 * float(metrics.loc[metrics["metric"] == "accuracy_error", "value"].mean())
    return (
        f" One accuracy has a standard error of about {error:.1f} points; a difference on the same "
        "questions has less."
    )


def _says(known: Populations, config: EvolutionConfig, effects: Sequence[Effect]) -> Iterator[str]:
    """Say whether selection keeps a population from collapse, against selection by lot."""
    far, task = "kl" if config.known else "loss", config.tasks[0].name
    what = "KL from the law" if config.known else "loss"
    named = zip(effects, effect_means(known, effects, far, task), strict=True)
    found = [
        (one, effect, mean)
        for effect, mean in named
        for one, other in effect.pairs[:1]
        if one.selection not in ("random", "none") and other.selection == "random"
        if math.isfinite(mean.value)
    ]
    several = _several_questions(known)
    # what deployed models are chosen by stands before what only an oracle can see
    found.sort(key=lambda row: row[0].selection != "accuracy")
    for at, (one, effect, mean) in enumerate(found):
        first, last = (known.means(one, far, task)[t] for t in (0, -1))
        by = _factors(one, several)["selection"]
        told = sign_in_words(
            mean, f"{by} makes it worse", f"{by} helps", f"whether {by} helps cannot be told"
        )
        course = "" if at else f" The {what} itself goes {arrow(first, last)}."
        yield (
            f"{told[0].upper()}{told[1:]}: {mean.text()} in {what} at the end, lower is better; "
            f"{effect.name}.{course}"
        )
    if found and len(known.of(found[0][0], far, task)) < 2:
        yield one_replicate("what selection does")


def _leads(found: Sequence[Found]) -> Iterator[str]:
    yield from reproduced(found)


def _leads_of_effects(
    known: Populations, config: EvolutionConfig, effects: Sequence[Effect]
) -> Iterator[str]:
    """Yield sentences on what can be told of selection, pooling and the number of writers."""
    far, task = "kl" if config.known else "loss", config.tasks[0].name
    what = "KL from the law" if config.known else "loss"
    asked = config.questions[0].name
    alone = known.lineage()
    if alone is not None and len(known.of(alone, far, task)):
        right = _cell("accuracy", known.of(alone, "accuracy", asked))
        yield f"Single lineages: accuracy {right}, {what} {_cell(far, known.of(alone, far, task))}."
    held = "accuracy_held_out" if config.held_out_questions else "accuracy"
    which = "on held-out questions" if config.held_out_questions else "on the questions"
    for metric, dataset, told in (
        (far, task, f"{what} at the end, lower is better"),
        (held, asked, f"accuracy at the end {which}, in points"),
    ):
        means = effect_means(known, effects, metric, dataset)
        named = list(zip((e.name for e in effects), means, strict=True))
        sure = [f"{name} {_effect(metric, of)}" for name, of in named if of.sign]
        unsure = sum(not of.sign for of in means)
        if effects:
            text = "; ".join(sure) or "none of the effects can be told"
            left = f" Cannot be told: {unsure} of {len(means)} effects." if sure and unsure else ""
            yield f"{told.capitalize() if told[0] != 'K' else told}: {text}.{left}"


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
                part = rows_of(rows, kind)
                if len(part):
                    panels[kind.label.replace(f" on {asked.name}", "")] = part
        lineages = rows.loc[(rows["population"] == 1) & (rows["inheritance"] == "full")]
        law, chance = bounds_of(config, asked.name)
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
            "Means over the models of a population and over replicates.",
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


def rows_of(rows: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    """Return the rows of one kind of population."""
    for name, value in kind._asdict().items():
        rows = rows.loc[rows[name] == value]
    return rows


def bounds_of(config: EvolutionConfig, name: str) -> tuple[float | None, float | None]:
    """Return the accuracy of the law and of guessing, if known without reading anything.

    That of the law is a mean over the replicates' laws.
    """
    right, chance = [], None
    for replicate in _replicates(config):
        its = config.of_replicate(replicate)
        law = its.tasks[0].law()
        for asked in its.questions:
            if asked.name == name and asked.about_law and law is not None:
                seed = seed_of(its.seed, "questions", name)
                questions = load_questions(asked, its.tasks[0], seed, its.held_out_questions)
                right.append(accuracy_of_law(law, questions.asked))
                chance = questions.chance
    return (float(np.mean(right)) if right else None), chance


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
    # other replicates have prompts of their own
    alone = [s for s in finished if kind_of(s.coordinates).population == 1]
    alone = [s for s in alone if not config.resources_of(s)]
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
