"""What a forecast of curves says, in sentences with their grounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from commensal.answers import Answer, Answers
from commensal.planning.forecasts._curves import Curves
from commensal.planning.forecasts._laws import LAWS, CurveLaw

if TYPE_CHECKING:
    pass

SHOWN = 12
"""Runs with a sentence of their own; those that change most."""

_RESAMPLES = 2000
_LAWS: Mapping[str, CurveLaw] = {law.name: law for law in LAWS}
_CHECKED = "each run is held out, and forecast from its values up to the cut and the other runs"


def described(
    curves: Curves,
    table: pd.DataFrame,
    trials: pd.DataFrame,
    *,
    law: str,
    needed: int,
    covered: Sequence[bool],
    noise: float,
    how: str,
    settings: Mapping[str, Any],
    seed: int,
) -> Answers:
    """Put a forecast into words.

    Parameters
    ----------
    curves : Curves
    table, trials : pandas.DataFrame
        Of a :class:`commensal.planning.Forecast`.
    law : str
        Law that was chosen, or ``all``.
    needed : int
        Runs that a choice needs.
    covered : sequence of bool
        Whether the interval of each trial holds what was measured.
    noise : float
        Variance of the noise over that of a binomial law; NaN where values are no counts.
    how : str
        How intervals were made.
    settings : mapping
        What was asked for.
    seed : int
        Of the bootstrap over runs.
    """
    level = float(settings["level"])
    answers = [_of_law(trials, law, needed, seed), _of_error(trials, law, seed)]
    answers += [_of_coverage(trials, covered, level, how)]
    if not math.isnan(noise):
        answers.append(_of_noise(noise))
    answers += _of_runs(curves, table, law, level, how)
    notes = [f"{len(curves.runs)} runs; {curves.assumed}." if curves.assumed else ""]
    pairs = np.argwhere(np.triu(curves.twins))
    if len(pairs):
        one, other = (curves.runs[i] for i in pairs[0])
        notes.append(
            f"{len(pairs)} pairs of runs have the same settings and the same values, such as "
            f"{one} and {other}: where one is held out, so is the other."
        )
    count = len(set(table["run"]))
    if count > SHOWN:
        notes.append(f"{count - SHOWN} further runs are in the table alone.")
    title = f"Forecast until generation {settings['until']}"
    return Answers(
        title=title, answers=tuple(answers), settings=settings, notes=tuple(filter(None, notes))
    )


def _errors(trials: Any) -> Any:
    """Return each run's mean absolute error by every law."""
    told = [c for c in trials.columns if c in _LAWS or c in ("last", "line")]
    errors = trials[told].sub(trials["measured"], axis=0).abs()
    return errors.groupby(trials["run"]).mean()


