"""Sentences of an audit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from commensal.answers import Answer, Answers
from commensal.texts._sampling import SampledTexts
from commensal.texts.auditing._counts import ComparedTexts
from commensal.texts.auditing._dependence import Neighbours
from commensal.texts.auditing._share import Share
from commensal.texts.auditing._survival import Survival

NUMBERS = (
    "narrower_indices",
    "effective_share",
    "effective_tokens",
    "law_generations",
    "told_apart",
    "generated_share",
    "overlap",
)
"""Names of numbers that an audit has besides its indices."""
WITH_PREVIOUS = ("narrower_than_previous", "share_like_previous")
_POOR_FIT = 0.01


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the sentences say."""

    ours: SampledTexts
    human: SampledTexts
    older: SampledTexts | None
    pool: ComparedTexts
    table: pd.DataFrame
    share: Share
    law: Survival | None
    estimate: tuple[float, float, float] | None
    level: float
    overlap: float
    alike: list[tuple[str, Neighbours]]

    @property
    def units(self) -> str:
        """Name of what is exchanged: documents, or groups of them."""
        return "groups" if self.pool.grouped else "documents"

    @property
    def exchanged(self) -> str:
        """Premise of all tests, and what speaks against it."""
        doubt = ", which their order speaks against" if self.dependent else ""
        return f"{self.units} are exchangeable where both corpora have one source{doubt}"

    @property
    def dependent(self) -> list[tuple[str, Neighbours]]:
        """Sources in which documents are like those that stand next to them."""
        return [(name, found) for name, found in self.alike if found.alike]


def answers_of(facts: Facts, settings: Mapping[str, Any]) -> Answers:
    """Write all answers."""
    found = [_narrowing(facts, "reference"), *_survival(facts), *_share(facts)]
    if facts.older is not None:
        found[1:1] = [_narrowing(facts, "previous")]
        found.append(_like_previous(facts))
    found += [_exchangeable(facts), _overlap(facts)]
    return Answers(
        title=f"Audit of {facts.ours.name}",
        answers=tuple(found),
        settings=settings,
        notes=_notes(facts),
    )


def values_of(facts: Facts, answers: Answers) -> dict[str, tuple[float, str]]:
    """Return each number that a condition may be on, with what is to be said of it."""
    found: dict[str, tuple[float, str]] = {}
    rows: Any = facts.table[facts.table["role"] == "reference"]
    for row in rows.to_dict("records"):
        value, half = float(row["generated"]), float(row["high"] - row["difference"])
        within = "" if math.isnan(half) else f" ± {half:.2g} (reference {row['reference']:.4g})"
        found[str(row["index"])] = value, within if not math.isnan(value) else "not defined here"
    for one in answers:
        if one.name in (*NUMBERS, *WITH_PREVIOUS):
            interval = "" if math.isnan(one.low) else f" ({one.low:.3g} to {one.high:.3g})"
            found[one.name] = float(one.value), one.flag or interval
    share, said = found["effective_share"]
    found["effective_tokens"] = share * facts.pool.tokens, said
    return found


def _narrowing(facts: Facts, role: str) -> Answer:
    table = facts.table[facts.table["role"] == role]
    other = facts.human.name if role == "reference" else facts.older.name if facts.older else ""
    narrow = table[table["verdict"] == "narrower"]
    wide = table[table["verdict"] == "wider"]
    name = "narrower_indices" if role == "reference" else "narrower_than_previous"
    told = len(table)
    if len(narrow):
        sentence = (
            f"Yes: the corpus is narrower than {other} by {len(narrow)} of {told} indices "
            f"({', '.join(narrow['index'])})"
        )
        sentence += (
            f", and wider by {len(wide)} ({', '.join(wide['index'])})." if len(wide) else "."
        )
    elif len(wide):
        sentence = (
            f"No index is narrower than {other}'s, and {len(wide)} of {told} are wider "
            f"({', '.join(wide['index'])})."
        )
    else:
        row = table.set_index("index").loc["rare_retention"]
        half = float(row["high"]) - float(row["difference"])
        seen = (
            "" if math.isnan(half) else f" (a loss of {percent(half)} of rare words would be seen)"
        )
        sentence = f"Whether it is narrower than {other} cannot be told: no index differs{seen}."
    return Answer(
        question=f"Is this corpus narrower than {other}?",
        sentence=sentence,
        name=name,
        value=len(narrow),
        source=f"permutations of {facts.units}, largest difference over all indices "
        "(Westfall and Young 1993)",
        premises=(
            f"{facts.exchanged}; both are compared on {facts.pool.tokens:,} tokens",
            f"anything is found by chance in {percent(facts.level)} of audits at most",
        ),
        checked="random halves of human corpora: `python -m benchmarks.audit`",
    )


