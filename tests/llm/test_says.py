"""What a run says first: computed from it, with the interval, and no more than it can tell."""

from __future__ import annotations

import html
import math
import re

import numpy as np
import pandas as pd
import pytest

from commensal.llm.reports import evolution as report_evolution
from commensal.llm.reports import remedies as report_remedies
from commensal.llm.reports import segmented as report_segmented
from commensal.llm.reports import single as report_single
from commensal.llm.reports import web as report_web
from commensal.llm.reports._contents import Contents
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports._reading import Reading
from commensal.llm.reports._tables import Change
from commensal.llm.reports.findings_interactive import Outcomes
from commensal.llm.reports.says_interactive import says, trades
from tests.llm.test_committed_runs import ROOT, reading
from tests.llm.test_findings import as_run
from tests.llm.test_remedies import known

T = 4
SCATTER = (-0.01, 0.0, 0.01)  # of three replicates


def outcomes(
    ends: dict[tuple[float, int, int], float],
    scatter: tuple[float, ...] = SCATTER,
    models: int = 2,
) -> Outcomes:
    """Losses that start at 3, and end by (α, model, task); all α > 0 scatter alike."""
    parts = []
    for replicate, by in enumerate(scatter):
        rows = [
            (alpha, 0.5, t, k, f"task{m + 1}", None, "loss", (end + by * (alpha > 0)) if t else 3.0)
            for (alpha, k, m), end in ends.items()
            for t in (0, T)
        ]
        parts.append(as_run(rows).assign(replicate=float(replicate)))
    names = [*(f"task{m + 1}" for m in range(models)), "public"]
    return Outcomes(pd.concat(parts), names, T)


# without a web all losses fall to 2 by training alone
ALONE = {(0.0, k, m): 2.0 for k in (0, 1) for m in (0, 1)}
HALF = {(0.5, 0, 0): 2.25, (0.5, 0, 1): 1.0, (0.5, 1, 1): 2.0, (0.5, 1, 0): 1.5}


# interactive


def test_who_gains_most_against_no_web_and_what_it_costs():
    said = list(says(outcomes(ALONE | HALF), "200 test texts of a task"))
    # four comparisons of three replicates, whose standard deviation is 0.01
    half = mean_of(SCATTER, 4).half
    low, high = f"{1 - half:.2f}", f"{1 + half:.2f}"
    assert said[0] == (
        f"Model 1 at α = 0.5, β = 0.5 gains most from the web: its loss on the other task ends "
        f"1.00 [{low}, {high}] nats lower than without the web (α = 0 at the same β)."
    )
    assert said[1].startswith("That costs it 0.25 [")
    # the scatter is common to both models
    assert said[2].startswith("Next is model 2 at α = 0.5, β = 0.5, 0.50 [0.50, 0.50] nats behind:")
    assert said[2].endswith(
        "; its loss on its own task ends where no cost can be told from none "
        f"(0.00 [−{half:.2f}, +{half:.2f}] nats)."
    )
    assert "2 gain on the others' tasks beyond noise and 0 lose" in said[3]
    assert "on their own task 0 gain and 1 lose" in said[3]
    assert "over 3 replicates, each with 200 test texts of a task" in said[4]
    assert f"are ± {half:.2f} to ± {half:.2f} nats" in said[4]


def test_a_difference_within_the_noise_is_called_so():
    said = list(says(outcomes(ALONE | HALF, scatter=(-1.0, 0.0, 1.5)), everything=False))
    assert "the interval holds zero, so that this may be chance" in said[0]
    assert said[1].startswith("A cost on its own task cannot be told from none (")
    assert "0 gain on the others' tasks beyond noise and 0 lose" in said[3]
    assert said[4].endswith("The replicates share one base and its test texts.")


def test_which_of_two_gains_more_may_be_open():
    close = HALF | {(0.5, 1, 0): 1.01}
    one = outcomes(ALONE | close)
    one.losses[0.5, 0.5, 1, "task1"] = {
        r: ends._replace(last=ends.last + (-0.2, 0.1, 0.1)[r])
        for r, ends in one.losses[0.5, 0.5, 1, "task1"].items()
    }
    assert "which of the two gains more cannot be told; its loss on" in list(says(one))[2]


