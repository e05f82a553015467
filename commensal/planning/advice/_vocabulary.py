r"""Words that a plan keeps: models as repeaters of word frequencies.

What models write has the words of what they are fitted to: a token of the next generation's text is
a word of a human document with the share h of these in a training batch, and otherwise a word of
what the last generation wrote. In the Poisson limit of many tokens a word that enters a text once
is missing k generations later with probability :math:`1 - u_k`, :math:`u_0 = 1`,
:math:`u_{k+1} = 1 - e^{-(1-h)u_k}` (claim ``commensal.words_exchange``).

Human documents bring in only the words that they have. A token of a document from the start enters
the first text a times on average and each later one :math:`b_o` times; a newly collected token
enters one text :math:`b_n` times. Each is missing as a Poisson number of copies says, so a word of
frequency p is missing in generation t as if it had not come up in a human corpus of

.. math::
    X_t = R\big(1 - e^{-a u_t - b_o \sum_{k<t} u_k}\big) + F \sum_{k<t} \big(1 - e^{-b_n u_k}\big)

tokens, with R tokens from the start and F newly collected ones in a generation: new here. R(1 -
...) is a sum over documents that one model has, and over those that all have, whose tokens are read
K times. Where word counts were measured the first term is :math:`R(a u_t + b_o \sum_{k<t} u_k)`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from commensal.planning.advice._plan import DocumentPlan
from commensal.theory import words

_WORD = re.compile(r"\w+")
_KEPT = 8  # laws, each of perhaps a million words
_TERMS = 20_000  # generations that are summed one by one; then u is below 1e-4
_LAWS: dict[tuple[object, ...], np.ndarray] = {}


class WordsLeft(NamedTuple):
    """Words in what the models publish together.

    Attributes
    ----------
    human : float
        Expected number of words in as many human tokens.
    left : float
        Expected number of words in what generation T publishes.
    deviation : float
        Standard deviation of that number if words were independent; in simulated runs it is a
        fifth to a quarter smaller, since the number of tokens is fixed.
    forever : float
        Expected number in the limit of many generations.
    worth : float
        Size of the human corpus that shows as many words as generation T, over that of what
        generation T publishes.
    """

    human: float
    left: float
    deviation: float
    forever: float
    worth: float


def why_unknown(plan: DocumentPlan) -> str:
    """Return the reason why there is no closed form for this plan's words; empty if there is."""
    s = plan.settings
    if not s.synthetic:
        return "nothing is published"
    if not plan.alike:
        return "there is no closed form for words on a reading network: simulate words"
    if s.memory == "window":
        return "there is no closed form for words with a window of generations"
    if s.memory == "accumulate":
        return (
            "there is no closed form for words where the share of human documents falls, as the "
            "documents of models pile up"
        )
    return ""


def vocabulary(plan: DocumentPlan) -> WordsLeft | None:
    """Compute the words that are left; None where there is no closed form."""
    if why_unknown(plan):
        return None
    s, law = plan.settings, law_of(plan)
    size = plan.published * s.tokens
    now, forever = corpora(plan)
    human, left, end = (
        float(words.expected_richness(law, tokens, 1)) if tokens >= 1 else 0.0
        for tokens in (size, now, forever)
    )
    lost = np.exp(-law * now)
    return WordsLeft(
        human=human,
        left=left,
        deviation=float(np.sqrt((lost * (1 - lost)).sum())),
        forever=end,
        worth=now / size,
    )


def corpora(plan: DocumentPlan) -> tuple[float, float]:
    """Return sizes X, in tokens, of human corpora with as many words as generation T, and as ∞."""
    s, parts = plan.settings, plan.parts
    start, collected = float(parts[:2].sum()), float(parts[3])
    share = start + collected
    last = max(s.generations, _TERMS)
    u = np.empty(last + 1)
    u[0] = 1.0
    for k in range(last):
        u[k + 1] = -np.expm1((share - 1) * u[k])
    size, human = plan.published * s.tokens, 1.0 * s.real * s.tokens
    owners = s.models if s.human_data == "own" else 1
    new = 1.0 * owners * s.fresh * s.tokens
    copies = collected * size / new if new else 0.0
    arrived = new * np.concatenate([[0.0], np.cumsum(-np.expm1(-copies * u))])
    # beyond the terms that are summed copies of a token are too rare to meet
    rest = max(float(words.exchange_rate(share)) / share - u.sum(), 0.0) if share else 0.0
    ends = (
        (u[s.generations], u[: s.generations].sum(), arrived[s.generations]),
        (0.0, u.sum() + rest, arrived[-1] + new * copies * rest),
    )
    found = []
    for alive, come, added in ends:
        rate = (alive + start * come) * size / human if share else alive * size / human
        if s.counts is not None:
            kept = human * rate
        else:
            own, common = (x * s.tokens for x in (s.models * plan.private, plan.public))
            kept = own * -np.expm1(-rate / s.models) + common * -np.expm1(-rate)
        found.append(float(kept + added))
    return found[0], found[1]


def law_of(plan: DocumentPlan) -> Float[np.ndarray, "V"]:
    """Return the word frequencies of human documents."""
    s = plan.settings
    key = (s.counts,) if s.counts is not None else (s.words, s.exponent)
    if key not in _LAWS:
        made = words.zipf(s.words, s.exponent) if s.counts is None else counted(s.counts)
        while len(_LAWS) >= _KEPT:
            del _LAWS[next(iter(_LAWS))]
        found = np.asarray(made)
        _LAWS[key] = found / found.sum()
    return _LAWS[key]


def counted(path: Path) -> Float[np.ndarray, "V"]:
    """Count the words of texts, or read the counts of a table that has a column ``count``.

    Raises
    ------
    ValueError
        If the file cannot be read, a count is no number above 0, or there is none.
    """
    from commensal.llm.corpora import read_rows
    from commensal.texts import documents

    if path.suffixes[:1] in ([".csv"], [".tsv"]):
        rows = list(read_rows(path))
        if rows and "count" in rows[0][1]:
            return np.array([_number(row["count"], f"{str(path)!r}, {at}") for at, row in rows])
    found = Counter(word for text in documents(path) for word in _WORD.findall(text.lower()))
    if not found:
        raise ValueError(f"{str(path)!r} has no words")
    return np.array(sorted(found.values(), reverse=True), dtype=float)


def _number(value: object, where: str) -> float:
    try:
        found = float(str(value))
    except ValueError:
        found = np.nan
    if not (found > 0 and np.isfinite(found)):
        raise ValueError(f"{where}: count must be a number above 0, got {value!r}")
    return found