def _survival(facts: Facts) -> list[Answer]:
    law, pool = facts.law, facts.pool
    row = facts.table[facts.table["role"] == "reference"].set_index("index").loc["rare_retention"]
    source = "P(a word is used) = 1 - exp(-λ C): Suresh et al., arXiv 2412.17646 (extended, ours)"
    premises = ("rare: at most 4 times in a human sample of that size",)
    found = [
        Answer(
            question="Which share of rare human words is used?",
            sentence=_percent_of(row),
            name="rare_retention",
            value=float(row["generated"]),
            low=1 + float(row["low"]),
            high=1 + float(row["high"]),
            level=1 - facts.level,
            source="counts at equal numbers of tokens; interval for all indices together",
            premises=premises,
        )
        if math.isfinite(row["generated"])
        else _untold("rare_retention", "Which share of rare human words is used?", "no rare words")
    ]
    question = "How large a human corpus has as many words?"
    if law is None:
        why = "the reference has no rare words at this size"
        return [
            *found,
            *(_untold(n, question, why) for n in ("effective_share", "law_generations")),
        ]
    found.append(
        Answer(
            question=question,
            sentence="It shows as many human words as human text of "
            f"{percent(law.share)} of its size ({percent(law.low)} to {percent(law.high)}): "
            f"effectively {law.share * pool.tokens:,.0f} of {pool.tokens:,} tokens.",
            name="effective_share",
            value=law.share,
            low=law.low,
            high=law.high,
            source="rarefaction of the human sample: " + source,
            premises=("words that a human sample of that size has at most 16 times",),
            claims=("commensal.words_survival",),
        )
    )
    times = law.generations
    poor = law.fits < _POOR_FIT
    asked = "How many generations of copying does it look like?"
    if poor:
        found.append(
            _untold(
                "law_generations",
                asked,
                f"the survival law does not describe it (p = {law.fits:.2g}): common and rare "
                "words are lost at other rates than by copying alone",
                source,
            )
        )
    else:
        human = " It cannot be told from human text." if law.high >= 1 else ""
        found.append(
            Answer(
                question=asked,
                sentence=f"By the survival law it looks like generation {times[0]:.1f} "
                f"({times[1]:.1f} to {times[2]:.1f}), human text being generation 1.{human}",
                name="law_generations",
                value=times[0],
                low=times[1],
                high=times[2],
                source=source,
                claims=("commensal.words_survival",),
                premises=(
                    f"each generation was fitted to {pool.tokens:,} tokens of the one before, "
                    "without human text",
                ),
            )
        )
    return found


def _percent_of(row: Any) -> str:
    low, high = 1 + float(row["low"]), 1 + float(row["high"])
    return (
        f"It uses {percent(row['generated'])} as many rare human words as human text does "
        f"({percent(low)} to {percent(high)})."
    )


def _share(facts: Facts) -> list[Answer]:
    share = facts.share
    apart = share.p <= facts.level
    source = (
        f"logistic regression on words and characters, learnt on half of the {facts.units}, "
        "tested on the others"
    )
    return [
        Answer(
            question=f"Can its {facts.units} be told from human ones?",
            sentence=f"{'Yes' if apart else 'It cannot be told'}: a classifier takes the right one "
            f"of two {facts.units} for the audited one in {percent(share.area)} of cases "
            f"(chance: 50 %; p = {share.p:.2g}).",
            name="told_apart",
            value=share.area,
            source=source,
            premises=(facts.exchanged,),
        ),
        Answer(
            question="How much of it looks generated?",
            sentence=f"At least {percent(share.bound)} of its {facts.units} are not from the "
            f"source of {facts.human.name}: generated, or of another subject or kind."
            if share.bound > 0
            else f"No lower bound above 0 % can be told for the share of {facts.units} that are "
            f"not from the source of {facts.human.name}.",
            name="generated_share",
            value=share.bound,
            low=share.bound,
            high=1.0,
            level=1 - facts.level,
            source="mixture bound of Blanchard, Lee and Scott 2010; " + source,
            premises=(
                "the human part of the corpus is of the reference's kind",
                "without known generated texts only a lower bound can be told",
            ),
        ),
    ]