def test_one_replicate_says_numbers_and_that_noise_is_not_known():
    said = list(says(outcomes(ALONE | HALF, scatter=(0.0,))))
    assert "ends 1.00 nats lower" in said[0]
    assert said[1] == "Its loss on its own task ends 0.25 nats higher."
    assert said[-1].startswith("One replicate has no interval: how much of these differences is")
    assert not any("[" in one for one in said)


def test_without_a_point_that_has_no_web_it_is_generation_0():
    one = outcomes(HALF)
    found, against = trades(one)
    assert "generation 0" in against
    assert [round(np.mean(t.gain), 6) for t in found] == [2.0, 1.5]
    assert "than at generation 0" in next(iter(says(one)))


def test_a_web_that_helps_no_one():
    worse = {key: 2.5 if key[1] != key[2] else 2.0 for key in HALF}
    first = next(iter(says(outcomes(ALONE | worse))))
    assert first.startswith("No model gains from the web: it does least harm to model 1 at α = 0.5")
    assert "ends 0.50 [" in first
    assert "nats higher than without the web" in first


def test_one_model_and_its_own_web():
    said = list(says(outcomes({(0.0, 0, 0): 2.0, (0.5, 0, 0): 2.5}, models=1)))
    assert said[0].startswith(
        "The model loses by the web: it does least harm to model 1 at α = 0.5"
    )
    assert not any("other task" in one for one in said)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_not_ahead(value: float):
    first = next(iter(says(outcomes(ALONE | HALF | {(0.5, 0, 1): value}))))
    assert first.startswith("Model 2 at α = 0.5, β = 0.5 gains most")
    assert list(says(outcomes(dict.fromkeys(ALONE | HALF, value)))) == []


def test_nothing_finished_says_nothing():
    assert list(says(Outcomes(pd.DataFrame(), ["task1", "task2", "public"], T))) == []


# the other workflows


def split(gain: list[float], segmenting: list[float]) -> pd.DataFrame:
    rows = {"M": 4.0, "replicate": range(len(gain)), "gain": gain, "segmenting": segmenting}
    return pd.DataFrame(rows).assign(fewer_tokens=math.nan, pooling=math.nan, moving_less=0.3)


def test_segments_help_and_it_is_not_their_merit():
    (said,) = report_segmented._says(split([0.69, 0.70, 0.71], [-0.01, 0.0, 0.01]))
    assert said.startswith("Over all iterations 4 models that share the data have 0.50 [")
    assert "the mean perplexity of one model on all of it, lower beyond noise; against one" in said
    assert said.endswith("times (no difference can be told).")
    (first, second) = report_segmented._says(split([0.7], [0.0]))
    assert "one replicate has no interval; against one model" in first
    assert "whether more models are better cannot be told" in second
    assert list(report_segmented._says(split([math.nan], [0.0]))) == []
    (worse,) = report_segmented._says(split([-0.69, -0.70, -0.71], [-0.4, -0.41, -0.42]))
    assert "higher beyond noise; against one model" in worse
    assert worse.endswith("times (higher).")


def test_the_best_remedy_and_how_many_can_be_told():
    none = [[1.0, 2.0], [1.0, 2.1], [1.0, 2.2]]
    lower, same = ([[1.0, last + by] for _, last in none] for by in (-0.5, 0.0))
    said = list(report_remedies._says({"loss": known({"none": none, "a": lower, "b": same})}))
    assert said == [
        "Of 2 remedies a keeps the loss lowest: at generation 1 it is 0.50 [0.50, 0.50] below that "
        "without remedy (2.10), beyond noise.",
        "1 of 2 lower it beyond noise, 0 raise it, and of 1 that cannot be told.",
    ]
    (first, second) = report_remedies._says({"loss": known({"none": none[:1], "a": lower[:1]})})
    assert first.endswith("one replicate has no interval.")
    assert second.startswith("One replicate has no interval: which remedies help cannot be told")
    worse = known({"none": none, "b": [[1.0, 9.0]] * 3})
    assert next(iter(report_remedies._says({"loss": worse}))).startswith("No remedy ends with")


def test_selection_against_lots():
    run = reading("evolution")
    said = report_evolution.Populations(run.judged, run.config.generations)
    effects = report_evolution.effects_of(said)
    first, *_ = report_evolution._says(said, run.config, effects)  # pyright: ignore
    assert first.startswith("Whether selection by accuracy helps cannot be told: ")
    assert "; N = 4: selection by accuracy against selection by lot (4 crossings)." in first


