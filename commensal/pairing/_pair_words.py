"""Pairing of the law of surviving words with a lineage of language models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import least_squares

from commensal._words import counted, words_of
from commensal.llm.config import RemediesConfig
from commensal.llm.config._remedies import Remedy
from commensal.llm.corpora import load
from commensal.llm.records.directory import RunDirectory
from commensal.llm.records.results import config_of
from commensal.llm.reports._intervals import Mean, mean_of
from commensal.pairing._retention import CLASSES, Yardstick
from commensal.theory.words import rare_retention

_LENGTHS = (1, 2, 3)  # of the runs of words that are compared
_SIZES = (1, 3, 10)  # the largest sample over each of the others


class WordsLaw(NamedTuple):
    """Law of rare words fitted to one replicate of the lineage without a remedy."""

    tokens: float
    """Effective number of tokens n; infinite where samples of it show no luck."""
    copies: float
    """Mean number of copies a of a rare word's token; 1 where it was not fitted."""
    error: float
    """Root mean square error of ln R."""

    def at(
        self, sample: float | int, generations: Sequence[int], remedy: Remedy
    ) -> Float[np.ndarray, " t"]:
        """Return the retention in samples of so many tokens; NaN where the law is silent."""
        t = np.asarray(generations)
        if not covered(remedy) or math.isnan(self.tokens):
            return np.full(t.shape, np.nan)
        r = max(sample / self.tokens, 1e-9)
        # the human texts that generation 0 learns from are kept too
        kept = int(remedy.memory != "replace")
        given = remedy.human_share, remedy.memory, self.copies, kept
        return np.asarray(rare_retention(t, r, *given), np.float64)


def covered(remedy: Remedy) -> bool:
    """Return whether the law says what a remedy does: a human share, or a memory, all the time."""
    return remedy.model_copy(update={"human_share": 0.0, "memory": "replace"}).nothing and (
        remedy.since == remedy.every == 1 and remedy.until is None
    )


class WordsPairing(NamedTuple):
    """Retention of rare words in a run, and the law fitted to it."""

    table: pd.DataFrame
    """A row per ``remedy``, ``replicate``, ``words`` (length of a run of words), ``sample`` (in
    tokens), ``generation`` and ``count`` (least count of the class): ``retention`` R, and
    ``relative``, R over that of generation 0."""
    chance: list[WordsLaw]
    """Law with one effective n alone, by replicate."""
    laws: list[WordsLaw]
    """Law with one effective n and one number of copies, by replicate."""
    curves: pd.DataFrame
    """Geometric mean of ``relative`` over the classes of single words that are known of a replicate
    throughout, by ``remedy``, ``sample``, ``replicate`` and ``generation``, beside the ``law`` and
    ``chance`` alone of the replicate."""
    text: str


