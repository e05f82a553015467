"""Report of the workflow ``remedies``: effects, costs, and the article's statements on them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from commensal.llm.config import RemediesConfig
from commensal.llm.measures.ngrams import amounts
from commensal.llm.reports._contents import Chapter, Contents, grid
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._verdicts import Found, Instance, arrow, signed
from commensal.llm.reports.findings_remedies import RemedyCurves, curves
from commensal.page import Table, picture

METRICS = {
    "kl": "KL from the law\n(nats per word)",
    "word_kl": "KL from human words\n(nats per word)",
    "loss": "loss\n(nats per token)",
    "rare_perplexity": "perplexity of rare tokens",
    "distinct_4": "distinct-4",
    "entropy_2": "entropy of 2-grams\n(nats)",
}


def contents(run: Reading[RemediesConfig]) -> Contents:
    """Return the contents of the page of a remedies run."""
    config = run.config
    measured = _measured(run, config)
    return Contents(
        subject="One language model that trains on its own texts, and remedies",
        leads=list(_leads(measured, run)),
        found=findings(measured, config),
        source=(
            "A news article of the project's sources, unreviewed, and without a setup of its own: "
            "its sentences are looked for here, one lineage at a time."
        ),
        tables=[_table(measured)] if measured else [],
        tables_heading="Where each remedy ends",
        tables_text=(
            f"Means at generation {_last(measured)}; in brackets the difference to no remedy with "
            f"a 95 % interval over {config.replicates} lineages, paired by seed. Delay: how many "
            f"generations later the mean {_name(_collapse(measured))} has risen half as far as it "
            f"does without remedy. {amounts(set(run.metrics['metric']))}"
            if measured
            else ""
        ),
        changes=False,
        chapters=list(_chapters(measured)),
    )


def _measured(run: Reading[RemediesConfig], config: RemediesConfig) -> dict[str, RemedyCurves]:
    """Return the curves of every available metric, on the lineage's own task."""
    metrics = run.judged
    if metrics.empty:
        return {}
    nothing = next(remedy.name for remedy in config.remedies if remedy.nothing)
    task = config.tasks[0].name
    there = set(metrics.loc[metrics["dataset"] == task, "metric"])
    if nothing not in set(metrics["remedy"]):
        return {}
    return {
        name: curves(metrics, name, task, nothing)
        for name in METRICS
        if name in there and not (name == "word_kl" and "kl" in there)
    }


def _last(measured: dict[str, RemedyCurves]) -> int:
    """Return the last generation that every lineage has reached, except those left out."""
    values = measured["loss"].values
    known = np.isfinite(values) | ~np.isfinite(values).any(axis=-1, keepdims=True)
    whole = known.all(axis=(0, 1))
    return int(np.flatnonzero(whole)[-1]) if whole.any() else 0


def _collapse(measured: dict[str, RemedyCurves]) -> str:
    """Return the metric of collapse: the divergence if the law is known, else the loss."""
    return "kl" if "kl" in measured else "loss"


def _name(metric: str) -> str:
    return METRICS[metric].split("\n")[0]


def _leads(measured: dict[str, RemedyCurves], run: Reading[RemediesConfig]) -> Iterator[str]:
    if not measured or not (t := _last(measured)):
        return
    metric = _collapse(measured)
    losses = measured[metric]
    first, last = losses.at(losses.remedies[0], 0).value, losses.at(losses.remedies[0], t).value
    yield (
        f"Without remedy the {_name(metric)} goes {arrow(first, last)} ({signed(last - first)}) "
        f"in {t} generations."
    )
    found = {name: losses.difference(name, t) for name in losses.remedies[1:]}
    for sign, what in ((-1, "lower"), (1, "raise")):
        some = [n for n, mean in found.items() if mean.sign == sign]
        some.sort(key=lambda name: sign * found[name].value, reverse=True)
        if some:
            told = ", ".join(f"{name} ({signed(found[name].value)})" for name in some)
            yield f"Remedies that {what} it, beyond what lineages differ by: {told}."
    unclear = [name for name, mean in found.items() if not mean.sign]
    if unclear and run.points:
        yield f"Not told apart from no remedy by these lineages: {', '.join(unclear)}."