def test_the_best_memory():
    run = reading("demo")
    two = [run.points[0], run.points[1]]
    best = Change(two[0], 0, "task1", 3.0, 2.0, T, (-1.0, -1.1, -0.9))
    worst = Change(two[1], 0, "task1", 3.0, 3.0, T, (0.0, -0.1, 0.1))
    (said,) = report_single._says(run, [worst, best])  # pyright: ignore
    assert "(2.00), 1.00 [1.00, 1.00] nats better than with" in said
    assert said.endswith("that is beyond noise.")
    untold = Change(two[1], 0, "task1", 3.0, 2.1, T, (-1.5, -0.2, -1.0))
    (said,) = report_single._says(run, [untold, best])  # pyright: ignore
    assert said.endswith("which of them is better cannot be told.")
    alone = [one._replace(each=one.each[:1]) for one in (worst, best)]
    assert list(report_single._says(run, alone))[-1].startswith("One replicate")  # pyright: ignore


@pytest.mark.parametrize(
    ("lasts", "says"),
    [
        ((1.0, 1.1, 0.9), "they come closer"),
        ((4.0, 4.1, 3.9), "they move apart"),
        ((1.0, 4.0, 2.0), "whether they come closer cannot be told"),
        ((1.0,), "one replicate has no interval"),
    ],
)
def test_whether_a_web_comes_closer(lasts: tuple[float, ...], says: str):
    run = reading("web")
    points = [p for p in run.points if p.coordinates["replicate"] < len(lasts)]
    courses = [
        (p, pd.DataFrame({"disagreement": [2.0, last]}))
        for p, last in zip(points, lasts, strict=True)
    ]
    first, *_ = report_web._says(run, courses, [])  # pyright: ignore
    assert first.endswith(f" times its first value: {says}.")


# the committed runs


def contents(run: Reading, patch: pytest.MonkeyPatch) -> Contents:
    """Return what the page of a run says, without its figures and texts."""
    from commensal.llm.reports import _own_tasks, contents_of, networks

    for module in (
        _own_tasks, networks, report_evolution, report_remedies, report_segmented, report_web,
    ):  # fmt: skip
        patch.setattr(module, "_chapters", lambda *_: [])
    for name in ("samples", "answer_leads", "answer_tables"):
        patch.setattr(report_web, name, lambda _: [])
    return contents_of(run)


@pytest.mark.parametrize("name", ["demo", "evolution", "networks", "remedies", "segmented", "web"])
def test_committed_reports_say_what_their_runs_say(name: str, monkeypatch):
    shown = contents(reading(name), monkeypatch)
    page = (ROOT / "runs" / name / "report.html").read_text(encoding="utf-8")
    text = html.unescape(page)
    assert len(shown.says) >= 1
    for sentence in (*shown.says, *shown.leads):
        assert sentence in text
    assert {f'id="{one.id}"' for one in shown.found if one.told} <= set(
        re.findall(r'id="\S+"', page)
    )
    # the answer stands before the paper's findings
    assert re.findall(r'<h2 id="(\w+)"', page)[:3] == ["says", "findings", "run"]


def test_the_demo_answers_from_its_table():
    """The number of the first sentence, computed again from the table alone."""
    run = reading("demo")
    first, *_ = says(Outcomes(run.judged, run.datasets, run.config.generations))
    wide = run.metrics.loc[(run.metrics.metric == "loss") & (run.metrics.generation == 5)]
    wide = wide.pivot_table("value", ["alpha", "beta", "model", "dataset"], "replicate").mean(
        axis=1
    )
    gains = {
        (k, alpha, beta): wide[0.0, beta, k, f"task{2 - k}"] - wide[alpha, beta, k, f"task{2 - k}"]
        for k in (0, 1)
        for alpha in (0.5, 1.0)
        for beta in (0.0, 0.5, 1.0)
    }
    k, alpha, beta = max(gains, key=lambda key: gains[key])
    assert first.startswith(f"Model {k + 1} at α = {alpha:g}, β = {beta:g} gains most from the web")
    assert f"ends {gains[k, alpha, beta]:.2f} [" in first
