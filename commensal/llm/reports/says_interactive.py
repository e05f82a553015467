"""Say what a run tells of its web: which model gains from it, at what cost, and what is noise.

The web is what all models wrote. What it does to a model is its loss at α > 0 against its loss at
α = 0 and the same β, where it trained as long on real data alone. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from commensal.llm.reports._intervals import Mean, mean_of
from commensal.llm.reports._says import amount, one_replicate
from commensal.llm.reports.findings_interactive import Ends, Outcomes


class Trade(NamedTuple):
    """Gain of one model from the web at one α and β, and its cost, in nats, by replicate."""

    model: int
    alpha: float
    beta: float
    gain: list[float]
    """Fall of the mean loss on the other models' tasks."""
    cost: list[float]
    """Rise of the loss on its own task."""

    @property
    def where(self) -> str:
        """Model and mix, in words."""
        return f"model {self.model + 1} at α = {self.alpha:g}, β = {self.beta:g}"

    @property
    def finite(self) -> bool:
        """Whether every number is finite."""
        return bool(self.gain) and bool(np.isfinite([*self.gain, *self.cost]).all())


def trades(outcomes: Outcomes) -> tuple[list[Trade], str]:
    """List what every model gains at every α > 0, and say against what.

    Against α = 0 at the same β, wherever the run has it; else against generation 0, which has
    trained less.
    """
    finished = outcomes.points
    mixes = [at for at in finished if at[0] > 0]
    held = [at for at in mixes if (0.0, at[1]) in finished]
    found = []
    for alpha, beta in held or mixes:
        for model, own in enumerate(outcomes.tasks):
            others = [name for name in outcomes.tasks if name != own]
            changes = {
                name: _change(outcomes, alpha, beta, model, name, bool(held))
                for name in (own, *others)
            }
            shared = set.intersection(*(set(each) for each in changes.values()))
            replicates = sorted(shared)
            cost = [changes[own][r] for r in replicates]
            gain = [-np.mean([changes[name][r] for name in others or [own]]) for r in replicates]
            found.append(Trade(model, alpha, beta, [float(g) for g in gain], cost))
    against = "than without the web (α = 0 at the same β)"
    if not held:
        against = "than at generation 0 (the run has no α = 0 to compare with)"
    return found, against


def _change(
    outcomes: Outcomes, alpha: float, beta: float, model: int, name: str, held: bool
) -> dict[int, float]:
    here = outcomes.losses.get((alpha, beta, model, name), {})
    if not held:
        return {r: ends.last - ends.first for r, ends in here.items()}
    there: dict[int, Ends] = outcomes.losses.get((0.0, beta, model, name), {})
    return {r: here[r].last - there[r].last for r in here if r in there}


def says(outcomes: Outcomes, tests: str = "", everything: bool = True) -> Iterator[str]:
    """Yield what the run says about the web, before any finding of the paper.

    Parameters
    ----------
    outcomes : Outcomes
        Of the grid points that are judged.
    tests : str
        Number of test texts in words, if it is known.
    everything : bool
        Whether replicates differ in everything, so that intervals are not of one base alone.
    """
    found, against = trades(outcomes)
    known = [one for one in found if one.finite]
    if not known:
        return
    known.sort(key=lambda one: -float(np.mean(one.gain)))
    alone = len(outcomes.tasks) == 1
    comparisons = len(known) * (1 if alone else 2)
    gains = [mean_of(one.gain, comparisons) for one in known]
    costs = [] if alone else [mean_of(one.cost, comparisons) for one in known]
    yield _most(known[0], gains[0], against, len(outcomes.tasks))
    if costs:
        alone_on_public = " At β = 0 a model without a web learns from public texts alone."
        yield _cost(costs[0]) + alone_on_public * (known[0].beta == 0)
    if len(known) > 1:
        own = f"; its loss on its own task ends {_own(costs[1])}" if costs else ""
        yield f"{_runner_up(known)}{own}."
    if len(known[0].gain) < 2:
        yield one_replicate("how much of these differences is noise")
        return
    if costs:
        yield (
            f"Of {len(known)} cases (a model at an α and β with a web), "
            f"{sum(one.sign > 0 for one in gains)} gain on the others' tasks beyond noise and "
            f"{sum(one.sign < 0 for one in gains)} lose; on their own task "
            f"{sum(one.sign < 0 for one in costs)} gain and {sum(one.sign > 0 for one in costs)} "
            "lose."
        )
    yield _noise([*gains, *costs], len(known[0].gain), tests, everything)


def _most(best: Trade, gain: Mean, against: str, models: int) -> str:
    tasks = "its task" if models == 1 else "the other task"
    tasks = f"the other {models - 1} tasks (their mean)" if models > 2 else tasks
    if gain.value <= 0:
        who = "The model loses by" if models == 1 else "No model gains from"
        return (
            f"{who} the web: it does least harm to {best.where}, where the loss on {tasks} ends "
            f"{amount(gain, -1)} nats higher {against}."
        )
    doubt = ""
    if math.isfinite(gain.half) and not gain.sign:
        doubt = "; the interval holds zero, so that this may be chance"
    return (
        f"{best.where[0].upper()}{best.where[1:]} gains most from the web: its loss on {tasks} "
        f"ends {amount(gain)} nats lower {against}{doubt}."
    )


def _cost(cost: Mean) -> str:
    if not math.isfinite(cost.half):
        way = "higher" if cost.value > 0 else "lower"
        return f"Its loss on its own task ends {abs(cost.value):.2f} nats {way}."
    if cost.sign > 0:
        return f"That costs it {amount(cost)} nats on its own task."
    if cost.sign < 0:
        return f"It costs nothing: the loss on its own task ends {amount(cost, -1)} nats lower too."
    return f"A cost on its own task cannot be told from none ({cost.text()} nats)."


def _runner_up(known: Sequence[Trade]) -> str:
    best, second = known[:2]
    ahead = [a - b for a, b in zip(best.gain, second.gain, strict=True)]
    # the best and the second were chosen by these numbers, of all pairs
    mean = mean_of(ahead, len(known) * (len(known) - 1) // 2)
    told = f"Next is {second.where}, {amount(mean)} nats behind"
    if not math.isfinite(mean.half):
        return told
    if mean.sign > 0:
        return f"{told}: that the first gains more is beyond noise"
    return f"{told}: which of the two gains more cannot be told"


def _own(cost: Mean) -> str:
    if math.isfinite(cost.half) and not cost.sign:
        return f"where no cost can be told from none ({cost.text()} nats)"
    way = "higher" if cost.value > 0 else "lower"
    return f"{amount(cost, 1 if cost.value > 0 else -1)} nats {way}"


def _noise(known: Sequence[Mean], replicates: int, tests: str, everything: bool) -> str:
    halves = np.array([one.half for one in known])
    texts = f", each with {tests}" if tests else ""
    given = "" if everything else " The replicates share one base and its test texts."
    return (
        f"Noise: over {replicates} replicates{texts}, the intervals of these {len(known)} "
        f"differences, which hold together with 95 %, are ± {halves.min():.2f} to "
        f"± {halves.max():.2f} nats, half of them below ± {np.median(halves):.2f}; a smaller "
        f"difference is noise.{given}"
    )
