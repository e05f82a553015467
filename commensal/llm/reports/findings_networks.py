"""What linear theory says of reading networks, judged by a run with several. Needs no torch.

With models that have a task each and complete prompts of their own task, as all of the interactive
workflow do. W is the network, n = K/‖W‖² the number of models that a model effectively reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from commensal.llm.reports._verdicts import Found, Measured, judged
from commensal.llm.reports.findings_interactive import CONSTANT

QUANTITIES = {
    "own": "loss on the model's own task (nats per token)",
    "others": "loss on the others' tasks (nats per token)",
    "public": "loss on the public data (nats per token)",
    "likeness": "likeness of texts on tasks (mean cosine)",
}
"""Quantities that are compared between networks, with their units; each is a mean over models."""

_SAME = 1e-9


class NetworkMix(NamedTuple):
    """The networks of a run at one α and β, in the replicates that have finished all of them."""

    alpha: float
    beta: float
    where: str
    """α and β in words, where a run has several mixes."""
    networks: dict[str, Float[np.ndarray, "K K"]]
    """Finished networks by name, in the order of the settings."""
    courses: dict[str, Float[np.ndarray, "networks replicates time"]]
    """Mean over models of each of ``QUANTITIES`` that was measured."""

    def at(self, quantity: str, network: str, generation: int = -1) -> Float[np.ndarray, "n"]:
        """Return a quantity of each replicate."""
        return self.courses[quantity][list(self.networks).index(network), :, generation]

    def self_share(self, network: str) -> float:
        """Return the mean share of itself that a model reads."""
        return float(np.diag(self.networks[network]).mean())

    def sources(self, network: str) -> float:
        """Return the number of models that a model effectively reads."""
        w = self.networks[network]
        return float(len(w) / (w**2).sum())

    def difference(self, quantity: str, one: str, other: str) -> Measured:
        """Return how much higher a quantity ends with one network than with another."""
        a, b = self.at(quantity, one), self.at(quantity, other)
        digits = 3 if quantity == "likeness" else 2
        ends = f"{a.mean():.{digits}f} against {b.mean():.{digits}f}"
        return Measured(self.place(f"{one} against {other}"), a - b, ends)

    def place(self, networks: str) -> str:
        """Return words for networks at this mix."""
        return ", ".join(filter(None, (networks, self.where)))


def mixes(
    metrics: pd.DataFrame,
    datasets: Sequence[str],
    networks: Mapping[str, Float[np.ndarray, "K K"]],
    generations: int,
) -> list[NetworkMix]:
    """Arrange the measurements of a run with several networks.

    Parameters
    ----------
    metrics : pandas.DataFrame
        What :func:`commensal.llm.metrics` gives for the interactive workflow.
    datasets : sequence of str
        The models' own tasks in the models' order, the public dataset last.
    networks : mapping
        Reading networks (K, K), by the names of the column ``reads``.
    generations : int
        T. Replicates that have not come so far in every network are left out, and a network that
        has come so far in none.

    Returns
    -------
    list of NetworkMix
        Of every α > 0 and β with a web to read, and two networks or more.
    """
    if metrics.empty or "reads" not in metrics:
        return []
    found = []
    for (alpha, beta), part in _quantities(metrics, datasets).groupby(["alpha", "beta"]):  # pyright: ignore[reportGeneralTypeIssues]
        table = part.set_index(["reads", "replicate", "generation"])
        measured = [name for name in QUANTITIES if np.isfinite(part[name].to_numpy(float)).any()]
        ended = part.loc[part["generation"] == generations]
        known = {name: w for name, w in networks.items() if (ended["reads"] == name).any()}
        each = [set(ended.loc[ended["reads"] == name, "replicate"]) for name in known]
        replicates = sorted(set.intersection(*each)) if each else []
        if alpha <= 0 or len(known) < 2 or not replicates:
            continue
        shape = len(known), len(replicates), generations + 1
        at = pd.MultiIndex.from_product([list(known), replicates, range(generations + 1)])
        courses = {
            name: table.reindex(at)[name].to_numpy(float).reshape(shape) for name in measured
        }
        found.append(
            NetworkMix(float(alpha), float(beta), f"α = {alpha:g}, β = {beta:g}", known, courses)
        )
    return found if len(found) > 1 else [mix._replace(where="") for mix in found]


def _quantities(metrics: pd.DataFrame, datasets: Sequence[str]) -> pd.DataFrame:
    """Average over models, tasks and pairs; a number that is not finite makes its mean NaN."""
    *tasks, public = datasets
    pairs = zip(metrics["dataset"], metrics["model"], strict=True)
    own = np.array([name == tasks[model] for name, model in pairs])
    about = metrics["dataset"].isin(tasks)
    loss = metrics["metric"] == "loss"
    parts = {
        "own": loss & own,
        "others": loss & about & ~own,
        "public": loss & (metrics["dataset"] == public),
        "likeness": (metrics["metric"] == "similarity") & about,
    }
    by = ["alpha", "beta", "reads", "replicate", "generation"]
    means = {
        name: metrics.loc[rows].groupby(by)["value"].agg(lambda values: values.mean(skipna=False))
        for name, rows in parts.items()
    }
    return pd.DataFrame(means).reset_index()


def find(found: Sequence[NetworkMix]) -> list[Found]:
    """Return the theory's predictions, each with this run's verdict.

    Parameters
    ----------
    found : sequence of NetworkMix

    Returns
    -------
    list of Found
    """
    low, high = -CONSTANT, CONSTANT
    judged_all = [
        Found(
            "own-self",
            "The more of itself a model reads, the lower the loss on its own task ends.",
            "self share",
            judged(list(_steps(found, "own", NetworkMix.self_share)), high=0),
            "no two finished networks whose models read different shares of themselves",
            "difference",
        ),
        Found(
            "others-read",
            "Models that read others end with a lower loss on the others' tasks than models that "
            "read only themselves.",
            "isolated models",
            judged(list(_against_isolated(found)), high=0),
            "needs the network isolated and another one, finished",
            "difference",
        ),
        Found(
            "likeness-sources",
            "The more models a model effectively reads (n = K/‖W‖²), the more alike they write.",
            "effective sources",
            judged(list(_steps(found, "likeness", NetworkMix.sources)), low=0),
            _without_likeness(found, "no two finished networks with different n"),
            "difference",
        ),
        Found(
            "likeness-others",
            "At the same n, models that read more of others write more alike than models that read "
            "more of themselves.",
            "eigenvalues of W",
            judged(list(_same_sources(found)), low=0),
            _without_likeness(found, "no two finished networks with the same n"),
            "difference",
        ),
        Found(
            "public-same",
            "The loss on the public data ends within 0.1 nats in every two networks.",
            "common data",
            judged(
                [
                    mix.difference("public", *pair)
                    for mix in found
                    for pair in itertools.combinations(mix.networks, 2)
                ],
                low,
                high,
            ),
            "no two finished networks",
            "difference",
        ),
        Found(
            "settled",
            "In the last generation losses on own tasks change by no more than 0.1 nats.",
            "stability",
            judged(list(_last_steps(found)), low, high),
            "no finished network",
            "change",
        ),
    ]
    return [one._replace(stated="predicted") for one in judged_all]


def _steps(
    found: Sequence[NetworkMix], quantity: str, order: Callable[[NetworkMix, str], float]
) -> Iterator[Measured]:
    """Compare networks whose place in an order is next to each other, the higher first."""
    for mix in found:
        if quantity not in mix.courses:
            continue
        ranks = {name: order(mix, name) for name in mix.networks}
        levels: list[list[str]] = []
        for name in sorted(ranks, key=lambda name: -ranks[name]):
            if levels and ranks[levels[-1][0]] - ranks[name] < _SAME:
                levels[-1].append(name)
            else:
                levels.append([name])
        for higher, lower in itertools.pairwise(levels):
            yield from (
                mix.difference(quantity, *pair) for pair in itertools.product(higher, lower)
            )


def _against_isolated(found: Sequence[NetworkMix]) -> Iterator[Measured]:
    for mix in found:
        alone = [name for name in mix.networks if mix.self_share(name) > 1 - _SAME]
        others = [name for name in mix.networks if name not in alone]
        yield from (mix.difference("others", *pair) for pair in itertools.product(others, alone))


def _same_sources(found: Sequence[NetworkMix]) -> Iterator[Measured]:
    for mix in found:
        if "likeness" not in mix.courses:
            continue
        for one, other in itertools.combinations(sorted(mix.networks, key=mix.self_share), 2):
            alike = abs(mix.sources(one) - mix.sources(other)) < _SAME
            if alike and mix.self_share(other) - mix.self_share(one) > _SAME:
                yield mix.difference("likeness", one, other)


def _last_steps(found: Sequence[NetworkMix]) -> Iterator[Measured]:
    for mix in found:
        if mix.courses["own"].shape[-1] < 2:
            continue
        for name in mix.networks:
            before, last = mix.at("own", name, -2), mix.at("own", name)
            text = f"{before.mean():.2f} → {last.mean():.2f}"
            yield Measured(mix.place(name), last - before, text)


def _without_likeness(found: Sequence[NetworkMix], otherwise: str) -> str:
    if found and not any("likeness" in mix.courses for mix in found):
        return "the run has no fixed prompts (measurement.prompts: 0)"
    return otherwise
