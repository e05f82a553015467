"""What reports on models that have a task each share: losses first, then texts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from commensal.llm.config import TrainedConfig
from commensal.llm.measures.ngrams import amounts
from commensal.llm.reports._contents import Chapter, Contents
from commensal.llm.reports._reading import Reading, floors, over_replicates, title
from commensal.llm.reports._tables import Change, loss_tables
from commensal.llm.reports._verdicts import Found, arrow, reproduced, signed
from commensal.page import picture


def losses_first(
    run: Reading[TrainedConfig],
    subject: str,
    losses: Sequence[Change],
    *,
    found: Sequence[Found] = (),
    leads: Sequence[str] = (),
    said: Sequence[str] = (),
    found_heading: str = "Published findings",
    drawn: Sequence[Chapter] = (),
) -> Contents:
    """The contents of a report on models that have a task each, whatever the workflow.

    Parameters
    ----------
    run : Reading
    subject : str
        What runs here, in a few words.
    losses : sequence of Change
        All of them.
    found : sequence of Found
        Published findings, looked for here.
    leads : sequence of str
        What to look at beside the losses.
    said : sequence of str
        What the run says, before any finding.
    found_heading : str
        Heading of the findings.
    drawn : sequence of Chapter
        Chapters before those of the losses.
    """
    generations = run.config.generations
    when = f"Generation 0 → {generations}" if generations else "Generation 0"
    return Contents(
        subject=subject,
        leads=[*_leads(run, found, found_heading, losses), *leads],
        found=found,
        source=(
            "From Vu, Reeves, Wenger, sec. 6. A change of a loss by at most 0.1 nats counts as "
            "none, as in the paper. A finding holds at a place where the whole interval over "
            "replicates says so; the intervals of one finding hold together with 95 %. Only "
            "finished grid points count."
        ),
        tables=loss_tables(run, losses) if losses else [],
        tables_heading="First and last losses" if generations else "Losses",
        tables_text=(
            f"{when}, nats per token. Own tasks first, the public data last. {_colours(run)}"
        ),
        changes=generations > 0,
        chapters=[*drawn, *_chapters(run)],
        found_heading=found_heading,
        says=said,
    )


def _leads(
    run: Reading[TrainedConfig], found: Sequence[Found], heading: str, losses: Sequence[Change]
) -> Iterator[str]:
    """Yield the main results as sentences."""
    yield from reproduced(found, heading)
    final = [c for c in losses if c.generation]
    if not final:
        if losses:
            own = [c for c in losses if c.dataset == run.datasets[c.model]]
            each = dict.fromkeys(f"{c.first:.2f} (model {c.model + 1} on {c.dataset})" for c in own)
            yield f"Only generation 0 is there; losses on own tasks: {', '.join(each)}."
        return
    final = [c for c in final if math.isfinite(c.last - c.first)]
    if not final:
        yield "No loss is finite at the end."
        return
    low, high = (pick(final, key=lambda c: c.last - c.first) for pick in (min, max))
    if low.kind() != "fall" and high.kind() != "rise":
        most = max(abs(low.last - low.first), abs(high.last - high.first))
        yield f"No loss is seen to change by more than 0.1 nats (most: {most:.2f})."
        return
    texts = []
    if low.kind() == "fall":
        texts.append(f"falls most for {_place(low, run)}")
    if high.kind() == "rise":
        texts.append(f"rises most for {_place(high, run)}")
    yield f"The loss {'; it '.join(texts)}."


def _colours(run: Reading[TrainedConfig]) -> str:
    if run.config.replicates == 1:
        return "Colours describe this one run; other texts and another base may do otherwise."
    return (
        "Means over replicates, ± half of the interval of the change; all intervals hold together "
        "with 95 %, and a change has a colour where its whole interval says so."
    )


def _place(change: Change, run: Reading) -> str:
    place = f"model {change.model + 1} on {change.dataset}"
    if len(run.points) > 1:
        place += f" {'with' if 'memory' in change.point.coordinates else 'at'} "
        place += title(change.point)
    return f"{place} ({arrow(change.first, change.last)}, {signed(change.last - change.first)})"


def _chapters(run: Reading) -> Iterator[Chapter]:
    """Draw the figures; matplotlib is loaded for them alone."""
    from commensal.llm.reports import plots_interactive as plots

    metrics, datasets = over_replicates(run.measured), run.datasets
    if metrics.empty:
        return
    several = " Means over replicates." if run.config.replicates > 1 else ""
    # one picture per β, the first at once
    parts = [(f"β = {beta:g}", metrics.loc[metrics["beta"] == beta]) for beta in run.betas]
    parts = parts or [("", metrics)]
    floor = floors(run)
    drawn = [picture(plots.llm_losses(part, datasets, floor), name) for name, part in parts]
    text = f"Each model on each task over the generations.{several}"
    if floor:
        text += " No model's expected loss is below the entropy of the law (dashed)."
    yield Chapter("losses", "Losses over the generations", text, drawn[:1], drawn[1:])

    alphas = set(metrics["alpha"]) if "alpha" in metrics else set()
    networks = set(metrics["reads"]) if "reads" in metrics else set()
    if len(alphas) > 1 and len(parts) > 1 and len(networks) < 2 and any(run.reached.values()):
        text = "From generation 0 to the last one finished; numbers in grey count as none."
        drawn = [picture(plots.llm_changes(metrics, datasets), "")]
        yield Chapter("changes", "Change of the losses over (α, β)", text, drawn, [])

    if "similarity" in set(metrics["metric"]):
        text = (
            "Mean cosine between the embedded completions that two models give to the same "
            "prompts; it rises where the models homogenise."
        )
        drawn = [picture(plots.llm_similarity(part, datasets), name) for name, part in parts]
        # of many pairs on demand
        shown = 1 if len(run.config.tasks) < 4 else 0
        heading = "Likeness of what the models write"
        yield Chapter("similarity", heading, text, drawn[:shown], drawn[shown:])

    panels = _embeddings(run)
    if panels:
        text = "Principal components of the embedded completions, fitted to all panels together."
        beta = run.chosen[0].coordinates.get("beta")
        beta = "" if beta is None else f"β = {beta:g}"
        drawn = [picture(plots.llm_embeddings(panels, datasets), beta)]
        yield Chapter("embeddings", "What the models write, as points", text, drawn, [])

    text = "Means over the models and tasks of each column. " + amounts(set(metrics["metric"]))
    drawn = [picture(plots.llm_diversity(part, datasets), name) for name, part in parts]
    yield Chapter("diversity", "Variety and rare words", text, drawn[:1], drawn[1:])


def _embeddings(run: Reading) -> dict[str, np.ndarray]:
    """Return embeddings of the chosen grid points, first and last; empty where there are none."""
    panels: dict[str, np.ndarray] = {}
    for point in run.chosen:
        t = run.reached[point.name]
        start = run.directory.branch(point.start).embeddings(0)
        last = run.directory.branch(point.name).embeddings(t) if t else None
        if start is not None:
            panels.setdefault("t = 0", start)
        if last is not None:
            panels[f"t = {t}, {title(point, but='beta')}"] = last
    found = [p[np.isfinite(p).all(axis=-1)] for p in panels.values()]
    if not found or min(p.shape[-1] for p in found) < 2:
        return {}
    rows = np.concatenate(found)
    # points that are all the same have no directions
    return panels if len(rows) > 2 and np.ptp(rows, axis=0).any() else {}