def _interval(values: np.ndarray, seed: int, level: float) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over runs."""
    drawn = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _of_law(trials: pd.DataFrame, law: str, needed: int, seed: int) -> Answer:
    question = "Which law do the curves follow?"
    if law == "all":
        runs = trials["run"].nunique() if len(trials) else 0
        return Answer(
            question=question,
            sentence="Which law the curves follow cannot be told: forecasts are averages of all.",
            name="law",
            source="; ".join(one.said for one in LAWS),
            flag=f"{runs} runs go on beyond the end of those that are forecast; a choice takes "
            f"{needed}",
        )
    errors = _errors(trials)
    rivals = [name for name in errors if name in _LAWS and name != law]
    leads = {name: (errors[name] - errors[law]).to_numpy() for name in rivals}
    corrected = 1 - 0.05 / max(len(rivals), 1)
    worse, open_ = [], []
    for name, lead in leads.items():
        (worse if _interval(lead, seed, corrected)[0] > 0 else open_).append(name)
    listed = ", ".join(f"{name} {errors[name].mean():.3g}" for name in rivals)
    told = f"it errs less than {_list(worse)}" if worse else ""
    untold = f"whether it errs less than {_list(open_)} cannot be told" if open_ else ""
    verdict = "; ".join(filter(None, (told, untold)))
    low, high = _interval(errors[law].to_numpy(), seed, 0.95)
    return Answer(
        question=question,
        sentence=f"{_LAWS[law].said[0].upper()}{_LAWS[law].said[1:]} errs least: by "
        f"{errors[law].mean():.3g} on average [{low:.3g}, {high:.3g}] ({listed}); {verdict}.",
        name="law",
        value=float(errors[law].mean()),
        low=low,
        high=high,
        source=_LAWS[law].source,
        premises=("a level and a rate per run, all else shared", "runs vary independently"),
        checked=f"{_CHECKED}; intervals by bootstrap over {len(errors)} runs, comparisons "
        f"corrected for {len(rivals)}",
    )


def _of_error(trials: pd.DataFrame, law: str, seed: int) -> Answer:
    question = "How much better is it than persistence?"
    if law == "all":
        return Answer(
            question=question,
            sentence="How much better that is than persistence cannot be told.",
            name="gain",
            flag="too few runs to hold out",
        )
    errors = _errors(trials)
    gain = (errors["last"] - errors[law]).to_numpy()
    low, high = _interval(gain, seed, 0.95)
    verdict = "better" if low > 0 else "worse" if high < 0 else "which is ahead cannot be told"
    return Answer(
        question=question,
        sentence=f"Held-out runs are missed by {errors[law].mean():.3g}, by persistence by "
        f"{errors['last'].mean():.3g}, by a line through all that is known by "
        f"{errors['line'].mean():.3g}: {gain.mean():+.2g} [{low:.2g}, {high:.2g}] over "
        f"persistence; {verdict}.",
        name="gain",
        value=float(gain.mean()),
        low=low,
        high=high,
        source="mean absolute error at the last generation of runs that are held out",
        premises=("the law was chosen on the same runs, so that its error is a little too small",),
        checked=_CHECKED,
    )


def _of_coverage(trials: pd.DataFrame, covered: Sequence[bool], level: float, how: str) -> Answer:
    question = "Do the intervals hold what they say?"
    if not len(covered):
        return Answer(
            question=question,
            sentence=f"Whether the {level:.0%} intervals cover so often cannot be told.",
            name="coverage",
            source=how,
            flag="no run goes on beyond the end of those that are forecast",
        )
    by_run: Any = pd.Series(list(covered), dtype=float).groupby(trials["run"].to_numpy()).mean()
    hits, count = float(by_run.sum()), len(by_run)
    low = float(beta.ppf(0.025, hits, count - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, count - hits)) if hits < count else 1.0
    return Answer(
        question=question,
        sentence=f"Of {count} runs that were held out {hits / count:.0%} lie in their {level:.0%} "
        f"intervals [{low:.0%}, {high:.0%}].",
        name="coverage",
        value=hits / count,
        low=low,
        high=high,
        source=how,
        premises=("new runs are like those in the table",),
        checked="each run's width is found from the others (jackknife); the interval is Clopper "
        "and Pearson's",
    )


def _of_noise(noise: float) -> Answer:
    than = "less" if noise < 1 else "more"
    return Answer(
        question="How much do counts scatter?",
        sentence=f"From one generation to the next counts scatter {than} than binomial ones: by "
        f"{noise:.2g} of their variance.",
        name="noise",
        value=noise,
        source="maximum likelihood of white noise and a random walk, shared by all runs",
        premises=("every generation is asked about the same facts, or it would be 1",),
        checked="by simulation of curves with known noise, in the tests",
    )


def _of_runs(curves: Curves, table: pd.DataFrame, law: str, level: float, how: str) -> list[Answer]:
    last = table.groupby("run").tail(1).set_index("run")
    ended = pd.Series(curves.last, list(curves.runs))
    now = {}
    for i, run in enumerate(curves.runs):
        row = curves.values[i]
        now[run] = float(row[~np.isnan(row)][-1] * curves.unit[i])
    change: Any = (last["predicted"] - pd.Series(now)[last.index]).abs()
    out = []
    for run in change.sort_values(ascending=False, kind="stable").index[:SHOWN]:
        row = last.loc[run]
        at, low, high = int(row["generation"]), float(row["low"]), float(row["high"])
        told = "falls" if high < now[run] else "rises" if low > now[run] else ""
        verdict = f"it {told}" if told else "whether it rises or falls cannot be told"
        out.append(
            Answer(
                question=f"Where does {run} end?",
                sentence=f"{run}: {row['predicted']:.4g} [{low:.4g}, {high:.4g}] in generation "
                f"{at}, after {now[run]:.4g} in generation {ended[run]}; {verdict}.",
                name=f"{run}:{at}",
                value=float(row["predicted"]),
                low=low,
                high=high,
                level=level,
                source=_LAWS[law].said if law in _LAWS else "average of all laws",
                premises=("it goes on as the other runs did",),
                checked=how,
            )
        )
    return out


def _list(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
