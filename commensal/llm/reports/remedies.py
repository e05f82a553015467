"""Report of the workflow ``remedies``: effects, costs, and the article's statements on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from commensal.llm.config import RemediesConfig
from commensal.llm.measures.ngrams import amounts
from commensal.llm.reports._contents import Chapter, Contents, grid
from commensal.llm.reports._intervals import Mean, replicates_to_tell
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._says import amount, one_replicate, sign_in_words
from commensal.llm.reports._verdicts import Found, arrow, signed
from commensal.llm.reports.findings_remedies import RemedyCurves, curves, findings_of
from commensal.page import Picture, Table, picture

METRICS = {
    "kl": "KL from the law\n(nats per word)",
    "word_kl": "KL from human words\n(nats per word)",
    "loss": "loss\n(nats per token)",
    "rare_perplexity": "perplexity of rare tokens",
    "distinct_4": "distinct-4",
    "entropy_2": "entropy of 2-grams\n(nats)",
    "distinct_4_count": "different 4-grams",
    "told_from_human": "told from human texts\n(AUC)",
    "told_from_start": "told from generation 0\n(AUC)",
    "step_kl": "KL from the generation\nbefore (nats per token)",
}
# those of the second table and picture
NEWS = ("distinct_4_count", "entropy_2", "told_from_human", "told_from_start", "step_kl")


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
        tables=list(_tables(measured, run)),
        tables_heading="Where each remedy ends",
        tables_text=_explained(measured, run) if measured else "",
        changes=False,
        chapters=list(_chapters(measured)),
        says=list(_says(measured)),
    )


def _explained(measured: dict[str, RemedyCurves], run: Reading[RemediesConfig]) -> str:
    text = (
        f"Means at generation {_last(measured)}; in brackets the difference to no remedy, paired "
        f"by seed, over {run.config.replicates} lineages. The intervals of all comparisons of a "
        "table hold together with 95 % (Student, Bonferroni). Human: share of human texts among "
        "the examples that generations 1 and later trained on. Delay: how many generations later "
        f"the {_name(_collapse(measured))} of a lineage has risen half as far as it does without "
        "remedy; with ≥ some lineages never came so far. "
    )
    if "told_from_human" in measured:
        text += (
            "AUC: how often a classifier (logistic regression on runs of words, cross-validated) "
            "tells which of two texts the model wrote, on "
            f"{run.config.measurement.prompts} prompts; 0.5 is chance. "
        )
    return text + amounts(set(run.metrics["metric"]))


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


def _says(measured: dict[str, RemedyCurves]) -> Iterator[str]:
    """Say which remedy keeps the models closest to human text, and how many can be told."""
    if not measured or not (t := _last(measured)):
        return
    metric = _collapse(measured)
    losses = measured[metric]
    names = losses.remedies[1:]
    found = {name: losses.difference(name, t, len(names)) for name in names}
    known = {name: mean for name, mean in found.items() if math.isfinite(mean.value)}
    if not known:
        return
    best = min(known, key=lambda name: known[name].value)
    mean, none = known[best], losses.at(losses.remedies[0], t)
    if mean.value >= 0:
        yield f"No remedy ends with a lower {_name(metric)} than none ({none.value:.2f})."
    else:
        doubt = sign_in_words(mean, "worse", "beyond noise", "which may be chance")
        yield (
            f"Of {len(names)} remedies {best} keeps the {_name(metric)} lowest: at generation {t} "
            f"it is {amount(mean, -1)} below that without remedy ({none.value:.2f}), {doubt}."
        )
    if losses.values.shape[1] < 2:
        yield one_replicate("which remedies help")
        return
    signs = [found[name].sign for name in names]
    yield (
        f"{signs.count(-1)} of {len(names)} lower it beyond noise, {signs.count(1)} raise it, and "
        f"of {signs.count(0)} that cannot be told."
    )


def _leads(measured: dict[str, RemedyCurves], run: Reading[RemediesConfig]) -> Iterator[str]:
    if not measured or not (t := _last(measured)):
        return
    metric = _collapse(measured)
    losses = measured[metric]
    first, last = losses.at(losses.remedies[0], 0).value, losses.at(losses.remedies[0], t).value
    lineages = losses.values.shape[1]
    yield (
        f"Without remedy the {_name(metric)} goes {arrow(first, last)} ({signed(last - first)}) "
        f"in {t} generations (mean of {lineages} lineages)."
    )
    comparisons = max(len(losses.remedies) - 1, 1)
    found = {n: losses.difference(n, t, comparisons) for n in losses.remedies[1:]}
    for sign, what in ((-1, "lower"), (1, "raise")):
        some = [n for n, mean in found.items() if mean.sign == sign]
        some.sort(key=lambda name: sign * found[name].value, reverse=True)
        if some:
            told = ", ".join(f"{name} ({interval(found[name])})" for name in some)
            yield (
                f"Remedies that {what} it, by intervals that hold together with 95 % over "
                f"{lineages} lineages: {told}."
            )
    same = [n for n in found if not losses.differences(n, t).any()]
    if same:
        yield f"The same as no remedy to the last digit: {', '.join(same)}."
    unclear = [n for n, mean in found.items() if not mean.sign and n not in same]
    if unclear and run.points:
        told = ", ".join(n + _enough(losses, n, t, comparisons) for n in unclear)
        yield f"Not told apart from no remedy by {lineages} lineages: {told}."


def _enough(of: RemedyCurves, name: str, t: int, comparisons: int) -> str:
    """Say how many lineages would tell a remedy from none, if the mean is what it seems."""
    needed = replicates_to_tell(of.differences(name, t), comparisons=comparisons)
    return "" if needed is None else f" (about {needed} would tell)"


def _tables(measured: dict[str, RemedyCurves], run: Reading[RemediesConfig]) -> Iterator[Table]:
    """Yield a table of collapse, and one of the texts."""
    if not measured:
        return
    t, metric = _last(measured), _collapse(measured)
    losses = measured[metric]
    whole = t == losses.values.shape[-1] - 1
    human = run.judged.loc[
        (run.judged["metric"] == "human_examples") & (run.judged["generation"] > 0)
    ]
    shares = human.groupby("remedy")["value"].mean()
    shown = [n for n in (metric, "rare_perplexity", "distinct_4") if n in measured]
    others = max(len(losses.remedies) - 1, 1)
    comparisons = others * (len(shown) + whole)
    rows = []
    for name in losses.remedies:
        cells = [_cell(measured[other], name, t, comparisons) for other in shown]
        delay = _delay(losses, name, comparisons) if whole else "—"
        of_human = f"{shares[name]:.0%}" if name in shares else "—"
        rows.append((name, [(of_human, ""), cells[0], (delay, ""), *cells[1:]]))
    names = [METRICS[name].replace("\n", " ") for name in shown]
    yield grid("", ["human", names[0], "delay", *names[1:]], rows)
    shown = [name for name in NEWS if name in measured]
    comparisons = others * len(shown)
    if "told_from_human" in shown:
        rows = [
            (name, [_cell(measured[other], name, t, comparisons) for other in shown])
            for name in losses.remedies
        ]
        yield grid("", [METRICS[name].replace("\n", " ") for name in shown], rows)


def _cell(found: RemedyCurves, name: str, t: int, comparisons: int) -> tuple[str, str]:
    mean = found.at(name, t).value
    value = f"{mean:.3g}" if math.isfinite(mean) else "\N{EN DASH}"
    if name == found.remedies[0]:
        return value, ""
    return f"{value} ({interval(found.difference(name, t, comparisons))})", ""


def _delay(of: RemedyCurves, name: str, comparisons: int) -> str:
    """Write a delay with its interval, or as a bound where lineages never came so far."""
    delay = of.delay(name, comparisons)
    if math.isnan(delay.mean.value):
        return "—"
    if name == of.remedies[0]:
        return "0"
    if delay.bounds:
        return f"≥ {delay.mean.value:.1f} ({delay.bounds} of {delay.lineages} not so far)"
    return interval(delay.mean)


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
    if not measured or not (t := _last(measured)):
        return []
    return findings_of(
        config,
        t,
        measured[_collapse(measured)],
        measured.get("kl") or measured.get("word_kl"),
        measured.get("rare_perplexity"),
        measured.get("distinct_4"),
        interval,
    )


def _chapters(measured: dict[str, RemedyCurves]) -> Iterator[Chapter]:
    from commensal.llm.reports import plots_remedies as plots

    if not measured:
        return
    names = measured["loss"].remedies

    def drawn(shown: Sequence[str]) -> Picture:
        values = {METRICS[n]: measured[n].values for n in shown}
        return picture(plots.llm_remedies(values, names), "")

    news = [n for n in measured if n in NEWS and n != "entropy_2"]
    text = "Means over lineages; the grey band are the lineages without remedy."
    usual = [n for n in measured if n not in news]
    yield Chapter(
        "curves", "Over the generations", text, [drawn(usual)], [drawn(news)] if news else []
    )
    t = _last(measured)
    if not t or len(names) < 2:
        return
    some = {n: c for n, c in measured.items() if n in ("kl", "loss", "word_kl", "distinct_4")}
    comparisons = len(some) * (len(names) - 1)
    forest = plots.llm_remedies_forest(
        {METRICS[n]: [c.difference(m, t, comparisons) for m in names[1:]] for n, c in some.items()},
        names[1:],
    )
    text = (
        f"Difference to no remedy at generation {t}, paired by seed, over "
        f"{measured['loss'].values.shape[1]} lineages; the intervals of all {comparisons} "
        "comparisons hold together with 95 %. Blue where the interval leaves out zero. A lower "
        "divergence is better; distinct-4 rises with variety and with noise alike."
    )
    yield Chapter("differences", "Against no remedy", text, [picture(forest, "")], [])
