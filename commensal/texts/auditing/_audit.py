"""Audit a corpus against human texts: whether it is narrowing, and how much is not human."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from commensal._words import unspaced_share
from commensal.answers import Answers
from commensal.texts._documents import Columns
from commensal.texts._models import embedder_of, losses
from commensal.texts._sampling import SampledTexts, Source, sample
from commensal.texts.auditing import _audit_answers as said
from commensal.texts.auditing._counts import ComparedTexts, matched
from commensal.texts.auditing._dependence import neighbours
from commensal.texts.auditing._fail_on import alarms, condition
from commensal.texts.auditing._indices import INDICES
from commensal.texts.auditing._measuring import embedded, measure_of
from commensal.texts.auditing._phrases import Profile, phrases, profile_of
from commensal.texts.auditing._resampling import BLOCKS, compared
from commensal.texts.auditing._share import mixed, told_apart
from commensal.texts.auditing._survival import survival

_LEAST = 2 * BLOCKS
"""Pairs of documents without which no interval can be told."""
_GROUPS = BLOCKS
"""Pairs of groups without which none can."""
_MOST = 20_000
"""Documents of the audited corpus that are kept, drawn at random; twice as many human ones."""
_CHARACTERS = 10
"""Characters that are read for each token to compare; words have fewer."""
_UNSPACED = 0.3
"""Share of letters of scripts without spaces from which on characters are the tokens."""
_SAME = 0.9
"""Share of documents that both corpora have, from which on there is nothing to compare."""
Progress = Callable[[float, float], None]


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What :func:`audit` finds.

    Attributes
    ----------
    answers : Answers
        Sentences with their numbers and grounds.
    table : pandas.DataFrame
        Row per index: ``index``, ``compared_with``, ``says``, ``generated``, ``reference``,
        ``difference``, ``low``, ``high`` (simultaneous interval of the difference), ``p``
        (adjusted for all tests of the audit) and ``verdict``: "narrower", "wider", "different" or
        "cannot be told".
    survival : pandas.DataFrame
        Row per class of words by their frequency among humans: how many of them are used; empty
        where the reference has no rare words.
    alarms : tuple of str
        Conditions of ``fail_on`` that are met, each with its number.
    phrases : pandas.DataFrame
        Over-represented phrases, with an example each, where ``samples`` asks for them.
    """

    answers: Answers
    table: pd.DataFrame
    survival: pd.DataFrame
    alarms: tuple[str, ...]
    phrases: pd.DataFrame


