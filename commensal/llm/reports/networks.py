"""The report of an interactive run with several reading networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from commensal.llm.config import InteractiveConfig
from commensal.llm.reports._contents import Chapter, Contents
from commensal.llm.reports._intervals import mean_of, number
from commensal.llm.reports._own_tasks import losses_first
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._says import amount, one_replicate
from commensal.llm.reports._tables import changes
from commensal.llm.reports.findings_networks import QUANTITIES, NetworkMix, find, mixes
from commensal.page import Table, picture

_SHOWN = {
    "own": ("On their own tasks models", "best", "worst", "nats higher"),
    "others": ("On the others' tasks they", "best", "worst", "nats higher"),
    "public": ("On the public data they", "best", "worst", "nats higher"),
    "likeness": ("Texts on the tasks", "most alike", "least alike", "lower in mean cosine"),
}


def contents(run: Reading[InteractiveConfig]) -> Contents:
    """Return the contents of the page of a run that compares networks."""
    config = run.config
    found = mixes(run.judged, run.datasets, config.networks, config.generations)
    judged = find(found)
    subject = f"{len(config.tasks)} language models, {len(config.reads)} ways to read each other"
    page = losses_first(
        run,
        subject,
        changes(run),
        found=judged,
        said=list(_says(found)),
        found_heading="Predictions of the theory",
        drawn=list(_chapters(found)),
    )
    source = (
        "What linear theory says of reading networks (ours, page “Who reads whom”), for models "
        "with a task each that complete prompts of their own. A number is a mean over models (and "
        "tasks, or pairs); networks are compared replicate by replicate, which share generation 0. "
        "A prediction holds at a place where the whole interval over replicates says so; the "
        "intervals of one prediction hold together with 95 %. Only finished grid points count."
    )
    return page._replace(source=source, tables=[*_tables(found), *page.tables])


def _says(found: Sequence[NetworkMix]) -> Iterator[str]:
    """Say with which network models end best and most alike, and which can be told apart."""
    for mix in found:
        names = list(mix.networks)
        pairs = list(itertools.combinations(names, 2))
        comparisons = len(mix.courses) * len(pairs)
        where = f"{mix.where}. " if mix.where else ""
        alone = mix.courses["own"].shape[1] < 2
        for quantity in mix.courses:
            digits = 3 if quantity == "likeness" else 2
            best_is = -1 if quantity == "likeness" else 1
            means = {name: float(mix.at(quantity, name).mean()) for name in names}
            if not all(map(math.isfinite, means.values())):
                continue
            ranked = sorted(names, key=lambda name: best_is * means[name])
            first, last = ranked[0], ranked[-1]
            who, best, worst, unit = _SHOWN[quantity]
            apart = mix.difference(quantity, last, first).values
            gap = amount(mean_of(np.asarray(apart), comparisons), best_is, digits)
            yield (
                f"{where}{who} end {best} with {first} ({number(means[first], digits)}), and "
                f"{worst} with {last}, {gap} {unit}{'' if alone else _told(mix, quantity, ranked)}."
            )
            where = ""
        if alone:
            yield one_replicate("which networks differ")
        else:
            yield (
                f"The intervals of these {comparisons} differences ({len(pairs)} pairs of networks "
                "in each quantity) hold together with 95 %; networks are told apart where the "
                "interval leaves out zero."
            )


def _told(mix: NetworkMix, quantity: str, ranked: Sequence[str]) -> str:
    """Say which pairs of networks cannot be told apart."""
    pairs = list(itertools.combinations(ranked, 2))
    comparisons = len(mix.courses) * len(pairs)
    untold = [
        pair
        for pair in pairs
        if not mean_of(np.asarray(mix.difference(quantity, *pair).values), comparisons).sign
    ]
    if not untold:
        return f" (in order: {', '.join(ranked)}; all {len(pairs)} pairs can be told apart)"
    if len(untold) == len(pairs):
        return "; no two networks can be told apart"
    names = "; ".join(f"{one} and {other}" for one, other in untold)
    return f" (in order: {', '.join(ranked)}; cannot be told apart: {names})"


def _tables(found: Sequence[NetworkMix]) -> list[Table]:
    """List what is known of each network and where it ends."""
    tables = []
    for mix in found:
        rows = []
        for name in mix.networks:
            row = [name, f"{mix.self_share(name):.2g}", f"{mix.sources(name):.2g}"]
            for quantity in mix.courses:
                digits = 3 if quantity == "likeness" else 2
                ends = [float(mix.at(quantity, name, t).mean()) for t in (0, -1)]
                row.append(" → ".join(number(end, digits) for end in ends))
            rows.append(row)
        heads = ["network", "self share", "sources n"]
        heads += [{"own": "own tasks", "others": "others' tasks", "public": "public data",
                   "likeness": "likeness"}[quantity] for quantity in mix.courses]  # fmt: skip
        at = f" at {mix.where}" if mix.where else ""
        caption = f"Networks{at}: first and last, means over models and replicates"
        tables.append(Table(heads, rows, caption, numbers=(1, 2)))
    return tables


def _chapters(found: Sequence[NetworkMix]) -> Iterator[Chapter]:
    from commensal.llm.reports.plots_networks import llm_networks

    if not found:
        return
    text = (
        "Means over models, and over tasks or pairs of models; lines are means over replicates, "
        "bands go from the least replicate to the largest."
    )
    drawn = [
        picture(
            llm_networks(
                {QUANTITIES[name]: one for name, one in mix.courses.items()}, list(mix.networks)
            ),
            mix.where,
        )
        for mix in found
    ]
    yield Chapter("networks", "Networks over the generations", text, drawn[:1], drawn[1:])
