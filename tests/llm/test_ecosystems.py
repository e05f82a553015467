"""What a segmented run says, from tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from commensal.llm.reports import plots_segmented
from commensal.llm.reports._intervals import mean_of
from commensal.llm.reports.findings_segmented import find, gains, late_slope, summarise

PAPER = {  # like fig. 4: μ_t of each M
    1.0: [20.0, 40.0, 60.0, 80.0],
    2.0: [22.0, 30.0, 40.0, 50.0],
    4.0: [24.0, 25.0, 26.0, 26.0],
    16.0: [40.0, 36.0, 33.0, 31.0],
}
ALONE = {4.0: [24.0, 30.0, 36.0, 42.0]}
FEWER = {4.0: [22.0, 28.0, 32.0, 36.0]}


def table(
    pooled: dict[float, list[float]], alone=None, replicate: float = 0.0, brief=None
) -> pd.DataFrame:
    rows = []
    kinds = {"pooled": pooled, "alone": alone or {}, "fewer_steps": brief or {}}
    for ecosystem, curves in kinds.items():
        for m, values in curves.items():
            key = (ecosystem, m, 1.0 if ecosystem == "fewer_steps" else m, replicate)
            rows += [(*key, t, "mu", value) for t, value in enumerate(values)]
            for t, width in ((0, m), (3, m / 2)):
                rows += [
                    (*key, t, "train_mu", 10 + m),
                    (*key, t, "train_sd", width),
                    (*key, t, "train_log_sd", 1 / m),
                ]
    columns = ["ecosystem", "M", "D", "replicate", "generation", "metric", "value"]
    return pd.DataFrame(rows, columns=columns)


def test_a_summary_has_all_iterations():
    summary = summarise(table(PAPER, ALONE), 3).set_index(["ecosystem", "M"])
    row = summary.loc[("pooled", 1.0)]
    found = [row[name] for name in ("first", "last", "overall", "slope")]
    assert found == pytest.approx([20, 80, 50, 20])
    assert summary.loc[("pooled", 16.0), "slope"] == pytest.approx(-2)
    assert summary.loc[("pooled", 4.0), "sd_last"] == 2
    assert summarise(table(PAPER), 4).empty  # not finished
    assert summarise(pd.DataFrame(), 3).empty


def test_the_slope_is_of_the_later_half():
    assert late_slope(np.array([100.0, 50.0, 7.0, 5.0, 3.0])) == pytest.approx(-2)
    assert late_slope(np.array([5.0, 7.0])) == pytest.approx(2)
    assert math.isnan(late_slope(np.array([5.0])))


def test_a_gain_has_two_parts():
    """M = 1: 50, M = 4: 25.25, models alone on N/4: 33, one model with fewer steps: 29.5."""
    split = gains(summarise(table(PAPER, ALONE, brief=FEWER), 3)).set_index("M")
    assert split.index.tolist() == [2.0, 4.0, 16.0]
    row = split.loc[4.0]
    assert row["gain"] == pytest.approx(math.log(50 / 25.25))
    assert row["fewer_tokens"] == pytest.approx(math.log(50 / 33))
    assert row["pooling"] == pytest.approx(math.log(33 / 25.25))
    assert row["moving_less"] == pytest.approx(math.log(50 / 29.5))
    assert row["segmenting"] == pytest.approx(math.log(29.5 / 25.25))
    assert split.loc[2.0, ["pooling", "segmenting"]].isna().all()  # no control there
    assert gains(summarise(table({4.0: PAPER[4.0]}), 3)).empty
    assert gains(pd.DataFrame()).empty


def test_an_interval_is_students():
    """Of 1, 2, 3: t = 4.303 with two degrees of freedom, error 1/√3."""
    found = mean_of([1.0, 2.0, 3.0])
    assert (found.value, found.half) == pytest.approx((2.0, 4.3027 / 3**0.5), rel=1e-4)
    assert mean_of([5.0]).value == 5
    assert math.isnan(mean_of([5.0]).half)


def several(curves: dict[float, list[float]], count: int = 3, by: float = 1e-3) -> pd.DataFrame:
    """Make replicates of curves that differ a little."""
    return pd.concat(
        table({m: [v * (1 + by * r) for v in values] for m, values in curves.items()}, replicate=r)
        for r in range(count)
    )


def verdicts(metrics: pd.DataFrame) -> dict[str, str]:
    return {one.id: one.verdict for one in find(summarise(metrics, 3), 3)}


def test_the_papers_own_curves_reproduce():
    assert set(verdicts(several(PAPER)).values()) == {"reproduces"}


def test_one_replicate_tells_nothing():
    found = find(summarise(table(PAPER), 3), 3)
    assert {one.verdict for one in found} == {"cannot be told here"}
    leaning = [i.leans for one in found for i in one.instances]
    assert all(leaning)
    assert leaning


def test_other_curves_do_not():
    found = verdicts(several({m: curve[::-1] for m, curve in PAPER.items()}))
    assert found["decay"] == found["recovery"] == found["first"] == "does not"
    flat = {m: [m] * 4 for m in PAPER}
    assert verdicts(several(flat))["optimum"] == "in part"  # least in between, but not than M = 1


def test_replicates_that_disagree_tell_nothing():
    both = pd.concat([table(PAPER), table({m: [m] * 4 for m in PAPER}, replicate=1.0)])
    found = {one.id: one for one in find(summarise(both, 3), 3)}
    assert found["optimum"].verdict == "cannot be told here"
    assert [i.where for i in found["optimum"].instances] == ["M = 4 against 1", "M = 4 against 16"]
    assert "replicates would do" in found["optimum"].reason
    assert len(found["decay"].instances) == 2


def test_without_ecosystems_nothing_is_said():
    for metrics in (pd.DataFrame(), table({4.0: PAPER[4.0]})):
        summary = summarise(metrics, 3)
        assert {one.verdict for one in find(summary, 3)} == {"cannot be told here"}
    one_iteration = summarise(table(PAPER).query("generation == 0"), 0)
    assert {o.id for o in find(one_iteration, 0) if not o.instances} == {
        "decay", "recovery", "narrowing",
    }  # fmt: skip


def test_figures_are_drawn_of_little_and_of_much():
    metrics = pd.concat([table(PAPER, ALONE, float(r)) for r in range(2)])
    unequal = table({4.0: PAPER[4.0]}).assign(D=2.5)
    for part in (metrics, pd.concat([metrics, unequal]), table({1.0: [5.0]})):
        summary = summarise(part, 3 if len(part) > 9 else 0)
        if not summary.empty:
            plots_segmented.segmented_optimum(summary).canvas.draw()
        plots_segmented.segmented_perplexity(part, 4.0).canvas.draw()
    fig = plots_segmented.segmented_split(gains(summarise(metrics, 3)))
    assert len(fig.axes[0].patches) == 3 * 3  # gain, fewer tokens, pooling at three M
    rng = np.random.default_rng(0)
    panel = {1.0: rng.lognormal(2, 0.3, (1, 50)), 4.0: rng.lognormal(2, 0.6, (4, 50))}
    fig = plots_segmented.segmented_distributions({"t = 0": panel, "t = 9": panel})
    assert [ax.get_title() for ax in fig.axes] == ["t = 0", "t = 9"]