def pair_words(
    folder: str | Path, *, progress: Callable[[float, float], None] | None = None
) -> WordsPairing:
    """Lay the law of surviving words over a run of the workflow ``remedies``.

    Parameters
    ----------
    folder : str or Path
        The run's, with its samples; the files of its corpora must still be there.
    progress : callable, optional
        Called with how much is done, and how much there is.

    Returns
    -------
    WordsPairing

    Raises
    ------
    ValueError
        If it is no such run, is not finished, or its texts are too short to compare.

    Notes
    -----
    The retention R of a class of words is the size of the human text that shows as many of them as
    a sample of the model's, over the size of that sample; classes are by counts in half of the
    human texts, and what a human text of some size shows is read off the other half. All is
    relative to generation 0, which learns from human texts alone. The law is
    :func:`commensal.theory.words.rare_retention`; it is fitted to the lineage without a remedy, in
    ln R, single words and all classes alike that are known throughout a replicate, and predicts
    the others with nothing fitted.
    """
    config = config_of(folder, RemediesConfig)
    directory = RunDirectory(Path(folder))
    last = config.generations - 1  # the last generation that writes what is read
    if last < 2:
        raise ValueError(f"{str(folder)!r} has {config.generations} generations; words need 3")
    texts = [e.completion for e in _all(config)]
    written = {}
    points = config.grid()
    for at, point in enumerate(points):
        for t in range(last + 1):
            branch = directory.branch(point.name if t else point.start)
            if not branch.finished(t):
                raise ValueError(f"{str(folder)!r} is not finished; commensal llm resume {folder}")
            own = [s["completion"] for s in branch.samples(t) if s["kind"] == "web"]
            for n in _LENGTHS:
                written[point.name, t, n] = counted(own, n, words_of)
        if progress is not None:
            progress(at + 1, 2 * len(points))
    largest = {n: min(c.total() for (_, _, m), c in written.items() if m == n) for n in _LENGTHS}
    if largest[1] < 100:
        raise ValueError(f"{str(folder)!r}: texts of under 100 words cannot be compared")
    rows = []
    for at, point in enumerate(points):
        order = np.random.default_rng([config.seed, point.replicate]).permutation(len(texts))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        for n in _LENGTHS:
            human, judge = (counted((texts[i] for i in half), n, words_of) for half in halves)
            yardstick = Yardstick(human, judge)
            sizes = [max(largest[n] // part, 1) for part in _SIZES]
            by_time = np.stack(
                [yardstick.retention(written[point.name, t, n], sizes) for t in range(last + 1)]
            )
            where = {**point.coordinates, "words": n}
            rows += [
                where
                | {"sample": size, "generation": t, "count": low}
                | {"retention": by_time[t, s, c], "relative": by_time[t, s, c] / by_time[0, s, c]}
                for s, size in enumerate(sizes)
                for t in range(last + 1)
                for c, (low, _) in enumerate(CLASSES)
            ]
        if progress is not None:
            progress(len(points) + at + 1, 2 * len(points))
    table = pd.DataFrame(rows)
    table["replicate"] = table["replicate"].astype(int)
    nothing = next(remedy for remedy in config.remedies if remedy.nothing)
    own = _comparable(table.loc[table["words"] == 1])
    if own.empty:
        raise ValueError(
            f"{str(folder)!r}: its texts show too few rare words to compare; more of them do "
            "(sampling.count)"
        )
    own = own.loc[own["remedy"] == nothing.name]
    parts = [part for _, part in own.groupby("replicate")]
    greatest = own["sample"].max()
    chance = [_fit(part.loc[part["sample"] == greatest], nothing, False) for part in parts]
    laws = [_fit(part, nothing, True) for part in parts]
    found = WordsPairing(table, chance, laws, _curves(table, config, chance, laws), "")
    return found._replace(text="\n".join(_sentences(found, config, nothing)) + "\n")


def _curves(
    table: pd.DataFrame, config: RemediesConfig, chance: list[WordsLaw], laws: list[WordsLaw]
) -> pd.DataFrame:
    words = _comparable(table.loc[table["words"] == 1])
    keys = ["remedy", "sample", "replicate", "generation"]
    logs: Any = pd.Series(np.log(words["relative"]), words.index)
    logs = logs.groupby([words[key] for key in keys], sort=False).mean()
    found = np.exp(logs).rename("relative").reset_index()
    known = {remedy.name: remedy for remedy in config.remedies}
    for name, fitted in (("law", laws), ("chance", chance)):
        found[name] = [
            fitted[row.replicate].at(row.sample, [row.generation], known[row.remedy])[0]  # pyright: ignore
            for row in found.itertuples()
        ]
    return found


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out the classes of a replicate that cannot be told somewhere in it.

    What is compared over remedies, sizes and generations is then the mean of the same classes.
    """
    told: Any = rows["relative"].notna()
    return rows.loc[told.groupby([rows["replicate"], rows["count"]]).transform("all")]


def _all(config: RemediesConfig) -> list:
    corpus = load(config.tasks[0], config.seed)
    return [*corpus.train, *corpus.test]


def _curve(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over classes of ln R relative to generation 0, by sample and generation."""
    rows = rows.loc[rows["generation"] > 0]
    logs: Any = pd.Series(np.log(rows["relative"]), rows.index)
    logs = logs.groupby([rows["sample"], rows["generation"]]).mean()
    return logs.rename("log").reset_index()


def _fit(rows: pd.DataFrame, nothing: Remedy, with_copies: bool) -> WordsLaw:
    curve = _curve(rows)
    times = curve["generation"].to_numpy()
    sizes, logs = curve["sample"].to_numpy(float), curve["log"].to_numpy()
    known = np.isfinite(logs)
    if not known.any():
        return WordsLaw(math.nan, math.nan, math.nan)
    usual = sizes.max()

    def off(x: Float[np.ndarray, " p"]) -> Float[np.ndarray, " n"]:
        copies = np.exp(x[1]) if with_copies else 1.0
        r = sizes[known] / (usual * np.exp(x[0]))
        law = rare_retention(times[known], r, 0.0, nothing.memory, copies)
        return np.log(np.asarray(law)) - logs[known]

    start, low, high = [1.0, -0.05], [-5.0, -3.0], [12.0, 1.0]
    length = 1 + with_copies
    done = least_squares(off, start[:length], bounds=(low[:length], high[:length]))
    tokens = usual * math.exp(done.x[0])
    copies = math.exp(done.x[1]) if with_copies else 1.0
    return WordsLaw(tokens, copies, float(np.sqrt(np.mean(done.fun**2))))


def ends(found: WordsPairing, remedy: str, column: str = "relative", part: int = 0) -> list[float]:
    """Return a column of the curves in the last generation, by replicate.

    Parameters
    ----------
    found : WordsPairing
    remedy : str
        Name of the remedy.
    column : {"relative", "law", "chance"}
    part : int
        Place of the sample's size, from the largest.
    """
    rows = found.curves.loc[found.curves["remedy"] == remedy]
    size = sorted(rows["sample"].unique(), reverse=True)[part]
    last = (rows["sample"] == size) & (rows["generation"] == rows["generation"].max())
    return rows.loc[last].sort_values("replicate")[column].tolist()


def _runs_of_words(found: WordsPairing, remedy: str, length: int) -> list[float]:
    """Return what is left in the last generation of runs of words, as :func:`ends` of words."""
    rows = found.table.loc[found.table["words"] == length]
    rows = _comparable(rows.loc[rows["sample"] == rows["sample"].max()])
    last = (rows["remedy"] == remedy) & (rows["generation"] == rows["generation"].max())
    rows = rows.loc[last]
    return np.exp(np.log(rows["relative"]).groupby(rows["replicate"]).mean()).tolist()


def _between_classes(found: WordsPairing, remedy: str) -> list[float]:
    """Return what is left of the most frequent class over what is left of the rarest, at last."""
    rows = found.table.loc[(found.table["remedy"] == remedy) & (found.table["words"] == 1)]
    rows = rows.loc[rows["sample"] == rows["sample"].max()]
    rows = rows.loc[rows["generation"] == rows["generation"].max()]
    by_class = rows.pivot(index="replicate", columns="count", values="relative")
    return (by_class[CLASSES[-1][0]] / by_class[CLASSES[0][0]]).tolist()


def _sentences(found: WordsPairing, config: RemediesConfig, nothing: Remedy) -> list[str]:
    words = found.table.loc[found.table["words"] == 1]
    last = int(words["generation"].max())
    great, small = words["sample"].max(), words["sample"].min()
    start = words.loc[(words["generation"] == 0) & (words["sample"] == great)]
    first = start.groupby("replicate")["retention"].mean().to_numpy()
    others = [one for one in config.remedies if covered(one) and not one.nothing]
    # every interval that is written below: four of each remedy, two of each that the law is about
    comparisons = 8 + 4 * len(config.remedies) + 2 * len(others)
    said = lambda values: _plain(mean_of(values, comparisons))  # noqa: E731
    lines = [
        f"Rare words in {config.replicates} replicates, generations 0 to {last}; intervals over "
        "replicates hold together with 95 %."
        if config.replicates > 1
        else "Rare words in one replicate, which has no interval: nothing can be told.",
        f"In {great:,} words generation 0 shows the rare words that humans show in "
        f"{said(first)} of that.",
    ]
    for remedy in config.remedies:
        name = remedy.name
        lines.append(
            f"{name}: {said(ends(found, name))} of these are left in generation {last} in samples "
            f"of {great:,}, {said(ends(found, name, part=-1))} in samples of {small:,}; of runs of "
            f"two words {said(_runs_of_words(found, name, 2))}, of three "
            f"{said(_runs_of_words(found, name, 3))}."
        )
    ratio = _between_classes(found, nothing.name)
    lines.append(
        f"{nothing.name}: of words that occur {CLASSES[-1][0]} times or more in half of the human "
        f"texts a share is left that is {said(ratio)} of that of words that occur once; the law "
        "has one number for all: "
        + _verdict(
            mean_of(np.log(ratio), comparisons),
            "rarer words go first",
            "rarer words go last",
            "in logs",
        )
    )
    gap = np.subtract(
        ends(found, nothing.name, part=-1), ends(found, nothing.name, "chance", part=-1)
    )
    lines.append(
        f"Chance alone, one effective n fitted to samples of {great:,}: n = "
        f"{said([law.tokens for law in found.chance])} words; of samples of {small:,} it says "
        f"{said(ends(found, nothing.name, 'chance', part=-1))}: "
        + _verdict(
            mean_of(gap, comparisons), "chance would take more", "more is lost than chance takes"
        )
    )
    lines.append(
        f"With a second number, a model makes {said([law.copies for law in found.laws])} copies of "
        f"a rare word in a generation, and n = {said([law.tokens for law in found.laws])} words. "
        f"Error of ln R over all sizes {_error(found, nothing, 'law'):.3f}, of chance alone "
        f"{_error(found, nothing, 'chance'):.3f}."
    )
    for remedy in others:
        expected = ends(found, remedy.name, "law")
        gap = mean_of(np.subtract(ends(found, remedy.name), expected), comparisons)
        lines.append(
            f"{remedy.name}: with these two numbers the law says {said(expected)}: "
            + _verdict(gap, "more is left", "less is left")
        )
    return lines


def _error(found: WordsPairing, nothing: Remedy, column: str) -> float:
    """Root mean square error of ln R over sizes, generations and replicates."""
    rows = found.curves.loc[
        (found.curves["remedy"] == nothing.name) & (found.curves["generation"] > 0)
    ]
    return float(np.sqrt(np.nanmean(np.log(rows[column] / rows["relative"]) ** 2)))


def _verdict(gap: Mean, above: str, below: str, what: str = "measured minus law") -> str:
    if gap.sign == 0:
        return f"{what} {gap.text()}: a difference cannot be told."
    return f"{what} {gap.text()}: {above if gap.sign > 0 else below}."


def _plain(mean: Mean) -> str:
    digits = 2 if abs(mean.value) < 10 else 0
    whole = f"{mean.value:,.{digits}f}"
    if math.isfinite(mean.half):
        whole += f" [{mean.low:,.{digits}f}, {mean.high:,.{digits}f}]"
    return whole