def _table(measured: dict[str, RemedyCurves]) -> Table:
    t = _last(measured)
    metric = _collapse(measured)
    losses = measured[metric]
    shown = [name for name in (metric, "rare_perplexity", "distinct_4") if name in measured]
    rows = []
    for name in losses.remedies:
        cells = [_cell(measured[other], name, t) for other in shown]
        delay, open_ended = losses.delay(name) if t == losses.values.shape[-1] - 1 else (0.0, False)
        told = "—" if math.isnan(delay) else f"{'≥ ' if open_ended else ''}{delay:.1f}"
        rows.append((name, [cells[0], (told, ""), *cells[1:]]))
    names = [METRICS[name].replace("\n", " ") for name in shown]
    return grid("", [names[0], "delay", *names[1:]], rows)


def _cell(found: RemedyCurves, name: str, t: int) -> tuple[str, str]:
    mean = found.at(name, t).value
    value = f"{mean:.3g}" if math.isfinite(mean) else "\N{EN DASH}"
    if name == found.remedies[0]:
        return value, ""
    return f"{value} ({interval(found.difference(name, t))})", ""


def interval(mean: Mean) -> str:
    """Write a difference and its interval.

    Examples
    --------
    >>> interval(Mean(-0.5, -0.7, -0.3))
    '−0.50 [−0.70, −0.30]'
    """
    if math.isnan(mean.value):
        return "not finite"
    if math.isnan(mean.low):
        return f"{mean.value:+.2f}".replace("-", "\N{MINUS SIGN}")
    text = f"{mean.value:+.2f} [{mean.low:+.2f}, {mean.high:+.2f}]"
    return text.replace("-", "\N{MINUS SIGN}")


def findings(measured: dict[str, RemedyCurves], config: RemediesConfig) -> list[Found]:
    """Return the article's sentences that can be recomputed, each with this run's verdict.

    Parameters
    ----------
    measured : dict of str to RemedyCurves
        By metric.
    config : RemediesConfig

    Returns
    -------
    list of Found
    """
    if not measured or not _last(measured):
        return []
    t = _last(measured)
    losses = measured[_collapse(measured)]
    names = {
        "human": [r.name for r in config.remedies if 0 < r.human_share <= 0.05],
        "noise": [r.name for r in config.remedies if r.token_noise > 0],
        "filter": [r.name for r in config.remedies if r.filter is not None],
    }
    spread = measured.get("kl") or measured.get("word_kl")
    found = [
        _paired(
            "human-delays", "At most 5 % fresh human texts delay the collapse.", losses,
            names["human"], t, -1, "no remedy with a human share of at most 5 %",
        ),
        _still_rises(losses, names["human"], t),
        _paired(
            "noise-delays", "Random tokens in a tenth of the synthetic texts delay the collapse.",
            losses, names["noise"], t, -1, "no remedy with token noise",
        ),
        _paired(
            "noise-costs", "Such noise makes the model worse at first.", losses, names["noise"], 1,
            1, "no remedy with token noise",
        ),
        _grows(
            "rare", "The perplexity of rare tokens rises by more than 40 % in five generations.",
            measured.get("rare_perplexity"), min(t, 5), lambda first, last: last > 1.4 * first,
        ),
        _grows(
            "distinct", "Distinct 4-grams fall by 44 % in five generations (by 30 % or more).",
            measured.get("distinct_4"), min(t, 5), lambda first, last: last < 0.7 * first,
        ),
        _accelerates(spread),
    ]  # fmt: skip
    if "distinct_4" in measured:
        found.append(
            _paired(
                "filter-keeps", "A filter for diversity keeps texts more varied.",
                measured["distinct_4"], names["filter"], t, 1, "no remedy with a filter",
            )
        )  # fmt: skip
    return found


