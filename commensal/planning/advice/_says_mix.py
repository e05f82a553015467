"""Answers on the weights of documents: which are best, what they use, who should collect."""

from __future__ import annotations

import numpy as np

from commensal.answers import Answer
from commensal.planning.advice._numbers import Numbers
from commensal.planning.advice._wording import (
    BIASED,
    number,
    or_none,
    percent,
    premises,
    why_not_settled,
)
from commensal.theory import fresh


def best_mix(found: Numbers) -> Answer:
    """Say which weights are best."""
    plan = found.plan
    question = "Which mix is best?"
    known = found.best is not None and not np.isnan(found.best_error)
    if not known:
        why = BIASED if np.isnan(plan.real_error) or found.best else "no mix settles"
        return Answer(
            question=question,
            sentence=f"Best mix: cannot be told, since {why}.",
            name="best_synthetic_share",
            source="`interactive`, Theorem 3",
            flag=why,
        )
    if plan.settings.memory != "replace":
        return _best_in_generation(found)
    weighed = plan.weighing(found.best)  # pyright: ignore[reportArgumentType]
    a, b, phi = weighed.mixed
    parts, w = weighed.parts, weighed.document_weights
    own = w.private or w.public
    said = [f"{percent(parts[2])} of a training batch from what models published"]
    if plan.settings.fresh:
        said.append(f"{percent(parts[3])} newly collected human documents")
    said.append(f"the rest human documents from the start (α = {a:.2f}, β = {b:.2f}{_phi(phi)})")
    if found.best_share and own:
        times = f"such a document of a model then weighs {number(w.synthetic / own)} of a human one"
        said[-1] += f"; {times}"
    sentence = (
        f"Best mix: {', '.join(said)}. In the long run its error is {number(found.best_error)} of "
        f"that on human documents alone; that of the mix in use {or_none(found.errors.settled)}."
    )
    if not plan.settings.synthetic:
        sentence = "Best mix: there is nothing to choose, since nothing is published."
    elif not found.best_share:
        sentence = (
            "Best mix: nothing of what models publish, which adds noise and no information here. "
            f"The error is then {number(found.best_error)} of that on human documents alone; with "
            f"the mix in use it is {or_none(found.errors.settled)} in the long run."
        )
    return Answer(
        question=question,
        sentence=sentence,
        name="best_synthetic_share",
        value=found.best_share,
        source="`interactive`, Theorem 3 and fig. 2, minimised over α, β and φ (numerically)",
        premises=(*premises(found), "the limit of many generations, memory 'replace'"),
        claims=("interactive.thm3", "commensal.isotropic_network", "commensal.own_humans"),
    )


def _best_in_generation(found: Numbers) -> Answer:
    t = found.plan.settings.generations
    return Answer(
        question="Which mix is best?",
        sentence=f"Best mix for generation {t}: {percent(found.best_share)} of a training batch "
        "from what models published, all human documents alike. Its error is then "
        f"{number(found.best_error)} of that on human documents alone; with the mix in use it is "
        f"{or_none(found.error)}.",
        name="best_synthetic_share",
        value=found.best_share,
        source=f"moments with memory (ours), minimised over that share in generation {t}; a local "
        "minimum is all that is promised",
        premises=(
            *premises(found),
            "a batch of generation 1; later ones follow from the memory"
            if found.plan.settings.memory == "accumulate"
            else "a batch of a full window",
        ),
        claims=("commensal.memory_accumulate", "commensal.memory_window"),
    )


def efficiency(found: Numbers, alike: float) -> Answer:
    """Say how much of the human documents' worth is used; ``alike``: every document the same."""
    question = "How much of what all human documents tell is used?"
    source = "`interactive`, sec. 5 and fig. 2: relative efficiency"
    if np.isnan(found.efficiency):
        why = why_not_settled(found)
        return Answer(
            question=question,
            sentence=f"Efficiency in the long run: cannot be told, since {why}.",
            name="efficiency",
            source=source,
            flag=why,
        )
    compared = []
    if not np.isnan(found.best_efficiency):
        compared.append(f"{percent(found.best_efficiency)} with the best mix")
    if found.plan.settings.synthetic_share is not None and not np.isnan(alike):
        compared.append(f"{percent(alike)} if every document counts the same")
    more = f" ({'; '.join(compared)})" if compared else ""
    beyond = " Newly collected documents come on top, so it may pass 100 %."
    return Answer(
        question=question,
        sentence=(
            f"In the long run a model makes {percent(found.efficiency)}{more} of what one party "
            "with all human documents of the start would make of them."
            f"{beyond if found.plan.settings.fresh else ''}"
        ),
        name="efficiency",
        value=found.efficiency,
        source=source,
        premises=premises(found),
        claims=("interactive.efficiency_at_most_one", "commensal.isotropic_network"),
    )


def together(found: Numbers) -> Answer:
    """Say whether collecting human documents is better planned together."""
    s = found.plan.settings
    question = "Is collecting human documents best planned together?"
    source, name = "the tragedy of the web (ours)", "price_of_anarchy"
    claims = ("commensal.tragedy_of_the_web", "commensal.fresh_best_weight")
    why = ""
    if not s.fresh:
        why = "no human documents are newly collected"
    elif not s.synthetic:
        why = "nothing is published"
    elif not found.plan.alike:
        why = "it is known for models that all read all alike"
    if why:
        return Answer(
            question=question,
            sentence=f"Planned together or not: cannot be told, since {why}.",
            name=name,
            source=source,
            claims=claims,
            flag=why,
        )
    kappa = s.fresh / s.synthetic
    effort = fresh.human_effort(s.models, kappa)
    alike = s.human_data == "shared" or s.models == 1
    price = 1.0 if alike else effort.price_of_anarchy
    weight = fresh.best_weight(s.models, kappa, s.human_data)
    sentence = (
        "It makes no difference: what is best for one model is best for all, "
        f"{percent(weight)} human weight in new documents."
        if alike
        else f"Planned together, each gives its new human documents {percent(weight)} of the "
        f"weight of new documents; each for itself only {percent(effort.selfish.weight)}, which "
        f"costs {percent(price - 1)} in error. Pooled human documents would cut the planned error "
        f"to {number(effort.pooled.error / effort.planned.error)} of it."
    )
    return Answer(
        question=question,
        sentence=sentence,
        name=name,
        value=price,
        source=source,
        premises=(
            "new documents alone, without those from the start; one number is estimated",
            "the limit of many generations; collecting costs the same for all",
        ),
        claims=claims,
    )


def _phi(share: float) -> str:
    return f", φ = {share:.2f}" if share else ""
