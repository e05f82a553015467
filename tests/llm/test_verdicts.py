"""No verdict that does not follow: NaN, infinities, ties, one replicate, no variance, no groups."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from commensal.llm.config import GridPoint, RemediesConfig
from commensal.llm.records.directory import RunDirectory
from commensal.llm.reports import findings_evolution, findings_web
from commensal.llm.reports import findings_interactive as findings
from commensal.llm.reports import findings_segmented as ecosystems
from commensal.llm.reports import segmented as report_segmented
from commensal.llm.reports import web as report_web
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._tables import Change
from commensal.llm.reports._verdicts import TIE, Found, Instance, reproduced, signed
from commensal.llm.reports.findings_remedies import RemedyCurves
from commensal.llm.reports.remedies import findings as of_remedies
from commensal.llm.reports.single import contents as own_tasks
from commensal.pairing import _pair_web
from tests.llm.runs import language, single
from tests.llm.test_ecosystems import PAPER, table
from tests.llm.test_ecosystems import several as several_of
from tests.llm.test_evolution import ALONE, FOUR, NINE, TEXTS, invented
from tests.llm.test_findings import as_run, likeness, published, several
from tests.llm.test_remedies import known
from tests.llm.test_web import web

BAD = [math.nan, math.inf, -math.inf]
UNTOLD = "cannot be told here"


def by_id(found: list[Found]) -> dict[str, Found]:
    return {one.id: one for one in found}


def spoilt(metrics: pd.DataFrame, value: float, which: object = slice(None)) -> pd.DataFrame:
    out = metrics.reset_index(drop=True).copy()
    out.loc[which, "value"] = value
    return out


# the verdict itself


def test_a_verdict_is_of_what_can_be_told():
    def found(*instances: Instance) -> Found:
        return Found("", "", "", instances, "none there", "change")

    yes, no = Instance("", "", 1.0, True), Instance("", "", -1.0, False)
    tie, nan = Instance("", "", 0.0, None, TIE), Instance("", "", math.nan, True)
    assert found(yes).verdict == "reproduces"
    assert found(yes, tie, nan).verdict == "in part"  # not told everywhere
    assert found(no, tie).verdict == "does not"
    assert found(yes, no, nan).verdict == "in part"
    assert found(yes, nan).range == "change +1.00"
    both = found(tie, nan)
    assert both.verdict == UNTOLD
    assert both.reason == "both are equal to the last digit; not a finite number"
    assert both.range == ""
    assert found().reason == "none there"
    assert list(reproduced([both, found()])) == [
        "None of 2 published findings can be told here: "
        "both are equal to the last digit; not a finite number."
    ]
    assert list(reproduced([found(yes), both])) == [
        "Published findings that reproduce: 1 of 1; 1 more cannot be told here."
    ]
    assert list(reproduced([found()])) == []


@pytest.mark.parametrize("value", BAD)
def test_what_is_not_finite_has_no_sign(value: float):
    assert signed(value) == "not finite"
    mean = mean_of([1.0, value, 1.0])
    assert math.isnan(mean.value)
    assert mean.sign == 0


# interactive


@pytest.mark.parametrize("value", BAD)
def test_interactive_of_nothing_finite(value: float):
    metrics = several(pd.concat([published(8, "OPT-350m"), likeness()]))
    found = findings.find(spoilt(metrics, value), ["task1", "task2", "public"], 15)
    assert {one.verdict for one in found} == {UNTOLD}
    assert "not a finite number" in {one.reason for one in found}
    assert not any("0.00" in i.numbers for one in found for i in one.instances)


@pytest.mark.parametrize("value", BAD)
def test_one_loss_that_is_not_finite(value: float):
    metrics = several(published(8, "OPT-350m")).reset_index(drop=True)
    here = (metrics.alpha == 0.5) & (metrics.beta == 1) & (metrics.generation == 15)
    here &= (metrics.model == 0) & (metrics.dataset == "task2")
    found = by_id(findings.find(spoilt(metrics, value, here), ["task1", "task2", "public"], 15))
    whole = by_id(findings.find(metrics, ["task1", "task2", "public"], 15))
    assert len(found["half-other"].told) == len(whole["half-other"].told) - 1
    assert len(found["best"].told) == len(whole["best"].told) - 1
    assert found["best"].verdict != "reproduces"
    assert found["one-own"] == whole["one-own"]


def test_interactive_of_equal_numbers():
    """Comparisons cannot be told; that a loss stays is what the numbers say."""
    losses, alike = several(published(8, "OPT-350m")), several(likeness())
    metrics = pd.concat([spoilt(losses, 3.0), spoilt(alike, 0.5)])
    found = by_id(findings.find(metrics, ["task1", "task2", "public"], 15))
    for name in ("homogenisation", "public-homogenisation", "best"):
        assert found[name].verdict == UNTOLD
        assert found[name].reason == "both are equal to the last digit"


def test_changes_and_leads_of_what_is_not_finite():
    one = GridPoint("", {}, "", 0)
    assert Change(one, 0, "a", 1.0, math.nan, 2).kind() == ""
    assert Change(one, 0, "a", math.inf, math.inf, 2).kind() == ""
    config = single()
    rows = [
        (s.coordinates["memory"], 0.0, t, 0, name, None, "loss", math.nan, False)
        for s in config.grid()
        for t in (0, 2)
        for name in ("language0", "language1")
    ]
    columns = [
        "memory",
        "replicate",
        "generation",
        "model",
        "dataset",
        "other",
        "metric",
        "value",
        "diverged",
    ]
    reached = {s.name: 2 for s in config.grid()}
    metrics = pd.DataFrame(rows, columns=columns)
    reading = Reading(RunDirectory(Path("x")), config, config.grid(), metrics, reached)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("commensal.llm.reports._own_tasks._chapters", lambda _: [])
        assert list(own_tasks(reading).leads) == ["No loss is finite at the end."]


# segmented


@pytest.mark.parametrize("value", BAD)
def test_ecosystems_of_nothing_finite(value: float):
    summary = ecosystems.summarise(spoilt(several_of(PAPER), value), 3)
    found = ecosystems.find(summary, 3)
    assert {one.verdict for one in found} == {UNTOLD}
    alone = ecosystems.summarise(spoilt(table(PAPER, {4.0: [1.0] * 4}), value), 3)
    split = ecosystems.gains(alone)
    assert split[["gain", "fewer_tokens", "pooling"]].isna().all(axis=None)
    assert not any("is best" in lead for lead in report_segmented._leads(found, alone, split))
    cells = [c for t in report_segmented._tables(alone, split) for _, *row in t.rows for c in row]
    assert {kind for _, kind in cells} == {""}


@pytest.mark.parametrize("value", BAD)
def test_one_ecosystem_that_is_not_finite(value: float):
    metrics = several_of(PAPER).reset_index(drop=True)
    which = (metrics.M == 2) & (metrics.metric == "mu") & (metrics.generation == 1)
    found = by_id(ecosystems.find(ecosystems.summarise(spoilt(metrics, value, which), 3), 3))
    assert found["optimum"].verdict == UNTOLD
    assert found["first"].verdict == "reproduces"
    which = (metrics.M == 2) & (metrics.metric == "train_sd")
    found = by_id(ecosystems.find(ecosystems.summarise(spoilt(metrics, value, which), 3), 3))
    assert found["wider"].verdict == "in part"  # the step from 4 to 16 is whole
    assert found["optimum"].verdict == "reproduces"


def test_ecosystems_of_equal_numbers():
    equal = ecosystems.summarise(several_of({m: [5.0] * 4 for m in PAPER}, by=0), 3)
    found = by_id(ecosystems.find(equal, 3))
    for name in ("optimum", "first", "decay", "recovery"):
        assert found[name].verdict == UNTOLD
        assert found[name].reason == TIE


# evolution


def populations(value: float | None = None) -> pd.DataFrame:
    names = ("accuracy", "accuracy_held_out", "spread_models", "distinct_2")
    curves = {
        (kind, replicate): {name: [0.5 if value is None else value] * 5 for name in names}
        for kind in (ALONE, FOUR, NINE, TEXTS)
        for replicate in (0, 1)
    }
    return invented(curves)


@pytest.mark.parametrize("value", BAD)
def test_populations_of_nothing_finite(value: float):
    found = findings_evolution.find(populations(value), ["quiz"], "task", 4)
    assert {one.verdict for one in found} == {UNTOLD}


@pytest.mark.parametrize("value", BAD)
def test_one_model_that_is_not_finite_is_not_passed_over(value: float):
    metrics = populations()
    which = (metrics.population == 4) & (metrics.model == 0) & (metrics.generation == 4)
    which &= (metrics.inheritance == "full") & (metrics.replicate == 0)
    found = by_id(findings_evolution.find(spoilt(metrics, value, which), ["quiz"], "task", 4))
    four = found["evolution-above-lineage"].instances[0]
    assert not four.told
    assert four.reason == "not a finite number"


def test_populations_of_equal_numbers():
    found = by_id(findings_evolution.find(populations(), ["quiz"], "task", 4))
    for name in (
        "evolution-above-lineage", "larger-higher", "full-above-texts", "texts-above-lineage",
        "texts-more-varied",
    ):  # fmt: skip
        assert found[name].verdict == UNTOLD
        assert found[name].reason == "both are equal to the last digit"


# remedies

REMEDIES = RemediesConfig.model_validate(
    {
        "workflow": "remedies",
        "human_texts": "seen",
        "public": language(0),
        "tasks": [language(1)],
        "remedies": [
            {"name": "none"},
            {"name": "human", "human_share": 0.05},
            {"name": "noise", "token_noise": 0.1},
        ],
    }
)
RISE = [1.0, 1.2, 1.6, 2.4, 3.0, 4.0]


def remedies_found(values: dict[str, list[list[float]]], **more: RemedyCurves) -> dict[str, Found]:
    losses = known(values)
    return by_id(of_remedies({"loss": losses, "kl": losses, **more}, REMEDIES))


def test_one_lineage_tells_nothing_of_a_difference():
    found = remedies_found({"none": [RISE], "human": [[0.5] * 6], "noise": [RISE]})
    for name in ("human-delays", "human-not-entirely", "noise-delays", "noise-costs"):
        assert found[name].verdict == UNTOLD
        assert found[name].reason == "one replicate has no interval"


def test_an_interval_with_zero_in_it_tells_nothing():
    none = [RISE, RISE, RISE]
    human = [[v + by for v in RISE] for by in (-1.0, 1.0, 0.1)]
    found = remedies_found({"none": none, "human": human, "noise": none})
    assert found["human-delays"].verdict == UNTOLD
    needed = "the interval is too wide; more than 10,000 replicates would do"
    assert found["human-delays"].reason == needed
    # equal to the last digit: no variance, and no difference
    assert found["noise-delays"].verdict == found["noise-costs"].verdict == UNTOLD
    assert found["noise-delays"].reason == "both are equal to the last digit"


@pytest.mark.parametrize("value", BAD)
def test_a_lineage_that_is_not_finite_is_not_passed_over(value: float):
    bad = [[1.0, value, value, value, value, value], RISE, RISE]
    none = [RISE, [v + 0.1 for v in RISE], RISE]
    low = [[v - 0.5 * t for t, v in enumerate(RISE)]] * 3
    losses = known({"none": none, "human": bad, "noise": low})
    assert math.isnan(losses.difference("human", 5).value)
    assert math.isnan(losses.delay("human").mean.value)
    assert losses.difference("noise", 5).sign == -1
    kl = by_id(of_remedies({"loss": known({"none": none, "human": low, "noise": low}),
                            "kl": losses}, REMEDIES))  # fmt: skip
    assert kl["human-delays"].verdict == UNTOLD
    assert kl["noise-delays"].verdict == "reproduces"


def test_growth_from_zero_or_over_too_few_generations():
    flat = {"none": [[0.0] * 6], "human": [RISE], "noise": [RISE]}
    found = remedies_found(flat, rare_perplexity=known(flat), distinct_4=known(flat))
    assert found["rare"].verdict == found["distinct"].verdict == UNTOLD
    slow = {name: [[1.0, 1.1, last] for last in (1.19, 1.2, 1.21)] for name in flat}
    fast = {name: [[1.0, 1.3, last] for last in (1.59, 1.6, 1.61)] for name in flat}
    found = remedies_found(slow, rare_perplexity=known(slow))
    assert found["rare"].reason == "there are 2 generations, not five"
    assert remedies_found(fast, rare_perplexity=known(fast))["rare"].verdict == "reproduces"


# web


def web_reading(disagreement: list[float], spread: list[float]) -> tuple[Reading, list]:
    config = web(generations=7)
    (setting,) = config.grid()
    course = pd.DataFrame(
        {"generation": range(8), "disagreement": disagreement, "sampling": [math.nan] * 8}
    )
    rows = [
        {**setting.coordinates, "generation": t, "model": i, "metric": "spread", "value": v}
        for i in (0, 1)
        for t, v in enumerate(spread)
    ]
    reading = Reading(
        RunDirectory(Path("x")), config, [setting], pd.DataFrame(rows), {setting.name: 7}
    )
    return reading, [(setting, course)]


@pytest.mark.parametrize("value", BAD)
def test_a_web_of_nothing_finite(value: float):
    reading, courses = web_reading([1.0] + [value] * 7, [1.0] + [value] * 7)
    assert {one.verdict for one in findings_web.web_findings(reading, courses)} == {UNTOLD}
    assert list(report_web._leads(reading, courses)) == []


def test_a_web_that_ends_in_zero_and_one_without_sampling():
    reading, courses = web_reading([4.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0] * 8)
    found = by_id(findings_web.web_findings(reading, courses))
    assert found["closer"].verdict == UNTOLD  # one replicate
    assert found["closer"].leaning == "the mean is as published"
    assert found["closer"].reason == "one replicate has no interval"
    assert found["settled"].verdict == UNTOLD
    assert found["narrow"].verdict == UNTOLD
    (lead,) = report_web._leads(reading, courses)
    assert lead.endswith("what the sampling of the responses alone would leave is not known.")


@pytest.mark.parametrize(
    ("mixture", "retrieval", "says"),
    [
        (math.nan, 0.5, "cannot be told"),
        (0.5, math.nan, "cannot be told"),
        (0.5, 0.5, "both laws do equally well"),
        (0.5, 0.2, "the mixture law does better"),
        (-2.0, -1.0, "the retrieval law does better, but neither does as well as the mean"),
    ],
)
def test_which_law_is_ahead(mixture: float, retrieval: float, says: str):
    laws = [_pair_web.FittedLaw(1.0, 0.5, 0.5, r) for r in (mixture, retrieval)]
    rows = pd.DataFrame({"measured": [1.0, 0.5]})
    text = _pair_web._text(_pair_web.WebPairing(*laws, 0.0, 0.0, rows, ""))
    assert says in text.splitlines()[-1]
    assert math.isnan(_pair_web._r2(np.full(9, 0.1), np.zeros(9)))
    assert as_run([]).empty
