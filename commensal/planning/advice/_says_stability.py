"""Answers on stability: of the weights in use, of any documents, of random systems."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from commensal.answers import Answer
from commensal.planning.advice._numbers import Numbers
from commensal.planning.advice._wording import (
    COVERED,
    KEPT,
    LINEAR,
    SAME,
    number,
    percent,
    premises,
)


def stability(found: Numbers) -> Answer:
    """Say whether errors die out, and by which margin."""
    s = found.plan.settings
    question, name = "Does it settle, or do errors grow?", "margin"
    if s.memory == "accumulate":
        proved = bool(np.allclose(found.plan.network, found.plan.network[0]))
        sentence = (
            "Bounded: if everything is kept, human documents keep their weight and all read the "
            "same, errors stay bounded whatever the documents are."
            if proved
            else "Stable or not cannot be told for a network whose models keep everything."
        )
        why = f"{KEPT}, so there is no rate and no margin"
        return Answer(
            question=question,
            sentence=sentence,
            name=name,
            source="theorem on kept webs (ours)",
            premises=(LINEAR,),
            claims=("commensal.memory_bounded",),
            flag=why,
        )
    if np.isnan(found.radius):
        why = "rounding may change ρ by more than one part in a thousand"
        return Answer(
            question=question,
            sentence=f"Stable or not cannot be told: {why}.",
            name=name,
            source="`interactive`, Theorem 3",
            flag=why,
        )
    margin = 1 - found.radius
    told = (
        f"Stable: a disturbance shrinks to {number(found.radius)} of itself in each generation "
        f"(ρ = {found.radius:.3f}, margin {margin:.3f} to 1)."
        if margin > 1e-9
        else f"Not stable: a disturbance grows {number(found.radius)}-fold in each generation "
        f"(ρ = {found.radius:.3f})."
    )
    if s.memory == "window":
        told += f" Read from {s.window} generations together, it changes more slowly."
    return Answer(
        question=question,
        sentence=told,
        name=name,
        value=margin,
        source="`interactive`, Theorem 3: spectral radius ρ(Q) < 1; exact",
        premises=(*premises(found), SAME),
        claims=("interactive.thm3", "commensal.reduction_spectrum", "commensal.memory_growth"),
    )


def whatever(found: Numbers) -> Answer:
    """Say what the bound is, whatever the documents look like."""
    measured = found.plan.grams is not None
    whose = "their human documents are about" if measured else "documents are about"
    source = "stability bound of these prompts (ours)" if measured else "stability bound (ours)"
    why = KEPT if found.plan.settings.memory == "accumulate" else ""
    if np.isinf(found.bound):
        why = "a model that others read does not read itself, and then there is no bound"
    if why:
        return Answer(
            question="Is it stable whatever documents are about?",
            sentence=f"A bound for all documents: none, since {why}.",
            name="bound",
            source=source,
            claims=("commensal.network_bound",),
            flag=why,
        )
    told = (
        f"a disturbance grows at most {number(found.worst)}-fold in a generation, with any α and "
        "β: some documents make it unstable"
        if found.worst > 1 + 1e-9
        else "no disturbance grows, with any α and β"
    )
    covering = ""
    if found.plan.settings.fresh and not measured:
        covering = ", as long as new human ones cover what models publish"
    return Answer(
        question="Is it stable whatever documents are about?",
        sentence=f"Whatever {whose}{covering}, {told}.",
        name="bound",
        value=found.worst,
        source=source + "; sharp",
        premises=(LINEAR, SAME, *((COVERED,) if found.plan.settings.fresh else ())),
        claims=(
            ("commensal.design_bound", "commensal.network_design")
            if measured
            else ("commensal.stability_bound_models", "commensal.network_bound")
        ),
    )


def safe_human(found: Numbers) -> Answer:
    """Say how many newly collected human documents make every system safe."""
    question, name = "How many human documents make it safe for any data?", "safe_documents"
    source = "safe human share (ours)"
    claims = ("commensal.human_share", "commensal.human_coverage")
    why = KEPT if found.plan.settings.memory == "accumulate" else ""
    if np.isinf(found.safe_documents):
        why = "human documents do not cover what models publish"
        if np.isinf(found.bound):
            why = "the network has no bound"
    if why:
        return Answer(
            question=question,
            sentence=f"Safe number of human documents: none is known, since {why}.",
            name=name,
            source=source,
            claims=claims,
            flag=why,
        )
    sentence = (
        "No newly collected human documents are needed for stability, whatever they are about."
        if found.safe_documents == 0
        else f"From {math.ceil(found.safe_documents):,} newly collected human documents per model "
        f"and generation on ({percent(found.safe_share)} of the weight of new documents) it is "
        f"stable whatever documents are about; the plan has {found.plan.settings.fresh:,}."
    )
    return Answer(
        question=question,
        sentence=sentence,
        name=name,
        value=found.safe_documents,
        source=source,
        premises=(LINEAR, SAME, COVERED),
        claims=claims,
    )


def random_systems(found: xr.Dataset) -> Answer:
    """Say how far stability rests on the assumption that all documents are alike."""
    stable = found["stable"]
    i, j = np.unravel_index(int(stable.values.argmin()), stable.shape)
    low, high = (float(found[name][i, j]) for name in ("low", "high"))
    value, rows = float(stable[i, j]), int(stable["rows"][j])
    growing = float(found["growing"][i, j])
    own = str(stable["prompts"][i]) == "private"
    dim, count = found.attrs["dim"], found.sizes["design"]
    about = "about their own documents" if own else "about something else than their own documents"
    kinds = stable.size
    if value == 1:
        low = float(found["low"].min())
        told = (
            f"All {count} random systems of each of {kinds} kinds are stable with this mix "
            f"(at least {percent(low)} of a kind)."
        )
    else:
        told = (
            f"It rests on what models are asked: of {kinds} kinds of random systems with this mix "
            f"the least stable has {percent(value)} [{percent(low)}, {percent(high)}] stable "
            f"ones, and disturbances grow in {percent(growing)}: prompts {about}, {rows} "
            f"different documents of each kind in {dim} directions."
        )
    return Answer(
        question="What if documents do not cover everything alike?",
        sentence=told,
        name="stable_systems",
        value=value,
        low=low,
        high=high,
        source="`interactive`, Theorem 3, on random systems; Clopper and Pearson's interval, "
        f"together for {kinds} kinds",
        premises=(LINEAR, f"Gaussian features in {dim} directions", SAME),
        claims=("interactive.thm3", "commensal.drift_by_richness"),
    )
