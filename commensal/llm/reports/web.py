"""Report of the workflow ``web``: a web that models read and write."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from commensal.llm.config import GridPoint, WebConfig
from commensal.llm.reports._answers import answer_leads, answer_tables
from commensal.llm.reports._contents import Chapter, Contents, Sample, grid
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._reading import Reading, title
from commensal.llm.reports._says import amount, one_replicate, sign_in_words
from commensal.llm.reports._tables import short
from commensal.llm.reports._web_law import WebLaw, web_laws
from commensal.llm.reports._web_law_text import law_sentences, law_table, law_tables
from commensal.llm.reports.findings_web import (
    Courses,
    cell_title,
    values_of,
    web_findings,
    without_replicate,
)
from commensal.llm.web.law import ends
from commensal.llm.web.measures import planar
from commensal.llm.web.reading import distances_of, mean_paths
from commensal.page import Table, picture


def contents(run: Reading[WebConfig]) -> Contents:
    """Return the contents of the page of a web run."""
    config = run.config
    n = max(config.take_part or (len(config.models),))
    subject = f"{n} language models that answer from a web they all post on"
    norms = distances_of(run.metrics, config)
    courses = [(s, _course(norms, s)) for s in run.points if s.name in run.reached]
    laws = web_laws(config, run.metrics, norms)
    return Contents(
        subject=subject if n > 1 else "One language model that answers from a web it posts on",
        leads=[*_leads(run, courses), *law_sentences(laws), *answer_leads(run)],
        found=web_findings(run, courses),
        source=(
            "From Wang, Pang, Horiguchi, Priebe, sec. 4.1, which reports one run. First: t = 0; "
            "last: the mean over the last quarter of the generations. Only finished grid points "
            "count. Judged by the geometric mean over replicates and its 95 % interval, corrected "
            "for the number of instances of a finding; a single replicate has none."
        ),
        tables=[*law_tables(laws), *_tables(run, courses), *answer_tables(run)],
        tables_heading="First and last distances",
        tables_text=(
            "‖D‖_F at t = 0 → its mean over the last quarter of the generations; in brackets what "
            f"the sampling of L responses alone would give then. Replicates: {config.varies}."
        ),
        changes=False,
        chapters=list(_chapters(run, norms, laws)),
        samples=samples(run),
        says=list(_says(run, courses, laws)),
    )


def samples(run: Reading[WebConfig]) -> list[Sample]:
    """Return the models' first and last posts, in the first grid point."""
    config = run.config
    point = next((s for s in run.points if s.name in run.reached), None)
    if point is None:
        return []
    last = run.reached[point.name]
    written = []
    for i, model in enumerate(config.taking_part(point)):
        for t in dict.fromkeys((0, last)):
            for record in run.directory.branch(point.name).samples(t):
                if record["kind"] == "web" and record["model"] == i:
                    written.append((model.shown, f"t = {t}", short(record["completion"])))
    return [Sample(title(point), short(config.queries[0]), written)]


def _course(norms: pd.DataFrame, point: GridPoint) -> pd.DataFrame:
    """Return ‖D‖_F of one grid point over the generations."""
    here: Any = norms
    for name, value in point.coordinates.items():
        here = here.loc[here[name] == value]
    return here.sort_values("generation")


def _says(run: Reading[WebConfig], courses: Courses, laws: Sequence[WebLaw]) -> Iterator[str]:
    """Say whether the models come closer to each other, and whether that is what a law says."""
    cells = [(cell_title(run, cell), _ratios(cell)) for cell in without_replicate(courses)]
    cells = [(where, ratios) for where, ratios in cells if len(ratios)]
    for where, ratios in cells:
        mean = mean_of(ratios, len(cells))
        if not math.isfinite(mean.value):
            continue
        share = Mean(*(math.exp(number) for number in mean))
        told = sign_in_words(
            mean,
            "they move apart",
            "they come closer",
            "whether they come closer cannot be told",
        )
        where = f"{where}: t" if len(cells) > 1 else "T"
        yield (
            f"{where}he distance between the models' answers (‖D‖_F, mean over the last quarter of "
            f"the generations) is {amount(share)} times its first value: {told}."
        )
    if cells and all(len(ratios) < 2 for _, ratios in cells):
        yield one_replicate("whether that is chance")
    for law in laws:
        if law.expected is None:
            continue
        where = f"{law.name}: " if len(laws) > 1 else ""
        yield f"{where}Beside the law that the models were taught: {law.verdict}."


def _ratios(cell: Courses) -> np.ndarray:
    """Return the logarithm of last over first distance in each replicate; empty if undefined."""
    courses = [course["disagreement"].to_numpy(float) for _, course in cell]
    if not all(len(one) > 1 and one[0] > 0 for one in courses):
        return np.array([])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.array([np.log(last / first) for first, last in map(ends, courses)])