def _paired(
    id: str, statement: str, of: RemedyCurves, names: list[str], t: int, sign: int, missing: str
) -> Found:
    """Judge each remedy against none; told where the whole interval is on one side of zero."""
    instances = [
        _signed(name, f"{interval(mean)} at generation {t}", mean, sign)
        for name in names
        for mean in (of.difference(name, t),)
    ]
    remark = "Told where the interval over lineages leaves out zero."
    return Found(
        id, statement, "the article's text", tuple(instances), missing, "difference", remark
    )


def _signed(where: str, numbers: str, mean: Mean, sign: int) -> Instance:
    """Judge whether a mean has a sign, which an interval with zero in it leaves open."""
    why = "the interval over lineages has zero in it"
    if math.isnan(mean.low):
        why = "one lineage has no interval"
    return Instance(where, numbers, mean.value, mean.sign == sign if mean.sign else None, why)


def _still_rises(of: RemedyCurves, names: list[str], t: int) -> Found:
    instances = []
    for name in names:
        mean = _rise(of, name, t)
        instances.append(_signed(name, f"{interval(mean)} since generation 0", mean, 1))
    return Found(
        "human-not-entirely",
        "Such a share does not prevent it entirely: the divergence still rises.",
        "the article's text",
        tuple(instances),
        "no remedy with a human share of at most 5 %",
        "change",
    )


def _rise(of: RemedyCurves, name: str, t: int) -> Mean:
    mine = of.values[of.remedies.index(name)]
    return mean_of(mine[:, t] - mine[:, 0])


def _grows(id: str, statement: str, of: RemedyCurves | None, t: int, holds) -> Found:
    instances = []
    if of is not None and t:
        for r, lineage in enumerate(of.values[0]):
            first, last = float(lineage[0]), float(lineage[t])
            if not math.isfinite(first + last):
                continue
            change = last / first - 1 if first else math.nan
            numbers = f"{first:.3g} → {last:.3g} ({change:+.0%})".replace("-", "\N{MINUS SIGN}")
            there = holds(first, last)
            # who has not yet come so far may still do so
            instances.append(
                Instance(
                    f"lineage {r + 1}",
                    numbers,
                    change,
                    True if there else False if t >= 5 else None,
                    f"there are {t} generations, not five",
                )
            )
    missing = "not measured"
    return Found(
        id, statement, "the article's first table", tuple(instances), missing, "relative change"
    )


def _accelerates(of: RemedyCurves | None) -> Found:
    instances = []
    if of is not None and of.values.shape[-1] > 2:
        for r, lineage in enumerate(of.values[0]):
            steps = np.diff(lineage)
            half = len(steps) // 2
            early, late = float(steps[:half].mean()), float(steps[-half:].mean())
            numbers = f"{signed(early)} per generation at first, {signed(late)} at last"
            instances.append(Instance(f"lineage {r + 1}", numbers, late - early, late > early))
    return Found(
        "accelerates",
        "The divergence from human text grows faster than linearly.",
        "the article's first table",
        tuple(instances),
        "needs three generations",
        "change of the growth per generation",
    )


def _chapters(measured: dict[str, RemedyCurves]) -> Iterator[Chapter]:
    from commensal.llm.reports import plots_remedies as plots

    if not measured:
        return
    names = measured["loss"].remedies
    drawn = plots.llm_remedies({METRICS[n]: c.values for n, c in measured.items()}, names)
    text = "Means over lineages; the grey band are the lineages without remedy."
    yield Chapter("curves", "Over the generations", text, [picture(drawn, "")], [])
    t = _last(measured)
    if not t or len(names) < 2:
        return
    some = {n: c for n, c in measured.items() if n in ("kl", "loss", "word_kl", "distinct_4")}
    drawn = plots.llm_remedies_forest(
        {METRICS[n]: [c.difference(name, t) for name in names[1:]] for n, c in some.items()},
        names[1:],
    )
    text = (
        f"Difference to no remedy at generation {t}, paired by seed, with 95 % intervals; blue "
        "where the interval leaves out zero. A lower divergence is better; distinct-4 rises with "
        "variety and with noise alike."
    )
    yield Chapter("differences", "Against no remedy", text, [picture(drawn, "")], [])
