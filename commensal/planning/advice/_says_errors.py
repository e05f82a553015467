"""Answers on errors: by generation, in the long run, and what they depend on."""

from __future__ import annotations

import numpy as np
import xarray as xr

from commensal.answers import Answer
from commensal.planning.advice._numbers import Numbers
from commensal.planning.advice._variants import OUTCOMES
from commensal.planning.advice._wording import BIASED, SAME, number, premises, why_not_settled


def error(found: Numbers) -> Answer:
    """Say what the error is in generation T."""
    t, s = found.plan.settings.generations, found.plan.settings
    question = f"How large is the error in generation {t}?"
    source = "`interactive`, Theorem 2 as corrected, exact; scatter of one model's squared error"
    if s.memory != "replace":
        source = "moments with memory (ours), exact; scatter of one model's squared error"
    if np.isnan(found.error):
        why = BIASED
        return Answer(
            question=question,
            sentence=f"The error in generation {t} cannot be told, since {why}.",
            name="error",
            source=source,
            flag=why,
        )
    low, high = float(found.errors.low[t]), float(found.errors.high[t])
    course = found.errors.mean[: t + 1].round(9)  # so that rounding is not the least
    best, worst = int(np.argmin(course)), int(np.argmax(course))
    path = ""
    if 0 < best < t:
        path += f"; it is least, {number(course[best])}, in generation {best}"
    if 0 < worst < t:
        path += f"; it is largest, {number(course[worst])}, in generation {worst}"
    return Answer(
        question=question,
        sentence=(
            f"In generation {t} the expected error is {number(found.error)} of that on human "
            f"documents alone{path}. That of one model lies between "
            f"{number(low)} and {number(high)} with probability 95 %."
        ),
        name="error",
        value=found.error,
        low=low,
        high=high,
        source=source,
        premises=(*premises(found), "the same truth for all; Gaussian noise"),
        claims=("interactive.thm2_covariance", "interactive.thm2_mean", "commensal.memory_window"),
    )


def settled_error(found: Numbers) -> Answer:
    """Say what the error ends at."""
    question, value = "And in the long run?", found.errors.settled
    if np.isnan(value):
        why = why_not_settled(found)
        return Answer(
            question=question,
            sentence=f"The error in the long run cannot be told, since {why}.",
            name="settled_error",
            source="`interactive`, Theorem 3",
            flag=why,
        )
    return Answer(
        question=question,
        sentence=f"In the long run the expected error settles at {number(value)} of that on human "
        "documents alone.",
        name="settled_error",
        value=value,
        source="`interactive`, Theorem 3; exact"
        if found.plan.settings.memory == "replace"
        else "limits with memory (ours); exact",
        premises=(*premises(found), SAME),
        claims=("interactive.thm3", "commensal.memory_accumulate", "commensal.memory_window"),
    )


def until(found: Numbers) -> Answer:
    """Say when a named error is reached."""
    level, t = found.plan.settings.until, found.until
    question = f"When is the error {level:g} of that on human documents alone?"
    source = "`interactive`, Theorem 2 as corrected: first generation of that expected error; exact"
    claims = ("interactive.thm2_covariance", "commensal.memory_accumulate")
    if np.isfinite(t):
        return Answer(
            question=question,
            sentence=f"An expected error of {level:g} of that on human documents alone is reached "
            f"in generation {t:.0f}.",
            name="generations_until",
            value=t,
            source=source,
            premises=premises(found),
            claims=claims,
        )
    why = BIASED if np.isnan(found.errors.mean).any() else ""
    if np.isinf(t):
        why = f"it is never reached: the error settles at {number(found.errors.settled)}"
    why = why or f"it is not reached in {len(found.errors.mean) - 1} generations"
    return Answer(
        question=question,
        sentence=f"An error of {level:g} of that on human documents alone: {why}.",
        name="generations_until",
        source=source,
        premises=premises(found),
        claims=claims,
        flag=why,
    )


def distance(found: Numbers, value: float) -> Answer:
    """Say how far the models are apart in generation T."""
    s = found.plan.settings
    question = "How alike do the models become?"
    source = "consensus distance (ours) of the matrices of `interactive`, Theorem 1; exact"
    if np.isnan(value):
        why = "there is one model"
        if s.models > 1:
            why = "the distance is known for memory 'replace' alone"
        return Answer(
            question=question,
            sentence=f"How alike models become cannot be told, since {why}.",
            name="distance",
            source=source,
            flag=why,
        )
    return Answer(
        question=question,
        sentence=f"In generation {s.generations} the models' mean answers are {number(value)} "
        "apart, where 0 is all alike and 1 nothing in common.",
        name="distance",
        value=value,
        source=source,
        premises=premises(found),
        claims=("interactive.homogenization", "interactive.thm1_mean"),
    )


def most_sensitive(found: xr.Dataset, outcome: str = "error") -> Answer:
    """Say which input an outcome depends on most."""
    base = float(found["base"].sel(outcome=outcome))
    question = "Which input matters most?"
    moved = np.abs(found[outcome].values - base).max(axis=1)
    source = "the plan again with each input 10 %, 0.1 or 1 lower and higher, all others as given"
    if np.isnan(base) or np.isnan(moved).all():
        return Answer(
            question=question,
            sentence="Which input matters most cannot be told: the error itself cannot.",
            name="most_sensitive",
            source=source,
            flag="the error cannot be told",
        )
    at = int(np.nanargmax(moved))
    low, high = found[outcome].values[at]
    start, end = found["value"].values[at]
    name = str(found["input"].values[at]).replace("_", " ")
    what = OUTCOMES[outcome].replace("generation T", "the last generation")
    return Answer(
        question=question,
        sentence=f"The {what} depends most on {name}: {number(low)} at {start:,g} "
        f"and {number(high)} at {end:,g}, for {number(base)}.",
        name="most_sensitive",
        value=float(np.nanmax(moved)),
        source=source,
        checked="every input is in the table of sensitivities",
    )