def _like_previous(facts: Facts) -> Answer:
    question = "How much of it is like the previous texts?"
    value, low, high = facts.estimate or (math.nan,) * 3
    if math.isnan(value) or facts.older is None:
        why = "the previous texts are not told from human ones"
        return _untold("share_like_previous", question, why)
    return Answer(
        question=question,
        sentence=f"{percent(value)} of its documents are like those of {facts.older.name} "
        f"({percent(low)} to {percent(high)}), the others like those of {facts.human.name}.",
        name="share_like_previous",
        value=value,
        low=low,
        high=high,
        level=1 - facts.level,
        source="mean scores of a classifier are linear in the share",
        premises=("the corpus is a mixture of these two kinds",),
    )


def _exchangeable(facts: Facts) -> Answer:
    question, pool = "Are its documents independent of each other?", facts.pool
    how: Any = {"question": question, "name": "exchangeable"}
    if pool.grouped:
        count = int(pool.units[-1]) + 1
        return Answer(
            sentence=f"{count:,} pairs of groups are compared and exchanged as wholes; they have "
            f"{pool.pairs:,} pairs of documents.",
            value=count,
            source="counting",
            premises=("groups are independent of each other",),
            **how,
        )
    source = "cosine of TF-IDF of documents that stand next to each other, and of any two"
    if facts.dependent:
        said = " and ".join(
            f"in {name}, documents that stand next to each other are alike ({found.next_to:.3f}; "
            f"any two: {found.any_two:.3f})"
            for name, found in facts.dependent
        )
        why = (
            f"{said}: they may be parts of larger wholes, of which there are fewer; then p and "
            "intervals are too small, and --group says what to compare"
        )
        return Answer(sentence=f"Cannot be told: {why}.", source=source, flag=why, **how)
    most = max((found.next_to - found.any_two for _, found in facts.alike), default=0.0)
    return Answer(
        sentence="Documents that stand next to each other are not more alike than any two.",
        value=most,
        source=source,
        premises=("the files have them in their order; else it says nothing",),
        **how,
    )


def _overlap(facts: Facts) -> Answer:
    return Answer(
        question="Does it contain the reference?",
        sentence=f"{percent(facts.overlap)} of its documents are in {facts.human.name}, "
        "word by word.",
        name="overlap",
        value=facts.overlap,
        source="equal texts",
    )


def percent(share: float | int) -> str:
    """Write a share in per cent.

    Examples
    --------
    >>> percent(0.0512), percent(1)
    ('5.1 %', '100 %')
    """
    return f"{100 * share:.3g} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _untold(name: str, question: str, why: str, source: str = "") -> Answer:
    return Answer(
        question=question, sentence=f"Cannot be told: {why}.", name=name, source=source, flag=why
    )


def _notes(facts: Facts) -> tuple[str, ...]:
    ours, human, pool = facts.ours, facts.human, facts.pool
    found = []
    if any(verdict != "cannot be told" for verdict in facts.table["verdict"]):
        found.append(
            "Human texts differ too: of fewer subjects, or parts of fewer works, a corpus is "
            f"narrower than {human.name} without a model having written it. Nothing here says who "
            "wrote it."
        )
    for kept in (ours, human):
        if kept.documents > len(kept.texts):
            found.append(
                f"Of {kept.name} {len(kept.texts):,} of {kept.documents:,} documents were drawn "
                "at random."
            )
    if pool.pairs < 0.5 * len(ours.texts):
        found.append(
            f"Only {pool.pairs:,} of {len(ours.texts):,} documents are compared, for half of the "
            "reference says which words are rare, and documents are matched by their length: a "
            "longer reference tells more."
        )
    if pool.crossed:
        found.append(
            "Documents of one side are longer: their beginnings are compared with whole documents "
            "of the other, so a part of any difference may be one of beginnings."
        )
    if pool.characters:
        found.append("The script has no spaces between words: characters are the tokens.")
    if facts.overlap > 0.02:
        found.append(
            f"{percent(facts.overlap)} of the documents are in the reference too, which hides "
            "differences."
        )
    return tuple(found)