def _leads(run: Reading[WebConfig], courses: Courses) -> Iterator[str]:
    """Yield the main results as sentences."""
    cells = without_replicate(courses)
    for cell in cells:
        told = [
            c
            for _, c in cell
            if len(c) > 3 and c["disagreement"].iloc[0] > 0 and np.isfinite(c["disagreement"]).all()
        ]
        if not told:
            continue
        both = np.array([ends(c["disagreement"].to_numpy(float)) for c in told])
        floor = float(np.mean([ends(c["sampling"].to_numpy(float))[1] for c in told]))
        first, last = both.mean(axis=0)
        alone = "what the sampling of the responses alone would leave is not known"
        if math.isfinite(floor):
            alone = f"the sampling of the responses alone would leave {floor:.3g}"
        where = f"{cell_title(run, cell)}: " if len(cells) > 1 else ""
        over = ""
        if len(told) > 1 and (both > 0).all():
            mean = mean_of(np.log(both[:, 1] / both[:, 0]), len(cells))
            over = f", {math.exp(mean.low):.0%} to {math.exp(mean.high):.0%} over replicates"
        yield (
            f"{where}‖D‖_F goes from {first:.3g} to {last:.3g} ({last / first:.0%} of it{over}); "
            f"{alone}."
        )
    metrics: Any = run.metrics
    if metrics.empty:
        return
    unread = metrics.loc[(metrics["metric"] == "unread") & (metrics["value"] > 0)]
    if len(unread):
        yield (
            "Not all retrieved posts fitted into the models' contexts: from generation "
            f"{unread['generation'].min():g} on up to {unread['value'].max():g} were left out."
        )
    empty = metrics.loc[metrics["metric"] == "empty", "value"]
    if len(empty) and empty.mean() > 0.01:
        yield f"{empty.mean():.0%} of the responses are empty."


def _tables(run: Reading[WebConfig], courses: Courses) -> list[Table]:
    rows = []
    for point, course in courses:
        if not len(course):
            continue
        first, last = ends(course["disagreement"].to_numpy(float))
        floor = ends(course["sampling"].to_numpy(float))[1]
        cells = [(f"{first:.3g} → {last:.3g} ({floor:.3g})", "")]
        for metric in ("spread", "different", "synthetic_share"):
            models = range(len(run.config.taking_part(point)))
            both = [ends(values_of(run, point, metric, i)) for i in models]
            start, end = (float(np.mean(v)) for v in zip(*both, strict=True))
            cells.append((f"{start:.2f} → {end:.2f}", ""))
        rows.append((title(point), cells))
    names = ["‖D‖_F", "spread", "different responses", "synthetic share of what is read"]
    return [grid("", names, rows)] if rows else []


def _chapters(
    run: Reading[WebConfig], norms: pd.DataFrame, laws: list[WebLaw]
) -> Iterator[Chapter]:
    """Draw the figures; matplotlib is loaded for them alone."""
    if run.metrics.empty:
        return
    from commensal.llm.reports import plots_web as plots

    config = run.config
    if max(config.take_part or (len(config.models),)) > 1:
        text = (
            "Distances between the models' mean responses (eq. 2), as one norm. Thin lines are "
            "replicates; dashed is what models of one and the same law would show, as each is seen "
            "through L responses only."
        )
        drawn = [picture(plots.llm_web_disagreement(norms), "")]
        yield Chapter("distance", "Distance between the models", text, drawn, [])

    if drawn := [picture(plots.llm_web_law(law_table(laws)), "")] if laws else []:
        text = (
            "Distance of the models' shares of languages, root mean square over replicates. The "
            "band holds 95 % of runs of as many replicates whose models follow their law exactly, "
            "and are seen through L responses too."
        )
        yield Chapter("law", "Language shares beside their law", text, drawn, [])

    shown = [s for s in run.points if s.name in run.reached and not _replicate(s)]
    clouds, paths, varieties = [], [], []
    for point in shown:
        names = [model.shown for model in config.taking_part(point)]
        panels = _panels(run, point)
        if panels:
            figure = plots.llm_web_responses(panels, names)
            clouds.append(picture(figure, title(point)))
        means = mean_paths(run.directory, point, run.reached[point.name])
        if len(means) > 1 and means.shape[0] * means.shape[1] > 2:
            flat = planar(means.reshape(-1, means.shape[-1]))
            figure = plots.llm_web_paths(flat.reshape(*means.shape[:2], 2), names)
            paths.append(picture(figure, title(point)))
        here: Any = run.metrics
        for name, value in point.coordinates.items():
            if name != "replicate":
                here = here.loc[here[name] == value]
        varieties.append(picture(plots.llm_web_variety(here, names), title(point)))
    if clouds:
        text = (
            "Classical scaling of the distances between all responses of both times together, so "
            "that the panels can be compared; crosses are means."
        )
        yield Chapter("responses", "Responses as points", text, clouds[:1], clouds[1:])
    if paths:
        text = (
            "Classical scaling of the distances between the mean responses of all models at all "
            "times: the perspective space of the data kernel (Helm et al. 2024)."
        )
        yield Chapter("paths", "Paths of the models", text, paths[:1], paths[1:])
    if varieties:
        text = "Root mean square distance of a model's responses from their mean."
        yield Chapter(
            "variety", "Variety within, and what is read", text, varieties[:1], varieties[1:]
        )


def _replicate(point: GridPoint) -> bool:
    return float(point.coordinates.get("replicate", 0)) > 0


def _panels(run: Reading[WebConfig], point: GridPoint) -> dict[str, np.ndarray]:
    """Return the responses for fig. 3: at t = 1 (t = 0 if that is all) and at the last time."""
    branch, last = run.directory.branch(point.name), run.reached[point.name]
    times = list(dict.fromkeys((min(1, last), last)))
    found = [branch.embeddings(t) for t in times]
    clouds = [cloud[:, 0] for cloud in found if cloud is not None]
    if not clouds or sum(cloud[..., 0].size for cloud in clouds) < 3:
        return {}
    points = np.stack(clouds)
    placed = planar(points.reshape(-1, points.shape[-1])).reshape(*points.shape[:3], 2)
    return {f"t = {t}": panel for t, panel in zip(times, placed, strict=True)}