def audit(
    generated: Source,
    reference: Source,
    *,
    previous: Source | None = None,
    fail_on: Sequence[str] = (),
    samples: bool = False,
    against: str | Path | None = None,
    model: str | None = None,
    embedder: str | None = None,
    columns: Columns = None,
    group: str | None = None,
    tokens: int = 1_000_000,
    resamples: int = 399,
    level: float = 0.05,
    seed: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """Compare a corpus with human texts: richness, survival of words, and what is not human.

    Parameters
    ----------
    generated : str, Path or sequence of str
        Corpus to audit: what :func:`documents` reads, the folder of a run (what its models wrote
        in the last generation), or the documents themselves.
    reference : str, Path or sequence of str
        Human texts of the same kind. A part of them defines which words are rare.
    previous : str, Path or sequence of str, optional
        Older, known generated texts: the corpus is compared with them too, and the share of texts
        like them is estimated.
    fail_on : sequence of str
        Conditions on values, such as ``"rare_retention<0.9"``; see :func:`conditions`.
    samples : bool
        Whether to show over-represented phrases with an example. Without it no text is copied.
    against : str or Path, optional
        File with the profile of a model or of humans, as slop-forensics writes it; ``FILE:NAME``
        where it has several.
    model : str, optional
        Folder or name of a causal language model, which gives perplexities.
    embedder : str, optional
        Folder or name of a sentence-transformers model; without it embeddings are those of words
        (LSA).
    columns : str or sequence of str, optional
        Column that holds the text, as for :func:`documents`.
    group : str, optional
        What documents of one group share, where documents are parts of larger wholes: a column of
        tables; ``"file"``, for the files of a folder; ``"heading:PATTERN"``, for a .txt (or a
        list) whose parts begin with a paragraph that is like that regular expression. Groups are
        then compared, exchanged and left out as wholes.
    tokens : int
        Largest number of tokens of each sample that is compared.
    resamples : int
        Number of permutations of documents or groups.
    level : float
        Probability that anything is found between corpora of one source.
    seed : int
        Seed of samples and permutations.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    Audit
        Answers, table of indices, and conditions that are met.

    Raises
    ------
    ValueError
        If a source cannot be read, has too few documents, or a condition or setting is wrong.

    Notes
    -----
    Both corpora are compared on as many documents with as many tokens each: documents are matched
    by their length, and cut. The null hypothesis is that documents are exchangeable: that the
    audited ones come from the source of the reference, in subject, style and format. Permutations
    exchange the documents of matched pairs; the largest standardised difference over all indices
    controls the error of all together (Westfall and Young 1993). Intervals are by the jackknife
    over documents. An index is called narrower only where both agree. Documents that depend on
    each other, such as parts of one book, are not exchangeable one by one: then ``group`` says what
    is. Groups of both sides are paired by their sizes, their documents matched within each pair,
    and pairs of groups exchanged. The reference's half that defines rare words has other groups.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> words = np.array([f"w{i}" for i in range(2000)])
    >>> p = 1 / np.arange(1, 2001)
    >>> human = [" ".join(rng.choice(words, 30, p=p / p.sum())) for _ in range(600)]
    >>> poor = [" ".join(rng.choice(words[:100], 30)) for _ in range(200)]
    >>> found = audit(poor, human, resamples=99)
    >>> found.table.set_index("index").verdict["rare_retention"]
    'narrower'
    """
    _check(tokens, resamples, level)
    _check_packages()
    profile = profile_of(against) if against is not None else None
    known = conditions(previous is not None, model is not None, profile is not None)
    limits = [condition(text, known) for text in fail_on]
    rng = np.random.default_rng(seed)
    steps = _Steps(progress, 2 if previous is None else 4)
    how: dict[str, Any] = {"columns": columns, "group": group}
    ours = _sampled(generated, _MOST, rng, steps.next(), "generated", how)
    human = _sampled(reference, 2 * _MOST, rng, steps.next(), "reference", how)
    older = None
    if previous is not None:
        older = _sampled(previous, _MOST, rng, steps.next(), "previous", how)
    _check_overlap(ours, human)
    _check_groups(group, ours, human)
    characters = unspaced_share([*ours.texts[:200], *human.texts[:200]]) > _UNSPACED
    pairs = min(ours.units, human.units // 2)
    room = tokens * (_CHARACTERS if not characters else 1)
    first = ours.part(0, pairs).within(room, _LEAST)
    second = human.part(0, pairs).within(room, _LEAST)
    dictionary = human.part(pairs).within(4 * room, _LEAST).texts
    pool = _pool(first, second, dictionary, tokens, rng, characters, group)
    tests = 2 if older is None else 4
    each = level / tests
    share = told_apart(pool, dictionary, each, rng)
    table = _table(pool, human.name, each, resamples, rng, steps.next(), model, embedder, profile)
    law = survival(pool)
    estimate = None
    if older is not None:
        first, second = ours.within(room, _LEAST), older.within(room, _LEAST)
        before = _pool(first, second, dictionary, tokens, rng, characters, group)
        with_older = _table(
            before, older.name, each, resamples, rng, steps.next(), model, embedder, profile
        )
        table = pd.concat([table.assign(role="reference"), with_older.assign(role="previous")])
        estimate = mixed(pool, older, dictionary, each, rng)
    else:
        table = table.assign(role="reference")
    # every test is one of so many, which share the level
    table["p"] = np.minimum(table["p"] * tests, 1.0)
    facts = said.Facts(
        ours=ours,
        human=human,
        older=older,
        pool=pool,
        table=table.reset_index(drop=True),
        share=share._replace(p=min(share.p * tests, 1.0)),
        law=law,
        estimate=estimate,
        level=level,
        overlap=_overlap(ours, human),
        alike=[] if group else [(kept.name, neighbours(kept)) for kept in (ours, human)],
    )
    settings = {
        "generated": ours.name,
        "reference": human.name,
        "previous": older.name if older else "",
        "against": str(against or ""),
        "model": model or "",
        "embedder": embedder or "words (LSA)",
        "documents read": f"{ours.documents:,} and {human.documents:,}",
        "documents compared": f"{pool.pairs:,} and {pool.pairs:,}",
        "group": group or "",
        "groups compared": f"{int(pool.units[-1]) + 1:,} pairs" if group else "",
        "tokens compared": f"{pool.tokens:,} and {pool.tokens:,}",
        "tokens that say what is rare": f"{pool.dictionary:,}",
        "token": "character" if characters else "word or punctuation mark, lower case",
        "resamples": resamples,
        "level": level,
        "seed": seed,
        "fail on": ", ".join(map(str, limits)),
    }
    given = {name: value for name, value in settings.items() if value != ""}
    answers = said.answers_of(facts, given)
    values = said.values_of(facts, answers)
    return Audit(
        answers=answers,
        table=facts.table,
        survival=law.classes if law else pd.DataFrame(),
        alarms=alarms(limits, values),
        phrases=phrases(ours.texts, human.texts, characters) if samples else pd.DataFrame(),
    )


def conditions(previous: bool = True, model: bool = True, against: bool = True) -> tuple[str, ...]:
    """Return the names that a condition of ``fail_on`` may have, given what is compared.

    Those of indices stand for the value of the audited corpus; a retention is a ratio to human
    texts, 1 where nothing is lost.

    Examples
    --------
    >>> "rare_retention" in conditions(), "perplexity" in conditions(model=False)
    (True, False)
    """
    without = {"perplexity": model, "in_profile": against}
    found = [name for name in INDICES if without.get(name, True)]
    return (*found, *said.NUMBERS, *(said.WITH_PREVIOUS if previous else ()))


class _Steps:
    """Progress over steps of one size."""

    def __init__(self, progress: Progress | None, reads: int) -> None:
        self.progress, self.total, self.at = progress, reads + reads // 2, -1

    def next(self) -> Progress | None:
        if self.progress is None:
            return None
        self.at += 1
        start, progress, total = self.at, self.progress, self.total
        return lambda done, of: progress(start + done / of, total)


def _check(tokens: int, resamples: int, level: float) -> None:
    if not 0 < level < 0.5:
        raise ValueError(f"level must be between 0 and 0.5, got {level:g}")
    if tokens < 1:
        raise ValueError(f"tokens must be at least 1, got {tokens}")
    # the smallest p that permutations can give, times the tests, must be able to reach the level
    if (least := int(np.ceil(4 / level)) - 1) > resamples:
        raise ValueError(f"resamples must be at least {least} at level {level:g}, got {resamples}")


def _check_packages() -> None:
    for package in ("datasketch", "sklearn", "vendi_score"):
        if find_spec(package) is None:
            raise ValueError(f"an audit needs {package}: pip install 'commensal[texts]'")


def _sampled(
    source: Source,
    most: int,
    rng: np.random.Generator,
    progress: Progress | None,
    unnamed: str,
    how: dict[str, Any],
) -> SampledTexts:
    name = None if isinstance(source, str | Path) else unnamed
    return sample(source, most, rng, progress=progress, name=name, **how)


def _check_groups(group: str | None, ours: SampledTexts, human: SampledTexts) -> None:
    if group is None:
        return
    for kept, least in ((ours, _GROUPS), (human, 2 * _GROUPS)):
        if kept.units < least:
            raise ValueError(
                f"{kept.name} has {kept.units} group{'s' * (kept.units != 1)} by {group!r}; an "
                f"audit resamples groups, and needs at least {least}"
            )
    if all(kept.units == len(kept.texts) for kept in (ours, human)):
        raise ValueError(f"no documents of {ours.name} or {human.name} share a group by {group!r}")


def _overlap(ours: SampledTexts, human: SampledTexts) -> float:
    """Estimate the share of audited documents that the reference has too, word by word."""
    theirs = set(human.texts)
    found = sum(text in theirs for text in ours.texts) / len(ours.texts)
    return min(found * human.documents / len(human.texts), 1.0)  # of those drawn, of all


def _check_overlap(ours: SampledTexts, human: SampledTexts) -> None:
    for kept in (ours, human):
        if len(kept.texts) < _LEAST:
            least = _LEAST if kept is ours else 2 * _LEAST
            raise ValueError(
                f"{kept.name} has {kept.documents} document{'s' * (kept.documents != 1)}; an audit "
                f"resamples documents, and needs at least {least}"
            )
    if (share := _overlap(ours, human)) >= _SAME:
        raise ValueError(
            f"{ours.name} and {human.name} are the same texts ({share:.0%} of the documents): "
            "there is nothing to compare; the reference must be other texts"
        )


def _pool(
    ours: SampledTexts,
    other: SampledTexts,
    dictionary: Sequence[str],
    tokens: int,
    rng: np.random.Generator,
    characters: bool,
    group: str | None,
) -> ComparedTexts:
    groups = (ours.groups, other.groups) if group else None
    pool = matched(ours.texts, other.texts, dictionary, tokens, rng, characters, groups)
    least, units = (_GROUPS, "groups") if group else (_LEAST, "documents")
    count = len(np.unique(pool.units))
    if count < least or pool.pairs < _LEAST:
        raise ValueError(
            f"only {count} {units} of {ours.name} and {other.name} can be matched by their "
            f"lengths within {tokens:,} tokens; at least {least} are needed (half of the "
            "reference says what is rare)"
        )
    return pool


def _table(
    pool: ComparedTexts,
    name: str,
    level: float,
    resamples: int,
    rng: np.random.Generator,
    progress: Progress | None,
    model: str | None,
    embedder: str | None,
    profile: Profile | None,
) -> pd.DataFrame:
    """Measure and test all indices of a pool."""
    vectors = embedded(pool)
    if embedder:
        vectors = np.asarray(embedder_of(embedder)[0](pool.texts), np.float64)
    judged = losses(model, pool.texts) if model else None
    counted = profile.counted(pool.texts) if profile else None
    measure = measure_of(pool, vectors, judged, counted)
    everything = np.repeat([True, False], pool.pairs)
    found = measure(everything, ~everything)
    about = [INDICES[index] for index in found]
    distance = np.array([index.distance for index in about])
    result = compared(
        measure,
        pool.units,
        distance,
        level=level,
        resamples=resamples,
        rng=rng,
        progress=progress,
    )
    rows: list[dict[str, Any]] = []
    for at, (index, (ours, theirs)) in enumerate(zip(about, found.values(), strict=True)):
        theirs = float(result.expected[at]) if index.distance else theirs
        difference, half = ours - theirs, float(result.half[at])
        rows.append(
            {
                "index": index.name,
                "compared_with": name,
                "says": index.says,
                "generated": ours,
                "reference": theirs,
                "difference": difference,
                "low": difference - half,
                "high": difference + half,
                "p": float(result.p[at]),
                "verdict": _verdict(difference, half, bool(result.p[at] <= level), index.narrow),
            }
        )
    return pd.DataFrame(rows)


def _verdict(difference: float, half: float, significant: bool, narrow: int) -> str:
    if not significant or not abs(difference) > half:
        return "cannot be told"
    if narrow == 0:
        return "different"
    return "narrower" if difference * narrow > 0 else "wider"
