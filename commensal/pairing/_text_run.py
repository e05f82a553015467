"""Plain-text report of the pairing with a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from commensal.pairing._agreement import CONSTANT, AgreementScore
from commensal.pairing._curves import RunSystem
from commensal.pairing._judge_run import (
    Losses,
    Predictions,
    RunScores,
    change_of,
    wrong_directions,
)
from commensal.pairing._text import verdicts

_SAID = {
    "finite": "finite training",
    "minimiser": "minimiser",
    "no_change": "no change",
    "mean": "mean over grid points",
    "table_of_means": "table of means",
    "rule": "rule of thumb",
    "line": "straight line",
}
_SIGNS = {"alpha": "α", "beta": "β", "networks": "network"}
_LAWS = {"squared": "a + b × error", "mixture": "a - log(share + (1 - share) exp(-b)) + noise"}


def title_of(name: str) -> str:
    """Return the display name of a prediction.

    Examples
    --------
    >>> title_of("finite_offsets_held_out")
    'finite training, a per dataset'
    """
    base = name.removesuffix("_held_out")
    per_dataset = base.endswith("_offsets")
    return _SAID[base.removesuffix("_offsets")] + ", a per dataset" * per_dataset


def describe_run(
    system: RunSystem,
    losses: Losses,
    found: Predictions,
    scores: Sequence[RunScores],
    together: pd.DataFrame,
    datasets: tuple[str, ...],
    *,
    loss: str = "squared",
) -> str:
    """Write a report in plain text: scalars, scores, which theory leads, and where it is wrong."""
    lines = [*_remembered(system), *_humans(system), *_fitted(found, datasets, loss), ""]
    lines += _scores(scores, found.left_out)
    lines += ["", *_together(together, found)]
    lines += ["", *_failures(system, losses, found, datasets)]
    return "\n".join(lines) + "\n"


def _remembered(system: RunSystem) -> Iterator[str]:
    if system.memory == "replace":
        return
    which = "all generations" if system.window is None else f"the last {system.window} generations"
    share = "each with weight α" if system.memory == "accumulate" else "with weight α together"
    yield f"Memory of the web, in the run and in the theory: {which}, {share}."
    yield ""


def _humans(system: RunSystem) -> Iterator[str]:
    if system.human_tasks is None:
        return
    yield f"Human texts, in the run and in the theory: {system.human_share:.0%} of the new data,"
    if system.human_texts == "seen":
        yield "drawn from the private texts of all models, by their numbers; they bring no noise of"
        yield "their own. Where the run is not the theory: it draws them at random, anew each time."
    else:
        yield "about all tasks alike, new in each generation and other ones for each model."
        yield "Where the run is not the theory of fresh human data: each task has a truth of its"
        yield "own, and the texts are that share × α of what a model draws; both are counted in."
        if system.memory != "replace":
            yield "They are kept as long as what models wrote then. That models draw at random from"
            yield "what is kept is left out."
    yield ""


def _fitted(found: Predictions, datasets: tuple[str, ...], loss: str) -> Iterator[str]:
    yield "Fitted to all losses of the run (everything else comes from texts and settings):"
    for name, fit in found.fits.items():
        x = fit.scalars
        numbers = [f"tau = {x.training:.3g}", f"tau_0 = {x.initial_training:.3g}"]
        numbers = [*(numbers if np.isfinite(x.training) else []), f"noise = {x.noise:.3g}"]
        numbers.append(f"b = {x.loss_per_error:.3g}")
        if len(x.offset) == 1:
            numbers.append(f"a = {x.offset[0]:.3g}")
        else:
            each = ", ".join(f"{d} {a:.3g}" for d, a in zip(datasets, x.offset, strict=True))
            numbers.append(f"a = {each}")
        count = len(numbers) - 1 + len(x.offset)
        yield f"  {title_of(name):32} {count} scalars: {', '.join(numbers)}"
    yield f"  loss = {_LAWS[loss]}, in nats per token; tau in units of 1/G, where G is about 1"


def _scores(scores: Sequence[RunScores], left_out: str | None) -> Iterator[str]:
    yield (
        "Agreement [95 % bootstrap: drawn are cells (a model on a dataset), or grid points for the "
        "second rank]:"
    )
    yield (
        f"  {'':32} {'rank, points':20} {'rank, cells':20} {'sign':20} "
        f"{'R2 of changes':20} R2 of losses"
    )
    groups = [("fitted to all grid points", "")]
    if left_out is not None:
        sign = _SIGNS[left_out]
        groups.append((f"held out: each {sign} predicted by a fit to the others", "_held_out"))
    for heading, ending in groups:
        yield f" {heading}"
        for one in scores:
            if one.name.endswith("_held_out") == bool(ending):
                p = one.cells.prediction
                rank = one.points.prediction.rank_correlation
                shown = (p.rank_correlation, rank, p.sign, p.r_squared, one.losses)
                row = " ".join(f"{_shown(score):20}" for score in shown)
                yield f"  {title_of(one.name):32} {row}".rstrip()
    yield f"  a change of at most {CONSTANT:g} nats is none; R2 of changes: against no change"
    yield "  table of means: by own, another's, public; rule: of tasks alone, with three mean sizes"
    if left_out is not None:
        so_do = " (so do table and rule, which know no network)" * (left_out == "networks")
        yield (
            "  held out, the mean is that of the other grid points, which ranks in reverse"
            f"{so_do}; all fits see t = 0"
        )


def _together(together: pd.DataFrame, found: Predictions) -> Iterator[str]:
    sign = _SIGNS.get(found.left_out or "", "")
    scopes = {
        "fitted": "fitted to all",
        "between": f"held out, {sign} between those fitted to (the table of means interpolates)",
        "beyond": f"held out, {sign} beyond those fitted to (the table takes its nearest)",
        "elsewhere": "held out, another network",
        "later": f"change after t = {found.half}, fitted to t <= {found.half}",
    }
    yield "Finite training beside others (finite / other, mean over cells; lead [95 %]):"
    for scope, part in together.groupby("scope", sort=False):
        yield f"  {scopes[str(scope)]}"
        for row in part.to_dict("records"):
            interval = f"{row['lead']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
            interval = interval.replace("[+nan, +nan]", "")
            scores = f"{row['theory']:.2f} / {row['other']:.2f}"
            name = title_of(row["baseline"])
            yield f"    {row['measure']:11} {name:16} {scores:14} {interval:23} {row['verdict']}"
    yield from (f"  {line}" for line in verdicts(together)[:2])


def _failures(
    system: RunSystem, losses: Losses, found: Predictions, datasets: tuple[str, ...]
) -> Iterator[str]:
    ending = "" if found.left_out is None else "_held_out"
    told = found.losses[f"finite{ending}"]
    wrong = wrong_directions(losses, told)
    change, said = change_of(losses), change_of(told)
    kind = "held out" if ending else "fitted"
    yield f"Where linear theory is wrong (finite training, {kind}):"
    places = [(f"α = {alpha:g}", system.alpha == alpha) for alpha in np.unique(system.alpha)]
    if system.networks:
        names = np.array(system.networks)
        places = [(name, names == name) for name in dict.fromkeys(system.networks)]
    for name, here in places:
        bias = float((said - change)[here].mean())
        side = "too high" if bias >= 0.005 else "too low" if bias <= -0.005 else "off"
        yield (
            f"  {name}: {int(wrong[here].sum())} of {wrong[here].size} directions wrong; "
            f"changes are predicted {abs(bias):.2f} nats {side} in "
            f"the mean, off by {_rms((said - change)[here]):.2f} (root mean square; they are "
            f"{_rms(change[here]):.2f})"
        )
    yield from _roles(wrong, change, said)
    yield from _still(system, losses, found)
    order = np.argsort(-np.abs(said - change), axis=None, kind="stable")[:5]
    yield "  Farthest off (observed, predicted change):"
    for s, k, m in zip(*np.unravel_index(order, change.shape), strict=True):
        network = f", {system.networks[s]}" if system.networks else ""
        yield (
            f"    model {k + 1} on {datasets[m]}, α = {system.alpha[s]:g}, "
            f"β = {system.beta[s]:g}{network}: {change[s, k, m]:+.2f} {said[s, k, m]:+.2f}"
        )


def _roles(wrong: np.ndarray, change: np.ndarray, said: np.ndarray) -> Iterator[str]:
    models, datasets = change.shape[1:]
    own = np.eye(models, datasets, dtype=bool)
    public = np.arange(datasets) == datasets - 1
    roles = {"own tasks": own, "others' tasks": ~own & ~public, "the public data": ~own & public}
    shares = [
        f"{int(wrong[:, role].sum())} of {wrong[:, role].size} on {name} "
        f"(off by {_rms((said - change)[:, role]):.2f})"
        for name, role in roles.items()
        if role.any()
    ]
    yield f"  Wrong directions: {', '.join(shares)}."


def _still(system: RunSystem, losses: Losses, found: Predictions) -> Iterator[str]:
    """Report on α = 0 with β as at the start, where the minimiser has nothing left to do."""
    here = (system.alpha == 0) & (system.beta == system.initial_beta)
    if not here.any():
        return
    yield (
        "  α = 0 and β as at the start: the minimiser says that nothing changes; the losses "
        f"change by {_rms(change_of(losses)[here]):.2f} (root mean square), finite training says "
        f"{_rms(change_of(found.losses['finite'])[here]):.2f}."
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def _shown(score: AgreementScore) -> str:
    if np.isnan(score.value):
        return "-"
    return f"{score.value:.2f} [{score.interval[0]:.2f}, {score.interval[1]:.2f}]"
