"""Answers on words, and on what more human documents buy."""

from __future__ import annotations

import numpy as np

from commensal.answers import Answer
from commensal.planning.advice._numbers import Numbers
from commensal.planning.advice._variants import DocumentGain
from commensal.planning.advice._vocabulary import why_unknown
from commensal.planning.advice._wording import BIASED, REPEAT, number, percent, premises


def vocabulary(found: Numbers) -> Answer:
    """Say how many words are left in what generation T publishes."""
    s, words = found.plan.settings, found.words
    question = f"How many words are left after {s.generations} generations?"
    source = "survival of words (ours; Suresh et al., arXiv 2412.17646): exact Poisson limit"
    if words is None:
        why = why_unknown(found.plan)
        return Answer(
            question=question,
            sentence=f"Vocabulary: cannot be told, since {why}.",
            name="vocabulary",
            source=source,
            flag=why,
        )
    spread = 1.96 * words.deviation / words.human
    low, high = max(found.vocabulary - spread, 0.0), min(found.vocabulary + spread, 1.0)
    law = (
        f"the word counts of {s.counts}"
        if s.counts is not None
        else f"Zipf's law of {s.words:,} words, exponent {s.exponent:g}"
    )
    return Answer(
        question=question,
        sentence=(
            f"What generation {s.generations} publishes shows {words.left:,.0f} words, "
            f"{percent(found.vocabulary)} of the {words.human:,.0f} of as much human text; in the "
            f"long run {percent(words.forever / words.human)}. It is the vocabulary of a human "
            f"corpus of {percent(words.worth)} of its size."
        ),
        name="vocabulary",
        value=found.vocabulary,
        low=low,
        high=high,
        source=source,
        premises=(REPEAT, law, f"{s.tokens:,} tokens in a document", "many tokens"),
        checked="runs token by token; the interval takes words as independent, so that it is too "
        "wide rather than too narrow",
        claims=("commensal.words_survival", "commensal.words_exchange"),
    )


def more_documents(found: Numbers, gained: DocumentGain, name: str) -> tuple[Answer, ...]:
    """Say what more human documents change, in the error and in words."""
    s = found.plan.settings
    kind = {
        "real": "from the start",
        "fresh": "newly collected in every generation",
    }[name]
    question = f"What do {s.more:,} more human documents buy, {kind}?"
    start = f"{s.more:,} more human documents of each model, {kind},"
    flag = BIASED if np.isnan(gained.error) else ""
    long = "" if np.isnan(gained.settled) else f", and in the long run by {gained.settled:+.3g}"
    one = Answer(
        question=question,
        sentence=f"What {start} change of the error cannot be told, since {flag}."
        if flag
        else f"{start} change the error in generation {s.generations} by {gained.error:+.3g} of "
        f"that on human documents alone{long}.",
        name=f"more_{name}_error",
        value=gained.error,
        source="difference of two plans, all else as it is; exact",
        premises=premises(found),
        claims=("interactive.thm2_covariance", "commensal.own_humans"),
        flag=flag,
    )
    if found.words is None:
        return (one,)
    per = gained.words / (s.more * s.models)
    two = Answer(
        question=question,
        sentence=f"{start} keep {gained.words:,.0f} more words in what generation {s.generations} "
        f"publishes: {number(per)} for each such document.",
        name=f"more_{name}_words",
        value=gained.words,
        source="difference of two plans, all else as it is; exact in the limit",
        premises=(REPEAT, "many tokens"),
        claims=("commensal.words_exchange",),
    )
    return one, two
