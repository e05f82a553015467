"""Report of the workflow ``web``: a web that models read and write."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from commensal.llm.config import GridPoint, WebConfig
from commensal.llm.reports._answers import answer_leads, answer_tables
from commensal.llm.reports._contents import Chapter, Contents, Sample, grid
from commensal.llm.reports._reading import Reading, title
from commensal.llm.reports._tables import short
from commensal.llm.reports._verdicts import Found, Instance
from commensal.llm.web.measures import planar
from commensal.llm.web.reading import distances, mean_paths
from commensal.page import Table, picture

_HALVED, _STEADY = 0.5, 0.2


def contents(run: Reading[WebConfig]) -> Contents:
    """Return the contents of the page of a web run."""
    config = run.config
    n = max(config.take_part or (len(config.models),))
    subject = f"{n} language models that answer from a web they all post on"
    norms = distances(run.directory.path)
    courses = [(s, _course(norms, s)) for s in run.points if s.name in run.reached]
    return Contents(
        subject=subject if n > 1 else "One language model that answers from a web it posts on",
        leads=[*_leads(run, courses), *answer_leads(run)],
        found=_findings(run, courses),
        source=(
            "From Wang, Pang, Horiguchi, Priebe, sec. 4.1, which reports one run. First: t = 0; "
            "last: the mean over the last quarter of the generations. Only finished grid points "
            "count."
        ),
        tables=[*_tables(run, courses), *answer_tables(run)],
        tables_heading="First and last distances",
        tables_text=(
            "‖D‖_F at t = 0 → its mean over the last quarter of the generations; in brackets what "
            "the sampling of L responses alone would give then."
        ),
        changes=False,
        chapters=list(_chapters(run, norms)),
        samples=samples(run),
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
    return [Sample(title(point), short(config.query), written)]


def _course(norms: pd.DataFrame, point: GridPoint) -> pd.DataFrame:
    """Return ‖D‖_F of one grid point over the generations."""
    here: Any = norms
    for name, value in point.coordinates.items():
        here = here.loc[here[name] == value]
    return here.sort_values("generation")


def _ends(values: Any) -> tuple[float, float]:
    """Return the value at t = 0, and the mean over the last quarter."""
    found = np.asarray(values, dtype=float)
    return float(found[0]), float(found[-max(len(found) // 4, 1) :].mean())


def _leads(run: Reading[WebConfig], courses: list[tuple[GridPoint, Any]]) -> Iterator[str]:
    """Yield the main results as sentences."""
    told = [
        (s, c)
        for s, c in courses
        if len(c) > 3 and c["disagreement"].iloc[0] > 0 and np.isfinite(c["disagreement"]).all()
    ]
    if told:
        ends = [_ends(c["disagreement"]) for _, c in told]
        floors = [_ends(c["sampling"])[1] for _, c in told]
        first, last, floor = (float(np.mean(v)) for v in (*zip(*ends, strict=True), floors))
        alone = "what the sampling of the responses alone would leave is not known"
        if math.isfinite(floor):
            alone = f"the sampling of the responses alone would leave {floor:.3g}"
        yield f"‖D‖_F goes from {first:.3g} to {last:.3g} ({last / first:.0%} of it); {alone}."
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


def _findings(run: Reading[WebConfig], courses: list[tuple[GridPoint, Any]]) -> list[Found]:
    """Return the paper's findings, judged in finished grid points."""
    last = run.config.generations
    whole = [(s, c) for s, c in courses if run.reached[s.name] == last and last >= 7]
    missing = "needs a finished grid point of two or more models and 7 or more generations"
    apart, settled, narrow = [], [], []
    for point, course in whole:
        values = course["disagreement"].to_numpy(float)
        where = title(point)
        if len(values) and values[0] > 0:
            first, end = _ends(values)
            ratio = end / first
            apart.append(Instance(where, f"{first:.3g} → {end:.3g}", ratio, ratio <= _HALVED))
            quarter = max(len(values) // 4, 1)
            before = float(values[-2 * quarter : -quarter].mean())
            change = abs(end - before) / before if before else math.nan
            settled.append(
                Instance(where, f"{before:.3g}, then {end:.3g}", change, change <= _STEADY)
            )
        for i, model in enumerate(run.config.taking_part(point)):
            first, end = _ends(_values(run, point, "spread", i))
            if first > 0:
                numbers = f"{first:.3g} → {end:.3g}"
                ratio = end / first
                narrow.append(Instance(f"{model.shown}, {where}", numbers, ratio, ratio <= _HALVED))
    return [
        Found(
            "closer",
            "The models come closer to each other: ‖D‖_F falls by half or more.",
            "sec. 4.1 and fig. 2: from over 20 to about 5 in 60 steps",
            tuple(apart),
            missing,
            "last over first",
        ),
        Found(
            "narrow",
            "Each model's own responses become alike: their spread falls by half or more.",
            "sec. 4.1 and fig. 3: point masses at t = 60",
            tuple(narrow),
            "needs a finished grid point of 7 or more generations whose responses differ at first",
            "last over first",
        ),
        Found(
            "settled",
            "‖D‖_F settles: its means over the last two quarters differ by at most a fifth.",
            "sec. 3.1: ‖D‖_F → c, conjectured",
            tuple(settled),
            missing,
            "relative change",
            "Settling near what sampling alone gives means c = 0 as far as L responses can tell.",
        ),
    ]


def _values(run: Reading[WebConfig], point: GridPoint, metric: str, model: int) -> np.ndarray:
    """Return one metric of one model over the generations."""
    here: Any = run.metrics
    here = here.loc[(here["metric"] == metric) & (here["model"] == model)]
    for name, value in point.coordinates.items():
        here = here.loc[here[name] == value]
    return here.sort_values("generation")["value"].to_numpy(float)


def _tables(run: Reading[WebConfig], courses: list[tuple[GridPoint, Any]]) -> list[Table]:
    rows = []
    for point, course in courses:
        if not len(course):
            continue
        first, last = _ends(course["disagreement"])
        floor = _ends(course["sampling"])[1]
        cells = [(f"{first:.3g} → {last:.3g} ({floor:.3g})", "")]
        for metric in ("spread", "different", "synthetic_share"):
            models = range(len(run.config.taking_part(point)))
            ends = [_ends(_values(run, point, metric, i)) for i in models]
            start, end = (float(np.mean(v)) for v in zip(*ends, strict=True))
            cells.append((f"{start:.2f} → {end:.2f}", ""))
        rows.append((title(point), cells))
    names = ["‖D‖_F", "spread", "different responses", "synthetic share of what is read"]
    return [grid("", names, rows)] if rows else []


def _chapters(run: Reading[WebConfig], norms: pd.DataFrame) -> Iterator[Chapter]:
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
