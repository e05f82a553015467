"""Registry of the modules that hold claims, in the order in which they are shown."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from commensal._spelling import did_you_mean
from commensal.claims._claim import Claim

MODULES = (
    "interactive.process",
    "interactive.update",
    "interactive.truth",
    "interactive.limit",
    "interactive.stability",
    "interactive.lemma",
    "interactive.behaviour",
    "interactive.efficiency",
    "interactive.tables",
    "pollination.estimators",
    "pollination.tails",
    "pollination.populations",
    "pollination.fingerprints",
    "pollination.influence",
    "pollination.dominance",
    "webdynamics.update",
    "webdynamics.proof",
    "webdynamics.convergence",
    "webdynamics.behaviour",
    "diversity",
    "diversity_results",
    "news",
    "news_mechanisms",
    "ours.regression",
    "ours.stability",
    "ours.networks",
    "ours.networks_spectrum",
    "ours.networks_redrawn",
    "ours.fresh",
    "ours.fresh_ridge",
    "ours.memory",
    "ours.selection",
    "ours.training",
    "ours.losses",
    "ours.gaussian",
    "ours.gaussian_selection",
    "ours.mixture",
    "ours.mixture_course",
    "ours.mixture_overlap",
    "ours.mixture_network",
    "ours.diversity",
    "ours.diversity_proxy",
    "ours.ecosystem_laws",
    "ours.ecosystem_window",
    "ours.words",
    "ours.words_network",
    "ours.words_ngrams",
    "ours.conserved",
)


def collect() -> tuple[Claim, ...]:
    """Return the claims of all modules, in the order in which they are shown."""
    found: dict[str, Claim] = {}
    for name in MODULES:
        module = import_module(f"commensal.claims.{name}")
        for claim in module.known.claims:
            if claim.id in found:
                raise ValueError(f"two claims have the id {claim.id}")
            found[claim.id] = claim
    return tuple(found.values())


@cache
def all_claims() -> tuple[Claim, ...]:
    """Return all claims, paper by paper.

    Examples
    --------
    >>> sorted({claim.kind for claim in all_claims()})
    ['numerical', 'published', 'search', 'statistical', 'symbolic']
    """
    return collect()


def find(name: str) -> Claim:
    """Return the claim whose id is ``name``.

    Raises
    ------
    ValueError
        If no claim has this id; the message names the nearest one.
    """
    known = {claim.id: claim for claim in all_claims()}
    if name in known:
        return known[name]
    hint = did_you_mean(name, known, cutoff=0.3)
    raise ValueError(f"there is no claim {name!r}{hint} (commensal check --list has them all)")
